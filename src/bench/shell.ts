// Running other programs for the benchmark, and leaving none of them behind.
// Everything that is started or made registers its own undoing; `undoAll` runs these last first, on success,
// failure and signals alike.
import { type ChildProcess, spawn } from "node:child_process";

export class BenchError extends Error {
  override name = "BenchError";
}

type Undo = () => Promise<void> | void;
const undos: Undo[] = [];
let undoing: Promise<void> | undefined;

export function onExit(undo: Undo): void {
  undos.push(undo);
}

/** Undoes everything, last first. A step that fails does not keep the others from running. */
export function undoAll(): Promise<void> {
  undoing ??= undoEach(); // a signal and the end of the run may both ask for it
  return undoing;
}

async function undoEach(): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      process.stderr.write(`clean-up: ${(error as Error).message}\n`);
    }
  }
}

export interface RunOptions {
  /** Text for the program's standard input. */
  input?: string;
  /** Do not throw when the exit status is not 0. */
  mayFail?: boolean;
  timeoutMs?: number;
}

/** Runs a program to its end and returns its standard output. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { promise, resolve, reject } = deferred<string>();
  const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  let err = "";
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  child.stdin.on("error", () => {}); // it may end before it has read everything
  child.stdin.end(options.input ?? "");
  child.on("error", (cause) => reject(new BenchError(`${command[0]}: ${cause.message}`, { cause })));
  child.on("close", (code, signal) => {
    clearTimeout(timer);
    if (code === 0 || options.mayFail) return resolve(out);
    const why = (err.trim() || out.trim()).split("\n").slice(-3).join(" / ");
    reject(new BenchError(`${command.join(" ")}: ${signal ?? `exit status ${code}`}: ${why}`));
  });
  return promise;
}

/** Starts a program that stays, waits until it prints `readyText`, and ends it with the benchmark. */
export function start(command: readonly string[], readyText: string): Promise<ChildProcess> {
  const { promise, resolve, reject } = deferred<ChildProcess>();
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  onExit(() => stop(child));
  let text = "";
  const timer = setTimeout(
    () => reject(new BenchError(`${command.join(" ")}: not ready after 10 s`)),
    10_000,
  );
  const look = (chunk: string) => {
    text = (text + chunk).slice(-4096);
    if (text.includes(readyText)) {
      clearTimeout(timer);
      resolve(child);
    }
  };
  child.stdout.setEncoding("utf8").on("data", look);
  child.stderr.setEncoding("utf8").on("data", look);
  child.on("error", (cause) => reject(new BenchError(`${command[0]}: ${cause.message}`, { cause })));
  child.on("exit", () => {
    clearTimeout(timer);
    reject(new BenchError(`${command.join(" ")} ended: ${text.trim()}`));
  });
  return promise;
}

/** Ends a program that was started, before the benchmark ends. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = deferred<void>();
  const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
  child.once("exit", () => {
    clearTimeout(timer);
    resolve();
  });
  child.kill("SIGTERM");
  await promise;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
