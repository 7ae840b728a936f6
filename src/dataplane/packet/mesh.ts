/**
 * The mesh: TCP of pods whose namespace has podwire.dev/mesh=enabled goes by the node's proxy, a pod like any other,
 * which carries it to the other nodes' proxies by mutual TLS. The plane gives it connections and takes them back.
 *
 *   client ──▶ plane ──▶ proxy ══ TLS ══▶ proxy ──▶ plane ──▶ endpoint
 *              TO_PROXY                             FROM_PROXY
 *
 * A connection TO_PROXY is decided about as any: endpoint, policies, entry. Its packets then go to the proxy's port with
 * the addresses that they have after that, and the proxy answers as the endpoint. One FROM_PROXY the proxy opens to a pod
 * of this node in the client's name; the pod's answers go back to the proxy's port. Both are decided by a connection's
 * first packet and stand in its status, where two bits lead packets away from the common path that is asked about anyway.
 *
 * From the proxy's port another's name is believed for these two alone, and only of TCP: who answers is known by the
 * connection, who opens one does so to a pod of the mesh. What it opens has a zone of its own in its original tuple,
 * since the client may have sent the same one by itself.
 */
import { Protocol } from "../../base/protocols.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { PortRole } from "../port.ts";
import { RouteKind } from "../spec/routes.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as members from "../table/mesh-members.ts";
import * as neighbor from "../table/neighbor.ts";
import * as routes from "../table/routes.ts";
import type { Tables } from "../tables.ts";
import { type Packet, Way } from "./packet.ts";

const { TCP } = Protocol;
const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, META } = tuple.TupleWord;
const { MESH_ZONE, ZONE } = tuple.Meta;
const { TO_PROXY, FROM_PROXY } = conntrack.Status;
const V4_MAPPED = 0xffff;
const OPENING = tcp.FLAG_SYN | tcp.FLAG_ACK | tcp.FLAG_RST;

/** Station of the proxy, for packets of a family; -1: it is not attached, or has no address of it. */
function stationOf(t: Tables, family: number): number {
  const { v4, v60, v61, v62, v63 } = t.config.mesh;
  if (family === 4) return v4 === 0 ? -1 : neighbor.find(t.stations, 0, 0, V4_MAPPED, v4);
  return (v60 | v61 | v62 | v63) === 0 ? -1 : neighbor.find(t.stations, v60, v61, v62, v63);
}

/** Did the packet come in by the proxy's port? */
export function isByProxy(pkt: Packet, t: Tables): boolean {
  if (pkt.fromTunnel !== 0) return false;
  const station = stationOf(t, pkt.family);
  return station >= 0 && t.stations.port[station] === pkt.inPort;
}

/** Does the proxy speak for somebody else? */
export function isForAnother(pkt: Packet, t: Tables): boolean {
  if (!isByProxy(pkt, t)) return false;
  const { v4, v60, v61, v62, v63 } = t.config.mesh;
  const k = pkt.key;
  if (pkt.family === 4) return k[SRC3] !== v4;
  return k[SRC3] !== v63 || k[SRC2] !== v62 || k[SRC1] !== v61 || k[SRC0] !== v60;
}

/**
 * May what came from a pod's port bear a source that is not that pod's? Of the proxy's, what answers a connection that it
 * was given, and what belongs to one that it opened or opens: this gets its zone here.
 */
export function admit(pkt: Packet, t: Tables): boolean {
  if (pkt.proto !== TCP || pkt.fragment !== 0 || !isForAnother(pkt, t)) return false;
  const ct = t.conntrack;
  const k = pkt.key;
  const ref = conntrack.find(ct, k);
  if ((ref & 1) === 1 && isLiving(t, ref) && (ct.status[(ref >> 1) << 4] & TO_PROXY) !== 0) return true;
  k[META] |= MESH_ZONE;
  if (isLiving(t, conntrack.find(ct, k)) || opensToPod(pkt, t)) return true;
  k[META] &= ~ZONE;
  return false;
}

function isLiving(t: Tables, ref: number): boolean {
  return ref >= 0 && !conntrack.isExpired(t.conntrack, ref >> 1, conntrack.clockSec(t.conntrack));
}

function opensToPod(pkt: Packet, t: Tables): boolean {
  if ((pkt.tcpFlags & OPENING) !== tcp.FLAG_SYN || !members.has(t.meshMembers, pkt.key, DST0)) return false;
  const port = portOfPod(t, pkt.key);
  return port >= 0 && port !== pkt.inPort;
}

/** Port of the pod of this node that a tuple's destination is, -1: of none. */
export function portOfPod(t: Tables, k: Int32Array): number {
  const station = neighbor.find(t.stations, k[DST0], k[DST1], k[DST2], k[DST3]);
  if (station < 0) return -1;
  const port = t.stations.port[station];
  return t.ports.role[port] === PortRole.POD ? port : -1;
}

/** Does the proxy open the connection, or go on with one that it opened? */
export function isOpenedByProxy(k: Int32Array): boolean {
  return tuple.zoneOf(k) === MESH_ZONE;
}

/** Status bits of the connection that a packet opens. */
export function statusOf(pkt: Packet): number {
  if (pkt.bridged === Way.MESH) return TO_PROXY;
  return isOpenedByProxy(pkt.key) ? FROM_PROXY : 0;
}

/** Of a known connection: does this direction's packet go to the proxy? */
export function goesToProxy(status: number, direction: number): boolean {
  return (status & (direction === 0 ? TO_PROXY : FROM_PROXY)) !== 0;
}

/** Leads a packet to the proxy. False: it is not there. */
export function lead(pkt: Packet, t: Tables): boolean {
  const station = stationOf(t, pkt.family);
  if (station < 0) return false;
  const r = routeToProxy(t, pkt.family);
  if (r < 0 || t.routes.kind[r] !== RouteKind.PODS) return false;
  pkt.bridged = Way.MESH;
  pkt.route = r;
  pkt.station = station;
  return true;
}

/** Route by which the proxy is reached, -1: by none. */
export function routeToProxy(t: Tables, family: number): number {
  const { v4, v60, v61, v62, v63 } = t.config.mesh;
  return family === 4 ? routes.lookup4(t.routes, v4) : routes.lookup6(t.routes, v60, v61, v62, v63);
}
