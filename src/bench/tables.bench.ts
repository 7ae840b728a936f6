// The tables that see every packet: hit and miss, few entries and many. Addresses come in random order,
// which is the worst case: the cache of slots found last helps the few addresses that talk at once, not 4
// 096 in turn.

import { setSeed } from "../dataplane/change/conntrack.ts";
import { createPrefixSet } from "../dataplane/change/prefix-set.ts";
import { createVteps } from "../dataplane/change/vteps.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import * as tuple from "../dataplane/table/connection/tuple.ts";
import * as fdb from "../dataplane/table/fdb.ts";
import * as fragments from "../dataplane/table/fragments.ts";
import * as hashIndex from "../dataplane/table/hash-index.ts";
import * as localAddresses from "../dataplane/table/local-addresses.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import * as neighborTimers from "../dataplane/table/neighbor-timers.ts";
import * as prefixSet from "../dataplane/table/prefix-set.ts";
import * as tokenBucket from "../dataplane/table/token-bucket.ts";
import * as vteps from "../dataplane/table/vteps.ts";
import * as hotLoop from "./hot-loop.ts";

const N = 1 << 16;
const HI = 0x0a58;
const V4 = 0xffff;
const { PORTS } = tuple.TupleWord;
const UDP_V4 = 17 | (4 << 8);
/** Minimum, ns, AMD EPYC, Node 20.20, on a machine that did nothing else. */
const RECORDED: Record<string, number> = {
  "hash of 2 words": 9.8,
  "hash of 5 words": 14.1,
  "hash of 10 words": 28.6,
  "fdb of 64: find": 4.4,
  "fdb of 64: find, unknown address": 42,
  "fdb of 64: learn what is known": 6.1,
  "fdb of 64: age one slot": 2,
  "fdb of 4096: find": 36.9,
  "fdb of 4096: find, unknown address": 46.1,
  "fdb of 4096: learn what is known": 42.7,
  "fdb of 4096: age one slot": 2,
  "neighbours, 8: resolve": 6.7,
  "neighbours, 8: timers, nothing due": 1.6,
  "neighbours, 1024: resolve": 45.8,
  "neighbours, 1024: timers, nothing due": 3,
  "local addresses, 6: has": 12.5,
  "prefix set of 1: contains": 9.8,
  "prefix set of 2: contains": 11.2,
  "prefix set of 300: contains": 12.4,
  "VTEPs, 1000: find by source": 7,
  "ICMP error limit: refused": 3.8,
  "fragment of a datagram of 8, open and close shared": 62.2,
  "a new connection: both tuples are looked for": 60,
  "a new connection: looked for, entered, ended": 217,
  "connections, 10000: find": 100.9,
  "connections, 1000000: find": 467.8,
  "connections, 10000: found in batches of 64": 121.5,
  "connections, 1000000: found in batches of 64": 213.7,
};

function measure(name: string, round: () => number): void {
  hotLoop.measure(name, N, round, RECORDED[name]);
}

function measureHash(words: Int32Array): void {
  measure("hash of 2 words", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum ^= hashIndex.mix2(7, HI, words[i]);
    return sum;
  });
  measure("hash of 5 words", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum ^= hashIndex.mix5(7, words[i], words[(i + 1) & (N - 1)], 443, 6, 0);
    return sum;
  });
  measure("hash of 10 words", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum ^= hashIndex.mix10(7, 0, 0, V4, words[i], 0, 0, V4, 1, 443, 6);
    return sum;
  });
}

function measureFdb(words: Int32Array, entries: number): void {
  const table = new fdb.Fdb(Math.ceil(Math.log2(entries)) + 1, undefined, 7);
  for (let i = 0; i < entries; i++) fdb.learn(table, HI, i, i & 7, 0);
  measure(`fdb of ${entries}: find`, () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += fdb.find(table, HI, words[i] & (entries - 1), 1);
    return sum;
  });
  measure(`fdb of ${entries}: find, unknown address`, () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += fdb.find(table, HI, words[i] | (1 << 30), 1);
    return sum;
  });
  measure(`fdb of ${entries}: learn what is known`, () => {
    let sum = 0;
    for (let i = 0; i < N; i++) {
      const lo = words[i] & (entries - 1);
      sum += fdb.learn(table, HI, lo, lo & 7, 1);
    }
    return sum;
  });
  measure(`fdb of ${entries}: age one slot`, () => fdb.ageSlice(table, 0, N, 1));
}

function measureNeighbor(words: Int32Array, entries: number): void {
  const table = new neighbor.Neighbors(Math.ceil(Math.log2(entries)) + 1, undefined, 7);
  const flags = neighbor.Confirm.CREATE | neighbor.Confirm.SOLICITED;
  for (let i = 0; i < entries; i++) neighbor.confirm(table, 0, 0, V4, i, HI, i, 0, flags);
  measure(`neighbours, ${entries}: resolve`, () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += neighbor.resolve(table, 0, 0, V4, words[i] & (entries - 1), 1);
    return sum;
  });
  const out = new Int32Array(64);
  for (let i = 0; i < 100; i++) neighborTimers.pollTimers(table, 1, out);
  measure(`neighbours, ${entries}: timers, nothing due`, () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += neighborTimers.pollTimers(table, 2, out);
    return sum;
  });
}

function measureSets(words: Int32Array): void {
  const list = Array.from({ length: 6 }, (_, i) => ({ w0: 0, w1: 0, w2: V4, w3: 0x0af40000 + i }));
  const local = new localAddresses.LocalAddresses(list);
  measure("local addresses, 6: has", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) if (localAddresses.has(local, 0, 0, V4, 0x0af40000 + (words[i] & 15))) sum++;
    return sum;
  });
  for (const count of [1, 2, 300]) {
    const prefixes = Array.from({ length: count }, (_, i) => ({
      w0: 0,
      w1: 0,
      w2: V4,
      w3: i << 20,
      bits: 110,
    }));
    const set = createPrefixSet(prefixes);
    measure(`prefix set of ${count}: contains`, () => {
      let sum = 0;
      for (let i = 0; i < N; i++) if (prefixSet.contains(set, 0, 0, V4, words[i])) sum++;
      return sum;
    });
  }
  const specs = Array.from({ length: 1000 }, (_, i) => ({
    ...list[0],
    w3: 0xc0a80000 + i,
    macHi: HI,
    macLo: i,
  }));
  const table = createVteps(specs.map((s) => ({ ...s, w3: s.w3 | 0 })));
  measure("VTEPs, 1000: find by source", () => {
    let sum = 0;
    for (let i = 0; i < N; i++)
      sum += vteps.findByOuter(table, 0, 0, V4, (0xc0a80000 + (words[i] & 511)) | 0);
    return sum;
  });
}

function measureRest(words: Int32Array): void {
  const bucket = new tokenBucket.TokenBucket(8, undefined, 7);
  measure("ICMP error limit: refused", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) if (tokenBucket.allow(bucket, 0, 0, V4, words[i], 1)) sum++;
    return sum;
  });
  const table = new fragments.Fragments(6, undefined, 7);
  const key = Int32Array.of(0, 0, V4, 1, 0, 0, V4, 2);
  measure("fragment of a datagram of 8, open and close shared", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) {
      const part = i & 7;
      let queue = fragments.find(table, key, i >> 3, 17);
      if (queue < 0) queue = fragments.open(table, key, i >> 3, 17, 1, 1);
      sum += fragments.store(table, queue, part * 1480, 1480, part === 7 ? 0 : 1, 1500);
      if (part === 7) fragments.close(table, queue);
    }
    return sum;
  });
}

/** Tuples of UDP flows from 10.0.0.0/8, as many as there are connections. */
function connectionKey(key: Int32Array, n: number): void {
  key.set([0, 0, V4, 0x0a000000 + (n >>> 9), 0, 0, V4, 0x0a600001, ((1024 + (n & 511)) << 16) | 53, UDP_V4]);
}

/** Found at random among few and many, in one table of a million: what grows are misses of the processor's caches. */
function measureConntrack(words: Int32Array): void {
  const table = new Conntrack(20);
  setSeed(table, hotLoop.SEED);
  const [key, reply] = [new Int32Array(tuple.TUPLE_WORDS), new Int32Array(tuple.TUPLE_WORDS)];
  const before = process.memoryUsage().rss;
  for (const entries of [10_000, 1_000_000]) {
    for (let n = conntrack.used(table); n < entries; n++) {
      connectionKey(key, n);
      tuple.invert(key, reply);
      conntrack.insert(table, key, reply, 1);
    }
    measure(`connections, ${entries}: find`, () => {
      let sum = 0;
      for (let i = 0; i < N; i++) {
        connectionKey(key, (words[i] >>> 0) % entries);
        sum += conntrack.find(table, key);
      }
      return sum;
    });
    measureBatches(table, words, entries);
  }
  const bytes = (process.memoryUsage().rss - before) / conntrack.used(table);
  console.log(`a million connections: ${bytes.toFixed(0)} resident bytes each`);
}

/** As the engine does it: all cells of a batch are asked for, then all rows, then each is compared. */
function measureBatches(table: Conntrack, words: Int32Array, entries: number): void {
  const batch = 64;
  const [refs, hashes] = [new Int32Array(batch), new Int32Array(batch)];
  const key = new Int32Array(tuple.TUPLE_WORDS);
  measure(`connections, ${entries}: found in batches of ${batch}`, () => {
    let sum = 0;
    for (let at = 0; at < N; at += batch) {
      for (let i = 0; i < batch; i++) {
        connectionKey(key, (words[at + i] >>> 0) % entries);
        refs[i] = conntrack.hinted(table, key);
        hashes[i] = conntrack.hashKey(table, key);
      }
      sum += conntrack.touchCells(table, refs, hashes, batch);
      conntrack.guess(table, refs, hashes, batch);
      sum += conntrack.touchRows(table, refs, batch);
      for (let i = 0; i < batch; i++) {
        connectionKey(key, (words[at + i] >>> 0) % entries);
        table.guess = refs[i];
        sum += conntrack.find(table, key);
      }
    }
    table.guess = -1;
    return sum;
  });
}

/** Of a first packet, conntrack's part: a search for both tuples, which finds neither; entering them, and the end. */
function measureNew(): void {
  const table = new Conntrack(17);
  setSeed(table, hotLoop.SEED);
  const [key, reply] = [new Int32Array(tuple.TUPLE_WORDS), new Int32Array(tuple.TUPLE_WORDS)];
  connectionKey(key, 0);
  tuple.invert(key, reply);
  const search = (port: number): number => {
    key[PORTS] = (port << 16) | 53;
    reply[PORTS] = (53 << 16) | port;
    return conntrack.find(table, key) + conntrack.find(table, reply);
  };
  measure("a new connection: both tuples are looked for", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += search(i);
    return sum;
  });
  measure("a new connection: looked for, entered, ended", () => {
    let sum = 0;
    for (let i = 0; i < N; i++) sum += search(i) + conntrack.insert(table, key, reply, 1);
    while (conntrack.used(table) > 0) sum += conntrack.expireSlice(table, N, 2);
    return sum;
  });
}

hotLoop.printHeader("tables");
const random = hotLoop.createRandom(hotLoop.SEED);
const input = Int32Array.from({ length: N }, random);
measureHash(input);
for (const entries of [64, 4096]) measureFdb(input, entries);
for (const entries of [8, 1024]) measureNeighbor(input, entries);
measureSets(input);
measureRest(input);
measureNew();
measureConntrack(input);
hotLoop.printSink();
