// Frames for tests, written on wire's setters: say what matters, the rest has a sane default, lengths and
// checksums come out right. Buffers start as 0xa5, so that a byte no setter wrote is seen. Addresses are
// text; the family of `src` decides between IPv4 and IPv6. frame-checker.ts checks these frames with
// arithmetic of its own.

import type { Ipv4Addr, L4Port, Vni } from "../../base/ids.ts";
import { parseIp } from "../../base/ip.ts";
import { type Mac, parseMac } from "../../base/mac.ts";
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ndp from "../../wire/ip/ndp.ts";
import * as arp from "../../wire/link/arp.ts";
import * as ethernet from "../../wire/link/ethernet.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { concat, dirty, viewOf } from "./bytes.ts";
import type {
  ArpOptions,
  EchoOptions,
  IcmpErrorOptions,
  IpOptions,
  LinkOptions,
  NeighborOptions,
  Payload,
  PortOptions,
  RawOptions,
  SctpChunk,
  SctpOptions,
  TcpOptions,
  UdpLiteOptions,
  UdpOptions,
  VxlanOptions,
} from "./frame-options.ts";

/** Writes the L4 part at `off`…`end`; `pseudo` is the sum of the pseudo-header. */
type WriteL4 = (view: DataView, off: number, end: number, pseudo: number) => void;

export function tcpFrame(o: TcpOptions): Uint8Array {
  const options = tcpOptionBytes(o);
  const payload = payloadBytes(o.payload ?? 0);
  const headerLen = tcp.HEADER_LEN_MIN + options.length;
  return ipFrame(o, Protocol.TCP, headerLen + payload.length, (view, off, end, pseudo) => {
    const flags = tcpFlags(o.flags ?? ".");
    const [from, to] = ports(o, 41000, 80);
    tcp.emit(view, off, from, to, o.seq ?? 0, o.ack ?? 0, headerLen, flags, o.window ?? 64240);
    copy(view, off + tcp.HEADER_LEN_MIN, options);
    copy(view, off + headerLen, payload);
    tcp.setChecksum(view, off, checksum.finish(checksum.sum(view, off, end - off, pseudo)));
  });
}

export function udpFrame(o: UdpOptions): Uint8Array {
  const payload = payloadBytes(o.payload ?? 0);
  return ipFrame(o, Protocol.UDP, udp.HEADER_LEN + payload.length, (view, off, end, pseudo) => {
    udp.emit(view, off, ...ports(o, 41000, 53), end - off);
    copy(view, off + udp.HEADER_LEN, payload);
    if (o.checksum === false) return;
    const sum = checksum.finish(checksum.sum(view, off, end - off, pseudo));
    udp.setChecksum(view, off, sum === 0 ? 0xffff : sum);
  });
}

/** Echo request or reply, ICMP or ICMPv6 by the family of the addresses. */
export function echoFrame(o: EchoOptions): Uint8Array {
  const payload = payloadBytes(o.payload ?? 56);
  const type = isV6(o)
    ? o.reply
      ? icmpv6.TYPE_ECHO_REPLY
      : icmpv6.TYPE_ECHO_REQUEST
    : o.reply
      ? icmpv4.TYPE_ECHO_REPLY
      : icmpv4.TYPE_ECHO_REQUEST;
  return icmpFrame(o, type, 0, ((o.echoId ?? 1) << 16) | (o.seq ?? 1), payload);
}

/** An error message that quotes another frame. */
export function icmpErrorFrame(o: IcmpErrorOptions): Uint8Array {
  const view = viewOf(o.about);
  const l3 = ethernet.payloadOffset(view, 0, o.about.length);
  const quoted = o.about.subarray(l3, l3 + (o.quote ?? (isV6(o) ? 1232 : 48)));
  return icmpFrame(o, o.type, o.code, o.rest ?? 0, quoted);
}

export function icmpFrame(o: IpOptions, type: number, code: number, rest: number, body: Payload): Uint8Array {
  const bytes = payloadBytes(body);
  const proto = isV6(o) ? Protocol.ICMPV6 : Protocol.ICMP;
  return ipFrame(o, proto, icmpv4.HEADER_LEN + bytes.length, (view, off, end, pseudo) => {
    icmpv4.emit(view, off, type, code, rest); // the two families share this form
    copy(view, off + icmpv4.HEADER_LEN, bytes);
    const seed = isV6(o) ? pseudo : 0;
    icmpv4.setChecksum(view, off, checksum.finish(checksum.sum(view, off, end - off, seed)));
  });
}

export function arpFrame(o: ArpOptions): Uint8Array {
  const op = o.op ?? arp.OP_REQUEST;
  const broadcast = op === arp.OP_REQUEST ? "ff:ff:ff:ff:ff:ff" : undefined;
  const link = { dstMac: o.dstMac ?? broadcast, srcMac: o.srcMac ?? o.senderMac, vlans: o.vlans };
  return linkFrame(withoutUndefined(link), ethernet.ETHERTYPE_ARP, arp.HEADER_LEN, (view, off) => {
    const sender = mac(o.senderMac ?? o.srcMac ?? "0a:58:00:00:00:01");
    const target = mac(o.targetMac ?? "00:00:00:00:00:00");
    const [spa, tpa] = [ip(o.senderIp), ip(o.targetIp)];
    arp.emit(view, off, op, sender.hi, sender.lo, spa, target.hi, target.lo, tpa);
  });
}

/** VXLAN around a whole inner frame; `src` and `dst` are the VTEPs. */
export function vxlanFrame(o: VxlanOptions): Uint8Array {
  const payload = new Uint8Array(vxlan.HEADER_LEN + o.inner.length);
  vxlan.emit(viewOf(payload), 0, (o.vni ?? 1) as Vni);
  payload.set(o.inner, vxlan.HEADER_LEN);
  const port = o.dstPort ?? vxlan.UDP_PORT_LINUX;
  return udpFrame({
    ...o,
    dstPort: port,
    srcPort: o.srcPort ?? 50000,
    payload,
    checksum: o.checksum ?? false,
  });
}

export function neighborSolicitationFrame(o: NeighborOptions): Uint8Array {
  return neighborFrame(o, ndp.OPTION_SOURCE_LINK, (view, off) =>
    ndp.emitSolicitation(view, off, ...ip6(o.target)),
  );
}

export function neighborAdvertisementFrame(o: NeighborOptions): Uint8Array {
  const flags = o.flags ?? ndp.NA_SOLICITED | ndp.NA_OVERRIDE;
  return neighborFrame(o, ndp.OPTION_TARGET_LINK, (view, off) =>
    ndp.emitAdvertisement(view, off, flags, ...ip6(o.target)),
  );
}

export function sctpFrame(o: SctpOptions): Uint8Array {
  const chunks = (o.chunks ?? [{ type: sctp.CHUNK_COOKIE_ACK }]).map(sctpChunkBytes);
  const body = concat(...chunks);
  return ipFrame(o, Protocol.SCTP, sctp.HEADER_LEN + body.length, (view, off, end) => {
    sctp.emit(view, off, ...ports(o, 41000, 9999), o.vtag ?? 1);
    copy(view, off + sctp.HEADER_LEN, body);
    sctp.computeChecksum(view, off, end);
  });
}

/** UDP-Lite (RFC 3828): the pseudo-header has the whole length, the sum ends where the coverage does. */
export function udpLiteFrame(o: UdpLiteOptions): Uint8Array {
  const payload = payloadBytes(o.payload ?? 0);
  return ipFrame(o, Protocol.UDPLITE, udp.HEADER_LEN + payload.length, (view, off, end, pseudo) => {
    const coverage = o.coverage ?? 0;
    udp.emit(view, off, ...ports(o, 41000, 9999), coverage);
    copy(view, off + udp.HEADER_LEN, payload);
    const sum = checksum.finish(checksum.sum(view, off, coverage === 0 ? end - off : coverage, pseudo));
    udp.setChecksum(view, off, sum === 0 ? 0xffff : sum);
  });
}

/** Any protocol, whose bytes are the payload. */
export function rawFrame(o: RawOptions): Uint8Array {
  const payload = payloadBytes(o.payload ?? 0);
  return ipFrame(o, o.proto, payload.length, (view, off) => copy(view, off, payload));
}

/** Any protocol over IPv4 or IPv6, with `l4Len` bytes written by `write`. */
export function ipFrame(o: IpOptions, proto: number, l4Len: number, write: WriteL4): Uint8Array {
  return isV6(o) ? ipv6Frame(o, proto, l4Len, write) : ipv4Frame(o, proto, l4Len, write);
}

/** Ethernet header, tags, then `len` bytes written by `write`. */
export function linkFrame(
  o: LinkOptions,
  etherType: number,
  len: number,
  write: (view: DataView, off: number) => void,
): Uint8Array {
  const vlans = o.vlans ?? [];
  const l3 = ethernet.HEADER_LEN + 4 * vlans.length;
  const bytes = dirty(l3 + len);
  const view = viewOf(bytes);
  const [to, from] = [mac(o.dstMac ?? "0a:58:00:00:00:02"), mac(o.srcMac ?? "0a:58:00:00:00:01")];
  ethernet.emit(view, 0, to.hi, to.lo, from.hi, from.lo, etherType);
  vlans.forEach((id, i) => {
    const tpid = vlans.length > 1 && i === 0 ? ethernet.ETHERTYPE_QINQ : ethernet.ETHERTYPE_VLAN;
    view.setUint16(12 + 4 * i, tpid);
    view.setUint16(14 + 4 * i, id);
    view.setUint16(16 + 4 * i, etherType);
  });
  write(view, l3);
  return bytes;
}

/** "10.0.0.1" → i32; throws on anything else. */
export function ip(text: string): Ipv4Addr {
  const addr = parseIp(text);
  if (addr?.family !== 4) throw new RangeError(`not an IPv4 address: ${text}`);
  return addr.w3 as Ipv4Addr;
}

/** "fd00::1" → four words; throws on anything else. */
export function ip6(text: string): [w0: number, w1: number, w2: number, w3: number] {
  const addr = parseIp(text);
  if (addr?.family !== 6) throw new RangeError(`not an IPv6 address: ${text}`);
  return [addr.w0, addr.w1, addr.w2, addr.w3];
}

/** "0a:58:0a:f4:01:02" → hi, lo; throws on anything else. */
export function mac(text: string): Mac {
  const parsed = parseMac(text);
  if (parsed === undefined) throw new RangeError(`not a MAC address: ${text}`);
  return parsed;
}

export function tcpFlags(letters: string): number {
  const known = "FSRP.UEW";
  let flags = 0;
  for (const letter of letters) {
    if (!known.includes(letter)) throw new RangeError(`unknown TCP flag ${letter}`);
    flags |= 1 << known.indexOf(letter);
  }
  return flags;
}

/** 0, 1, 2 … 255, 0, 1 … */
function counting(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i;
  return bytes;
}

function payloadBytes(payload: Payload): Uint8Array {
  if (typeof payload === "number") return counting(payload);
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

function ipv4Frame(o: IpOptions, proto: number, l4Len: number, write: WriteL4): Uint8Array {
  const options = o.ipOptions ?? new Uint8Array(0);
  const headerLen = ipv4.HEADER_LEN_MIN + options.length;
  const total = headerLen + l4Len;
  return linkFrame(o, ethernet.ETHERTYPE_IPV4, total, (view, off) => {
    const flagsFrag = (o.dontFragment ?? true) ? ipv4.FLAG_DF : 0;
    const [from, to] = [ip(o.src), ip(o.dst)];
    ipv4.emit(view, off, o.tos ?? 0, total, o.id ?? 0, flagsFrag, o.ttl ?? 64, proto, from, to);
    if (options.length > 0) {
      view.setUint8(off, 0x40 | (headerLen >> 2));
      copy(view, off + ipv4.HEADER_LEN_MIN, options);
      ipv4.computeChecksum(view, off);
    }
    write(view, off + headerLen, off + total, checksum.pseudoSumV4(from, to, proto, l4Len));
  });
}

function ipv6Frame(o: IpOptions, proto: number, l4Len: number, write: WriteL4): Uint8Array {
  return linkFrame(o, ethernet.ETHERTYPE_IPV6, ipv6.HEADER_LEN + l4Len, (view, off) => {
    ipv6.emit(view, off, o.tos ?? 0, o.flowLabel ?? 0, l4Len, proto, o.ttl ?? 64);
    ipv6.setSrc(view, off, ...ip6(o.src));
    ipv6.setDst(view, off, ...ip6(o.dst));
    const l4 = off + ipv6.HEADER_LEN;
    write(view, l4, l4 + l4Len, checksum.pseudoSumV6(view, off, proto, l4Len));
  });
}

function neighborFrame(
  o: NeighborOptions,
  optionKind: number,
  emitBody: (view: DataView, off: number) => void,
): Uint8Array {
  const len = ndp.SOLICITATION_LEN + (o.mac === undefined ? 0 : ndp.LINK_OPTION_LEN);
  return ipv6Frame({ ...o, ttl: 255 }, Protocol.ICMPV6, len, (view, off) => {
    emitBody(view, off);
    if (o.mac !== undefined) {
      const { hi, lo } = mac(o.mac);
      ndp.emitLinkOption(view, off + ndp.SOLICITATION_LEN, optionKind, hi, lo);
    }
    icmpv6.computeChecksum(view, off, len, off - ipv6.HEADER_LEN);
  });
}

function tcpOptionBytes(o: TcpOptions): Uint8Array {
  const bytes: number[] = [];
  if (o.mss !== undefined) bytes.push(tcp.OPTION_MSS, 4, o.mss >> 8, o.mss & 0xff);
  if (o.sackPermitted) bytes.push(tcp.OPTION_SACK_PERMITTED, 2);
  if (o.timestamps !== undefined) {
    if (bytes.length === 0) bytes.push(tcp.OPTION_NOP, tcp.OPTION_NOP); // alone they lie aligned, as Linux sends them
    bytes.push(tcp.OPTION_TIMESTAMPS, 10);
    for (const word of o.timestamps) bytes.push(...wordBytes(word));
  }
  if (o.sack !== undefined) {
    bytes.push(tcp.OPTION_NOP, tcp.OPTION_NOP, tcp.OPTION_SACK, 2 + 8 * o.sack.length);
    for (const word of o.sack.flat()) bytes.push(...wordBytes(word));
  }
  if (o.wscale !== undefined) bytes.push(tcp.OPTION_NOP, tcp.OPTION_WSCALE, 3, o.wscale);
  while (bytes.length % 4 !== 0) bytes.push(tcp.OPTION_NOP);
  return Uint8Array.from(bytes);
}

function wordBytes(word: number): number[] {
  return [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff];
}

function sctpChunkBytes(chunk: SctpChunk): Uint8Array {
  const value = payloadBytes(chunk.value ?? 0);
  const len = sctp.CHUNK_HEADER_LEN + value.length;
  const bytes = new Uint8Array((len + 3) & ~3); // padding is zero, RFC 9260 §3.2
  sctp.emitChunk(viewOf(bytes), 0, chunk.type, chunk.flags ?? 0, len);
  bytes.set(value, sctp.CHUNK_HEADER_LEN);
  return bytes;
}

function ports(o: PortOptions, src: number, dst: number): [L4Port, L4Port] {
  return [(o.srcPort ?? src) as L4Port, (o.dstPort ?? dst) as L4Port];
}

function isV6(o: { readonly src: string }): boolean {
  return o.src.includes(":");
}

function copy(view: DataView, off: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(bytes, off);
}

function withoutUndefined(o: { [K in keyof LinkOptions]: LinkOptions[K] | undefined }): LinkOptions {
  return Object.fromEntries(Object.entries(o).filter(([, value]) => value !== undefined));
}
