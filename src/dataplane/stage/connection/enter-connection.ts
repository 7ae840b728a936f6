/**
 * Stage `enter-connection` (Linux: __nf_conntrack_confirm). Enters a new connection into conntrack: its original tuple
 * as the packet came, its answers' as `masquerade` found it free, what was decided for it, and what its protocol
 * remembers of a first packet. One insertion, before the packet leaves and with no other packet between the search and
 * it: the two races of the kernel (DNS A/AAAA, parallel SNAT) cannot occur. Drop: table full.
 */
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { countForScheduler } from "../../packet/count-for-scheduler.ts";
import { noteVia } from "../../packet/kept-client.ts";
import * as mesh from "../../packet/mesh.ts";
import { isNewConnection, type Packet } from "../../packet/packet.ts";
import { startHelper } from "../../packet/start-helper.ts";
import * as trackers from "../../protocol/trackers.ts";
import * as connectionRules from "../../table/connection/connection-rules.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { EventType } from "../../table/connection/event-ring.ts";
import * as expectations from "../../table/connection/expectations.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { SRC0, DST0, PORTS } = tuple.TupleWord;
const { NEXT } = Verdict;
const { Status } = conntrack;

export function enterConnection(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.ENTER_CONNECTION;
  if (!isNewConnection(pkt)) return NEXT;
  const ct = t.conntrack;
  const slot = conntrack.insert(ct, pkt.key, t.scratch.reply, nowSec);
  if (slot < 0) return drop(pkt, t, DropReason.CT_TABLE_FULL);
  const ofProxy = mesh.statusOf(pkt);
  const origin = ofProxy === 0 ? originOf(pkt, t, slot) : ofProxy; // no helper reads what a proxy carries
  ct.status[slot << 4] |= translationOf(pkt.key, pkt.to) | origin | noteVia(pkt, t, slot);
  noteDecision(pkt, t, slot);
  trackers.begin(pkt, t, slot, nowSec);
  countForScheduler(pkt, t, slot);
  conntrack.account(ct, slot << 1, pkt.ipLen);
  if (ct.header[conntrack.H_EVENT_READERS] !== 0) conntrack.tell(ct, EventType.NEW, slot);
  t.counters.events[Event.CT_CREATED]++;
  pkt.ctSlot = slot;
  pkt.ctDir = 0;
  return NEXT;
}

/** Which ends of the packet leave as others than they came. */
function translationOf(key: Int32Array, to: Int32Array): number {
  let status = 0;
  for (let i = 0; i < 4; i++) {
    if (key[SRC0 + i] !== to[SRC0 + i]) status |= Status.SRC_NAT;
    if (key[DST0 + i] !== to[DST0 + i]) status |= Status.DST_NAT;
  }
  if (((key[PORTS] ^ to[PORTS]) & ~0xffff) !== 0) status |= Status.SRC_NAT;
  if (((key[PORTS] ^ to[PORTS]) & 0xffff) !== 0) status |= Status.DST_NAT;
  return status;
}

/** Another connection announced it, or it may announce others itself. */
function originOf(pkt: Packet, t: Tables, slot: number): number {
  if (pkt.expected < 0) return startHelper(pkt, t, slot);
  expectations.remove(t.expectations, pkt.expected);
  return Status.RELATED;
}

/** What let the connection in and led it where it goes: whoever changes that later finds it by these columns. */
function noteDecision(pkt: Packet, t: Tables, slot: number): void {
  const ct = t.conntrack;
  const s = t.services;
  if (services.isService(s, pkt.endpoint)) ct.status[slot << 4] |= Status.SERVED;
  ct.endpoint[slot << 4] = pkt.endpoint >= 0 ? s.epId[pkt.endpoint] : conntrack.withoutEndpoint(s.epoch[0]);
  ct.service[slot << 1] = pkt.frontend >= 0 ? s.service[pkt.frontend] : -1;
  if (t.rulesKept === 0) return;
  connectionRules.set(t.connectionRules, slot, pkt.egressVerdict, pkt.ingressVerdict, t.policy.epoch);
}
