// A set of CIDRs of both families: the cluster's pod ranges, the source ranges of a Service. Asked per
// packet or per new connection. The prefixes are merged into ranges, so that two or three comparisons
// answer for a cluster CIDR per family, and a few more for 300 source ranges. Immutable; a change makes a
// new set (change/prefix-set.ts).
import { ColumnCarver } from "../../base/columns.ts";
import * as prefixRanges from "./prefix-ranges.ts";

export class PrefixSet {
  readonly ranges: prefixRanges.PrefixRanges;
  readonly isEmpty: boolean;

  /** Without ranges: of nothing. */
  constructor(ranges?: prefixRanges.PrefixRanges) {
    const size = prefixRanges.PrefixRanges.bytesFor(prefixRanges.NO_PREFIXES);
    const carve = new ColumnCarver(new ArrayBuffer(size));
    this.ranges = ranges ?? new prefixRanges.PrefixRanges(carve, prefixRanges.NO_PREFIXES);
    this.isEmpty = this.ranges.count === 1 && this.ranges.value[0] === 0;
  }
}

/** True when the address (v4-mapped for IPv4) lies in one of the prefixes. */
export function contains(t: PrefixSet, w0: number, w1: number, w2: number, w3: number): boolean {
  return prefixRanges.lookup(t.ranges, w0, w1, w2, w3) !== prefixRanges.NONE;
}
