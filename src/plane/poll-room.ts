/**
 * Whether the thread polls before it blocks. While another core is idle, it does: it is there when a packet comes. Where
 * none is, it polls on a core that somebody wants. It yields, so programs that packets are for have the core at once; but
 * one that computes keeps it for its whole turn, milliseconds, and nothing takes the core from it when a packet comes,
 * whereas a thread that sleeps is woken at once. What that comes to depends on who the kernel puts where: on two busy
 * cores polling answered from a twelfth to twice as many requests as blocking. So it tries, and stays with what carries
 * more.
 */

import { type Counters, PortCounter, portCounter } from "../dataplane/counters.ts";

const { RX_BYTES, RX_PACKETS } = PortCounter;
const PACKET_BYTES = 1500;
/** Idle cores, its own not counted while it polls, from which on it polls without asking; the same while it blocks. */
const IDLE_CORES = 0.3;
const IDLE_CORES_BLOCKED = 1;
/** What is carried in a period below which there is nothing to compare. */
const FEW = 50;
/** Periods of a trial; the first, in which the kernel has not moved anybody yet, is not counted. */
const TRIAL = 3;
/** How much more the other way has to carry: two periods of the same differ, too. */
const MORE = 1.05;
/** Until the next trial, ms: twice as long each time it was in vain. */
const FIRST_GAP_MS = 4000;
const LONGEST_GAP_MS = 32_000;
/** The same once the load has changed by so much: what was found need not hold any more. */
const SOON_MS = 300;
const CHANGED = 2;
/** Weight of the last period in what is known of the load. */
const LAST = 0.25;

export class PollRoom {
  isThere = false;
  /** What is carried in a period, as it is done now. */
  usual = 0;
  /** Periods of the trial of the other way that are left, and what it carried. */
  trial = 0;
  carried = 0;
  gapMs = FIRST_GAP_MS;
  nextTrialMs = Number.POSITIVE_INFINITY;
}

/** Takes in a period: idle cores, and what was received: packets, and packets' worth of bytes. */
export function look(r: PollRoom, idleCores: number, amount: number, nowMs: number): void {
  if (idleCores >= (r.isThere ? IDLE_CORES : IDLE_CORES_BLOCKED)) {
    r.isThere = true;
    r.trial = 0;
  } else if (r.trial > 0) goOn(r, amount, nowMs);
  else if (amount >= FEW) compare(r, amount, nowMs);
}

/**
 * What has come by ports `first`, `first + step` … below `end`: packets, and packets' worth of bytes. How many a stream's
 * superframes are depends on who waits how.
 */
export function carriedSoFar(c: Counters, first: number, step: number, end: number): number {
  let sum = 0;
  for (let id = first; id < end; id += step)
    sum += portCounter(c, id, RX_PACKETS) + portCounter(c, id, RX_BYTES) / PACKET_BYTES;
  return sum;
}

function compare(r: PollRoom, amount: number, nowMs: number): void {
  const hasChanged = amount > CHANGED * r.usual || amount * CHANGED < r.usual;
  if (hasChanged) {
    r.usual = amount;
    r.gapMs = FIRST_GAP_MS;
    r.nextTrialMs = Math.min(r.nextTrialMs, nowMs + SOON_MS);
  } else r.usual += (amount - r.usual) * LAST;
  if (nowMs < r.nextTrialMs) return;
  r.isThere = !r.isThere;
  r.trial = TRIAL;
  r.carried = 0;
}

function goOn(r: PollRoom, amount: number, nowMs: number): void {
  if (r.trial < TRIAL) r.carried += amount;
  r.trial--;
  if (r.trial > 0) return;
  const carried = r.carried / (TRIAL - 1);
  const isBetter = carried > r.usual * MORE;
  if (isBetter) r.usual = carried;
  else r.isThere = !r.isThere;
  r.gapMs = isBetter ? FIRST_GAP_MS : Math.min(2 * r.gapMs, LONGEST_GAP_MS);
  r.nextTrialMs = nowMs + r.gapMs;
}
