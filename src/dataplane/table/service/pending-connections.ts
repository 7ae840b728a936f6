/**
 * Connections whose endpoint has not answered yet (proxy mode userspace): a copy of what the client has sent, so that it
 * can be sent to another endpoint, and until when to wait for this one.
 *
 * kube-proxy's own socket held the client while it dialled one endpoint after the other, each with more patience. Here
 * the client's SYN is what is held: nothing of an attempt that failed reaches the client.
 *
 * An entry belongs to a conntrack slot; `owner` finds it from there. Conntrack may drop a connection without a word
 * (early drop, expiry, a command), and give its slot to another: who finds an entry compares the tuple before use.
 *
 * There are few patiences, so each has a queue in which entries stand in the order of their time: setting, clearing
 * and asking cost the same however many wait. Memory is bounded by the capacity, ROOM bytes of copies an entry. When
 * it is full, a connection goes its way without a second chance, and the caller counts it.
 */
import { ColumnCarver, claimHeader, columnBytes, HEADER_BYTES, Header } from "../../../base/columns.ts";
import { Meta, TUPLE_WORDS, TupleWord } from "../connection/tuple.ts";

const { META } = TupleWord;
const { PROTO } = Meta;

const LAYOUT = 0x504e4401; // "PND", version 1
/** Bytes of copies that one entry holds. */
export const ROOM = 2048;
const KEY_WORDS = TUPLE_WORDS;
const LEN_BYTES = 2; // before each copy
/** How long each attempt may take: kube-proxy's endpointDialTimeout. */
const PATIENCE_MS = new Int32Array([250, 500, 1000, 2000]);
/** Endpoints that are asked before the client is refused. */
export const ATTEMPTS = PATIENCE_MS.length;
/** Queues: one for each patience, and one for entries that are to go on at once. */
export const LONGEST = ATTEMPTS - 1;
export const AT_ONCE = ATTEMPTS;
const QUEUES = ATTEMPTS + 1;

/** Why an endpoint is given up. */
export const Reason = Object.freeze({ NONE: 0, REFUSED: 1, SILENT: 2, UNREACHABLE: 3 } as const);

const { USED, OWN } = Header;
const H_FREE = OWN; //          first free entry + 1
const H_NEVER_USED = OWN + 1; // entries from here on were never used
const H_HEAD = OWN + 2; //      QUEUES words: first entry + 1
const H_TAIL = H_HEAD + QUEUES;
const NOTHING_DUE_MS = 1 << 30;

export class PendingConnections {
  readonly header: Int32Array; //     words of base/columns Header
  readonly owner: Int32Array; //      by conntrack slot: entry + 1, 0 = none
  readonly key: Int32Array; //        KEY_WORDS an entry: the original tuple
  readonly connection: Int32Array; // conntrack slot + 1, 0 = none
  readonly endpoint: Int32Array; //   services endpoint slot that is being asked
  readonly inPort: Int32Array; //     PortId by which the client's packets came
  readonly seq: Int32Array; //        of the SYN
  readonly seqEnd: Int32Array; //     first sequence number after the SYN and its data
  readonly dueMs: Int32Array;
  readonly next: Int32Array; //       in its queue, or in the list of free entries: entry + 1
  readonly before: Int32Array; //     in its queue: entry + 1
  readonly copied: Int32Array; //     bytes in use of its room
  readonly attempt: Uint8Array; //    1 … ATTEMPTS; 0 = free
  readonly reason: Uint8Array; //     Reason of the last failure, once there is one
  readonly queue: Uint8Array; //      queue + 1, 0 = in none
  readonly fromTunnel: Uint8Array;
  readonly copies: Uint8Array; //     ROOM bytes an entry: length, bytes, length, bytes …
  readonly capacity: number;

  constructor(
    capacityLog2: number,
    connections: number,
    memory: ArrayBufferLike = new ArrayBuffer(PendingConnections.bytesFor(capacityLog2, connections)),
  ) {
    const n = 1 << capacityLog2;
    const carve = new ColumnCarver(memory);
    this.header = carve.header();
    carve.counters();
    claimHeader(this.header, LAYOUT, capacityLog2, 0);
    this.owner = carve.int32(connections);
    this.key = carve.int32(n * KEY_WORDS);
    this.connection = carve.int32(n);
    this.endpoint = carve.int32(n);
    this.inPort = carve.int32(n);
    this.seq = carve.int32(n);
    this.seqEnd = carve.int32(n);
    this.dueMs = carve.int32(n);
    this.next = carve.int32(n);
    this.before = carve.int32(n);
    this.copied = carve.int32(n);
    this.attempt = carve.uint8(n);
    this.reason = carve.uint8(n);
    this.queue = carve.uint8(n);
    this.fromTunnel = carve.uint8(n);
    this.copies = carve.uint8(n * ROOM);
    this.capacity = n;
  }

  static bytesFor(capacityLog2: number, connections: number): number {
    const n = 1 << capacityLog2;
    return HEADER_BYTES + columnBytes(connections, 4) + n * ((KEY_WORDS + 9) * 4 + 4 + ROOM);
  }
}

/** Entries in use. */
export function used(t: PendingConnections): number {
  return t.header[USED];
}

/** A new entry for the connection with this original tuple, in no queue and without a conntrack slot; -1: full. */
export function open(t: PendingConnections, key: Int32Array): number {
  const h = t.header;
  let e = h[H_FREE] - 1;
  if (e >= 0) h[H_FREE] = t.next[e];
  else if (h[H_NEVER_USED] < t.capacity) e = h[H_NEVER_USED]++;
  else return -1;
  const at = e * KEY_WORDS;
  for (let i = 0; i < KEY_WORDS; i++) t.key[at + i] = key[i];
  t.connection[e] = 0;
  t.endpoint[e] = -1;
  t.copied[e] = 0;
  t.attempt[e] = 1;
  t.reason[e] = Reason.NONE;
  t.queue[e] = 0;
  h[USED]++;
  return e;
}

/** Gives an entry back. */
export function close(t: PendingConnections, e: number): void {
  unschedule(t, e);
  detach(t, e);
  t.attempt[e] = 0;
  t.next[e] = t.header[H_FREE];
  t.header[H_FREE] = e + 1;
  t.header[USED]--;
}

/** The entry of a conntrack slot, or -1. Whether the slot still is that connection's is the caller's question. */
export function entryOf(t: PendingConnections, slot: number): number {
  return t.owner[slot] - 1;
}

export function attach(t: PendingConnections, e: number, slot: number): void {
  t.connection[e] = slot + 1;
  t.owner[slot] = e + 1;
}

export function detach(t: PendingConnections, e: number): void {
  const slot = t.connection[e] - 1;
  if (slot < 0) return;
  t.connection[e] = 0;
  t.owner[slot] = 0;
}

export function isKey(t: PendingConnections, e: number, key: Int32Array): boolean {
  const at = e * KEY_WORDS;
  for (let i = 0; i < KEY_WORDS; i++) if (t.key[at + i] !== key[i]) return false;
  return true;
}

export function loadKey(t: PendingConnections, e: number, key: Int32Array): void {
  const at = e * KEY_WORDS;
  for (let i = 0; i < KEY_WORDS; i++) key[i] = t.key[at + i];
}

export function isTcp(t: PendingConnections, e: number): boolean {
  return (t.key[e * KEY_WORDS + META] & PROTO) === 6;
}

export function isScheduled(t: PendingConnections, e: number): boolean {
  return t.queue[e] !== 0;
}

/** Puts an entry at the end of a queue: a patience, counted from now, or AT_ONCE. */
export function schedule(t: PendingConnections, e: number, queue: number, nowMs: number): void {
  unschedule(t, e);
  const h = t.header;
  const last = h[H_TAIL + queue];
  t.dueMs[e] = queue === AT_ONCE ? nowMs : (nowMs + PATIENCE_MS[queue]) | 0;
  t.queue[e] = queue + 1;
  t.before[e] = last;
  t.next[e] = 0;
  if (last === 0) h[H_HEAD + queue] = e + 1;
  else t.next[last - 1] = e + 1;
  h[H_TAIL + queue] = e + 1;
}

export function unschedule(t: PendingConnections, e: number): void {
  if (t.queue[e] === 0) return;
  const h = t.header;
  const queue = t.queue[e] - 1;
  const { before, next } = t;
  if (before[e] === 0) h[H_HEAD + queue] = next[e];
  else next[before[e] - 1] = next[e];
  if (next[e] === 0) h[H_TAIL + queue] = before[e];
  else before[next[e] - 1] = before[e];
  t.queue[e] = 0;
}

/** An entry whose time has come, or -1. */
export function nextDue(t: PendingConnections, nowMs: number): number {
  for (let queue = QUEUES - 1; queue >= 0; queue--) {
    const e = t.header[H_HEAD + queue] - 1;
    if (e >= 0 && ((t.dueMs[e] - nowMs) | 0) <= 0) return e;
  }
  return -1;
}

/** How long the engine may sleep as far as this table cares; 0: something is due. */
export function msUntilDue(t: PendingConnections, nowMs: number): number {
  let leftMs = NOTHING_DUE_MS;
  if (t.header[USED] === 0) return leftMs;
  for (let queue = 0; queue < QUEUES; queue++) {
    const e = t.header[H_HEAD + queue] - 1;
    if (e < 0) continue;
    const ms = (t.dueMs[e] - nowMs) | 0;
    if (ms < leftMs) leftMs = ms;
  }
  return leftMs > 0 ? leftMs : 0;
}

/** Adds a copy of `len` bytes; false when there is no room for it. */
export function append(
  t: PendingConnections,
  e: number,
  from: Uint8Array,
  off: number,
  len: number,
): boolean {
  const used = t.copied[e];
  if (used + LEN_BYTES + len > ROOM) return false;
  const to = t.copies;
  const at = e * ROOM + used;
  to[at] = len & 0xff;
  to[at + 1] = len >>> 8;
  // A SYN is short: a loop is as fast as a view would be, and makes no garbage.
  for (let i = 0; i < len; i++) to[at + LEN_BYTES + i] = from[off + i];
  t.copied[e] = used + LEN_BYTES + len;
  return true;
}

/** Bytes of the copy at `at` of the entry's room, 0 behind the last one. The next lies at `after(at, bytes)`. */
export function lenAt(t: PendingConnections, e: number, at: number): number {
  if (at >= t.copied[e]) return 0;
  const from = e * ROOM + at;
  return t.copies[from] | (t.copies[from + 1] << 8);
}

export function after(at: number, len: number): number {
  return at + LEN_BYTES + len;
}

export function copyOut(t: PendingConnections, e: number, at: number, to: Uint8Array, off: number): void {
  const len = lenAt(t, e, at);
  const from = e * ROOM + at + LEN_BYTES;
  for (let i = 0; i < len; i++) to[off + i] = t.copies[from + i];
}
