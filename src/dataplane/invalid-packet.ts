/**
 * What becomes of packets that conntrack calls INVALID, shared by stages. kube-proxy's rule in FORWARD drops them
 * (KUBE-FORWARD; not with tcpBeLiberal, and nftables mode has none).
 */
import type { DropReason } from "./drop-reason.ts";
import { findFrontend } from "./find-frontend.ts";
import type { Packet } from "./packet.ts";
import type { Tables } from "./tables.ts";

/** Does the rule hold for this packet, if it is not for the node itself? OUTPUT has no such rule. */
export function isHeldBack(pkt: Packet, t: Tables): boolean {
  if (t.config.dropInvalid === 0) return false;
  return pkt.inPort !== t.config.hostPort || pkt.fromTunnel !== 0;
}

/**
 * Where there is no way on: dropped by the rule, which a node with a default route would have come to; or for a service
 * address, to which no way leads untranslated, with or without the rule.
 */
export function goesNowhere(pkt: Packet, t: Tables): boolean {
  return isHeldBack(pkt, t) || findFrontend(t, pkt.key) >= 0;
}

/** `otherwise`, unless the packet is INVALID because of its checksum. */
export function reasonOf(pkt: Packet, otherwise: DropReason): DropReason {
  return pkt.csumWrong === 0 ? otherwise : (pkt.csumWrong as DropReason);
}
