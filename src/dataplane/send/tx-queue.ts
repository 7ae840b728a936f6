/**
 * Frames that wait to be written. Stages enqueue, the engine flushes once per received batch with one call
 * into the addon for all ports. A frame's bytes must not change between the two; flooding queues one frame
 * for several ports, everything else queues a frame once. A frame may be joined to one that waits: both then leave
 * as one superframe, at the place of the first, and whoever joins them writes the headers for it.
 */

import { type Io, IoKind, Join } from "../../base/addon.ts";
import { createPin, type MaybePinned } from "../../base/maybe-pinned.ts";
import * as octets from "../../wire/link/wire-octets.ts";
import { type Counters, countPort, Event, PortCounter } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import type { Turn } from "../share.ts";
import { acquire, frameOffset, release, type SlotPool } from "../slot-pool.ts";
import { endedLate } from "../trace/late.ts";
import { StageId } from "../trace/stage-id.ts";
import { Watchers } from "../trace/watchers.ts";
import { Verdict } from "../verdict.ts";
import { Bundles, sealAll } from "./bundles.ts";
import { finishSuperframes, JoinFlows } from "./join-flows.ts";
import type { PortTable } from "./port-table.ts";
import * as shaper from "./shaper.ts";

const EAGAIN = 11;
const ENODEV = 19;
const EINVAL = 22;
const ENOBUFS = 105;
const { TUNNEL_TAP } = IoKind;
const { TX_BYTES, TX_DELAYED, TX_DROPS, TX_PACKETS } = PortCounter;
const { NEXT_MASK, SKIP_SHIFT } = Join;
const VNET_HDR_BYTES = 10;

/** Columns for a single frame. */
class OneFrame {
  readonly fd = new Int32Array(1);
  readonly kind = new Int32Array(1);
  readonly off = new Int32Array(1);
  readonly len = new Int32Array(1);
  readonly result = new Int32Array(1);
}

export class TxQueue {
  readonly fds: Int32Array;
  readonly kinds: Int32Array;
  readonly offs: Int32Array;
  readonly lens: Int32Array;
  readonly ports: Int32Array;
  readonly slots: Int32Array; //   pool slot to give back after the flush, -1: none
  readonly results: Int32Array;
  readonly tags: Int32Array; //    which traced packet the frame belongs to (trace/late.ts, tagOf), 0: none
  readonly joins: Int32Array; //   which frames leave as one (base/addon.ts, Join), 0: by itself
  /** The columns as `io` wants them. */
  readonly fdsPin: MaybePinned<Int32Array>;
  readonly kindsPin: MaybePinned<Int32Array>;
  readonly arenaPin: MaybePinned<Uint8Array>;
  readonly offsPin: MaybePinned<Int32Array>;
  readonly lensPin: MaybePinned<Int32Array>;
  readonly resultsPin: MaybePinned<Int32Array>;
  readonly joinsPin: MaybePinned<Int32Array>;
  /** Flows of which datagrams wait, and may be joined by others. */
  readonly flows: JoinFlows;
  readonly view: DataView;
  readonly one = new OneFrame();
  readonly capacity: number;
  readonly arena: Uint8Array;
  /** Frames into the tunnel that wait, and may be joined by others. */
  readonly bundles = new Bundles();
  readonly pool: SlotPool;
  readonly table: PortTable;
  readonly counters: Counters;
  readonly io: Io | null;
  readonly watchers: Watchers;
  /** Others send and forward meanwhile: not in the middle of what this engine does. null: there is nobody else. */
  readonly turn: Turn | null;
  count = 0;
  /** Of the packet whose frames are queued now. */
  tag = 0;
  /** Flushes so far: tells whether what was queued has left. */
  flushes = 0;
  /** Frames queued for devices without a file descriptor. */
  soft = 0;
  /** 1: some have waited, and leave before anything that comes later. */
  inOrder = 0;
  /** 1: what is queued has waited for its port's rate, and does not wait again. */
  isPaid = 0;
  constructor(
    arena: Uint8Array,
    pool: SlotPool,
    table: PortTable,
    counters: Counters,
    io: Io | null,
    o: { capacity?: number; watchers?: Watchers; turn?: Turn | null } = {},
  ) {
    const { capacity = 1024, watchers = new Watchers(), turn = null } = o;
    this.arena = arena;
    this.pool = pool;
    this.table = table;
    this.counters = counters;
    this.io = io;
    this.capacity = capacity;
    this.watchers = watchers;
    this.turn = turn;
    this.fds = new Int32Array(capacity);
    this.kinds = new Int32Array(capacity);
    this.offs = new Int32Array(capacity);
    this.lens = new Int32Array(capacity);
    this.ports = new Int32Array(capacity);
    this.slots = new Int32Array(capacity);
    this.results = new Int32Array(capacity);
    this.tags = new Int32Array(capacity);
    this.joins = new Int32Array(capacity);
    this.fdsPin = createPin(io, this.fds);
    this.kindsPin = createPin(io, this.kinds);
    this.arenaPin = createPin(io, arena);
    this.offsPin = createPin(io, this.offs);
    this.lensPin = createPin(io, this.lens);
    this.resultsPin = createPin(io, this.results);
    this.joinsPin = createPin(io, this.joins);
    this.flows = new JoinFlows(capacity);
    this.view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
  }
}

/**
 * Queues `len` bytes at `off` for `port`; `slot` goes back to the pool after the flush (-1: nothing to give).
 */
export function enqueue(q: TxQueue, port: number, off: number, len: number, slot: number): void {
  if (q.count === q.capacity) flush(q);
  const i = q.count;
  const fd = q.table.fd[port];
  q.fds[i] = fd;
  q.kinds[i] = q.table.ioKind[port];
  q.offs[i] = off;
  q.lens[i] = len;
  q.ports[i] = port;
  q.slots[i] = slot;
  q.tags[i] = q.tag;
  q.joins[i] = 0;
  if (fd < 0) q.soft++;
  q.count = i + 1;
}

/**
 * Queues the frame at `off` as a piece of the one that waits at `last`, or of the one that that is the last piece of:
 * what leaves of it is all but the first `skip` bytes. Asks for room (`count < capacity`); returns its place.
 */
export function enqueuePiece(
  q: TxQueue,
  last: number,
  off: number,
  len: number,
  slot: number,
  skip: number,
): number {
  const i = q.count;
  enqueue(q, q.ports[last], off, len, slot);
  q.joins[i] = skip << SKIP_SHIFT;
  q.joins[last] |= i;
  return i;
}

/**
 * `enqueue` for a superframe in VXLAN: it leaves by the uplink, which is `port`, in order with all else, but is handed to
 * the tunnel TAP, since a packet socket cannot take it.
 */
export function enqueueInTunnel(q: TxQueue, port: number, off: number, len: number, slot: number): void {
  enqueue(q, port, off, len, slot);
  const i = q.count - 1;
  if (q.fds[i] < 0) return; // a device without descriptor takes any frame
  q.fds[i] = q.table.tunnelFd;
  q.kinds[i] = TUNNEL_TAP;
}

/**
 * Writes everything that waits. What a device refuses is counted at its port, by reason. `isLast`: of the batch, so that
 * other engines may have their turn meanwhile.
 */
export function flush(q: TxQueue, isLast = false): void {
  const n = q.count;
  if (n === 0) return;
  if (q.flows.count > 0) {
    const { events } = q.counters;
    events[Event.UDP_SUPERFRAMES] += q.flows.count;
    events[Event.UDP_JOINED] += finishSuperframes(q.flows, q.view, q.offs);
  }
  if (q.bundles.usedCount > 0) sealAll(q.bundles, q.view, q.offs, q.counters);
  if (q.table.shapedCount !== 0 && q.isPaid === 0) shapeAll(q);
  if (q.soft > 0) flushSoft(q);
  else if (q.io !== null) {
    const turn = isLast && q.inOrder === 0 ? q.turn : null;
    if (turn !== null) turn.leave();
    q.io.transmit(q.fdsPin, q.kindsPin, q.arenaPin, q.offsPin, q.lensPin, n, q.resultsPin, q.joinsPin);
    if (turn !== null) turn.resume();
  }
  q.inOrder = 0;
  const c = q.counters;
  for (let i = 0; i < n; i++) {
    const port = q.ports[i];
    const result = q.results[i];
    if (result === 0) {
      countPort(c, port, TX_PACKETS, 1);
      countPort(c, port, TX_BYTES, q.lens[i]);
    } else if (q.lens[i] !== 0) {
      countPort(c, port, TX_DROPS, 1);
      const full = result === -EAGAIN || result === -ENOBUFS;
      if (q.kinds[i] === TUNNEL_TAP && !full && result !== -EINVAL) loseTunnel(q);
      const reason = full ? DropReason.TX_QUEUE_FULL : DropReason.TX_ERROR;
      c.drops[reason]++;
      if (q.tags[i] !== 0) endedLate(q.watchers, c, q.tags[i], StageId.OUTPUT, Verdict.DROP, reason, port);
    }
    if (q.slots[i] >= 0) release(q.pool, q.slots[i]);
  }
  q.count = 0;
  q.flushes = (q.flushes + 1) | 0;
}

/** Frames that their port may not have now are kept, or lost. Their length is 0 then: the addon passes them over. */
function shapeAll(q: TxQueue): void {
  const { watchers, view, lens, joins } = q;
  for (let i = 0; i < q.count; i++) {
    const s = q.table.shapers[q.ports[i]];
    if (s === null || joins[i] >>> SKIP_SHIFT !== 0) continue;
    q.inOrder = 1;
    if (shaper.passes(s, octetsOf(q, i), watchers.nowMs)) continue;
    let len = lens[i];
    for (let p = joins[i] & NEXT_MASK; p !== 0; p = joins[p] & NEXT_MASK)
      len += lens[p] - (joins[p] >>> SKIP_SHIFT);
    const to = shaper.place(s, q.pool, view, len, q.tags[i]);
    if (to < 0) lose(q, q.ports[i], q.tags[i]);
    else {
      gather(q, i, to);
      countPort(q.counters, q.ports[i], TX_DELAYED, 1);
      q.table.waits = 1;
    }
    lens[i] = 0;
    for (let p = joins[i] & NEXT_MASK; p !== 0; p = joins[p] & NEXT_MASK) lens[p] = 0;
  }
}

/** What frame i takes of a link: each of its pieces is a frame there. */
function octetsOf(q: TxQueue, i: number): number {
  if (q.joins[i] === 0) return octets.wireOctets(q.view, q.offs[i], q.lens[i]);
  let sum = 0;
  let p = i;
  do {
    sum += q.lens[p];
    p = q.joins[p] & NEXT_MASK;
  } while (p !== 0);
  return sum;
}

/** The end of a frame that may not be sent to its port. */
export function lose(q: TxQueue, port: number, tag: number): void {
  const c = q.counters;
  countPort(c, port, TX_DROPS, 1);
  c.drops[DropReason.RATE_LIMITED]++;
  if (tag !== 0) endedLate(q.watchers, c, tag, StageId.OUTPUT, Verdict.DROP, DropReason.RATE_LIMITED, port);
}

/** The tunnel TAP is down or gone: from now on superframes are cut here. Who made it is told, and makes another. */
function loseTunnel(q: TxQueue): void {
  if (q.table.tunnelFd < 0) return;
  q.table.tunnelFd = -1;
  q.counters.events[Event.TUNNEL_GSO_LOST]++;
}

/** Some device has no descriptor: frame by frame, in order. */
function flushSoft(q: TxQueue): void {
  for (let i = 0; i < q.count; i++) {
    const join = q.joins[i];
    if (q.lens[i] === 0) q.results[i] = -EINVAL;
    else if (join === 0) q.results[i] = transmitOne(q, i, q.offs[i], q.lens[i]);
    else if (join >>> SKIP_SHIFT === 0) transmitJoined(q, i);
  }
  q.soft = 0;
}

/** A frame with its pieces, laid end to end. */
function transmitJoined(q: TxQueue, first: number): void {
  const slot = acquire(q.pool);
  let result = -ENOBUFS;
  if (slot >= 0) {
    const to = frameOffset(slot);
    const len = gather(q, first, to);
    result = transmitOne(q, first, to, len);
    release(q.pool, slot);
  }
  let i = first;
  do {
    q.results[i] = result;
    i = q.joins[i] & NEXT_MASK;
  } while (i !== 0);
}

function gather(q: TxQueue, first: number, to: number): number {
  const { arena, offs, lens, joins } = q;
  arena.copyWithin(to - VNET_HDR_BYTES, offs[first] - VNET_HDR_BYTES, offs[first] + lens[first]);
  let len = lens[first];
  for (let i = joins[first] & NEXT_MASK; i !== 0; i = joins[i] & NEXT_MASK) {
    const skip = joins[i] >>> SKIP_SHIFT;
    arena.copyWithin(to + len, offs[i] + skip, offs[i] + lens[i]);
    len += lens[i] - skip;
  }
  return len;
}

/** One frame to the port of the one that waits at `i`; the addon takes its arguments from the front of columns. */
function transmitOne(q: TxQueue, i: number, off: number, len: number): number {
  if (q.fds[i] < 0) {
    const device = q.table.devices[q.ports[i]];
    return device === null || device.transmit === undefined ? -ENODEV : device.transmit(q.arena, off, len);
  }
  const one = q.one;
  if (q.io === null) return -ENODEV;
  one.fd[0] = q.fds[i];
  one.kind[0] = q.kinds[i];
  one.off[0] = off;
  one.len[0] = len;
  q.io.transmit(one.fd, one.kind, q.arenaPin, one.off, one.len, 1, one.result);
  return one.result[0];
}
