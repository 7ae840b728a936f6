// What the whole machine worked between two moments, and for whom. A subject's processor time is that of all that carries
// its packets: sender, agent, receiver, softirqs and kernel threads. Nobody keeps an account of these together, so it is
// counted from the other side: what the processors did (/proc/stat) less what programs did that have nothing to do with
// the benchmark. Its own are told by a mark in their environment, which whatever they start inherits, and by its id: the
// mark came too late into its own environment, and what it waited for counts as its own.
// Time that a hypervisor kept from the machine (steal) is nobody's work, and stands apart.
import { readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { readCpuTimes } from "../idle-cores.ts";

const MARK = "PODWIRE_BENCH";
const TICK_US = 10_000; // USER_HZ
/** man 5 proc_pid_stat, counted from the third field on. */
const Field = { PPID: 1, UTIME: 11, STIME: 12, CSTIME: 14, STARTTIME: 19 } as const;
const KTHREADD = 2;
/** Whatever lost its parent counts here when it ends: of the benchmark's, receivers that were killed. */
const INIT = 1;

export interface CpuReading {
  /** Ticks of 10 ms, all processors together. */
  all: number;
  idle: number;
  stolen: number;
  /** Of programs that are not the benchmark's. */
  others: number;
}

export interface CpuShare {
  /** µs of processor time that the subject took, senders, receivers and kernel included. */
  cpuUs: number;
  /** Cores that other programs took, on average. */
  othersCores: number;
  stealPercent: number;
  /** Load average of the last minute. */
  load: number;
}

/** Whatever is started from now on carries the mark. */
export function markChildren(): void {
  process.env[MARK] = String(process.pid);
}

/**
 * Senders and receivers get the nice value that pods have, whatever the shell's is: beside agents, which choose theirs,
 * one with 19 has a 68th of the turns, and what it cannot read in time would be the data plane's loss. Returns what to
 * tell about it, empty: nothing.
 */
export function takeUsualNice(get: () => number = getPriority, set = (n: number) => setPriority(n)): string {
  const nice = get();
  if (nice === 0) return "";
  try {
    set(0);
  } catch (error) {
    return `senders and receivers have nice ${nice}, pods have 0: ${(error as Error).message}`;
  }
  return `this shell has nice ${nice}: measured with 0, as pods have it`;
}

/** Who is whose does not change while a process lives: by id and start time. */
const isOurs = new Map<string, boolean>();

/** proc: where the kernel's accounts are. */
export function readCpu(proc = "/proc"): CpuReading {
  const { all, idle, stolen } = readCpuTimes(readFileSync(`${proc}/stat`, "latin1"), 0);
  let others = 0;
  for (const entry of readdirSync(proc)) {
    if (entry[0] < "1" || entry[0] > "9") continue;
    try {
      others += ticksOfOther(`${proc}/${entry}`);
    } catch {
      // gone meanwhile: what it did is its parent's by now
    }
  }
  return { all, idle, stolen, others };
}

/** Children that a process has waited for count as its own: they would be lost otherwise. */
function ticksOfOther(folder: string): number {
  const fields = statFields(readFileSync(`${folder}/stat`, "latin1"));
  // Kernel threads work for the subject.
  if (folder.endsWith(`/${KTHREADD}`) || fields[Field.PPID] === KTHREADD) return 0;
  if (folder.endsWith(`/${process.pid}`)) return 0;
  const key = `${folder}/${fields[Field.STARTTIME]}`;
  let ours = isOurs.get(key);
  if (ours === undefined) {
    ours = readFileSync(`${folder}/environ`, "latin1").includes(`${MARK}=${process.pid}\0`);
    isOurs.set(key, ours);
  }
  if (ours) return 0;
  const last = folder.endsWith(`/${INIT}`) ? Field.STIME : Field.CSTIME;
  return fields.slice(Field.UTIME, last + 1).reduce((sum, ticks) => sum + ticks, 0);
}

/** Fields from the third (state) on, which is no number: the second is a name and may hold anything. */
function statFields(stat: string): number[] {
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
}

export function shareBetween(from: CpuReading, to: CpuReading, cores: number, load: number): CpuShare {
  const all = to.all - from.all;
  const stolen = to.stolen - from.stolen;
  const busy = all - (to.idle - from.idle) - stolen;
  const others = Math.max(0, Math.min(busy, to.others - from.others));
  return {
    cpuUs: (busy - others) * TICK_US,
    othersCores: (others / Math.max(1, all)) * cores,
    stealPercent: (100 * stolen) / Math.max(1, all),
    load,
  };
}
