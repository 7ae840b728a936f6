// ICMP for IPv4 (RFC 792, RFC 1191 for the MTU). Big-endian. Pure over (view, off); nothing allocates.
// An error message carries the head of the packet it is about behind its own 8 bytes: `innerOffset`.
import * as internet from "../bytes/checksum.ts";

const OFF_TYPE = 0; //     u8
const OFF_CODE = 1; //     u8
const OFF_CHECKSUM = 2; // u16
const OFF_REST = 4; //     u32  meaning depends on the type
const OFF_ID = 4; //       u16  echo
const OFF_SEQ = 6; //      u16  echo
const OFF_MTU = 6; //      u16  fragmentation needed

export const HEADER_LEN = 8;
/** Distance of the checksum field from the header, as a virtio-net header wants it. */
export const CSUM_OFFSET = OFF_CHECKSUM;
export const TYPE_ECHO_REPLY = 0;
export const TYPE_UNREACHABLE = 3;
export const TYPE_SOURCE_QUENCH = 4;
export const TYPE_REDIRECT = 5;
export const TYPE_ECHO_REQUEST = 8;
export const TYPE_TIME_EXCEEDED = 11;
export const TYPE_PARAMETER_PROBLEM = 12;
export const TYPE_TIMESTAMP_REQUEST = 13;
export const TYPE_TIMESTAMP_REPLY = 14;
/** Codes of TYPE_UNREACHABLE. */
export const CODE_NET_UNREACHABLE = 0;
export const CODE_HOST_UNREACHABLE = 1;
export const CODE_PROTOCOL_UNREACHABLE = 2;
export const CODE_PORT_UNREACHABLE = 3;
export const CODE_FRAGMENTATION_NEEDED = 4;
export const CODE_NET_PROHIBITED = 9;
export const CODE_HOST_PROHIBITED = 10;
export const CODE_ADMIN_PROHIBITED = 13;
/** Codes of TYPE_TIME_EXCEEDED. */
export const CODE_TTL_EXCEEDED = 0;
export const CODE_REASSEMBLY_EXCEEDED = 1;

/** True when every accessor in this file may be called at `off`. `end` is the end of the IP payload. */
export function isWellFormed(_view: DataView, off: number, end: number): boolean {
  return end - off >= HEADER_LEN;
}

/** True when the checksum over `off…end` is right. */
export function checksumOk(view: DataView, off: number, end: number): boolean {
  return internet.sum(view, off, end - off, 0) === 0xffff;
}

/** True for the types that carry the packet they are about. */
export function isError(type: number): boolean {
  return (
    type === TYPE_UNREACHABLE ||
    type === TYPE_TIME_EXCEEDED ||
    type === TYPE_PARAMETER_PROBLEM ||
    type === TYPE_SOURCE_QUENCH ||
    type === TYPE_REDIRECT
  );
}

export function isEcho(type: number): boolean {
  return type === TYPE_ECHO_REQUEST || type === TYPE_ECHO_REPLY;
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

/** Next-hop MTU of "fragmentation needed", bytes; 0 from routers older than RFC 1191. */
export function mtu(view: DataView, off: number): number {
  return view.getUint16(off + OFF_MTU);
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

/** Computes the checksum over the message of `len` bytes at `off` and writes it. */
export function computeChecksum(view: DataView, off: number, len: number): void {
  view.setUint16(off + OFF_CHECKSUM, 0);
  view.setUint16(off + OFF_CHECKSUM, internet.finish(internet.sum(view, off, len, 0)));
}

/** Writes all 8 bytes; checksum 0 until `computeChecksum`, because the payload is not there yet. */
export function emit(view: DataView, off: number, type: number, code: number, rest: number): void {
  view.setUint8(off + OFF_TYPE, type);
  view.setUint8(off + OFF_CODE, code);
  view.setUint16(off + OFF_CHECKSUM, 0);
  view.setInt32(off + OFF_REST, rest);
}
