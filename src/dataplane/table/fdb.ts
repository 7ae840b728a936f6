// Forwarding database: source MAC → port it was last seen on (IEEE 802.1D-2004 §7.9).
//
// Open addressing with linear probing, at most half full, so that a miss ends after a probe or two. Removal
// shifts the entries behind the hole back (no tombstones), so a table under churn stays as fast as a fresh
// one; the price is that a slot number is only good until the next removal.
//
// Ageing: an entry is ignored from the second it expires, and its slot is given back by `ageSlice`, which
// the engine calls for a few slots per poll. Static entries never age and never move; they are for a plane
// that has seen no traffic to learn from: explain's, that is asked about one packet. (Elsewhere it is
// check-source that keeps a pod from sending with its neighbour's MAC.)
//
// A keyed hash costs more than the rest of a lookup, so the last slot found for
// each low byte of an address is remembered and tried first: 9 ns instead of 33. Nobody gains by filling
// that cache with rubbish but the 24 ns. When full, new addresses are not learned: their frames are
// flooded, correct but dear, and `full` counts it.
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../base/columns.ts";
import * as hashIndex from "./hash-index.ts";

const LAYOUT = 0x46444201; // "FDB", version 1
const SLOT_BYTES = 2 + 4 + 2 + 4;
const HINTS = 256;

export const AGE_SEC = 300; // IEEE 802.1D-2004 §7.9.2, recommended default
const STATIC = 0x7fffffff; // expiresAtSec of an entry that never ages

export const Learned = Object.freeze({
  KNOWN: 0,
  LEARNED: 1,
  MOVED: 2,
  FULL: 3,
  REFUSED: 4, // the address is static on another port
} as const);
export type Learned = (typeof Learned)[keyof typeof Learned];
const { KNOWN, LEARNED, MOVED, FULL, REFUSED } = Learned;

/** Places in `counters`. */
export const Counter = Object.freeze({ LEARNED: 0, MOVED: 1, FULL: 2, AGED: 3, REFUSED: 4 } as const);

const { SEED, USED } = Header;

export class Fdb {
  readonly header: Int32Array; //        words of base/columns Header
  readonly counters: Float64Array; //    Counter
  readonly macHi: Uint16Array; //        MAC bytes 0–1
  readonly macLo: Int32Array; //         MAC bytes 2–5, i32
  readonly port: Uint16Array; //         PortId
  readonly expiresAtSec: Int32Array; //  engine clock; 0 = slot free, 2^31-1 = static
  readonly hints: Int32Array; //         slot last found, by low byte of the MAC; checked before use
  readonly mask: number; //              slots - 1
  readonly usedMax: number;
  readonly seed: number;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Fdb.bytesFor(capacityLog2)),
    seed = 0,
  ) {
    const slots = 1 << capacityLog2;
    const carve = new ColumnCarver(memory);
    this.header = carve.header();
    this.counters = carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, seed);
    this.macLo = carve.int32(slots);
    this.expiresAtSec = carve.int32(slots);
    this.macHi = carve.uint16(slots);
    this.port = carve.uint16(slots);
    this.hints = carve.int32(HINTS);
    this.mask = slots - 1;
    this.usedMax = slots >> 1;
    this.seed = this.header[SEED];
  }

  static bytesFor(capacityLog2: number): number {
    return HEADER_BYTES + (1 << capacityLog2) * SLOT_BYTES + HINTS * 4;
  }
}

/** Slot of a live entry, or -1. Good until the next call that removes. */
export function find(t: Fdb, macHi: number, macLo: number, nowSec: number): number {
  const slot = locate(t, macHi, macLo);
  return slot >= 0 && t.expiresAtSec[slot] > nowSec ? slot : -1;
}

/** Notes that `macHi:macLo` was seen on `port`. The caller has refused group addresses. */
export function learn(t: Fdb, macHi: number, macLo: number, port: number, nowSec: number): Learned {
  const slot = locate(t, macHi, macLo);
  if (slot < 0) {
    if (t.header[USED] >= t.usedMax) {
      t.counters[Counter.FULL] += 1;
      return FULL;
    }
    put(t, ~slot, macHi, macLo, port, nowSec + AGE_SEC);
    t.counters[Counter.LEARNED] += 1;
    return LEARNED;
  }
  const expiresAtSec = t.expiresAtSec[slot];
  if (expiresAtSec === STATIC) {
    if (t.port[slot] === port) return KNOWN;
    t.counters[Counter.REFUSED] += 1;
    return REFUSED;
  }
  t.expiresAtSec[slot] = nowSec + AGE_SEC;
  if (expiresAtSec <= nowSec) {
    // It had aged out and only its slot was still taken: for everybody outside this is a new address.
    t.port[slot] = port;
    t.counters[Counter.AGED] += 1;
    t.counters[Counter.LEARNED] += 1;
    return LEARNED;
  }
  if (t.port[slot] === port) return KNOWN;
  t.port[slot] = port;
  t.counters[Counter.MOVED] += 1;
  return MOVED;
}

/** As `learn` for a live entry whose port is the one that it was seen on again. */
export function renew(t: Fdb, slot: number, nowSec: number): void {
  if (t.expiresAtSec[slot] !== STATIC) t.expiresAtSec[slot] = nowSec + AGE_SEC;
}

/**
 * Binds an address to a port for good, in place of whatever was learned. In a full table a learned entry
 * makes room: a pod that floods made-up addresses must not keep the next pod from being attached. False
 * when all are static.
 */
export function addStatic(t: Fdb, macHi: number, macLo: number, port: number): boolean {
  let slot = locate(t, macHi, macLo);
  if (slot >= 0) {
    t.port[slot] = port;
    t.expiresAtSec[slot] = STATIC;
    return true;
  }
  if (t.header[USED] >= t.usedMax) {
    t.counters[Counter.FULL] += 1;
    const victim = nextLearned(t, ~slot);
    if (victim < 0) return false;
    release(t, victim);
    slot = locate(t, macHi, macLo); // the removal may have moved the free slot
  }
  put(t, ~slot, macHi, macLo, port, STATIC);
  return true;
}

export function isStatic(t: Fdb, slot: number): boolean {
  return t.expiresAtSec[slot] === STATIC;
}

/**
 * Forgets every address of a port that goes away, static ones too. Returns how many. Walks the whole table.
 */
export function removePort(t: Fdb, port: number): number {
  let removed = 0;
  for (let slot = 0; slot <= t.mask; slot++) {
    // Again at the same slot after a removal: another entry may have moved in.
    while (t.expiresAtSec[slot] !== 0 && t.port[slot] === port) {
      release(t, slot);
      removed++;
    }
  }
  return removed;
}

/** Frees expired entries among `count` slots from `fromSlot` (taken modulo the size). Returns how many. */
export function ageSlice(t: Fdb, fromSlot: number, count: number, nowSec: number): number {
  let aged = 0;
  for (let i = 0; i < count; i++) {
    const slot = (fromSlot + i) & t.mask;
    while (t.expiresAtSec[slot] !== 0 && t.expiresAtSec[slot] <= nowSec) {
      release(t, slot);
      aged++;
    }
  }
  t.counters[Counter.AGED] += aged;
  return aged;
}

/** Entries that hold a slot, expired ones included. */
export function used(t: Fdb): number {
  return t.header[USED];
}

/** Slot of the entry, expired or not; or ~slot of the free slot where it would go. */
function locate(t: Fdb, macHi: number, macLo: number): number {
  const hint = t.hints[macLo & (HINTS - 1)];
  if (t.macLo[hint] === macLo && t.macHi[hint] === macHi && t.expiresAtSec[hint] !== 0) return hint;
  return probe(t, macHi, macLo);
}

function probe(t: Fdb, macHi: number, macLo: number): number {
  let slot = hashIndex.mix2(t.seed, macHi, macLo) & t.mask;
  while (t.expiresAtSec[slot] !== 0) {
    if (t.macLo[slot] === macLo && t.macHi[slot] === macHi) {
      t.hints[macLo & (HINTS - 1)] = slot;
      return slot;
    }
    slot = (slot + 1) & t.mask;
  }
  return ~slot;
}

/** The learned entry at or after a slot, or -1. */
function nextLearned(t: Fdb, fromSlot: number): number {
  for (let i = 0; i <= t.mask; i++) {
    const slot = (fromSlot + i) & t.mask;
    const expiresAtSec = t.expiresAtSec[slot];
    if (expiresAtSec !== 0 && expiresAtSec !== STATIC) return slot;
  }
  return -1;
}

function put(t: Fdb, slot: number, macHi: number, macLo: number, port: number, expiresAtSec: number): void {
  t.macHi[slot] = macHi;
  t.macLo[slot] = macLo;
  t.port[slot] = port;
  t.expiresAtSec[slot] = expiresAtSec;
  t.header[USED] += 1;
}

/** Frees a slot and closes the gap behind it. */
function release(t: Fdb, slot: number): void {
  let hole = slot;
  let from = (hole + 1) & t.mask;
  while (t.expiresAtSec[from] !== 0) {
    const home = hashIndex.mix2(t.seed, t.macHi[from], t.macLo[from]) & t.mask;
    if (hashIndex.canFill(hole, from, home, t.mask)) {
      t.macHi[hole] = t.macHi[from];
      t.macLo[hole] = t.macLo[from];
      t.port[hole] = t.port[from];
      t.expiresAtSec[hole] = t.expiresAtSec[from];
      hole = from;
    }
    from = (from + 1) & t.mask;
  }
  t.expiresAtSec[hole] = 0;
  t.header[USED] -= 1;
}
