/**
 * Stage `masquerade` (Linux: nat POSTROUTING). For a packet that begins a connection: decides the source it leaves with,
 * and makes sure that its answers cannot be mistaken for another connection's.
 *
 * A masqueraded connection gets a random port outside the node-port range. A connection that keeps its source gets
 * another port only when its reply tuple is taken, as the kernel's null binding. Drops: no free port; loopback that would
 * leave the node.
 *
 * With `tunnel.keepClients` a client of a service is let through as who he is, where the pod's node can answer by us.
 */
import { Protocol } from "../../../base/protocols.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { isKept } from "../../packet/kept-client.ts";
import { isNewConnection, Masquerade, type Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import * as expectations from "../../table/connection/expectations.ts";
import * as sourcePorts from "../../table/connection/source-ports.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as prefixSet from "../../table/prefix-set.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3 } = tuple.TupleWord;
const { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;
const { NEXT } = Verdict;
const { LOCAL, ONLINK, GATEWAY } = RouteKind;
const { HOST, UPLINK } = PortRole;
const { FOUND, TAKEN } = sourcePorts.Search;
const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;

export function masquerade(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.MASQUERADE;
  if (!isNewConnection(pkt)) return NEXT;
  const to = pkt.to;
  if (pkt.expected >= 0 && expectations.isTranslated(t.expectations, pkt.expected))
    return follow(pkt, t, nowSec);
  const r = pkt.route;
  const kind = r < 0 ? LOCAL : t.routes.kind[r];
  if (kind === LOCAL) {
    if (returnsToSender(pkt, t, r)) pkt.masquerade = Masquerade.HAIRPIN;
    else if (t.config.proxy.userspace === 0) pkt.masquerade = Masquerade.NONE; // kube-proxy has its own source
  } else if (pkt.masquerade === Masquerade.NONE) {
    if (leavesCluster(pkt, t, kind)) pkt.masquerade = Masquerade.POD_EGRESS;
    else if (losesAnswers(pkt, t, kind)) pkt.masquerade = Masquerade.SERVICE;
  } else if (
    t.config.tunnel.keepClients !== 0 &&
    pkt.masquerade === Masquerade.SERVICE &&
    isKept(pkt, t, r)
  ) {
    pkt.masquerade = Masquerade.KEPT;
  }
  const onWire = kind !== LOCAL && pkt.masquerade === Masquerade.NONE;
  if (onWire && to[SRC2] === V4_MAPPED && to[SRC3] >>> 24 === LOOPBACK_NET) {
    return drop(pkt, t, DropReason.MARTIAN_SOURCE); // loopback leaves the node under another address or not at all
  }
  const isMasked = pkt.masquerade !== Masquerade.NONE && pkt.masquerade !== Masquerade.KEPT;
  const masked = isMasked && takeSource(pkt, t, r);
  if (masked && t.config.router.shared !== 0 && isPortless(tuple.protoOf(to)))
    t.counters.events[Event.SNAT_PORTLESS]++;
  return claim(pkt, t, masked, nowSec);
}

/** Nothing in its answers says that they are not the kernel's, whose NIC it is, too. */
function isPortless(proto: number): boolean {
  if (proto === TCP || proto === UDP || proto === SCTP) return false;
  return proto !== UDPLITE && proto !== ICMP && proto !== ICMPV6;
}

/** An expected connection comes as its master's other end does (nf_nat_follow_master). */
function follow(pkt: Packet, t: Tables, nowSec: number): Verdict {
  expectations.loadSource(t.expectations, pkt.expected, pkt.to);
  return claim(pkt, t, false, nowSec);
}

/** Makes the answers' tuple, which is then in `reply`, nobody else's: if need be, by another source port. */
function claim(pkt: Packet, t: Tables, masked: boolean, nowSec: number): Verdict {
  const ct = t.conntrack;
  const { to } = pkt;
  const { reply } = t.scratch;
  tuple.invert(to, reply);
  if (masked || sourcePorts.holderOf(ct, reply, nowSec) >= 0) {
    const found = sourcePorts.search(t.walks.sourcePorts, ct, t.config.snat, to, reply, nowSec, t.nowMs);
    if (found === TAKEN) return drop(pkt, t, DropReason.CT_TUPLE_TAKEN);
    if (found !== FOUND) return drop(pkt, t, DropReason.SNAT_PORTS_EXHAUSTED);
    if (!masked) t.counters.events[Event.SNAT_PORT_REMAPPED]++;
  }
  pkt.nat = tuple.same(pkt.key, to) ? 0 : 1;
  return NEXT;
}

/**
 * What the node sent to a service, and leaves by an uplink that is the kernel's, too: answers to a port of the kernel's
 * would be taken by it, untranslated.
 */
function losesAnswers(pkt: Packet, t: Tables, kind: number): boolean {
  if (t.config.router.shared === 0 || pkt.nat === 0 || (kind !== ONLINK && kind !== GATEWAY)) return false;
  return t.ports.role[pkt.inPort] === HOST && pkt.fromTunnel === 0;
}

/**
 * What is delivered is not forwarded: no POSTROUTING on the way in. But what the node sent to a service and one of its
 * own programs is to get must not bear an address of the node: the answer would go over lo, past us. It gets the
 * address that stands for us on host0 (in Linux, where lo has the same hooks, the node's own). With a shared uplink, so
 * does what came by that: the answer would leave by it, past us.
 */
function returnsToSender(pkt: Packet, t: Tables, r: number): boolean {
  if (r < 0 || pkt.nat === 0 || pkt.fromTunnel !== 0) return false;
  const role = t.ports.role[pkt.inPort];
  return role === HOST || (role === UPLINK && t.config.router.shared !== 0);
}

/** flannel's rule: from the cluster's pods, to anywhere else, through the node's own interface. */
function leavesCluster(pkt: Packet, t: Tables, kind: number): boolean {
  if (t.config.snat.egress === 0 || (kind !== ONLINK && kind !== GATEWAY)) return false;
  const k = pkt.to;
  if (!prefixSet.contains(t.addresses.masqueradeSources, k[SRC0], k[SRC1], k[SRC2], k[SRC3])) return false;
  return !prefixSet.contains(t.addresses.masqueradeExempt, k[DST0], k[DST1], k[DST2], k[DST3]);
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
