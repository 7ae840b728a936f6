/** Entries of an index come and go, and it grows (table/growing-index.ts). */
import type { GrowingIndex } from "../table/growing-index.ts";
import * as growingIndex from "../table/growing-index.ts";
import * as hashIndex from "../table/hash-index.ts";

/** Rows that go into the next region with each one that comes: it is whole before the one that is asked is 5/8 full. */
const STEP = 8;

/** What an index has to know of its table. */
export interface Rows<T> {
  /** Where the search for what a cell holds (its slot + 1) begins; to be masked. */
  readonly homeOf: (table: T, cell: number) => number;
  /** Is this slot in the index? */
  readonly holds: (table: T, slot: number) => boolean;
}

/** Before a row takes its slot. `end`: no row has this slot, or one above. */
export function makeRoom<T>(x: GrowingIndex, table: T, end: number, { homeOf, holds }: Rows<T>): void {
  if (x.hand < 0) {
    const isRoom = 2 * x.used < growingIndex.cellsOf(x).length;
    if (isRoom || x.level[0] + 1 === x.regions.length) return;
    x.hand = 0;
  }
  const next = x.regions[x.level[0] + 1];
  const until = Math.min(end, x.hand + STEP);
  for (; x.hand < until; x.hand++) {
    if (holds(table, x.hand)) put(next, x.hand, homeOf(table, x.hand + 1));
  }
  if (x.hand < end) return;
  x.level[0]++;
  x.hand = -1;
}

/** The row is written, and not yet in the index. */
export function add<T>(x: GrowingIndex, table: T, slot: number, { homeOf }: Rows<T>): void {
  const home = homeOf(table, slot + 1);
  put(growingIndex.cellsOf(x), slot, home);
  if (slot < x.hand) put(x.regions[x.level[0] + 1], slot, home);
  x.used++;
}

/** The row is in the index, and still what it was. */
export function remove<T>(x: GrowingIndex, table: T, slot: number, { homeOf }: Rows<T>): void {
  takeOut(growingIndex.cellsOf(x), table, slot, homeOf);
  if (slot < x.hand) takeOut(x.regions[x.level[0] + 1], table, slot, homeOf);
  x.used--;
}

function put(cells: Int32Array, slot: number, home: number): void {
  const mask = cells.length - 1;
  let i = home & mask;
  while (cells[i] !== 0) i = (i + 1) & mask;
  cells[i] = slot + 1;
}

function takeOut<T>(cells: Int32Array, table: T, slot: number, homeOf: Rows<T>["homeOf"]): void {
  const mask = cells.length - 1;
  let i = homeOf(table, slot + 1) & mask;
  while (cells[i] !== slot + 1) i = (i + 1) & mask;
  hashIndex.vacate(cells, i, mask, table, homeOf);
}
