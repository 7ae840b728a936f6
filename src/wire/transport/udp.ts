// UDP header (RFC 768). Big-endian. Pure over (view, off); nothing allocates.
import type { L4Port } from "../../base/ids.ts";

const OFF_SRC_PORT = 0; // u16
const OFF_DST_PORT = 2; // u16
const OFF_LENGTH = 4; //   u16  header + payload, bytes
const OFF_CHECKSUM = 6; // u16

export const HEADER_LEN = 8;
/** Distance of the checksum field from the header, as a virtio-net header wants it. */
export const CSUM_OFFSET = OFF_CHECKSUM;

/**
 * True when every accessor in this file may be called at `off` and the length field stays inside `end`, the
 * end of the IP payload. A jumbogram's length of 0 (RFC 2675) is refused.
 */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  if (end - off < HEADER_LEN) return false;
  const len = view.getUint16(off + OFF_LENGTH);
  return len >= HEADER_LEN && len <= end - off;
}

/**
 * isWellFormed for UDP-Lite (RFC 3828 §3.1): there the length field says how much the checksum covers, the header at
 * least; 0 is everything.
 */
export function isLiteWellFormed(view: DataView, off: number, end: number): boolean {
  if (end - off < HEADER_LEN) return false;
  const coverage = view.getUint16(off + OFF_LENGTH);
  return coverage === 0 || (coverage >= HEADER_LEN && coverage <= end - off);
}

export function srcPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_SRC_PORT) as L4Port;
}

export function dstPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_DST_PORT) as L4Port;
}

/** Header and payload, bytes. */
export function length(view: DataView, off: number): number {
  return view.getUint16(off + OFF_LENGTH);
}

/** Zero means "not computed" on IPv4 (RFC 768), on IPv6 only for tunnels that opted in (RFC 8200 §8.1). */
export function checksum(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CHECKSUM);
}

export function setSrcPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_SRC_PORT, port);
}

export function setDstPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_DST_PORT, port);
}

export function setLength(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_LENGTH, bytes);
}

export function setChecksum(view: DataView, off: number, checksum: number): void {
  view.setUint16(off + OFF_CHECKSUM, checksum);
}

/** Writes all 8 bytes; the checksum is 0, "not computed". */
export function emit(view: DataView, off: number, srcPort: L4Port, dstPort: L4Port, length: number): void {
  view.setInt32(off + OFF_SRC_PORT, (srcPort << 16) | dstPort);
  view.setInt32(off + OFF_LENGTH, length << 16); // and no checksum
}
