/** The last steps to a wire, shared by stages: onto the fabric by way of its neighbours, or to a local station. */

import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { Event } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import type { Packet } from "../packet/packet.ts";
import * as pool from "../slot-pool.ts";
import { RouteKind } from "../spec/routes.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import * as neighbor from "../table/neighbor.ts";
import * as neighborTimers from "../table/neighbor-timers.ts";
import type { Tables } from "../tables.ts";
import { endedLate } from "../trace/late.ts";
import { StageId } from "../trace/stage-id.ts";
import { Verdict } from "../verdict.ts";
import { endAll } from "./bundles.ts";
import { enqueueForPod } from "./join.ts";
import { sendProbe } from "./neighbor-probe.ts";
import { enqueue, enqueueInTunnel } from "./tx-queue.ts";

const { DST0, DST1, DST2, DST3 } = TupleWord;

const { GATEWAY } = RouteKind;

/**
 * Sends the frame at `off` to the fabric station with address `w0…w3`, or lets it wait until the neighbour is known.
 * Writes both MAC addresses. `slot` is the pool slot that holds the frame, -1 when it lies in borrowed memory.
 * Returns 0, or the DropReason; then the slot has been given back.
 */
export function toNeighbor(
  t: Tables,
  off: number,
  len: number,
  slot: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  nowMs: number,
): number {
  const view = t.scratch.own.view;
  const uplink = t.config.router.uplinkPort;
  if (uplink < 0 || t.ports.active[uplink] === 0) return giveBack(t, slot, DropReason.TX_PORT_GONE);
  eth.setSrc(view, off, t.ports.macHi[uplink], t.ports.macLo[uplink]);
  const n = neighbor.resolve(t.fabric, w0, w1, w2, w3, nowMs);
  if (n < 0) return giveBack(t, slot, DropReason.NEIGHBOR_TABLE_FULL);
  if (neighbor.isUsable(t.fabric, n)) {
    eth.setDst(view, off, t.fabric.macHi[n], t.fabric.macLo[n]);
    toUplink(t, uplink, off, len, slot);
    return 0;
  }
  const reason = wait(t, n, off, len, slot);
  if (neighborTimers.startProbing(t.fabric, n, nowMs)) {
    const { tag } = t.tx;
    t.tx.tag = 0; // the question is the plane's own: should it not leave, the packet waits all the same
    sendProbe(t, n, false);
    t.tx.tag = tag;
  }
  return reason;
}

function toUplink(t: Tables, uplink: number, off: number, len: number, slot: number): void {
  const type = vnet.gsoType(t.scratch.own.view, off - vnet.HEADER_LEN);
  if ((type & vnet.GSO_TUNNEL) === 0) enqueue(t.tx, uplink, off, len, slot);
  else enqueueInTunnel(t.tx, uplink, off, len, slot);
}

function wait(t: Tables, n: number, off: number, len: number, slot: number): number {
  let mine = slot;
  if (mine < 0) {
    mine = pool.acquireToKeep(t.pool);
    if (mine < 0) return DropReason.NO_SLOT;
    const to = pool.frameOffset(mine);
    t.arena.copyWithin(to - vnet.HEADER_LEN, off - vnet.HEADER_LEN, off + len);
  } else if (off !== pool.frameOffset(mine)) {
    // A frame that grew a header in front: the queue remembers slots, so it must start where slots start.
    const to = pool.frameOffset(mine);
    t.arena.copyWithin(to - vnet.HEADER_LEN, off - vnet.HEADER_LEN, off + len);
  }
  t.pool.tags[mine] = t.tx.tag;
  const dropped = neighbor.enqueue(t.fabric, n, mine, len);
  t.counters.events[Event.NEIGHBOR_QUEUED]++;
  if (dropped >= 0) pool.release(t.pool, dropped);
  if (dropped === mine) return DropReason.NEIGHBOR_QUEUE_FULL;
  t.watchers.waits = 1;
  if (dropped < 0) return 0;
  t.counters.drops[DropReason.NEIGHBOR_QUEUE_FULL]++;
  tellWaiting(t, dropped, Verdict.DROP, DropReason.NEIGHBOR_QUEUE_FULL);
  return 0;
}

/** Sends the packets that waited for the neighbour in `slot`. */
export function sendWaiting(t: Tables, slot: number): void {
  const uplink = t.config.router.uplinkPort;
  endAll(t.tx.bundles); // it may have moved
  for (;;) {
    const len = neighbor.frontLen(t.fabric, slot);
    const waiting = neighbor.dequeue(t.fabric, slot);
    if (waiting < 0) return;
    t.tx.inOrder = 1;
    const off = pool.frameOffset(waiting);
    eth.setDst(t.scratch.own.view, off, t.fabric.macHi[slot], t.fabric.macLo[slot]);
    const { tag } = t.tx;
    t.tx.tag = t.pool.tags[waiting];
    toUplink(t, uplink, off, len, waiting);
    t.tx.tag = tag;
    tellWaiting(t, waiting, Verdict.FORWARD, 0);
  }
}

/** What became of a traced packet that waited in `slot`. */
function tellWaiting(t: Tables, slot: number, verdict: Verdict, reason: number): void {
  const tag = t.pool.tags[slot];
  if (tag === 0) return;
  endedLate(t.watchers, t.counters, tag, StageId.OUTPUT, verdict, reason, t.config.router.uplinkPort);
}

function giveBack(t: Tables, slot: number, reason: number): number {
  if (slot >= 0) pool.release(t.pool, slot);
  return reason;
}

/** Sends the frame by fabric route `r`: to its gateway, or to the destination `key[4…7]` itself. */
export function toFabric(
  t: Tables,
  r: number,
  key: Int32Array,
  off: number,
  len: number,
  slot: number,
  nowMs: number,
): number {
  const rt = t.routes;
  if (rt.kind[r] === GATEWAY) {
    return toNeighbor(t, off, len, slot, rt.gw0[r], rt.gw1[r], rt.gw2[r], rt.gw3[r], nowMs);
  }
  return toNeighbor(t, off, len, slot, key[DST0], key[DST1], key[DST2], key[DST3], nowMs);
}

/** Sends the frame to the local port `port`, from the gateway's station to hi:lo. Returns 0 or the DropReason. */
export function toStation(
  t: Tables,
  pkt: Packet,
  port: number,
  hi: number,
  lo: number,
  off: number,
  len: number,
  slot: number,
): number {
  if (port < 0 || t.ports.active[port] === 0) return giveBack(t, slot, DropReason.TX_PORT_GONE);
  const view = t.scratch.own.view;
  eth.setDst(view, off, hi, lo);
  eth.setSrc(view, off, t.config.router.macHi, t.config.router.macLo);
  enqueueForPod(t, pkt, port, off, len, slot);
  return 0;
}
