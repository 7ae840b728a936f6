// Prefixes flattened into disjoint ranges: where each range begins, and the value of the longest prefix that covers it.
// "Which prefix is this address in" becomes one binary search, for any mix of lengths and for both families, in 20
// bytes a range. Built once, never changed; n prefixes make at most 2n + 1 ranges.
//
// A trie with a fixed stride would need fewer steps but, over 128 bits, a kilobyte per prefix and level; a hash per
// prefix length needs a probe for each length in use, hit or miss. Neighbouring ranges share cache lines here, and a
// node's handful of prefixes is found in two or three comparisons.
import { type ColumnCarver, columnBytes } from "../../base/columns.ts";
import * as words128 from "./words128.ts";

export const NONE = -1; // value of a range that no prefix covers

/** `bits` counts from the top of the 128-bit form: an IPv4 /24 has 120. Bits of w0–w3 below it are ignored. */
export interface Prefix {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly bits: number;
}

export class PrefixRanges {
  readonly start0: Int32Array; // first address of the range, words biased; range 0 begins at ::
  readonly start1: Int32Array;
  readonly start2: Int32Array;
  readonly start3: Int32Array;
  readonly value: Int32Array; //  NONE or what the prefix stands for
  readonly count: number;

  constructor(carve: ColumnCarver, count: number) {
    this.start0 = carve.int32(count);
    this.start1 = carve.int32(count);
    this.start2 = carve.int32(count);
    this.start3 = carve.int32(count);
    this.value = carve.int32(count);
    this.count = count;
  }

  static bytesFor(count: number): number {
    return 5 * columnBytes(count, 4);
  }
}

/** The range that holds the address, searched from range `from` (which must not begin after it) up to before `to`. */
export function search(
  t: PrefixRanges,
  from: number,
  to: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const b0 = words128.biased(w0);
  const b1 = words128.biased(w1);
  const b2 = words128.biased(w2);
  const b3 = words128.biased(w3);
  let low = from;
  let high = to;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    let isAfter = t.start0[middle] > b0;
    if (t.start0[middle] === b0) {
      isAfter = t.start1[middle] > b1;
      if (t.start1[middle] === b1) {
        isAfter = t.start2[middle] > b2;
        if (t.start2[middle] === b2) isAfter = t.start3[middle] > b3;
      }
    }
    if (isAfter) high = middle;
    else low = middle;
  }
  return low;
}

/** Ranges as lists that still grow; `starts` holds four unbiased words each. */
export interface RangeList {
  readonly starts: Int32Array;
  readonly values: Int32Array;
  count: number;
}

/** Flattens prefixes: entry i has `values[i]`. Of equal prefixes the one earlier in the list wins. */
export function createRangeList(prefixes: readonly Prefix[], values: readonly number[]): RangeList {
  const order = createOrder(prefixes);
  const list: RangeList = {
    starts: new Int32Array(4 * (2 * prefixes.length + 2)),
    values: new Int32Array(2 * prefixes.length + 2),
    count: 0,
  };
  const at = new Int32Array(4);
  createRange(list, at, NONE);
  const open: { end: Int32Array; runsOver: boolean; value: number }[] = []; // prefixes around `at`, outermost first
  const closeBefore = (start: Int32Array | undefined): void => {
    while (open.length > 0) {
      const innermost = open[open.length - 1];
      if (start && (innermost.runsOver || words128.compareAt(innermost.end, 0, start, 0) > 0)) return;
      open.pop();
      if (!innermost.runsOver) createRange(list, innermost.end, open[open.length - 1]?.value ?? NONE);
    }
  };
  for (const index of order) {
    const prefix = prefixes[index];
    const start = createStart(prefix);
    closeBefore(start);
    const end = createLast(start, prefix.bits);
    const runsOver = words128.increment(end, 0);
    open.push({ end, runsOver, value: values[index] });
    createRange(list, start, values[index]);
  }
  closeBefore(undefined);
  return list;
}

/** Copies a finished list into columns. */
export function createRanges(list: RangeList, carve: ColumnCarver): PrefixRanges {
  const ranges = new PrefixRanges(carve, list.count);
  for (let i = 0; i < list.count; i++) {
    ranges.start0[i] = words128.biased(list.starts[4 * i]);
    ranges.start1[i] = words128.biased(list.starts[4 * i + 1]);
    ranges.start2[i] = words128.biased(list.starts[4 * i + 2]);
    ranges.start3[i] = words128.biased(list.starts[4 * i + 3]);
    ranges.value[i] = list.values[i];
  }
  return ranges;
}

/** Indices by first address, wider before narrower; of equal prefixes only the first. */
function createOrder(prefixes: readonly Prefix[]): number[] {
  const starts = new Int32Array(4 * prefixes.length);
  for (const [i, prefix] of prefixes.entries()) starts.set(createStart(prefix), 4 * i);
  const order = Array.from(prefixes.keys()).sort(
    (a, b) =>
      words128.compareAt(starts, 4 * a, starts, 4 * b) || prefixes[a].bits - prefixes[b].bits || a - b,
  );
  return order.filter((index, i) => {
    if (i === 0) return true;
    const before = order[i - 1];
    return (
      prefixes[before].bits !== prefixes[index].bits ||
      words128.compareAt(starts, 4 * before, starts, 4 * index) !== 0
    );
  });
}

function createStart(prefix: Prefix): Int32Array {
  const { w0, w1, w2, w3, bits } = prefix;
  return Int32Array.of(
    w0 & words128.maskWord(bits, 0),
    w1 & words128.maskWord(bits, 1),
    w2 & words128.maskWord(bits, 2),
    w3 & words128.maskWord(bits, 3),
  );
}

function createLast(start: Int32Array, bits: number): Int32Array {
  return start.map((word, i) => word | ~words128.maskWord(bits, i));
}

/** Appends a range, unless it goes on with the same value; one that begins where the last begins replaces it. */
function createRange(list: RangeList, start: Int32Array, value: number): void {
  if (list.count > 0 && words128.compareAt(list.starts, 4 * (list.count - 1), start, 0) === 0) list.count--;
  if (list.count > 0 && list.values[list.count - 1] === value) return;
  list.starts.set(start, 4 * list.count);
  list.values[list.count] = value;
  list.count++;
}
