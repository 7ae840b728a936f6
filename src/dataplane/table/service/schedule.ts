/**
 * Schedules: which endpoint of a set the next connection gets, when it is not chance that decides. One row a frontend
 * of `services` (a virtual server in IPVS' words), or one for all frontends of a service port that share it.
 *
 * The schedulers choose as the kernel's modules of the same names do (net/netfilter/ipvs/ip_vs_*.c, without fallback
 * flags): the same walks, the same ties, the same hashes, and mh with source ports, as kube-proxy asks for it. Two things
 * differ: endpoints stand in the order of their addresses, where the kernel's stand in the order in which they were
 * added; and connections are counted by endpoint of a service port, where IPVS counts each virtual server apart.
 *
 * A weight of 0 takes an endpoint out of the choice. Where the hash of a client says exactly that one, the client is
 * refused, as by the kernel's modules when they have no fallback.
 */
import { type Columns, OWN_COLUMNS } from "../../../base/columns.ts";
import { Scheduler } from "../../spec/services.ts";
import * as tuple from "../connection/tuple.ts";
import { EndpointLoad } from "./endpoint-load.ts";
import type { Identities } from "./identities.ts";

const { SRC0, DST0 } = tuple.TupleWord;

const { RR, WRR, LC, WLC, SH, DH, SED, NQ, MH } = Scheduler;
const HASH_BITS = 8; //            sh and dh: 256 buckets
const GOLDEN_RATIO = 0x61c88647; // hash_32()
/** Places of a Maglev table: the prime for CONFIG_IP_VS_MH_TAB_INDEX=12. */
export const MAGLEV_SIZE = 4093;
/** Words that one table takes, and for how many there is room: as many service ports as hold 256 MB. */
export const MAGLEV_RUN = 4096;
export const MAGLEV_RUNS = 1 << 15;
const MAGLEV_KEY = 2654435761 | 0; // both words of ip_vs_mh.c's first key
const HEAD = -1; // before the first member
const NO_TABLE = -1;

export class Schedule {
  // By frontend
  readonly kind: Uint8Array; //          Scheduler
  readonly row: Int32Array; //           whose `last` and weights count: its own, or that of the frontend it shares with
  readonly last: Int32Array; //          place in the set of the last choice of rr and wrr, HEAD: none yet
  readonly currentWeight: Int32Array; // of wrr
  readonly maxWeight: Int32Array; //     of wrr, less the step but one
  readonly weightStep: Int32Array; //    of wrr: the weights' greatest common divisor
  readonly maglevAt: Int32Array; //      mh: start of its table, NO_TABLE: no room for one, then sh stands in
  // By endpoint
  readonly weight: Int32Array;
  readonly load: EndpointLoad;
  /** Maglev tables: places in a set. Taken when the first service port asks for one. */
  maglev: Uint16Array = new Uint16Array(0);
  readonly maglevFree: number[] = [];
  maglevNext = 0;

  constructor(frontends: number, endpoints: number, ids: Identities, columns: Columns = OWN_COLUMNS) {
    this.kind = columns.uint8(frontends);
    this.row = columns.int32(frontends);
    this.last = columns.int32(frontends);
    this.currentWeight = columns.int32(frontends);
    this.maxWeight = columns.int32(frontends);
    this.weightStep = columns.int32(frontends);
    this.maglevAt = columns.int32(frontends);
    this.weight = columns.int32(endpoints);
    this.load = new EndpointLoad(endpoints, ids, columns);
    if (columns.isShared) this.maglev = columns.uint16(MAGLEV_RUN * MAGLEV_RUNS);
  }
}

/**
 * The endpoint for a new connection among `member[at … at + n]`, or -1: none may be had. `key` is the packet's tuple as
 * it came.
 */
export function pick(
  t: Schedule,
  f: number,
  member: Int32Array,
  at: number,
  n: number,
  key: Int32Array,
): number {
  if (n === 0) return -1;
  switch (t.kind[f]) {
    case RR:
      return nextInTurn(t, t.row[f], member, at, n);
    case WRR:
      return nextByWeight(t, t.row[f], member, at, n);
    case LC:
      return leastConnections(t, member, at, n);
    case WLC:
      return leastByWeight(t, member, at, n);
    case SH:
      return bySource(t, member, at, n, key);
    case DH:
      return byDestination(t, member, at, n, key);
    case SED:
      return shortestDelay(t, member, at, n, false);
    case NQ:
      return shortestDelay(t, member, at, n, true);
    case MH:
      return byMaglev(t, f, member, at, n, key);
    default:
      return -1;
  }
}

/** rr: whoever comes after the last one. */
function nextInTurn(t: Schedule, row: number, member: Int32Array, at: number, n: number): number {
  let i = t.last[row];
  if (i >= n) i = HEAD;
  for (let steps = 0; steps < n; steps++) {
    i = i + 1 < n ? i + 1 : 0;
    const endpoint = member[at + i];
    if (t.weight[endpoint] > 0) {
      t.last[row] = i;
      return endpoint;
    }
  }
  return -1;
}

/** wrr: rounds in which only weights of at least `currentWeight` have a turn; it falls by a step each round. */
function nextByWeight(t: Schedule, row: number, member: Int32Array, at: number, n: number): number {
  if (t.maxWeight[row] <= 0) return -1;
  let i = t.last[row];
  // The greatest weight is never below the current one, so the second round at the latest finds somebody.
  for (let round = 0; round < 3; round++) {
    for (i++; i < n; i++) {
      const endpoint = member[at + i];
      if (t.weight[endpoint] >= t.currentWeight[row]) {
        t.last[row] = i;
        return endpoint;
      }
    }
    i = HEAD;
    t.currentWeight[row] -= t.weightStep[row];
    if (t.currentWeight[row] <= 0) t.currentWeight[row] = t.maxWeight[row];
  }
  return -1;
}

/** An idle connection costs a server something, an active one 256 times as much. */
function overhead(t: Schedule, endpoint: number): number {
  return t.load.active[endpoint] * 256 + t.load.inactive[endpoint];
}

/** lc: the smallest overhead, the first of equals. */
function leastConnections(t: Schedule, member: Int32Array, at: number, n: number): number {
  let least = -1;
  let smallest = 0;
  for (let i = 0; i < n; i++) {
    const endpoint = member[at + i];
    if (t.weight[endpoint] === 0) continue;
    const cost = overhead(t, endpoint);
    if (least >= 0 && cost >= smallest) continue;
    least = endpoint;
    smallest = cost;
  }
  return least;
}

/** wlc: the smallest overhead by weight, compared crosswise to do without division. */
function leastByWeight(t: Schedule, member: Int32Array, at: number, n: number): number {
  let least = -1;
  let smallest = 0;
  for (let i = 0; i < n; i++) {
    const endpoint = member[at + i];
    const weight = t.weight[endpoint];
    if (weight === 0) continue;
    const cost = overhead(t, endpoint);
    if (least >= 0 && smallest * weight <= cost * t.weight[least]) continue;
    least = endpoint;
    smallest = cost;
  }
  return least;
}

/** sed: the smallest wait once this connection is there; nq: somebody without any, else as sed. */
function shortestDelay(t: Schedule, member: Int32Array, at: number, n: number, neverQueue: boolean): number {
  let least = -1;
  let smallest = 0;
  for (let i = 0; i < n; i++) {
    const endpoint = member[at + i];
    const weight = t.weight[endpoint];
    if (weight === 0) continue;
    const active = t.load.active[endpoint];
    if (neverQueue && active === 0) return endpoint;
    if (least >= 0 && smallest * weight <= (active + 1) * t.weight[least]) continue;
    least = endpoint;
    smallest = active + 1;
  }
  return least;
}

/** An address as IPVS folds it: IPv6's four words into one, a v4-mapped address to the IPv4 one. */
function fold(key: Int32Array, at: number): number {
  if ((key[at] | key[at + 1]) === 0 && key[at + 2] === 0xffff) return key[at + 3];
  return key[at] ^ key[at + 1] ^ key[at + 2] ^ key[at + 3];
}

function bucketOf(address: number): number {
  return Math.imul(address, GOLDEN_RATIO) >>> (32 - HASH_BITS);
}

/** sh: 256 buckets dealt round, to each endpoint as many in a row as it has weight (at least one). */
function bySource(t: Schedule, member: Int32Array, at: number, n: number, key: Int32Array): number {
  let left = bucketOf(fold(key, SRC0));
  for (let i = 0; ; i = i + 1 < n ? i + 1 : 0) {
    const endpoint = member[at + i];
    const weight = t.weight[endpoint];
    left -= weight > 1 ? weight : 1;
    if (left < 0) return weight > 0 ? endpoint : -1;
  }
}

/** dh: 256 buckets dealt round. A virtual server has one address, so it has one endpoint. */
function byDestination(t: Schedule, member: Int32Array, at: number, n: number, key: Int32Array): number {
  const endpoint = member[at + (bucketOf(fold(key, DST0)) % n)];
  return t.weight[endpoint] > 0 ? endpoint : -1;
}

/** mh: Maglev hashing by source address and port. */
function byMaglev(
  t: Schedule,
  f: number,
  member: Int32Array,
  at: number,
  n: number,
  key: Int32Array,
): number {
  const table = t.maglevAt[f];
  if (table === NO_TABLE) return bySource(t, member, at, n, key);
  const hash = hsiphash((fold(key, SRC0) + tuple.sourcePort(key)) | 0, MAGLEV_KEY) >>> 0;
  const endpoint = member[at + t.maglev[table + (hash % MAGLEV_SIZE)]];
  return t.weight[endpoint] > 0 ? endpoint : -1;
}

/** Carry out of the low word of a 64-bit sum. */
function carry(sum: number, a: number): number {
  return sum >>> 0 < a >>> 0 ? 1 : 0;
}

/**
 * hsiphash_1u32() of a 64-bit kernel: SipHash-1-3 of four bytes, the low word of it. Both words of the key are the same
 * here. A 64-bit word is two i32: h and l.
 */
export function hsiphash(value: number, key: number): number {
  let v0h = 0x736f6d65;
  let v0l = 0x70736575 ^ key;
  let v1h = 0x646f7261;
  let v1l = 0x6e646f6d ^ key;
  let v2h = 0x6c796765;
  let v2l = 0x6e657261 ^ key;
  let v3h = 0x74656462 ^ (4 << 24);
  let v3l = 0x79746573 ^ key ^ value;
  let x = 0;
  for (let round = 0; round < 4; round++) {
    if (round === 1) {
      v0h ^= 4 << 24;
      v0l ^= value;
      v2l ^= 0xff;
    }
    v0l = (v0l + v1l) | 0;
    v0h = (v0h + v1h + carry(v0l, v1l)) | 0;
    x = v1h;
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = ((v1l << 13) | (x >>> 19)) ^ v0l;
    x = v0h; // rotated by 32: the words change places
    v0h = v0l;
    v0l = x;
    v2l = (v2l + v3l) | 0;
    v2h = (v2h + v3h + carry(v2l, v3l)) | 0;
    x = v3h;
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = ((v3l << 16) | (x >>> 16)) ^ v2l;
    v0l = (v0l + v3l) | 0;
    v0h = (v0h + v3h + carry(v0l, v3l)) | 0;
    x = v3h;
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = ((v3l << 21) | (x >>> 11)) ^ v0l;
    v2l = (v2l + v1l) | 0;
    v2h = (v2h + v1h + carry(v2l, v1l)) | 0;
    x = v1h;
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = ((v1l << 17) | (x >>> 15)) ^ v2l;
    x = v2h;
    v2h = v2l;
    v2l = x;
  }
  return v0l ^ v1l ^ v2l ^ v3l;
}
