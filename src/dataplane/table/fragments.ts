// Reassembly of IPv4 and IPv6 fragments: the bookkeeping (RFC 791, 815; RFC 8200 §4.5, 5722). No bytes are
// touched here: a queue owns one arena slot, and the stage copies each fragment's payload to its offset
// there once `store` agreed.
//
//   find(key) or open(key, arenaSlot) → store(queue, offset, length) → COMPLETE: close(queue) gives it back
//
// What has arrived is a short list of intervals, merged where they touch: in-order fragments make one.
// Nothing may arrive twice with different bounds: data that reaches into what is there already gives the
// whole datagram up (RFC 5722, and Linux for IPv4 too), because the choice between two versions is how
// filters are fooled. Data that is there already as a whole is a duplicate and ignored, as Linux does.
//
// Bounded on every side: queues (the arena lends few), 64 intervals a queue, 30 s (IPv4, ipfrag_time) or 60
// s (IPv6, RFC 8200) from the first fragment to come. Full: `open` says so, and the stage may let the
// oldest queue go.
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../base/columns.ts";
import { TupleWord } from "./connection/tuple.ts";
import * as hashIndex from "./hash-index.ts";
import * as words128 from "./words128.ts";

const { SRC0, SRC1, SRC2 } = TupleWord;

const LAYOUT = 0x46524701; // "FRG", version 1
const KEY_WORDS = 8; //       source and destination
const INTERVALS_MAX = 64;
const QUEUE_BYTES = KEY_WORDS * 4 + 10 * 4 + 2 * 2 * INTERVALS_MAX + 3;
const DATAGRAM_BYTES_MAX = 65_535;
const EXPIRE_SCAN = 16; //    queues one expireSlice call looks at
const TIMEOUT_V4_SEC = 30; // net.ipv4.ipfrag_time
const TIMEOUT_V6_SEC = 60; // RFC 8200 §4.5, net.ipv6.ip6frag_time

export const Status = Object.freeze({
  STORED: 0, //     copy the payload; more to come
  COMPLETE: 1, //   copy the payload; the datagram is whole
  DUPLICATE: 2, //  ignore the fragment
  BAD_LENGTH: 3, // drop the fragment: empty, or not the last and no multiple of 8 (ICMPv6 parameter problem)
  TOO_BIG: 4, //    drop the fragment: reaches past 65 535 (ICMPv6 parameter problem)
  OVERLAP: 5, //    drop the queue: two versions of the same bytes
  CONFLICT: 6, //   drop the queue: two ends, or data past the end
  TOO_MANY: 7, //   drop the queue: more holes than we remember
} as const);
export type Status = (typeof Status)[keyof typeof Status];
const { STORED, COMPLETE, DUPLICATE, BAD_LENGTH, TOO_BIG, OVERLAP, CONFLICT, TOO_MANY } = Status;

/**
 * What `store` wants to know of a fragment's header; the ECN codepoint goes into the two bits from
 * ECN_SHIFT.
 */
export const Flag = Object.freeze({ MORE: 1, DONT_FRAGMENT: 2 } as const);
export const ECN_SHIFT = 2;

/** Places in `counters`. */
export const Counter = Object.freeze({
  OPENED: 0,
  COMPLETED: 1,
  EXPIRED: 2,
  DROPPED: 3, // queues closed before they were whole, expired ones among them
  FULL: 4,
  DUPLICATES: 5,
} as const);

const { SEED, USED, OWN } = Header;
const H_FREE = OWN; //      first of the freed queues + 1
const H_FRESH = OWN + 1; // queues never used begin here
const H_HAND = OWN + 2; //  where the expiry walk goes on
const H_LAST = OWN + 3; //  queue found last
const H_OPENED = OWN + 4; // number of the next queue opened, wraps: tells which is oldest

export class Fragments {
  readonly header: Int32Array;
  readonly counters: Float64Array; //    Counter
  readonly key: Int32Array; //           KEY_WORDS a queue
  readonly id: Int32Array; //            IPv4 identification, 16 bits; IPv6 32 bits
  readonly proto: Int32Array; //         what else tells datagrams apart
  readonly arenaSlot: Int32Array;
  readonly expiresAtSec: Int32Array; //  engine clock; 0 = free
  readonly opened: Int32Array; //        running number
  readonly totalLen: Int32Array; //      payload bytes of the datagram; 0 until the last fragment came
  readonly fragmentMax: Int32Array; //   largest IP packet seen (the kernel's frag_max_size)
  readonly received: Int32Array; //      payload bytes stored
  readonly heads: Int32Array;
  readonly nexts: Int32Array;
  readonly starts: Uint16Array; //       INTERVALS_MAX a queue, ascending, none touching another
  readonly ends: Uint16Array; //         first byte past the interval
  readonly intervals: Uint8Array;
  readonly dontFragment: Uint8Array; //  1: a fragment had DF set
  readonly ecnSeen: Uint8Array; //       bit per ECN codepoint seen (RFC 3168 §5.3)
  readonly mask: number;
  readonly seed: number;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Fragments.bytesFor(capacityLog2)),
    seed = 0,
  ) {
    const queues = 1 << capacityLog2;
    const carve = new ColumnCarver(memory);
    this.header = carve.header();
    this.counters = carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, seed);
    this.key = carve.int32(queues * KEY_WORDS);
    this.id = carve.int32(queues);
    this.proto = carve.int32(queues);
    this.arenaSlot = carve.int32(queues);
    this.expiresAtSec = carve.int32(queues);
    this.opened = carve.int32(queues);
    this.totalLen = carve.int32(queues);
    this.fragmentMax = carve.int32(queues);
    this.received = carve.int32(queues);
    this.heads = carve.int32(queues);
    this.nexts = carve.int32(queues);
    this.starts = carve.uint16(queues * INTERVALS_MAX);
    this.ends = carve.uint16(queues * INTERVALS_MAX);
    this.intervals = carve.uint8(queues);
    this.dontFragment = carve.uint8(queues);
    this.ecnSeen = carve.uint8(queues);
    this.mask = queues - 1;
    this.seed = this.header[SEED];
  }

  static bytesFor(capacityLog2: number): number {
    return HEADER_BYTES + (1 << capacityLog2) * QUEUE_BYTES;
  }
}

/**
 * Queue of a datagram, or -1. `key`: source and destination, four words each, as in a packet's key.
 * `proto`: for IPv4 the protocol, for IPv6 0 (RFC 8200 §4.5 tells datagrams apart without it).
 */
export function find(t: Fragments, key: Int32Array, id: number, proto: number): number {
  const last = t.header[H_LAST]; // fragments mostly come in a row: 10 ns instead of 45 for the hash
  if (t.expiresAtSec[last] !== 0 && isAt(t, last, key, id, proto)) return last;
  let queue = t.heads[bucketOf(t, key, 0, id, proto)] - 1;
  while (queue >= 0 && !isAt(t, queue, key, id, proto)) queue = t.nexts[queue] - 1;
  if (queue >= 0) t.header[H_LAST] = queue;
  return queue;
}

/** A new, empty queue that owns `arenaSlot`; or -1 when all are taken, and the slot stays the caller's. */
export function open(
  t: Fragments,
  key: Int32Array,
  id: number,
  proto: number,
  arenaSlot: number,
  nowSec: number,
): number {
  const queue = takeQueue(t);
  if (queue < 0) {
    t.counters[Counter.FULL] += 1;
    return -1;
  }
  const isV4 = key[SRC2] === words128.V4_MAPPED && (key[SRC0] | key[SRC1]) === 0;
  for (let i = 0; i < KEY_WORDS; i++) t.key[queue * KEY_WORDS + i] = key[i];
  t.id[queue] = id;
  t.proto[queue] = proto;
  t.arenaSlot[queue] = arenaSlot;
  t.expiresAtSec[queue] = nowSec + (isV4 ? TIMEOUT_V4_SEC : TIMEOUT_V6_SEC);
  t.opened[queue] = t.header[H_OPENED];
  t.header[H_OPENED] += 1;
  t.totalLen[queue] = 0;
  t.fragmentMax[queue] = 0;
  t.received[queue] = 0;
  t.intervals[queue] = 0;
  t.dontFragment[queue] = 0;
  t.ecnSeen[queue] = 0;
  hashIndex.chainInsert(t.heads, t.nexts, bucketOf(t, key, 0, id, proto), queue);
  t.header[USED] += 1;
  t.counters[Counter.OPENED] += 1;
  return queue;
}

/**
 * Takes note of payload bytes `offset`…`offset + len` of a datagram. `packetLen` is the length of the IP
 * packet that brought them. Bytes are counted from the end of the IP header (of the unfragmentable part,
 * for IPv6), so the caller still checks that header and payload together stay below 65 536.
 */
export function store(
  t: Fragments,
  queue: number,
  offset: number,
  len: number,
  flags: number,
  packetLen: number,
): Status {
  const end = offset + len;
  const more = (flags & Flag.MORE) !== 0;
  if (len <= 0 || (more && (len & 7) !== 0)) return BAD_LENGTH;
  if (end > DATAGRAM_BYTES_MAX) return TOO_BIG;
  const totalLen = t.totalLen[queue];
  if (!more && (totalLen === 0 ? lastByte(t, queue) > end : totalLen !== end)) return CONFLICT;
  if (more && totalLen !== 0 && end > totalLen) return CONFLICT;
  const status = insertInterval(t, queue, offset, end);
  if (status === DUPLICATE) t.counters[Counter.DUPLICATES] += 1;
  if (status !== STORED) return status;
  if (!more) t.totalLen[queue] = end;
  t.received[queue] += len;
  if (packetLen > t.fragmentMax[queue]) t.fragmentMax[queue] = packetLen;
  if ((flags & Flag.DONT_FRAGMENT) !== 0) t.dontFragment[queue] = 1;
  t.ecnSeen[queue] |= 1 << ((flags >> ECN_SHIFT) & 3);
  // Stored bytes never overlap and none lies past the end: as many as the total means no hole.
  if (t.received[queue] !== t.totalLen[queue]) return STORED;
  t.counters[Counter.COMPLETED] += 1;
  return COMPLETE;
}

/** True when after this answer of `store` the caller has to `close` the queue and drop the datagram. */
export function isFatal(status: Status): boolean {
  return status >= OVERLAP;
}

/** True when the datagram's first bytes are there: only then a timeout is answered (RFC 792, 4443). */
export function hasFirst(t: Fragments, queue: number): boolean {
  return t.intervals[queue] > 0 && t.starts[queue * INTERVALS_MAX] === 0;
}

/** Gives the queue back. Returns its arena slot, which is the caller's again. */
export function close(t: Fragments, queue: number): number {
  const bucket = bucketOf(t, t.key, queue * KEY_WORDS, t.id[queue], t.proto[queue]);
  hashIndex.chainRemove(t.heads, t.nexts, bucket, queue);
  if (t.received[queue] === 0 || t.received[queue] !== t.totalLen[queue]) t.counters[Counter.DROPPED] += 1;
  t.expiresAtSec[queue] = 0;
  t.nexts[queue] = t.header[H_FREE];
  t.header[H_FREE] = queue + 1;
  t.header[USED] -= 1;
  return t.arenaSlot[queue];
}

/** The queue opened longest ago, or -1: what to close when `open` found no room. */
export function oldest(t: Fragments): number {
  let found = -1;
  for (let queue = 0; queue <= t.mask; queue++) {
    if (t.expiresAtSec[queue] === 0) continue;
    if (found < 0 || ((t.opened[queue] - t.opened[found]) | 0) < 0) found = queue;
  }
  return found;
}

/** A queue whose time is over, for the caller to answer and close; or -1: none among the next few. */
export function expireSlice(t: Fragments, nowSec: number): number {
  if (t.header[USED] === 0) return -1;
  for (let i = 0; i < EXPIRE_SCAN; i++) {
    const queue = t.header[H_HAND];
    t.header[H_HAND] = (queue + 1) & t.mask;
    if (t.expiresAtSec[queue] === 0 || t.expiresAtSec[queue] > nowSec) continue;
    t.counters[Counter.EXPIRED] += 1;
    return queue;
  }
  return -1;
}

export function used(t: Fragments): number {
  return t.header[USED];
}

function lastByte(t: Fragments, queue: number): number {
  const count = t.intervals[queue];
  return count === 0 ? 0 : t.ends[queue * INTERVALS_MAX + count - 1];
}

/** STORED, DUPLICATE, OVERLAP or TOO_MANY; only STORED changes anything. */
function insertInterval(t: Fragments, queue: number, start: number, end: number): Status {
  const base = queue * INTERVALS_MAX;
  const limit = base + t.intervals[queue];
  let next = limit; // first interval that begins after `start`; from the back, where fragments mostly belong
  while (next > base && t.starts[next - 1] > start) next--;
  const before = next - 1;
  if (before >= base && t.ends[before] > start) return t.ends[before] >= end ? DUPLICATE : OVERLAP;
  if (next < limit && t.starts[next] < end) return OVERLAP;
  const joinsBefore = before >= base && t.ends[before] === start;
  const joinsNext = next < limit && t.starts[next] === end;
  if (joinsBefore && joinsNext) {
    t.ends[before] = t.ends[next];
    t.starts.copyWithin(next, next + 1, limit);
    t.ends.copyWithin(next, next + 1, limit);
    t.intervals[queue] -= 1;
  } else if (joinsBefore) {
    t.ends[before] = end;
  } else if (joinsNext) {
    t.starts[next] = start;
  } else {
    if (t.intervals[queue] === INTERVALS_MAX) return TOO_MANY;
    t.starts.copyWithin(next + 1, next, limit);
    t.ends.copyWithin(next + 1, next, limit);
    t.starts[next] = start;
    t.ends[next] = end;
    t.intervals[queue] += 1;
  }
  return STORED;
}

function isAt(t: Fragments, queue: number, key: Int32Array, id: number, proto: number): boolean {
  if (t.id[queue] !== id || t.proto[queue] !== proto) return false;
  const base = queue * KEY_WORDS;
  for (let i = 0; i < KEY_WORDS; i++) if (t.key[base + i] !== key[i]) return false;
  return true;
}

function takeQueue(t: Fragments): number {
  const freed = t.header[H_FREE] - 1;
  if (freed >= 0) {
    t.header[H_FREE] = t.nexts[freed];
    return freed;
  }
  const fresh = t.header[H_FRESH];
  if (fresh > t.mask) return -1;
  t.header[H_FRESH] = fresh + 1;
  return fresh;
}

function bucketOf(t: Fragments, words: Int32Array, at: number, id: number, proto: number): number {
  const hash = hashIndex.mix10(
    t.seed,
    words[at],
    words[at + 1],
    words[at + 2],
    words[at + 3],
    words[at + 4],
    words[at + 5],
    words[at + 6],
    words[at + 7],
    id,
    proto,
  );
  return hash & t.mask;
}
