/**
 * Stage `route` (Linux: ip_route_input, ip_forward). Chooses where the packet goes by its destination after DNAT;
 * a bridged frame whose destination NAT left alone stays on the bridge. Checks TTL and MTU, both of which can
 * only be known now. An answer to a client that another node brought has its route already, and what is for the mesh's
 * proxy goes to that. Reads routes; drops what
 * has no way, with the ICMP error a router owes.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { IcmpRequest, requestFragmentationNeeded, requestIcmp } from "../../packet/icmp-request.ts";
import * as invalid from "../../packet/invalid-packet.ts";
import * as mesh from "../../packet/mesh.ts";
import { CtState, type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import * as neighbor from "../../table/neighbor.ts";
import * as routes from "../../table/routes.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { TCP } = Protocol;

const { DST0, DST1, DST2, DST3 } = TupleWord;

const { NEXT } = Verdict;
const { LOCAL, PODS, UNREACHABLE, BLACKHOLE, PROHIBIT } = RouteKind;
const { HOST } = PortRole;

export function route(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.ROUTE;
  const dst = pkt.nat !== 0 ? pkt.to : pkt.key;
  if (pkt.bridged !== 0) {
    if (pkt.bridged === Way.RETURN) return goBack(pkt, t);
    if (pkt.bridged === Way.MESH) return toProxy(pkt, t);
    if (pkt.nat === 0 || sameDestination(pkt)) return NEXT;
    pkt.bridged = 0;
  }
  const r =
    pkt.family === 4
      ? routes.lookup4(t.routes, dst[DST3])
      : routes.lookup6(t.routes, dst[DST0], dst[DST1], dst[DST2], dst[DST3]);
  pkt.route = r;
  if (pkt.ctState === CtState.INVALID && invalid.isForBoundAddress(pkt, t)) {
    const reason = pkt.ctInvalidNat === 0 ? DropReason.CT_INVALID : DropReason.CT_INVALID_NAT;
    return drop(pkt, t, invalid.reasonOf(pkt, reason));
  }
  // Filters see a packet before its neighbour is asked for: who sent one that they drop is told nothing.
  const heldBack = pkt.ctState === CtState.INVALID && invalid.goesNowhere(pkt, t);
  if (r < 0) {
    if (heldBack) return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID));
    if (t.isSettling === 0) requestIcmp(pkt, IcmpRequest.NET_UNREACHABLE);
    return drop(pkt, t, DropReason.NO_ROUTE);
  }
  const kind = t.routes.kind[r];
  if (kind >= UNREACHABLE) return refuse(pkt, t, kind);
  if (kind === LOCAL) return NEXT; // the node's own: neither TTL nor MTU concern it
  if (kind === PODS) {
    pkt.station = neighbor.find(t.stations, dst[DST0], dst[DST1], dst[DST2], dst[DST3]);
    if (pkt.station < 0) {
      if (heldBack) return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID));
      if (t.isSettling === 0) requestIcmp(pkt, IcmpRequest.HOST_UNREACHABLE);
      return drop(pkt, t, DropReason.NEIGHBOR_FAILED);
    }
  }
  return forwards(pkt, t, r);
}

/** Through the tunnel to the node that brought the client: it knows the way on, our own routes do not. */
function goBack(pkt: Packet, t: Tables): Verdict {
  if (pkt.route >= 0) return forwards(pkt, t, pkt.route);
  requestIcmp(pkt, IcmpRequest.NET_UNREACHABLE);
  return drop(pkt, t, DropReason.NO_ROUTE);
}

/** Whose connection has no proxy any more learns so at once; not while an agent begins, whose ports are still to come. */
function toProxy(pkt: Packet, t: Tables): Verdict {
  if (mesh.lead(pkt, t)) return forwards(pkt, t, pkt.route);
  if (t.isSettling === 0) requestIcmp(pkt, IcmpRequest.TCP_RESET);
  return drop(pkt, t, DropReason.MESH_PROXY_AWAY);
}

function forwards(pkt: Packet, t: Tables, r: number): Verdict {
  if (t.ports.role[pkt.inPort] !== HOST || pkt.fromTunnel !== 0) {
    const ttl = pkt.family === 4 ? ipv4.ttl(pkt.view, pkt.l3) : ipv6.hopLimit(pkt.view, pkt.l3);
    if (ttl <= 1) {
      requestIcmp(pkt, IcmpRequest.TTL_EXCEEDED);
      return drop(pkt, t, DropReason.TTL_EXCEEDED);
    }
  }
  return fits(pkt, t, t.routes.mtu[r]);
}

function sameDestination(pkt: Packet): boolean {
  const a = pkt.key;
  const b = pkt.to;
  return a[DST3] === b[DST3] && a[DST2] === b[DST2] && a[DST1] === b[DST1] && a[DST0] === b[DST0];
}

function refuse(pkt: Packet, t: Tables, kind: number): Verdict {
  if (kind === BLACKHOLE) return drop(pkt, t, DropReason.ROUTE_BLACKHOLE);
  requestIcmp(pkt, kind === PROHIBIT ? IcmpRequest.ADMIN_PROHIBITED : IcmpRequest.HOST_UNREACHABLE);
  return drop(pkt, t, DropReason.ROUTE_UNREACHABLE);
}

/** A packet (or each segment of a superframe) must fit, or be one that a router may cut. */
function fits(pkt: Packet, t: Tables, mtu: number): Verdict {
  const longest = pkt.gsoType !== 0 ? pkt.l4 - pkt.l3 + segmentHeader(pkt) + pkt.gsoSize : pkt.ipLen;
  if (longest <= mtu) return NEXT;
  if (mayResegment(pkt)) return resegment(pkt, mtu);
  const mayCut = pkt.gsoType === 0 && pkt.family === 4 && !ipv4.dontFragment(pkt.view, pkt.l3);
  if (mayCut || (pkt.fragMax > 0 && pkt.fragMax <= mtu)) return NEXT;
  requestFragmentationNeeded(pkt, mtu);
  return drop(pkt, t, DropReason.FRAGMENTATION_NEEDED);
}

/** A TCP superframe without DF: cutting it smaller is what a router would do with its segments, and gentler. */
function mayResegment(pkt: Packet): boolean {
  return pkt.gsoType === vnet.GSO_TCPV4 && pkt.proto === TCP && !ipv4.dontFragment(pkt.view, pkt.l3);
}

function resegment(pkt: Packet, mtu: number): Verdict {
  pkt.gsoSize = mtu - (pkt.l4 - pkt.l3) - segmentHeader(pkt);
  vnet.setGsoSize(pkt.view, pkt.off - vnet.HEADER_LEN, pkt.gsoSize);
  return NEXT;
}

function segmentHeader(pkt: Packet): number {
  return pkt.proto === TCP ? (pkt.view.getUint8(pkt.l4 + 12) >>> 4) << 2 : 8;
}
