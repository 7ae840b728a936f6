// One long-lived process and its restarts. Processes are started detached with their output in a file, so that a lab
// process that dies takes nothing down with it; the next one finds them by their pid files and goes on watching.
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  fchmodSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { readJson } from "../state-dir.ts";
import { identify, isAlive, type ProcessId, signal } from "./process-table.ts";

export interface Backoff {
  /** Delays before the first, second … restart; the last one stays. */
  delaysMs: readonly number[];
  /** A run at least this long makes the next restart the first again. */
  resetAfterMs: number;
}

/** kubelet: the first restart at once, then 10 s doubling to 5 minutes, forgotten after 10 minutes of running. */
export const KUBELET_BACKOFF: Backoff = {
  delaysMs: [0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000],
  resetAfterMs: 600_000,
};
/** A node without its agent has no network at all: try soon, and go on trying. */
export const AGENT_BACKOFF: Backoff = { delaysMs: [0, 500, 1000, 2000, 5000, 10_000], resetAfterMs: 30_000 };

export interface ProcessSpec {
  argv: string[];
  env: Record<string, string>;
  cwd?: string;
  logFile: string;
  pidFile: string;
  restart: "Always" | "OnFailure" | "Never";
  backoff: Backoff;
  /** Before each start, when its log is there. */
  beforeStart?: () => void;
  /** Asked before each start what to run, where that may be another thing each time; or why it cannot be run now. */
  prepare?: () => Prepared | Refusal;
  /** What a run that ends has left to say; "": its last line. */
  lastWords?: (exitCode: number) => string;
  /** Why the run that has just ended did so, where somebody knows better than by its status. */
  endReason?: () => string | undefined;
  /** The program says when it is ready by a line on file descriptor 3; otherwise running is ready. */
  announces?: boolean;
}

export interface Prepared {
  argv: string[];
  env: Record<string, string>;
  /** What is started makes a place first: it runs when it has closed file descriptor 4, and waits until then. */
  makesPlace?: boolean;
  /** Of this start; left out: as the spec says. */
  announces?: boolean;
}

/** Why it is not started, in kubelet's words; it is tried again. */
export interface Refusal {
  reason: string;
  message: string;
}

export interface Exit {
  exitCode: number;
  signal: NodeJS.Signals | null;
  reason: string;
  message: string;
  startedAtMs: number;
  finishedAtMs: number;
}

export type Phase = "waiting" | "running" | "terminated";

const ADOPTED_POLL_MS = 200;
const REFUSED_RETRY_MS = 2000;
const MADE_FD = 4;
const KILLED: readonly (NodeJS.Signals | null)[] = ["SIGKILL", "SIGTERM", "SIGINT"];
/** What programs print may be meant for nobody else: as kubelet and runtimes keep it. */
const LOG_MODE = 0o640;
const UNKNOWN_EXIT = 137; // as kubelet reports a container whose end it did not see

export class ManagedProcess {
  readonly spec: ProcessSpec;
  phase: Phase = "waiting";
  /** Why it waits or ended, in kubelet's words. */
  reason = "ContainerCreating";
  id: ProcessId | undefined;
  startedAtMs = 0;
  restarts = 0;
  announced = false;
  /** Taken over from an earlier lab process. */
  adopted = false;
  lastExit: Exit | undefined;
  /** How long it waits before it is started again. */
  backoffMs = 0;
  /** Why it was not started last time. */
  refusal: Refusal | undefined;

  private readonly onChange: (process: ManagedProcess) => void;
  private failuresInRow = 0;
  private stopping = false;
  /** What is started, until it runs. */
  private making: ChildProcess | undefined;
  private timer: NodeJS.Timeout | undefined;
  private killing: NodeJS.Timeout | undefined;
  private readonly waiters: (() => void)[] = [];

  constructor(spec: ProcessSpec, onChange: (process: ManagedProcess) => void) {
    this.spec = spec;
    this.onChange = onChange;
  }

  /** It was started, and its place is not made yet: nobody may enter it. */
  get isMaking(): boolean {
    return this.making !== undefined;
  }

  /**
   * Starts the process, or goes on with the one of an earlier lab process that is still running. `ended`: how it ended
   * for good before that lab process did.
   */
  start(ended?: Exit): void {
    const earlier = readJson<PidFile>(this.spec.pidFile);
    this.restarts = earlier?.restarts ?? 0;
    this.lastExit = earlier?.lastExit;
    if (ended !== undefined) {
      this.startedAtMs = ended.startedAtMs;
      this.lastExit = ended;
      this.becomes("terminated", ended.reason);
      return;
    }
    if (earlier !== undefined && isAlive(earlier)) this.adopt(earlier);
    else this.launch();
  }

  /** Ends it for good: SIGTERM to its group, SIGKILL after the grace period. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    const id = this.id;
    if (id === undefined) {
      if (this.phase === "waiting") this.becomes("terminated", "Completed");
      return;
    }
    const gone = new Promise<void>((resolve) => this.waiters.push(resolve));
    signal(id, "SIGTERM", true);
    const kill = setTimeout(() => signal(id, "SIGKILL", true), graceMs);
    await gone;
    clearTimeout(kill);
    signal(id, "SIGKILL", true); // children that outlived it
    rmSync(this.spec.pidFile, { force: true });
  }

  /** Cuts a back-off short: `lab up` asks for everything to be tried now. */
  retryNow(): void {
    if (this.phase !== "waiting" || this.stopping || this.timer === undefined) return;
    clearTimeout(this.timer);
    this.launch();
  }

  /** Ends the run, not the process: it comes back by its restart policy, at once. */
  async restartNow(): Promise<void> {
    if (this.id !== undefined) {
      this.failuresInRow = 0;
      signal(this.id, "SIGKILL", true);
    } else {
      this.retryNow();
    }
  }

  /** Ends the run, with time to end by itself; by its restart policy it comes back. */
  end(graceMs: number): void {
    const { id } = this;
    if (id === undefined || this.stopping) return;
    signal(id, "SIGTERM", true);
    this.killing = setTimeout(() => signal(id, "SIGKILL", true), graceMs);
  }

  private adopt(earlier: PidFile): void {
    this.id = { pid: earlier.pid, startTicks: earlier.startTicks };
    this.startedAtMs = earlier.startedAtMs;
    this.announced = true; // it had its time to come up; probes tell if it has not
    this.adopted = true;
    this.becomes("running", "");
    const poll = setInterval(() => {
      if (isAlive(this.id!)) return;
      clearInterval(poll);
      this.ended(UNKNOWN_EXIT, null, "ContainerStatusUnknown");
    }, ADOPTED_POLL_MS);
  }

  private launch(): void {
    const { spec } = this;
    this.timer = undefined;
    this.adopted = false;
    const prepared = spec.prepare?.() ?? spec;
    if ("message" in prepared) {
      this.refused(prepared);
      return;
    }
    this.refusal = undefined;
    const { argv, env, announces = spec.announces === true, makesPlace = false }: Prepared = prepared;
    this.announced = !announces;
    this.startedAtMs = Date.now();
    mkdirSync(dirname(spec.logFile), { recursive: true });
    const log = openSync(spec.logFile, "a", LOG_MODE);
    fchmodSync(log, LOG_MODE); // one of an earlier lab process, too
    spec.beforeStart?.();
    const child = spawn(argv[0], argv.slice(1), {
      detached: true,
      env,
      cwd: spec.cwd ?? "/",
      stdio: ["ignore", log, log, announces ? "pipe" : "ignore", makesPlace ? "pipe" : "ignore"],
    });
    closeSync(log);
    if (announces) this.listenForReady(child);
    child.on("error", (error) => {
      if (child.pid === undefined) this.ended(128, null, "StartError", error.message);
    });
    child.on("exit", (code, name) => this.ended(code ?? 128 + signalNumber(name), name, ""));
    if (child.pid === undefined) return;
    this.id = identify(child.pid) ?? { pid: child.pid, startTicks: 0 };
    this.remember(this.id);
    if (makesPlace) this.awaitPlace(child);
    else this.becomes("running", "");
  }

  private awaitPlace(child: ChildProcess): void {
    this.making = child;
    const pipe = child.stdio[MADE_FD] as Readable;
    pipe.on("error", () => {});
    pipe.on("close", () => this.made(child));
    pipe.resume();
  }

  private made(child: ChildProcess | undefined): void {
    if (child === undefined || this.making !== child || this.stopping) return;
    this.making = undefined;
    this.becomes("running", "");
  }

  private refused(refusal: Refusal): void {
    this.timer = setTimeout(() => this.launch(), REFUSED_RETRY_MS);
    const isTold = this.refusal?.message === refusal.message && this.reason === refusal.reason;
    this.refusal = refusal;
    if (!isTold) this.becomes("waiting", refusal.reason);
  }

  private remember(id: ProcessId): void {
    const file: PidFile = { ...id, startedAtMs: this.startedAtMs, restarts: this.restarts };
    if (this.lastExit !== undefined) file.lastExit = this.lastExit;
    // Whole or not at all: a lab that ends meanwhile would not find its processes again by half a file.
    const draft = `${this.spec.pidFile}.new`;
    writeFileSync(draft, JSON.stringify(file));
    renameSync(draft, this.spec.pidFile);
  }

  private listenForReady(child: ChildProcess): void {
    const pipe = child.stdio[3] as Readable;
    pipe.on("error", () => {});
    pipe.once("data", () => {
      this.announced = true;
      pipe.destroy();
      if (this.phase === "running") this.onChange(this);
    });
  }

  private ended(exitCode: number, name: NodeJS.Signals | null, reason: string, message?: string): void {
    const finishedAtMs = Date.now();
    this.made(this.making); // whoever listens sees every start, however short
    this.making = undefined;
    clearTimeout(this.killing);
    const said = this.spec.lastWords?.(exitCode) ?? "";
    this.lastExit = {
      exitCode,
      signal: name,
      reason: this.spec.endReason?.() ?? (reason || (exitCode === 0 ? "Completed" : "Error")),
      // A program that was killed had no time to say why: its last line is about something else.
      message:
        message ?? (said || (exitCode === 0 || KILLED.includes(name) ? "" : lastLine(this.spec.logFile))),
      startedAtMs: this.startedAtMs,
      finishedAtMs,
    };
    this.id = undefined;
    const { restart, backoff } = this.spec;
    const again = !this.stopping && (restart === "Always" || (restart === "OnFailure" && exitCode !== 0));
    if (!again) {
      this.becomes("terminated", this.lastExit.reason);
      for (const waiter of this.waiters.splice(0)) waiter();
      return;
    }
    if (finishedAtMs - this.startedAtMs >= backoff.resetAfterMs) this.failuresInRow = 0;
    this.backoffMs = backoff.delaysMs[Math.min(this.failuresInRow++, backoff.delaysMs.length - 1)];
    this.restarts++;
    this.timer = setTimeout(() => this.launch(), this.backoffMs);
    this.becomes("waiting", "CrashLoopBackOff");
  }

  private becomes(phase: Phase, reason: string): void {
    this.phase = phase;
    this.reason = reason;
    this.onChange(this);
  }
}

interface PidFile extends ProcessId {
  startedAtMs: number;
  restarts: number;
  lastExit?: Exit;
}

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

function signalNumber(name: NodeJS.Signals | null): number {
  return name === null ? 0 : (SIGNAL_NUMBERS[name] ?? 0);
}

/** Last line that is not empty of a log: most often why the program ended. */
export function lastLine(path: string): string {
  try {
    const size = statSync(path).size;
    const text = readFileSync(path, "utf8").slice(size > 65536 ? -65536 : 0);
    return text.trimEnd().split("\n").at(-1)?.trim().slice(0, 300) ?? "";
  } catch {
    return "";
  }
}
