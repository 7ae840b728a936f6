/**
 * The outer side of a VXLAN packet (RFC 7348; Linux: vxlan_xmit_one): Ethernet, IP and UDP before the VXLAN header, and
 * the way to the VTEP on the fabric. Outer UDP checksum: 0 for single frames (as Linux by default on IPv4); superframes
 * need one, left partial. Over IPv6 every packet has one (Linux' VTEPs refuse zero unless told otherwise, RFC 6935).
 */

import type { Ipv4Addr, L4Port } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { DropReason } from "../drop-reason.ts";
import type { Packet } from "../packet/packet.ts";
import * as pool from "../slot-pool.ts";
import { RouteKind } from "../spec/routes.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import * as routes from "../table/routes.ts";
import type { Tables } from "../tables.ts";
import { toNeighbor } from "./link.ts";

const { UDP } = Protocol;

const { SRC3, DST3, PORTS, META } = TupleWord;

const OUTER_TTL = 64;
const V4_MAPPED = 0xffff;

export function isOverV4(t: Tables, v: number): boolean {
  const vt = t.vteps;
  return vt.outer2[v] === V4_MAPPED && (vt.outer0[v] | vt.outer1[v]) === 0;
}

/** Bytes before the VXLAN header: Ethernet, IP, UDP. */
export function outerLen(t: Tables, v: number): number {
  return eth.HEADER_LEN + (isOverV4(t, v) ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN) + udp.HEADER_LEN;
}

/** Outer Ethernet, IP and UDP at `start`; `payload` is the UDP payload. `gso` > 0: a superframe of such pieces. */
export function emitOuter(
  t: Tables,
  pkt: Packet,
  start: number,
  payload: number,
  v: number,
  gso: number,
): void {
  const view = t.scratch.own.view;
  const udpLen = payload + udp.HEADER_LEN;
  const ip = start + eth.HEADER_LEN;
  if (!isOverV4(t, v)) {
    emitOuterV6(t, pkt, start, udpLen, v, gso);
    return;
  }
  const u = ip + ipv4.HEADER_LEN_MIN;
  eth.setEtherType(view, start, eth.ETHERTYPE_IPV4);
  const to = t.vteps.outer3[v] as Ipv4Addr;
  const from = t.config.router.v4 as Ipv4Addr;
  ipv4.emit(view, ip, outerTos(pkt), ipv4.HEADER_LEN_MIN + udpLen, t.walks.ipId, 0, OUTER_TTL, UDP, from, to);
  udp.emit(view, u, sourcePort(t, pkt) as L4Port, t.config.tunnel.port as L4Port, udpLen);
  const vh = start - vnet.HEADER_LEN;
  if (gso === 0) {
    vnet.clear(view, vh);
    return;
  }
  udp.setChecksum(view, u, checksum.fold(checksum.pseudoSumV4(from, to, UDP, udpLen)));
  const headers = u + udp.HEADER_LEN - start;
  vnet.emit(view, vh, vnet.NEEDS_CSUM, vnet.GSO_UDP_L4, headers, gso, u - start, udp.CSUM_OFFSET);
}

/** The checksum is always left to whoever sends: its pseudo-header's sum stands in the field. */
function emitOuterV6(t: Tables, pkt: Packet, start: number, udpLen: number, v: number, gso: number): void {
  const view = t.scratch.own.view;
  const { router, tunnel } = t.config;
  const vt = t.vteps;
  const ip = start + eth.HEADER_LEN;
  const u = ip + ipv6.HEADER_LEN;
  const headers = u + udp.HEADER_LEN - start;
  eth.setEtherType(view, start, eth.ETHERTYPE_IPV6);
  ipv6.emit(view, ip, outerTos(pkt), 0, udpLen, UDP, OUTER_TTL);
  ipv6.setSrc(view, ip, router.v60, router.v61, router.v62, router.v63);
  ipv6.setDst(view, ip, vt.outer0[v], vt.outer1[v], vt.outer2[v], vt.outer3[v]);
  udp.emit(view, u, sourcePort(t, pkt) as L4Port, tunnel.port as L4Port, udpLen);
  udp.setChecksum(view, u, checksum.fold(checksum.pseudoSumV6(view, ip, UDP, udpLen)));
  const type = gso === 0 ? vnet.GSO_NONE : vnet.GSO_UDP_L4;
  const vh = start - vnet.HEADER_LEN;
  vnet.emit(view, vh, vnet.NEEDS_CSUM, type, gso === 0 ? 0 : headers, gso, u - start, udp.CSUM_OFFSET);
}

/**
 * The same before a TCP superframe that stays whole (`len` bytes at `off`, its VXLAN header before it): the kernel cuts
 * it and repeats what is outside, so the virtio header speaks of the inner one, and of the tunnel around it.
 */
export function emitOuterWhole(t: Tables, pkt: Packet, off: number, len: number, v: number): void {
  const prefix = off - vxlan.HEADER_LEN;
  const start = prefix - outerLen(t, v);
  emitOuter(t, pkt, start, len + vxlan.HEADER_LEN, v, pkt.gsoSize);
  const view = t.scratch.own.view;
  const tcpAt = pkt.csumStart - pkt.off + off - start;
  const tunnel = isOverV4(t, v) ? vnet.GSO_TUNNEL_V4 : vnet.GSO_TUNNEL_V6;
  const type = pkt.gsoType | pkt.gsoEcn | tunnel;
  const headers = tcpAt + tcp.headerLen(view, start + tcpAt);
  const flags = vnet.NEEDS_CSUM | vnet.TUNNEL_CSUM;
  vnet.emit(view, start - vnet.HEADER_LEN, flags, type, headers, pkt.gsoSize, tcpAt, pkt.csumOffset);
}

/** RFC 6040, as ip_tunnel_ecn_encap: the inner ECN field, CE as ECT(0); DSCP stays 0 (flannel's tos). */
export function outerTos(pkt: Packet): number {
  const tos = pkt.family === 4 ? ipv4.tos(pkt.view, pkt.l3) : ipv6.trafficClass(pkt.view, pkt.l3);
  const ecn = tos & 3;
  return ecn === 3 ? 2 : ecn;
}

/** RFC 7348 §5: by a hash of the inner flow, so that its packets take one way; one of the ports that are to be used. */
export function sourcePort(t: Tables, pkt: Packet): number {
  const k = pkt.nat !== 0 ? pkt.to : pkt.key;
  let h =
    Math.imul(k[SRC3], 0x9e3779b1) ^
    Math.imul(k[DST3], 0x85ebca6b) ^
    Math.imul(k[PORTS], 0xc2b2ae35) ^
    k[META];
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return t.config.tunnel.sourceMin + (Math.imul(h >>> 16, t.config.tunnel.sourcePorts) >>> 16);
}

/** Onto the fabric, by the route to the VTEP's outer address. Returns 0 or the DropReason. */
export function send(t: Tables, off: number, len: number, slot: number, v: number, nowMs: number): number {
  const vt = t.vteps;
  const r = isOverV4(t, v)
    ? routes.lookup4(t.routes, vt.outer3[v])
    : routes.lookup6(t.routes, vt.outer0[v], vt.outer1[v], vt.outer2[v], vt.outer3[v]);
  if (r < 0) return giveBack(t, slot, DropReason.NO_ROUTE);
  const rt = t.routes;
  if (rt.kind[r] === RouteKind.GATEWAY) {
    return toNeighbor(t, off, len, slot, rt.gw0[r], rt.gw1[r], rt.gw2[r], rt.gw3[r], nowMs);
  }
  return toNeighbor(t, off, len, slot, vt.outer0[v], vt.outer1[v], vt.outer2[v], vt.outer3[v], nowMs);
}

function giveBack(t: Tables, slot: number, reason: number): number {
  if (slot >= 0) pool.release(t.pool, slot);
  return reason;
}
