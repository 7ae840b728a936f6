/**
 * Time-outs of the protocols that have no states (nf_conntrack_proto_generic.c, _gre.c, _icmp.c, _icmpv6.c, and
 * what of _udp.c is simple). ESP, AH, IP-in-IP and whatever else there is are known by their addresses alone.
 */
import * as conntrack from "./conntrack.ts";
import { type Conntrack, Status, Timeout } from "./conntrack.ts";

const { ASSURED, SEEN_REPLY } = Status;
const ICMP = 1;
const UDP = 17;
const GRE = 47;
const ICMPV6 = 58;
const UDPLITE = 136;

/** Time-out of a connection whose first packet this is, seconds. */
export function firstTimeout(t: Conntrack, proto: number): number {
  return conntrack.timeoutOf(t, timeoutIndex(proto, false));
}

/** A further packet of a known connection: it lives on, and one that was answered before is assured. */
export function refresh(t: Conntrack, slot: number, proto: number, nowSec: number): void {
  const answered = (t.status[slot] & SEEN_REPLY) !== 0;
  if (answered && (proto === GRE || proto === UDPLITE)) t.status[slot] |= ASSURED;
  t.expiresAtSec[slot] = (nowSec + conntrack.timeoutOf(t, timeoutIndex(proto, answered))) | 0;
}

function timeoutIndex(proto: number, answered: boolean): number {
  switch (proto) {
    case ICMP:
      return Timeout.ICMP;
    case ICMPV6:
      return Timeout.ICMPV6;
    case GRE:
      return answered ? Timeout.GRE_STREAM : Timeout.GRE;
    case UDP:
    case UDPLITE:
      return answered ? Timeout.UDP_STREAM : Timeout.UDP;
    default:
      return Timeout.GENERIC;
  }
}
