// struct virtio_net_hdr (VIRTIO 1.2 §5.1.6, linux/virtio_net.h): 10 bytes directly before the Ethernet header
// of every frame in the arena. `off` is the first byte of the virtio header: frame - HEADER_LEN.
// Little-endian: the legacy form is in host order, and the machines podwire runs on are little-endian.

const OFF_FLAGS = 0; //       u8
const OFF_GSO_TYPE = 1; //    u8
const OFF_HDR_LEN = 2; //     u16  bytes of all headers of a superframe; a hint
const OFF_GSO_SIZE = 4; //    u16  payload bytes of one segment
const OFF_CSUM_START = 6; //  u16  from the Ethernet header
const OFF_CSUM_OFFSET = 8; // u16  from csum_start

export const HEADER_LEN = 10;
/** The checksum at csum_start + csum_offset holds the pseudo-header sum only and must be completed. */
export const NEEDS_CSUM = 1;
/** The kernel has verified the checksum. */
export const DATA_VALID = 2;
/** Of a superframe in a tunnel: the outer UDP checksum is partial, too (VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM). */
export const TUNNEL_CSUM = 8;
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_UDP = 3;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
/** Bit beside GSO_TCPV4/6: the superframe has CWR set (TSO_ECN). */
export const GSO_ECN = 0x80;
/**
 * Bits beside GSO_TCPV4/6 (VIRTIO 1.4 §5.1.6, VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4/6): the superframe lies in VXLAN over
 * this family, csum_start and hdr_len are those of its inner TCP header. Only a tunnel TAP takes such a frame.
 */
export const GSO_TUNNEL_V4 = 0x20;
export const GSO_TUNNEL_V6 = 0x40;
export const GSO_TUNNEL = GSO_TUNNEL_V4 | GSO_TUNNEL_V6;

export function flags(view: DataView, off: number): number {
  return view.getUint8(off + OFF_FLAGS);
}

/** GSO_NONE, or the kind of superframe, perhaps with GSO_ECN. */
export function gsoType(view: DataView, off: number): number {
  return view.getUint8(off + OFF_GSO_TYPE);
}

export function hdrLen(view: DataView, off: number): number {
  return view.getUint16(off + OFF_HDR_LEN, true);
}

export function gsoSize(view: DataView, off: number): number {
  return view.getUint16(off + OFF_GSO_SIZE, true);
}

/** Where the sum starts, bytes from the Ethernet header. */
export function csumStart(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CSUM_START, true);
}

/** Where the checksum field lies, bytes from csumStart. */
export function csumOffset(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CSUM_OFFSET, true);
}

export function needsCsum(view: DataView, off: number): boolean {
  return (view.getUint8(off + OFF_FLAGS) & NEEDS_CSUM) !== 0;
}

export function isVerified(view: DataView, off: number): boolean {
  return (view.getUint8(off + OFF_FLAGS) & DATA_VALID) !== 0;
}

/** True for the header of nearly every frame: no flag, no superframe, no header length. One read. */
export function isPlain(view: DataView, off: number): boolean {
  return view.getInt32(off) === 0;
}

export function setFlags(view: DataView, off: number, flags: number): void {
  view.setUint8(off + OFF_FLAGS, flags);
}

export function setGsoType(view: DataView, off: number, type: number): void {
  view.setUint8(off + OFF_GSO_TYPE, type);
}

export function setHdrLen(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_HDR_LEN, bytes, true);
}

export function setGsoSize(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_GSO_SIZE, bytes, true);
}

export function setCsumStart(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_CSUM_START, bytes, true);
}

export function setCsumOffset(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_CSUM_OFFSET, bytes, true);
}

/** All ten bytes zero: one frame, no superframe, checksum complete and not vouched for. */
export function clear(view: DataView, off: number): void {
  view.setInt32(off, 0);
  view.setInt32(off + 4, 0);
  view.setUint16(off + 8, 0);
}

/** Writes all ten bytes. */
export function emit(
  view: DataView,
  off: number,
  flags: number,
  gsoType: number,
  hdrLen: number,
  gsoSize: number,
  csumStart: number,
  csumOffset: number,
): void {
  setFlags(view, off, flags);
  setGsoType(view, off, gsoType);
  setHdrLen(view, off, hdrLen);
  setGsoSize(view, off, gsoSize);
  setCsumStart(view, off, csumStart);
  setCsumOffset(view, off, csumOffset);
}
