/** The bad news for who sent a datagram of which fragments got lost (RFC 792, RFC 4443 §3.3; Linux: ip_expire). */

import { Protocol } from "../../base/protocols.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { IcmpRequest, requestIcmp } from "../packet/icmp-request.ts";
import { begin, type Packet } from "../packet/packet.ts";
import * as pool from "../slot-pool.ts";
import { parse } from "../stage/ip/parse.ts";
import { headerLenAt, payloadAt } from "../stage/ip/reassemble.ts";
import { Meta, TupleWord } from "../table/connection/tuple.ts";
import * as fragments from "../table/fragments.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";

const { ICMP, ICMPV6 } = Protocol;

const { META } = TupleWord;
const { ZONE } = Meta;

/**
 * Reads the first fragment of a datagram whose time is over into `outer`, for the ICMP error its sender gets. False:
 * it never came, or nobody may be told. What pods send each other over the bridge is not ours to answer.
 */
export function describeExpired(t: Tables, queue: number): boolean {
  const f = t.fragments;
  t.scratch.outer.family = 0; // nothing is known of it, until it has been read
  if (!fragments.hasFirst(f, queue)) return false;
  const base = payloadAt(pool.frameOffset(f.arenaSlot[queue]));
  const headerLen = headerLenAt(t.scratch.outer.view, base);
  const isV4 = t.scratch.outer.view.getUint8(base - headerLen) >>> 4 === 4;
  const l3 = isV4 ? base - headerLen : restoreV6(t, base, headerLen, f.id[queue]);
  const pkt = t.scratch.outer;
  const view = pkt.view;
  const off = l3 - eth.HEADER_LEN;
  const ipLen = isV4 ? ipv4.totalLen(view, l3) : ipv6.HEADER_LEN + ipv6.payloadLen(view, l3);
  vnet.clear(view, off - vnet.HEADER_LEN);
  const { hostPort, uplinkPort } = t.config.router;
  begin(pkt, off, eth.HEADER_LEN + ipLen, hostPort >= 0 ? hostPort : uplinkPort);
  if (!isForRouter(pkt, t) || parse(pkt, t) !== Verdict.NEXT || isError(pkt, base)) return false;
  pkt.key[META] |= f.proto[queue] & ZONE;
  requestIcmp(pkt, IcmpRequest.REASSEMBLY_EXCEEDED);
  return true;
}

/** Puts the fragment header back, which `reassemble` took out. Returns the IP header's new place. */
function restoreV6(t: Tables, base: number, headerLen: number, id: number): number {
  const view = t.scratch.outer.view;
  const from = base - headerLen;
  const l3 = from - ipv6.FRAGMENT_HEADER_LEN;
  t.arena.copyWithin(l3 - eth.HEADER_LEN, from - eth.HEADER_LEN, base);
  const field = ipv6.nextHeaderField(view, l3, l3 + headerLen);
  ipv6.emitFragment(view, l3 + headerLen, view.getUint8(field), 0, true, id);
  view.setUint8(field, ipv6.PROTO_FRAGMENT);
  return l3;
}

function isForRouter(pkt: Packet, t: Tables): boolean {
  const hi = eth.dstHi(pkt.view, pkt.off);
  const lo = eth.dstLo(pkt.view, pkt.off);
  const { router, tunnel } = t.config;
  if (hi === router.macHi && lo === router.macLo) return true;
  if (hi === tunnel.macHi && lo === tunnel.macLo) return true;
  const uplink = router.uplinkPort;
  return uplink >= 0 && hi === t.ports.macHi[uplink] && lo === t.ports.macLo[uplink];
}

/** An ICMP error in pieces is answered as little as a whole one. */
function isError(pkt: Packet, payload: number): boolean {
  const type = pkt.view.getUint8(payload);
  if (pkt.family === 4) return pkt.proto === ICMP && icmpv4.isError(type);
  return ipv6.fragNextHeader(pkt.view, pkt.l4) === ICMPV6 && icmpv6.isError(type);
}
