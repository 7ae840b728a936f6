/**
 * Stage `recheck-policy` (as Cilium: a policy cuts what it forbids; switched on by policy.established: recheck). A known
 * connection is asked about again by its first packet after policies, pods or their labels changed: as it was opened, by
 * the addresses of its ends after DNAT. What is denied now stays denied, in both directions, until policies say otherwise
 * or nothing has come for a while: a connection that was forgotten would come back with the next packet of the end that
 * may open connections, and the other end's would be answers. While an end is a pod of this node that is not attached
 * yet, since the agent has just started, nothing passes. Reads stations and policies, writes what the connection
 * remembers.
 */
import { Protocol } from "../../../base/protocols.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import * as admission from "../../packet/admission.ts";
import { type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { podWithMac } from "../../send/bridge.ts";
import * as connectionRules from "../../table/connection/connection-rules.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as neighbor from "../../table/neighbor.ts";
import * as policy from "../../table/policy/policy.ts";
import * as hits from "../../table/policy/policy-hits.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMP, ICMPV6 } = Protocol;

const { NEXT } = Verdict;
const { SRC0, DST0, PORTS } = tuple.TupleWord;
const { RELATED, DST_NAT } = conntrack.Status;
/** How long a connection that was cut is remembered after its last packet: TCP repeats itself within two minutes. */
const CUT_SEC = 300;

export function recheckPolicy(pkt: Packet, t: Tables, nowSec: number): Verdict {
  const slot = pkt.ctSlot;
  const { epoch } = t.policy;
  const rules = t.connectionRules;
  if (connectionRules.epochOf(rules, slot) === epoch) {
    const egress = connectionRules.egressOf(rules, slot);
    const ingress = connectionRules.ingressOf(rules, slot);
    const isDenied = admission.isDenial(egress) || admission.isDenial(ingress);
    return isDenied ? refuse(pkt, t, egress, ingress, nowSec) : NEXT;
  }
  const status = t.conntrack.status[slot << 4];
  if ((status & RELATED) !== 0) return NEXT; // as its master
  pkt.stage = StageId.RECHECK_POLICY;
  const key = t.scratch.keyA;
  loadEnds(t, slot);
  const isDirect = (status & DST_NAT) === 0;
  const sender = podPort(pkt, t, key, SRC0, nowSec);
  const receiver = podPort(pkt, t, key, DST0, nowSec);
  if (isMissing(t, key, SRC0, sender) || isMissing(t, key, DST0, receiver))
    return drop(pkt, t, DropReason.POLICY_NOT_READY);
  const egress = admission.egressVerdict(t, sender, receiver, key, isDirect);
  const own = sender < 0 && admission.isNodes(t, key);
  const ingress = admission.ingressVerdict(t, sender, receiver, key, key, isDirect, own);
  if (egress === admission.NOT_READY || ingress === admission.NOT_READY) {
    return drop(pkt, t, DropReason.POLICY_NOT_READY); // it is asked about again
  }
  connectionRules.set(rules, slot, egress, ingress, epoch);
  const isDenied = admission.isDenial(egress) || admission.isDenial(ingress);
  return isDenied ? refuse(pkt, t, egress, ingress, nowSec) : NEXT;
}

/** Its tracker has taken the packet for one of a living connection's, and has given it its time. */
function refuse(pkt: Packet, t: Tables, egress: number, ingress: number, nowSec: number): Verdict {
  pkt.stage = StageId.RECHECK_POLICY;
  const refused = admission.isDenial(egress) ? egress : ingress;
  hits.count(t.policyHits, refused, 1, pkt.ipLen, nowSec);
  t.conntrack.expiresAtSec[pkt.ctSlot << 4] = nowSec + CUT_SEC;
  pkt.egressVerdict = egress;
  pkt.ingressVerdict = ingress;
  return drop(pkt, t, admission.reasonOf(refused));
}

/** Into `keyA`: the source as it came, the destination as it was translated. */
function loadEnds(t: Tables, slot: number): void {
  const { keyA: key, keyB: reply } = t.scratch;
  conntrack.loadTuple(t.conntrack, slot << 1, key);
  conntrack.loadTuple(t.conntrack, (slot << 1) | 1, reply);
  for (let i = 0; i < 4; i++) key[DST0 + i] = reply[SRC0 + i];
  const proto = tuple.protoOf(key);
  if (proto !== ICMP && proto !== ICMPV6) key[PORTS] = (key[PORTS] & ~0xffff) | tuple.sourcePort(reply);
}

/** A pod of this node, but behind no port: who answered for it now would not be asked again. */
function isMissing(t: Tables, key: Int32Array, at: number, port: number): boolean {
  return port < 0 && policy.subjectOf(t.policy, key[at], key[at + 1], key[at + 2], key[at + 3]) >= 0;
}

/** Port of the pod that has the address, -1: none of this node. */
function podPort(pkt: Packet, t: Tables, key: Int32Array, at: number, nowSec: number): number {
  if (admission.isOfLink(key, at)) return endOnLink(pkt, t, at, nowSec);
  const station = neighbor.find(t.stations, key[at], key[at + 1], key[at + 2], key[at + 3]);
  if (station < 0) return -1;
  const port = t.stations.port[station];
  return t.ports.role[port] === PortRole.POD ? port : -1;
}

/** Of a link-local address, which no table has: on the bridge both ends are those of the frame. */
function endOnLink(pkt: Packet, t: Tables, at: number, nowSec: number): number {
  if (pkt.bridged !== Way.BRIDGED) return -1;
  return (pkt.ctDir === 0) === (at === SRC0) ? pkt.inPort : podWithMac(pkt, t, nowSec);
}
