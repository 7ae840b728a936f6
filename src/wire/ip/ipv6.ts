// IPv6 header and its extension headers (RFC 8200). Big-endian. Pure over (view, off); nothing allocates. An
// address is four i32 words. Contract: isWellFormed once, then no header accessor can fail.
// Missing on purpose: jumbograms (RFC 2675); their payload length of 0 reads as "no payload".
import type { IpProto } from "../../base/ids.ts";

const OFF_VERSION_CLASS_FLOW = 0; // u32  version: 4 bits, traffic class: 8, flow label: 20
const OFF_PAYLOAD_LEN = 4; //        u16  extension headers and payload, bytes
const OFF_NEXT_HEADER = 6; //        u8
const OFF_HOP_LIMIT = 7; //          u8
const OFF_SRC = 8; //                16 bytes
const OFF_DST = 24; //               16 bytes
const OFF_FRAG_NEXT_HEADER = 0; //   u8   fragment header, §4.5
const OFF_FRAG_OFFSET = 2; //        u16  offset: 13 bits in units of 8 bytes, 2 reserved, M
const OFF_FRAG_ID = 4; //            u32
const FRAG_OFFSET_MASK = 0xfff8;
const FRAG_MORE = 0x0001;
// RFC 8504 §5.3 lets a node bound the chain. Linux hosts refuse more than 8 options, and nobody sends 8
// headers.
const MAX_EXTENSION_HEADERS = 8;

export const HEADER_LEN = 40;
export const FRAGMENT_HEADER_LEN = 8;
export const PROTO_HOP_BY_HOP = 0;
export const PROTO_ROUTING = 43;
export const PROTO_FRAGMENT = 44;
export const PROTO_AH = 51;
export const PROTO_NONE = 59;
export const PROTO_DESTINATION = 60;

/**
 * True when every header accessor in this file may be called at `off`. `end` is the first byte past the
 * frame.
 */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  return (
    end - off >= HEADER_LEN &&
    view.getUint8(off + OFF_VERSION_CLASS_FLOW) >>> 4 === 6 &&
    view.getUint16(off + OFF_PAYLOAD_LEN) <= end - off - HEADER_LEN
  );
}

/** Extension headers and payload, bytes. */
export function payloadLen(view: DataView, off: number): number {
  return view.getUint16(off + OFF_PAYLOAD_LEN);
}

export function nextHeader(view: DataView, off: number): number {
  return view.getUint8(off + OFF_NEXT_HEADER);
}

export function hopLimit(view: DataView, off: number): number {
  return view.getUint8(off + OFF_HOP_LIMIT);
}

/** DSCP and ECN, 0…255. */
export function trafficClass(view: DataView, off: number): number {
  return (view.getUint16(off + OFF_VERSION_CLASS_FLOW) >>> 4) & 0xff;
}

/** 20 bits. */
export function flowLabel(view: DataView, off: number): number {
  return view.getInt32(off + OFF_VERSION_CLASS_FLOW) & 0xfffff;
}

/** Word `i` (0…3) of the source address. */
export function srcWord(view: DataView, off: number, i: number): number {
  return view.getInt32(off + OFF_SRC + (i << 2));
}

/** Word `i` (0…3) of the destination address. */
export function dstWord(view: DataView, off: number, i: number): number {
  return view.getInt32(off + OFF_DST + (i << 2));
}

export function setPayloadLen(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_PAYLOAD_LEN, bytes);
}

export function setNextHeader(view: DataView, off: number, proto: number): void {
  view.setUint8(off + OFF_NEXT_HEADER, proto);
}

export function setHopLimit(view: DataView, off: number, hops: number): void {
  view.setUint8(off + OFF_HOP_LIMIT, hops);
}

/** One hop less; IPv6 has no header checksum. The caller has refused a limit of 0 or 1. */
export function decrementHopLimit(view: DataView, off: number): void {
  view.setUint8(off + OFF_HOP_LIMIT, view.getUint8(off + OFF_HOP_LIMIT) - 1);
}

export function setTrafficClass(view: DataView, off: number, trafficClass: number): void {
  const old = view.getUint16(off + OFF_VERSION_CLASS_FLOW);
  view.setUint16(off + OFF_VERSION_CLASS_FLOW, (old & 0xf00f) | ((trafficClass & 0xff) << 4));
}

export function setFlowLabel(view: DataView, off: number, label: number): void {
  const old = view.getInt32(off + OFF_VERSION_CLASS_FLOW);
  view.setInt32(off + OFF_VERSION_CLASS_FLOW, (old & 0xfff00000) | (label & 0xfffff));
}

/** Sets the source address; the L4 checksum, which covers it, is the caller's. */
export function setSrc(view: DataView, off: number, w0: number, w1: number, w2: number, w3: number): void {
  view.setInt32(off + OFF_SRC, w0);
  view.setInt32(off + OFF_SRC + 4, w1);
  view.setInt32(off + OFF_SRC + 8, w2);
  view.setInt32(off + OFF_SRC + 12, w3);
}

/** Sets the destination address; the L4 checksum, which covers it, is the caller's. */
export function setDst(view: DataView, off: number, w0: number, w1: number, w2: number, w3: number): void {
  view.setInt32(off + OFF_DST, w0);
  view.setInt32(off + OFF_DST + 4, w1);
  view.setInt32(off + OFF_DST + 8, w2);
  view.setInt32(off + OFF_DST + 12, w3);
}

export function setSrcWord(view: DataView, off: number, i: number, word: number): void {
  view.setInt32(off + OFF_SRC + (i << 2), word);
}

export function setDstWord(view: DataView, off: number, i: number, word: number): void {
  view.setInt32(off + OFF_DST + (i << 2), word);
}

/** Writes the first 8 bytes; the addresses follow by setSrc and setDst. */
export function emit(
  view: DataView,
  off: number,
  trafficClass: number,
  flowLabel: number,
  payloadLen: number,
  nextHeader: number,
  hopLimit: number,
): void {
  const word = (6 << 28) | ((trafficClass & 0xff) << 20) | (flowLabel & 0xfffff);
  view.setInt32(off + OFF_VERSION_CLASS_FLOW, word);
  view.setUint16(off + OFF_PAYLOAD_LEN, payloadLen);
  view.setUint8(off + OFF_NEXT_HEADER, nextHeader);
  view.setUint8(off + OFF_HOP_LIMIT, hopLimit);
}

/**
 * Walks the extension headers of a well-formed header. The answer packs what lies behind them into one small
 * int, to be read by `upperLayerOffset` and `upperLayerProto`; -1 when a header runs past the payload, a
 * hop-by-hop header is not the first, or there are more than eight. A real fragment ends the walk with
 * PROTO_FRAGMENT and the offset of its fragment header; an atomic one (RFC 6946) is walked through. ESP and
 * "no next header" are upper layers here. The upper layer itself may be truncated: its own isWellFormed
 * decides.
 */
export function findUpperLayer(view: DataView, off: number, end: number): number {
  const stop = Math.min(end, off + HEADER_LEN + payloadLen(view, off));
  let at = off + HEADER_LEN;
  let proto = view.getUint8(off + OFF_NEXT_HEADER);
  for (let headers = 0; headers <= MAX_EXTENSION_HEADERS; headers++) {
    if (!isExtension(proto)) return ((at - off) << 8) | proto;
    if (at + 8 > stop || (proto === PROTO_HOP_BY_HOP && headers > 0)) return -1;
    if (proto === PROTO_FRAGMENT && !isAtomicFragment(view, at)) return ((at - off) << 8) | proto;
    const len = extensionLen(view, at, proto);
    if (at + len > stop) return -1;
    proto = view.getUint8(at);
    at += len;
  }
  return -1;
}

/** Offset of the upper-layer header, from the answer of findUpperLayer at `off`. */
export function upperLayerOffset(off: number, found: number): number {
  return off + (found >>> 8);
}

/** Protocol of the upper layer, from the answer of findUpperLayer. */
export function upperLayerProto(found: number): IpProto {
  return (found & 0xff) as IpProto;
}

/**
 * Offset of the byte that names the header at `at`: the next-header field of the header before it. The headers
 * between `off` and `at` have been walked by findUpperLayer.
 */
export function nextHeaderField(view: DataView, off: number, at: number): number {
  let field = off + OFF_NEXT_HEADER;
  let header = off + HEADER_LEN;
  while (header < at) {
    const proto = view.getUint8(field);
    field = header;
    header += extensionLen(view, header, proto);
  }
  return field;
}

/** Of the fragment header at `at`: the protocol of what was cut into pieces. */
export function fragNextHeader(view: DataView, at: number): number {
  return view.getUint8(at + OFF_FRAG_NEXT_HEADER);
}

/** Of the fragment header at `at`: offset in bytes, 0…65528. */
export function fragOffset(view: DataView, at: number): number {
  return view.getUint16(at + OFF_FRAG_OFFSET) & FRAG_OFFSET_MASK;
}

export function fragMore(view: DataView, at: number): boolean {
  return (view.getUint16(at + OFF_FRAG_OFFSET) & FRAG_MORE) !== 0;
}

/** Identification, i32. */
export function fragId(view: DataView, at: number): number {
  return view.getInt32(at + OFF_FRAG_ID);
}

/** Writes all 8 bytes of a fragment header; `fragOffset` is in bytes, a multiple of 8. */
export function emitFragment(
  view: DataView,
  at: number,
  nextHeader: number,
  fragOffset: number,
  more: boolean,
  id: number,
): void {
  view.setUint16(at + OFF_FRAG_NEXT_HEADER, nextHeader << 8);
  view.setUint16(at + OFF_FRAG_OFFSET, (fragOffset & FRAG_OFFSET_MASK) | (more ? FRAG_MORE : 0));
  view.setInt32(at + OFF_FRAG_ID, id);
}

/** True for the headers that findUpperLayer walks through. */
export function isExtension(proto: number): boolean {
  return (
    proto === PROTO_HOP_BY_HOP ||
    proto === PROTO_ROUTING ||
    proto === PROTO_FRAGMENT ||
    proto === PROTO_AH ||
    proto === PROTO_DESTINATION
  );
}

/** Bytes of the extension header at `at`; its first two bytes must be there. */
export function extensionLen(view: DataView, at: number, proto: number): number {
  if (proto === PROTO_FRAGMENT) return FRAGMENT_HEADER_LEN;
  // RFC 4302 §2.2: in 32-bit words, minus two.
  if (proto === PROTO_AH) return (view.getUint8(at + 1) + 2) << 2;
  return (view.getUint8(at + 1) + 1) << 3;
}

function isAtomicFragment(view: DataView, at: number): boolean {
  return (view.getUint16(at + OFF_FRAG_OFFSET) & (FRAG_OFFSET_MASK | FRAG_MORE)) === 0;
}
