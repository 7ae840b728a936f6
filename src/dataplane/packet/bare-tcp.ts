/**
 * TCP segments that nobody is waiting for: they bear no data and open no connection, but acknowledge, or end one. What
 * the same program says next is mostly on its way already: the data after the handshake, the next connection.
 */

import { Protocol } from "../../base/protocols.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as tcp from "../../wire/transport/tcp.ts";

const { TCP } = Protocol;
/** IPv4's header without options, so long: most that come. */
const VERSION_4_PLAIN = 0x45;
const VERSION_6 = 6;
/** Ethernet, IPv6 and the longest TCP header. */
const LONGEST = eth.HEADER_LEN + ipv6.HEADER_LEN + 60;

/** Is the frame of `len` bytes at `off`, as it came, such a one? With a VLAN tag, IP options or extensions it is none. */
export function isBareTcp(view: DataView, off: number, len: number): boolean {
  if (len < eth.HEADER_LEN + ipv4.HEADER_LEN_MIN + tcp.HEADER_LEN_MIN || len > LONGEST) return false;
  const l3 = off + eth.HEADER_LEN;
  const end = off + len;
  const type = eth.etherType(view, off);
  if (type === eth.ETHERTYPE_IPV4) {
    if (view.getUint8(l3) !== VERSION_4_PLAIN || ipv4.proto(view, l3) !== TCP) return false;
    return isBare(view, l3 + ipv4.HEADER_LEN_MIN, l3 + ipv4.totalLen(view, l3), end);
  }
  if (type !== eth.ETHERTYPE_IPV6 || view.getUint8(l3) >>> 4 !== VERSION_6) return false;
  if (ipv6.nextHeader(view, l3) !== TCP) return false;
  const l4 = l3 + ipv6.HEADER_LEN;
  return isBare(view, l4, l4 + ipv6.payloadLen(view, l3), end);
}

/** `end`: of the IP packet as it says itself; `frameEnd`: of what there is. */
function isBare(view: DataView, l4: number, end: number, frameEnd: number): boolean {
  if (end > frameEnd || end - l4 < tcp.HEADER_LEN_MIN) return false;
  return tcp.headerLen(view, l4) === end - l4 && (tcp.flags(view, l4) & tcp.FLAG_SYN) === 0;
}
