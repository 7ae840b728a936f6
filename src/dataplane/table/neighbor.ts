// Neighbours on one link: IP address (v4-mapped) → MAC, for ARP and neighbour discovery alike, with the
// states, names and timers of Linux (RFC 4861 §7.3.2, net/core/neighbour.c).
//
//   resolve ─▶ INCOMPLETE ─reply─▶ REACHABLE ─30 s─▶ STALE ─used─▶ DELAY ─5 s─▶ PROBE ─3 × 1 s─▶ FAILED
//                   └─ 3 probes, 1 s apart, no reply ─▶ FAILED ─used─▶ INCOMPLETE
//
// The table sends nothing. `pollTimers` (neighbor-timers.ts) says which neighbours want a probe and which
// have failed; the caller sends the ARP request or solicitation, or answers the packets that waited with
// host unreachable. Packets wait as arena slot numbers, at most 256 a neighbour (the oldest gives way, as
// Linux's unres_qlen_bytes) and 288 altogether, so that somebody who scans an empty subnet cannot hold the whole
// arena.
//
// Slots are stable for an entry's life: the index is chained, not probed. When full, a failed entry or the
// longest unused stale one among the next few under a moving hand makes room; else `full` counts the
// refusal. Permanent entries (pods, VTEPs, the node itself) are never probed, changed by what a peer says,
// or reclaimed.
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../base/columns.ts";
import * as hashIndex from "./hash-index.ts";
import * as pendingQueue from "./pending-queue.ts";

const LAYOUT = 0x4e424e02; // "NBN", version 2
const HINTS = 256;
const SLOT_BYTES = 10 * 4 + 2 * 2 + 3;

/** Zero is a free slot. The numbers are ours, the names Linux's NUD_*. */
export const State = Object.freeze({
  FREE: 0,
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 3,
  DELAY: 4,
  PROBE: 5,
  FAILED: 6,
  PERMANENT: 7,
} as const);
export type State = (typeof State)[keyof typeof State];
const { FREE, INCOMPLETE, REACHABLE, STALE, DELAY, FAILED, PERMANENT } = State;
export const STATE_NAMES: readonly string[] = Object.keys(State);

/** What a peer's message said about itself; `confirm` takes the sum. */
export const Confirm = Object.freeze({ SOLICITED: 1, OVERRIDE: 2, CREATE: 4 } as const);
/** Places in `counters`. */
export const Counter = Object.freeze({
  CREATED: 0,
  FULL: 1,
  FAILED: 2,
  QUEUED_OUT: 3,
  PROBES: 4,
  MOVED: 5,
} as const);

// Defaults of Linux: net/ipv4/arp.c arp_tbl.parms, RFC 4861 §10.
const REACHABLE_BASE_MS = 30_000; // times 0.5–1.5, drawn per confirmation, so that probes do not align
export const DELAY_FIRST_PROBE_MS = 5_000;
export const GC_STALE_MS = 60_000;

const VICTIM_SCAN = 64; // slots one creation in a full table looks at
export const NO_PORT = 0xffff;

const { SEED, USED, OWN } = Header;
const H_FREE = OWN; //            first of the freed slots + 1
const H_FRESH = OWN + 1; //       slots never used begin here
export const H_NEXT_DUE = OWN + 2; // ms; no timer fires before it
export const H_SCAN = OWN + 3; //  slot where a running timer walk goes on, 0 = none running
const H_RANDOM = OWN + 4; //      xorshift state for the reachable time
const H_HAND = OWN + 5; //        where the search for a victim goes on

export class Neighbors {
  readonly header: Int32Array;
  readonly counters: Float64Array; //  Counter
  readonly addr0: Int32Array; //       v4-mapped address, words 0–3
  readonly addr1: Int32Array;
  readonly addr2: Int32Array;
  readonly addr3: Int32Array;
  readonly macLo: Int32Array; //       MAC bytes 2–5
  readonly macHi: Uint16Array; //      MAC bytes 0–1
  readonly port: Uint16Array; //       PortId of a permanent entry, else NO_PORT
  readonly state: Uint8Array; //       State
  readonly probes: Uint8Array; //      sent in this state
  readonly timed: Uint8Array; //       1: dueMs counts
  readonly dueMs: Int32Array; //       when the state ends; engine clock, wraps
  readonly usedMs: Int32Array; //      last time a packet was sent to it
  readonly updatedMs: Int32Array; //   last time it was confirmed
  readonly heads: Int32Array; //       hash chains, slot + 1
  readonly nexts: Int32Array; //       next in the chain, or in the list of freed slots
  readonly hints: Int32Array; //       slot last found, by low byte of the address; saves the keyed hash
  readonly waiting: pendingQueue.PendingQueues; // packets waiting for the MAC, by slot
  readonly mask: number;
  readonly seed: number;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Neighbors.bytesFor(capacityLog2)),
    seed = 0,
  ) {
    const slots = 1 << capacityLog2;
    const carve = new ColumnCarver(memory);
    this.header = carve.header();
    this.counters = carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, seed);
    this.addr0 = carve.int32(slots);
    this.addr1 = carve.int32(slots);
    this.addr2 = carve.int32(slots);
    this.addr3 = carve.int32(slots);
    this.macLo = carve.int32(slots);
    this.dueMs = carve.int32(slots);
    this.usedMs = carve.int32(slots);
    this.updatedMs = carve.int32(slots);
    this.heads = carve.int32(slots);
    this.nexts = carve.int32(slots);
    this.macHi = carve.uint16(slots);
    this.port = carve.uint16(slots);
    this.state = carve.uint8(slots);
    this.probes = carve.uint8(slots);
    this.timed = carve.uint8(slots);
    this.hints = carve.int32(HINTS);
    this.waiting = new pendingQueue.PendingQueues(carve, slots);
    this.mask = slots - 1;
    this.seed = this.header[SEED];
  }

  static bytesFor(capacityLog2: number): number {
    const slots = 1 << capacityLog2;
    return HEADER_BYTES + slots * SLOT_BYTES + HINTS * 4 + pendingQueue.PendingQueues.bytesFor(slots);
  }
}

/** Slot of the address in whatever state, or -1. Has no effect; `resolve` is for sending. */
export function find(t: Neighbors, w0: number, w1: number, w2: number, w3: number): number {
  const hint = t.hints[w3 & (HINTS - 1)];
  if (t.state[hint] !== FREE && isAt(t, hint, w0, w1, w2, w3)) return hint;
  let slot = t.heads[bucketOf(t, w0, w1, w2, w3)] - 1;
  while (slot >= 0 && !isAt(t, slot, w0, w1, w2, w3)) slot = t.nexts[slot] - 1;
  if (slot >= 0) t.hints[w3 & (HINTS - 1)] = slot;
  return slot;
}

/** True when frames may be sent to the MAC in `slot`; otherwise they wait in its queue. */
export function isUsable(t: Neighbors, slot: number): boolean {
  const state = t.state[slot];
  return state !== INCOMPLETE && state !== FAILED && state !== FREE;
}

/**
 * Slot of the neighbour that a packet is about to be sent to, made if need be; or -1: the table is full.
 * A new or failed neighbour becomes INCOMPLETE with its first probe due at once, a stale one DELAY.
 */
export function resolve(t: Neighbors, w0: number, w1: number, w2: number, w3: number, nowMs: number): number {
  let slot = find(t, w0, w1, w2, w3);
  if (slot < 0) slot = create(t, w0, w1, w2, w3, nowMs);
  if (slot < 0) return -1;
  use(t, slot, nowMs);
  return slot;
}

/** As `resolve`, for a slot already found. */
export function use(t: Neighbors, slot: number, nowMs: number): void {
  t.usedMs[slot] = nowMs;
  const state = t.state[slot];
  if (state === STALE) {
    t.state[slot] = DELAY;
    schedule(t, slot, (nowMs + DELAY_FIRST_PROBE_MS) | 0);
  } else if (state === FAILED) {
    t.state[slot] = INCOMPLETE;
    t.probes[slot] = 0;
    schedule(t, slot, nowMs);
  }
}

/**
 * Takes in what a peer said: `flags` of Confirm. ARP: a reply to us is SOLICITED | OVERRIDE, a request or
 * gratuitous reply OVERRIDE (with CREATE where Linux would create). ND: flags as in the advertisement (RFC
 * 4861 §7.2.5); a solicitation's source option is OVERRIDE | CREATE. Returns the slot, whose queue the
 * caller sends when `isUsable`; or -1 when the address is unknown and not to be created, or the table is
 * full.
 */
export function confirm(
  t: Neighbors,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  macHi: number,
  macLo: number,
  nowMs: number,
  flags: number,
): number {
  let slot = find(t, w0, w1, w2, w3);
  if (slot < 0 && (flags & Confirm.CREATE) !== 0) slot = create(t, w0, w1, w2, w3, nowMs);
  if (slot < 0) return -1;
  const state = t.state[slot];
  if (state === PERMANENT) return slot;
  const solicited = (flags & Confirm.SOLICITED) !== 0;
  if (state === INCOMPLETE || state === FAILED) {
    setMac(t, slot, macHi, macLo);
    if (solicited) becomeReachable(t, slot, nowMs);
    else becomeStale(t, slot, nowMs);
    return slot;
  }
  const same = t.macHi[slot] === macHi && t.macLo[slot] === macLo;
  if (!same && (flags & Confirm.OVERRIDE) === 0) {
    if (state === REACHABLE) becomeStale(t, slot, nowMs); // doubt, but keep what we have
    return slot;
  }
  if (!same) {
    setMac(t, slot, macHi, macLo);
    t.counters[Counter.MOVED] += 1;
  }
  if (solicited) becomeReachable(t, slot, nowMs);
  else if (!same) becomeStale(t, slot, nowMs);
  return slot;
}

/**
 * Sets an address for good. Returns its slot, whose queue the caller may send; or -1 when the table is
 * full.
 */
export function addPermanent(
  t: Neighbors,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  macHi: number,
  macLo: number,
  port: number,
): number {
  let slot = find(t, w0, w1, w2, w3);
  if (slot < 0) slot = create(t, w0, w1, w2, w3, 0);
  if (slot < 0) return -1;
  setMac(t, slot, macHi, macLo);
  t.port[slot] = port;
  t.state[slot] = PERMANENT;
  t.timed[slot] = 0;
  return slot;
}

/** Forgets a slot. The caller has emptied its queue with `dequeue`; what is left in it is lost. */
export function remove(t: Neighbors, slot: number): void {
  if (t.state[slot] === FREE) return;
  while (dequeue(t, slot) !== -1);
  t.timed[slot] = 0;
  const bucket = bucketOf(t, t.addr0[slot], t.addr1[slot], t.addr2[slot], t.addr3[slot]);
  hashIndex.chainRemove(t.heads, t.nexts, bucket, slot);
  t.state[slot] = FREE;
  t.nexts[slot] = t.header[H_FREE];
  t.header[H_FREE] = slot + 1;
  t.header[USED] -= 1;
}

/**
 * Lets a packet wait for `slot`. Returns the arena slot of a packet that had to give way, for the caller to
 * free: the neighbour's oldest, or `arenaSlot` itself when too many wait elsewhere; -1 when there was room.
 */
export function enqueue(t: Neighbors, slot: number, arenaSlot: number, lenBytes: number): number {
  const dropped = pendingQueue.enqueue(t.waiting, slot, arenaSlot, lenBytes);
  if (dropped >= 0) t.counters[Counter.QUEUED_OUT] += 1;
  return dropped;
}

/** Bytes of the packet that `dequeue` gives next; -1: none. */
export function frontLen(t: Neighbors, slot: number): number {
  return pendingQueue.frontLen(t.waiting, slot);
}

/** Arena slot of the packet that has waited longest, or -1. */
export function dequeue(t: Neighbors, slot: number): number {
  return pendingQueue.dequeue(t.waiting, slot);
}

export function used(t: Neighbors): number {
  return t.header[USED];
}

function becomeReachable(t: Neighbors, slot: number, nowMs: number): void {
  const random = hashIndex.nextRandom(t.header[H_RANDOM] ^ t.seed) ^ t.seed;
  t.header[H_RANDOM] = random;
  t.state[slot] = REACHABLE;
  t.updatedMs[slot] = nowMs;
  const spreadMs = (random & 0x7fffffff) % REACHABLE_BASE_MS;
  schedule(t, slot, (nowMs + (REACHABLE_BASE_MS >> 1) + spreadMs) | 0);
}

export function becomeStale(t: Neighbors, slot: number, nowMs: number): void {
  t.state[slot] = STALE;
  t.updatedMs[slot] = nowMs;
  schedule(t, slot, (nowMs + GC_STALE_MS) | 0);
}

function setMac(t: Neighbors, slot: number, macHi: number, macLo: number): void {
  t.macHi[slot] = macHi;
  t.macLo[slot] = macLo;
}

/** Ends the state in `slot` at `dueMs`. */
export function schedule(t: Neighbors, slot: number, dueMs: number): void {
  t.timed[slot] = 1;
  t.dueMs[slot] = dueMs;
  lowerNextDue(t, dueMs);
}

export function lowerNextDue(t: Neighbors, dueMs: number): void {
  if (((dueMs - t.header[H_NEXT_DUE]) | 0) < 0) t.header[H_NEXT_DUE] = dueMs;
}

/** A new entry, not yet asked for, so FAILED; or -1. */
function create(t: Neighbors, w0: number, w1: number, w2: number, w3: number, nowMs: number): number {
  const slot = takeSlot(t);
  if (slot < 0) {
    t.counters[Counter.FULL] += 1;
    return -1;
  }
  t.addr0[slot] = w0;
  t.addr1[slot] = w1;
  t.addr2[slot] = w2;
  t.addr3[slot] = w3;
  setMac(t, slot, 0, 0);
  t.port[slot] = NO_PORT;
  t.state[slot] = FAILED;
  t.probes[slot] = 0;
  t.timed[slot] = 0;
  t.usedMs[slot] = nowMs;
  t.updatedMs[slot] = nowMs;
  hashIndex.chainInsert(t.heads, t.nexts, bucketOf(t, w0, w1, w2, w3), slot);
  t.header[USED] += 1;
  t.counters[Counter.CREATED] += 1;
  return slot;
}

function takeSlot(t: Neighbors): number {
  if (t.header[H_FREE] === 0 && t.header[H_FRESH] > t.mask) {
    const victim = findVictim(t);
    if (victim < 0) return -1;
    remove(t, victim);
  }
  const freed = t.header[H_FREE] - 1;
  if (freed >= 0) {
    t.header[H_FREE] = t.nexts[freed];
    return freed;
  }
  const fresh = t.header[H_FRESH];
  t.header[H_FRESH] = fresh + 1;
  return fresh;
}

/** A failed entry, or the longest unused stale one, among the next few slots; -1 when they are all needed. */
function findVictim(t: Neighbors): number {
  let victim = -1;
  const hand = t.header[H_HAND];
  t.header[H_HAND] = (hand + VICTIM_SCAN) & t.mask;
  for (let i = 0; i < VICTIM_SCAN; i++) {
    const slot = (hand + i) & t.mask;
    if (t.waiting.count[slot] !== 0) continue;
    const state = t.state[slot];
    if (state === FAILED) return slot;
    if (state === STALE && (victim < 0 || ((t.usedMs[slot] - t.usedMs[victim]) | 0) < 0)) victim = slot;
  }
  return victim;
}

function isAt(t: Neighbors, slot: number, w0: number, w1: number, w2: number, w3: number): boolean {
  return t.addr3[slot] === w3 && t.addr2[slot] === w2 && t.addr1[slot] === w1 && t.addr0[slot] === w0;
}

function bucketOf(t: Neighbors, w0: number, w1: number, w2: number, w3: number): number {
  return hashIndex.mix4(t.seed, w0, w1, w2, w3) & t.mask;
}
