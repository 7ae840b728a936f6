// Texts as people name them: a file, "-", /dev/stdin, a descriptor (what a shell puts in place of <(command)), a fifo.
// Some of these give what they hold only once, so whoever reads them twice has nothing the second time. Each is read
// here, whole, and is then gone for this process: a second reader is refused instead of being handed an empty text.
import {
  accessSync,
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { PodwireError } from "../base/errors.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { decodeText } from "./decode-text.ts";

const CHUNK_BYTES = 1 << 20;
const MAX_BYTES = 256 << 20; // of one text: a string of JavaScript ends at 512 MiB
const WAIT_MS = 5;
const FAILED = 1;
const WRONG_USAGE = 2;

export class InputError extends PodwireError {
  /** Exit status of the command that fails with it. */
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number = FAILED, cause?: unknown) {
    super(message, { code, cause });
    this.exitCode = exitCode;
  }
}

/** An input and the flag that names it. */
export interface NamedInput {
  readonly flag: string;
  readonly name: string;
}

/** What can be read once and was read → the name it was read by. */
const alreadyRead = new Map<string, string>();

/** A command line begins: nothing has been read. */
export function forgetInputs(): void {
  alreadyRead.clear();
}

/** Refuses a command line that names the same standard input, descriptor or fifo twice, before anything is read. */
export function refuseTwice(inputs: readonly NamedInput[]): void {
  const seen = new Map<string, NamedInput>();
  for (const input of inputs) {
    const key = onceKey(input.name);
    if (key === undefined) continue;
    const other = seen.get(key);
    seen.set(key, input);
    if (other === undefined) continue;
    const [a, b] = [other, input].map(({ flag, name }) => `${flag} ${name}`.trim());
    throw new InputError("INPUT_TWICE", `${a} and ${b}: ${onceText(input.name)}`, WRONG_USAGE);
  }
}

/** The whole text of an input of the command line. */
export function readInput(name: string): string {
  take(name);
  const descriptor = descriptorOf(name);
  return descriptor === undefined ? readText(name) : textOf(name, () => readToEnd(name, descriptor));
}

/** Says early what is wrong with an input that is read later. */
export function checkInput(name: string): void {
  if (descriptorOf(name) !== undefined) return;
  readable(name, () => accessSync(name, constants.R_OK));
  if (statOf(name)?.isDirectory() === true) throw unreadable(name, { code: "EISDIR" });
}

/** The bytes of an input as they come. */
export async function* inputStream(name: string): AsyncGenerator<Uint8Array> {
  take(name);
  const descriptor = descriptorOf(name);
  const fd = descriptor ?? readable(name, () => openSync(name, "r"));
  const stream =
    fd === 0 ? process.stdin : createReadStream(name, { fd, autoClose: descriptor === undefined });
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** Counts what can be read once as read. */
function take(name: string): void {
  const key = onceKey(name);
  if (key === undefined) return;
  if (alreadyRead.has(key)) throw new InputError("INPUT_TWICE", `${name}: ${onceText(name)}`, WRONG_USAGE);
  alreadyRead.set(key, name);
}

/** The whole text of a file, however often. */
export function readText(path: string): string {
  return textOf(path, () => {
    const descriptor = openSync(path, "r");
    try {
      return readToEnd(path, descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Inputs as they are, directories as the manifests in them, by name, as `kubectl apply -f DIR` takes them. */
export function readManifestInputs(names: readonly string[]): ManifestText[] {
  return names.flatMap((name) => {
    const files = manifestsIn(name);
    if (files?.length === 0)
      throw new InputError("INPUT_EMPTY", `${name}: no .yaml, .yml or .json file in it`);
    return (files ?? [name]).map((file) => ({ file, text: readInput(file) }));
  });
}

/** The manifests of a directory, by name; undefined when the name is none. */
export function manifestsIn(name: string): string[] | undefined {
  if (descriptorOf(name) !== undefined || statOf(name)?.isDirectory() !== true) return undefined;
  return readable(name, () =>
    readdirSync(name)
      .filter((file) => /\.(ya?ml|json)$/.test(file))
      .sort()
      .map((file) => join(name, file))
      .filter((file) => statOf(file)?.isDirectory() !== true),
  );
}

/** The open descriptor that a name means: 0 for "-" and /dev/stdin, 63 for /dev/fd/63. */
export function descriptorOf(name: string): number | undefined {
  if (name === "-" || name === "/dev/stdin") return 0;
  const match = /^\/(?:dev\/fd|proc\/(self|thread-self|\d+)\/fd)\/(\d{1,9})$/.exec(name);
  if (match === null) return undefined;
  const [, owner, number] = match;
  const isOurs = owner === undefined || !/^\d/.test(owner) || Number(owner) === process.pid;
  return isOurs ? Number(number) : undefined;
}

/** True for what gives its text only once. */
export function isReadOnce(name: string): boolean {
  return onceKey(name) !== undefined;
}

/** Tells apart what can be read only once; undefined: it is there to be read again, or not there at all. */
function onceKey(name: string): string | undefined {
  const descriptor = descriptorOf(name);
  const stat = descriptor === undefined ? statOf(name) : descriptorStat(descriptor);
  if (stat?.isFIFO() || stat?.isSocket()) return `${stat.dev}:${stat.ino}`; // one pipe may have several names
  return descriptor === undefined ? undefined : `descriptor ${descriptor}`; // it has one position in its file
}

function onceText(name: string): string {
  return `${descriptorOf(name) === 0 ? "standard input" : "a pipe"} can be read only once`;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined; // whoever reads it is told why
  }
}

function descriptorStat(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
}

function textOf(name: string, read: () => Buffer): string {
  const bytes = readable(name, read);
  const decoded = decodeText(bytes);
  if ("text" in decoded) return decoded.text;
  throw new InputError("INPUT_NO_TEXT", `${name}: ${decoded.problem}`);
}

function readToEnd(name: string, descriptor: number): Buffer {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const parts: Buffer[] = [];
  for (let total = 0; ; ) {
    const count = readSome(descriptor, chunk);
    if (count === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(chunk.subarray(0, count)));
    total += count;
    if (total > MAX_BYTES) throw new InputError("INPUT_TOO_LARGE", `${name}: longer than 256 MiB`);
  }
}

/** Waits for what is not there yet: a terminal's or a pipe's other end may have made it non-blocking. */
function readSome(descriptor: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(descriptor, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
}

function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof PodwireError ? error : unreadable(name, error);
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "is a directory",
  EBADF: "not open for reading",
  ENXIO: "is a socket or a device without an other end",
  ELOOP: "too many symbolic links",
};

/** Why a file cannot be read, in the words of every command: "no such file", "is a directory". */
export function problemOf(error: unknown): string {
  const { code = "", errno, message = "" } = error as { code?: string; errno?: number; message?: string };
  return PROBLEMS[code] ?? (errno === undefined ? message.split("\n", 1)[0] : `cannot be read (${code})`);
}

function unreadable(name: string, error: unknown): InputError {
  const { code } = error as { code?: string };
  if (code === "ENOENT" && /^https?:\/\//.test(name)) {
    const how = `addresses are not fetched: curl -sSL ${name} | podwire …, with - for the file`;
    return new InputError("INPUT_UNREADABLE", `${name}: ${how}`, FAILED, error);
  }
  return new InputError("INPUT_UNREADABLE", `${name || '""'}: ${problemOf(error)}`, FAILED, error);
}
