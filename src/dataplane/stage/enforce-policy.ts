/**
 * Stage `enforce-policy` (Linux: filter FORWARD). Today it holds kube-proxy's own filter rule: a forwarded packet
 * that conntrack calls INVALID is dropped, since it would leave untranslated and make its receiver reset a healthy
 * connection (kubernetes#74839). What is for the node itself passes, as INPUT has no such rule.
 *
 * One step further than Linux: an INVALID packet of a connection that is translated goes nowhere, wherever it is
 * for and with every proxy mode, liberal or not; its receiver could only take it for another's.
 */
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import { CtState, type Packet } from "../packet.ts";
import * as routes from "../table/routes.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";

const { LOCAL } = routes.RouteKind;

export function enforcePolicy(pkt: Packet, t: Tables): Verdict {
  if (pkt.ctState !== CtState.INVALID) return Verdict.NEXT;
  if (hasRule(pkt, t)) return drop(pkt, t, DropReason.CT_INVALID);
  return pkt.ctInvalidNat === 0 ? Verdict.NEXT : drop(pkt, t, DropReason.CT_INVALID_NAT);
}

function hasRule(pkt: Packet, t: Tables): boolean {
  if (t.config.dropInvalid === 0) return false;
  if (pkt.route >= 0 && t.routes.kind[pkt.route] === LOCAL) return false;
  return pkt.inPort !== t.config.hostPort || pkt.fromTunnel !== 0; // OUTPUT has no such rule
}
