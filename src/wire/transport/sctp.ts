// SCTP common header and chunk chain (RFC 9260 §3), with its CRC32c. Big-endian, but for the checksum. Pure
// over (view, off); nothing allocates. The CRC covers the ports and has no pseudo-header: an address may
// change without it, a port only with `setPortsAndChecksum`.
import type { L4Port } from "../../base/ids.ts";
import * as crc32c from "../bytes/crc32c.ts";

const OFF_SRC_PORT = 0; //  u16
const OFF_DST_PORT = 2; //  u16
const OFF_VTAG = 4; //      u32
const OFF_CHECKSUM = 8; //  u32, little-endian
const OFF_CHUNK_TYPE = 0; //  u8
const OFF_CHUNK_FLAGS = 1; // u8
const OFF_CHUNK_LEN = 2; //   u16  header and value, without padding
const OFF_INIT_TAG = 4; //    u32  INIT and INIT ACK

export const HEADER_LEN = 12;
/** Distance of the checksum field from the header, as a virtio-net header wants it. */
export const CSUM_OFFSET = OFF_CHECKSUM;
export const CHUNK_HEADER_LEN = 4;
export const CHUNK_COOKIE_ACK = 11;

/**
 * True when every header accessor in this file may be called at `off`. `end` is the end of the IP payload.
 */
export function isWellFormed(_view: DataView, off: number, end: number): boolean {
  return end - off >= HEADER_LEN;
}

export function srcPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_SRC_PORT) as L4Port;
}

export function dstPort(view: DataView, off: number): L4Port {
  return view.getUint16(off + OFF_DST_PORT) as L4Port;
}

/** Verification tag, i32. */
export function vtag(view: DataView, off: number): number {
  return view.getInt32(off + OFF_VTAG);
}

/** CRC32c as an i32. */
export function checksum(view: DataView, off: number): number {
  return view.getInt32(off + OFF_CHECKSUM, true);
}

export function setSrcPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_SRC_PORT, port);
}

export function setDstPort(view: DataView, off: number, port: L4Port): void {
  view.setUint16(off + OFF_DST_PORT, port);
}

export function setVtag(view: DataView, off: number, vtag: number): void {
  view.setInt32(off + OFF_VTAG, vtag);
}

/** True when the CRC over `off…end` is right. */
export function checksumOk(view: DataView, off: number, end: number): boolean {
  return packetCrc(view, off, end) === view.getInt32(off + OFF_CHECKSUM, true);
}

/** Computes the CRC over `off…end` and writes it. */
export function computeChecksum(view: DataView, off: number, end: number): void {
  view.setInt32(off + OFF_CHECKSUM, packetCrc(view, off, end), true);
}

/**
 * Writes both ports (source << 16 | destination) and repairs the CRC of a packet of `bytes` bytes, whose end need not
 * be there: an ICMP error quotes only the beginning. A wrong CRC stays wrong.
 */
export function setPortsAndChecksum(view: DataView, off: number, ports: number, bytes: number): void {
  const before = view.getInt32(off);
  view.setInt32(off, ports);
  const repaired = checksum(view, off) ^ crc32c.difference32(before, ports, bytes - 4);
  view.setInt32(off + OFF_CHECKSUM, repaired, true);
}

/** Writes all 12 bytes; checksum 0 until `computeChecksum`, because the chunks are not there yet. */
export function emit(view: DataView, off: number, srcPort: L4Port, dstPort: L4Port, vtag: number): void {
  view.setUint16(off + OFF_SRC_PORT, srcPort);
  view.setUint16(off + OFF_DST_PORT, dstPort);
  view.setInt32(off + OFF_VTAG, vtag);
  view.setInt32(off + OFF_CHECKSUM, 0);
}

/** Writes the 4 bytes of a chunk header; `bytes` counts them and the value, not the padding. */
export function emitChunk(view: DataView, at: number, type: number, flags: number, bytes: number): void {
  view.setUint8(at + OFF_CHUNK_TYPE, type);
  view.setUint8(at + OFF_CHUNK_FLAGS, flags);
  view.setUint16(at + OFF_CHUNK_LEN, bytes);
}

/** Offset of the first chunk, or -1 when there is none inside `end`. */
export function firstChunk(view: DataView, off: number, end: number): number {
  return chunkAt(view, off + HEADER_LEN, end);
}

/** Offset of the chunk behind the one at `at`, or -1 at the end of the chain or where it is malformed. */
export function nextChunk(view: DataView, at: number, end: number): number {
  return chunkAt(view, at + ((chunkLen(view, at) + 3) & ~3), end);
}

/** True when the chunks fill `off…end` exactly, except that the last one's padding may be missing. */
export function chunksWellFormed(view: DataView, off: number, end: number): boolean {
  let at = off + HEADER_LEN;
  while (at < end) {
    if (chunkAt(view, at, end) < 0) return false;
    at += (chunkLen(view, at) + 3) & ~3;
  }
  return true;
}

export function chunkType(view: DataView, at: number): number {
  return view.getUint8(at + OFF_CHUNK_TYPE);
}

export function chunkFlags(view: DataView, at: number): number {
  return view.getUint8(at + OFF_CHUNK_FLAGS);
}

/** Header and value, bytes, without padding. */
export function chunkLen(view: DataView, at: number): number {
  return view.getUint16(at + OFF_CHUNK_LEN);
}

/** Initiate tag of the INIT or INIT ACK chunk at `at`, i32; the chunk must have at least 8 bytes. */
export function initTag(view: DataView, at: number): number {
  return view.getInt32(at + OFF_INIT_TAG);
}

// The checksum field counts as zero (§6.8), so the walk steps over it with four zero bytes.
function packetCrc(view: DataView, off: number, end: number): number {
  const register = crc32c.overZeroes(crc32c.update(view, off, off + OFF_CHECKSUM, -1), 4);
  return ~crc32c.update(view, off + HEADER_LEN, end, register);
}

function chunkAt(view: DataView, at: number, end: number): number {
  if (at + CHUNK_HEADER_LEN > end) return -1;
  const len = chunkLen(view, at);
  return len >= CHUNK_HEADER_LEN && at + len <= end ? at : -1;
}
