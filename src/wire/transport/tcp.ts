// TCP header (RFC 9293 §3.1) and the options a middlebox reads (RFC 7323, RFC 2018). Big-endian. Pure over
// (view, off); nothing allocates. Sequence numbers are i32: compare by difference, ((a - b) | 0) < 0.
import type { L4Port } from "../../base/ids.ts";

const OFF_SRC_PORT = 0; //  u16
const OFF_DST_PORT = 2; //  u16
const OFF_SEQ = 4; //       u32
const OFF_ACK = 8; //       u32
const OFF_DATA_OFF = 12; // u8   header length: 4 bits in 32-bit words, 4 bits reserved
const OFF_FLAGS = 13; //    u8
const OFF_WINDOW = 14; //   u16  unscaled
const OFF_CHECKSUM = 16; // u16
const OFF_URGENT = 18; //   u16

/** Header bytes without options. */
export const HEADER_LEN_MIN = 20;
/** Distance of the checksum field from the header, as a virtio-net header wants it. */
export const CSUM_OFFSET = OFF_CHECKSUM;
export const FLAG_FIN = 0x01;
export const FLAG_SYN = 0x02;
export const FLAG_RST = 0x04;
export const FLAG_PSH = 0x08;
export const FLAG_ACK = 0x10;
export const FLAG_URG = 0x20;
export const FLAG_ECE = 0x40;
export const FLAG_CWR = 0x80;
export const OPTION_END = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WSCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const OPTION_TIMESTAMPS = 8;
const TIMESTAMPS_ALIGNED = 0x0101080a;

/** True when every accessor in this file may be called at `off`. `end` is the end of the IP payload. */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  if (end - off < HEADER_LEN_MIN) return false;
  const len = headerLen(view, off);
  return len >= HEADER_LEN_MIN && len <= end - off;
}

export function srcPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_SRC_PORT) as L4Port;
}

export function dstPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_DST_PORT) as L4Port;
}

export function seq(view: DataView, off: number): number {
  return view.getInt32(off + OFF_SEQ);
}

export function ack(view: DataView, off: number): number {
  return view.getInt32(off + OFF_ACK);
}

/** Header length in bytes, options included. */
export function headerLen(view: DataView, off: number): number {
  return (view.getUint8(off + OFF_DATA_OFF) & 0xf0) >>> 2;
}

export function flags(view: DataView, off: number): number {
  return view.getUint8(off + OFF_FLAGS);
}

/** Window as it stands on the wire, before scaling. */
export function window(view: DataView, off: number): number {
  return view.getUint16(off + OFF_WINDOW);
}

export function checksum(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CHECKSUM);
}

export function urgent(view: DataView, off: number): number {
  return view.getUint16(off + OFF_URGENT);
}

export function setSrcPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_SRC_PORT, port);
}

export function setDstPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_DST_PORT, port);
}

export function setSeq(view: DataView, off: number, seq: number): void {
  view.setInt32(off + OFF_SEQ, seq);
}

export function setAck(view: DataView, off: number, ack: number): void {
  view.setInt32(off + OFF_ACK, ack);
}

/** Sets the header length, a multiple of 4 from 20 to 60 bytes; the reserved bits become zero. */
export function setHeaderLen(view: DataView, off: number, bytes: number): void {
  view.setUint8(off + OFF_DATA_OFF, (bytes & 0x3c) << 2);
}

export function setFlags(view: DataView, off: number, flags: number): void {
  view.setUint8(off + OFF_FLAGS, flags);
}

export function setWindow(view: DataView, off: number, window: number): void {
  view.setUint16(off + OFF_WINDOW, window);
}

export function setChecksum(view: DataView, off: number, checksum: number): void {
  view.setUint16(off + OFF_CHECKSUM, checksum);
}

export function setUrgent(view: DataView, off: number, urgent: number): void {
  view.setUint16(off + OFF_URGENT, urgent);
}

/** Writes the first 20 bytes, checksum and urgent pointer 0; `headerLen` counts the options that follow. */
export function emit(
  view: DataView,
  off: number,
  srcPort: L4Port,
  dstPort: L4Port,
  seq: number,
  ack: number,
  headerLen: number,
  flags: number,
  window: number,
): void {
  view.setUint16(off + OFF_SRC_PORT, srcPort);
  view.setUint16(off + OFF_DST_PORT, dstPort);
  view.setInt32(off + OFF_SEQ, seq);
  view.setInt32(off + OFF_ACK, ack);
  setHeaderLen(view, off, headerLen);
  view.setUint8(off + OFF_FLAGS, flags);
  view.setUint16(off + OFF_WINDOW, window);
  view.setUint16(off + OFF_CHECKSUM, 0);
  view.setUint16(off + OFF_URGENT, 0);
}

/**
 * Offset of the first option of this kind whose length lies inside the header, or -1. A malformed option ends
 * the walk: what stands before it counts, as in Linux.
 */
export function findOption(view: DataView, off: number, kind: number): number {
  const end = off + headerLen(view, off);
  let at = off + HEADER_LEN_MIN;
  while (at < end) {
    const found = view.getUint8(at);
    if (found === OPTION_END) return -1;
    if (found === OPTION_NOP) {
      at += 1;
      continue;
    }
    if (at + 2 > end) return -1;
    const len = view.getUint8(at + 1);
    if (len < 2 || at + len > end) return -1;
    if (found === kind) return at;
    at += len;
  }
  return -1;
}

/** Offset of the two MSS bytes, for clamping; -1 when the option is missing or has a wrong length. */
export function mssOffset(view: DataView, off: number): number {
  const at = findOption(view, off, OPTION_MSS);
  return at >= 0 && view.getUint8(at + 1) === 4 ? at + 2 : -1;
}

/** Maximum segment size in bytes, or -1 (RFC 9293 §3.7.1). */
export function mss(view: DataView, off: number): number {
  const at = mssOffset(view, off);
  return at < 0 ? -1 : view.getUint16(at);
}

/** Window scale shift, at most 14, or -1 (RFC 7323 §2.3: a larger value counts as 14). */
export function wscale(view: DataView, off: number): number {
  const at = findOption(view, off, OPTION_WSCALE);
  if (at < 0 || view.getUint8(at + 1) !== 3) return -1;
  const shift = view.getUint8(at + 2);
  return shift > 14 ? 14 : shift;
}

export function sackPermitted(view: DataView, off: number): boolean {
  const at = findOption(view, off, OPTION_SACK_PERMITTED);
  return at >= 0 && view.getUint8(at + 1) === 2;
}

/** The header of most segments with data: timestamps behind two NOPs, no other option. */
export function hasTimestampsOnly(view: DataView, off: number): boolean {
  return headerLen(view, off) === 32 && view.getInt32(off + HEADER_LEN_MIN) === TIMESTAMPS_ALIGNED;
}

/** Offset of TSval (i32), TSecr follows 4 bytes on; -1 when the option is missing (RFC 7323 §3.2). */
export function timestampsOffset(view: DataView, off: number): number {
  const at = findOption(view, off, OPTION_TIMESTAMPS);
  return at >= 0 && view.getUint8(at + 1) === 10 ? at + 2 : -1;
}
