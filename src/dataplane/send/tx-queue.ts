/**
 * Frames that wait to be written. Stages enqueue, the engine flushes once per received batch with one call
 * into the addon for all ports. A frame's bytes must not change between the two; flooding queues one frame
 * for several ports, everything else queues a frame once. A frame may be joined to one that waits: both then leave
 * as one superframe, at the place of the first, and whoever joins them writes the headers for it.
 */

import { type Io, IoKind, Join } from "../../base/addon.ts";
import { createPin, type MaybePinned } from "../../base/maybe-pinned.ts";
import { type Counters, countPort, Event, PortCounter } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import type { Port } from "../port.ts";
import type { Turn } from "../share.ts";
import { acquire, frameOffset, release, type SlotPool } from "../slot-pool.ts";
import { OPEN } from "../table/policy/policy.ts";
import { endedLate } from "../trace/late.ts";
import { StageId } from "../trace/stage-id.ts";
import { Watchers } from "../trace/watchers.ts";
import { Verdict } from "../verdict.ts";
import { Bundles, sealAll } from "./bundles.ts";
import { finishSuperframes, JoinFlows } from "./join-flows.ts";

const EAGAIN = 11;
const ENODEV = 19;
const EINVAL = 22;
const ENOBUFS = 105;
const V4_MAPPED = 0xffff;
/** A word of all ones: no pod has such an address, of either family. */
export const NO_OWNER = -1;
const { TUNNEL_TAP } = IoKind;
const { TX_BYTES, TX_DROPS, TX_PACKETS } = PortCounter;
const { NEXT_MASK, SKIP_SHIFT } = Join;
const VNET_HDR_BYTES = 10;

/** Every port of the plane, by PortId. Columns, because each frame asks for them. */
export class PortTable {
  readonly fd: Int32Array; //      -1: the device transmits itself
  readonly ioKind: Int32Array;
  readonly role: Uint8Array; //    PortRole
  readonly active: Uint8Array; //  1: may be sent to
  readonly macHi: Uint16Array; //  station behind the port (pod, host) or our own address on it (uplink)
  readonly macLo: Int32Array;
  readonly mtu: Int32Array;
  readonly joins: Uint8Array; //   1: UDP datagrams for the pod behind it may leave as superframes (join.ts)
  readonly owner4: Int32Array; //  IPv4 address of the pod behind it, NO_OWNER: none known
  readonly owner6: Int32Array; //  IPv6 address of it, four words a port
  readonly subject: Int32Array; // of the policies that its pod is subject to, CLOSED or OPEN (table/policy)
  readonly changes: Int32Array; // how often a device has come to this place, or gone
  readonly devices: (Port | null)[];
  /** Highest PortId in use + 1. */
  count = 0;
  /** Takes superframes in VXLAN for the uplink (device/tunnel-tap.ts), -1: nobody does. */
  tunnelFd = -1;
  constructor(max: number) {
    this.fd = new Int32Array(max).fill(-1);
    this.ioKind = new Int32Array(max);
    this.role = new Uint8Array(max);
    this.active = new Uint8Array(max);
    this.macHi = new Uint16Array(max);
    this.macLo = new Int32Array(max);
    this.mtu = new Int32Array(max);
    this.joins = new Uint8Array(max);
    this.owner4 = new Int32Array(max).fill(NO_OWNER);
    this.owner6 = new Int32Array(4 * max).fill(NO_OWNER);
    this.subject = new Int32Array(max).fill(OPEN);
    this.changes = new Int32Array(max);
    this.devices = new Array<Port | null>(max).fill(null);
  }
}

/**
 * The pod behind `port` has this address. Of several in one family the first is kept here; `stations` knows all.
 */
export function addOwner(t: PortTable, port: number, w0: number, w1: number, w2: number, w3: number): void {
  if (w0 === 0 && w1 === 0 && w2 === V4_MAPPED) {
    if (t.owner4[port] === NO_OWNER) t.owner4[port] = w3;
  } else if (t.owner6[4 * port] === NO_OWNER) setOwner6(t, port, w0, w1, w2, w3);
}

/** It has the address no longer. */
export function removeOwner(
  t: PortTable,
  port: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  const at = 4 * port;
  const o = t.owner6;
  if (w0 === 0 && w1 === 0 && w2 === V4_MAPPED) {
    if (t.owner4[port] === w3) t.owner4[port] = NO_OWNER;
  } else if (o[at] === w0 && o[at + 1] === w1 && o[at + 2] === w2 && o[at + 3] === w3) clearOwner6(t, port);
}

/** Nobody is known behind `port`. */
export function clearOwners(t: PortTable, port: number): void {
  t.owner4[port] = NO_OWNER;
  clearOwner6(t, port);
}

function clearOwner6(t: PortTable, port: number): void {
  setOwner6(t, port, NO_OWNER, NO_OWNER, NO_OWNER, NO_OWNER);
}

function setOwner6(t: PortTable, port: number, w0: number, w1: number, w2: number, w3: number): void {
  const at = 4 * port;
  t.owner6[at] = w0;
  t.owner6[at + 1] = w1;
  t.owner6[at + 2] = w2;
  t.owner6[at + 3] = w3;
}

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
    } else {
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
    if (join === 0) q.results[i] = transmitOne(q, i, q.offs[i], q.lens[i]);
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
