// What holds for every process in which tests run: how long it may take, how its end is told, what it used.
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

/** POSIX leaves the length of /proc's ticks open; Linux has fixed it for programs. */
const TICKS_A_SECOND = 100;
/** Then a file may still say what it waits for (SIGALRM), at most so long, before it is killed. */
const LAST_WORDS_SECONDS = 10;
/** One that is told to stop takes away what it has made, labs above all. */
const STOP_SECONDS = 60;
/** What a process left running may hold its pipes so long. */
const DRAIN_MS = 2000;

export interface Limits {
  /** tap keeps a file's time itself. */
  readonly timeoutSeconds: number;
  /** This much later its event loop hangs. */
  readonly graceSeconds: number;
  /** Nobody wants to know any more. */
  readonly stop?: AbortSignal | undefined;
}

/** Ends a process that takes longer, or that is to stop; the function that is returned takes that back. */
export function limit(child: ChildProcess, { timeoutSeconds, graceSeconds, stop }: Limits): () => void {
  const mostMs = (timeoutSeconds + graceSeconds) * 1000;
  const timer = setTimeout(() => child.kill("SIGALRM"), mostMs);
  const lastMs = Math.min(LAST_WORDS_SECONDS, graceSeconds) * 1000;
  const hard = setTimeout(() => child.kill("SIGKILL"), mostMs + lastMs);
  let last: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill("SIGTERM");
    last = setTimeout(() => child.kill("SIGKILL"), STOP_SECONDS * 1000);
  };
  stop?.addEventListener("abort", end);
  return () => {
    stop?.removeEventListener("abort", end);
    for (const each of [timer, hard, last]) clearTimeout(each);
  };
}

/** How it ended, "status 0" or "signal SIGKILL", once its output is complete. */
export function endOf(child: ChildProcess, onExit: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => {
      onExit();
      setTimeout(() => [child.stdout, child.stderr].map((stream) => stream?.destroy()), DRAIN_MS).unref();
    });
    child.on("close", (status, signal) => resolve(signal === null ? `status ${status}` : `signal ${signal}`));
  });
}

/** What a process used for the children that it has waited for, theirs included; 0 where /proc does not tell. */
export function usedByChildren(): number {
  let stat: string;
  try {
    stat = readFileSync("/proc/self/stat", "utf8");
  } catch {
    return 0;
  }
  // The second field, the program's name, may hold blanks; cutime and cstime are the 16th and 17th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_A_SECOND;
}
