/**
 * A captured frame, taken apart as far as replaying it needs: its tuple as conntrack has it, what identifies the packet
 * within its connection, and, out of a tunnel, the frames inside. What a snap length cut off is there as zeros, so that
 * lengths are right; `known` says how far the bytes are real.
 */

import { formatIp, type IpWords, V4_MAPPED } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as arp from "../../wire/link/arp.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as tcp from "../../wire/transport/tcp.ts";

const { SRC0, DST0, PORTS, META } = tuple.TupleWord;
const { V4, V6 } = tuple.Meta;

export interface CapturedPacket {
  /** An Ethernet frame, from its first byte. */
  readonly data: Uint8Array;
  readonly view: DataView;
  /** Bytes of `data` that were captured. */
  readonly known: number;
  /** 0: neither IP nor ARP, or not to be read. */
  readonly family: 0 | 4 | 6;
  readonly isArp: boolean;
  readonly l3: number;
  readonly l4: number;
  /** End of the IP packet. */
  readonly end: number;
  readonly proto: number;
  /** The tuple, in tuple.ts' form. */
  readonly key: Int32Array;
  readonly fragment: { readonly id: number; readonly offset: number; readonly more: boolean } | undefined;
  /** The headers that a judgement needs were cut off. */
  readonly isHeadless: boolean;
  /** TCP. */
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  /** Where what the protocol carries begins. */
  readonly payload: number;
  /** An ICMP error: it quotes the packet it is about. */
  readonly isError: boolean;
  /** Frames out of the tunnel, in the order in which they lie. */
  readonly inner: readonly CapturedPacket[];
  /** More frames came in the same tunnel packet, and were cut off with their headers. */
  readonly lacksInner: boolean;
}

const MAX_INNER = 64;
/** What is shorter is padding. */
const INNER_MIN = vxlan.HEADER_LEN + eth.HEADER_LEN + ipv4.HEADER_LEN_MIN;

export function wordsAt(key: Int32Array, at: number): IpWords {
  return { w0: key[at], w1: key[at + 1], w2: key[at + 2], w3: key[at + 3] };
}

export const sourceOf = (p: CapturedPacket): IpWords => wordsAt(p.key, 0);
export const destinationOf = (p: CapturedPacket): IpWords => wordsAt(p.key, 4);

/** Of IPv6: the hop limit. */
export function ttlOf({ view, l3, family }: CapturedPacket): number {
  return family === 4 ? ipv4.ttl(view, l3) : ipv6.hopLimit(view, l3);
}

/** `captured` of `original` bytes. `vxlanPort` 0: what is in tunnels is not looked into. */
export function readPacket(captured: Uint8Array, original: number, vxlanPort: number): CapturedPacket {
  const isCut = original > captured.length && original <= 0xffff + 64;
  const data = isCut ? new Uint8Array(original) : captured;
  if (isCut) data.set(captured);
  return packetAt(data, captured.length, vxlanPort);
}

function packetAt(data: Uint8Array, known: number, vxlanPort: number): CapturedPacket {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const base = {
    data,
    view,
    known,
    family: 0 as 0 | 4 | 6,
    isArp: false,
    l3: 0,
    l4: 0,
    end: data.length,
    proto: 0,
    key: new Int32Array(tuple.TUPLE_WORDS),
    fragment: undefined as CapturedPacket["fragment"],
    isHeadless: known < Math.min(eth.HEADER_LEN, data.length),
    flags: 0,
    seq: 0,
    ack: 0,
    payload: 0,
    isError: false,
    inner: [] as readonly CapturedPacket[],
    lacksInner: false,
  };
  if (base.isHeadless || !eth.isWellFormed(view, 0, data.length)) return base;
  const l3 = eth.payloadOffset(view, 0, data.length);
  if (l3 < 0) return base;
  const type = view.getUint16(l3 - 2);
  if (type === eth.ETHERTYPE_ARP) return arpPacket({ ...base, l3 });
  if (type === eth.ETHERTYPE_IPV4) readV4(base, l3);
  else if (type === eth.ETHERTYPE_IPV6) readV6(base, l3);
  if (base.family === 0) return base;
  readTransport(base);
  if (base.proto === Protocol.UDP && base.fragment === undefined && vxlanPort !== 0) {
    if (tuple.destinationPort(base.key) === vxlanPort) base.inner = innerOf(base);
    base.lacksInner = base.known < base.end && lacksInner(base);
  }
  return base;
}

type Building = { -readonly [K in keyof CapturedPacket]: CapturedPacket[K] };

function arpPacket(p: Building): CapturedPacket {
  const { view, l3, data, key } = p;
  if (l3 + arp.HEADER_LEN > p.known) return { ...p, isHeadless: p.known < data.length };
  if (!arp.isWellFormed(view, l3, data.length)) return p;
  key.set([0, 0, V4_MAPPED, arp.senderIp(view, l3), 0, 0, V4_MAPPED, arp.targetIp(view, l3), 0, 0]);
  key[PORTS] = arp.op(view, l3);
  return { ...p, isArp: true };
}

function readV4(p: Building, l3: number): void {
  const { view, known, data, key } = p;
  if (l3 + ipv4.HEADER_LEN_MIN > known) {
    p.isHeadless = known < data.length;
    return;
  }
  if (!ipv4.isWellFormed(view, l3, data.length)) return;
  p.family = 4;
  p.l3 = l3;
  p.l4 = l3 + ipv4.headerLen(view, l3);
  p.end = l3 + ipv4.totalLen(view, l3);
  p.proto = ipv4.proto(view, l3);
  if (ipv4.isFragment(view, l3)) {
    const offset = ipv4.fragOffset(view, l3);
    p.fragment = { id: ipv4.id(view, l3), offset, more: ipv4.moreFragments(view, l3) };
  }
  key.set([0, 0, V4_MAPPED, ipv4.src(view, l3), 0, 0, V4_MAPPED, ipv4.dst(view, l3)]);
  key[META] = V4 | p.proto;
}

function readV6(p: Building, l3: number): void {
  const { view, known, data, key } = p;
  if (l3 + ipv6.HEADER_LEN > known) {
    p.isHeadless = known < data.length;
    return;
  }
  if (!ipv6.isWellFormed(view, l3, data.length)) return;
  const end = l3 + ipv6.HEADER_LEN + ipv6.payloadLen(view, l3);
  const found = ipv6.findUpperLayer(view, l3, end);
  if (found < 0) return;
  p.family = 6;
  p.l3 = l3;
  p.l4 = ipv6.upperLayerOffset(l3, found);
  p.end = end;
  p.proto = ipv6.upperLayerProto(found);
  if (p.proto === ipv6.PROTO_FRAGMENT) {
    const at = p.l4;
    p.fragment = {
      id: ipv6.fragId(view, at),
      offset: ipv6.fragOffset(view, at),
      more: ipv6.fragMore(view, at),
    };
    p.proto = ipv6.fragNextHeader(view, at);
    p.l4 = at + ipv6.FRAGMENT_HEADER_LEN;
  }
  for (let i = 0; i < 4; i++) {
    key[SRC0 + i] = ipv6.srcWord(view, l3, i);
    key[DST0 + i] = ipv6.dstWord(view, l3, i);
  }
  key[META] = V6 | p.proto;
}

const HEADER_BYTES: Readonly<Record<number, number>> = { 1: 8, 6: 20, 17: 8, 58: 8, 132: 12, 136: 8 };

function readTransport(p: Building): void {
  const { view, l4, end, known, proto, key } = p;
  p.payload = l4;
  if (p.fragment !== undefined && p.fragment.offset > 0) return;
  const need = HEADER_BYTES[proto] ?? 0;
  if (l4 + need > Math.min(end, known)) {
    p.isHeadless = known < end;
    return;
  }
  p.payload = l4 + need;
  if (proto === Protocol.ICMP || proto === Protocol.ICMPV6) {
    const type = view.getUint8(l4);
    p.isError = proto === Protocol.ICMP ? icmpv4.isError(type) : icmpv6.isError(type);
    const hasId = proto === Protocol.ICMP ? isQuery(type) : icmpv6.isEcho(type);
    key[PORTS] = (hasId ? view.getUint16(l4 + 4) << 16 : 0) | view.getUint16(l4);
  } else if (need > 0) key[PORTS] = view.getInt32(l4);
  if (proto !== Protocol.TCP) return;
  p.flags = tcp.flags(view, l4);
  p.seq = tcp.seq(view, l4);
  p.ack = tcp.ack(view, l4);
  p.payload = Math.min(l4 + tcp.headerLen(view, l4), end);
  p.isHeadless = p.payload > known && known < end;
}

function isQuery(type: number): boolean {
  return type === 0 || type === 8 || (type >= 13 && type <= 18);
}

/** One frame, or, of a superframe of datagrams, as many as lie behind each other with a VXLAN header each. */
function innerOf(p: Building): readonly CapturedPacket[] {
  const list: CapturedPacket[] = [];
  let at = p.payload;
  while (at < p.end && list.length < MAX_INNER) {
    if (!vxlan.isWellFormed(p.view, at, p.end)) return list;
    const from = at + vxlan.HEADER_LEN;
    if (p.known <= from) return list;
    const whole = packetAt(p.data.subarray(from, p.end), Math.min(p.known, p.end) - from, 0);
    const bytes = whole.family === 0 ? whole.data.length : whole.end;
    list.push(packetAt(whole.data.subarray(0, bytes), Math.min(whole.known, bytes), 0));
    at = from + bytes;
  }
  // A frame of the tunnel is as long as it is: what follows an only packet is padding.
  return list;
}

/** Of a packet that was cut: is there room for another frame behind what is known, or the beginning of one? */
function lacksInner({ data, end, inner }: CapturedPacket): boolean {
  const last = inner.at(-1);
  if (last === undefined) return false;
  const rest = end - (last.data.byteOffset + last.data.length - data.byteOffset);
  return rest >= INNER_MIN || (inner.length > 1 && last.isHeadless);
}

/** Has its header ports, or an ICMP id in their place? */
export function hasPortsOrId({ proto, key }: CapturedPacket): boolean {
  const type = tuple.icmpType(key);
  if (proto === Protocol.ICMP) return isQuery(type);
  return proto === Protocol.ICMPV6 ? icmpv6.isEcho(type) : HEADER_BYTES[proto] !== undefined;
}

/** "10.244.1.2:41000", "[fd00::1]:80", or the address alone. */
export function endText({ key, proto }: CapturedPacket, end: "source" | "destination"): string {
  const address = formatIp(wordsAt(key, end === "source" ? SRC0 : DST0));
  const isIcmp = proto === Protocol.ICMP || proto === Protocol.ICMPV6;
  if (isIcmp || HEADER_BYTES[proto] === undefined) return address;
  const port = end === "source" ? tuple.sourcePort(key) : tuple.destinationPort(key);
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
