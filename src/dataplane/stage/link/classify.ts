/**
 * Stage `classify` (Linux: br_handle_frame, ip_rcv): is the frame for the router, for another station of the pod
 * bridge, or for everybody? Sets `pkt.bridged`. A group frame is flooded here; an IP packet to one station goes on
 * through connection tracking either way, as with bridge-nf-call-iptables=1.
 * Drops: frames for another MAC address than ours where no bridge is, addresses no router may forward, clients that a
 * tunnel may not bring.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as options from "../../../wire/ip/ipv6-options.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { requestUnknownOption } from "../../packet/icmp-request.ts";
import * as keptClient from "../../packet/kept-client.ts";
import { type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { bridge, floodGroup } from "../../send/bridge.ts";
import { enqueue } from "../../send/tx-queue.ts";
import * as tuple from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMPV6 } = Protocol;

const { SRC0, SRC3, DST0, DST1, DST2, DST3 } = tuple.TupleWord;

const { NEXT, FLOOD } = Verdict;
const { POD, HOST, UPLINK } = PortRole;
const LOOPBACK_NET = 127;
const LINK_LOCAL = 0xfe800000 | 0;
const LINK_LOCAL_10 = 0xfe80 >>> 6; // first ten bits of fe80::/10

export function classify(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.CLASSIFY;
  const view = pkt.view;
  const hi = eth.dstHi(view, pkt.off);
  const lo = eth.dstLo(view, pkt.off);
  const role = t.ports.role[pkt.inPort];
  if (pkt.fromTunnel !== 0) {
    const { tunnel } = t.config;
    if (hi !== tunnel.macHi || lo !== tunnel.macLo) return drop(pkt, t, DropReason.VXLAN_INNER);
    const v = routable(pkt, t);
    return v === NEXT && tunnel.keepClients !== 0 ? admit(pkt, t) : v;
  }
  if (eth.isMulticast(hi)) return group(pkt, t, role);
  if (role === UPLINK) {
    const ours = hi === t.ports.macHi[pkt.inPort] && lo === t.ports.macLo[pkt.inPort];
    return ours ? routable(pkt, t) : drop(pkt, t, DropReason.NOT_FOR_US);
  }
  if (hi === t.config.router.macHi && lo === t.config.router.macLo) {
    return routable(pkt, t);
  }
  if (role === HOST) return drop(pkt, t, DropReason.NOT_FOR_US);
  pkt.bridged = Way.BRIDGED;
  if (pkt.family !== 0 && !isNeighborDiscovery(pkt)) return NEXT;
  return bridge(pkt, t, nowSec);
}

/** Clients that another node brings come only from one of which that is known. */
function admit(pkt: Packet, t: Tables): Verdict {
  const reason = keptClient.admit(pkt, t);
  return reason === DropReason.NONE ? NEXT : drop(pkt, t, reason);
}

function isNeighborDiscovery(pkt: Packet): boolean {
  return pkt.family === 6 && pkt.proto === ICMPV6 && icmpv6.isNeighborDiscovery(tuple.icmpType(pkt.key));
}

/**
 * Addresses that must not come from a wire (RFC 1812 §5.3.7), and family 0, which only a bridge can carry. The node's
 * own stack may speak over loopback by way of us (route_localnet), nobody else.
 */
function routable(pkt: Packet, t: Tables): Verdict {
  if (pkt.family === 0) return drop(pkt, t, DropReason.UNSUPPORTED_L3);
  if (pkt.family === 6) return routable6(pkt, t);
  const src = pkt.key[SRC3] >>> 24;
  const dst = pkt.key[DST3] >>> 24;
  if (src === LOOPBACK_NET || dst === LOOPBACK_NET) {
    if (!mayLoop(pkt, t)) return drop(pkt, t, DropReason.MARTIAN_SOURCE);
  } else if (src >= 224 || src === 0 || dst === 0) return drop(pkt, t, DropReason.MARTIAN_SOURCE);
  if (dst >= 224) return drop(pkt, t, DropReason.MULTICAST_UNROUTED);
  return NEXT;
}

function mayLoop(pkt: Packet, t: Tables): boolean {
  return t.config.proxy.loopback !== 0 && t.ports.role[pkt.inPort] === HOST && pkt.fromTunnel === 0;
}

/** As above for IPv6 (RFC 4291 §2.5, §2.7): what names no host, or one of this link only, goes no further. */
function routable6(pkt: Packet, t: Tables): Verdict {
  const k = pkt.key;
  if (k[SRC0] >>> 24 === 0xff || ((isNobody(k, SRC0) || isNobody(k, DST0)) && !mayLoop(pkt, t))) {
    return drop(pkt, t, DropReason.MARTIAN_SOURCE);
  }
  if (k[DST0] >>> 24 === 0xff) return drop(pkt, t, DropReason.MULTICAST_UNROUTED);
  if (k[SRC0] >>> 22 === LINK_LOCAL_10 || (k[DST0] >>> 22 === LINK_LOCAL_10 && !isAnswerToUs(pkt, t))) {
    return drop(pkt, t, DropReason.LINK_LOCAL_UNROUTED);
  }
  return ipv6.nextHeader(pkt.view, pkt.l3) === ipv6.PROTO_HOP_BY_HOP ? checkOptions(pkt, t) : NEXT;
}

/** Options for every router on the way (RFC 8200 §4.2): what is not known says itself what is to be done then. */
function checkOptions(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const at = options.findUnknown(view, pkt.l3 + ipv6.HEADER_LEN);
  if (at === options.MALFORMED) return drop(pkt, t, DropReason.MALFORMED_IPV6);
  if (at < 0) return NEXT;
  if (options.actionOf(view.getUint8(at)) !== options.Action.DISCARD) requestUnknownOption(pkt, at - pkt.l3);
  return drop(pkt, t, DropReason.IPV6_OPTION);
}

/** To fe80::1, which the node's own stack takes us for: the source of what it sent to itself by way of a service. */
function isAnswerToUs(pkt: Packet, t: Tables): boolean {
  const k = pkt.key;
  if (t.ports.role[pkt.inPort] !== HOST || pkt.fromTunnel !== 0) return false;
  return k[DST0] === LINK_LOCAL && (k[DST1] | k[DST2]) === 0 && k[DST3] === 1;
}

/** :: or ::1. */
function isNobody(k: Int32Array, at: number): boolean {
  return (k[at] | k[at + 1] | k[at + 2]) === 0 && (k[at + 3] & ~1) === 0;
}

function group(pkt: Packet, t: Tables, role: number): Verdict {
  if (role === POD) return floodGroup(pkt, t);
  // With a shared uplink the node's own stack has its group frames there.
  if (t.config.router.shared !== 0) return drop(pkt, t, DropReason.MULTICAST_UNROUTED);
  // Between the node's own stack and its fabric, group frames pass as if there were only a cable.
  const to = role === HOST ? t.config.router.uplinkPort : t.config.router.hostPort;
  if (to < 0 || t.ports.active[to] === 0) return drop(pkt, t, DropReason.NO_OTHER_PORT);
  pkt.outPort = to;
  enqueue(t.tx, to, pkt.off, pkt.end - pkt.off, pkt.slot);
  pkt.slot = -1;
  return FLOOD;
}
