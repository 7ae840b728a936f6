// The index is what a Map says, whatever came and went while it grew.
import fc from "fast-check";
import t from "tap";
import { SharedColumns } from "../../base/columns.ts";
import { add, makeRoom, type Rows, remove } from "../change/growing-index.ts";
import { cellsOf, GrowingIndex } from "./growing-index.ts";
import * as hashIndex from "./hash-index.ts";

const ROWS = 1 << 13;

/** A table of keys, with rows that are given out again. */
class Keys {
  readonly key = new Int32Array(ROWS); // 0: free
  readonly index: GrowingIndex;
  readonly free: number[] = [];
  next = 0;
  constructor(index = new GrowingIndex(ROWS)) {
    this.index = index;
  }
}
const homeOfKey = (key: number): number => hashIndex.mixTrusted(key & ~3, 0, 0, 0); // four to a home: they collide
const ROWS_OF_KEYS: Rows<Keys> = {
  homeOf: (table, cell) => homeOfKey(table.key[cell - 1]),
  holds: (table, slot) => table.key[slot] !== 0,
};

function put(table: Keys, key: number): void {
  makeRoom(table.index, table, table.next, ROWS_OF_KEYS);
  const slot = table.free.pop() ?? table.next++;
  table.key[slot] = key;
  add(table.index, table, slot, ROWS_OF_KEYS);
}

function take(table: Keys, slot: number): void {
  remove(table.index, table, slot, ROWS_OF_KEYS);
  table.key[slot] = 0;
  table.free.push(slot);
}

function find(table: Keys, key: number): number {
  const cells = cellsOf(table.index);
  const mask = cells.length - 1;
  for (let i = homeOfKey(key) & mask; cells[i] !== 0; i = (i + 1) & mask)
    if (table.key[cells[i] - 1] === key) return cells[i] - 1;
  return -1;
}

t.test("what is there is found, and nothing else, at any size and while it grows", async () => {
  const step = fc.record({
    count: fc.integer({ min: 1, max: 900 }),
    takes: fc.integer({ min: 0, max: 100 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 1 << 30 }), (steps, seed) => {
      const table = new Keys();
      const there = new Set<number>();
      let random = seed;
      for (const { count, takes } of steps) {
        for (let i = 0; i < count && there.size < ROWS; i++) {
          random = hashIndex.nextRandom(random);
          const key = (random & 0xffff) | 1;
          const slot = find(table, key);
          if (slot >= 0 !== there.has(key)) return false;
          const isLess = ((random >>> 16) & 127) < takes;
          if (slot >= 0 && isLess) {
            there.delete(key);
            take(table, slot);
          } else if (slot < 0) {
            there.add(key);
            put(table, key);
          }
        }
      }
      for (let key = 1; key <= 0xffff; key += 2) if (find(table, key) >= 0 !== there.has(key)) return false;
      return table.index.used === there.size;
    }),
    { numRuns: 60 },
  );
});

t.test("it takes memory for what is in it, is never more than 5/8 full, and holds all rows", async (t) => {
  const table = new Keys();
  const sizes: number[] = [];
  for (let key = 1; key <= ROWS; key++) {
    put(table, key);
    const { length } = cellsOf(table.index);
    if (length !== sizes.at(-1)) sizes.push(length);
    if (table.index.used > (5 / 8) * length) t.fail(`${table.index.used} in ${length}`);
  }
  t.same(sizes, [1024, 2048, 4096, 8192, 16384]);
  for (let key = 1; key <= ROWS; key++) if (find(table, key) < 0) t.fail(`${key} is lost`);
});

t.test("who opens the memory a second time looks where the first one does", async (t) => {
  const columns = new SharedColumns();
  const first = new Keys(new GrowingIndex(ROWS, columns));
  const second = new Keys(new GrowingIndex(ROWS, new SharedColumns(columns.buffers)));
  for (let key = 1; key <= 2000; key++) put(first, key);
  second.key.set(first.key);
  t.equal(cellsOf(second.index).length, 4096);
  for (let key = 1; key <= 2000; key++) if (find(second, key) !== key - 1) t.fail(`${key} is not found`);
});
