/**
 * The engine: one turn (`pollOnce`) receives a batch from every ready port, takes each frame through the pipeline and
 * writes what came out of it. The caller loops; the control side commits between two turns. The clock is read once
 * a turn. The plane's one `try` is here: an exception below it is our bug, is counted as INTERNAL_ERROR, and costs
 * the batch's remaining packets nothing.
 */

import { type Io, IoKind, type Offload } from "../base/addon.ts";
import { OWN_COLUMNS } from "../base/columns.ts";
import { createPin, type MaybePinned } from "../base/maybe-pinned.ts";
import { type Counters, clearPort, countPort, Event, PortCounter } from "./counters.ts";
import { DropReason } from "./drop-reason.ts";
import { lookAhead, takeGuess } from "./fast/look-ahead.ts";
import { isBareTcp } from "./packet/bare-tcp.ts";
import { sumFrom, UNKNOWN } from "./packet/frame-sum.ts";
import { HEADROOM, SLOT_ROOM, SLOT_STRIDE } from "./packet/packet.ts";
import { receive } from "./pipeline.ts";
import type { Polling, Port, PortRole } from "./port.ts";
import { JoinAreas } from "./scratch.ts";
import * as probe from "./send/neighbor-probe.ts";
import { clearOwners, PortTable } from "./send/port-table.ts";
import { flush, TxQueue } from "./send/tx-queue.ts";
import type { Share, Turn } from "./share.ts";
import * as pool from "./slot-pool.ts";
import { SlotPool } from "./slot-pool.ts";
import * as conntrack from "./table/connection/conntrack.ts";
import * as fdb from "./table/fdb.ts";
import * as fragments from "./table/fragments.ts";
import * as neighborTimers from "./table/neighbor-timers.ts";
import { CLOSED } from "./table/policy/policy.ts";
import * as answers from "./table/policy/policy-answers.ts";
import * as affinity from "./table/service/affinity.ts";
import * as pending from "./table/service/pending-connections.ts";
import { type SizedTables, Tables } from "./tables.ts";
import { threw } from "./trace/note.ts";
import { StageId } from "./trace/stage-id.ts";
import { Watchers } from "./trace/watchers.ts";
import { describeExpired } from "./turn/fragment-timeout.ts";
import { failNeighbor, late } from "./turn/kept-ends.ts";
import * as rates from "./turn/rates.ts";
import { redialDue } from "./turn/redial.ts";
import { resetIdle } from "./turn/reset-idle.ts";
import { Walks } from "./walks.ts";

const { RX_BYTES, RX_GSO, RX_PACKETS } = PortCounter;
const { PACKET, PACKET_VNET } = IoKind;
/** Most frames of one receive call. */
export const BATCH = 64;
/** Frames that the addon asks a packet socket for at first, before it knows how long they are. */
const FEW = 8;
/** Bytes of one receive call: superframes of a larger batch would push each other out of the cache. */
const BYTE_BUDGET = 128 * 1024; // one TCP stream, Gbit/s: 8.7 at 128 KiB, 8.5 at 512, 8.4 at 64 and 1024; busy machine
const AREAS = 4;
const DAY_MS = 86_400_000;
const EAGAIN = 11;
const ENETDOWN = 100; // said once by a packet socket whose link went down; it works again when the link is back

export interface EngineOptions {
  maxPorts: number;
  /** Pool slots beside the receive batch: reassembly, waiting packets, packets of our own. */
  poolSlots: number;
  io: Io | null;
  offload: Offload;
  counters: Counters;
  tables: SizedTables;
  /** One of several engines on these tables; left out: the only one. */
  share?: Share;
}

/** Slots that one engine receives into, and lays joined frames out in. */
const OWN_SLOTS = BATCH + 2 * AREAS;

/** Bytes of the packet slots of so many engines with one pool. */
export function arenaBytes(engines: number, poolSlots: number): number {
  return (engines * OWN_SLOTS + poolSlots) * SLOT_STRIDE;
}

export class Engine {
  readonly tables: Tables;
  readonly ports: PortTable;
  readonly tx: TxQueue;
  readonly io: Io | null;
  readonly rxOffs = new Int32Array(BATCH);
  readonly rxLens = new Int32Array(BATCH);
  readonly rxSums = new Int32Array(BATCH).fill(UNKNOWN);
  /** The batch as `io` wants it. */
  readonly arenaPin: MaybePinned<Uint8Array>;
  readonly rxOffsPin: MaybePinned<Int32Array>;
  readonly rxLensPin: MaybePinned<Int32Array>;
  readonly rxSumsPin: MaybePinned<Int32Array>;
  readonly probes = new Int32Array(64);
  readonly turn: Turn | null;
  readonly isKeeper: boolean;
  /** Who tells which ports have something to be read; null: the caller asks all. */
  polling: Polling | null = null;
  nowSec = 1;
  epochMs = 0; // UTC when the clock was 0; only IPv4's Timestamp option asks for it
  lastSweepMs = 0;
  settledSec = 0; // when routes and pods' ports are taken to be all there
  lastRatesMs = 0;
  sumFrom = UNKNOWN; // byte from which on the batch's frames were summed
  fdbHand = 0; // where ageing goes on
  /** Packets of the last turn, for the caller's decision to wait. */
  work = 0;
  lastError = "";

  constructor(options: EngineOptions) {
    const { share } = options;
    const columns = share?.columns ?? OWN_COLUMNS;
    const engines = share?.count ?? 1;
    const first = (share?.index ?? 0) * OWN_SLOTS;
    const arena = share?.arena ?? new Uint8Array(arenaBytes(1, options.poolSlots));
    this.turn = share?.turn ?? null;
    this.isKeeper = first === 0;
    this.io = options.io;
    this.ports = new PortTable(options.maxPorts);
    const slotPool = new SlotPool(engines * OWN_SLOTS, options.poolSlots, columns);
    this.tx = new TxQueue(arena, slotPool, this.ports, options.counters, options.io, {
      watchers: new Watchers(columns),
      turn: this.turn,
    });
    this.tables = new Tables({
      ...options.tables,
      arena,
      areas: new JoinAreas(first + BATCH, AREAS),
      walks: new Walks(columns),
      counters: options.counters,
      ports: this.ports,
      pool: slotPool,
      tx: this.tx,
      offload: options.offload,
    });
    this.arenaPin = createPin(options.io, arena);
    this.rxOffsPin = createPin(options.io, this.rxOffs);
    this.rxLensPin = createPin(options.io, this.rxLens);
    this.rxSumsPin = createPin(options.io, this.rxSums);
    for (let i = 0; i < BATCH; i++) this.rxOffs[i] = (first + i) * SLOT_STRIDE + HEADROOM;
  }
}

/** Attaches a device as port `id`. Cold. */
export function attach(
  e: Engine,
  id: number,
  port: Port,
  mac: { hi: number; lo: number },
  mtu: number,
): void {
  const p = e.ports;
  p.fd[id] = port.fd;
  p.ioKind[id] = port.ioKind;
  p.role[id] = port.role as PortRole;
  p.macHi[id] = mac.hi;
  p.macLo[id] = mac.lo;
  p.mtu[id] = mtu;
  p.devices[id] = port;
  p.joins[id] = 0;
  p.active[id] = 1;
  p.changes[id]++;
  clearOwners(p, id);
  rates.forget(e.tx, id, e.isKeeper);
  p.subject[id] = CLOSED;
  if (e.isKeeper) clearPort(e.tables.counters, id);
  if (id >= p.count) p.count = id + 1;
}

/** Detaches port `id`: nothing is read from or sent to it any more. Cold. */
export function detach(e: Engine, id: number): void {
  flush(e.tx);
  const p = e.ports;
  p.active[id] = 0;
  p.fd[id] = -1;
  p.devices[id] = null;
  p.changes[id]++;
  rates.forget(e.tx, id, e.isKeeper);
  if (e.isKeeper) fdb.removePort(e.tables.fdb, id);
}

/** Receives up to `max` frames from port `id`, forwards them, sends the result. Returns how many, or -errno. */
export function pollPort(e: Engine, id: number, max = BATCH): number {
  const { turn } = e;
  const changes = e.ports.changes[id];
  const n = receiveBatch(e, id, 0, max);
  if (n <= 0) return n === -EAGAIN || n === -ENETDOWN ? 0 : n;
  if (turn !== null) {
    turn.enter();
    if (e.ports.changes[id] !== changes) {
      turn.leave(); // what was read is of a device that has gone meanwhile
      return n;
    }
  }
  forwardBatch(e, id, n);
  if (turn !== null) turn.leave();
  return n;
}

/** Forwards the first `n` frames of the batch, which came by port `id`, and sends the result. */
export function forwardBatch(e: Engine, id: number, n: number): void {
  e.tables.counters.events[Event.RX_BATCHES]++;
  lookAhead(e.tables, e.rxOffs, e.rxLens, n);
  forwardAll(e, id, 0, n);
  settleAnswers(e);
  flush(e.tx, true);
}

/**
 * The same where one frame is expected: it leaves before anybody asks whether there are more. A packet socket gives what
 * came meanwhile with the same call. A TAP takes a call for each, and one more that finds nothing: it is asked for
 * another when what came is in no hurry, and mostly followed.
 */
export function pollFew(e: Engine, id: number): number {
  const kind = e.ports.ioKind[id];
  if (kind === PACKET_VNET || kind === PACKET) return pollPort(e, id, FEW);
  if (e.turn !== null) return pollPort(e, id, 1); // nobody reads while others wait for their turn
  const n = receiveBatch(e, id, 0, 1);
  if (n <= 0) return n === -EAGAIN || n === -ENETDOWN ? 0 : n;
  e.tables.counters.events[Event.RX_BATCHES]++;
  lookAhead(e.tables, e.rxOffs, e.rxLens, 1);
  const isBare = isBareTcp(e.tx.view, e.rxOffs[0], e.rxLens[0]);
  forwardAll(e, id, 0, 1);
  const more = isBare ? receiveBatch(e, id, 1, 1) : 0;
  if (more > 0) forwardAll(e, id, 1, 1 + more);
  settleAnswers(e);
  flush(e.tx);
  return more > 0 ? 1 + more : 1;
}

function forwardAll(e: Engine, id: number, first: number, end: number): void {
  countPort(e.tables.counters, id, RX_PACKETS, end - first);
  let at = first;
  while (at < end) at = forwardFrom(e, id, at, end);
}

/** Frames go to places `first` and later of the batch. */
function receiveBatch(e: Engine, id: number, first: number, max: number): number {
  const { ports: p, tables: t } = e;
  const meter = p.meters[id];
  if (meter === null) return readBatch(e, id, first, max, BYTE_BUDGET);
  const bytes = rates.bytesNow(p, t.counters, e.polling, id, t.nowMs, BYTE_BUDGET);
  if (bytes === 0) return 0;
  const n = readBatch(e, id, first, p.fd[id] < 0 ? 1 : max, bytes); // devices of our own count no bytes
  rates.charge(meter, e.tx.view, e.rxOffs, e.rxLens, first, first + n);
  return n;
}

function readBatch(e: Engine, id: number, first: number, max: number, budget: number): number {
  const fd = e.ports.fd[id];
  if (fd >= 0) {
    if (e.io === null) return 0;
    const kind = e.ports.ioKind[id];
    const from = sumFrom(e.tables, id);
    e.sumFrom = from;
    return e.io.receive(
      fd,
      kind,
      e.arenaPin,
      e.rxOffsPin,
      e.rxLensPin,
      first,
      max,
      SLOT_ROOM,
      budget,
      e.rxSumsPin,
      from,
    );
  }
  const device = e.ports.devices[id];
  if (device === null || device.receive === undefined) return 0;
  e.rxSums.fill(UNKNOWN);
  return device.receive(e.tables.arena, e.rxOffs, e.rxLens, first, max, SLOT_ROOM);
}

/** What policies answered in this batch is counted by its end. */
function settleAnswers(e: Engine): void {
  const { policyAnswers, policyHits } = e.tables;
  if (policyAnswers.count !== 0) answers.settle(policyAnswers, policyHits, e.nowSec);
}

/** Forwards frames `at` … `n`. Returns the next index: `n`, or the one after a frame that threw. */
function forwardFrom(e: Engine, id: number, at: number, n: number): number {
  const t = e.tables;
  const c = t.counters;
  let i = at;
  try {
    for (; i < n; i++) {
      const off = e.rxOffs[i];
      const len = e.rxLens[i];
      countPort(c, id, RX_BYTES, len);
      if (t.arena[off - 9] !== 0) countPort(c, id, RX_GSO, 1);
      takeGuess(t, i);
      receive(t, off, len, id, e.nowSec, e.rxSums[i], e.sumFrom);
    }
  } catch (error) {
    c.drops[DropReason.INTERNAL_ERROR]++;
    threw(t, DropReason.INTERNAL_ERROR);
    e.lastError = String(error instanceof Error ? error.stack : error);
    return i + 1;
  }
  return n;
}

/** Sets the engine's clock: milliseconds since its start, read once a turn by the caller. */
export function setClock(e: Engine, nowMs: number): void {
  e.tables.nowMs = nowMs | 0;
  e.tables.watchers.nowMs = nowMs | 0;
  e.tables.dayMs = ((e.epochMs + nowMs) % DAY_MS) | 0;
  // Starts at 1: a zero in an "expires at" column means "free".
  e.nowSec = ((nowMs / 1000) | 0) + 1;
  conntrack.setClock(e.tables.conntrack, e.nowSec);
}

/** As long as a neighbour is asked for before somebody is told that there is none. */
const SETTLE_SEC = 3;

/**
 * For a plane that begins beside others which go on: what it knows comes bit by bit, and pods' ports after their routes.
 * Until then nobody is told that there is no way: a client that hears so gives up, one that hears nothing asks again.
 */
export function beginSettling(e: Engine, nowMs: number): void {
  e.tables.isSettling = 1;
  e.settledSec = ((nowMs / 1000) | 0) + 1 + SETTLE_SEC;
}

/** Seconds in which the expiry walks come round once. */
const SWEEP_SEC = 4;
const SWEEP_MAX = 4096;

/**
 * Housekeeping, spread over turns: expiry, neighbour timers, reassembly time-outs. Call once a turn. Of several engines
 * each sees to neighbours, or one that has just asked would wait for another to wake; the rest is the keeper's.
 */
export function tick(e: Engine): void {
  const t = e.tables;
  t.counters.events[Event.POLLS]++;
  const nowMs = t.nowMs;
  // Before anything that counts milliseconds: a first question goes out in the turn that asked for it.
  const n = neighborTimers.pollTimers(t.fabric, nowMs, e.probes);
  for (let i = 0; i < n; i++) probeOrFail(e, e.probes[2 * i], e.probes[2 * i + 1]);
  if (n > 0) flush(e.tx);
  if (t.isSettling !== 0 && e.nowSec > e.settledSec) t.isSettling = 0;
  if (rates.msUntilDue(e.ports) <= 1 && nowMs !== e.lastRatesMs) goOn(e, nowMs);
  if (!e.isKeeper) return;
  if (pending.used(t.pending) !== 0 && redialDue(t, e.nowSec, nowMs) > 0) flush(e.tx);
  if (t.config.extra.resetRemoved !== 0 && resetIdle(t, e.nowSec, nowMs) > 0) flush(e.tx);
  const elapsed = (nowMs - e.lastSweepMs) | 0;
  if (elapsed <= 0) return;
  e.lastSweepMs = nowMs;
  const c = t.counters;
  c.events[Event.CT_EARLY_DROP] = conntrack.earlyDrops(t.conntrack); // counted where it happens, shown with the others
  const connections = sliceOf(t.conntrack.capacity, elapsed);
  c.events[Event.CT_EXPIRED] += conntrack.expireSlice(t.conntrack, connections, e.nowSec);
  affinity.ageSlice(t.affinity, 64, nowMs);
  const stations = sliceOf(t.fdb.mask + 1, elapsed);
  fdb.ageSlice(t.fdb, e.fdbHand, stations, e.nowSec);
  e.fdbHand = (e.fdbHand + stations) & t.fdb.mask;
  let told = false;
  for (;;) {
    const queue = fragments.expireSlice(t.fragments, e.nowSec);
    if (queue < 0) break;
    const tag = t.pool.tags[t.fragments.arenaSlot[queue]];
    const isTold = describeExpired(t, queue);
    c.drops[DropReason.FRAGMENT_TIMEOUT]++;
    late(t, e.nowSec, tag, StageId.REASSEMBLE, DropReason.FRAGMENT_TIMEOUT, isTold);
    pool.release(t.pool, fragments.close(t.fragments, queue));
    told = true;
  }
  if (told) flush(e.tx);
}

/** Ports and frames that waited for tokens. */
function goOn(e: Engine, nowMs: number): void {
  e.lastRatesMs = nowMs;
  if (e.ports.pausedCount !== 0) rates.resume(e.ports, e.polling, nowMs);
  if (e.ports.waits !== 0) rates.drain(e.tx, nowMs);
}

/** How long the caller may wait for packets before it has to call `tick` for a timer, ms. */
export function msUntilDue(e: Engine): number {
  const t = e.tables;
  const neighborMs = neighborTimers.msUntilDue(t.fabric, t.nowMs);
  const pendingMs = pending.msUntilDue(t.pending, t.nowMs);
  const ratesMs = rates.msUntilDue(e.ports);
  const tableMs = neighborMs < pendingMs ? neighborMs : pendingMs;
  return tableMs < ratesMs ? tableMs : ratesMs;
}

/** Slots of a table of `size` that a walk looks at for `elapsed` ms. */
function sliceOf(size: number, elapsed: number): number {
  const slots = Math.ceil((size * elapsed) / (SWEEP_SEC * 1000));
  return slots > SWEEP_MAX ? SWEEP_MAX : slots;
}

function probeOrFail(e: Engine, slot: number, event: number): void {
  if (event === neighborTimers.Event.FAILED) failNeighbor(e.tables, e.nowSec, slot);
  else probe.sendProbe(e.tables, slot, event === neighborTimers.Event.PROBE_UNICAST);
}
