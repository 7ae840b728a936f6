// GRE header (RFC 2784, RFC 2890) and the enhanced one of PPTP (RFC 2637 §4.1). Big-endian. Pure over (view, off);
// nothing allocates. What lies behind the first eight bytes is nobody's business here: a router passes it on.
const OFF_FLAGS_VERSION = 0; // u16  low 3 bits: version
const OFF_PROTOCOL = 2; //      u16  EtherType of the payload
const OFF_CALL_ID = 6; //       u16  version 1 only
const VERSION_PPTP = 1;
const PROTOCOL_PPP = 0x880b;

export const HEADER_LEN_MIN = 4;
export const HEADER_LEN_PPTP = 8;

/** The receiver's call of a PPTP packet; 0 for plain GRE, and for a packet too short to say. */
export function callId(view: DataView, off: number, end: number): number {
  if (end - off < HEADER_LEN_PPTP) return 0;
  if ((view.getUint16(off + OFF_FLAGS_VERSION) & 7) !== VERSION_PPTP) return 0;
  return view.getUint16(off + OFF_PROTOCOL) === PROTOCOL_PPP ? view.getUint16(off + OFF_CALL_ID) : 0;
}
