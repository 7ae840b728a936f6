// Makes the ranges of table/prefix-ranges.ts and their index, in plain lists and recursion.
import type { Prefix } from "../spec/prefix.ts";
import * as prefixRanges from "../table/prefix-ranges.ts";
import * as words128 from "../table/words128.ts";

const RANGES_WITHOUT_NODE = 4; // so few are halved faster than looked up
const STRIDE_MAX = 16;

/** Ranges and index as lists. */
export interface RangePlan {
  readonly starts: Int32Array; // four unbiased words each
  readonly values: number[];
  readonly nodes: number[];
  readonly cells: number[];
}

export function countsOf(plan: RangePlan): prefixRanges.RangeCounts {
  const { values, nodes, cells } = plan;
  return {
    ranges: values.length,
    nodes: nodes.length / prefixRanges.NODE_WORDS,
    cells: cells.length / prefixRanges.CELL_WORDS,
  };
}

/** Flattens prefixes: prefix i stands for `values[i]`. Of equal prefixes the one earlier in the list wins. */
export function planRanges(prefixes: readonly Prefix[], values: readonly number[]): RangePlan {
  const plan: RangePlan = {
    starts: new Int32Array(4 * (2 * prefixes.length + 2)),
    values: [],
    nodes: [],
    cells: [],
  };
  addRange(plan, new Int32Array(4), prefixRanges.NONE);
  // Prefixes around the sweep, outermost first.
  const open: { end: Int32Array; runsOver: boolean; value: number }[] = [];
  const closeBefore = (start: Int32Array | undefined): void => {
    while (open.length > 0) {
      const innermost = open[open.length - 1];
      if (start && (innermost.runsOver || words128.compareAt(innermost.end, 0, start, 0) > 0)) return;
      open.pop();
      const around = open[open.length - 1]?.value ?? prefixRanges.NONE;
      if (!innermost.runsOver) addRange(plan, innermost.end, around);
    }
  };
  for (const index of orderOf(prefixes)) {
    const prefix = prefixes[index];
    const start = startOf(prefix);
    closeBefore(start);
    const end = start.map((word, i) => word | ~words128.maskWord(prefix.bits, i));
    const runsOver = words128.increment(end, 0);
    open.push({ end, runsOver, value: values[index] });
    addRange(plan, start, values[index]);
  }
  closeBefore(undefined);
  if (plan.values.length > RANGES_WITHOUT_NODE) addNode(plan, 0, plan.values.length);
  return plan;
}

/** Copies a finished plan into columns that have room for it. */
export function fillRanges(ranges: prefixRanges.PrefixRanges, plan: RangePlan): void {
  for (const [i, value] of plan.values.entries()) {
    ranges.start0[i] = words128.biased(plan.starts[4 * i]);
    ranges.start1[i] = words128.biased(plan.starts[4 * i + 1]);
    ranges.start2[i] = words128.biased(plan.starts[4 * i + 2]);
    ranges.start3[i] = words128.biased(plan.starts[4 * i + 3]);
    ranges.value[i] = value + 1;
  }
  ranges.nodes.set(plan.nodes);
  ranges.cells.set(plan.cells);
}

/** Indices by first address, wider before narrower; of equal prefixes only the first. */
function orderOf(prefixes: readonly Prefix[]): number[] {
  const starts = new Int32Array(4 * prefixes.length);
  for (const [i, prefix] of prefixes.entries()) starts.set(startOf(prefix), 4 * i);
  const order = Array.from(prefixes.keys()).sort(
    (a, b) =>
      words128.compareAt(starts, 4 * a, starts, 4 * b) || prefixes[a].bits - prefixes[b].bits || a - b,
  );
  return order.filter((index, i) => {
    if (i === 0) return true;
    const before = order[i - 1];
    const isSameStart = words128.compareAt(starts, 4 * before, starts, 4 * index) === 0;
    return !isSameStart || prefixes[before].bits !== prefixes[index].bits;
  });
}

function startOf({ w0, w1, w2, w3, bits }: Prefix): Int32Array {
  return Int32Array.of(w0, w1, w2, w3).map((word, i) => word & words128.maskWord(bits, i));
}

/**
 * Appends a range, unless it goes on with the same value; one that begins where the last begins replaces
 * it.
 */
function addRange(plan: RangePlan, start: Int32Array, value: number): void {
  const { starts, values } = plan;
  if (values.length > 0 && words128.compareAt(starts, 4 * (values.length - 1), start, 0) === 0) values.pop();
  if (values.length > 0 && values[values.length - 1] === value) return;
  starts.set(start, 4 * values.length);
  values.push(value);
}

/** A node that tells ranges `from`…`to` apart. Returns its place. */
function addNode(plan: RangePlan, from: number, to: number): number {
  const { nodes, cells, starts } = plan;
  const place = nodes.length;
  // Below the second start and from the last one on the answer is known; in between all addresses share
  // these bits.
  const shared = sharedBits(starts, 4 * (from + 1), 4 * (to - 1));
  const stride = Math.min(Math.ceil(Math.log2(to - from)), STRIDE_MAX);
  const bit = (shared & ~31) + Math.min(shared & 31, 32 - stride); // never across two words
  const firstCell = cells.length;
  nodes.push(from, to, bit, stride, firstCell);
  for (let i = 0; i < prefixRanges.CELL_WORDS << stride; i++) cells.push(0);
  const cellStart = cellStartOf(starts, 4 * (from + 1), bit);
  const word = bit >>> 5;
  const step = 1 << (32 - (bit & 31) - stride);
  const range = { last: from };
  const advance = (): void => {
    while (range.last + 1 < to && words128.compareAt(starts, 4 * (range.last + 1), cellStart, 0) <= 0)
      range.last++;
  };
  advance();
  for (let pick = 0; pick < 1 << stride; pick++) {
    const first = range.last;
    let end = to;
    if (pick + 1 < 1 << stride) {
      cellStart[word] += step;
      advance();
      // A range that begins exactly with the next cell is not in this one.
      end = words128.compareAt(starts, 4 * range.last, cellStart, 0) === 0 ? range.last : range.last + 1;
    }
    const cell = firstCell + pick * prefixRanges.CELL_WORDS;
    cells[cell] = first;
    cells[cell + 1] = end;
    if (end - first > RANGES_WITHOUT_NODE) cells[cell + 2] = addNode(plan, first, end);
  }
  return place;
}

/** How many leading bits two starts have in common. */
function sharedBits(starts: Int32Array, a: number, b: number): number {
  for (let i = 0; i < 4; i++) {
    const difference = starts[a + i] ^ starts[b + i];
    if (difference !== 0) return 32 * i + Math.clz32(difference);
  }
  return 128;
}

/** The address at `at` with every bit from `bit` on cleared. */
function cellStartOf(starts: Int32Array, at: number, bit: number): Int32Array {
  return starts.slice(at, at + 4).map((word, i) => word & words128.maskWord(bit, i));
}
