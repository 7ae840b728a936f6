/**
 * Addresses of clients that are kept from node to node (an extension, `dataplane.keepClientAddress`; kube-proxy
 * masquerades here). Where its rules have a client of a node port, an external IP or a load balancer masqueraded for
 * the sake of the way back, the entering node lets it go through the tunnel as who it is, and the pod's node remembers
 * by which VTEP it came: answers go back to that one, which alone can translate them.
 *
 * It takes two that both know: the entering node keeps no address towards a VTEP that does not say that it takes them,
 * and a client from outside is let in by no other. What nodes themselves send is masqueraded as ever, since a node
 * would not take its own address from a tunnel.
 */

import * as eth from "../../wire/link/ethernet.ts";
import { DropReason } from "../drop-reason.ts";
import { PortRole } from "../port.ts";
import { RouteKind } from "../spec/routes.ts";
import { FrontendKind, SourceClass } from "../spec/services.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as prefixSet from "../table/prefix-set.ts";
import * as routes from "../table/routes.ts";
import * as vteps from "../table/vteps.ts";
import type { Tables } from "../tables.ts";
import { isFromVip } from "./find-frontend.ts";
import { type Packet, Way } from "./packet.ts";
import { isHelped } from "./start-helper.ts";

const { SRC0, DST0, DST1, DST2, DST3, META } = tuple.TupleWord;
const { PODS, VTEP } = RouteKind;
const { NODE_PORT, EXTERNAL_IP, LOAD_BALANCER } = FrontendKind;

/**
 * The entering node: may the sender of a new connection, who is marked for masquerading, be seen by the pod that route
 * `r` leads to? A pod of this node answers by us anyway.
 */
export function isKept(pkt: Packet, t: Tables, r: number): boolean {
  const f = pkt.frontend;
  if (f < 0 || pkt.sourceClass !== SourceClass.OUTSIDE) return false;
  const kind = t.services.kind[f];
  if (kind !== NODE_PORT && kind !== EXTERNAL_IP && kind !== LOAD_BALANCER) return false;
  if (t.ports.role[pkt.inPort] !== PortRole.UPLINK || pkt.fromTunnel !== 0) return false;
  if (isFromVip(t, pkt.key) || isHelped(pkt, t)) return false;
  const way = t.routes.kind[r];
  if (way === VTEP ? t.vteps.zone[t.routes.vtep[r]] === 0 : way !== PODS) return false;
  return isOutside(t, pkt.key, SRC0);
}

/** The address that begins at word `at` is none of the cluster: neither in a node's range of pods nor a node's own. */
function isOutside(t: Tables, k: Int32Array, at: number): boolean {
  const r = routes.lookup(t.routes, k[at], k[at + 1], k[at + 2], k[at + 3]);
  if (r >= 0 && (t.routes.kind[r] === PODS || t.routes.kind[r] === VTEP)) return false;
  return !prefixSet.contains(t.addresses.nodeSources, k[at], k[at + 1], k[at + 2], k[at + 3]);
}

/**
 * The pod's node: may the sender of what came out of the tunnel come that way? What comes from outside belongs to a zone
 * from here on, so that no other VTEP's packets are taken for its connection's.
 */
export function admit(pkt: Packet, t: Tables): DropReason {
  const k = pkt.key;
  if (!isOutside(t, k, SRC0)) return DropReason.NONE;
  const v = senderOf(pkt, t);
  const to = routes.lookup(t.routes, k[DST0], k[DST1], k[DST2], k[DST3]);
  if (v < 0 || t.vteps.zone[v] === 0 || to < 0 || t.routes.kind[to] !== PODS) {
    return DropReason.TUNNEL_OUTSIDE_SOURCE;
  }
  k[META] |= t.vteps.zone[v];
  return DropReason.NONE;
}

/**
 * The entering node: is a packet of no connection an answer to a client whose connection is forgotten here, since the
 * agent started anew? What pods send outside of their own accord never comes by another node. Let go on, it would be
 * masqueraded as the first of a connection of its own, and the client's RST would end the real one.
 */
export function isOrphan(pkt: Packet, t: Tables): boolean {
  return isOutside(t, pkt.key, DST0) && !isOutside(t, pkt.key, SRC0) && zoneOfSender(pkt, t) !== 0;
}

/** The VTEP that sent the inner frame, by the frame's own word; check-source has held it against the outer header. */
function senderOf(pkt: Packet, t: Tables): number {
  return vteps.findByMac(t.vteps, eth.srcHi(pkt.view, pkt.off), eth.srcLo(pkt.view, pkt.off));
}

/** Zone of the VTEP that sent an inner frame, 0: it keeps no addresses. */
export function zoneOfSender(pkt: Packet, t: Tables): number {
  const v = senderOf(pkt, t);
  return v < 0 ? 0 : t.vteps.zone[v];
}

/** Notes by which VTEP the first packet of a connection came. Its Status bits. */
export function noteVia(pkt: Packet, t: Tables, slot: number): number {
  if (tuple.zoneOf(pkt.key) === 0 || pkt.fromTunnel === 0) return 0;
  t.conntrack.via[slot << 1] = eth.srcHi(pkt.view, pkt.off);
  t.conntrack.via[(slot << 1) | 1] = eth.srcLo(pkt.view, pkt.off);
  return conntrack.Status.VIA;
}

/** A packet of the pod's belongs to a connection that a VTEP brought: it goes back there. */
export function goBack(pkt: Packet, t: Tables, slot: number): void {
  const { via } = t.conntrack;
  pkt.bridged = Way.RETURN;
  pkt.route = routeTo(t, vteps.findByMac(t.vteps, via[slot << 1], via[(slot << 1) | 1]), pkt.family);
}

/** Route to the client that a VTEP brought, by which its packet is answered; -1: the node is no more. */
export function routeToSender(pkt: Packet, t: Tables): number {
  return routeTo(t, senderOf(pkt, t), pkt.family);
}

/** Any route to the node does: one of the other family's where it has none of this. */
function routeTo(t: Tables, v: number, family: number): number {
  if (v < 0) return -1;
  const { route4, route6 } = t.vteps;
  const own = family === 4 ? route4[v] : route6[v];
  if (own >= 0) return own;
  return family === 4 ? route6[v] : route4[v];
}
