/**
 * Stage `answer-arp` (Linux: arp_process). Answers for the gateway, for every address of the node, towards the fabric
 * for load balancers that this node announces, and – towards host0 – for everything, since the node's own stack reaches
 * the world through us (proxy ARP). Learns neighbours of the fabric from what they say. What is asked of another pod
 * goes on: the bridge floods it.
 * Reads ARP, writes `fabric`. Drops: malformed messages, and answers nobody here asked for.
 */
import * as arp from "../../../wire/link/arp.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import type { Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { sendWaiting } from "../../send/link.ts";
import { enqueue } from "../../send/tx-queue.ts";
import * as pool from "../../slot-pool.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as neighbor from "../../table/neighbor.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { NeighborDetail as Detail } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { NEXT, CONSUMED } = Verdict;
const { POD, HOST, UPLINK } = PortRole;
const { CREATE, OVERRIDE, SOLICITED } = neighbor.Confirm;
const V4_MAPPED = 0xffff;
const FAMILY_4 = 4 << 8; // of a frontend that stands for a whole address
const FRAME_LEN = eth.HEADER_LEN + arp.HEADER_LEN;
/** 169.254.1.1, the next hop that host0 and /32 pods are given: nobody's address, always answered. */
const LINK_LOCAL_GATEWAY = 0xa9fe0101 | 0;

export function answerArp(pkt: Packet, t: Tables, nowMs: number): Verdict {
  if (pkt.etherType !== eth.ETHERTYPE_ARP || pkt.l3 - pkt.off !== eth.HEADER_LEN) return NEXT;
  pkt.stage = StageId.ANSWER_ARP;
  const view = pkt.view;
  const at = pkt.l3;
  if (!arp.isWellFormed(view, at, pkt.end)) return drop(pkt, t, DropReason.MALFORMED_ARP);
  const role = t.ports.role[pkt.inPort];
  const sender = arp.senderIp(view, at);
  const target = arp.targetIp(view, at);
  const isRequest = arp.op(view, at) === arp.OP_REQUEST;
  describe(pkt, isRequest, target);
  if (role === UPLINK) {
    const local = localAddresses.has(t.addresses.local, 0, 0, 0xffff, target);
    const service = !local && (isAnnounced(t, target) || isService(t, target));
    learnNeighbor(pkt, t, sender, isRequest, local || service, nowMs);
    const ours = service || (local && t.config.router.shared === 0); // of a shared uplink the kernel answers
    if (isRequest && ours && sender !== target)
      return reply(pkt, t, t.ports.macHi[pkt.inPort], t.ports.macLo[pkt.inPort]);
    return CONSUMED;
  }
  if (role === HOST) return answerHost(pkt, t, sender, target, isRequest);
  if (role === POD && isRequest && sender !== target) {
    if (target === LINK_LOCAL_GATEWAY || localAddresses.has(t.addresses.local, 0, 0, 0xffff, target)) {
      return reply(pkt, t, t.config.router.macHi, t.config.router.macLo);
    }
  }
  return NEXT;
}

/** What was asked, for a trace. */
function describe(pkt: Packet, isRequest: boolean, target: number): void {
  pkt.acted = 1;
  pkt.detail[Detail.ANSWERED] = 0;
  pkt.detail[Detail.IS_REQUEST] = isRequest ? 1 : 0;
  pkt.detail[Detail.TARGET] = 0;
  pkt.detail[Detail.TARGET + 1] = 0;
  pkt.detail[Detail.TARGET + 2] = V4_MAPPED;
  pkt.detail[Detail.TARGET + 3] = target;
}

/** Whoever announces a load balancer's address answers for it, and nobody else. */
function isAnnounced(t: Tables, target: number): boolean {
  return localAddresses.has(t.addresses.announced, 0, 0, V4_MAPPED, target);
}

/** Addresses on kube-ipvs0 are the node's: Linux answers for them on every link, unless arp_ignore is set. */
function isService(t: Tables, target: number): boolean {
  return t.config.proxy.serviceArp !== 0 && services.find(t.services, 0, 0, 0xffff, target, 0, FAMILY_4) >= 0;
}

function learnNeighbor(
  pkt: Packet,
  t: Tables,
  sender: number,
  isRequest: boolean,
  ours: boolean,
  nowMs: number,
): void {
  if (sender === 0 || localAddresses.has(t.addresses.local, 0, 0, 0xffff, sender)) return;
  const view = pkt.view;
  let flags: number = OVERRIDE;
  if (!isRequest) flags = OVERRIDE | SOLICITED;
  else if (ours) flags = OVERRIDE | CREATE; // somebody asks for us: he will want an answer soon
  const hi = arp.senderHi(view, pkt.l3);
  const lo = arp.senderLo(view, pkt.l3);
  const slot = neighbor.confirm(t.fabric, 0, 0, 0xffff, sender, hi, lo, nowMs, flags);
  if (slot >= 0 && neighbor.isUsable(t.fabric, slot)) sendWaiting(t, slot);
}

function answerHost(pkt: Packet, t: Tables, sender: number, target: number, isRequest: boolean): Verdict {
  const uplink = t.config.router.uplinkPort;
  if (isRequest && sender === target && uplink >= 0 && t.config.router.shared === 0) {
    // A gratuitous announcement of the node's address: the fabric shall hear it.
    enqueue(t.tx, uplink, pkt.off, pkt.end - pkt.off, pkt.slot);
    pkt.slot = -1;
    return Verdict.FORWARD;
  }
  if (isRequest && sender !== 0 && !localAddresses.has(t.addresses.local, 0, 0, 0xffff, target)) {
    return reply(pkt, t, t.config.router.macHi, t.config.router.macLo);
  }
  return CONSUMED;
}

/** Sends the answer "`target` is at hi:lo" back out of the ingress port, in a slot of its own. */
function reply(pkt: Packet, t: Tables, hi: number, lo: number): Verdict {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return drop(pkt, t, DropReason.NO_SLOT);
  const view = pkt.view;
  const at = pkt.l3;
  const off = pool.frameOffset(slot);
  const askerHi = arp.senderHi(view, at);
  const askerLo = arp.senderLo(view, at);
  vnet.clear(view, off - vnet.HEADER_LEN);
  eth.emit(view, off, askerHi, askerLo, hi, lo, eth.ETHERTYPE_ARP);
  arp.emit(
    view,
    off + eth.HEADER_LEN,
    arp.OP_REPLY,
    hi,
    lo,
    arp.targetIp(view, at),
    askerHi,
    askerLo,
    arp.senderIp(view, at),
  );
  t.counters.events[Event.ARP_REPLIES]++;
  pkt.detail[Detail.ANSWERED] = 1;
  pkt.detail[Detail.MAC_HI] = hi;
  pkt.detail[Detail.MAC_LO] = lo;
  enqueue(t.tx, pkt.inPort, off, FRAME_LEN, slot);
  return CONSUMED;
}
