/**
 * Rates of ports, turn by turn. A port that has sent what it may is not read for a while: its packets wait in the pod's
 * own device, where the kernel makes their senders wait, and nothing is lost. What may not be sent to a port yet waits in
 * its shaper's queue. Both go on when there are tokens, looked at once a millisecond while somebody waits.
 */
import * as octets from "../../wire/link/wire-octets.ts";
import { type Counters, countPort, PortCounter } from "../counters.ts";
import type { Polling } from "../port.ts";
import type { PortTable } from "../send/port-table.ts";
import * as shaper from "../send/shaper.ts";
import { enqueue, flush, lose, type TxQueue } from "../send/tx-queue.ts";
import { release } from "../slot-pool.ts";
import * as bucket from "../table/byte-bucket.ts";

const { RX_PAUSES } = PortCounter;
const LONG_MS = 0x7fffffff;
/** How soon is looked again. */
const LOOK_MS = 1;

/** Bytes that the port may send now, `most` at most. 0: none, and it is not read until it may. */
export function bytesNow(
  p: PortTable,
  c: Counters,
  polling: Polling | null,
  port: number,
  nowMs: number,
  most: number,
): number {
  const meter = p.meters[port];
  if (meter === null) return most;
  if (bucket.isOpen(meter, nowMs)) return bucket.bytesLeft(meter, most);
  countPort(c, port, RX_PAUSES, 1);
  if (polling !== null && p.fd[port] >= 0 && p.paused[port] === 0) {
    polling.remove(p.fd[port]);
    p.paused[port] = 1;
    p.pausedCount++;
  }
  return 0;
}

/** Charges a port for frames `first` … `end` that it has sent. */
export function charge(
  meter: Float64Array,
  view: DataView,
  offs: Int32Array,
  lens: Int32Array,
  first: number,
  end: number,
): void {
  for (let i = first; i < end; i++) bucket.take(meter, octets.wireOctets(view, offs[i], lens[i]));
}

/** The port is gone, or another one: it has no rates, and nobody waits for it. */
export function forget(q: TxQueue, port: number, isKeeper: boolean): void {
  end(q, port, isKeeper);
  unpause(q.table, port);
}

function unpause(p: PortTable, port: number): void {
  if (p.paused[port] !== 0) p.pausedCount--;
  p.paused[port] = 0;
}

/** The port has no rates any more; what waited for them is lost. */
export function end(q: TxQueue, port: number, isKeeper: boolean): void {
  const p = q.table;
  p.meters[port] = null;
  const s = p.shapers[port];
  if (s === null) return;
  p.shapers[port] = null;
  p.shapedCount--;
  if (isKeeper) while (shaper.waiting(s) !== 0) loseFront(q, s, port);
}

function loseFront(q: TxQueue, s: shaper.Shaper, port: number): void {
  const off = shaper.front(s);
  const tag = shaper.frontTag(q.view, off);
  const slot = shaper.next(s, q.view, shaper.frontLen(q.view, off));
  if (slot >= 0) release(q.pool, slot);
  lose(q, port, tag);
}

/** Reads ports again that may send again. */
export function resume(p: PortTable, polling: Polling | null, nowMs: number): void {
  for (let port = 0; port < p.count; port++) {
    if (p.paused[port] === 0) continue;
    const meter = p.meters[port];
    if (meter !== null && !bucket.isOpen(meter, nowMs)) continue;
    unpause(p, port);
    if (polling !== null) polling.add(p.fd[port], port);
  }
}

/** Sends what has waited and may leave now. */
export function drain(q: TxQueue, nowMs: number): void {
  const p = q.table;
  p.waits = 0;
  q.isPaid = 1;
  for (let port = 0; port < p.count; port++) {
    const s = p.shapers[port];
    if (s === null) continue;
    while (shaper.waiting(s) !== 0 && bucket.isOpen(s.bucket, nowMs)) sendFront(q, s, port);
    if (shaper.waiting(s) !== 0) p.waits = 1;
  }
  flush(q);
  q.isPaid = 0;
}

function sendFront(q: TxQueue, s: shaper.Shaper, port: number): void {
  const off = shaper.front(s);
  const len = shaper.frontLen(q.view, off);
  bucket.take(s.bucket, octets.wireOctets(q.view, off, len));
  q.inOrder = 1;
  q.tag = shaper.frontTag(q.view, off);
  enqueue(q, port, off, len, shaper.next(s, q.view, len));
  q.tag = 0;
}

/** How long the caller may wait before somebody may go on, ms. */
export function msUntilDue(p: PortTable): number {
  return p.waits === 0 && p.pausedCount === 0 ? LONG_MS : LOOK_MS;
}
