import * as fc from "fast-check";
import t from "tap";
import * as neighbor from "./neighbor.ts";
import * as neighborTimers from "./neighbor-timers.ts";
import * as pendingQueue from "./pending-queue.ts";

const { SOLICITED, OVERRIDE, CREATE } = neighbor.Confirm;
const { PROBE_MULTICAST, PROBE_UNICAST, FAILED } = neighborTimers.Event;
const V4 = 0xffff;
const HI = 0x0a58;

const resolve = (table: neighbor.Neighbors, addr: number, nowMs: number) =>
  neighbor.resolve(table, 0, 0, V4, addr, nowMs);
const find = (table: neighbor.Neighbors, addr: number) => neighbor.find(table, 0, 0, V4, addr);
const confirm = (table: neighbor.Neighbors, addr: number, lo: number, nowMs: number, flags: number) =>
  neighbor.confirm(table, 0, 0, V4, addr, HI, lo, nowMs, flags);
const stateOf = (table: neighbor.Neighbors, addr: number) => {
  const slot = find(table, addr);
  return slot < 0 ? "none" : neighbor.STATE_NAMES[table.state[slot]];
};

/** Every event up to and including `toMs`, with its time, looking each 100 ms. */
function run(table: neighbor.Neighbors, fromMs: number, toMs: number): [number, number][] {
  const out = new Int32Array(16);
  const events: [number, number][] = [];
  for (let now = fromMs; now <= toMs; now += 100) {
    const count = neighborTimers.pollTimers(table, now | 0, out);
    for (let i = 0; i < count; i++) events.push([now, out[2 * i + 1]]);
  }
  return events;
}

t.test("an address that does not answer is asked three times, a second apart, then fails", async (t) => {
  const table = new neighbor.Neighbors(4);
  const slot = resolve(table, 1, 1000);
  t.equal(stateOf(table, 1), "INCOMPLETE");
  t.notOk(neighbor.isUsable(table, slot));
  t.same(run(table, 1000, 5000), [
    [1000, PROBE_MULTICAST],
    [2000, PROBE_MULTICAST],
    [3000, PROBE_MULTICAST],
    [4000, FAILED],
  ]);
  t.equal(resolve(table, 1, 5000), slot, "the next packet asks again");
  t.equal(stateOf(table, 1), "INCOMPLETE");
});

t.test("a solicited reply makes it reachable for 15 to 45 s, then stale", async (t) => {
  const table = new neighbor.Neighbors(4, undefined, 77);
  const slot = resolve(table, 1, 0);
  t.equal(confirm(table, 1, 5, 10, SOLICITED | OVERRIDE), slot);
  t.equal(stateOf(table, 1), "REACHABLE");
  t.equal(table.macLo[slot], 5);
  t.same(run(table, 100, 14_900), []);
  t.equal(stateOf(table, 1), "REACHABLE");
  t.same(run(table, 15_000, 45_100), []);
  t.equal(stateOf(table, 1), "STALE");
  t.ok(neighbor.isUsable(table, slot), "stale is used while it is doubted");
});

t.test(
  "using a stale neighbour delays five seconds, probes it three times by unicast, then fails it",
  async (t) => {
    const table = new neighbor.Neighbors(4);
    confirm(table, 1, 5, 0, CREATE | OVERRIDE);
    t.equal(stateOf(table, 1), "STALE");
    resolve(table, 1, 1000);
    t.equal(stateOf(table, 1), "DELAY");
    t.same(run(table, 1000, 10_000), [
      [6000, PROBE_UNICAST],
      [7000, PROBE_UNICAST],
      [8000, PROBE_UNICAST],
      [9000, FAILED],
    ]);
  },
);

t.test("an answer to a probe makes it reachable again", async (t) => {
  const table = new neighbor.Neighbors(4);
  confirm(table, 1, 5, 0, CREATE | OVERRIDE);
  const slot = resolve(table, 1, 1000);
  run(table, 1000, 6500);
  t.equal(stateOf(table, 1), "PROBE");
  confirm(table, 1, 5, 6500, SOLICITED);
  t.equal(stateOf(table, 1), "REACHABLE");
  neighbor.use(table, slot, 6500);
  t.equal(stateOf(table, 1), "REACHABLE", "use changes nothing while it is reachable");
});

t.test("a reachable neighbour in use is asked again instead of going stale", async (t) => {
  const table = new neighbor.Neighbors(4);
  const slot = confirm(table, 1, 5, 0, CREATE | SOLICITED | OVERRIDE);
  for (let now = 0; now < 50_000 && stateOf(table, 1) === "REACHABLE"; now += 1000) {
    neighbor.use(table, slot, now);
    run(table, now, now);
  }
  t.equal(stateOf(table, 1), "DELAY");
});

t.test("what a peer may change (RFC 4861 §7.2.5)", async (t) => {
  const cases = [
    {
      name: "same MAC, solicited: reachable",
      from: "STALE",
      mac: 5,
      flags: SOLICITED,
      state: "REACHABLE",
      lo: 5,
    },
    {
      name: "same MAC, unsolicited: nothing",
      from: "REACHABLE",
      mac: 5,
      flags: OVERRIDE,
      state: "REACHABLE",
      lo: 5,
    },
    {
      name: "other MAC without override: doubt",
      from: "REACHABLE",
      mac: 6,
      flags: SOLICITED,
      state: "STALE",
      lo: 5,
    },
    {
      name: "other MAC, no override, stale: nothing",
      from: "STALE",
      mac: 6,
      flags: 0,
      state: "STALE",
      lo: 5,
    },
    {
      name: "other MAC, override: taken, stale",
      from: "REACHABLE",
      mac: 6,
      flags: OVERRIDE,
      state: "STALE",
      lo: 6,
    },
    {
      name: "other MAC, override, solicited: taken, reachable",
      from: "STALE",
      mac: 6,
      flags: OVERRIDE | SOLICITED,
      state: "REACHABLE",
      lo: 6,
    },
  ];
  for (const c of cases) {
    const table = new neighbor.Neighbors(4);
    const slot = confirm(table, 1, 5, 0, CREATE | (c.from === "REACHABLE" ? SOLICITED : 0));
    t.equal(stateOf(table, 1), c.from);
    confirm(table, 1, c.mac, 10, c.flags);
    t.equal(stateOf(table, 1), c.state, c.name);
    t.equal(table.macLo[slot], c.lo, c.name);
  }
});

t.test("an unknown address is not created unless asked for", async (t) => {
  const table = new neighbor.Neighbors(4);
  t.equal(confirm(table, 1, 5, 0, SOLICITED | OVERRIDE), -1);
  t.equal(find(table, 1), -1);
});

t.test("a permanent neighbour is what we said, whatever peers say, for ever", async (t) => {
  const table = new neighbor.Neighbors(4);
  const slot = neighbor.addPermanent(table, 0, 0, V4, 1, HI, 5, 3);
  confirm(table, 1, 6, 0, SOLICITED | OVERRIDE);
  neighbor.use(table, slot, 100);
  t.same(run(table, 0, 120_000), []);
  t.equal(table.macLo[slot], 5);
  t.equal(table.port[slot], 3);
  neighbor.remove(table, slot);
  t.equal(find(table, 1), -1);
});

t.test("so many packets wait for a neighbour, then the oldest gives way", async (t) => {
  const table = new neighbor.Neighbors(4);
  const slot = resolve(table, 1, 0);
  const most = pendingQueue.QUEUE_MAX;
  t.equal(neighbor.dequeue(table, slot), -1);
  for (let i = 0; i < most; i++) t.equal(neighbor.enqueue(table, slot, 10 + i, 100 + i), -1);
  t.equal(neighbor.enqueue(table, slot, 10 + most, 100 + most), 10);
  t.equal(neighbor.frontLen(table, slot), 101);
  t.same(
    Array.from({ length: most + 1 }, () => neighbor.dequeue(table, slot)),
    [...Array.from({ length: most }, (_, i) => 11 + i), -1],
  );
  t.equal(neighbor.frontLen(table, slot), -1);
});

t.test(
  "no more than the pool waits altogether: a newcomer is refused, an owner replaces its own",
  async (t) => {
    const table = new neighbor.Neighbors(9);
    const slots = Array.from({ length: pendingQueue.PENDING_MAX }, (_, i) => resolve(table, i, 0));
    for (const [i, slot] of slots.entries()) t.equal(neighbor.enqueue(table, slot, i, 60), -1);
    const late = resolve(table, 9999, 0);
    t.equal(neighbor.enqueue(table, late, 7777, 60), 7777);
    t.equal(neighbor.enqueue(table, slots[5], 8888, 60), 5);
    t.equal(neighbor.dequeue(table, slots[5]), 8888);
  },
);

t.test(
  "a full table reclaims failed entries, then the longest unused stale one, never one that is needed",
  async (t) => {
    const table = new neighbor.Neighbors(3);
    for (let i = 0; i < 8; i++) resolve(table, i, i);
    t.equal(resolve(table, 100, 10), -1, "all are being resolved");
    t.equal(table.counters[neighbor.Counter.FULL], 1);
    confirm(table, 6, 1, 20, OVERRIDE);
    confirm(table, 2, 1, 21, OVERRIDE);
    t.not(resolve(table, 101, 30), -1);
    t.equal(find(table, 2), -1, "stale, and used longest ago");
    run(table, 30, 9000);
    t.not(resolve(table, 102, 9000), -1);
    t.not(find(table, 6), -1, "a failed one went before the stale one");
  },
);

t.test("failed entries are forgotten after a minute, stale ones stay while there are few", async (t) => {
  const table = new neighbor.Neighbors(4);
  resolve(table, 1, 0);
  confirm(table, 2, 5, 0, CREATE);
  run(table, 0, 200_000);
  t.equal(stateOf(table, 1), "none");
  t.equal(stateOf(table, 2), "STALE");
});

t.test("stale entries are collected once there are many", async (t) => {
  const table = new neighbor.Neighbors(8);
  for (let i = 0; i < 200; i++) confirm(table, i, 5, 0, CREATE);
  run(table, 0, 130_000);
  t.equal(neighbor.used(table), 128);
});

t.test("timers fire across the wrap of the millisecond clock and when `out` is small", async (t) => {
  const start = 2 ** 31 - 500;
  const table = new neighbor.Neighbors(5);
  run(table, start - 100, start - 100);
  for (let i = 0; i < 5; i++) resolve(table, i, start | 0);
  const out = new Int32Array(4);
  let probes = 0;
  for (let now = start; now <= start + 900; now += 100)
    probes += neighborTimers.pollTimers(table, now | 0, out);
  t.equal(probes, 5);
  t.equal(neighborTimers.msUntilDue(table, (start + 900) | 0), 100);
  t.same(run(table, start + 1000, start + 1200).length, 5);
});

t.test("nothing due costs no walk: the next due time is known", async (t) => {
  const table = new neighbor.Neighbors(10);
  const out = new Int32Array(8);
  resolve(table, 1, 0);
  for (let i = 0; i < 5; i++) neighborTimers.pollTimers(table, 0, out);
  t.equal(neighborTimers.msUntilDue(table, 0), 1000);
  confirm(table, 1, 5, 5, SOLICITED);
  const left = neighborTimers.msUntilDue(table, 5);
  t.ok(left <= 1000, "an old, earlier due time may stand for one more walk");
});

t.test("a neighbour is found exactly while a Map says so, and its queue is a bounded FIFO", async () => {
  const addr = fc.integer({ min: 0, max: 5 });
  const op = fc.record({ op: fc.constantFrom("resolve", "confirm", "remove", "enqueue", "dequeue"), addr });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 100 }), (ops) => {
      const table = new neighbor.Neighbors(3);
      const model = new Map<number, number[]>();
      let arenaSlot = 0;
      for (const step of ops) {
        const slot = find(table, step.addr);
        const queue = model.get(step.addr);
        if (slot >= 0 !== (queue !== undefined)) return false;
        if (step.op === "resolve") {
          resolve(table, step.addr, 0);
          if (queue === undefined) model.set(step.addr, []);
        } else if (queue === undefined) {
        } else if (step.op === "confirm") {
          if (confirm(table, step.addr, step.addr, 0, SOLICITED | OVERRIDE) !== slot) return false;
          if (table.macLo[slot] !== step.addr) return false;
        } else if (step.op === "remove") {
          neighbor.remove(table, slot);
          model.delete(step.addr);
        } else if (step.op === "enqueue") {
          arenaSlot++;
          queue.push(arenaSlot);
          const expected = queue.length > pendingQueue.QUEUE_MAX ? queue.shift() : -1;
          if (neighbor.enqueue(table, slot, arenaSlot, 60) !== expected) return false;
        } else if (neighbor.dequeue(table, slot) !== (queue.shift() ?? -1)) {
          return false;
        }
      }
      return neighbor.used(table) === model.size;
    }),
    { numRuns: 300 },
  );
});
