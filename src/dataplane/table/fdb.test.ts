import * as fc from "fast-check";
import t from "tap";
import * as fdb from "./fdb.ts";

const { KNOWN, LEARNED, MOVED, FULL, REFUSED } = fdb.Learned;
const HI = 0x0a58;

t.test("a learned address is found on its port until it expires", async (t) => {
  const table = new fdb.Fdb(4);
  t.equal(fdb.find(table, HI, 1, 0), -1);
  t.equal(fdb.learn(table, HI, 1, 7, 0), LEARNED);
  t.equal(table.port[fdb.find(table, HI, 1, 299)], 7);
  t.equal(fdb.find(table, HI, 1, 300), -1, "ignored from the second it expires, before its slot is freed");
  t.equal(fdb.used(table), 1);
  t.equal(fdb.ageSlice(table, 0, 16, 300), 1);
  t.equal(fdb.used(table), 0);
});

t.test("hearing an address again renews it, hearing it elsewhere moves it", async (t) => {
  const table = new fdb.Fdb(4);
  fdb.learn(table, HI, 1, 7, 0);
  t.equal(fdb.learn(table, HI, 1, 7, 200), KNOWN);
  t.not(fdb.find(table, HI, 1, 499), -1);
  t.equal(fdb.learn(table, HI, 1, 8, 201), MOVED);
  t.equal(table.port[fdb.find(table, HI, 1, 201)], 8);
  t.equal(table.counters[fdb.Counter.MOVED], 1);
  t.equal(fdb.learn(table, HI, 1, 9, 900), LEARNED, "after expiry it is a new address, not a move");
});

t.test("a static address neither ages nor moves", async (t) => {
  const table = new fdb.Fdb(4);
  fdb.learn(table, HI, 1, 3, 0);
  t.ok(fdb.addStatic(table, HI, 1, 7));
  t.equal(fdb.learn(table, HI, 1, 7, 10), KNOWN);
  t.equal(fdb.learn(table, HI, 1, 8, 10), REFUSED);
  t.equal(fdb.ageSlice(table, 0, 16, 2_000_000_000), 0);
  t.equal(table.port[fdb.find(table, HI, 1, 2_000_000_000)], 7);
});

t.test(
  "at most half of the slots are used; a full table refuses and counts, a static address makes room",
  async (t) => {
    const table = new fdb.Fdb(3);
    for (let i = 0; i < 4; i++) t.equal(fdb.learn(table, HI, i, 1, 0), LEARNED);
    t.equal(fdb.learn(table, HI, 99, 1, 0), FULL);
    t.equal(table.counters[fdb.Counter.FULL], 1);
    for (let i = 0; i < 4; i++) t.ok(fdb.addStatic(table, HI, 100 + i, 2));
    t.notOk(fdb.addStatic(table, HI, 200, 2), "nothing left to push out");
    for (let i = 0; i < 4; i++) t.not(fdb.find(table, HI, 100 + i, 0), -1);
  },
);

t.test("removing a port forgets its addresses and no others", async (t) => {
  const table = new fdb.Fdb(6);
  for (let i = 0; i < 30; i++) fdb.learn(table, HI, i, i % 3, 0);
  fdb.addStatic(table, HI, 1000, 1);
  t.equal(fdb.removePort(table, 1), 11);
  for (let i = 0; i < 30; i++) t.equal(fdb.find(table, HI, i, 0) >= 0, i % 3 !== 1);
});

t.test("a second opener of the same memory sees the same entries", async (t) => {
  const memory = new SharedArrayBuffer(fdb.Fdb.bytesFor(4));
  const writer = new fdb.Fdb(4, memory, 0x1234);
  fdb.learn(writer, HI, 5, 6, 10);
  const reader = new fdb.Fdb(4, memory);
  const slot = fdb.find(reader, HI, 5, 20);
  t.not(slot, -1, "with the writer's seed");
  t.same([reader.port[slot], reader.expiresAtSec[slot], fdb.isStatic(reader, slot)], [6, 310, false]);
  t.throws(() => new fdb.Fdb(3, memory), RangeError);
  t.throws(() => new fdb.Fdb(5, new ArrayBuffer(fdb.Fdb.bytesFor(4))), RangeError);
});

interface Entry {
  port: number;
  expiresAt: number;
}

/** What the table promises, written on a Map. */
class Model {
  readonly entries = new Map<number, Entry>();

  learn(lo: number, port: number, now: number): number {
    const entry = this.entries.get(lo);
    if (entry === undefined) {
      if (this.entries.size >= 8) return FULL;
      this.entries.set(lo, { port, expiresAt: now + fdb.AGE_SEC });
      return LEARNED;
    }
    if (entry.expiresAt === Infinity) return entry.port === port ? KNOWN : REFUSED;
    const verdict = entry.expiresAt <= now ? LEARNED : entry.port === port ? KNOWN : MOVED;
    this.entries.set(lo, { port, expiresAt: now + fdb.AGE_SEC });
    return verdict;
  }

  age(now: number): void {
    for (const [lo, entry] of this.entries) if (entry.expiresAt <= now) this.entries.delete(lo);
  }
}

t.test("the table does what a Map would do, over random operations", async () => {
  const lo = fc.integer({ min: -6, max: 6 });
  const port = fc.integer({ min: 0, max: 2 });
  const op = fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constant("learn" as const), lo, port }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("static" as const), lo, port }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("removePort" as const), lo, port }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("wait" as const), lo, port }) },
  );
  fc.assert(
    fc.property(fc.array(op, { maxLength: 80 }), fc.integer(), (ops, seed) => {
      const table = new fdb.Fdb(4, undefined, seed);
      const model = new Model();
      let now = 0;
      for (const step of ops) {
        if (step.op === "learn") {
          if (fdb.learn(table, HI, step.lo, step.port, now) !== model.learn(step.lo, step.port, now))
            return false;
        } else if (step.op === "static") {
          // Which learned entry makes room is not part of the promise.
          if (model.entries.size >= 8 && !model.entries.has(step.lo)) continue;
          fdb.addStatic(table, HI, step.lo, step.port);
          model.entries.set(step.lo, { port: step.port, expiresAt: Infinity });
        } else if (step.op === "removePort") {
          fdb.removePort(table, step.port);
          for (const [key, entry] of model.entries) if (entry.port === step.port) model.entries.delete(key);
        } else {
          now += 130;
          fdb.ageSlice(table, step.lo & 15, 16, now);
          model.age(now);
        }
        if (fdb.used(table) !== model.entries.size) return false;
        for (let key = -6; key <= 6; key++) {
          const slot = fdb.find(table, HI, key, now);
          if ((slot < 0 ? undefined : table.port[slot]) !== model.entries.get(key)?.port) return false;
        }
      }
      return true;
    }),
    { numRuns: 300 },
  );
});
