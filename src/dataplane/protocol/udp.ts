/**
 * UDP and UDP-Lite (nf_conntrack_proto_udp.c). Any datagram begins a flow. A UDP flow remembers when it began: one that
 * was answered and talks two seconds later is a stream, which is assured and has more time; of UDP-Lite every answered
 * one is.
 *
 * A UDP flow whose endpoint is gone, or whose service came or went since it was decided, ends and is decided again as
 * a new one: what kube-proxy does by deleting entries after the fact.
 */
import { Protocol } from "../../base/protocols.ts";
import { Event } from "../counters.ts";
import { findFrontend, findHostPort } from "../packet/find-frontend.ts";
import type { Packet } from "../packet/packet.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { type Conntrack, Status, Timeout } from "../table/connection/conntrack.ts";
import { Track } from "../table/connection/ct-states.ts";
import * as ipvsTimeouts from "../table/connection/ipvs-timeouts.ts";
import * as identities from "../table/service/identities.ts";
import type { Tables } from "../tables.ts";

const { UDP: PROTO_UDP } = Protocol;
const { ASSURED, SEEN_REPLY, SERVED } = Status;
const { UDP, UDP_STREAM } = Timeout;
const { OK, REPEAT } = Track;
const STREAM_AFTER_MS = 2000;
const FIRST_SEC = 1; // engine.setClock

export function begin(t: Tables, slot: number, nowSec: number): void {
  const ct = t.conntrack;
  ct.state[slot << 5] = t.nowMs - msOf(nowSec);
  conntrack.renew(ct, slot, UDP, nowSec);
  if (ct.header[ipvsTimeouts.H_IPVS_SET] !== 0 && (ct.status[slot << 4] & SERVED) !== 0)
    ipvsTimeouts.renew(ct, slot, PROTO_UDP, nowSec);
}

export function advance(pkt: Packet, t: Tables, ref: number, nowSec: number): number {
  const ct = t.conntrack;
  const slot = ref >> 1;
  if ((ref & 1) === 0 && isStale(pkt, t, slot)) {
    conntrack.remove(ct, slot);
    t.counters.events[Event.CT_REDECIDED]++;
    return REPEAT;
  }
  const status = ct.status[slot << 4];
  let which: number = UDP;
  if ((status & ASSURED) !== 0) which = UDP_STREAM;
  else if ((status & SEEN_REPLY) !== 0 && isStream(ct, slot, t.nowMs)) {
    ct.status[slot << 4] = status | ASSURED;
    which = UDP_STREAM;
  }
  conntrack.renew(ct, slot, which, nowSec);
  return OK;
}

/**
 * `advance` for a datagram that changes nothing but its flow's time. False: look closer, nothing has happened.
 */
export function advanceSteady(t: Tables, ref: number, nowSec: number): boolean {
  const ct = t.conntrack;
  const slot = ref >> 1;
  const status = ct.status[slot << 4];
  if (conntrack.isExpired(ct, slot, nowSec)) return false;
  if ((ref & 1) === 0) {
    const endpoint = ct.endpoint[slot << 4];
    const { ids, epoch } = t.services;
    if (endpoint >= 0 ? !identities.isAlive(ids, endpoint) : endpoint !== conntrack.withoutEndpoint(epoch[0]))
      return false;
  } else if ((status & SEEN_REPLY) === 0) return false; // the first answer
  const isAssured = (status & ASSURED) !== 0;
  if (!isAssured && (status & SEEN_REPLY) !== 0 && isStream(ct, slot, t.nowMs)) return false;
  conntrack.renew(ct, slot, isAssured ? UDP_STREAM : UDP, nowSec);
  return true;
}

function isStream(t: Conntrack, slot: number, nowMs: number): boolean {
  const began = msOf(t.startSec[slot << 1]) + t.state[slot << 5];
  return ((nowMs - began - STREAM_AFTER_MS) | 0) > 0;
}

/** Engine clock in ms when its second began. It wraps, and is only ever compared by difference. */
function msOf(sec: number): number {
  return Math.imul(sec - FIRST_SEC, 1000);
}

/** Has the decision that this connection rests on been overtaken? */
function isStale(pkt: Packet, t: Tables, slot: number): boolean {
  const ct = t.conntrack;
  const s = t.services;
  const endpoint = ct.endpoint[slot << 4];
  if (endpoint >= 0) return !identities.isAlive(s.ids, endpoint);
  const now = conntrack.withoutEndpoint(s.epoch[0]);
  if (endpoint === now) return false;
  ct.endpoint[slot << 4] = now;
  return findFrontend(t, pkt.key) >= 0 || findHostPort(t, pkt.key) >= 0;
}

export function beginLite(t: Conntrack, slot: number, nowSec: number): void {
  conntrack.renew(t, slot, UDP, nowSec);
}

export function advanceLite(t: Conntrack, slot: number, nowSec: number): number {
  const answered = (t.status[slot << 4] & SEEN_REPLY) !== 0;
  if (answered) t.status[slot << 4] |= ASSURED;
  conntrack.renew(t, slot, answered ? UDP_STREAM : UDP, nowSec);
  return OK;
}
