// The other end of file-host.ts: a process that runs test files one after another. One that dies has taken down the file
// it ran, no other: that file has failed, and the next gets a new process.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { endOf, type Limits, limit } from "./test-process.ts";

/** Begins the line after a file's output; JSON of `FileEnd` follows. */
export const MARK = "\u0001end of file ";

export interface FileEnd {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cpuSeconds: number;
  /** The next file is to get another process. */
  readonly isLast: boolean;
}

export interface HostOptions extends Limits {
  readonly flags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** A process of this kind has ended. */
  readonly onExit: () => void;
}

interface Host {
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
}

/**
 * A test node's 30 MB of buffers make V8 collect after every second one, little as there is to collect: with helper
 * threads and a small new space five files of the data plane took 17 s of CPU, without and with a large one 12.6. And
 * what is compiled after the usual time (a third of this budget) is seldom worth it in a run of seconds: 9 to 25 % of
 * the CPU of six files.
 */
const SHORT_RUN = [
  "--single-threaded-gc",
  "--min-semi-space-size=64",
  "--max-semi-space-size=64",
  "--interrupt-budget=400000",
];
const HOST = join(import.meta.dirname, "file-host.js");
/** tap's import on a machine that has other things to do. */
const START: Limits = { timeoutSeconds: 120, graceSeconds: 0 };
const DIED: FileEnd = { passed: 0, failed: 1, skipped: 0, cpuSeconds: 0, isLast: true };
/** A file's modules stay in memory, so that a process is not to run files for ever. */
const MOST_FILES = 60;

export class SharedProcess {
  readonly #options: HostOptions;
  #host: Host | undefined;
  #files = 0;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  /** Runs one file; the one before has to have ended. */
  async run(compiled: string): Promise<FileEnd & { output: string }> {
    if (this.#host === undefined) {
      this.#host = this.#start();
      await answer(this.#host, START); // not the file's time
    }
    const { timeoutSeconds, graceSeconds, stop } = this.#options;
    // A file may use both, for its tests and for what they leave behind.
    const limits = { timeoutSeconds, graceSeconds: 2 * graceSeconds, stop };
    const result = await answer(this.#host, limits, compiled);
    if (result.isLast || ++this.#files >= MOST_FILES) this.close();
    return result;
  }

  close(): void {
    this.#host?.child.kill("SIGKILL");
    this.#host = undefined;
    this.#files = 0;
  }

  #start(): Host {
    const { flags, env, timeoutSeconds, graceSeconds, onExit } = this.#options;
    const args = [...SHORT_RUN, ...flags, HOST, String(timeoutSeconds), String(graceSeconds)];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      // The limit is the file's, not that of all of them.
      env: { ...env, TAP: "1", TAP_TIMEOUT: "0" },
    });
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8");
    child.stdio[3]?.on("error", () => {}); // it died: its end tells
    return { child, ended: endOf(child, onExit) };
  }
}

/** What the process says until the end of this file, or, without one, until it is ready. */
function answer(
  { child, ended }: Host,
  limits: Limits,
  file?: string,
): Promise<FileEnd & { output: string }> {
  const streams = [child.stdout, child.stderr];
  const unlimit = limit(child, limits);
  let output = "";
  return new Promise((resolve, reject) => {
    const stop = (result: FileEnd): void => {
      unlimit();
      for (const stream of streams) stream?.off("data", onText);
      resolve({ ...result, output });
    };
    const onText = (text: string): void => {
      output += text;
      const at = output.lastIndexOf(`\n${MARK}`);
      const end = at < 0 ? -1 : output.indexOf("\n", at + 1);
      if (end < 0) return;
      const line = output.slice(at + 1 + MARK.length, end);
      output = output.slice(0, at + 1) + output.slice(end + 1);
      stop(JSON.parse(line) as FileEnd);
    };
    for (const stream of streams) stream?.on("data", onText);
    ended.then((ending) => {
      output += `\n# ended with ${ending}\n`;
      stop(DIED);
    }, reject);
    if (file !== undefined) (child.stdio[3] as Writable).write(`${file}\n`);
  });
}
