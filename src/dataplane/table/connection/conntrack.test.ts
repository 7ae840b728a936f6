// The connection table against a Map, its capacity, its expiry, and the bytes of a connection.

import fc from "fast-check";
import t from "tap";
import { setSeed } from "../../change/conntrack.ts";
import { ACTION_BITS, EPOCH_MAX, INHERITED, NO_EPOCH, PolicyAction, RULES_MAX } from "../../spec/policy.ts";
import * as connectionRules from "./connection-rules.ts";
import { ConnectionRules, egressOf, epochOf, ingressOf } from "./connection-rules.ts";
import * as conntrack from "./conntrack.ts";
import { Conntrack, RowByte, SlotBytes, Status } from "./conntrack.ts";
import * as tuple from "./tuple.ts";

const TCP4 = (4 << 8) | 6;
const UDP6 = (6 << 8) | 17;
const ICMP4 = (4 << 8) | 1;

function v4(src: number, dst: number, sport: number, dport: number, meta = TCP4): Int32Array {
  return Int32Array.from([0, 0, 0xffff, src, 0, 0, 0xffff, dst, (sport << 16) | dport, meta]);
}
const turned = (key: Int32Array): Int32Array => {
  const out = new Int32Array(10);
  tuple.invert(key, out);
  return out;
};

t.test("both directions of a connection are found, by slot and direction", async (t) => {
  const table = new Conntrack(4);
  const orig = v4(1, 2, 10, 20);
  const reply = v4(3, 1, 30, 10);
  t.equal(conntrack.find(table, orig), -1);
  const slot = conntrack.insert(table, orig, reply, 100);
  t.equal(conntrack.find(table, orig), slot << 1);
  t.equal(conntrack.find(table, reply), (slot << 1) | 1);
  t.equal(conntrack.find(table, turned(orig)), -1, "the untranslated answer belongs to nobody");
  conntrack.remove(table, slot);
  t.equal(conntrack.find(table, orig), -1);
  t.equal(conntrack.find(table, reply), -1);
  t.equal(conntrack.used(table), 0);
});

t.test("addresses that differ in one upper word only are different IPv6 connections", async (t) => {
  const table = new Conntrack(8);
  const keys: Int32Array[] = [];
  for (let word = 0; word < 8; word++) {
    const key = Int32Array.from([1, 1, 1, 1, 2, 2, 2, 2, (7 << 16) | 8, UDP6]);
    key[word] ^= 0x40000000;
    keys.push(key);
  }
  const slots = keys.map((key) => conntrack.insert(table, key, turned(key), 1));
  t.equal(new Set(slots).size, 8);
  keys.forEach((key, i) => {
    const loaded = new Int32Array(10);
    conntrack.loadTuple(table, slots[i] << 1, loaded);
    t.same(loaded, key);
    t.equal(conntrack.find(table, turned(key)), (slots[i] << 1) | 1);
  });
});

t.test("a packet leaves as the other direction's tuple turned round", async (t) => {
  const table = new Conntrack(4);
  const orig = v4(1, 2, 10, 20);
  const reply = v4(3, 4, 30, 40); // endpoint 3:30 answers to 4:40
  const slot = conntrack.insert(table, orig, reply, 1);
  const to = new Int32Array(10);
  conntrack.loadTranslated(table, slot << 1, orig, to);
  t.same(to, v4(4, 3, 40, 30));
  conntrack.loadTranslated(table, (slot << 1) | 1, reply, to);
  t.same(to, v4(2, 1, 20, 10));
});

t.test("ICMP queries keep type and code, only the id is translated", async (t) => {
  const table = new Conntrack(4);
  const orig = v4(1, 2, 500, 8 << 8, ICMP4); // echo request
  const reply = v4(2, 9, 777, 0, ICMP4); // echo reply
  const slot = conntrack.insert(table, orig, reply, 1);
  const to = new Int32Array(10);
  conntrack.loadTranslated(table, slot << 1, orig, to);
  t.same(to, v4(9, 2, 777, 8 << 8, ICMP4));
  conntrack.loadTranslated(table, (slot << 1) | 1, reply, to);
  t.same(to, v4(2, 1, 500, 0, ICMP4));
});

t.test("NAT and un-NAT are each other's inverse, for any pair of tuples of either family", async () => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const v4Key = fc
    .tuple(word, word, word)
    .map(([a, b, p]) => Int32Array.from([0, 0, 0xffff, a, 0, 0, 0xffff, b, p, TCP4]));
  const v6Key = fc.array(word, { minLength: 9, maxLength: 9 }).map((w) => Int32Array.from([...w, UDP6]));
  const pair = fc.oneof(fc.tuple(v4Key, v4Key), fc.tuple(v6Key, v6Key));
  fc.assert(
    fc.property(pair, ([orig, reply]) => {
      const table = new Conntrack(3);
      const slot = conntrack.insert(table, orig, reply, 1);
      const out = new Int32Array(10);
      const back = new Int32Array(10);
      conntrack.loadTranslated(table, slot << 1, orig, out);
      const answer = turned(out); // what the peer sends
      if (!tuple.same(answer, reply)) return false;
      conntrack.loadTranslated(table, (slot << 1) | 1, answer, back);
      return tuple.same(turned(back), orig);
    }),
  );
});

interface Model {
  readonly byKey: Map<string, number>;
  readonly bySlot: Map<number, { orig: Int32Array; reply: Int32Array; expires: number }>;
}

type Step = { op: "insert" | "find" | "remove" | "expire"; a: number; b: number; port: number };

const steps = fc.array(
  fc.record<Step>({
    op: fc.constantFrom("insert", "insert", "find", "remove", "expire"),
    a: fc.integer({ min: 0, max: 5 }),
    b: fc.integer({ min: 0, max: 5 }),
    port: fc.integer({ min: 0, max: 3 }),
  }),
  { minLength: 1, maxLength: 120 },
);

t.test("the table behaves like a Map under any sequence of insertions, removals and expiry", async () => {
  fc.assert(
    fc.property(steps, fc.integer(), (list, seed) => {
      const table = new Conntrack(4);
      setSeed(table, seed);
      const model: Model = { byKey: new Map(), bySlot: new Map() };
      let now = 1;
      for (const step of list) {
        now++;
        apply(table, model, step, now);
        if (conntrack.used(table) !== model.bySlot.size) throw new Error(`used ${conntrack.used(table)}`);
        for (const [text, ref] of model.byKey) {
          const found = conntrack.find(table, Int32Array.from(text.split(",").map(Number)));
          if (found !== ref) throw new Error(`found ${found} instead of ${ref}`);
        }
      }
    }),
  );
});

function apply(table: Conntrack, model: Model, step: Step, now: number): void {
  const orig = v4(step.a, step.b + 100, step.port, 80);
  const reply = v4(step.b + 200, step.a, 8080, step.port);
  const ref = model.byKey.get(`${orig}`);
  if (step.op === "expire") {
    conntrack.expireSlice(table, table.capacity, now);
    for (const [slot, entry] of model.bySlot) if (entry.expires <= now) forget(model, slot);
  } else if (step.op === "find") {
    const found = conntrack.find(table, orig);
    if (found !== (ref ?? -1)) throw new Error(`find says ${found}, not ${ref}`);
  } else if (step.op === "remove") {
    if (ref === undefined) return;
    conntrack.remove(table, ref >> 1);
    forget(model, ref >> 1);
  } else if (ref === undefined && model.bySlot.size < table.capacity) {
    const slot = conntrack.insert(table, orig, reply, now);
    table.status[slot << 4] |= Status.ASSURED;
    table.expiresAtSec[slot << 4] = now + 10 * step.port;
    model.byKey.set(`${orig}`, slot << 1);
    model.byKey.set(`${reply}`, (slot << 1) | 1);
    model.bySlot.set(slot, { orig, reply, expires: now + 10 * step.port });
  }
}

function forget(model: Model, slot: number): void {
  const entry = model.bySlot.get(slot);
  if (entry === undefined) return;
  model.bySlot.delete(slot);
  model.byKey.delete(`${entry.orig}`);
  model.byKey.delete(`${entry.reply}`);
}

/** A table with `n` connections, each expiring at `expires`. */
function filled(log2: number, n: number, status: number, expires: number): Conntrack {
  const table = new Conntrack(log2);
  for (let i = 0; i < n; i++) {
    const key = v4(i, 1, 1, 1);
    const slot = conntrack.insert(table, key, turned(key), 1);
    table.status[slot << 4] |= status;
    table.expiresAtSec[slot << 4] = expires;
  }
  return table;
}

t.test("a full table evicts a connection that was never assured", async (t) => {
  const table = filled(4, 16, 0, 100);
  const key = v4(99, 1, 1, 1);
  const slot = conntrack.insert(table, key, turned(key), 2);
  t.ok(slot >= 0);
  t.equal(conntrack.used(table), 16);
  t.equal(conntrack.earlyDrops(table), 1);
  t.equal(conntrack.refusedFull(table), 0);
  t.equal(conntrack.find(table, key), slot << 1);
});

t.test("a table full of assured connections gives up those that are being closed", async (t) => {
  const table = filled(4, 16, Status.ASSURED, 100);
  const slot = conntrack.find(table, v4(7, 1, 1, 1)) >> 1;
  table.state[slot << 5] = 7; // TIME_WAIT
  const key = v4(99, 1, 1, 1);
  t.equal(conntrack.insert(table, key, turned(key), 2), slot);
  t.equal(conntrack.earlyDrops(table), 1);
  t.equal(conntrack.find(table, v4(7, 1, 1, 1)), -1);
});

t.test("a table full of assured connections refuses new ones and keeps the old", async (t) => {
  const table = filled(4, 16, Status.ASSURED, 100);
  const key = v4(99, 1, 1, 1);
  t.equal(conntrack.insert(table, key, turned(key), 2), -1);
  t.equal(conntrack.find(table, key), -1);
  t.equal(conntrack.refusedFull(table), 1);
  for (let i = 0; i < 16; i++) t.ok(conntrack.find(table, v4(i, 1, 1, 1)) >= 0);
  t.ok(conntrack.insert(table, key, turned(key), 100) >= 0, "an expired one makes room, assured or not");
});

t.test("a full table is searched to the end for what is not there", async (t) => {
  const table = filled(10, 1024, Status.ASSURED, 100);
  for (let i = 0; i < 2000; i++) if (conntrack.find(table, v4(i, 2, 2, 2)) !== -1) t.fail(`${i} was found`);
});

t.test("expiry walks the whole table in slices, however small", async (t) => {
  const table = filled(8, 200, 0, 50);
  t.equal(conntrack.expireSlice(table, 1000, 49), 0);
  let removed = 0;
  for (let i = 0; i < 100; i++) removed += conntrack.expireSlice(table, 7, 50);
  t.equal(removed, 200);
  t.equal(conntrack.used(table), 0);
});

t.test("seconds may wrap while a connection lives", async (t) => {
  const table = filled(3, 1, 0, -2147483640); // 2^31 + 8
  t.notOk(conntrack.isExpired(table, 0, 2147483640));
  t.ok(conntrack.isExpired(table, 0, -2147483640));
  t.equal(conntrack.expireSlice(table, 8, 2147483640), 0);
});

t.test("a table opened again over the same memory holds the same connections", async (t) => {
  const table = filled(4, 5, Status.ASSURED, 100);
  const again = new Conntrack(4, table.memory);
  t.equal(conntrack.used(again), 5);
  for (let i = 0; i < 5; i++) t.ok(conntrack.find(again, v4(i, 1, 1, 1)) >= 0);
  t.throws(() => new Conntrack(3, table.memory), RangeError);
});

t.test("the seed cannot be changed under stored connections", async (t) => {
  t.throws(() => setSeed(filled(4, 1, 0, 100), 7), RangeError);
});

t.test(
  "an IPv4 connection takes at most 128 bytes, without what counts and what people look at",
  async (t) => {
    const { row, track, index, about } = SlotBytes;
    const counts = 2 * (RowByte.STATUS - RowByte.PACKETS);
    const sum = Object.values(SlotBytes).reduce((all, bytes) => all + bytes, 0);
    t.equal((Conntrack.bytesFor(17) - Conntrack.bytesFor(16)) / 65536, sum);
    t.equal(row - counts + track + index, 128, "TCP");
    t.equal(row + index + about, 88, "UDP, ICMP and others with all of it");
    const table = new Conntrack(4);
    const line = table.tuple.byteOffset + 16; // calloc's memory begins so far behind a page
    t.same([line % 64, table.track.byteOffset % 64], [0, 48], "rows and windows are whole cache lines");
  },
);

t.test("a connection is entered by its own hash, whatever was hashed before", async (t) => {
  const table = new Conntrack(8);
  const UDP4 = (4 << 8) | 17;
  const keys = [
    v4(1, 2, 10, 20),
    v4(1, 2, 10, 20, UDP4),
    v4(3, 2, 10, 20),
    v4(1, 3, 10, 20),
    v4(1, 2, 11, 20),
  ];
  t.equal(conntrack.find(table, keys[0]), -1);
  setSeed(table, 7); // what was hashed by the seed before counts no more
  for (const [i, key] of keys.entries()) {
    if (i > 0) conntrack.find(table, keys[i - 1]);
    if (i === 1) conntrack.find(table, v4(1, 2, 10, 20, TCP4 | (1 << 16))); // another zone's
    conntrack.insert(table, key, turned(key), 1);
  }
  table.hintHash.fill(0);
  for (const [slot, key] of keys.entries()) {
    table.memo.fill(0);
    t.equal(conntrack.find(table, key), slot << 1);
    t.equal(conntrack.find(table, turned(key)), (slot << 1) | 1);
  }
});

t.test("octets are counted beyond 32 bits, and begin anew with the slot's next connection", async (t) => {
  const table = filled(4, 1, 0, 100);
  const counts = (): number[] => [0, 1].map((dir) => conntrack.octetsOf(table, dir));
  conntrack.setCounts(table, 0, 7, 3 * 2 ** 32 + 2 ** 31 - 5);
  conntrack.account(table, 0, 10);
  t.same(counts(), [3 * 2 ** 32 + 2 ** 31 + 5, 0], "past the word's sign");
  conntrack.setCounts(table, 1, 7, 2 ** 32 - 5);
  conntrack.account(table, 1, 65_535);
  t.same(counts(), [3 * 2 ** 32 + 2 ** 31 + 5, 2 ** 32 + 65_530], "and past the word");
  t.equal(conntrack.packetsOf(table, 1), 8);
  conntrack.remove(table, 0);
  const key = v4(5, 6, 7, 8);
  t.equal(conntrack.insert(table, key, turned(key), 1), 0);
  t.same(counts(), [0, 0]);
  for (const dir of [0, 1]) {
    conntrack.setCounts(table, dir, 1, 2 ** 32 - 5);
    conntrack.account(table, dir, 10);
  }
  t.same(counts(), [2 ** 32 + 5, 2 ** 32 + 5]);
});

t.test("an answer is seen, whatever a connection's state is", async (t) => {
  const table = filled(4, 1, 0, 100);
  for (const state of [0, 7, 999]) {
    table.state[0] = state;
    table.status[0] = Status.CONFIRMED;
    const before = conntrack.visible(table, 0);
    for (const bit of [Status.SEEN_REPLY, Status.ASSURED]) {
      table.status[0] = Status.CONFIRMED | bit;
      t.not(conntrack.visible(table, 0), before);
    }
  }
});

t.test("packets and octets are counted per direction, and a reply marks the connection", async (t) => {
  const table = filled(4, 1, 0, 100);
  conntrack.account(table, 0, 100);
  t.notOk(table.status[0] & Status.SEEN_REPLY);
  conntrack.account(table, 1, 7);
  conntrack.account(table, 1, 7);
  t.ok(table.status[0] & Status.SEEN_REPLY);
  t.same([conntrack.packetsOf(table, 0), conntrack.packetsOf(table, 1)], [1, 2]);
  t.same([conntrack.octetsOf(table, 0), conntrack.octetsOf(table, 1)], [100, 14]);
});

t.test("what policies said of a connection is remembered whole, in eight bytes", async (t) => {
  const rules = new ConnectionRules(1);
  t.equal(ConnectionRules.bytesFor(1), 2 * 8);
  const most = ((RULES_MAX - 1) << ACTION_BITS) | PolicyAction.AUDIT;
  const said = (): number[] => [egressOf(rules, 1), ingressOf(rules, 1), epochOf(rules, 1)];
  for (const egress of [0, 1, 15, 16, 17, most]) {
    for (const ingress of [0, 3, 16, most]) {
      for (const epoch of [1, EPOCH_MAX, INHERITED]) {
        connectionRules.set(rules, 1, egress, ingress, epoch);
        t.same(said(), [egress, ingress, epoch]);
      }
      connectionRules.set(rules, 1, egress, ingress, 77);
      connectionRules.inherit(rules, 1);
      t.same(said(), [egress, ingress, INHERITED]);
      connectionRules.forget(rules, 1);
      connectionRules.inherit(rules, 1);
      t.equal(epochOf(rules, 1), NO_EPOCH, "nothing was said of it");
    }
  }
  t.same([egressOf(rules, 0), ingressOf(rules, 0), epochOf(rules, 0)], [0, 0, 0], "nor of its neighbour");
});
