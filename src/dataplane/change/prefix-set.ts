/** Makes a set of CIDRs. */
import { ColumnCarver } from "../../base/columns.ts";
import type { Prefix } from "../spec/prefix.ts";
import * as prefixRanges from "../table/prefix-ranges.ts";
import { PrefixSet } from "../table/prefix-set.ts";
import { countsOf, fillRanges, planRanges } from "./prefix-ranges.ts";

const INSIDE = 0;

export function createPrefixSet(
  prefixes: readonly Prefix[],
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): PrefixSet {
  const plan = planRanges(
    prefixes,
    prefixes.map(() => INSIDE),
  );
  const counts = countsOf(plan);
  const carve = new ColumnCarver(allocate(prefixRanges.PrefixRanges.bytesFor(counts)));
  const ranges = new prefixRanges.PrefixRanges(carve, counts);
  fillRanges(ranges, plan);
  return new PrefixSet(ranges);
}
