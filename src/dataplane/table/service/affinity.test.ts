import * as fc from "fast-check";
import t from "tap";
import * as affinity from "./affinity.ts";

const { Counter } = affinity;
const client = (n: number): Int32Array => Int32Array.of(0, 0, 0xffff, n, 0, 0, 0xffff, 99, 0, 0);
const V6 = Int32Array.of(0x20010db8, 0, 0, 1, 0, 0, 0, 0, 0, 0);

/** The id of the remembered endpoint, or "" when there is no live record. */
function read(table: affinity.Affinity, service: number, key: Int32Array, nowMs: number): string {
  const slot = affinity.find(table, service, key, nowMs);
  return slot < 0 ? "" : `${table.endpoint[slot]}`;
}

t.test("a record counts up to its last millisecond, from the last new connection on", async (t) => {
  const table = new affinity.Affinity(4);
  affinity.remember(table, 7, client(1), 30, 100, 10);
  t.equal(read(table, 7, client(1), 10), "30");
  t.equal(read(table, 7, client(1), 110), "30");
  t.equal(read(table, 7, client(1), 111), "");
  affinity.remember(table, 7, client(1), 31, 100, 60);
  t.equal(read(table, 7, client(1), 160), "31", "a new connection starts the time again");
  t.equal(affinity.used(table), 1);
});

t.test("the clock may wrap while records count", async (t) => {
  const table = new affinity.Affinity(4);
  const late = 0x7fff_ffff - 50;
  affinity.remember(table, 7, client(1), 30, 100, late);
  affinity.remember(table, 7, client(2), 31, -late, late); // would end at 0, which marks a free slot
  t.equal(read(table, 7, client(1), (late + 100) | 0), "30");
  t.equal(read(table, 7, client(1), (late + 101) | 0), "");
  t.equal(affinity.used(table), 2);
  t.equal(read(table, 7, client(2), 0), "31");
});

t.test("service ports, clients and families do not share records", async (t) => {
  const table = new affinity.Affinity(4);
  affinity.remember(table, 7, client(1), 30, 100, 1);
  t.equal(read(table, 8, client(1), 1), "");
  t.equal(read(table, 7, client(2), 1), "");
  t.equal(read(table, 7, V6, 1), "");
  affinity.remember(table, 7, V6, 40, 100, 1);
  t.equal(read(table, 7, V6, 1), "40");
  t.equal(read(table, 7, client(1), 1), "30");
});

t.test("a full table gives up the record that ends first of those it looks at", async (t) => {
  const table = new affinity.Affinity(3); // four records
  for (let n = 0; n < 4; n++) affinity.remember(table, 1, client(n), n, n === 2 ? 5 : 100, 1);
  affinity.remember(table, 1, client(9), 9, 100, 1);
  t.equal(affinity.used(table), 4);
  t.equal(table.counters[Counter.EVICTED], 1);
  t.equal(read(table, 1, client(2), 1), "");
  t.equal(read(table, 1, client(9), 1), "9");
});

t.test("ageing frees the slots of dead records only", async (t) => {
  const table = new affinity.Affinity(6);
  for (let n = 0; n < 20; n++) affinity.remember(table, 1, client(n), n, n < 12 ? 10 : 100, 1);
  t.equal(affinity.ageSlice(table, 64, 11), 0);
  t.equal(affinity.ageSlice(table, 64, 12), 12);
  t.equal(affinity.used(table), 8);
  t.equal(read(table, 1, client(12), 12), "12");
  affinity.clear(table);
  t.equal(affinity.used(table), 0);
  t.equal(read(table, 1, client(12), 12), "");
});

t.test("memory is shared between two openers, and refused for another size", async (t) => {
  const memory = new SharedArrayBuffer(affinity.Affinity.bytesFor(4));
  affinity.remember(new affinity.Affinity(4, memory, 5), 1, client(1), 3, 10, 1);
  t.equal(read(new affinity.Affinity(4, memory), 1, client(1), 1), "3");
  t.throws(() => new affinity.Affinity(3, memory));
});

interface Operation {
  readonly what: "remember" | "age";
  readonly service: number;
  readonly client: number;
  readonly endpoint: number;
  readonly timeoutMs: number;
  readonly waitMs: number;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  what: fc.constantFrom("remember", "remember", "remember", "age"),
  service: fc.integer({ min: 1, max: 3 }),
  client: fc.integer({ min: 0, max: 9 }),
  endpoint: fc.integer({ min: 0, max: 50 }),
  timeoutMs: fc.integer({ min: 1, max: 20 }),
  waitMs: fc.integer({ min: 0, max: 6 }),
});

t.test("the table is a map of (service port, client) with expiry", async (t) => {
  const property = fc.property(fc.array(operation, { maxLength: 120 }), fc.integer(), (operations, seed) => {
    const table = new affinity.Affinity(6, undefined, seed); // room for all 30 keys
    const model = new Map<string, { text: string; lastMs: number }>();
    let nowMs = 1;
    for (const o of operations) {
      nowMs += o.waitMs;
      if (o.what === "age") affinity.ageSlice(table, 40, nowMs);
      else {
        affinity.remember(table, o.service, client(o.client), o.endpoint, o.timeoutMs, nowMs);
        const text = `${o.endpoint}`;
        model.set(`${o.service} ${o.client}`, { text, lastMs: nowMs + o.timeoutMs });
      }
      for (let service = 1; service <= 3; service++) {
        for (let n = 0; n < 10; n++) {
          const known = model.get(`${service} ${n}`);
          const want = known === undefined || known.lastMs < nowMs ? "" : known.text;
          if (read(table, service, client(n), nowMs) !== want) return false;
        }
      }
    }
    return affinity.used(table) <= model.size;
  });
  fc.assert(property, { numRuns: 200 });
  t.pass();
});

t.test("a table that is too small stays consistent: what it finds is what was written last", async (t) => {
  const property = fc.property(fc.array(operation, { maxLength: 200 }), fc.integer(), (operations, seed) => {
    const table = new affinity.Affinity(3, undefined, seed);
    const last = new Map<string, string>();
    for (const o of operations) {
      affinity.remember(table, o.service, client(o.client), o.endpoint, 1000, 1);
      last.set(`${o.service} ${o.client}`, `${o.endpoint}`);
      if (read(table, o.service, client(o.client), 1) !== `${o.endpoint}`) return false;
    }
    for (const [key, text] of last) {
      const [service, n] = key.split(" ").map(Number);
      if (!["", text].includes(read(table, service, client(n), 1))) return false;
    }
    return affinity.used(table) === Math.min(4, last.size);
  });
  fc.assert(property, { numRuns: 200 });
  t.pass();
});
