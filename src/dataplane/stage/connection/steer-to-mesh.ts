/**
 * Stage `steer-to-mesh` (Istio's and Linux' TPROXY): what begins a TCP connection that is the mesh's goes to the node's
 * proxy, and with it all that its client sends (packet/mesh.ts). That is what a pod of the mesh sends to a service, where
 * the endpoint that was chosen is of the mesh, too; and whatever anybody else sends to a pod of this node that is, since
 * policies of the mesh have to see it. Not: what the node itself sends, whose probes are no business of the mesh's; what
 * the proxy sends; what a pod sends to itself.
 *
 * It comes by the proxy, so it is not masqueraded. While the proxy is not ready the connection is refused, or goes on
 * without it where `mesh.whenAway` says so. Reads `mesh` of the configuration, `meshMembers` and stations; drops what is
 * refused.
 */
import { Protocol } from "../../../base/protocols.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import * as admission from "../../packet/admission.ts";
import { IcmpRequest, requestIcmp } from "../../packet/icmp-request.ts";
import * as mesh from "../../packet/mesh.ts";
import { CtState, Masquerade, type Packet } from "../../packet/packet.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as members from "../../table/mesh-members.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { MeshDetail, MeshWay } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { TCP } = Protocol;
const { SRC0, DST0 } = tuple.TupleWord;
const { NEXT } = Verdict;
const { OUTBOUND, INBOUND } = MeshWay;
const NOT_OURS = 0;

export function steerToMesh(pkt: Packet, t: Tables): Verdict {
  if (pkt.proto !== TCP || pkt.ctState !== CtState.NEW || pkt.expected >= 0) return NEXT;
  const { events } = t.counters;
  if (mesh.isOpenedByProxy(pkt.key)) {
    events[Event.MESH_DELIVERED]++;
    return NEXT;
  }
  const way = wayOf(pkt, t);
  if (way === NOT_OURS) return NEXT;
  pkt.stage = StageId.STEER_TO_MESH;
  if (t.config.mesh.ready === 0 || !mesh.lead(pkt, t)) return withoutProxy(pkt, t);
  events[way === OUTBOUND ? Event.MESH_OUTBOUND : Event.MESH_INBOUND]++;
  pkt.masquerade = Masquerade.NONE;
  pkt.acted = 1;
  pkt.detail[MeshDetail.WAY] = way;
  return NEXT;
}

function wayOf(pkt: Packet, t: Tables): number {
  const { key } = pkt;
  const to = pkt.nat !== 0 ? pkt.to : key;
  if (!members.has(t.meshMembers, to, DST0) || sameEnds(key, to)) return NOT_OURS;
  if (admission.isOwn(pkt, t) || mesh.isByProxy(pkt, t)) return NOT_OURS;
  if (services.isService(t.services, pkt.endpoint) && isOfMesh(pkt, t)) return OUTBOUND;
  return mesh.portOfPod(t, to) >= 0 ? INBOUND : NOT_OURS;
}

function isOfMesh(pkt: Packet, t: Tables): boolean {
  return admission.senderOf(pkt, t) >= 0 && members.has(t.meshMembers, pkt.key, SRC0);
}

function sameEnds(key: Int32Array, to: Int32Array): boolean {
  for (let i = 0; i < 4; i++) if (key[SRC0 + i] !== to[DST0 + i]) return false;
  return true;
}

/** The client is told at once; not while an agent begins, for the proxy's port may be still to come. */
function withoutProxy(pkt: Packet, t: Tables): Verdict {
  if (t.config.mesh.bypass !== 0) {
    t.counters.events[Event.MESH_BYPASSED]++;
    return NEXT;
  }
  if (t.isSettling === 0) requestIcmp(pkt, IcmpRequest.TCP_RESET);
  return drop(pkt, t, DropReason.MESH_PROXY_AWAY);
}
