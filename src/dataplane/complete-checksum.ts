import type { Packet } from "./packet.ts";
import type { Tables } from "./tables.ts";

/**
 * Completes a partial checksum where nobody behind us would: before a datagram is cut, stored or tunnelled.
 * 0 becomes 0xffff, as the kernel does for every protocol: both verify, and UDP needs it.
 */
export function completeChecksum(pkt: Packet, t: Tables): void {
  const sum = t.offload.checksum(t.arena, pkt.csumStart, pkt.end - pkt.csumStart, 0);
  const value = ~sum & 0xffff;
  pkt.view.setUint16(pkt.csumStart + pkt.csumOffset, value === 0 ? 0xffff : value);
  pkt.csumPartial = 0;
}
