import * as fc from "fast-check";
import t from "tap";
import * as hashIndex from "./hash-index.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

function bitCount(x: number): number {
  let n = 0;
  for (let v = x >>> 0; v !== 0; v = (v & (v - 1)) >>> 0) n++;
  return n;
}

t.test("the hash is HalfSipHash-1-3 without its length block: values locked", async (t) => {
  // From a second implementation. A table in a memory-mapped file is only found again under the same hash.
  t.equal(hashIndex.mix5(1, 1, 2, 3, 4, 5), 1367095474);
  t.equal(hashIndex.mix2(-559038737, 0x0a58, -1), -1335230062);
  t.not(hashIndex.mix2(1, 1, 2), hashIndex.mix3(1, 1, 2, 0), "the number of words counts");
});

t.test("hashes are i32", async () => {
  fc.assert(
    fc.property(word, word, word, word, word, (a, b, c, d, e) => {
      for (const h of [
        hashIndex.mix2(a, b, c),
        hashIndex.mix3(a, b, c, d),
        hashIndex.mix4(a, b, c, d, e),
        hashIndex.mix5(a, b, c, d, e, a),
        hashIndex.mix10(a, b, c, d, e, a, b, c, d, e, a),
        hashIndex.mixTrusted(a, b, c, d),
      ]) {
        if (h !== (h | 0)) return false;
      }
      return true;
    }),
  );
});

t.test("flipping one bit of any key word or of the seed flips half of the hash", async (t) => {
  const trials = 200;
  for (let input = 0; input < 6; input++) {
    let flipped = 0;
    for (let n = 0; n < trials; n++) {
      const args: [number, number, number, number, number, number] = [
        n,
        n * 7,
        0x0a000001 + n,
        80,
        6,
        n ^ 99,
      ];
      const before = hashIndex.mix5(...args);
      args[input] ^= 1 << (n & 31);
      flipped += bitCount(before ^ hashIndex.mix5(...args));
    }
    const mean = flipped / trials;
    t.ok(mean > 15 && mean < 17, `input ${input}: ${mean} bits of 32`);
  }
});

t.test("sequential keys spread over the buckets like random ones", async (t) => {
  const buckets = new Int32Array(1024);
  for (let n = 0; n < 8192; n++) buckets[hashIndex.mix2(42, 0x0a58, 0x0af40000 + n) & 1023] += 1;
  t.ok(Math.max(...buckets) < 8 * 4, "no bucket holds four times its share");
});

t.test("an entry fills a hole exactly when a search from its home passes the hole", async () => {
  const slot = fc.integer({ min: 0, max: 15 });
  fc.assert(
    fc.property(slot, slot, slot, (hole, from, home) => {
      let passes = false;
      for (let at = home; at !== from; at = (at + 1) & 15) passes ||= at === hole;
      return hole === from || hashIndex.canFill(hole, from, home, 15) === passes;
    }),
  );
});

t.test("a chain holds what was inserted and not removed", async () => {
  const op = fc.record({ slot: fc.integer({ min: 0, max: 15 }), insert: fc.boolean() });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      const heads = new Int32Array(4);
      const nexts = new Int32Array(16);
      const model = new Set<number>();
      for (const { slot, insert } of ops) {
        if (insert && !model.has(slot)) {
          hashIndex.chainInsert(heads, nexts, slot & 3, slot);
          model.add(slot);
        } else if (!insert) {
          hashIndex.chainRemove(heads, nexts, slot & 3, slot);
          model.delete(slot);
        }
      }
      const found = new Set<number>();
      for (const head of heads) for (let at = head - 1; at >= 0; at = nexts[at] - 1) found.add(at);
      return found.size === model.size && [...found].every((slot) => model.has(slot));
    }),
  );
});

t.test("an index from which cells are vacated finds everything else, as a set does", async (t) => {
  const mask = 31;
  const homes = Int32Array.from({ length: 64 }, (_, cell) => Math.imul(cell, 0x9e3779b1) >>> 28); // many collide
  const homeOf = (table: Int32Array, cell: number): number => table[cell];
  const index = new Int32Array(mask + 1);
  const place = (cell: number): number => {
    let at = homes[cell] & mask;
    while (index[at] !== 0 && index[at] !== cell) at = (at + 1) & mask;
    return at;
  };
  const held = new Set<number>();
  let state = 7;
  for (let i = 0; i < 5000; i++) {
    state = hashIndex.nextRandom(state);
    const cell = 1 + ((state >>> 1) % 63);
    if (held.delete(cell)) hashIndex.vacate(index, place(cell), mask, homes, homeOf);
    else if (held.size < 16) {
      index[place(cell)] = cell;
      held.add(cell);
    }
    for (let each = 1; each < 64; each++) {
      if ((index[place(each)] === each) !== held.has(each)) t.fail(`cell ${each} after ${i} steps`);
    }
  }
  t.equal(index.filter((cell) => cell !== 0).length, held.size);
});
