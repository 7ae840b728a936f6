/**
 * How often each rule of policies decided: a row a verdict, so that what a rule denies and what it would only have denied
 * are two. Packets that were asked about: the first one of a connection, or each that was dropped. Rules beyond the
 * capacity are not counted.
 */
import { ColumnCarver, columnBytes } from "../../../base/columns.ts";
import { ACTION_BITS } from "../../spec/policy.ts";

export class PolicyHits {
  readonly rows: number;
  readonly packets: Float64Array;
  readonly octets: Float64Array;
  readonly lastSec: Int32Array; // engine clock, of the last one; means nothing where there were none

  constructor(rulesLog2: number, memory: ArrayBufferLike = new ArrayBuffer(PolicyHits.bytesFor(rulesLog2))) {
    const carve = new ColumnCarver(memory);
    this.rows = 1 << (rulesLog2 + ACTION_BITS);
    this.packets = carve.float64(this.rows);
    this.octets = carve.float64(this.rows);
    this.lastSec = carve.int32(this.rows);
  }

  static bytesFor(rulesLog2: number): number {
    const rows = 1 << (rulesLog2 + ACTION_BITS);
    return 2 * columnBytes(rows, 8) + columnBytes(rows, 4);
  }
}

export function count(t: PolicyHits, verdict: number, octets: number, nowSec: number): void {
  if (verdict >= t.rows) return;
  t.packets[verdict]++;
  t.octets[verdict] += octets;
  t.lastSec[verdict] = nowSec;
}

/** The id of a rule is another one's from now on. */
export function forgetRule(t: PolicyHits, id: number): void {
  const from = id << ACTION_BITS;
  const to = (id + 1) << ACTION_BITS;
  t.packets.fill(0, from, to);
  t.octets.fill(0, from, to);
}
