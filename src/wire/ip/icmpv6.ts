// ICMPv6 (RFC 4443). Big-endian. Pure over (view, off); nothing allocates. The checksum covers the
// pseudo-header, so the functions that need it take the offset of the IPv6 header too. Neighbour discovery is
// in ndp.ts.
import { Protocol } from "../../base/protocols.ts";
import * as internet from "../bytes/checksum.ts";

const { ICMPV6 } = Protocol;

const OFF_TYPE = 0; //     u8
const OFF_CODE = 1; //     u8
const OFF_CHECKSUM = 2; // u16
const OFF_REST = 4; //     u32  meaning depends on the type
const OFF_ID = 4; //       u16  echo
const OFF_SEQ = 6; //      u16  echo

/** Bytes that every type but the neighbour discovery ones has in common. */
export const HEADER_LEN = 8;
/** Distance of the checksum field from the header, as a virtio-net header wants it. */
export const CSUM_OFFSET = OFF_CHECKSUM;
export const TYPE_UNREACHABLE = 1;
export const TYPE_PACKET_TOO_BIG = 2;
export const TYPE_TIME_EXCEEDED = 3;
export const TYPE_PARAMETER_PROBLEM = 4;
export const TYPE_ECHO_REQUEST = 128;
export const TYPE_ECHO_REPLY = 129;
export const TYPE_MLD_QUERY = 130;
export const TYPE_MLD_REPORT = 131;
export const TYPE_MLD_DONE = 132;
export const TYPE_ROUTER_SOLICITATION = 133;
export const TYPE_ROUTER_ADVERTISEMENT = 134;
export const TYPE_NEIGHBOR_SOLICITATION = 135;
export const TYPE_NEIGHBOR_ADVERTISEMENT = 136;
export const TYPE_REDIRECT = 137;
export const TYPE_NODE_QUERY = 139; // RFC 4620
export const TYPE_NODE_REPLY = 140;
export const TYPE_MLDV2_REPORT = 143;
/** Codes of TYPE_UNREACHABLE. */
export const CODE_NO_ROUTE = 0;
export const CODE_ADMIN_PROHIBITED = 1;
export const CODE_ADDRESS_UNREACHABLE = 3;
export const CODE_PORT_UNREACHABLE = 4;
/** Code of TYPE_TIME_EXCEEDED. */
export const CODE_HOP_LIMIT_EXCEEDED = 0;
export const CODE_UNKNOWN_OPTION = 2;

/** True when every accessor in this file may be called at `off`. `end` is the end of the IP payload. */
export function isWellFormed(_view: DataView, off: number, end: number): boolean {
  return end - off >= HEADER_LEN;
}

/** True when the checksum over `off…end` and the pseudo-header of the header at `ipv6Off` is right. */
export function checksumOk(view: DataView, off: number, end: number, ipv6Off: number): boolean {
  return (
    internet.sum(view, off, end - off, internet.pseudoSumV6(view, ipv6Off, ICMPV6, end - off)) === 0xffff
  );
}

/** True for the types that carry the packet they are about (RFC 4443 §2.1). */
export function isError(type: number): boolean {
  return type < 128;
}

export function isEcho(type: number): boolean {
  return type === TYPE_ECHO_REQUEST || type === TYPE_ECHO_REPLY;
}

/**
 * Router and neighbour solicitation and advertisement, redirect: valid with hop limit 255 only (RFC 4861).
 */
export function isNeighborDiscovery(type: number): boolean {
  return type >= TYPE_ROUTER_SOLICITATION && type <= TYPE_REDIRECT;
}

/** What a link is made of, and connection tracking leaves alone: discovery without redirects, and who joins groups. */
export function isLinkTalk(type: number): boolean {
  return (type >= TYPE_MLD_QUERY && type <= TYPE_NEIGHBOR_ADVERTISEMENT) || type === TYPE_MLDV2_REPORT;
}

export function type(view: DataView, off: number): number {
  return view.getUint8(off + OFF_TYPE);
}

export function code(view: DataView, off: number): number {
  return view.getUint8(off + OFF_CODE);
}

export function checksum(view: DataView, off: number): number {
  return view.getUint16(off + OFF_CHECKSUM);
}

/** Bytes 4–7 as one i32, whatever the type makes of them. */
export function rest(view: DataView, off: number): number {
  return view.getInt32(off + OFF_REST);
}

/** Echo identifier. */
export function id(view: DataView, off: number): number {
  return view.getUint16(off + OFF_ID);
}

/** Echo sequence number. */
export function seq(view: DataView, off: number): number {
  return view.getUint16(off + OFF_SEQ);
}

/** MTU of "packet too big", bytes; a forged one can be negative as an i32. */
export function mtu(view: DataView, off: number): number {
  return view.getInt32(off + OFF_REST);
}

/** Offset of the packet inside an error message. */
export function innerOffset(off: number): number {
  return off + HEADER_LEN;
}

export function setType(view: DataView, off: number, type: number): void {
  view.setUint8(off + OFF_TYPE, type);
}

export function setCode(view: DataView, off: number, code: number): void {
  view.setUint8(off + OFF_CODE, code);
}

export function setChecksum(view: DataView, off: number, checksum: number): void {
  view.setUint16(off + OFF_CHECKSUM, checksum);
}

export function setId(view: DataView, off: number, id: number): void {
  view.setUint16(off + OFF_ID, id);
}

export function setSeq(view: DataView, off: number, seq: number): void {
  view.setUint16(off + OFF_SEQ, seq);
}

/**
 * Computes the checksum over `len` bytes at `off` and the pseudo-header of the header at `ipv6Off`, and
 * writes it.
 */
export function computeChecksum(view: DataView, off: number, len: number, ipv6Off: number): void {
  view.setUint16(off + OFF_CHECKSUM, 0);
  const pseudo = internet.pseudoSumV6(view, ipv6Off, ICMPV6, len);
  view.setUint16(off + OFF_CHECKSUM, internet.finish(internet.sum(view, off, len, pseudo)));
}

/** Writes the first 8 bytes; checksum 0 until `computeChecksum`, because the payload is not there yet. */
export function emit(view: DataView, off: number, type: number, code: number, rest: number): void {
  view.setUint8(off + OFF_TYPE, type);
  view.setUint8(off + OFF_CODE, code);
  view.setUint16(off + OFF_CHECKSUM, 0);
  view.setInt32(off + OFF_REST, rest);
}
