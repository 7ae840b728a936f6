// Prefixes flattened into disjoint ranges: where each range begins, and the value of the longest prefix
// that covers it. "Which prefix is this address in" becomes finding the last range that begins at or before
// the address, for any mix of lengths and for both families. Built once (change/prefix-ranges.ts), never
// changed; n prefixes make at most 2n + 1 ranges of 20 bytes.
//
// Up to four ranges are searched by halving. More get an index: a node looks at the bits in which its
// ranges begin to differ, as many as it takes to tell them apart, and leads to few ranges or to another
// node. The bits before need no check: an address between the first and the last range start shares them. A
// thousand /64s of one cluster: 12 ns, where halving alone takes 86 (each step is a coin toss for the
// branch predictor). A trie with fixed strides would take a kilobyte per prefix and level over 128 bits, a
// hash per prefix length one probe for each length in use.
import { type ColumnCarver, columnBytes } from "../../base/columns.ts";
import * as words128 from "./words128.ts";

export const NONE = -1; // what is found where no prefix covers the address
export const NODE_WORDS = 5; // first range, end of ranges, first bit looked at, number of bits, first cell
export const CELL_WORDS = 3; // first range, end of ranges, node that tells them apart (0: few, halve)

/** Sizes of the parts, as the builder has counted them. */
export interface RangeCounts {
  readonly ranges: number;
  readonly nodes: number;
  readonly cells: number;
}

/** Zeroed memory of this size holds one range, which no prefix covers. */
export const NO_PREFIXES: RangeCounts = { ranges: 1, nodes: 0, cells: 0 };

export class PrefixRanges {
  readonly start0: Int32Array; // first address of the range, words biased; range 0 begins at ::
  readonly start1: Int32Array;
  readonly start2: Int32Array;
  readonly start3: Int32Array;
  readonly value: Int32Array; //  what the prefix stands for, plus one; 0: no prefix
  readonly nodes: Int32Array; //  NODE_WORDS each; node 0 covers everything
  readonly cells: Int32Array; //  CELL_WORDS each
  readonly count: number;

  constructor(carve: ColumnCarver, counts: RangeCounts) {
    this.start0 = carve.int32(counts.ranges);
    this.start1 = carve.int32(counts.ranges);
    this.start2 = carve.int32(counts.ranges);
    this.start3 = carve.int32(counts.ranges);
    this.value = carve.int32(counts.ranges);
    this.nodes = carve.int32(counts.nodes * NODE_WORDS);
    this.cells = carve.int32(counts.cells * CELL_WORDS);
    this.count = counts.ranges;
  }

  static bytesFor(counts: RangeCounts): number {
    const index = columnBytes(counts.nodes * NODE_WORDS, 4) + columnBytes(counts.cells * CELL_WORDS, 4);
    return 5 * columnBytes(counts.ranges, 4) + index;
  }
}

/** Value of the longest prefix that covers the address, or NONE. */
export function lookup(t: PrefixRanges, w0: number, w1: number, w2: number, w3: number): number {
  const b0 = words128.biased(w0);
  const b1 = words128.biased(w1);
  const b2 = words128.biased(w2);
  const b3 = words128.biased(w3);
  let from = 0;
  let to = t.count;
  let node = t.nodes.length === 0 ? -1 : 0;
  while (node >= 0) {
    if (beginsAfter(t, from + 1, b0, b1, b2, b3)) return t.value[from] - 1;
    if (!beginsAfter(t, to - 1, b0, b1, b2, b3)) return t.value[to - 1] - 1;
    const bit = t.nodes[node + 2];
    const word = bit < 32 ? w0 : bit < 64 ? w1 : bit < 96 ? w2 : w3;
    // The bits in question lie inside one word: shift the others out at both ends.
    const pick = (word << (bit & 31)) >>> (32 - t.nodes[node + 3]);
    const cell = t.nodes[node + 4] + pick * CELL_WORDS;
    from = t.cells[cell];
    to = t.cells[cell + 1];
    node = t.cells[cell + 2] === 0 ? -1 : t.cells[cell + 2];
  }
  while (to - from > 1) {
    const middle = (from + to) >>> 1;
    if (beginsAfter(t, middle, b0, b1, b2, b3)) to = middle;
    else from = middle;
  }
  return t.value[from] - 1;
}

function beginsAfter(
  t: PrefixRanges,
  range: number,
  b0: number,
  b1: number,
  b2: number,
  b3: number,
): boolean {
  if (t.start0[range] !== b0) return t.start0[range] > b0;
  if (t.start1[range] !== b1) return t.start1[range] > b1;
  if (t.start2[range] !== b2) return t.start2[range] > b2;
  return t.start3[range] > b3;
}
