/**
 * Stage `masquerade` (Linux: nat POSTROUTING, then __nf_conntrack_confirm). For a NEW packet only: decides the source
 * it leaves with, makes sure that its answers cannot be mistaken for another connection's, and enters the connection.
 * One insertion, before the packet leaves: the two races of the kernel (DNS A/AAAA, parallel SNAT) cannot occur.
 *
 * A masqueraded connection gets a random port (as MASQUERADE --random-fully) outside the node-port range, so that an
 * answer is never taken for a service packet. A connection that keeps its source gets another port only when its
 * reply tuple is taken, as the kernel's null binding. Drops: no free port, table full.
 */

import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { CtState, Masquerade, type Packet } from "../../packet/packet.ts";
import * as sctp from "../../packet/sctp-association.ts";
import { readSegment } from "../../packet/tcp-segment.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import { Scheduler } from "../../spec/services.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as ctGeneric from "../../table/connection/conntrack-generic.ts";
import * as seqadj from "../../table/connection/conntrack-seqadj.ts";
import * as ctTcp from "../../table/connection/conntrack-tcp.ts";
import * as ctUdp from "../../table/connection/conntrack-udp.ts";
import { EventType } from "../../table/connection/event-ring.ts";
import * as expectations from "../../table/connection/expectations.ts";
import * as ipvsTimeouts from "../../table/connection/ipvs-timeouts.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as prefixSet from "../../table/prefix-set.ts";
import { NO_ID } from "../../table/service/identities.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS } = tuple.TupleWord;

const { NEXT } = Verdict;
const { LOCAL, ONLINK, GATEWAY } = RouteKind;
const { HOST } = PortRole;
const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;
const { Status } = conntrack;
/**
 * What one packet may cost: random tries, fewer where a connection was met that may give way, and very few in a
 * millisecond in which that was necessary for the same destination; then steps of a walk. A walk is for a port range
 * that is full of living connections; while one has just failed there are no others, wherever to, or who fills two
 * ranges could have one for each packet.
 */
const RANDOM_TRIES = 32;
const TRIES_WITH_VICTIM = 16;
const TRIES_IN_FLOOD = 2;
const WALK_STEPS = 2048;
const WALK_PAUSE_MS = 5;
const PRIVILEGED = 1024;
const FTP_PORT = 21;
const SCTP = 132;

export function masquerade(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.MASQUERADE;
  if (pkt.ctSlot >= 0 || (pkt.ctState !== CtState.NEW && pkt.expected < 0)) return NEXT;
  const to = pkt.to;
  if (pkt.expected >= 0 && expectations.isTranslated(t.expectations, pkt.expected))
    return follow(pkt, t, nowSec);
  const r = pkt.route;
  const kind = r < 0 ? LOCAL : t.routes.kind[r];
  if (kind === LOCAL) {
    if (returnsToSender(pkt, t, r)) pkt.masquerade = Masquerade.HAIRPIN;
    else if (t.config.userspace === 0) pkt.masquerade = Masquerade.NONE; // kube-proxy's own connection has its source
  } else if (pkt.masquerade === Masquerade.NONE && leavesCluster(pkt, t, kind)) {
    pkt.masquerade = Masquerade.POD_EGRESS;
  }
  const onWire = kind !== LOCAL && pkt.masquerade === Masquerade.NONE;
  if (onWire && to[SRC2] === V4_MAPPED && to[SRC3] >>> 24 === LOOPBACK_NET) {
    return drop(pkt, t, DropReason.MARTIAN_SOURCE); // loopback leaves the node under another address or not at all
  }
  const masked = pkt.masquerade !== Masquerade.NONE && takeSource(pkt, t, r);
  tuple.invert(to, t.keyA);
  if (masked || holderOf(t, t.keyA, nowSec) >= 0) {
    const reason = findPort(pkt, t, masked, nowSec);
    if (reason !== DropReason.NONE) return drop(pkt, t, reason as DropReason);
  }
  return enter(pkt, t, nowSec);
}

/** An expected connection comes as its master's other end does (nf_nat_follow_master). */
function follow(pkt: Packet, t: Tables, nowSec: number): Verdict {
  expectations.loadSource(t.expectations, pkt.expected, pkt.to);
  tuple.invert(pkt.to, t.keyA);
  if (holderOf(t, t.keyA, nowSec) >= 0) {
    const reason = findPort(pkt, t, false, nowSec);
    if (reason !== DropReason.NONE) return drop(pkt, t, reason as DropReason);
  }
  return enter(pkt, t, nowSec);
}

/**
 * What is delivered is not forwarded: no POSTROUTING on the way in. But what the node sent to a service and one of its
 * own programs is to get must not bear an address of the node: the answer would go over lo, past us. It gets the
 * address that stands for us on host0 (in Linux, where lo has the same hooks, the node's own).
 */
function returnsToSender(pkt: Packet, t: Tables, r: number): boolean {
  return r >= 0 && pkt.nat !== 0 && t.ports.role[pkt.inPort] === HOST && pkt.fromTunnel === 0;
}

/** flannel's rule: from the cluster's pods, to anywhere else, through the node's own interface. */
function leavesCluster(pkt: Packet, t: Tables, kind: number): boolean {
  if (t.config.masqueradeEgress === 0 || (kind !== ONLINK && kind !== GATEWAY)) return false;
  const k = pkt.to;
  if (!prefixSet.contains(t.masqueradeSources, k[SRC0], k[SRC1], k[SRC2], k[SRC3])) return false;
  return !prefixSet.contains(t.masqueradeExempt, k[DST0], k[DST1], k[DST2], k[DST3]);
}

/** Writes the egress route's address as source. False when the route has none: then nothing is rewritten. */
function takeSource(pkt: Packet, t: Tables, r: number): boolean {
  const rt = t.routes;
  const to = pkt.to;
  if ((rt.src0[r] | rt.src1[r] | rt.src2[r] | rt.src3[r]) === 0) return false;
  to[SRC0] = rt.src0[r];
  to[SRC1] = rt.src1[r];
  to[SRC2] = rt.src2[r];
  to[SRC3] = rt.src3[r];
  return true;
}

function hasPorts(proto: number): boolean {
  return proto === 6 || proto === 17 || proto === SCTP || proto === 136;
}

/**
 * Finds a source port (ICMP: id) with which the reply tuple is nobody's, or that of a connection which was never
 * confirmed or is over: a flood of forged SYNs that took every port must not keep others out. Returns a DropReason, NONE
 * when found.
 */
function findPort(pkt: Packet, t: Tables, masked: boolean, nowSec: number): number {
  const to = pkt.to;
  const proto = pkt.proto;
  const isQuery = proto === 1 || proto === 58;
  if (!isQuery && !hasPorts(proto)) {
    tuple.invert(to, t.keyA);
    return holderOf(t, t.keyA, nowSec) >= 0 ? DropReason.CT_TUPLE_TAKEN : DropReason.NONE;
  }
  const c = t.config;
  const wanted = tuple.sourcePort(to);
  let low = c.snatMin;
  let high = c.snatMax;
  let isWhole = true; // no node ports in it
  if (isQuery) {
    low = 0;
    high = 0xffff;
  } else if (wanted < PRIVILEGED) {
    // Who came from a privileged port goes on with one (nf_nat_l4proto_unique_tuple: the same two ranges).
    low = wanted < 512 ? 1 : 600;
    high = wanted < 512 ? 511 : PRIVILEGED - 1;
  } else isWhole = false;
  const size = high - low + 1;
  const gapAt = isWhole ? size : c.snatAvoidMin - low;
  const gap = isWhole ? 0 : c.snatAvoidMax - c.snatAvoidMin + 1;
  const usable = size - gap;
  let n = pickBelow(t, usable);
  let victim = -1;
  let victimPort = 0;
  const place = placeOf(to, low, proto);
  const isFlood = t.nowMs === t.gaveWayMs && t.gaveWayPlace === place;
  const enough = isFlood ? TRIES_IN_FLOOD : TRIES_WITH_VICTIM;
  for (let tries = 0; tries < RANDOM_TRIES + WALK_STEPS; tries++) {
    const port = low + (n < gapAt ? n : n + gap);
    setSourcePort(pkt, t, port);
    const holder = holderOf(t, t.keyA, nowSec);
    if (holder < 0) {
      if (!masked) t.counters.events[Event.SNAT_PORT_REMAPPED]++;
      return DropReason.NONE;
    }
    if (victim < 0 && (holder & 1) === 1 && conntrack.mayGiveWay(t.conntrack, holder >> 1, nowSec)) {
      victim = holder >> 1;
      victimPort = port;
    }
    if (victim >= 0 && tries >= enough) {
      t.gaveWayMs = t.nowMs;
      t.gaveWayPlace = place;
      if (!masked) t.counters.events[Event.SNAT_PORT_REMAPPED]++;
      conntrack.giveWay(t.conntrack, victim);
      setSourcePort(pkt, t, victimPort);
      return DropReason.NONE;
    }
    if (tries < RANDOM_TRIES) n = pickBelow(t, usable);
    else {
      if (hasJustWalked(t)) break;
      n = n + 1 === usable ? 0 : n + 1;
    }
  }
  if (!hasJustWalked(t)) t.walkFailedMs = t.nowMs;
  return DropReason.SNAT_PORTS_EXHAUSTED;
}

/** A destination and a range of ports, as one number. */
function placeOf(to: Int32Array, low: number, proto: number): number {
  return Math.imul(to[DST3], 0x9e3779b1) ^ Math.imul(to[PORTS] & 0xffff, 0x85ebca6b) ^ (low << 8) ^ proto;
}

/** In vain. Unsigned, so that a clock that wraps stops no walk for long. */
function hasJustWalked(t: Tables): boolean {
  return (t.nowMs - t.walkFailedMs) >>> 0 < WALK_PAUSE_MS;
}

/** The packet leaves from `port`; `keyA` is then its answers' tuple. */
function setSourcePort(pkt: Packet, t: Tables, port: number): void {
  const to = pkt.to;
  to[PORTS] = (port << 16) | (to[PORTS] & 0xffff);
  tuple.invert(to, t.keyA);
}

/** The living connection that has this tuple, or -1. One that has expired makes room, though the walk has not come by. */
function holderOf(t: Tables, key: Int32Array, nowSec: number): number {
  const ref = conntrack.find(t.conntrack, key);
  if (ref < 0 || !conntrack.isExpired(t.conntrack, ref >> 1, nowSec)) return ref;
  conntrack.remove(t.conntrack, ref >> 1);
  return -1;
}

function pickBelow(t: Tables, n: number): number {
  return (((conntrack.random(t.conntrack) >>> 9) * n) / 0x800000) | 0;
}

/** Enters the connection: original tuple as received, reply tuple as just found free (in `keyA`). */
function enter(pkt: Packet, t: Tables, nowSec: number): Verdict {
  const ct = t.conntrack;
  const slot = conntrack.insert(ct, pkt.key, t.keyA, nowSec);
  if (slot < 0) return drop(pkt, t, DropReason.CT_TABLE_FULL);
  const key = pkt.key;
  const to = pkt.to;
  let status = 0;
  for (let i = 0; i < 4; i++) {
    if (key[SRC0 + i] !== to[SRC0 + i]) status |= Status.SRC_NAT;
    if (key[DST0 + i] !== to[DST0 + i]) status |= Status.DST_NAT;
  }
  if (((key[PORTS] ^ to[PORTS]) & ~0xffff) !== 0) status |= Status.SRC_NAT;
  if (((key[PORTS] ^ to[PORTS]) & 0xffff) !== 0) status |= Status.DST_NAT;
  pkt.nat = status === 0 ? 0 : 1;
  if (pkt.expected >= 0) {
    status |= Status.RELATED;
    expectations.remove(t.expectations, pkt.expected);
  } else if (t.config.ftpHelper !== 0 && isFtp(key, to) && seqadj.add(t.seqadj, ct, slot))
    status |= Status.HELPER;
  const s = t.services;
  if (services.isService(s, pkt.endpoint)) status |= Status.SERVED;
  ct.status[slot] |= status;
  ct.endpoint[slot] = pkt.endpoint >= 0 ? s.epId[pkt.endpoint] : NO_ID;
  ct.epoch[slot] = s.epoch[0];
  ct.service[slot] = pkt.frontend >= 0 ? s.service[pkt.frontend] : -1;
  startTracking(pkt, t, slot, nowSec);
  if (pkt.frontend >= 0 && pkt.endpoint >= 0 && s.schedule.kind[pkt.frontend] !== Scheduler.RANDOM) {
    conntrack.countIn(ct, slot, startsActive(pkt, ct.state[slot]));
  }
  conntrack.account(ct, slot << 1, pkt.ipLen);
  if (ct.header[conntrack.H_EVENT_READERS] !== 0) conntrack.tell(ct, EventType.NEW, slot);
  t.counters.events[Event.CT_CREATED]++;
  pkt.ctSlot = slot;
  pkt.ctDir = 0;
  return NEXT;
}

/** As IPVS: what has no states is active while it lives, SCTP only when it is established. */
function startsActive(pkt: Packet, state: number): boolean {
  return pkt.proto === 6 ? ctTcp.isActive(state) : pkt.proto !== 132;
}

/** A control connection by either end's port, as nf_conntrack_ftp's default has it. */
function isFtp(key: Int32Array, to: Int32Array): boolean {
  return (
    tuple.protoOf(key) === 6 && ((key[PORTS] & 0xffff) === FTP_PORT || (to[PORTS] & 0xffff) === FTP_PORT)
  );
}

/** What the protocol's tracker notes of a first packet, and how long the connection has for the second one. */
function startTracking(pkt: Packet, t: Tables, slot: number, nowSec: number): void {
  const ct = t.conntrack;
  if (pkt.proto === 6) {
    readSegment(pkt, t.tcpSegment);
    ctTcp.open(ct, slot, t.tcpSegment, nowSec);
    return;
  }
  if (pkt.proto === SCTP) {
    sctp.enterFirst(t, slot, nowSec);
    return;
  }
  if (pkt.proto === 17) ctUdp.open(ct, slot, t.nowMs);
  ct.expiresAtSec[slot] = (nowSec + ctGeneric.firstTimeout(ct, pkt.proto)) | 0;
  if (ct.header[ipvsTimeouts.H_IPVS_SET] !== 0 && (ct.status[slot] & Status.SERVED) !== 0)
    ipvsTimeouts.renew(ct, slot, pkt.proto, nowSec);
}
