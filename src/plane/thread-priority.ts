/**
 * The data plane before the programs it serves, as long as there is little to do for it; by turns with them when there is
 * much. The kernel does its own packet work so: at once in a softirq, and in ksoftirqd, a thread among others, when it
 * does not end. First under overload, it would take in what no program has the time to read.
 */

import { openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

/** What the thread may want of a core: more is overload for itself, or, while no core is idle, for the programs. */
const MUCH = 0.75;
const SOME = 0.3;
/** Idle cores below which there is none. */
const NO_CORE = 0.2;
/** After overload the thread is first again when it wanted so much less, or so much more was idle, for so long. */
const CLEARLY = { much: 0.6, some: 0.2, core: 0.4 };
const AGAIN_AFTER_MS = 500;
const TURN_BY_TURN = 0;

export class ThreadPriority {
  /** Nice value while there is little to do. */
  readonly niceFirst: number;
  readonly setNice: (nice: number) => string;
  nice = TURN_BY_TURN;
  /** Why it could not be first. It is not tried again. */
  problem = "";
  lastOverloadMs = 0;

  /** niceFirst: -20 to 19; setNice returns what was refused, empty: nothing. */
  constructor(niceFirst: number, setNice: (nice: number) => string = setThreadAndSessionNice) {
    this.niceFirst = niceFirst;
    this.setNice = setNice;
  }
}

/** Takes in what the thread wanted of a core since the last look, and how many cores were idle meanwhile. */
export function adjust(p: ThreadPriority, share: number, idleCores: number, nowMs: number): void {
  const first = isFirst(p);
  if (first ? isOverload(share, idleCores) : !isClear(share, idleCores)) p.lastOverloadMs = nowMs;
  if (first && p.lastOverloadMs === nowMs) change(p, TURN_BY_TURN);
  else if (!first && nowMs - p.lastOverloadMs >= AGAIN_AFTER_MS && p.problem === "") change(p, p.niceFirst);
}

function isOverload(share: number, idleCores: number): boolean {
  return share >= MUCH || (share >= SOME && idleCores < NO_CORE);
}

function isClear(share: number, idleCores: number): boolean {
  return share < CLEARLY.much && (share < CLEARLY.some || idleCores >= CLEARLY.core);
}

/** Whether the thread is before others. */
export function isFirst(p: ThreadPriority): boolean {
  return p.nice < TURN_BY_TURN;
}

function change(p: ThreadPriority, nice: number): void {
  p.problem = p.setNice(nice);
  if (p.problem === "") p.nice = nice;
}

/** Gives the calling thread this nice value, and its session where the process leads it. */
export function setThreadAndSessionNice(nice: number): string {
  return (
    setThreadNice(nice) ||
    refused(() => {
      if (leadsSession()) writeFileSync("/proc/self/autogroup", String(nice));
    })
  );
}

/** Gives the calling thread this nice value, and nobody else. */
export function setThreadNice(nice: number): string {
  return refused(() => setPriority(0, nice)); // Linux: of the thread, not of the process
}

function refused(set: () => void): string {
  try {
    set();
    return "";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "" : message; // a kernel without autogroups
  }
}

/**
 * With autogroups, nice values count inside of a session only, and sessions have their own (man 7 sched). An agent that
 * was started by hand shares its session with a shell, whose turns are not ours to change.
 */
function leadsSession(): boolean {
  const stat = readFileSync("/proc/self/stat", "utf8");
  const session = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3];
  return Number(session) === process.pid;
}

/** The kernel's accounts of the processors, for the thread that opens them. */
export class ProcessorTime {
  readonly #schedstat: number;
  readonly #uptime: number;

  private constructor(schedstat: number, uptime: number) {
    this.#schedstat = schedstat;
    this.#uptime = uptime;
  }

  /** null: this kernel keeps no such accounts (CONFIG_SCHED_INFO), or hides them. */
  static open(): ProcessorTime | null {
    try {
      return new ProcessorTime(openSync("/proc/thread-self/schedstat", "r"), openSync("/proc/uptime", "r"));
    } catch {
      return null;
    }
  }

  /** How long the thread has run and waited to run, ms (Linux Documentation/scheduler/sched-stats.rst). */
  wantedMs(): number {
    const length = readText(this.#schedstat);
    return (word(0, length) + word(1, length)) / 1e6;
  }

  /** How long cores have been idle, all together, ms, in steps of 10 (man 5 proc_uptime). */
  idleMs(): number {
    return word(1, readText(this.#uptime)) * 1000;
  }
}

const text = new Uint8Array(128);

function readText(fd: number): number {
  return readSync(fd, text, 0, text.length, 0);
}

const DOT = 0x2e;
const ZERO = 0x30;

/** A word of `text` as a decimal number. By hand: strings would be garbage, ten times a second for ever. */
function word(index: number, length: number): number {
  let at = 0;
  for (let blanks = 0; at < length && blanks < index; at++) if (text[at] < DOT) blanks++;
  let value = 0;
  let scale = 0;
  for (; at < length && text[at] >= DOT; at++) {
    if (text[at] === DOT) scale = 1;
    else {
      value = value * 10 + text[at] - ZERO;
      scale *= 10;
    }
  }
  return scale === 0 ? value : value / scale;
}
