/**
 * ICMP and ICMPv6 (nf_conntrack_proto_icmp.c, _icmpv6.c): queries and their answers, by the query's id. A query begins a
 * connection, of ICMPv6 an echo request or a node information query; nothing is remembered, and each packet gives it its
 * time again. Errors are no connections: they belong to that of the packet they quote, which stage `track-connection`
 * looks for.
 */
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import type { Packet } from "../packet/packet.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { type Conntrack, Timeout } from "../table/connection/conntrack.ts";
import { Track } from "../table/connection/ct-states.ts";
import * as tuple from "../table/connection/tuple.ts";

const { ICMP, ICMPV6 } = Timeout;
const { OK } = Track;
const TYPE_INFORMATION_REQUEST = 15;
const TYPE_ADDRESS_MASK_REQUEST = 17;

/** ICMP is IPv4's, and ICMPv6 is IPv6's: in the other family's packets neither is a query. */
export function mayBegin(pkt: Packet): boolean {
  if (pkt.family !== 4) return false;
  const type = tuple.icmpType(pkt.key);
  return (
    type === icmpv4.TYPE_ECHO_REQUEST ||
    type === icmpv4.TYPE_TIMESTAMP_REQUEST ||
    type === TYPE_INFORMATION_REQUEST ||
    type === TYPE_ADDRESS_MASK_REQUEST
  );
}

export function mayBegin6(pkt: Packet): boolean {
  if (pkt.family !== 6) return false;
  const type = tuple.icmpType(pkt.key);
  return type === icmpv6.TYPE_ECHO_REQUEST || type === icmpv6.TYPE_NODE_QUERY;
}

export function begin(t: Conntrack, slot: number, nowSec: number): void {
  conntrack.renew(t, slot, ICMP, nowSec);
}

export function begin6(t: Conntrack, slot: number, nowSec: number): void {
  conntrack.renew(t, slot, ICMPV6, nowSec);
}

export function advance(t: Conntrack, slot: number, nowSec: number): number {
  conntrack.renew(t, slot, ICMP, nowSec);
  return OK;
}

export function advance6(t: Conntrack, slot: number, nowSec: number): number {
  conntrack.renew(t, slot, ICMPV6, nowSec);
  return OK;
}
