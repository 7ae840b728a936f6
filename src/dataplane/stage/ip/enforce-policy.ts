/**
 * Stage `enforce-policy` (Linux: filter FORWARD; INPUT for what pods send to the node). Of packets that belong to no
 * known connection it asks, in the order in which Calico's chains do:
 *
 * - INVALID: kube-proxy's own filter rule drops a forwarded packet that conntrack calls so, since it would leave
 *   untranslated and make its receiver reset a healthy connection (kubernetes#74839). What is for the node itself passes,
 *   as INPUT has no such rule. One step further than Linux: an INVALID packet of a connection that is translated goes
 *   nowhere, wherever it is for and with every proxy mode, liberal or not; its receiver could only take it for another's.
 * - Tunnels: a pod cannot send tunnel packets to nodes, who would take them for each other's, since they leave with the
 *   node's address. After DNAT.
 * - Policies: what the sending pod may send and the receiving one may get (packet/admission.ts), and both must agree.
 *   RELATED connections pass, as their masters do. What is UNTRACKED is asked about as well: what a link is made of
 *   goes to the whole link or straight over the bridge, and what comes here only looks like it.
 *
 * Known connections have been asked, and remember the answer.
 */
import { Protocol } from "../../../base/protocols.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import * as admission from "../../packet/admission.ts";
import * as invalid from "../../packet/invalid-packet.ts";
import { CtState, type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { podWithMac } from "../../send/bridge.ts";
import { RouteKind } from "../../spec/routes.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as neighbor from "../../table/neighbor.ts";
import * as answers from "../../table/policy/policy-answers.ts";
import * as hits from "../../table/policy/policy-hits.ts";
import * as vteps from "../../table/vteps.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { IPIP, IPV6_IN_IP, UDP } = Protocol;

const { DST0, DST1, DST2, DST3 } = tuple.TupleWord;

const { NEXT } = Verdict;
const { LOCAL, ONLINK, GATEWAY } = RouteKind;
const { POD } = PortRole;
const { RELATED, INVALID } = CtState;
const { NOT_READY, UNKNOWN } = admission;

export function enforcePolicy(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.ENFORCE_POLICY;
  if (pkt.ctSlot >= 0 && pkt.ctState !== INVALID) return NEXT;
  if (isTunnel(pkt, t)) return drop(pkt, t, DropReason.TUNNEL_FROM_POD);
  if (pkt.ctState === INVALID) {
    if (hasRule(pkt, t)) return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID));
    if (pkt.ctInvalidNat !== 0) return drop(pkt, t, invalid.reasonOf(pkt, DropReason.CT_INVALID_NAT));
  }
  if (t.policy.active === 0 || pkt.ctState === RELATED) return NEXT;
  return askPolicies(pkt, t, nowSec);
}

/**
 * Two verdicts at most; the one that denies is the one that is told. Where the same was asked lately the answer is one
 * row; `ends` keeps apart what rows are not kept for.
 */
function askPolicies(pkt: Packet, t: Tables, nowSec: number): Verdict {
  const a = t.policyAnswers;
  const sender = admission.senderOf(pkt, t);
  const receiver = podPort(pkt, t, nowSec);
  const own = admission.isOwn(pkt, t);
  const to = pkt.nat === 0 ? pkt.key : pkt.to;
  const from = admission.subjectBehind(t, sender);
  const ends = admission.endsOf(t, sender, receiver, pkt.nat === 0, own);
  const at = answers.place(pkt.key, to);
  let reason: DropReason;
  if (answers.has(a, at, pkt.key, to, from, ends)) {
    pkt.egressVerdict = answers.egressAt(a, at);
    pkt.ingressVerdict = answers.ingressAt(a, at);
    answers.note(a, at, pkt.ipLen);
    reason = answers.reasonAt(a, at) as DropReason;
  } else {
    const isSure = decide(pkt, t, sender, receiver, to, own);
    reason = admission.reasonOf(pkt.egressVerdict);
    if (reason === DropReason.NONE) reason = admission.reasonOf(pkt.ingressVerdict);
    if (isSure && receiver !== UNKNOWN && !admission.isWithinLink(pkt.key, to)) {
      if (!answers.isSettled(a, at)) answers.settle(a, t.policyHits, nowSec);
      answers.keep(a, at, pkt.key, to, from, ends, pkt.egressVerdict, pkt.ingressVerdict, reason);
      answers.note(a, at, pkt.ipLen);
    } else count(pkt, t, nowSec);
  }
  return reason === DropReason.NONE ? NEXT : drop(pkt, t, reason);
}

/** Both verdicts, the second only where the first lets it pass. False: the next packet may hear another. */
function decide(
  pkt: Packet,
  t: Tables,
  sender: number,
  receiver: number,
  to: Int32Array,
  own: boolean,
): boolean {
  const isDirect = pkt.nat === 0;
  const egress = admission.egressVerdict(t, sender, receiver, to, isDirect);
  pkt.egressVerdict = egress;
  if (admission.reasonOf(egress) !== DropReason.NONE) return egress !== NOT_READY;
  const ingress =
    receiver === UNKNOWN && t.config.guard.policyCloses !== 0
      ? NOT_READY
      : admission.ingressVerdict(t, sender, receiver, pkt.key, to, isDirect, own);
  pkt.ingressVerdict = ingress;
  return ingress !== NOT_READY;
}

/** Verdicts that no row answers for. NOT_READY is none. */
function count(pkt: Packet, t: Tables, nowSec: number): void {
  const { egressVerdict, ingressVerdict } = pkt;
  if (egressVerdict !== NOT_READY) hits.count(t.policyHits, egressVerdict, 1, pkt.ipLen, nowSec);
  if (ingressVerdict !== NOT_READY) hits.count(t.policyHits, ingressVerdict, 1, pkt.ipLen, nowSec);
}

/**
 * Port of the pod that the packet is going to, or -1. On the bridge that is whoever has the MAC address, whatever the
 * destination says; where nobody has it, the pod whose address it is: all others ignore the frame. Where that is
 * nobody, either, it may be a pod that is still to come: what is let through now would be a known connection then.
 */
function podPort(pkt: Packet, t: Tables, nowSec: number): number {
  if (pkt.bridged !== Way.BRIDGED) return pkt.station < 0 ? -1 : t.stations.port[pkt.station];
  const port = podWithMac(pkt, t, nowSec);
  if (port >= 0) return port;
  const k = pkt.key;
  const station = neighbor.find(t.stations, k[DST0], k[DST1], k[DST2], k[DST3]);
  return station < 0 ? UNKNOWN : t.stations.port[station];
}

function hasRule(pkt: Packet, t: Tables): boolean {
  if (pkt.route >= 0 && t.routes.kind[pkt.route] === LOCAL) return false;
  return invalid.isHeldBack(pkt, t);
}

/** UDP to the VXLAN port, or IP in IP, from a pod to where nodes are: this one, the fabric, a VTEP behind a router. */
function isTunnel(pkt: Packet, t: Tables): boolean {
  const { guard, tunnel } = t.config;
  const proto = pkt.proto;
  if (guard.antiSpoofing === 0 || t.ports.role[pkt.inPort] !== POD || pkt.fromTunnel !== 0) return false;
  const to = pkt.nat !== 0 ? pkt.to : pkt.key;
  if (proto === UDP) {
    if (tunnel.on === 0 || tuple.destinationPort(to) !== tunnel.port) return false;
  } else if (proto !== IPIP && proto !== IPV6_IN_IP) return false;
  if (pkt.bridged === Way.BRIDGED || pkt.route < 0) return false;
  const kind = t.routes.kind[pkt.route];
  if (kind === LOCAL || kind === ONLINK) return true;
  return kind === GATEWAY && vteps.findByOuter(t.vteps, to[DST0], to[DST1], to[DST2], to[DST3]) >= 0;
}
