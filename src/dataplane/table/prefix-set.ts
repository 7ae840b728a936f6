// A set of CIDRs of both families: the cluster's pod ranges, the source ranges of a Service. Asked per packet or per new
// connection, so `contains` is a binary search over merged ranges: nothing to compare for an empty set, two or three
// comparisons for a cluster CIDR per family, nine for 300 source ranges. Immutable; a change makes a new set.
import { ColumnCarver } from "../../base/columns.ts";
import * as prefixRanges from "./prefix-ranges.ts";

const INSIDE = 0;

export class PrefixSet {
  readonly ranges: prefixRanges.PrefixRanges;
  readonly isEmpty: boolean;

  constructor(prefixes: readonly prefixRanges.Prefix[], memory?: ArrayBufferLike) {
    const values = prefixes.map(() => INSIDE);
    const list = prefixRanges.createRangeList(prefixes, values);
    const room = memory ?? new ArrayBuffer(prefixRanges.PrefixRanges.bytesFor(list.count));
    this.ranges = prefixRanges.createRanges(list, new ColumnCarver(room));
    this.isEmpty = prefixes.length === 0;
  }

  /** Enough for any `count` prefixes. */
  static bytesFor(count: number): number {
    return prefixRanges.PrefixRanges.bytesFor(2 * count + 1);
  }
}

/** True when the address (v4-mapped for IPv4) lies in one of the prefixes. */
export function contains(t: PrefixSet, w0: number, w1: number, w2: number, w3: number): boolean {
  const range = prefixRanges.search(t.ranges, 0, t.ranges.count, w0, w1, w2, w3);
  return t.ranges.value[range] !== prefixRanges.NONE;
}
