/**
 * Stage `hold-connection` (userspace mode; kube-proxy: the client's socket that waits while an endpoint is dialled). Of a
 * new connection to a service it keeps what the client sent, as it came, until the endpoint has answered. A packet that
 * found no way to its endpoint is kept for the next one, and its sender hears nothing of that. Writes
 * pending-connections; what cannot be kept goes on without a second chance.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import { Event } from "../../counters.ts";
import { DropReason } from "../../drop-reason.ts";
import { IcmpRequest, requestIcmp } from "../../packet/icmp-request.ts";
import type { Packet } from "../../packet/packet.ts";
import * as pending from "../../table/service/pending-connections.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { HoldDetail } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { TCP, UDP } = Protocol;

const { NEXT } = Verdict;
const FLAGS = tcp.FLAG_SYN | tcp.FLAG_ACK | tcp.FLAG_RST | tcp.FLAG_FIN;
const { UNREACHABLE } = pending.Reason;

/** `verdict` is what became of the packet since an endpoint was chosen: NEXT or DROP. A drop that is kept is CONSUMED. */
export function holdConnection(pkt: Packet, t: Tables, verdict: Verdict, nowMs: number): Verdict {
  const p = t.pending;
  if (pkt.ctSlot >= 0) {
    const former = pending.entryOf(p, pkt.ctSlot); // the slot was another connection's before
    if (former >= 0) pending.close(p, former);
  }
  if (!services.isService(t.services, pkt.endpoint) || (verdict !== NEXT && !hasNoWay(pkt.dropReason)))
    return verdict;
  const e = pkt.pending >= 0 ? pkt.pending : keep(pkt, t);
  if (e < 0) return verdict;
  p.endpoint[e] = pkt.endpoint;
  const attempt = p.attempt[e];
  const { stage } = pkt;
  pkt.stage = StageId.HOLD_CONNECTION;
  if (verdict === NEXT) {
    pkt.acted = 1;
    pkt.detail[HoldDetail.ATTEMPT] = attempt;
    pending.attach(p, e, pkt.ctSlot);
    pending.schedule(p, e, pkt.proto === TCP ? attempt - 1 : pending.LONGEST, nowMs);
    return NEXT;
  }
  if (attempt >= pending.ATTEMPTS) {
    pkt.stage = stage;
    if (pkt.proto === TCP) requestIcmp(pkt, IcmpRequest.TCP_RESET);
    return verdict;
  }
  p.reason[e] = UNREACHABLE;
  pending.schedule(p, e, pending.AT_ONCE, nowMs);
  requestIcmp(pkt, IcmpRequest.NONE);
  return Verdict.CONSUMED;
}

/** A dial would have failed at once. */
function hasNoWay(reason: number): boolean {
  return (
    reason === DropReason.NO_ROUTE ||
    reason === DropReason.NEIGHBOR_FAILED ||
    reason === DropReason.ROUTE_UNREACHABLE ||
    reason === DropReason.ROUTE_BLACKHOLE
  );
}

/** The new entry, or -1: no packet that opens a connection, or none that can be kept. */
function keep(pkt: Packet, t: Tables): number {
  const isTcp = pkt.proto === TCP;
  if (isTcp ? (pkt.tcpFlags & FLAGS) !== tcp.FLAG_SYN : pkt.proto !== UDP) return -1;
  const p = t.pending;
  // Superframes and reassembled datagrams are more than bytes; they are rare at a beginning.
  const isPlain = pkt.gsoSize === 0 && pkt.fragMax === 0;
  const e = isPlain ? pending.open(p, pkt.key) : -1;
  if (e >= 0) {
    const from = pkt.off - vnet.HEADER_LEN;
    if (pending.append(p, e, pkt.bytes, from, pkt.end - from)) {
      p.inPort[e] = pkt.inPort;
      p.fromTunnel[e] = pkt.fromTunnel;
      if (isTcp) rememberSequence(pkt, t, e);
      return e;
    }
    pending.close(p, e);
  }
  t.counters.events[Event.RETRY_NOT_HELD]++;
  return -1;
}

function rememberSequence(pkt: Packet, t: Tables, e: number): void {
  const seq = tcp.seq(pkt.view, pkt.l4);
  const data = pkt.end - pkt.l4 - tcp.headerLen(pkt.view, pkt.l4);
  t.pending.seq[e] = seq;
  t.pending.seqEnd[e] = (seq + 1 + data) | 0;
}
