/**
 * The sum of a received frame's bytes (Linux: CHECKSUM_COMPLETE, which a network card makes). The addon makes it as it
 * reads the frame, so that no stage has to go through the bytes again to verify a checksum. It begins where the packet
 * of most frames of the port does, and is good as long as nobody changes those bytes.
 */

import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as udp from "../../wire/transport/udp.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as vteps from "../table/vteps.ts";
import type { Tables } from "../tables.ts";
import type { Packet } from "./packet.ts";

/** No sum was made. */
export const UNKNOWN = -1;
const PLAIN = eth.HEADER_LEN;
const TUNNEL = udp.HEADER_LEN + vxlan.HEADER_LEN + eth.HEADER_LEN;
const IN_TUNNEL_V4 = PLAIN + ipv4.HEADER_LEN_MIN + TUNNEL;
const IN_TUNNEL_V6 = PLAIN + ipv6.HEADER_LEN + TUNNEL;

/** Byte of a frame of this port from which on it shall be summed, or UNKNOWN: nobody will ask. */
export function sumFrom(t: Tables, port: number): number {
  const { router, tunnel } = t.config;
  if (port === router.hostPort || t.conntrack.header[conntrack.H_CHECKSUM] === 0) return UNKNOWN;
  if (port !== router.uplinkPort || tunnel.on === 0) return PLAIN;
  return vteps.isOverIpv6(t.vteps) ? IN_TUNNEL_V6 : IN_TUNNEL_V4;
}

/** Says of `pkt` that the bytes `at` … `end` have the folded sum `sum`. */
export function setSum(pkt: Packet, sum: number, at: number, end: number): void {
  pkt.frameSum = sum;
  pkt.sumAt = at;
  pkt.sumEnd = end;
}
