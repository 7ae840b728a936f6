/**
 * The next attempt of a connection whose endpoint refused, stayed silent or cannot be reached (userspace mode;
 * kube-proxy: tryConnect). The engine asks once a turn. What the client had sent goes through the pipeline once more, as
 * the first packet of a new connection that passes over remembered endpoints; the connection's old entry is taken out
 * before, so that the new one finds a reply tuple of its own. After the last attempt the client is refused.
 */
import { Protocol } from "../../base/protocols.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { Event } from "../counters.ts";
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import { IcmpRequest, requestIcmp } from "../packet/icmp-request.ts";
import { begin, CtState, type Packet } from "../packet/packet.ts";
import { forward, makeRefusal, sendRefusal } from "../pipeline.ts";
import * as pool from "../slot-pool.ts";
import { parse } from "../stage/ip/parse.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as pending from "../table/service/pending-connections.ts";
import type { Tables } from "../tables.ts";
import { ended, lostPiece, passed } from "../trace/note.ts";
import { StageId } from "../trace/stage-id.ts";
import { after, before } from "../trace/watch.ts";
import { Verdict } from "../verdict.ts";

const { TCP } = Protocol;

const { DST0, PORTS, META } = tuple.TupleWord;

/** Attempts that one turn may cost. */
const TURN_MAX = 64;
const NO_PORT = -1;
const { SILENT } = pending.Reason;

/** Goes on with every connection whose time has come. Returns how many there were. */
export function redialDue(t: Tables, nowSec: number, nowMs: number): number {
  for (let n = 0; n < TURN_MAX; n++) {
    const e = pending.nextDue(t.pending, nowMs);
    if (e < 0) return n;
    redial(t, e, nowSec, nowMs);
  }
  return TURN_MAX;
}

function redial(t: Tables, e: number, nowSec: number, nowMs: number): void {
  const p = t.pending;
  const isTimeUp = p.queue[e] !== pending.AT_ONCE + 1;
  if (!isWanted(t, e) || (isTimeUp && !pending.isTcp(p, e))) {
    pending.close(p, e); // nobody has to answer a datagram
    return;
  }
  const pkt = t.scratch.held;
  if (!load(t, e, 0)) {
    pending.schedule(p, e, p.attempt[e] - 1, nowMs); // no packet slot: the same endpoint gets more time
    return;
  }
  if (isTimeUp) p.reason[e] = SILENT;
  const isWatched = t.watchers.active !== 0;
  if (isWatched) before(pkt, t);
  letGo(t, e, pkt);
  const isLast = p.attempt[e] >= pending.ATTEMPTS;
  if (!isLast) p.attempt[e]++;
  pkt.attempt = p.attempt[e] | (p.reason[e] << 3);
  const v = isLast ? giveUp(pkt, t, nowSec, nowMs) : again(pkt, t, e, nowSec, nowMs);
  if (isWatched) after(pkt, t, v, NO_PORT);
  if (!isLast && v === Verdict.FORWARD) sendFurther(t, e, nowSec, nowMs);
  if (!pending.isScheduled(p, e)) pending.close(p, e);
}

/** Is the connection still the one that began to wait, and its client's port still there? */
function isWanted(t: Tables, e: number): boolean {
  const p = t.pending;
  if (t.ports.active[p.inPort[e]] === 0) return false;
  const slot = p.connection[e] - 1;
  if (slot < 0) return true;
  if (t.conntrack.status[slot << 4] === 0) return false;
  conntrack.loadTuple(t.conntrack, slot << 1, t.scratch.keyA);
  return pending.isKey(p, e, t.scratch.keyA);
}

/** Takes the copy at `at` of the entry's room into a packet slot, as it came. False: none is free. */
function load(t: Tables, e: number, at: number): boolean {
  const p = t.pending;
  const pkt = t.scratch.held;
  const slot = pool.acquire(t.pool);
  if (slot < 0) return false;
  const off = pool.frameOffset(slot);
  pending.copyOut(p, e, at, t.arena, off - vnet.HEADER_LEN);
  begin(pkt, off, pending.lenAt(p, e, at) - vnet.HEADER_LEN, p.inPort[e]);
  pkt.slot = slot;
  pkt.fromTunnel = p.fromTunnel[e];
  return true;
}

/** Takes the connection out; the packet says which one it was, for those who watch. */
function letGo(t: Tables, e: number, pkt: Packet): void {
  const p = t.pending;
  const ct = t.conntrack;
  const key = pkt.key;
  const to = pkt.to;
  pending.loadKey(p, e, key);
  pkt.family = key[META] >>> 8;
  pkt.proto = tuple.protoOf(key);
  pkt.ctState = CtState.NEW;
  pkt.nat = 1;
  const slot = p.connection[e] - 1;
  if (slot >= 0) {
    conntrack.loadTranslated(ct, slot << 1, key, to);
    conntrack.remove(ct, slot);
  } else describeChoice(t, e, key, to);
  pending.unschedule(p, e);
  pending.detach(p, e);
}

/** Where the packet would have gone that found no way there. */
function describeChoice(t: Tables, e: number, key: Int32Array, to: Int32Array): void {
  const s = t.services;
  const endpoint = t.pending.endpoint[e];
  for (let i = 0; i < 4; i++) {
    to[i] = key[i];
    to[DST0 + i] = s.epAddr[(endpoint << 2) + i];
  }
  to[PORTS] = (key[PORTS] & ~0xffff) | s.epPort[endpoint];
  to[META] = key[META];
}

function again(pkt: Packet, t: Tables, e: number, nowSec: number, nowMs: number): Verdict {
  t.counters.events[Event.CONNECTION_RETRIED]++;
  pkt.stage = StageId.RETRY_CONNECTION;
  passed(pkt, t, Verdict.NEXT);
  pkt.pending = e;
  pkt.nat = 0;
  pkt.ctState = CtState.UNTRACKED;
  return forward(pkt, t, nowSec, nowMs);
}

/** kube-proxy closed the connection that it had accepted. */
function giveUp(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  pkt.ipLen = 0;
  const v = drop(pkt, t, DropReason.SERVICE_BACKENDS_FAILED);
  // Nothing is said to who sent datagrams, nor where there is no slot to say it in.
  const isTold = pkt.proto === TCP && t.pool.count > 0;
  requestIcmp(pkt, isTold ? IcmpRequest.TCP_RESET : IcmpRequest.NONE);
  pkt.stage = StageId.RETRY_CONNECTION;
  ended(pkt, t, v);
  pkt.nat = 0;
  if (isTold && parse(pkt, t) === Verdict.NEXT && makeRefusal(pkt, t, nowMs))
    sendRefusal(pkt, t, nowSec, nowMs);
  pool.release(t.pool, pkt.slot);
  pkt.slot = -1;
  return v;
}

/** What the client sent after its first datagram, in order, to the endpoint that the first one got. */
function sendFurther(t: Tables, e: number, nowSec: number, nowMs: number): void {
  const p = t.pending;
  const pkt = t.scratch.held;
  let at = pending.after(0, pending.lenAt(p, e, 0));
  for (let len = pending.lenAt(p, e, at); len > 0; len = pending.lenAt(p, e, at)) {
    if (!load(t, e, at)) {
      t.counters.drops[DropReason.NO_SLOT]++;
      pkt.stage = StageId.RETRY_CONNECTION;
      lostPiece(pkt, t, DropReason.NO_SLOT); // of what the packet before belongs to
      return;
    }
    const isWatched = t.watchers.active !== 0;
    if (isWatched) before(pkt, t);
    pkt.attempt = p.attempt[e];
    const v = forward(pkt, t, nowSec, nowMs);
    if (isWatched) after(pkt, t, v, NO_PORT);
    at = pending.after(at, len);
  }
}
