/** The pod bridge's forwarding decision (Linux: br_forward, br_flood), shared by stages. */
import { Protocol } from "../../base/protocols.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import { Event } from "../counters.ts";
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import * as admission from "../packet/admission.ts";
import type { Packet } from "../packet/packet.ts";
import { PortRole } from "../port.ts";
import * as pool from "../slot-pool.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as fdb from "../table/fdb.ts";
import * as hits from "../table/policy/policy-hits.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";
import { endFlows, enqueueForPod } from "./join.ts";
import { enqueue } from "./tx-queue.ts";

const { ICMPV6 } = Protocol;

const { DST0 } = tuple.TupleWord;

const { FORWARD, FLOOD, CONSUMED } = Verdict;
const { POD } = PortRole;

/** PortId behind which the frame's destination station was last seen, or -1. */
export function portOfStation(pkt: Packet, t: Tables, nowSec: number): number {
  const slot = fdb.find(t.fdb, eth.dstHi(pkt.view, pkt.off), eth.dstLo(pkt.view, pkt.off), nowSec);
  return slot < 0 ? -1 : t.fdb.port[slot];
}

/**
 * Port of the pod that the frame's destination is, also of one that has not sent anything lately, or whose port is so new
 * that its addresses are not known yet; or -1.
 */
export function podWithMac(pkt: Packet, t: Tables, nowSec: number): number {
  const seen = portOfStation(pkt, t, nowSec);
  if (seen >= 0) return seen;
  const { ports } = t;
  const hi = eth.dstHi(pkt.view, pkt.off);
  const lo = eth.dstLo(pkt.view, pkt.off);
  for (let port = 0; port < ports.count; port++) {
    if (ports.macLo[port] !== lo || ports.macHi[port] !== hi) continue;
    if (ports.role[port] === POD && ports.active[port] !== 0) return port;
  }
  return -1;
}

/** Sends a frame on to the station it is addressed to, or to all pods when nobody knows where that is. */
export function bridge(pkt: Packet, t: Tables, nowSec: number): Verdict {
  const port = portOfStation(pkt, t, nowSec);
  if (port < 0) return flood(pkt, t);
  if (port === pkt.inPort) return drop(pkt, t, DropReason.NO_OTHER_PORT);
  if (t.ports.active[port] === 0) return drop(pkt, t, DropReason.TX_PORT_GONE);
  pkt.outPort = port;
  enqueueForPod(t, pkt, port, pkt.off, pkt.end - pkt.off, pkt.slot);
  pkt.slot = -1;
  return FORWARD;
}

/** A frame for a group: to every pod but the sender, where there are policies to those that may get it. */
export function floodGroup(pkt: Packet, t: Tables): Verdict {
  const isAsked = t.policy.active !== 0 && pkt.family !== 0 && !isLinkTalk(pkt);
  return isAsked ? floodAllowed(pkt, t) : flood(pkt, t);
}

/** One copy to every pod but the sender. */
function flood(pkt: Packet, t: Tables): Verdict {
  const copies = floodFrame(t, pkt.inPort, pkt.off, pkt.end - pkt.off, pkt.slot);
  pkt.slot = -1;
  if (copies > 0) return FLOOD;
  const asksNeighbours = pkt.etherType === eth.ETHERTYPE_ARP || (pkt.proto === ICMPV6 && pkt.family === 6);
  return asksNeighbours ? CONSUMED : drop(pkt, t, DropReason.NO_OTHER_PORT);
}

/** Discovery, and who listens to which group: no policy is asked about what a link is made of, and is for all. */
function isLinkTalk(pkt: Packet): boolean {
  if (pkt.proto !== ICMPV6 || pkt.family !== 6 || pkt.key[DST0] >>> 24 !== 0xff) return false;
  return icmpv6.isLinkTalk(tuple.icmpType(pkt.key));
}

/** Nothing remembers such a packet, so each is asked about: what its sender may send, and each receiver get. */
function floodAllowed(pkt: Packet, t: Tables): Verdict {
  const { ports } = t;
  const sender = admission.senderOf(pkt, t);
  const key = pkt.key;
  const isPiece = pkt.fragment !== 0;
  const egress = admission.egressVerdict(t, sender, -1, key, true, isPiece);
  let reason: DropReason = refusal(pkt, t, egress);
  if (reason !== DropReason.NONE) {
    pkt.egressVerdict = egress;
    return drop(pkt, t, reason);
  }
  endFlows(t.tx);
  let copies = 0;
  reason = DropReason.NO_OTHER_PORT;
  for (let port = 0; port < ports.count; port++) {
    if (port === pkt.inPort || ports.active[port] === 0 || ports.role[port] !== POD) continue;
    const toOne = admission.egressToOne(t, sender, port, key, isPiece);
    const ingress = admission.ingressVerdict(t, sender, port, key, key, true, false, isPiece);
    let why = refusal(pkt, t, toOne);
    if (why !== DropReason.NONE) pkt.egressVerdict = toOne;
    else {
      why = refusal(pkt, t, ingress);
      if (why !== DropReason.NONE) pkt.ingressVerdict = ingress;
    }
    if (why === DropReason.NONE) {
      enqueue(t.tx, port, pkt.off, pkt.end - pkt.off, -1);
      copies++;
    } else reason = why;
  }
  if (copies === 0) return drop(pkt, t, reason);
  if (pkt.slot >= 0) t.tx.slots[t.tx.count - 1] = pkt.slot; // goes back with the last copy
  pkt.slot = -1;
  t.counters.events[Event.FLOODED]++;
  return FLOOD;
}

/** Why a verdict keeps a copy back, which is counted then. */
function refusal(pkt: Packet, t: Tables, verdict: number): DropReason {
  const reason = admission.reasonOf(verdict);
  if (reason !== DropReason.NONE && verdict !== admission.NOT_READY) {
    hits.count(t.policyHits, verdict, 1, pkt.ipLen, conntrack.clockSec(t.conntrack));
  }
  return reason;
}

/**
 * Queues a frame for every pod but `inPort`'s; all copies share the bytes. Takes `slot`. Returns how many
 * copies.
 */
export function floodFrame(t: Tables, inPort: number, off: number, len: number, slot: number): number {
  const ports = t.ports;
  endFlows(t.tx);
  let copies = 0;
  for (let port = 0; port < ports.count; port++) {
    if (port === inPort || ports.active[port] === 0 || ports.role[port] !== POD) continue;
    enqueue(t.tx, port, off, len, -1);
    copies++;
  }
  if (slot >= 0) {
    if (copies === 0) pool.release(t.pool, slot);
    else t.tx.slots[t.tx.count - 1] = slot; // goes back with the last copy
  }
  t.counters.events[Event.FLOODED]++;
  return copies;
}
