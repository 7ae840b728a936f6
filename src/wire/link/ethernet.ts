// Ethernet II header (IEEE 802.3 §3.1.1), with up to two VLAN tags (IEEE 802.1Q §9.6) skipped. Big-endian.
// Pure over (view, off); nothing allocates. A MAC address is two numbers: `hi` u16, bytes 0–1, and `lo` i32,
// bytes 2–5. Missing on purpose: 802.3 length frames with LLC, which no pod sends; they appear as an unknown
// EtherType.

const OFF_DST = 0; //        6 bytes
const OFF_SRC = 6; //        6 bytes
const OFF_ETHER_TYPE = 12; // u16
const TAG_LEN = 4; //        TPID is the EtherType of the header before, then TCI u16, then the next EtherType
const MAX_TAGS = 2; //       802.1ad: one service tag and one customer tag
const GROUP_BIT = 0x0100; // in `hi`: least significant bit of the first byte

/** Bytes of an untagged header. */
export const HEADER_LEN = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_QINQ = 0x88a8;
export const ETHERTYPE_LLDP = 0x88cc;

/** True when every accessor in this file may be called at `off`. `end` is the first byte past the frame. */
export function isWellFormed(_view: DataView, off: number, end: number): boolean {
  return end - off >= HEADER_LEN;
}

export function dstHi(view: DataView, off: number): number {
  return view.getUint16(off + OFF_DST);
}

export function dstLo(view: DataView, off: number): number {
  return view.getInt32(off + OFF_DST + 2);
}

export function srcHi(view: DataView, off: number): number {
  return view.getUint16(off + OFF_SRC);
}

export function srcLo(view: DataView, off: number): number {
  return view.getInt32(off + OFF_SRC + 2);
}

/** The EtherType of the header itself: a TPID when the frame is tagged. */
export function etherType(view: DataView, off: number): number {
  return view.getUint16(off + OFF_ETHER_TYPE);
}

export function setDst(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off + OFF_DST, hi);
  view.setInt32(off + OFF_DST + 2, lo);
}

export function setSrc(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off + OFF_SRC, hi);
  view.setInt32(off + OFF_SRC + 2, lo);
}

export function setEtherType(view: DataView, off: number, type: number): void {
  view.setUint16(off + OFF_ETHER_TYPE, type);
}

/** Writes all fourteen bytes of an untagged header. */
export function emit(
  view: DataView,
  off: number,
  dstHi: number,
  dstLo: number,
  srcHi: number,
  srcLo: number,
  type: number,
): void {
  setDst(view, off, dstHi, dstLo);
  setSrc(view, off, srcHi, srcLo);
  setEtherType(view, off, type);
}

/** Group address, broadcast included; `hi` is bytes 0–1 of the MAC. */
export function isMulticast(hi: number): boolean {
  return (hi & GROUP_BIT) !== 0;
}

export function isBroadcast(hi: number, lo: number): boolean {
  return hi === 0xffff && lo === -1;
}

/** True when the frame carries a VLAN tag directly behind its addresses. */
export function isTagged(view: DataView, off: number): boolean {
  return isTpid(etherType(view, off));
}

/**
 * EtherType behind at most two VLAN tags; -1 when the frame ends before it. A third tag is returned as is.
 */
export function payloadType(view: DataView, off: number, end: number): number {
  const at = payloadOffset(view, off, end);
  return at < 0 ? -1 : view.getUint16(at - 2);
}

/** Offset of the first byte behind the header and at most two VLAN tags; -1 when the frame ends before it. */
export function payloadOffset(view: DataView, off: number, end: number): number {
  let at = off + HEADER_LEN;
  for (let tags = 0; tags <= MAX_TAGS; tags++) {
    if (at > end) return -1;
    if (tags === MAX_TAGS || !isTpid(view.getUint16(at - 2))) break;
    at += TAG_LEN;
  }
  return at;
}

/** VLAN identifier (0…4095) of the first tag; only for a frame where `isTagged` and 18 bytes are there. */
export function vlanId(view: DataView, off: number): number {
  return view.getUint16(off + HEADER_LEN) & 0x0fff;
}

function isTpid(type: number): boolean {
  return type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ;
}
