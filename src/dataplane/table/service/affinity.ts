// Session affinity (sessionAffinity: ClientIP): (service port, client) → the endpoint its last new connection got.
// One record serves all frontends of a service port (ClusterIP, external addresses, node port), as kube-proxy's
// `recent` lists and dynamic sets do; service ports have their own ids, so that ports never share. The caller gives a
// service port two ids: a second choice that a policy forced upon a client does not end the first (choose-backend).
//
// A record counts from the client's last new connection: every one of them writes it anew. Time-outs are kept to the
// millisecond, as the kernel's jiffies nearly do: with whole seconds one of a second would last nearly two. A record
// names its endpoint by id (identities.ts), so that records of one that went away are dead without a walk; whether the
// endpoint may still be chosen (its service port's set for this source) is the caller's question.
//
// Open addressing with linear probing, at most half full, no tombstones. When full, the record that ends first
// among a few under a moving hand makes room: a client that comes back then gets any endpoint, which is what
// happens with xt_recent after 100 clients of an endpoint. Clients choose their addresses, so the hash is keyed.
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../../base/columns.ts";
import { TupleWord } from "../connection/tuple.ts";
import * as hashIndex from "../hash-index.ts";

const { SRC0, SRC1, SRC2, SRC3 } = TupleWord;

const LAYOUT = 0x41464603; // "AFF", version 3
const KEY_WORDS = 4; //       client address, v4-mapped for IPv4
const SLOT_WORDS = KEY_WORDS + 3;
const VICTIM_SCAN = 8;

/** Places in `counters`. */
export const Counter = Object.freeze({ CREATED: 0, RENEWED: 1, AGED: 2, EVICTED: 3 } as const);

const { SEED, USED, OWN } = Header;
const H_HAND = OWN; //      where the search for a victim goes on
const H_SWEEP = OWN + 1; // where the ageing walk goes on

export class Affinity {
  static readonly LAYOUT = LAYOUT;
  readonly header: Int32Array; //       words of base/columns Header
  readonly counters: Float64Array; //   Counter
  readonly client: Int32Array; //       KEY_WORDS a slot
  readonly service: Int32Array; //      id of the service port
  readonly endpoint: Int32Array; //     id of the endpoint
  readonly expiresAtMs: Int32Array; //  last millisecond in which it counts, engine clock (wraps); 0 = slot free
  readonly mask: number;
  readonly usedMax: number;
  readonly seed: number;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Affinity.bytesFor(capacityLog2)),
    seed = 0,
    offset = 0,
  ) {
    const slots = 1 << capacityLog2;
    const carve = new ColumnCarver(memory, offset);
    this.header = carve.header();
    this.counters = carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, seed);
    this.client = carve.int32(slots * KEY_WORDS);
    this.service = carve.int32(slots);
    this.endpoint = carve.int32(slots);
    this.expiresAtMs = carve.int32(slots);
    this.mask = slots - 1;
    this.usedMax = slots >> 1;
    this.seed = this.header[SEED];
  }

  static bytesFor(capacityLog2: number): number {
    return HEADER_BYTES + (1 << capacityLog2) * SLOT_WORDS * 4;
  }
}

/** Slot of the live record of this client (words 0–3 of `key`), or -1. Good until the next call that writes. */
export function find(t: Affinity, service: number, key: Int32Array, nowMs: number): number {
  const slot = locate(t, service, key);
  return slot >= 0 && !isDead(t, slot, nowMs) ? slot : -1;
}

/** Writes down which endpoint the client's new connection got; the record counts for `timeoutMs` from now. */
export function remember(
  t: Affinity,
  service: number,
  key: Int32Array,
  endpoint: number,
  timeoutMs: number,
  nowMs: number,
): void {
  let slot = locate(t, service, key);
  if (slot < 0) {
    if (t.header[USED] >= t.usedMax) {
      evict(t);
      slot = locate(t, service, key); // the eviction may have moved the free slot
    }
    slot = ~slot;
    const at = slot * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) t.client[at + i] = key[i];
    t.service[slot] = service;
    t.header[USED] += 1;
    t.counters[Counter.CREATED] += 1;
  } else t.counters[Counter.RENEWED] += 1;
  t.endpoint[slot] = endpoint;
  t.expiresAtMs[slot] = (nowMs + timeoutMs) | 0 || 1;
}

/** Frees dead records among the next `count` slots. Returns how many. */
export function ageSlice(t: Affinity, count: number, nowMs: number): number {
  if (t.header[USED] === 0) return 0;
  let aged = 0;
  let slot = t.header[H_SWEEP];
  for (let i = 0; i < count; i++) {
    // Again at the same slot after a removal: another record may have moved in.
    while (t.expiresAtMs[slot] !== 0 && isDead(t, slot, nowMs)) {
      release(t, slot);
      aged++;
    }
    slot = (slot + 1) & t.mask;
  }
  t.header[H_SWEEP] = slot;
  t.counters[Counter.AGED] += aged;
  return aged;
}

/** Records that hold a slot, dead ones included. */
export function used(t: Affinity): number {
  return t.header[USED];
}

/**
 * Counts the slots that are held, which whoever was killed may not have got to. A slot is counted before it is held and
 * until it is free, so that there may be fewer than counted, never more. Cold.
 */
export function recount(t: Affinity): void {
  if (t.header[USED] === 0) return;
  let held = 0;
  for (let slot = 0; slot <= t.mask; slot++) if (t.expiresAtMs[slot] !== 0) held++;
  t.header[USED] = held;
}

/** Forgets everything. Cold. */
export function clear(t: Affinity): void {
  if (t.header[USED] === 0) return;
  t.expiresAtMs.fill(0);
  t.header[USED] = 0;
}

/** Slot of the record, dead or alive; or ~slot of the free slot where it would go. */
function locate(t: Affinity, service: number, key: Int32Array): number {
  let slot = hashIndex.mix5(t.seed, service, key[SRC0], key[SRC1], key[SRC2], key[SRC3]) & t.mask;
  while (t.expiresAtMs[slot] !== 0) {
    const at = slot * KEY_WORDS;
    if (
      t.client[at + 3] === key[SRC3] &&
      t.service[slot] === service &&
      t.client[at + 2] === key[SRC2] &&
      t.client[at + 1] === key[SRC1] &&
      t.client[at] === key[SRC0]
    ) {
      return slot;
    }
    slot = (slot + 1) & t.mask;
  }
  return ~slot;
}

function isDead(t: Affinity, slot: number, nowMs: number): boolean {
  return ((t.expiresAtMs[slot] - nowMs) | 0) < 0;
}

function homeOf(t: Affinity, slot: number): number {
  const at = slot * KEY_WORDS;
  const c = t.client;
  return hashIndex.mix5(t.seed, t.service[slot], c[at], c[at + 1], c[at + 2], c[at + 3]) & t.mask;
}

/** Takes out the record that ends first among the next few. The table is half full, so there is one. */
function evict(t: Affinity): void {
  let slot = t.header[H_HAND];
  let victim = -1;
  for (let seen = 0, steps = 0; seen < VICTIM_SCAN && steps <= t.mask; steps++) {
    if (t.expiresAtMs[slot] !== 0) {
      if (victim < 0 || ((t.expiresAtMs[slot] - t.expiresAtMs[victim]) | 0) < 0) victim = slot;
      seen++;
    }
    slot = (slot + 1) & t.mask;
  }
  t.header[H_HAND] = slot;
  if (victim < 0) return;
  release(t, victim);
  t.counters[Counter.EVICTED] += 1;
}

/** Frees a slot and closes the gap behind it. */
function release(t: Affinity, slot: number): void {
  let hole = slot;
  let from = (hole + 1) & t.mask;
  while (t.expiresAtMs[from] !== 0) {
    if (hashIndex.canFill(hole, from, homeOf(t, from), t.mask)) {
      for (let i = 0; i < KEY_WORDS; i++) t.client[hole * KEY_WORDS + i] = t.client[from * KEY_WORDS + i];
      t.service[hole] = t.service[from];
      t.endpoint[hole] = t.endpoint[from];
      t.expiresAtMs[hole] = t.expiresAtMs[from];
      hole = from;
    }
    from = (from + 1) & t.mask;
  }
  t.expiresAtMs[hole] = 0;
  t.header[USED] -= 1;
}
