// ARP for IPv4 over Ethernet (RFC 826). Big-endian. Pure over (view, off); nothing allocates.
// Missing on purpose: other hardware and protocol types; isWellFormed refuses them.
import type { Ipv4Addr } from "../../base/ids.ts";

const OFF_HARDWARE_TYPE = 0; // u16  1 = Ethernet
const OFF_PROTOCOL_TYPE = 2; // u16  an EtherType
const OFF_ADDRESS_LENS = 4; //  u8   hardware address bytes, u8 protocol address bytes
const OFF_OP = 6; //            u16
const OFF_SENDER_MAC = 8; //    6 bytes
const OFF_SENDER_IP = 14; //    4 bytes
const OFF_TARGET_MAC = 18; //   6 bytes
const OFF_TARGET_IP = 24; //    4 bytes
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const LENS_ETHERNET_IPV4 = 0x0604;

/** Bytes of a packet for Ethernet and IPv4. */
export const HEADER_LEN = 28;
export const OP_REQUEST = 1;
export const OP_REPLY = 2;

/**
 * True when every accessor in this file may be called at `off` and means what it says. The operation is not
 * judged.
 */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  return (
    end - off >= HEADER_LEN &&
    view.getUint16(off + OFF_HARDWARE_TYPE) === HARDWARE_ETHERNET &&
    view.getUint16(off + OFF_PROTOCOL_TYPE) === PROTOCOL_IPV4 &&
    view.getUint16(off + OFF_ADDRESS_LENS) === LENS_ETHERNET_IPV4
  );
}

export function op(view: DataView, off: number): number {
  return view.getUint16(off + OFF_OP);
}

export function senderHi(view: DataView, off: number): number {
  return view.getUint16(off + OFF_SENDER_MAC);
}

export function senderLo(view: DataView, off: number): number {
  return view.getInt32(off + OFF_SENDER_MAC + 2);
}

export function senderIp(view: DataView, off: number): Ipv4Addr {
  return view.getInt32(off + OFF_SENDER_IP) as Ipv4Addr;
}

export function targetHi(view: DataView, off: number): number {
  return view.getUint16(off + OFF_TARGET_MAC);
}

export function targetLo(view: DataView, off: number): number {
  return view.getInt32(off + OFF_TARGET_MAC + 2);
}

export function targetIp(view: DataView, off: number): Ipv4Addr {
  return view.getInt32(off + OFF_TARGET_IP) as Ipv4Addr;
}

/** Writes all 28 bytes: sender MAC and address, then target MAC and address (zero MAC in a request). */
export function emit(
  view: DataView,
  off: number,
  op: number,
  shaHi: number,
  shaLo: number,
  spa: Ipv4Addr,
  thaHi: number,
  thaLo: number,
  tpa: Ipv4Addr,
): void {
  view.setUint16(off + OFF_HARDWARE_TYPE, HARDWARE_ETHERNET);
  view.setUint16(off + OFF_PROTOCOL_TYPE, PROTOCOL_IPV4);
  view.setUint16(off + OFF_ADDRESS_LENS, LENS_ETHERNET_IPV4);
  view.setUint16(off + OFF_OP, op);
  view.setUint16(off + OFF_SENDER_MAC, shaHi);
  view.setInt32(off + OFF_SENDER_MAC + 2, shaLo);
  view.setInt32(off + OFF_SENDER_IP, spa);
  view.setUint16(off + OFF_TARGET_MAC, thaHi);
  view.setInt32(off + OFF_TARGET_MAC + 2, thaLo);
  view.setInt32(off + OFF_TARGET_IP, tpa);
}
