// What a check finds in a pod, in the words that an API server prints: a reason, and in brackets who and what.
import type { Container, Pod } from "../objects.ts";

/** A pod, or the template of one. */
export interface PodShape {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: Pod["spec"];
}

export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

/** undefined: nothing is wrong. */
export type Check = (pod: PodShape) => Finding | undefined;

/** In the order in which they are named. */
export function containersOf({ spec }: PodShape): Container[] {
  return [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as Container[]),
  ];
}

/** `"a", "b"`. Names are not escaped, as an API server does not. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `"${word}"`).join(", ");
}

/** Each once, by their bytes. */
export function sortedSet(words: Iterable<string>): string[] {
  return [...new Set(words)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`;
}

/** `container "a"`, `containers "a", "b"`. */
export function named(what: string, names: readonly string[]): string {
  return `${plural(what, names.length)} ${quoted(names)}`;
}

/** `pod and container "a"`; empty where neither is at fault. */
export function settersText(isPod: boolean, containers: readonly string[]): string {
  const setters = isPod ? ["pod"] : [];
  if (containers.length > 0) setters.push(named("container", containers));
  return setters.join(" and ");
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};
const PRINTED = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/** Text as Go's %q writes it. */
export function goQuoted(text: string): string {
  const parts = [...text].map((char) => {
    const escaped = ESCAPES[char];
    if (escaped !== undefined) return escaped;
    if (PRINTED.test(char)) return char;
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${hex(code, 2)}`;
    if (code >= 0xd800 && code < 0xe000) return "\uFFFD"; // half a character is none in UTF-8
    return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  });
  return `"${parts.join("")}"`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
