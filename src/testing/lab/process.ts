// Running programs in tests: to their end, or beside the test until it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { atEnd } from "./at-end.ts";

export interface Result {
  status: number | null; // null: ended by a signal
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Buffer;
  timeoutMs?: number;
  env?: Record<string, string>;
  cwd?: string;
}

/** Runs a program to its end. A program that outlives its time is killed and its status is null. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => {}); // the program may end without reading
    child.stdin.end(options.input ?? "");
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      // What it has started may hold them, and would be waited for without an end.
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.timeoutMs ?? 60_000);
    const forget = atEnd(() => child.kill("SIGKILL"));
    child.on("exit", forget);
    child.on("error", (error) => {
      forget();
      reject(error);
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      // latin1 keeps every byte: some programs echo binary data.
      resolve({
        status,
        stdout: Buffer.concat(out).toString("latin1"),
        stderr: Buffer.concat(err).toString("utf8"),
      });
    });
  });
}

export interface Running {
  child: ChildProcess;
  /** Everything it has printed so far, both streams. */
  output(): string;
  /** When it has ended and its output is complete, be that long ago. */
  readonly ended: Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a program and waits until it has printed something that matches `ready`. */
export function start(command: readonly string[], ready: RegExp, timeoutMs = 15_000): Promise<Running> {
  return new Promise((resolve, reject) => {
    // A process group of its own: `podwire exec` leaves a terminal's signals to the program it runs.
    const child = spawn(command[0], command.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const send = (signal: NodeJS.Signals) => {
      try {
        process.kill(-child.pid!, signal);
      } catch {} // all of the group have ended
    };
    const forget = atEnd(() => send("SIGKILL"));
    let text = "";
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
      send(signal);
      const hard = setTimeout(() => send("SIGKILL"), 5000);
      await ended;
      clearTimeout(hard);
    };
    const timer = setTimeout(() => {
      void stop("SIGKILL");
      reject(new Error(`${command.join(" ")}: not ready after ${timeoutMs} ms: ${text}`));
    }, timeoutMs);
    const look = (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (!ready.test(text)) return;
      clearTimeout(timer);
      resolve({ child, output: () => text, ended, stop });
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.on("error", (error) => {
      forget();
      reject(error);
    });
    child.on("exit", (status) => {
      forget();
      clearTimeout(timer);
      reject(new Error(`${command.join(" ")}: ended with status ${status}: ${text}`));
    });
  });
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Asks again until the answer is true; says what was waited for when it never is. */
export async function until(what: string, answer: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await answer())) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(100);
  }
}
