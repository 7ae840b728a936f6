// ICMP and ICMPv6 messages → layers. The packet an error quotes is cut short by design (RFC 792: header and
// eight bytes), so it is read field by field as far as it goes, not by isWellFormed.

import { formatV4 } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import { Protocol } from "../base/protocols.ts";
import * as icmpv4 from "../wire/ip/icmpv4.ts";
import * as icmpv6 from "../wire/ip/icmpv6.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as ipv6 from "../wire/ip/ipv6.ts";
import * as ndp from "../wire/ip/ndp.ts";
import { ipv6Text } from "./address-text.ts";
import type { IcmpLayer, Icmpv6Layer, MalformedLayer, Quoted } from "./frame.ts";

export function dissectIcmp(view: DataView, off: number, end: number): IcmpLayer | MalformedLayer {
  const length = end - off;
  if (!icmpv4.isWellFormed(view, off, end)) return { kind: "malformed", what: "icmp", length };
  const type = icmpv4.type(view, off);
  const code = icmpv4.code(view, off);
  const tooBig = type === icmpv4.TYPE_UNREACHABLE && code === icmpv4.CODE_FRAGMENTATION_NEEDED;
  const quoted = icmpv4.isError(type) ? quotedIpv4(view, icmpv4.innerOffset(off), end) : undefined;
  return {
    kind: "icmp",
    type,
    code,
    ...(icmpv4.isEcho(type) && { id: icmpv4.id(view, off), seq: icmpv4.seq(view, off) }),
    ...(tooBig && { mtu: icmpv4.mtu(view, off) }),
    ...(type === icmpv4.TYPE_REDIRECT && { gateway: formatV4(icmpv4.rest(view, off)) }),
    ...(quoted && { quoted }),
    length,
  };
}

export function dissectIcmpv6(view: DataView, off: number, end: number): Icmpv6Layer | MalformedLayer {
  const length = end - off;
  if (!icmpv6.isWellFormed(view, off, end)) return { kind: "malformed", what: "icmp6", length };
  const type = icmpv6.type(view, off);
  const discovery = ndp.isWellFormed(view, off, end);
  const quoted = icmpv6.isError(type) ? quotedIpv6(view, icmpv6.innerOffset(off), end) : undefined;
  if (icmpv6.isNeighborDiscovery(type) && type !== icmpv6.TYPE_REDIRECT && !discovery) {
    return { kind: "malformed", what: "icmp6", length };
  }
  return {
    kind: "icmpv6",
    type,
    code: icmpv6.code(view, off),
    ...(icmpv6.isEcho(type) && { id: icmpv6.id(view, off), seq: icmpv6.seq(view, off) }),
    ...(type === icmpv6.TYPE_PACKET_TOO_BIG && { mtu: icmpv6.mtu(view, off) >>> 0 }),
    ...(type === icmpv6.TYPE_MLDV2_REPORT && { records: view.getUint16(off + 6) }),
    ...(discovery && neighborFields(view, off, end)),
    ...(quoted && { quoted }),
    length,
  };
}

function neighborFields(view: DataView, off: number, end: number): { target?: string; linkAddress?: string } {
  const type = icmpv6.type(view, off);
  const hasTarget = type === icmpv6.TYPE_NEIGHBOR_SOLICITATION || type === icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT;
  const kind = type === icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT ? ndp.OPTION_TARGET_LINK : ndp.OPTION_SOURCE_LINK;
  const option = ndp.findOption(view, off, end, kind);
  const word = (i: number): number => ndp.targetWord(view, off, i);
  return {
    ...(hasTarget && { target: ipv6Text(word(0), word(1), word(2), word(3)) }),
    ...(option >= 0 && { linkAddress: formatMac(ndp.linkHi(view, option), ndp.linkLo(view, option)) }),
  };
}

function quotedIpv4(view: DataView, off: number, end: number): Quoted | undefined {
  if (end - off < ipv4.HEADER_LEN_MIN || view.getUint8(off) >> 4 !== 4) return undefined;
  const proto = ipv4.proto(view, off);
  const l4 = ipv4.fragOffset(view, off) === 0 ? off + ipv4.headerLen(view, off) : end;
  const [src, dst] = [formatV4(ipv4.src(view, off)), formatV4(ipv4.dst(view, off))];
  return { src, dst, proto, ...quotedPorts(view, l4, end, proto) };
}

function quotedIpv6(view: DataView, off: number, end: number): Quoted | undefined {
  if (end - off < ipv6.HEADER_LEN || view.getUint8(off) >> 4 !== 6) return undefined;
  const src = [0, 1, 2, 3].map((i) => ipv6.srcWord(view, off, i));
  const dst = [0, 1, 2, 3].map((i) => ipv6.dstWord(view, off, i));
  const found = ipv6.findUpperLayer(view, off, end);
  const proto = found < 0 ? ipv6.nextHeader(view, off) : ipv6.upperLayerProto(found);
  const l4 = found < 0 ? end : ipv6.upperLayerOffset(off, found);
  return {
    src: ipv6Text(src[0], src[1], src[2], src[3]),
    dst: ipv6Text(dst[0], dst[1], dst[2], dst[3]),
    proto,
    ...quotedPorts(view, l4, end, proto),
  };
}

function quotedPorts(view: DataView, l4: number, end: number, proto: number): Partial<Quoted> {
  const hasPorts = proto === Protocol.TCP || proto === Protocol.UDP || proto === Protocol.SCTP;
  if (!hasPorts || end - l4 < 4) return {};
  return { srcPort: view.getUint16(l4), dstPort: view.getUint16(l4 + 2) };
}
