// IPv4 header (RFC 791 §3.1). Big-endian. Pure over (view, off); nothing allocates.
// Contract: isWellFormed once, then no accessor can fail until a length is changed. A setter that repairs the
// header checksum says so in its name; the L4 checksum is never touched here.
import type { Ipv4Addr } from "../../base/ids.ts";
import * as internet from "../bytes/checksum.ts";

const OFF_VERSION_IHL = 0; // u8   version: 4 bits, IHL: 4 bits in 32-bit words
const OFF_TOS = 1; //         u8   DSCP: 6 bits, ECN: 2 bits
const OFF_TOTAL_LEN = 2; //   u16  header + payload, bytes
const OFF_ID = 4; //          u16
const OFF_FLAGS_FRAG = 6; //  u16  reserved, DF, MF, offset: 13 bits in units of 8 bytes
const OFF_TTL = 8; //         u8
const OFF_PROTO = 9; //       u8
const OFF_CHECKSUM = 10; //   u16
const OFF_SRC = 12; //        u32
const OFF_DST = 16; //        u32
const FRAG_OFFSET_MASK = 0x1fff;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LSRR = 0x83;
const OPTION_SSRR = 0x89;

/** Header bytes without options, IHL = 5. */
export const HEADER_LEN_MIN = 20;
/** Bits of `flagsFragment`. */
export const FLAG_DF = 0x4000;
export const FLAG_MF = 0x2000;

/**
 * True when every accessor in this file may be called at `off`. `end` is the first byte past the frame; bytes
 * behind the total length are padding. The checksum is a question of its own: `checksumOk`.
 */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  const room = end - off;
  if (room < HEADER_LEN_MIN) return false;
  const versionIhl = view.getUint8(off + OFF_VERSION_IHL);
  if (versionIhl < 0x45 || versionIhl > 0x4f) return false;
  const total = view.getUint16(off + OFF_TOTAL_LEN);
  return total <= room && total >= (versionIhl & 0x0f) << 2;
}

/** True when the header checksum is right. */
export function checksumOk(view: DataView, off: number): boolean {
  if (view.getUint8(off) === 0x45) return sumOfFiveWords(view, off) === 0xffff; // without options: 4 instead of 9 ns
  return internet.sum(view, off, headerLen(view, off), 0) === 0xffff;
}

function sumOfFiveWords(view: DataView, off: number): number {
  const a = view.getInt32(off);
  const b = view.getInt32(off + 4);
  const c = view.getInt32(off + 8);
  const d = view.getInt32(off + 12);
  const e = view.getInt32(off + 16);
  const high = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16);
  return internet.fold(high + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff));
}

/** True when the sender prescribes the way (RFC 791 §3.1: loose or strict). Looks no further than what is well formed. */
export function hasSourceRoute(view: DataView, off: number): boolean {
  const end = off + headerLen(view, off);
  let at = off + HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === OPTION_LSRR || kind === OPTION_SSRR) return true;
    const len = kind === OPTION_NOP ? 1 : kind === OPTION_END || at + 2 > end ? 0 : view.getUint8(at + 1);
    if (len === 0 || (len === 1 && kind !== OPTION_NOP)) return false;
    at += len;
  }
  return false;
}

/** Header length in bytes, options included. */
export function headerLen(view: DataView, off: number): number {
  return (view.getUint8(off + OFF_VERSION_IHL) & 0x0f) << 2;
}

export function tos(view: DataView, off: number): number {
  return view.getUint8(off + OFF_TOS);
}

/** Header and payload, bytes. */
export function totalLen(view: DataView, off: number): number {
  return view.getUint16(off + OFF_TOTAL_LEN);
}

export function id(view: DataView, off: number): number {
  return view.getUint16(off + OFF_ID);
}

/** Flags and fragment offset as they stand on the wire: FLAG_DF, FLAG_MF, offset in units of 8 bytes. */
export function flagsFragment(view: DataView, off: number): number {
  return view.getUint16(off + OFF_FLAGS_FRAG);
}

/** Fragment offset in bytes, 0…65528. */
export function fragOffset(view: DataView, off: number): number {
  return (view.getUint16(off + OFF_FLAGS_FRAG) & FRAG_OFFSET_MASK) << 3;
}

export function moreFragments(view: DataView, off: number): boolean {
  return (view.getUint16(off + OFF_FLAGS_FRAG) & FLAG_MF) !== 0;
}

export function dontFragment(view: DataView, off: number): boolean {
  return (view.getUint16(off + OFF_FLAGS_FRAG) & FLAG_DF) !== 0;
}

/** True for every fragment, the first and the last included. */
export function isFragment(view: DataView, off: number): boolean {
  return (view.getUint16(off + OFF_FLAGS_FRAG) & (FLAG_MF | FRAG_OFFSET_MASK)) !== 0;
}

export function ttl(view: DataView, off: number): number {
  return view.getUint8(off + OFF_TTL);
}

export function proto(view: DataView, off: number): number {
  return view.getUint8(off + OFF_PROTO);
}

export function checksum(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CHECKSUM);
}

export function src(view: DataView, off: number): Ipv4Addr {
  return view.getInt32(off + OFF_SRC) as Ipv4Addr;
}

export function dst(view: DataView, off: number): Ipv4Addr {
  return view.getInt32(off + OFF_DST) as Ipv4Addr;
}

export function setTotalLen(view: DataView, off: number, bytes: number): void {
  view.setUint16(off + OFF_TOTAL_LEN, bytes);
}

export function setId(view: DataView, off: number, id: number): void {
  view.setUint16(off + OFF_ID, id);
}

export function setFlagsFragment(view: DataView, off: number, flagsFrag: number): void {
  view.setUint16(off + OFF_FLAGS_FRAG, flagsFrag);
}

export function setTos(view: DataView, off: number, tos: number): void {
  view.setUint8(off + OFF_TOS, tos);
}

export function setTtl(view: DataView, off: number, ttl: number): void {
  view.setUint8(off + OFF_TTL, ttl);
}

/** One hop less, checksum repaired. The caller has refused a TTL of 0 or 1. */
export function decrementTtl(view: DataView, off: number): void {
  const old = view.getUint16(off + OFF_TTL); // TTL and protocol share one checksum word
  const now = (old - 0x0100) & 0xffff;
  view.setUint16(off + OFF_TTL, now);
  internet.adjust16(view, off + OFF_CHECKSUM, old, now);
}

/** Sets type of service (DSCP and ECN), checksum repaired. */
export function setTosAndChecksum(view: DataView, off: number, tos: number): void {
  const old = view.getUint16(off + OFF_VERSION_IHL);
  const now = (old & 0xff00) | (tos & 0xff);
  view.setUint16(off + OFF_VERSION_IHL, now);
  internet.adjust16(view, off + OFF_CHECKSUM, old, now);
}

/** Sets the source address and repairs the header checksum; the L4 checksum is the caller's. */
export function setSrcAndChecksum(view: DataView, off: number, addr: Ipv4Addr): void {
  internet.adjust32(view, off + OFF_CHECKSUM, view.getInt32(off + OFF_SRC), addr);
  view.setInt32(off + OFF_SRC, addr);
}

/** Sets the destination address and repairs the header checksum; the L4 checksum is the caller's. */
export function setDstAndChecksum(view: DataView, off: number, addr: Ipv4Addr): void {
  internet.adjust32(view, off + OFF_CHECKSUM, view.getInt32(off + OFF_DST), addr);
  view.setInt32(off + OFF_DST, addr);
}

/** Computes the header checksum afresh and writes it. */
export function computeChecksum(view: DataView, off: number): void {
  view.setUint16(off + OFF_CHECKSUM, 0);
  view.setUint16(off + OFF_CHECKSUM, internet.finish(internet.sum(view, off, headerLen(view, off), 0)));
}

/** Writes all 20 bytes of a header without options, checksum included. */
export function emit(
  view: DataView,
  off: number,
  tos: number,
  totalLen: number,
  id: number,
  flagsFrag: number,
  ttl: number,
  proto: number,
  src: Ipv4Addr,
  dst: Ipv4Addr,
): void {
  const first = (0x4500 | tos) << 16;
  const third = ((ttl << 8) | proto) << 16;
  const high = (first >>> 16) + id + (third >>> 16) + (src >>> 16) + (dst >>> 16);
  const sum = internet.finish(high + totalLen + flagsFrag + (src & 0xffff) + (dst & 0xffff));
  view.setInt32(off + OFF_VERSION_IHL, first | totalLen);
  view.setInt32(off + OFF_ID, (id << 16) | flagsFrag);
  view.setInt32(off + OFF_TTL, third | sum);
  view.setInt32(off + OFF_SRC, src);
  view.setInt32(off + OFF_DST, dst);
}
