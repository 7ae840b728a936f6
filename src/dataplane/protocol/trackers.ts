/**
 * What conntrack asks of a protocol (OVS' ct_l4_proto, nf_conntrack's l4proto): may this packet begin a connection, what
 * is remembered of it, and what does a further packet make of a connection. A protocol is one file, which answers the
 * three; here is which one, and nothing else.
 */
import { Protocol } from "../../base/protocols.ts";
import type { Packet } from "../packet/packet.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { Track } from "../table/connection/ct-states.ts";
import type { Tables } from "../tables.ts";
import * as generic from "./generic.ts";
import * as gre from "./gre.ts";
import * as icmp from "./icmp.ts";
import * as sctp from "./sctp.ts";
import * as tcp from "./tcp.ts";
import * as udp from "./udp.ts";

const { GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;

const { REPEAT } = Track;

/** Of the protocols that are not named here any packet may. */
export function mayBegin(pkt: Packet, t: Tables): boolean {
  switch (pkt.proto) {
    case TCP:
      return tcp.mayBegin(pkt, t);
    case SCTP:
      return sctp.mayBegin(pkt, t);
    case ICMP:
      return icmp.mayBegin(pkt);
    case ICMPV6:
      return icmp.mayBegin6(pkt);
    default:
      return true;
  }
}

/** A connection was entered for this packet: what is remembered of it, and how long it has for the second one. */
export function begin(pkt: Packet, t: Tables, slot: number, nowSec: number): void {
  switch (pkt.proto) {
    case TCP:
      tcp.begin(pkt, t, slot, nowSec);
      break;
    case UDP:
      udp.begin(t, slot, nowSec);
      break;
    case UDPLITE:
      udp.beginLite(t.conntrack, slot, nowSec);
      break;
    case SCTP:
      sctp.begin(t, slot, nowSec);
      break;
    case ICMP:
      icmp.begin(t.conntrack, slot, nowSec);
      break;
    case ICMPV6:
      icmp.begin6(t.conntrack, slot, nowSec);
      break;
    case GRE:
      gre.begin(t.conntrack, slot, nowSec);
      break;
    default:
      generic.begin(t.conntrack, slot, nowSec);
  }
}

/** A packet of direction `ref & 1` of a known connection. Returns what becomes of it, see Track. */
export function advance(pkt: Packet, t: Tables, ref: number, nowSec: number): number {
  const { proto } = pkt;
  if (proto === TCP) return tcp.advance(pkt, t, ref, nowSec);
  const ct = t.conntrack;
  const slot = ref >> 1;
  if (conntrack.isExpired(ct, slot, nowSec)) {
    conntrack.remove(ct, slot);
    return REPEAT;
  }
  switch (proto) {
    case UDP:
      return udp.advance(pkt, t, ref, nowSec);
    case UDPLITE:
      return udp.advanceLite(ct, slot, nowSec);
    case SCTP:
      return sctp.advance(pkt, t, ref, nowSec);
    case ICMP:
      return icmp.advance(ct, slot, nowSec);
    case ICMPV6:
      return icmp.advance6(ct, slot, nowSec);
    case GRE:
      return gre.advance(ct, slot, nowSec);
    default:
      return generic.advance(ct, slot, nowSec);
  }
}
