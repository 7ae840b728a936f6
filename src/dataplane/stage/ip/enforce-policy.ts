/**
 * Stage `enforce-policy` (Linux: filter FORWARD). Today it holds kube-proxy's own filter rule: a forwarded packet
 * that conntrack calls INVALID is dropped, since it would leave untranslated and make its receiver reset a healthy
 * connection (kubernetes#74839). What is for the node itself passes, as INPUT has no such rule.
 *
 * One step further than Linux: an INVALID packet of a connection that is translated goes nowhere, wherever it is
 * for and with every proxy mode, liberal or not; its receiver could only take it for another's.
 *
 * And what Calico has beside it: a pod cannot send tunnel packets to nodes, who would take them for each other's, since
 * they leave with the node's address. Asked of new connections, after DNAT; known ones have been asked.
 */

import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import * as invalid from "../../packet/invalid-packet.ts";
import { CtState, type Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as vteps from "../../table/vteps.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { DST0, DST1, DST2, DST3 } = tuple.TupleWord;

const { LOCAL, ONLINK, GATEWAY } = RouteKind;
const { POD } = PortRole;
const IPIP = 4;
const IPV6_IN_IP = 41;
const UDP = 17;

export function enforcePolicy(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.ENFORCE_POLICY;
  if (pkt.ctSlot < 0 && isTunnel(pkt, t)) return drop(pkt, t, DropReason.TUNNEL_FROM_POD);
  if (pkt.ctState !== CtState.INVALID) return Verdict.NEXT;
  if (hasRule(pkt, t)) return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID));
  if (pkt.ctInvalidNat === 0) return Verdict.NEXT;
  return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID_NAT));
}

function hasRule(pkt: Packet, t: Tables): boolean {
  if (pkt.route >= 0 && t.routes.kind[pkt.route] === LOCAL) return false;
  return invalid.isHeldBack(pkt, t);
}

/** UDP to the VXLAN port, or IP in IP, from a pod to where nodes are: this one, the fabric, a VTEP behind a router. */
function isTunnel(pkt: Packet, t: Tables): boolean {
  const c = t.config;
  const proto = pkt.proto;
  if (c.antiSpoofing === 0 || t.ports.role[pkt.inPort] !== POD || pkt.fromTunnel !== 0) return false;
  const to = pkt.nat !== 0 ? pkt.to : pkt.key;
  if (proto === UDP) {
    if (c.vxlan === 0 || tuple.destinationPort(to) !== c.vxlanPort) return false;
  } else if (proto !== IPIP && proto !== IPV6_IN_IP) return false;
  if (pkt.bridged !== 0 || pkt.route < 0) return false;
  const kind = t.routes.kind[pkt.route];
  if (kind === LOCAL || kind === ONLINK) return true;
  return kind === GATEWAY && vteps.findByOuter(t.vteps, to[DST0], to[DST1], to[DST2], to[DST3]) >= 0;
}
