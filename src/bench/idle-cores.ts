// Whether processors were idle at a given moment, from samples of /proc/stat (Linux Documentation/filesystems/proc.rst).
// Time that the hypervisor kept from a virtual machine (steal) is not idle: who wants a core then waits for it.

/** The machine's time so far, all processors together, ticks of 10 ms. */
export interface CpuTimes {
  /** ms since 1970. */
  at: number;
  idle: number;
  stolen: number;
  all: number;
}

/** A wake-up is late by what happened just before it, too. */
const BEFORE_MS = 1000;
const AFTER_MS = 500;
/** Shares of the processors' time: idle is who has more of the one and less of the other. */
const IDLE_SHARE = 0.1;
const STOLEN_SHARE = 0.01;

/** text: of /proc/stat. at: ms since 1970. */
export function readCpuTimes(text: string, at: number): CpuTimes {
  const line = /^cpu +(.*)$/m.exec(text)?.[1] ?? "";
  // user nice system idle iowait irq softirq steal; guest time is in user's already
  const ticks = line.split(" ").slice(0, 8).map(Number);
  const [, , , idle = 0, iowait = 0, , , stolen = 0] = ticks;
  return { at, idle: idle + iowait, stolen, all: ticks.reduce((sum, n) => sum + n, 0) };
}

/** Shares (0 to 1) of the time between two samples. */
export function sharesBetween(from: CpuTimes, to: CpuTimes): { idle: number; stolen: number } {
  const all = Math.max(1, to.all - from.all);
  return { idle: (to.idle - from.idle) / all, stolen: (to.stolen - from.stolen) / all };
}

/** samples: in the order of time. at: ms since 1970; a moment that they do not span is none of idle cores. */
export function hadIdleCores(samples: readonly CpuTimes[], at: number): boolean {
  const from = samples.findLast((s) => s.at <= at - BEFORE_MS);
  const to = samples.find((s) => s.at >= at + AFTER_MS);
  if (from === undefined || to === undefined) return false;
  const { idle, stolen } = sharesBetween(from, to);
  return idle >= IDLE_SHARE && stolen < STOLEN_SHARE;
}
