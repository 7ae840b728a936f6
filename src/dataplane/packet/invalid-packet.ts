/**
 * What becomes of packets that conntrack calls INVALID, shared by stages. kube-proxy's rule in FORWARD drops them
 * (KUBE-FORWARD of iptables mode; not with tcpBeLiberal). The other modes have no such rule.
 */

import type { DropReason } from "../drop-reason.ts";
import { FrontendKind } from "../spec/services.ts";
import { Meta, TupleWord } from "../table/connection/tuple.ts";
import * as services from "../table/service/services.ts";
import type { Tables } from "../tables.ts";
import { findFrontend } from "./find-frontend.ts";
import type { Packet } from "./packet.ts";

const { DST0, DST1, DST2, DST3, META } = TupleWord;
const { FAMILY } = Meta;

/** Does the rule hold for this packet, if it is not for the node itself? OUTPUT has no such rule. */
export function isHeldBack(pkt: Packet, t: Tables): boolean {
  if (t.config.proxy.dropInvalid === 0) return false;
  return pkt.inPort !== t.config.router.hostPort || pkt.fromTunnel !== 0;
}

/**
 * Where there is no way on: dropped by the rule, which a node with a default route would have come to; or for a service
 * address, to which no way leads untranslated, with or without the rule.
 */
export function goesNowhere(pkt: Packet, t: Tables): boolean {
  return isHeldBack(pkt, t) || findFrontend(t, pkt.key) >= 0;
}

/**
 * Is it for an address that ipvs mode binds to the node (kube-ipvs0)? From there nothing goes on: the node's own stack
 * would drop what is damaged or of no connection, and IPVS pass on what its receiver could only drop.
 */
export function isForBoundAddress(pkt: Packet, t: Tables): boolean {
  const key = pkt.key;
  const f = services.find(t.services, key[DST0], key[DST1], key[DST2], key[DST3], 0, key[META] & FAMILY);
  return f >= 0 && t.services.kind[f] === FrontendKind.UNSERVED_PORTS;
}

/** `otherwise`, unless the packet is INVALID because of its checksum. */
export function reasonOf(pkt: Packet, otherwise: DropReason): DropReason {
  return pkt.csumWrong === 0 ? otherwise : (pkt.csumWrong as DropReason);
}
