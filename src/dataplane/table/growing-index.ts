/**
 * Index by open addressing whose memory grows with what is in it. A table has room for half a million rows, and a hash
 * spreads the first thousand of them over all pages of an index that is as large: 4 MiB for nothing. So there is a region
 * for each power of two, and one of them is asked, which is about half full at most. Nobody waits for all rows to go
 * from one into the next: that is filled some rows with each one that comes, and asked when it has all of them.
 *
 * Here is what a packet asks; change/growing-index.ts fills it.
 */
import { type Columns, OWN_COLUMNS } from "../../base/columns.ts";

const LEAST = 1024; // cells: one page

export class GrowingIndex {
  /** Cells hold slot + 1; 0: empty. Each region has twice as many as the one before; memory is taken as they fill. */
  readonly regions: readonly Int32Array[];
  /** One word: which region is asked. */
  readonly level: Int32Array;
  /** Entries; this and `hand` are of whoever changes the table. */
  used = 0;
  /** Slots below it are in the next region, too; -1: none is being filled. */
  hand = -1;

  /** `rows`: of the table, a power of two. */
  constructor(rows: number, columns: Columns = OWN_COLUMNS) {
    const regions: Int32Array[] = [];
    for (let cells = Math.min(LEAST, 2 * rows); cells <= 2 * rows; cells *= 2)
      regions.push(columns.int32(cells));
    this.regions = regions;
    this.level = columns.int32(1);
  }
}

/** The region to look into. Its length is a power of two. */
export function cellsOf(x: GrowingIndex): Int32Array {
  return x.regions[x.level[0]];
}
