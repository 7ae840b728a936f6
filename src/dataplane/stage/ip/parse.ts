/**
 * Stage `parse` (Linux: eth_type_trans, ip_rcv, nf_ct_get_tuple). Reads the virtio-net header and the headers
 * up to layer 4, fills the packet's offsets and its tuple, and refuses what no accessor may be called on.
 * After it, every stage may read what it needs without a bounds check. Drops: malformed headers of each
 * protocol, a wrong IPv4 header checksum, source routing (accept_source_route=0),
 * a virtio-net header that points outside the frame.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as gre from "../../../wire/transport/gre.ts";
import * as sctp from "../../../wire/transport/sctp.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import * as udp from "../../../wire/transport/udp.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import type { Packet } from "../../packet/packet.ts";
import * as tuple from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = tuple.TupleWord;
const { V4, V6 } = tuple.Meta;

const { NEXT } = Verdict;
const V4_MAPPED = 0xffff;

export function parse(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.PARSE;
  const view = pkt.view;
  if (pkt.end - pkt.off < eth.HEADER_LEN) return drop(pkt, t, DropReason.MALFORMED_ETHERNET);
  if (!readVirtioHeader(pkt)) return drop(pkt, t, DropReason.BAD_VNET_HEADER);
  const l3 = eth.payloadOffset(view, pkt.off, pkt.end);
  if (l3 < 0) return drop(pkt, t, DropReason.MALFORMED_ETHERNET);
  pkt.l3 = l3;
  pkt.etherType = view.getUint16(l3 - 2);
  // A tagged frame is another network's: the bridge passes it on unread (bridge-nf-filter-vlan-tagged=0).
  if (l3 - pkt.off !== eth.HEADER_LEN) return NEXT;
  if (pkt.etherType === eth.ETHERTYPE_IPV4) return parseIpv4(pkt, t);
  if (pkt.etherType === eth.ETHERTYPE_IPV6) return parseIpv6(pkt, t);
  return NEXT;
}

function readVirtioHeader(pkt: Packet): boolean {
  const view = pkt.view;
  const vh = pkt.off - vnet.HEADER_LEN;
  if (vnet.isPlain(view, vh)) {
    pkt.csumPartial = 0;
    pkt.csumValid = 0;
    pkt.gsoType = vnet.GSO_NONE;
    pkt.gsoEcn = 0;
    pkt.gsoSize = 0;
    return true;
  }
  const gso = vnet.gsoType(view, vh);
  pkt.csumValid = vnet.isVerified(view, vh) ? 1 : 0;
  pkt.gsoType = gso & ~vnet.GSO_ECN;
  pkt.gsoEcn = gso & vnet.GSO_ECN;
  pkt.gsoSize = 0;
  if (vnet.needsCsum(view, vh)) {
    pkt.csumPartial = 1;
    pkt.csumStart = pkt.off + vnet.csumStart(view, vh);
    pkt.csumOffset = vnet.csumOffset(view, vh);
    if (pkt.csumStart + pkt.csumOffset + 2 > pkt.end) return false;
  } else {
    pkt.csumPartial = 0;
  }
  if (pkt.gsoType !== vnet.GSO_NONE) {
    pkt.gsoSize = vnet.gsoSize(view, vh);
    if (pkt.gsoSize === 0) return false;
  } else if (gso !== vnet.GSO_NONE) return false; // ECN of no superframe: no device would take it
  return true;
}

function parseIpv4(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const l3 = pkt.l3;
  if (!ipv4.isWellFormed(view, l3, pkt.end)) return drop(pkt, t, DropReason.MALFORMED_IPV4);
  const headerLen = ipv4.headerLen(view, l3);
  if (!ipv4.checksumOk(view, l3)) return drop(pkt, t, DropReason.BAD_IP_CHECKSUM);
  if (headerLen > ipv4.HEADER_LEN_MIN) {
    pkt.options = 1;
    if (ipv4.hasSourceRoute(view, l3)) return drop(pkt, t, DropReason.SOURCE_ROUTED);
  }
  pkt.family = 4;
  pkt.ipLen = ipv4.totalLen(view, l3);
  pkt.end = l3 + pkt.ipLen; // Ethernet padding goes no further
  pkt.proto = ipv4.proto(view, l3);
  const key = pkt.key;
  key[SRC0] = 0;
  key[SRC1] = 0;
  key[SRC2] = V4_MAPPED;
  key[SRC3] = ipv4.src(view, l3);
  key[DST0] = 0;
  key[DST1] = 0;
  key[DST2] = V4_MAPPED;
  key[DST3] = ipv4.dst(view, l3);
  key[PORTS] = 0;
  key[META] = V4 | pkt.proto;
  if (pkt.csumPartial !== 0 && isSumOutside(pkt)) return drop(pkt, t, DropReason.BAD_VNET_HEADER);
  pkt.l4 = l3 + headerLen;
  if (ipv4.isFragment(view, l3)) {
    if (pkt.gsoType !== vnet.GSO_NONE) return drop(pkt, t, DropReason.BAD_VNET_HEADER);
    pkt.fragment = ipv4.fragOffset(view, l3) === 0 ? 1 : 2;
    return NEXT; // ports are read again from the whole datagram, after reassembly
  }
  return parseTransport(pkt, t);
}

function parseIpv6(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const l3 = pkt.l3;
  if (!ipv6.isWellFormed(view, l3, pkt.end)) return drop(pkt, t, DropReason.MALFORMED_IPV6);
  pkt.family = 6;
  pkt.ipLen = ipv6.HEADER_LEN + ipv6.payloadLen(view, l3);
  pkt.end = l3 + pkt.ipLen;
  const key = pkt.key;
  for (let i = 0; i < 4; i++) {
    key[i] = ipv6.srcWord(view, l3, i);
    key[DST0 + i] = ipv6.dstWord(view, l3, i);
  }
  key[PORTS] = 0;
  key[META] = V6;
  if (pkt.csumPartial !== 0 && isSumOutside(pkt)) return drop(pkt, t, DropReason.BAD_VNET_HEADER);
  // An IPv4-mapped address on the wire could pass for the IPv4 one (draft-itojun-v6ops-v4mapped-harmful).
  if (isMapped(key, SRC0) || isMapped(key, DST0)) return drop(pkt, t, DropReason.MARTIAN_SOURCE);
  const upper = ipv6.findUpperLayer(view, l3, pkt.end);
  if (upper < 0) return drop(pkt, t, DropReason.MALFORMED_IPV6);
  pkt.l4 = ipv6.upperLayerOffset(l3, upper);
  pkt.proto = ipv6.upperLayerProto(upper);
  key[META] = V6 | pkt.proto;
  if (pkt.proto === ipv6.PROTO_FRAGMENT) {
    pkt.fragment = ipv6.fragOffset(view, pkt.l4) === 0 ? 1 : 2;
    return NEXT;
  }
  return parseTransport(pkt, t);
}

/** The frame held the checksum's place, the packet in it may be shorter: then nobody could complete the sum. */
function isSumOutside(pkt: Packet): boolean {
  return pkt.csumStart + pkt.csumOffset + 2 > pkt.end;
}

function isMapped(key: Int32Array, at: number): boolean {
  return key[at + 2] === V4_MAPPED && (key[at] | key[at + 1]) === 0;
}

/** RFC 8200 §8.1: only a tunnel may leave the sum out (RFC 6935); nobody else's datagram could be trusted. */
function lacksChecksum(pkt: Packet, t: Tables): boolean {
  if (udp.checksum(pkt.view, pkt.l4) !== 0 || pkt.csumPartial !== 0) return false;
  return t.config.tunnel.on === 0 || (pkt.key[PORTS] & 0xffff) !== t.config.tunnel.port;
}

/** Reads ports, ICMP id/type/code and TCP flags of a whole packet; also called again after reassembly. */
export function parseTransport(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const l4 = pkt.l4;
  const end = pkt.end;
  const proto = pkt.proto;
  if (proto === TCP) {
    if (!tcp.isWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_TCP);
    pkt.key[PORTS] = view.getInt32(l4);
    pkt.tcpFlags = tcp.flags(view, l4);
  } else if (proto === UDP) {
    if (!udp.isWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_UDP);
    pkt.key[PORTS] = view.getInt32(l4);
    if (pkt.family === 6 && lacksChecksum(pkt, t)) return drop(pkt, t, DropReason.UDP_NO_CHECKSUM);
  } else if (proto === SCTP) {
    if (!sctp.isWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_SCTP);
    pkt.key[PORTS] = view.getInt32(l4);
    if (pkt.csumPartial !== 0) completeSctp(pkt);
  } else if (proto === UDPLITE) {
    if (!udp.isLiteWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_UDP);
    pkt.key[PORTS] = view.getInt32(l4);
    if (udp.checksum(view, l4) === 0) return drop(pkt, t, DropReason.UDP_NO_CHECKSUM); // RFC 3828 §3.1
  } else if (proto === GRE) {
    pkt.key[PORTS] = gre.callId(view, l4, end);
  } else if (proto === ICMP && pkt.family === 4) {
    if (!icmpv4.isWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_ICMP);
    pkt.key[PORTS] = (icmpv4.id(view, l4) << 16) | (icmpv4.type(view, l4) << 8) | icmpv4.code(view, l4);
  } else if (proto === ICMPV6 && pkt.family === 6) {
    if (!icmpv6.isWellFormed(view, l4, end)) return drop(pkt, t, DropReason.MALFORMED_ICMP);
    pkt.key[PORTS] = (view.getUint16(l4 + 4) << 16) | (icmpv6.type(view, l4) << 8) | icmpv6.code(view, l4);
  }
  if (pkt.gsoType !== vnet.GSO_NONE && !isSuperframe(pkt)) return drop(pkt, t, DropReason.BAD_VNET_HEADER);
  return NEXT;
}

/**
 * A neighbour on the same machine leaves the CRC to a card that there is none of (NETIF_F_SCTP_CRC of veth). A virtio
 * header cannot pass that on: whoever reads it makes a 16-bit sum.
 */
function completeSctp(pkt: Packet): void {
  if (pkt.csumStart !== pkt.l4 || pkt.csumOffset !== sctp.CSUM_OFFSET) return;
  sctp.computeChecksum(pkt.view, pkt.l4, pkt.end);
  pkt.csumPartial = 0;
  vnet.clear(pkt.view, pkt.off - vnet.HEADER_LEN);
}

/**
 * Does the virtio header name a superframe that these headers can be? One that holds no more than a segment
 * is no superframe (virtio_net_hdr_to_skb: "too small packets are not really GSO ones") and loses the mark.
 */
function isSuperframe(pkt: Packet): boolean {
  const view = pkt.view;
  const isTcpType = pkt.gsoType === (pkt.family === 4 ? vnet.GSO_TCPV4 : vnet.GSO_TCPV6);
  if (pkt.csumPartial === 0) return false;
  let payload = pkt.end - pkt.l4;
  if (pkt.proto === TCP && isTcpType) payload -= tcp.headerLen(view, pkt.l4);
  else if (pkt.proto !== UDP) return false;
  else if (pkt.gsoType === vnet.GSO_UDP_L4) payload -= udp.HEADER_LEN;
  else return pkt.csumStart > pkt.l4 && (pkt.gsoType === vnet.GSO_TCPV4 || pkt.gsoType === vnet.GSO_TCPV6);
  if (payload > pkt.gsoSize) return true;
  const vh = pkt.off - vnet.HEADER_LEN;
  vnet.setGsoType(view, vh, vnet.GSO_NONE);
  vnet.setGsoSize(view, vh, 0);
  pkt.gsoType = vnet.GSO_NONE;
  pkt.gsoEcn = 0;
  pkt.gsoSize = 0;
  return true;
}
