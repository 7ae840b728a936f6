// Data of ConfigMaps and Secrets: --from-literal KEY=VALUE, --from-file [KEY=]FILE or a directory, --from-env-file FILE.
import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { basename, join } from "node:path";
import { CliError, usageError } from "../../errors.ts";

export interface SourceFlags {
  fromLiteral?: string[];
  fromFile?: string[];
  fromEnvFile?: string[];
}

const KEY = /^[-._a-zA-Z0-9]+$/;
const KEY_MAX = 253;

/** Key → bytes, in the order of the flags' kinds as kubectl has it. `what` is told in errors: ConfigMap "web". */
export function dataOf(what: string, flags: SourceFlags): Map<string, Buffer> {
  const { fromLiteral = [], fromFile = [], fromEnvFile = [] } = flags;
  if (fromEnvFile.length > 0 && fromFile.length + fromLiteral.length > 0)
    throw usageError("--from-env-file cannot be combined with --from-file or --from-literal");
  const data = new Map<string, Buffer>();
  const add = (key: string, value: Buffer): void => {
    if (!KEY.test(key) || key.length > KEY_MAX || key === "." || key.startsWith(".."))
      throw usageError(`${what}: "${key}" is no key: use letters, digits, '-', '_' and '.'`);
    if (data.has(key)) throw usageError(`${what}: the key "${key}" is given twice`);
    data.set(key, value);
  };
  for (const source of fromFile) for (const [key, path] of filesOf(source)) add(key, bytesOf(path));
  for (const source of fromLiteral) add(...literalOf(source));
  for (const path of fromEnvFile) for (const [key, value] of envOf(path)) add(key, Buffer.from(value));
  return data;
}

function literalOf(source: string): [string, Buffer] {
  const at = source.indexOf("=");
  if (at < 1) throw usageError(`--from-literal ${source}: write KEY=VALUE`);
  return [source.slice(0, at), Buffer.from(source.slice(at + 1))];
}

function filesOf(source: string): [string, string][] {
  const at = source.indexOf("=");
  const [key, path] = at < 0 ? [basename(source), source] : [source.slice(0, at), source.slice(at + 1)];
  if (key === "" || path === "" || path.includes("="))
    throw usageError(`--from-file ${source}: write FILE, KEY=FILE or DIRECTORY`);
  if (!stat(path).isDirectory()) return [[key, path]];
  if (at >= 0) throw usageError(`--from-file ${source}: a directory's files have keys of their own`);
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }): [string, string] => [name, join(path, name)])
    .sort();
}

/** KEY=VALUE a line; # begins a comment; a KEY alone takes the variable of this environment. */
function envOf(path: string): [string, string][] {
  if (stat(path).isDirectory()) throw usageError(`--from-env-file ${path}: is a directory`);
  const lines = bytesOf(path)
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split("\n");
  return lines.flatMap((raw, i): [string, string][] => {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) return [];
    const at = line.indexOf("=");
    const key = at < 0 ? line : line.slice(0, at);
    if (!/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(key))
      throw usageError(`--from-env-file ${path}: line ${i + 1}: "${key}" is no name of a variable`);
    if (at >= 0) return [[key, line.slice(at + 1)]];
    const value = process.env[key];
    return value === undefined ? [] : [[key, value]];
  });
}

function stat(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

export function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): CliError {
  const { code } = error as NodeJS.ErrnoException;
  return new CliError(
    `${path}: ${code === "ENOENT" ? "no such file or directory" : (code ?? "cannot be read")}`,
  );
}
