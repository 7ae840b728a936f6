/**
 * How often each rule of policies decided: a row a verdict, so that what a rule denies and what it would only have denied
 * are two. Packets that were asked about: the first one of a connection, or each that was dropped. Rules beyond the
 * capacity are not counted. A row is half a cache line, written once a batch for all connections that are alike
 * (policy-answers.ts).
 */
import { ACTION_BITS } from "../../spec/policy.ts";

const ROW_SHIFT = 2;
const PACKETS = 0;
const OCTETS = 1;
const LAST_SEC = 2; // engine clock, of the last one; means nothing where there were none

export class PolicyHits {
  readonly rows: number;
  readonly words: Float64Array;

  constructor(rulesLog2: number, memory: ArrayBufferLike = new ArrayBuffer(PolicyHits.bytesFor(rulesLog2))) {
    this.rows = 1 << (rulesLog2 + ACTION_BITS);
    this.words = new Float64Array(memory, 0, this.rows << ROW_SHIFT);
  }

  static bytesFor(rulesLog2: number): number {
    return 8 << (rulesLog2 + ACTION_BITS + ROW_SHIFT);
  }
}

/** Nothing is counted where policies have nothing to say. */
export function count(t: PolicyHits, verdict: number, packets: number, octets: number, nowSec: number): void {
  if (verdict === 0 || verdict >= t.rows) return;
  const w = t.words;
  const at = verdict << ROW_SHIFT;
  w[at + PACKETS] += packets;
  w[at + OCTETS] += octets;
  w[at + LAST_SEC] = nowSec;
}

/** 0 of a verdict beyond the capacity. */
export function packetsOf(t: PolicyHits, verdict: number): number {
  return verdict < t.rows ? t.words[(verdict << ROW_SHIFT) + PACKETS] : 0;
}

export function octetsOf(t: PolicyHits, verdict: number): number {
  return verdict < t.rows ? t.words[(verdict << ROW_SHIFT) + OCTETS] : 0;
}

export function lastSecOf(t: PolicyHits, verdict: number): number {
  return verdict < t.rows ? t.words[(verdict << ROW_SHIFT) + LAST_SEC] : 0;
}

/** The id of a rule is another one's from now on. */
export function forgetRule(t: PolicyHits, id: number): void {
  const shift = ACTION_BITS + ROW_SHIFT;
  t.words.fill(0, id << shift, (id + 1) << shift);
}
