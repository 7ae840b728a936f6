// Neighbour discovery for IPv6 (RFC 4861): the bodies of ICMPv6 types 133–136 and their options. `off` is the
// ICMPv6 header. Big-endian. Pure over (view, off); nothing allocates. Checksums are made by icmpv6.ts, after
// the options. Missing on purpose: redirect, SEND (RFC 3971), what routers say in advertisements (nobody here asks one).
import * as icmpv6 from "./icmpv6.ts";

const OFF_CODE = 1; //             u8
const OFF_NA_FLAGS = 4; //         u8   router, solicited, override
const OFF_TARGET = 8; //           16 bytes, NS and NA
const OFF_OPTION_LEN = 1; //       u8   units of 8 bytes
const OFF_OPTION_LINK_ADDR = 2; // 6 bytes on Ethernet
const PREFIX_OPTION_LEN = 32;

/** Bytes before the options. */
export const SOLICITATION_LEN = 24;
export const ADVERTISEMENT_LEN = 24;
const ROUTER_SOLICITATION_LEN = 8;
const ROUTER_ADVERTISEMENT_LEN = 16;
/** Bytes of a link-layer address option on Ethernet. */
export const LINK_OPTION_LEN = 8;
export const NA_ROUTER = 0x80;
export const NA_SOLICITED = 0x40;
export const NA_OVERRIDE = 0x20;
export const OPTION_SOURCE_LINK = 1;
export const OPTION_TARGET_LINK = 2;
const OPTION_PREFIX = 3;

/**
 * True when the message is one of the four types, has code 0, is long enough for its type, and its options
 * end exactly at `end`, the end of the IP payload (RFC 4861 §6.1, §7.1). Hop limit 255 and the checksum are
 * asked of the IPv6 header and of icmpv6.ts.
 */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  if (!icmpv6.isWellFormed(view, off, end) || view.getUint8(off + OFF_CODE) !== 0) return false;
  const first = optionsOffset(view, off);
  if (first < 0 || first > end) return false;
  let at = first;
  while (at < end) {
    if (at + 8 > end) return false;
    const len = optionLen(view, at);
    if (len === 0 || at + len > end) return false;
    if (view.getUint8(at) === OPTION_PREFIX && len !== PREFIX_OPTION_LEN) return false;
    at += len;
  }
  return true;
}

/** Offset of the first option, or -1 for a type that is not known here. */
export function optionsOffset(view: DataView, off: number): number {
  switch (icmpv6.type(view, off)) {
    case icmpv6.TYPE_ROUTER_SOLICITATION:
      return off + ROUTER_SOLICITATION_LEN;
    case icmpv6.TYPE_ROUTER_ADVERTISEMENT:
      return off + ROUTER_ADVERTISEMENT_LEN;
    case icmpv6.TYPE_NEIGHBOR_SOLICITATION:
      return off + SOLICITATION_LEN;
    case icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT:
      return off + ADVERTISEMENT_LEN;
    default:
      return -1;
  }
}

/** Offset of the first option of this kind in a well-formed message, or -1. An empty option ends the walk. */
export function findOption(view: DataView, off: number, end: number, kind: number): number {
  let at = optionsOffset(view, off);
  if (at < 0) return -1;
  while (at + 8 <= end) {
    const len = optionLen(view, at);
    if (len === 0) return -1;
    if (view.getUint8(at) === kind) return at;
    at += len;
  }
  return -1;
}

/** Bytes of the option at `at`; 0 is malformed. */
export function optionLen(view: DataView, at: number): number {
  return view.getUint8(at + OFF_OPTION_LEN) << 3;
}

/** Word `i` (0…3) of the target address of a neighbour solicitation or advertisement. */
export function targetWord(view: DataView, off: number, i: number): number {
  return view.getInt32(off + OFF_TARGET + (i << 2));
}

/** NA_ROUTER, NA_SOLICITED, NA_OVERRIDE. */
export function advertisementFlags(view: DataView, off: number): number {
  return view.getUint8(off + OFF_NA_FLAGS);
}

/** MAC bytes 0–1 of the link-layer address option at `at`. */
export function linkHi(view: DataView, at: number): number {
  return view.getUint16(at + OFF_OPTION_LINK_ADDR);
}

/** MAC bytes 2–5 of the link-layer address option at `at`. */
export function linkLo(view: DataView, at: number): number {
  return view.getInt32(at + OFF_OPTION_LINK_ADDR + 2);
}

/** Writes 24 bytes: who has this target? Options and checksum follow. */
export function emitSolicitation(
  view: DataView,
  off: number,
  t0: number,
  t1: number,
  t2: number,
  t3: number,
): void {
  icmpv6.emit(view, off, icmpv6.TYPE_NEIGHBOR_SOLICITATION, 0, 0);
  setTarget(view, off, t0, t1, t2, t3);
}

/** Writes 24 bytes: this target is here. Options and checksum follow. */
export function emitAdvertisement(
  view: DataView,
  off: number,
  flags: number,
  t0: number,
  t1: number,
  t2: number,
  t3: number,
): void {
  icmpv6.emit(view, off, icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT, 0, flags << 24);
  setTarget(view, off, t0, t1, t2, t3);
}

/** Writes 8 bytes: OPTION_SOURCE_LINK or OPTION_TARGET_LINK with a MAC. */
export function emitLinkOption(view: DataView, at: number, kind: number, hi: number, lo: number): void {
  view.setUint8(at, kind);
  view.setUint8(at + OFF_OPTION_LEN, LINK_OPTION_LEN >>> 3);
  view.setUint16(at + OFF_OPTION_LINK_ADDR, hi);
  view.setInt32(at + OFF_OPTION_LINK_ADDR + 2, lo);
}

function setTarget(view: DataView, off: number, t0: number, t1: number, t2: number, t3: number): void {
  view.setInt32(off + OFF_TARGET, t0);
  view.setInt32(off + OFF_TARGET + 4, t1);
  view.setInt32(off + OFF_TARGET + 8, t2);
  view.setInt32(off + OFF_TARGET + 12, t3);
}
