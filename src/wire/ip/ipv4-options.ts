// Options of an IPv4 header on which a router acts (RFC 791 §3.1, RFC 1812 §5.2.4; Linux: ip_options_compile,
// ip_forward_options): Record Route and Timestamp. Pure over (view, off), the first byte of the IP header; nothing
// allocates. Deliberately missing: CIPSO (Linux reads its tags), and source routes, which nobody here follows.
import type { Ipv4Addr } from "../../base/ids.ts";
import * as ipv4 from "./ipv4.ts";

const END = 0;
const NOP = 1;
const RECORD_ROUTE = 0x07;
const TIMESTAMP = 0x44;
const ROUTER_ALERT = 0x94; // RFC 2113
const OFF_LEN = 1; //      u8  of the option, kind and length included
const OFF_POINTER = 2; //  u8  of the first free byte, counted from 1
const OFF_FLAGS = 3; //    u8  Timestamp: overflow counter, flag
const OVERFLOW_MAX = 15;
const ADDRESS_LEN = 4;
/** Flags of a Timestamp option. */
const TIME_ONLY = 0;
const TIME_AND_ADDRESS = 1;
const PRESPECIFIED = 3;
const SEEN_ROUTE = 1;
const SEEN_TIME = 2;

/** findProblem: nothing is wrong. */
export const NONE = -1;

/** Bytes from the IP header to what is wrong, as the pointer of a "parameter problem" has it; or NONE. */
export function findProblem(view: DataView, off: number): number {
  const end = off + ipv4.headerLen(view, off);
  let seen = 0;
  let at = off + ipv4.HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === END) return NONE;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return at - off;
    const len = view.getUint8(at + OFF_LEN);
    if (len < 2 || at + len > end) return at - off;
    let problem = NONE;
    if (kind === RECORD_ROUTE) {
      problem = (seen & SEEN_ROUTE) !== 0 ? 0 : routeProblem(view, at, len);
      seen |= SEEN_ROUTE;
    } else if (kind === TIMESTAMP) {
      problem = (seen & SEEN_TIME) !== 0 ? 0 : timeProblem(view, at, len);
      seen |= SEEN_TIME;
    } else if (kind === ROUTER_ALERT && len < 4) problem = OFF_LEN;
    if (problem !== NONE) return at - off + problem;
    at += len;
  }
  return NONE;
}

function routeProblem(view: DataView, at: number, len: number): number {
  if (len < 3) return OFF_LEN;
  const pointer = view.getUint8(at + OFF_POINTER);
  if (pointer < 4) return OFF_POINTER;
  return pointer <= len && pointer + ADDRESS_LEN - 1 > len ? OFF_POINTER : NONE;
}

function timeProblem(view: DataView, at: number, len: number): number {
  if (len < 4) return OFF_LEN;
  const pointer = view.getUint8(at + OFF_POINTER);
  if (pointer < 5) return OFF_POINTER;
  const flags = view.getUint8(at + OFF_FLAGS);
  const flag = flags & 15;
  if (pointer > len) return flag !== PRESPECIFIED && flags >>> 4 === OVERFLOW_MAX ? OFF_FLAGS : NONE;
  const hasAddress = flag === TIME_AND_ADDRESS || flag === PRESPECIFIED;
  return pointer + (hasAddress ? 7 : 3) > len ? OFF_POINTER : NONE;
}

/** Offset of the address that a Timestamp option waits for, or NONE. The options have no problem. */
export function prespecified(view: DataView, off: number): number {
  const end = off + ipv4.headerLen(view, off);
  let at = off + ipv4.HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === END) return NONE;
    if (kind === TIMESTAMP) {
      const pointer = view.getUint8(at + OFF_POINTER);
      const waits =
        (view.getUint8(at + OFF_FLAGS) & 15) === PRESPECIFIED && pointer <= view.getUint8(at + OFF_LEN);
      return waits ? at + pointer - 1 : NONE;
    }
    at += kind === NOP ? 1 : view.getUint8(at + OFF_LEN);
  }
  return NONE;
}

/**
 * Writes what a router that forwards the packet writes: into Record Route its address on the way out, into Timestamp the
 * one that it has towards the sender (as Linux does) and the time, milliseconds since midnight UTC; `isOurs`: the
 * prespecified address is the router's. What follows the end of the list becomes zero, as
 * Linux has it. The header's checksum is computed anew. The options have no problem.
 */
export function stamp(
  view: DataView,
  off: number,
  wayOut: Ipv4Addr,
  wayBack: Ipv4Addr,
  dayMs: number,
  isOurs: boolean,
): void {
  const end = off + ipv4.headerLen(view, off);
  let at = off + ipv4.HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === END) {
      for (let i = at; i < end; i++) view.setUint8(i, END);
      break;
    }
    if (kind === RECORD_ROUTE) recordRoute(view, at, wayOut);
    else if (kind === TIMESTAMP) recordTime(view, at, wayBack, dayMs, isOurs);
    at += kind === NOP ? 1 : view.getUint8(at + OFF_LEN);
  }
  ipv4.computeChecksum(view, off);
}

function recordRoute(view: DataView, at: number, address: Ipv4Addr): void {
  const pointer = view.getUint8(at + OFF_POINTER);
  if (pointer > view.getUint8(at + OFF_LEN)) return; // full: of those that find no room nobody hears
  view.setInt32(at + pointer - 1, address);
  view.setUint8(at + OFF_POINTER, pointer + ADDRESS_LEN);
}

function recordTime(view: DataView, at: number, address: Ipv4Addr, dayMs: number, isOurs: boolean): void {
  const pointer = view.getUint8(at + OFF_POINTER);
  const flags = view.getUint8(at + OFF_FLAGS);
  const flag = flags & 15;
  if (pointer > view.getUint8(at + OFF_LEN)) {
    if (flag !== PRESPECIFIED) view.setUint8(at + OFF_FLAGS, flags + 0x10); // one more that found no room
    return;
  }
  const slot = at + pointer - 1;
  if (flag === TIME_ONLY) {
    view.setInt32(slot, dayMs);
    view.setUint8(at + OFF_POINTER, pointer + 4);
  } else if (flag === TIME_AND_ADDRESS || (flag === PRESPECIFIED && isOurs)) {
    if (flag === TIME_AND_ADDRESS) view.setInt32(slot, address);
    view.setInt32(slot + ADDRESS_LEN, dayMs);
    view.setUint8(at + OFF_POINTER, pointer + 8);
  }
}
