// A set of CIDRs of both families: the cluster's pod ranges, the source ranges of a Service. Asked per
// packet or per new connection. The prefixes are merged into ranges, so that two or three comparisons
// answer for a cluster CIDR per family, and a few more for 300 source ranges. Immutable; a change makes a
// new set.
import { ColumnCarver } from "../../base/columns.ts";
import * as create from "./create-prefix-ranges.ts";
import * as prefixRanges from "./prefix-ranges.ts";

const INSIDE = 0;

export class PrefixSet {
  readonly ranges: prefixRanges.PrefixRanges;
  readonly isEmpty: boolean;

  constructor(
    prefixes: readonly prefixRanges.Prefix[],
    allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
  ) {
    const values = prefixes.map(() => INSIDE);
    const plan = create.createRangePlan(prefixes, values);
    const memory = allocate(prefixRanges.PrefixRanges.bytesFor(create.createCounts(plan)));
    this.ranges = create.createPrefixRanges(plan, new ColumnCarver(memory));
    this.isEmpty = prefixes.length === 0;
  }
}

/** True when the address (v4-mapped for IPv4) lies in one of the prefixes. */
export function contains(t: PrefixSet, w0: number, w1: number, w2: number, w3: number): boolean {
  return prefixRanges.lookup(t.ranges, w0, w1, w2, w3) !== prefixRanges.NONE;
}
