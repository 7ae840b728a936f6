// Bytes → Frame. Cold, and never throws on any bytes: each header is read only after wire's isWellFormed said
// yes, and the first one that is refused ends the walk with a "malformed" layer. Of a frame that was cut when it was
// captured the view ends where the bytes do: a header that goes on behind that is malformed too, its layer says so, and
// everything in front of it is read by the lengths that the headers say.

import { formatV4 } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import { Protocol } from "../base/protocols.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as ipv6 from "../wire/ip/ipv6.ts";
import * as arp from "../wire/link/arp.ts";
import * as ethernet from "../wire/link/ethernet.ts";
import * as vxlan from "../wire/link/vxlan.ts";
import * as sctp from "../wire/transport/sctp.ts";
import * as tcp from "../wire/transport/tcp.ts";
import * as udp from "../wire/transport/udp.ts";
import { ipv6Text } from "./address-text.ts";
import { dissectIcmp, dissectIcmpv6 } from "./dissect-icmp.ts";
import type { Fragment, Frame, Layer, MalformedLayer, SctpLayer, TcpOption } from "./frame.ts";

const MAX_NESTING = 4; // VXLAN inside VXLAN; a forged frame could otherwise nest a thousand times
const MAX_TAGS = 2;
const FLAG_LETTERS = "FSRP.UEW"; // tcpdump's, from the lowest bit

/** Takes the frame at `off`…`end` apart. */
export function dissect(bytes: Uint8Array, off = 0, end = bytes.length): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stop = Math.min(Math.max(end, 0), bytes.length);
  return frameAt(view, Math.min(Math.max(off, 0), stop), stop, 0);
}

/** Takes a frame apart that had `length` bytes, of which `captured` are the first. */
export function dissectCut(captured: Uint8Array, length: number): Frame {
  const view = new DataView(captured.buffer, captured.byteOffset, captured.byteLength);
  return frameAt(view, 0, Math.max(length, captured.length), 0);
}

function frameAt(view: DataView, off: number, end: number, nesting: number): Frame {
  const layers: Layer[] = [];
  asFarAsCaptured(layers, "ether", off, end, () => linkLayers(layers, view, off, end, nesting));
  return { length: end - off, layers };
}

/** What `read` reads ends where the capture does: then the header at `off` is the one that is cut. */
function asFarAsCaptured(layers: Layer[], what: string, off: number, end: number, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    layers.push(malformed(what, off, end));
  }
}

function linkLayers(layers: Layer[], view: DataView, off: number, end: number, nesting: number): void {
  if (!ethernet.isWellFormed(view, off, end)) {
    layers.push(malformed("ether", off, end));
    return;
  }
  const src = formatMac(ethernet.srcHi(view, off), ethernet.srcLo(view, off));
  const dst = formatMac(ethernet.dstHi(view, off), ethernet.dstLo(view, off));
  let type = ethernet.etherType(view, off);
  layers.push({ kind: "ethernet", src, dst, etherType: type });
  let l3 = off + ethernet.HEADER_LEN;
  for (let tags = 0; tags < MAX_TAGS && isTag(type); tags++) {
    if (l3 + 4 > end) {
      layers.push(malformed("vlan", l3, end));
      return;
    }
    const tci = view.getUint16(l3);
    type = view.getUint16(l3 + 2);
    layers.push({ kind: "vlan", id: tci & 0x0fff, priority: tci >> 13, etherType: type });
    l3 += 4;
  }
  const read = (what: string, layer: () => void): void => asFarAsCaptured(layers, what, l3, end, layer);
  if (type === ethernet.ETHERTYPE_IPV4) read("ip", () => ipv4Layers(layers, view, l3, end, nesting));
  else if (type === ethernet.ETHERTYPE_IPV6) read("ip6", () => ipv6Layers(layers, view, l3, end, nesting));
  else if (type === ethernet.ETHERTYPE_ARP) read("arp", () => arpLayer(layers, view, l3, end));
  else layers.push({ kind: "opaque", proto: type, length: end - l3 });
}

function arpLayer(layers: Layer[], view: DataView, off: number, end: number): void {
  if (!arp.isWellFormed(view, off, end)) {
    layers.push(malformed("arp", off, end));
    return;
  }
  layers.push({
    kind: "arp",
    op: arp.op(view, off),
    senderMac: formatMac(arp.senderHi(view, off), arp.senderLo(view, off)),
    senderIp: formatV4(arp.senderIp(view, off)),
    targetMac: formatMac(arp.targetHi(view, off), arp.targetLo(view, off)),
    targetIp: formatV4(arp.targetIp(view, off)),
    length: end - off,
  });
}

function ipv4Layers(layers: Layer[], view: DataView, off: number, end: number, nesting: number): void {
  if (!ipv4.isWellFormed(view, off, end)) {
    layers.push(malformed("ip", off, end));
    return;
  }
  const totalLength = ipv4.totalLen(view, off);
  const headerLength = ipv4.headerLen(view, off);
  const proto = ipv4.proto(view, off);
  const offset = ipv4.fragOffset(view, off);
  const fragment: Fragment = {
    id: ipv4.id(view, off),
    offset,
    more: ipv4.moreFragments(view, off),
    length: totalLength - headerLength,
  };
  layers.push({
    kind: "ipv4",
    src: formatV4(ipv4.src(view, off)),
    dst: formatV4(ipv4.dst(view, off)),
    proto,
    ttl: ipv4.ttl(view, off),
    tos: ipv4.tos(view, off),
    id: ipv4.id(view, off),
    totalLength,
    headerLength,
    dontFragment: ipv4.dontFragment(view, off),
    checksumOk: off + headerLength > view.byteLength || ipv4.checksumOk(view, off),
    ...(ipv4.isFragment(view, off) ? { fragment } : {}),
  });
  const l4 = off + headerLength;
  if (offset > 0) layers.push({ kind: "opaque", proto, length: fragment.length });
  else transportLayers(layers, view, l4, off + totalLength, proto, nesting, ipv4.isFragment(view, off));
}

function ipv6Layers(layers: Layer[], view: DataView, off: number, end: number, nesting: number): void {
  if (!ipv6.isWellFormed(view, off, end)) {
    layers.push(malformed("ip6", off, end));
    return;
  }
  const src = [0, 1, 2, 3].map((i) => ipv6.srcWord(view, off, i));
  const dst = [0, 1, 2, 3].map((i) => ipv6.dstWord(view, off, i));
  const payloadLength = ipv6.payloadLen(view, off);
  layers.push({
    kind: "ipv6",
    src: ipv6Text(src[0], src[1], src[2], src[3]),
    dst: ipv6Text(dst[0], dst[1], dst[2], dst[3]),
    nextHeader: ipv6.nextHeader(view, off),
    hopLimit: ipv6.hopLimit(view, off),
    trafficClass: ipv6.trafficClass(view, off),
    flowLabel: ipv6.flowLabel(view, off),
    payloadLength,
  });
  extensionLayers(layers, view, off + ipv6.HEADER_LEN, off + ipv6.HEADER_LEN + payloadLength, nesting);
}

// Shows every header, also where the plane's findUpperLayer would refuse the chain: `end` bounds the walk.
function extensionLayers(layers: Layer[], view: DataView, off: number, end: number, nesting: number): void {
  let at = off;
  let proto = ipv6.nextHeader(view, off - ipv6.HEADER_LEN);
  let partial = false;
  while (ipv6.isExtension(proto)) {
    if (at + 8 > end || at + ipv6.extensionLen(view, at, proto) > end) {
      layers.push(malformed("ext", at, end));
      return;
    }
    const length = ipv6.extensionLen(view, at, proto);
    const fragment = proto === ipv6.PROTO_FRAGMENT ? ipv6Fragment(view, at, end) : undefined;
    const nextHeader = view.getUint8(at);
    layers.push({ kind: "extension", header: proto, length, nextHeader, ...(fragment && { fragment }) });
    proto = nextHeader;
    at += length;
    if (fragment !== undefined && fragment.offset > 0) {
      layers.push({ kind: "opaque", proto, length: end - at });
      return;
    }
    partial ||= fragment?.more === true;
  }
  transportLayers(layers, view, at, end, proto, nesting, partial);
}

function ipv6Fragment(view: DataView, at: number, end: number): Fragment {
  return {
    id: ipv6.fragId(view, at) >>> 0,
    offset: ipv6.fragOffset(view, at),
    more: ipv6.fragMore(view, at),
    length: end - at - ipv6.FRAGMENT_HEADER_LEN,
  };
}

/** `partial`: a first fragment, whose length fields speak of more than is here. */
function transportLayers(
  layers: Layer[],
  view: DataView,
  off: number,
  end: number,
  proto: number,
  nesting: number,
  partial: boolean,
): void {
  try {
    if (proto === Protocol.TCP) tcpLayer(layers, view, off, end);
    else if (proto === Protocol.UDP) udpLayers(layers, view, off, end, nesting, partial);
    else if (proto === Protocol.ICMP) layers.push(dissectIcmp(view, off, end));
    else if (proto === Protocol.ICMPV6) layers.push(dissectIcmpv6(view, off, end));
    else if (proto === Protocol.SCTP) layers.push(sctpLayer(view, off, end));
    else layers.push({ kind: "opaque", proto, length: end - off });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    layers.push({ ...malformed(PROTOCOLS[proto] ?? "ip", off, end), ...portsOf(view, off, proto) });
  }
}

/** tcpdump's names, for what a capture may cut. */
const PROTOCOLS: Readonly<Record<number, string>> = {
  [Protocol.TCP]: "tcp",
  [Protocol.UDP]: "udp",
  [Protocol.ICMP]: "icmp",
  [Protocol.ICMPV6]: "icmp6",
  [Protocol.SCTP]: "sctp",
};

function portsOf(view: DataView, off: number, proto: number): { ports?: [number, number] } {
  const isKnown = off + 4 <= view.byteLength && proto !== Protocol.ICMP && proto !== Protocol.ICMPV6;
  return isKnown ? { ports: [view.getUint16(off), view.getUint16(off + 2)] } : {};
}

function tcpLayer(layers: Layer[], view: DataView, off: number, end: number): void {
  if (!tcp.isWellFormed(view, off, end)) {
    layers.push(malformed("tcp", off, end));
    return;
  }
  layers.push({
    kind: "tcp",
    srcPort: tcp.srcPort(view, off),
    dstPort: tcp.dstPort(view, off),
    seq: tcp.seq(view, off) >>> 0,
    ack: tcp.ack(view, off) >>> 0,
    flags: tcpFlagLetters(tcp.flags(view, off)),
    window: tcp.window(view, off),
    checksum: tcp.checksum(view, off),
    urgent: tcp.urgent(view, off),
    options: tcpOptions(view, off),
    ...(off + tcp.headerLen(view, off) > view.byteLength && { isCut: true as const }),
    payloadLength: end - off - tcp.headerLen(view, off),
  });
}

function tcpFlagLetters(flags: number): string {
  const letters = [...FLAG_LETTERS].filter((_, bit) => (flags & (1 << bit)) !== 0).join("");
  return letters === "" ? "none" : letters;
}

function tcpOptions(view: DataView, off: number): TcpOption[] {
  const options: TcpOption[] = [];
  const end = Math.min(off + tcp.headerLen(view, off), view.byteLength);
  let at = off + tcp.HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    const single = kind === tcp.OPTION_END || kind === tcp.OPTION_NOP;
    const length = single ? 1 : at + 2 <= end ? view.getUint8(at + 1) : 0;
    if (length === 0 || (!single && length < 2) || at + length > end) break;
    options.push({ kind, values: optionValues(view, at, kind, length) });
    if (kind === tcp.OPTION_END) break;
    at += length;
  }
  return options;
}

function optionValues(view: DataView, at: number, kind: number, length: number): number[] {
  if (kind === tcp.OPTION_MSS && length === 4) return [view.getUint16(at + 2)];
  if (kind === tcp.OPTION_WSCALE && length === 3) return [view.getUint8(at + 2)];
  if (kind === tcp.OPTION_TIMESTAMPS && length === 10)
    return [view.getUint32(at + 2), view.getUint32(at + 6)];
  if (kind !== tcp.OPTION_SACK) return [];
  return Array.from({ length: (length - 2) >> 2 }, (_, i) => view.getUint32(at + 2 + 4 * i));
}

function udpLayers(
  layers: Layer[],
  view: DataView,
  off: number,
  end: number,
  nesting: number,
  partial: boolean,
): void {
  const whole = udp.isWellFormed(view, off, end);
  if (!whole && !(partial && end - off >= udp.HEADER_LEN && udp.length(view, off) >= udp.HEADER_LEN)) {
    layers.push(malformed("udp", off, end));
    return;
  }
  const dstPort = udp.dstPort(view, off);
  layers.push({
    kind: "udp",
    srcPort: udp.srcPort(view, off),
    dstPort,
    checksum: udp.checksum(view, off),
    payloadLength: udp.length(view, off) - udp.HEADER_LEN,
  });
  const payload = off + udp.HEADER_LEN;
  const isVxlan = dstPort === vxlan.UDP_PORT_IANA || dstPort === vxlan.UDP_PORT_LINUX;
  if (!whole || !isVxlan || nesting >= MAX_NESTING) return;
  const payloadEnd = off + udp.length(view, off);
  if (payload + vxlan.HEADER_LEN > view.byteLength && payloadEnd > view.byteLength) {
    layers.push(malformed("vxlan", payload, payloadEnd));
    return;
  }
  if (!vxlan.isWellFormed(view, payload, payloadEnd)) return; // another protocol on that port
  const inner = frameAt(view, payload + vxlan.HEADER_LEN, payloadEnd, nesting + 1);
  layers.push({ kind: "vxlan", vni: vxlan.vni(view, payload), flags: vxlan.flags(view, payload), inner });
}

function sctpLayer(view: DataView, off: number, end: number): SctpLayer | MalformedLayer {
  if (!sctp.isWellFormed(view, off, end)) return malformed("sctp", off, end);
  const chunks = [];
  for (let at = sctp.firstChunk(view, off, end); at >= 0; at = sctp.nextChunk(view, at, end)) {
    const type = sctp.chunkType(view, at);
    chunks.push({ type, flags: sctp.chunkFlags(view, at), length: sctp.chunkLen(view, at) });
  }
  return {
    kind: "sctp",
    srcPort: sctp.srcPort(view, off),
    dstPort: sctp.dstPort(view, off),
    vtag: sctp.vtag(view, off) >>> 0,
    chunks,
    checksumOk: end > view.byteLength || sctp.checksumOk(view, off, end),
  };
}

function isTag(etherType: number): boolean {
  return etherType === ethernet.ETHERTYPE_VLAN || etherType === ethernet.ETHERTYPE_QINQ;
}

function malformed(what: string, off: number, end: number): MalformedLayer {
  return { kind: "malformed", what, length: end - off };
}
