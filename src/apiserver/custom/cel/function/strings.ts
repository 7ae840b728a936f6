// Functions of strings: the language's own, cel-go's extension (version 2) and Kubernetes' find. Positions count
// characters. Patterns are Go's expressions, which take no more time than the text is long.
import { RE2JS } from "re2js";
import type { Run } from "../run.ts";
import { Fault, type Value } from "../value.ts";
import { formatText } from "./format-text.ts";

const compiled = new Map<string, RE2JS>();
const KEPT_MAX = 256;

function pattern(text: string): RE2JS {
  const known = compiled.get(text);
  if (known !== undefined) return known;
  try {
    const made = RE2JS.compile(text);
    if (compiled.size >= KEPT_MAX) compiled.clear();
    compiled.set(text, made);
    return made;
  } catch (error) {
    throw new Fault(`error parsing regexp: ${(error as Error).message}`);
  }
}

const matches = (text: string, expression: string): boolean => pattern(expression).matcher(text).find();

function findAll(text: string, expression: string, most = -1n): string[] {
  const found: string[] = [];
  const matcher = pattern(expression).matcher(text);
  while ((most < 0n || BigInt(found.length) < most) && matcher.find()) found.push(matcher.group() ?? "");
  return found;
}

const outside = (index: bigint | number): Fault => new Fault(`index out of range: ${index}`);

function indexOf(text: string, part: string, from = 0n): bigint {
  const [all, wanted] = [[...text], [...part]];
  if (wanted.length === 0) return from;
  if (from < 0n || from >= BigInt(all.length)) {
    if (from === 0n) return -1n;
    throw outside(from);
  }
  for (let i = Number(from); i + wanted.length <= all.length; i++)
    if (wanted.every((one, k) => one === all[i + k])) return BigInt(i);
  return -1n;
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const [all, wanted] = [[...text], [...part]];
  if (wanted.length === 0) return from ?? BigInt(all.length);
  if (from !== undefined && (from < 0n || from >= BigInt(all.length))) throw outside(from);
  const last = all.length - wanted.length;
  for (let i = Math.min(Number(from ?? BigInt(last)), last); i >= 0; i--)
    if (wanted.every((one, k) => one === all[i + k])) return BigInt(i);
  return -1n;
}

function charAt(text: string, index: bigint): string {
  const all = [...text];
  if (index < 0n || index > BigInt(all.length)) throw outside(index);
  return all[Number(index)] ?? "";
}

function substring(text: string, from: bigint, to?: bigint): string {
  const all = [...text];
  const end = to ?? BigInt(all.length);
  if (to !== undefined && from > to) throw new Fault(`invalid substring range. start: ${from}, end: ${to}`);
  if (from < 0n || from > BigInt(all.length)) throw outside(from);
  if (end < 0n || end > BigInt(all.length)) throw outside(end);
  return all.slice(Number(from), Number(end)).join("");
}

function split(text: string, by: string, most = -1n): string[] {
  const parts = by === "" ? [...text] : text.split(by);
  if (most === 0n) return [];
  if (most < 0n || BigInt(parts.length) <= most) return parts;
  const head = parts.slice(0, Number(most) - 1);
  return [...head, parts.slice(Number(most) - 1).join(by)];
}

function replace(text: string, from: string, to: string, most = -1n): string {
  const parts = split(text, from, most < 0n ? -1n : most + 1n);
  // Between all characters, before the first and behind the last one.
  if (from === "") return most < 0n ? `${to}${parts.map((one) => one + to).join("")}` : to + parts.join(to);
  return most === 0n ? text : parts.join(to);
}

function join(list: readonly Value[], by = ""): string {
  for (const one of list) if (typeof one !== "string") throw new Fault(`join: invalid input: ${String(one)}`);
  return list.join(by);
}

const QUOTED: Readonly<Record<string, string>> = {
  ...{ "\u0007": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v" },
  ...{ "\\": "\\\\", '"': '\\"' },
};

export const STRINGS: Readonly<Record<string, Run>> = {
  "string.contains(string): bool": (text: string, part: string) => text.includes(part),
  "string.startsWith(string): bool": (text: string, part: string) => text.startsWith(part),
  "string.endsWith(string): bool": (text: string, part: string) => text.endsWith(part),
  "matches(string, string): bool": matches,
  "string.matches(string): bool": matches,
  "string.find(string): string": (text: string, expression: string) => findAll(text, expression, 1n)[0] ?? "",
  "string.findAll(string): list<string>": (text: string, expression: string) => findAll(text, expression),
  "string.findAll(string, int): list<string>": findAll as Run,
  "string.charAt(int): string": charAt,
  "string.indexOf(string): int": (text: string, part: string) => indexOf(text, part),
  "string.indexOf(string, int): int": indexOf as Run,
  "string.lastIndexOf(string): int": (text: string, part: string) => lastIndexOf(text, part),
  "string.lastIndexOf(string, int): int": lastIndexOf as Run,
  "string.lowerAscii(): string": (text: string) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase()),
  "string.upperAscii(): string": (text: string) => text.replace(/[a-z]+/g, (part) => part.toUpperCase()),
  "string.replace(string, string): string": (text: string, from: string, to: string) =>
    replace(text, from, to),
  "string.replace(string, string, int): string": replace as Run,
  "string.split(string): list<string>": (text: string, by: string) => split(text, by),
  "string.split(string, int): list<string>": split as Run,
  "string.substring(int): string": (text: string, from: bigint) => substring(text, from),
  "string.substring(int, int): string": substring as Run,
  "string.trim(): string": (text: string) => text.trim(),
  "string.format(list<dyn>): string": formatText,
  "list<string>.join(): string": (list: readonly Value[]) => join(list),
  "list<string>.join(string): string": join as Run,
  "'strings.quote'(string): string": (text: string) =>
    `"${[...text].map((one) => QUOTED[one] ?? one).join("")}"`,
};
