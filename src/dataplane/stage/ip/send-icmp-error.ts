/**
 * Stage `send-icmp-error` (Linux: icmp_send, icmp6_send). Makes the ICMP error that a dropped packet's sender is owed,
 * quoting the packet as it came (RFC 1812 §4.3.2.3: as much as fits 576 bytes; RFC 4443 §2.4: 1280). Fills
 * `own` with a packet that the pipeline routes like any other of the node's own.
 * Makes none for: an ICMP error, a later fragment, a group address, a source that names no host; and no more per
 * second than Linux' icmp_msgs_per_sec and icmp_ratelimit allow; "fragmentation needed" is exempt, as there.
 */

import type { Ipv4Addr } from "../../../base/ids.ts";
import { Protocol } from "../../../base/protocols.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { Event } from "../../counters.ts";
import { IcmpRequest, WITHHELD } from "../../packet/icmp-request.ts";
import { routeToSender } from "../../packet/kept-client.ts";
import * as mesh from "../../packet/mesh.ts";
import { begin, type Packet, Way } from "../../packet/packet.ts";
import { completeChecksum } from "../../send/complete-checksum.ts";
import * as pool from "../../slot-pool.ts";
import { RouteKind } from "../../spec/routes.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as routes from "../../table/routes.ts";
import * as tokenBucket from "../../table/token-bucket.ts";
import type { Tables } from "../../tables.ts";

const { ICMP, ICMPV6 } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = tuple.TupleWord;

const V4_MAX = 576;
const V6_MAX = 1280;
const TTL = 64;
const LINK_LOCAL_10 = 0xfe80 >>> 6; // first ten bits of fe80::/10

/** True when `own` holds an error to send; its `route` is set. */
export function makeIcmpError(pkt: Packet, t: Tables, nowMs: number): boolean {
  if (pkt.family === 0 || pkt.fragment === 2 || eth.isMulticast(eth.dstHi(pkt.view, pkt.off))) return false;
  const type = tuple.icmpType(pkt.key);
  if (pkt.family === 4 && pkt.proto === ICMP && icmpv4.isError(type)) return false;
  if (pkt.family === 6 && pkt.proto === ICMPV6 && (icmpv6.isError(type) || type === icmpv6.TYPE_REDIRECT))
    return false;
  const k = pkt.key;
  if (!(pkt.family === 4 ? isHostV4(k[SRC3]) : isHost(k))) return false;
  const r = wayBack(pkt, t);
  if (r < 0 || t.routes.kind[r] >= RouteKind.UNREACHABLE) return false;
  // Path MTU discovery is not in icmp_ratemask, whatever else is: a lost one stalls a connection.
  const isLimited = pkt.icmpRequest !== IcmpRequest.FRAGMENTATION_NEEDED;
  if (isLimited && !tokenBucket.allow(t.icmpRate, k[SRC0], k[SRC1], k[SRC2], k[SRC3], nowMs)) {
    t.counters.events[Event.ICMP_RATE_LIMITED]++;
    pkt.icmpRequest |= WITHHELD;
    return false;
  }
  const slot = pool.acquire(t.pool);
  if (slot < 0) return false;
  // The quote leaves without a virtio header: whoever reads it must find a finished checksum.
  if (pkt.csumPartial !== 0) completeChecksum(pkt, t);
  if (pkt.family === 4) emitV4(pkt, t, slot, r);
  else emitV6(pkt, t, slot, r);
  t.scratch.own.route = r;
  if (mesh.isForAnother(pkt, t)) t.scratch.own.bridged = Way.MESH;
  else if (tuple.zoneOf(k) !== 0) t.scratch.own.bridged = Way.RETURN;
  t.scratch.own.slot = slot;
  t.counters.events[Event.ICMP_ERRORS]++;
  return true;
}

/**
 * To the sender; to one that another node brought, by that one: it alone can tell him what he sent. And to the mesh's
 * proxy, if that spoke for him.
 */
function wayBack(pkt: Packet, t: Tables): number {
  const k = pkt.key;
  if (mesh.isForAnother(pkt, t)) return mesh.routeToProxy(t, pkt.family);
  if (tuple.zoneOf(k) !== 0) return routeToSender(pkt, t);
  return pkt.family === 4
    ? routes.lookup4(t.routes, k[SRC3])
    : routes.lookup6(t.routes, k[SRC0], k[SRC1], k[SRC2], k[SRC3]);
}

/** RFC 1812 §4.3.2.7: the source names one host: not this network, a group or everybody. */
function isHostV4(address: number): boolean {
  const net = address >>> 24;
  return net !== 0 && net < 224;
}

/** RFC 4443 §2.4 (e): the source names one host, and one that a router can answer. */
function isHost(k: Int32Array): boolean {
  return (
    (k[SRC0] | k[SRC1] | k[SRC2] | k[SRC3]) !== 0 &&
    k[SRC0] >>> 24 !== 0xff &&
    k[SRC0] >>> 22 !== LINK_LOCAL_10
  );
}

/**
 * RFC 1122 §3.2.2: what was sent to the node is answered from the address it was sent to. Not to the node itself, which
 * believes nobody who speaks from an address of its own. Where the destination was translated the error is RELATED and
 * is translated back as a whole (icmp_glue_bits attaches the connection): whoever traces a Service sees the Service at
 * every hop.
 */
function speaksAsTarget(pkt: Packet, t: Tables, r: number): boolean {
  const k = pkt.key;
  if (pkt.nat !== 0 && pkt.icmpInner === 0 && isRedirected(k, pkt.to)) return true;
  return (
    t.routes.kind[r] !== RouteKind.LOCAL &&
    localAddresses.has(t.addresses.local, k[DST0], k[DST1], k[DST2], k[DST3])
  );
}

function isRedirected(from: Int32Array, to: Int32Array): boolean {
  if (
    from[DST3] !== to[DST3] ||
    from[DST2] !== to[DST2] ||
    from[DST1] !== to[DST1] ||
    from[DST0] !== to[DST0]
  )
    return true;
  return ((from[PORTS] ^ to[PORTS]) & 0xffff) !== 0;
}

function emitV4(pkt: Packet, t: Tables, slot: number, r: number): void {
  const view = pkt.view;
  const off = pool.frameOffset(slot);
  const ip = off + eth.HEADER_LEN;
  const icmp = ip + ipv4.HEADER_LEN_MIN;
  const quote = icmp + icmpv4.HEADER_LEN;
  const room = V4_MAX - ipv4.HEADER_LEN_MIN - icmpv4.HEADER_LEN;
  const n = pkt.ipLen < room ? pkt.ipLen : room;
  t.arena.copyWithin(quote, pkt.l3, pkt.l3 + n);
  const len = ipv4.HEADER_LEN_MIN + icmpv4.HEADER_LEN + n;
  vnet.clear(view, off - vnet.HEADER_LEN);
  eth.emit(view, off, 0, 0, 0, 0, eth.ETHERTYPE_IPV4);
  // RFC 1812 §4.3.2.5: precedence as the packet's; Linux sends network control (0xc0).
  t.walks.ipId = (t.walks.ipId + 1) & 0xffff;
  const src = (speaksAsTarget(pkt, t, r) ? pkt.key[DST3] : t.routes.src3[r]) as Ipv4Addr;
  ipv4.emit(view, ip, 0xc0, len, t.walks.ipId, 0, TTL, ICMP, src, pkt.key[SRC3] as Ipv4Addr);
  const code = codeV4(pkt.icmpRequest);
  let rest = pkt.icmpRequest === IcmpRequest.FRAGMENTATION_NEEDED ? pkt.icmpMtu : 0;
  if (pkt.icmpRequest === IcmpRequest.PARAMETER_PROBLEM) rest = pkt.icmpMtu << 24;
  icmpv4.emit(view, icmp, code >>> 8, code & 0xff, rest);
  icmpv4.computeChecksum(view, icmp, icmpv4.HEADER_LEN + n);
  describeOwn(pkt, t, off, len, 4, ICMP, icmp);
  t.scratch.own.key[SRC2] = 0xffff;
  t.scratch.own.key[SRC3] = src;
}

function emitV6(pkt: Packet, t: Tables, slot: number, r: number): void {
  const view = pkt.view;
  const off = pool.frameOffset(slot);
  const ip = off + eth.HEADER_LEN;
  const icmp = ip + ipv6.HEADER_LEN;
  const room = V6_MAX - ipv6.HEADER_LEN - icmpv6.HEADER_LEN;
  const n = pkt.ipLen < room ? pkt.ipLen : room;
  t.arena.copyWithin(icmp + icmpv6.HEADER_LEN, pkt.l3, pkt.l3 + n);
  const payload = icmpv6.HEADER_LEN + n;
  vnet.clear(view, off - vnet.HEADER_LEN);
  eth.emit(view, off, 0, 0, 0, 0, eth.ETHERTYPE_IPV6);
  view.setInt32(ip, 0x60000000);
  ipv6.setPayloadLen(view, ip, payload);
  ipv6.setNextHeader(view, ip, ICMPV6);
  ipv6.setHopLimit(view, ip, TTL);
  const rt = t.routes;
  const k = pkt.key;
  if (speaksAsTarget(pkt, t, r)) ipv6.setSrc(view, ip, k[DST0], k[DST1], k[DST2], k[DST3]);
  else ipv6.setSrc(view, ip, rt.src0[r], rt.src1[r], rt.src2[r], rt.src3[r]);
  ipv6.setDst(view, ip, k[SRC0], k[SRC1], k[SRC2], k[SRC3]);
  const code = codeV6(pkt.icmpRequest);
  icmpv6.emit(view, icmp, code >>> 8, code & 0xff, pkt.icmpMtu);
  icmpv6.computeChecksum(view, icmp, payload, ip);
  describeOwn(pkt, t, off, ipv6.HEADER_LEN + payload, 6, ICMPV6, icmp);
  for (let i = 0; i < 4; i++) t.scratch.own.key[i] = ipv6.srcWord(view, ip, i);
}

/** Fills `own` for the packet just written; its destination is the source of `pkt`. */
function describeOwn(
  pkt: Packet,
  t: Tables,
  off: number,
  ipLen: number,
  family: number,
  proto: number,
  l4: number,
): void {
  const own = t.scratch.own;
  begin(
    own,
    off,
    eth.HEADER_LEN + ipLen,
    t.config.router.hostPort >= 0 ? t.config.router.hostPort : pkt.inPort,
  );
  own.family = family;
  own.l3 = off + eth.HEADER_LEN;
  own.l4 = l4;
  own.proto = proto;
  own.ipLen = ipLen;
  own.traceId = pkt.traceId;
  own.watchId = pkt.watchId;
  for (let i = 0; i < 4; i++) own.key[DST0 + i] = pkt.key[i];
  own.key[SRC0] = own.key[SRC1] = own.key[SRC2] = own.key[SRC3] = 0;
  own.key[PORTS] = 0;
  own.key[META] = (family << 8) | proto;
}

/** type << 8 | code */
function codeV4(request: number): number {
  switch (request) {
    case IcmpRequest.PORT_UNREACHABLE:
      return (icmpv4.TYPE_UNREACHABLE << 8) | icmpv4.CODE_PORT_UNREACHABLE;
    case IcmpRequest.NET_UNREACHABLE:
      return (icmpv4.TYPE_UNREACHABLE << 8) | icmpv4.CODE_NET_UNREACHABLE;
    case IcmpRequest.FRAGMENTATION_NEEDED:
      return (icmpv4.TYPE_UNREACHABLE << 8) | icmpv4.CODE_FRAGMENTATION_NEEDED;
    case IcmpRequest.TTL_EXCEEDED:
      return (icmpv4.TYPE_TIME_EXCEEDED << 8) | icmpv4.CODE_TTL_EXCEEDED;
    case IcmpRequest.REASSEMBLY_EXCEEDED:
      return (icmpv4.TYPE_TIME_EXCEEDED << 8) | icmpv4.CODE_REASSEMBLY_EXCEEDED;
    case IcmpRequest.PARAMETER_PROBLEM:
      return icmpv4.TYPE_PARAMETER_PROBLEM << 8;
    case IcmpRequest.ADMIN_PROHIBITED:
      return (icmpv4.TYPE_UNREACHABLE << 8) | icmpv4.CODE_ADMIN_PROHIBITED;
    default:
      return (icmpv4.TYPE_UNREACHABLE << 8) | icmpv4.CODE_HOST_UNREACHABLE;
  }
}

function codeV6(request: number): number {
  switch (request) {
    case IcmpRequest.PORT_UNREACHABLE:
      return (icmpv6.TYPE_UNREACHABLE << 8) | icmpv6.CODE_PORT_UNREACHABLE;
    case IcmpRequest.NET_UNREACHABLE:
      return (icmpv6.TYPE_UNREACHABLE << 8) | icmpv6.CODE_NO_ROUTE;
    case IcmpRequest.FRAGMENTATION_NEEDED:
      return icmpv6.TYPE_PACKET_TOO_BIG << 8;
    case IcmpRequest.TTL_EXCEEDED:
      return (icmpv6.TYPE_TIME_EXCEEDED << 8) | icmpv6.CODE_HOP_LIMIT_EXCEEDED;
    case IcmpRequest.REASSEMBLY_EXCEEDED:
      return (icmpv6.TYPE_TIME_EXCEEDED << 8) | 1;
    case IcmpRequest.UNKNOWN_OPTION:
      return (icmpv6.TYPE_PARAMETER_PROBLEM << 8) | icmpv6.CODE_UNKNOWN_OPTION;
    case IcmpRequest.ADMIN_PROHIBITED:
      return (icmpv6.TYPE_UNREACHABLE << 8) | icmpv6.CODE_ADMIN_PROHIBITED;
    default:
      return (icmpv6.TYPE_UNREACHABLE << 8) | icmpv6.CODE_ADDRESS_UNREACHABLE;
  }
}
