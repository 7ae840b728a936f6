// The process behind command-line.ts: command lines come as lines of JSON by one fifo, what they said goes back by
// another. With command lines of its own, separated by the word ",,", it runs those, with its own standard input, and
// prints what each said: node command-server.js --batch COMMAND… ,, COMMAND…; "<FILE" before a command is standard input
// from here on.
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { forgetNotes } from "../cli/context.ts";
import { run } from "../cli/main.ts";
import { forgetInputs } from "../watch/input.ts";
import type { Said } from "./command-line.ts";

/** What a stream was given, instead of where it leads to. */
function catchOutput(stream: NodeJS.WriteStream): { text(): string; release(): void } {
  const chunks: Buffer[] = [];
  const original = stream.write;
  const write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    chunks.push(Buffer.from(chunk as string));
    const done = rest.find((each) => typeof each === "function") as (() => void) | undefined;
    if (done !== undefined) queueMicrotask(done);
    return true;
  };
  stream.write = write as typeof stream.write;
  return {
    text: () => Buffer.concat(chunks).toString("utf8"),
    release: () => {
      stream.write = original;
    },
  };
}

async function say(args: readonly string[]): Promise<Said> {
  const [out, err] = [catchOutput(process.stdout), catchOutput(process.stderr)];
  process.exitCode = undefined;
  forgetNotes();
  forgetInputs();
  try {
    const status = await run(args);
    await new Promise((resolve) => setImmediate(resolve));
    return { status, stdout: out.text(), stderr: err.text() };
  } finally {
    out.release();
    err.release();
    process.exitCode = 0;
  }
}

async function serve(requests: string, answers: string): Promise<void> {
  const input = openSync(requests, "r");
  const output = openSync(answers, "w");
  const chunk = Buffer.alloc(65_536);
  let waiting = "";
  for (let read = readSync(input, chunk); read > 0; read = readSync(input, chunk)) {
    waiting += chunk.toString("utf8", 0, read);
    for (let end = waiting.indexOf("\n"); end >= 0; end = waiting.indexOf("\n")) {
      const said = await say(JSON.parse(waiting.slice(0, end)));
      waiting = waiting.slice(end + 1);
      const bytes = Buffer.from(`${JSON.stringify(said)}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at);
    }
  }
  closeSync(output);
}

/** As a shell does it: the lowest descriptor that is free. Not for commands that read standard input as a stream. */
function openAsInput(file: string): void {
  closeSync(0);
  const fd = openSync(file, "r");
  if (fd !== 0) throw new Error(`${file} became descriptor ${fd}`);
}

async function batch(words: readonly string[]): Promise<void> {
  const lines: string[][] = [[]];
  for (const word of words) {
    if (word === ",,") lines.push([]);
    else lines.at(-1)!.push(word);
  }
  const all: Said[] = [];
  for (const [word, ...args] of lines) {
    if (word.startsWith("<")) openAsInput(word.slice(1));
    all.push(await say(word.startsWith("<") ? args : [word, ...args]));
  }
  process.stdout.write(`${JSON.stringify(all)}\n`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--batch") await batch(rest);
else await serve(first, rest[0]);
