/**
 * Stage `reset-removed` (an extension, `dataplane.resetRemovedEndpoints`; kube-proxy leaves such connections alone). A
 * TCP segment of a client whose endpoint is no longer one of its service is answered with a reset, so that the client
 * connects anew instead of waiting for its own time-out. Reads conntrack and services; drops the segment.
 */
import { Protocol } from "../../../base/protocols.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { IcmpRequest, requestIcmp } from "../../packet/icmp-request.ts";
import type { Packet } from "../../packet/packet.ts";
import * as ctTcp from "../../table/connection/conntrack-tcp.ts";
import * as identities from "../../table/service/identities.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { TCP } = Protocol;

export function resetRemoved(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.RESET_REMOVED;
  if (pkt.proto !== TCP || pkt.ctDir !== 0) return Verdict.NEXT;
  const endpoint = t.conntrack.endpoint[pkt.ctSlot << 4];
  if (endpoint < 0 || identities.isAlive(t.services.ids, endpoint)) return Verdict.NEXT;
  // Kept for a little while: should the reset get lost, the next segment gets another.
  ctTcp.close(t.conntrack, pkt.ctSlot, nowSec);
  requestIcmp(pkt, IcmpRequest.TCP_RESET);
  return drop(pkt, t, DropReason.SERVICE_ENDPOINT_REMOVED);
}
