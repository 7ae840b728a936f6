import * as udp from "../../wire/transport/udp.ts";
import type { Packet } from "../packet/packet.ts";
import type { Tables } from "../tables.ts";

/**
 * Completes a partial checksum where nobody behind us would: before a datagram is cut, stored or tunnelled.
 */
export function completeChecksum(pkt: Packet, t: Tables): void {
  const sum = t.offload.checksum(t.arenaPin, pkt.csumStart, pkt.end - pkt.csumStart, 0);
  pkt.view.setUint16(pkt.csumStart + pkt.csumOffset, finished(sum, pkt.csumOffset));
  pkt.csumPartial = 0;
}

/**
 * The checksum of a sum. UDP's 0 would say "none" and is written as 0xffff (RFC 768); elsewhere 0 is 0, or a reader
 * would rightly complain (RFC 1624 §3), though both verify.
 */
export function finished(sum: number, csumOffset: number): number {
  const value = ~sum & 0xffff;
  return value === 0 && csumOffset === udp.CSUM_OFFSET ? 0xffff : value;
}
