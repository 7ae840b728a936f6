// How many ICMP errors we send: Linux's icmp_msgs_per_sec (1000 a second, bursts of 50) for all together,
// and icmp_ratelimit (one a second, bursts of 6) for each destination (net/ipv4/icmp.c,
// inet_peer_xrlim_allow). Without it whoever sends to a closed port makes us his amplifier against the
// address he forges. Echo replies and "fragmentation needed" are not limited: the caller does not ask.
//
// A bucket holds what its owner has used up, in milliseconds of waiting: zeroed memory means everybody may
// send. The destination is hashed to a bucket and its address not kept, so there is nothing to collect and
// no "full"; two destinations that meet in one bucket share its rate. The seed keeps a peer from arranging
// such a meeting.
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../base/columns.ts";
import * as hashIndex from "./hash-index.ts";

const LAYOUT = 0x544b4201; // "TKB", version 1
const GLOBAL_COST_MS = 1; //        1000 a second
const GLOBAL_LIMIT_MS = 50; //      burst
const DESTINATION_COST_MS = 1000; // one a second
const DESTINATION_LIMIT_MS = 6000; // burst: XRLIM_BURST_FACTOR

/** Places in `counters`. */
export const Counter = Object.freeze({ ALLOWED: 0, GLOBAL_LIMITED: 1, DESTINATION_LIMITED: 2 } as const);

const { SEED, OWN } = Header;
const H_GLOBAL_DEBT = OWN;
const H_GLOBAL_AT = OWN + 1;

export class TokenBucket {
  readonly header: Int32Array;
  readonly counters: Float64Array; // Counter
  readonly debtMs: Int32Array; //     by bucket: what was used up when it was last asked
  readonly askedAtMs: Int32Array; //  engine clock, wraps
  readonly mask: number;
  readonly seed: number;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(TokenBucket.bytesFor(capacityLog2)),
    seed = 0,
  ) {
    const buckets = 1 << capacityLog2;
    const carve = new ColumnCarver(memory);
    this.header = carve.header();
    this.counters = carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, seed);
    this.debtMs = carve.int32(buckets);
    this.askedAtMs = carve.int32(buckets);
    this.mask = buckets - 1;
    this.seed = this.header[SEED];
  }

  static bytesFor(capacityLog2: number): number {
    return HEADER_BYTES + (1 << capacityLog2) * 8;
  }
}

/** May an error be sent to this address now? Takes a token when it may. */
export function allow(
  t: TokenBucket,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  nowMs: number,
): boolean {
  const globalDebtMs = drained(t.header[H_GLOBAL_DEBT], t.header[H_GLOBAL_AT], nowMs);
  if (globalDebtMs + GLOBAL_COST_MS > GLOBAL_LIMIT_MS) {
    t.counters[Counter.GLOBAL_LIMITED] += 1;
    return false;
  }
  const bucket = hashIndex.mix4(t.seed, w0, w1, w2, w3) & t.mask;
  const debtMs = drained(t.debtMs[bucket], t.askedAtMs[bucket], nowMs);
  t.askedAtMs[bucket] = nowMs;
  if (debtMs + DESTINATION_COST_MS > DESTINATION_LIMIT_MS) {
    t.debtMs[bucket] = debtMs;
    t.counters[Counter.DESTINATION_LIMITED] += 1;
    return false;
  }
  t.debtMs[bucket] = debtMs + DESTINATION_COST_MS;
  t.header[H_GLOBAL_DEBT] = globalDebtMs + GLOBAL_COST_MS;
  t.header[H_GLOBAL_AT] = nowMs;
  t.counters[Counter.ALLOWED] += 1;
  return true;
}

/**
 * What is left of a debt at `nowMs`. A clock that seems to run backwards (it wrapped since) pays nothing
 * back.
 */
function drained(debtMs: number, atMs: number, nowMs: number): number {
  const elapsedMs = (nowMs - atMs) | 0;
  if (elapsedMs <= 0) return debtMs;
  return elapsedMs >= debtMs ? 0 : debtMs - elapsedMs;
}
