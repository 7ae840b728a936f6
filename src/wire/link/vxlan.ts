// VXLAN header (RFC 7348 §5). Big-endian. Pure over (view, off); nothing allocates.
// Missing on purpose: group policy and generic protocol extensions; their bits are reserved here and ignored.
import type { Vni } from "../../base/ids.ts";

const OFF_FLAGS = 0; // u8   then 24 reserved bits
const OFF_VNI = 4; //   u24  then 8 reserved bits

export const HEADER_LEN = 8;
/** The VNI is valid; without it the packet must be dropped. */
export const FLAG_I = 0x08;
/** UDP port by IANA, and the one Linux and flannel used before there was one. */
export const UDP_PORT_IANA = 4789;
export const UDP_PORT_LINUX = 8472;

/** True when `vni` may be read. Reserved bits are ignored on receipt, as the RFC demands. */
export function isWellFormed(view: DataView, off: number, end: number): boolean {
  return end - off >= HEADER_LEN && (view.getUint8(off + OFF_FLAGS) & FLAG_I) !== 0;
}

export function flags(view: DataView, off: number): number {
  return view.getUint8(off + OFF_FLAGS);
}

export function vni(view: DataView, off: number): Vni {
  return (view.getInt32(off + OFF_VNI) >>> 8) as Vni;
}

/** Writes all 8 bytes. */
export function emit(view: DataView, off: number, vni: Vni): void {
  view.setInt32(off + OFF_FLAGS, FLAG_I << 24);
  view.setInt32(off + OFF_VNI, vni << 8);
}
