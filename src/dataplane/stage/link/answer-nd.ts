/**
 * Stage `answer-nd` (Linux: ndisc_recv_ns, ndisc_recv_na; RFC 4861 §7). IPv6's twin of `answer-arp`: answers
 * solicitations for the gateway and every address of the node, towards the fabric for load balancers that this node
 * announces, and – towards host0 – for everything (proxy ND).
 * Learns neighbours of the fabric from what they say. What is asked of another pod goes on: the bridge floods it.
 * Probes for duplicates (RFC 4862 §5.4) are answered for our own addresses only, to everybody. No router
 * advertisements: addresses are static.
 * Reads NS and NA, writes `fabric`. Drops: malformed messages, and those that came over a router (hop limit < 255).
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as ndp from "../../../wire/ip/ndp.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { isLinkLocalOf } from "../../packet/link-local.ts";
import type { Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { sendWaiting } from "../../send/link.ts";
import { enqueue } from "../../send/tx-queue.ts";
import * as pool from "../../slot-pool.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as neighbor from "../../table/neighbor.ts";
import type { Tables } from "../../tables.ts";
import { NeighborDetail as Detail } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMPV6 } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0 } = tuple.TupleWord;

const { NEXT, CONSUMED } = Verdict;
const { HOST, UPLINK } = PortRole;
const { CREATE, OVERRIDE, SOLICITED } = neighbor.Confirm;
const HOP_LIMIT = 255;
const LINK_LOCAL = 0xfe800000 | 0; // first word of fe80::/64
const ALL_NODES = 0xff020000 | 0; //  first word of ff02::1
const ALL_NODES_MAC = 0x3333;
/** What we say of an address of our own, and of another's: we are no such router, and who knows better shall (§7.2.8). */
const OWN = ndp.NA_ROUTER | ndp.NA_OVERRIDE;
const PROXY = 0;

export function answerNd(pkt: Packet, t: Tables, nowMs: number): Verdict {
  if (pkt.proto !== ICMPV6 || pkt.family !== 6) return NEXT;
  const type = tuple.icmpType(pkt.key);
  if (type !== icmpv6.TYPE_NEIGHBOR_SOLICITATION && type !== icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT) return NEXT;
  pkt.stage = StageId.ANSWER_ND;
  if (!isSound(pkt)) return drop(pkt, t, DropReason.MALFORMED_ND);
  const role = t.ports.role[pkt.inPort];
  const isSolicitation = type === icmpv6.TYPE_NEIGHBOR_SOLICITATION;
  describe(pkt, isSolicitation);
  if (role === UPLINK) return isSolicitation ? fabricAsks(pkt, t, nowMs) : fabricTells(pkt, t, nowMs);
  if (!isSolicitation) return isMulticast(pkt.key[DST0]) || !isForGateway(pkt, t) ? NEXT : CONSUMED;
  const ours = isTargetIn(t.addresses.local, pkt);
  if (role === HOST) return hostAsks(pkt, t, ours);
  if (ours || isGatewayLink(pkt, t))
    return advertise(pkt, t, t.config.router.macHi, t.config.router.macLo, OWN);
  if (t.config.guard.antiSpoofing !== 0 && isUnspecified(pkt)) return podProbes(pkt, t);
  return isForGateway(pkt, t) ? CONSUMED : NEXT;
}

/** What was asked, for a trace. */
function describe(pkt: Packet, isSolicitation: boolean): void {
  pkt.acted = 1;
  pkt.detail[Detail.ANSWERED] = 0;
  pkt.detail[Detail.IS_REQUEST] = isSolicitation ? 1 : 0;
  for (let i = 0; i < 4; i++) pkt.detail[Detail.TARGET + i] = ndp.targetWord(pkt.view, pkt.l4, i);
}

/** RFC 4861 §7.1: what a node must check before it believes a word. */
function isSound(pkt: Packet): boolean {
  const view = pkt.view;
  const at = pkt.l4;
  if (!ndp.isWellFormed(view, at, pkt.end) || ipv6.hopLimit(view, pkt.l3) !== HOP_LIMIT) return false;
  if (isMulticast(ndp.targetWord(view, at, 0))) return false;
  if (isUnspecified(pkt) && ndp.findOption(view, at, pkt.end, ndp.OPTION_SOURCE_LINK) >= 0) return false;
  return pkt.csumPartial !== 0 || icmpv6.checksumOk(view, at, pkt.end, pkt.l3);
}

function isMulticast(word: number): boolean {
  return word >>> 24 === 0xff;
}

/** Somebody looks for duplicates: he has no address yet. */
function isUnspecified(pkt: Packet): boolean {
  return (pkt.key[SRC0] | pkt.key[SRC1] | pkt.key[SRC2] | pkt.key[SRC3]) === 0;
}

function isForGateway(pkt: Packet, t: Tables): boolean {
  const { router } = t.config;
  return eth.dstHi(pkt.view, pkt.off) === router.macHi && eth.dstLo(pkt.view, pkt.off) === router.macLo;
}

function isTargetIn(addresses: localAddresses.LocalAddresses, pkt: Packet): boolean {
  const view = pkt.view;
  const at = pkt.l4;
  const w0 = ndp.targetWord(view, at, 0);
  const w1 = ndp.targetWord(view, at, 1);
  const w2 = ndp.targetWord(view, at, 2);
  return localAddresses.has(addresses, w0, w1, w2, ndp.targetWord(view, at, 3));
}

/**
 * A pod looks for duplicates. Of an address that is not its own nobody else hears: a pod that is probing for the same
 * address at this moment would give it up (RFC 4862 §5.4.3). It is told in place of the pod that has the address.
 */
function podProbes(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const at = pkt.l4;
  const w0 = ndp.targetWord(view, at, 0);
  const w1 = ndp.targetWord(view, at, 1);
  const w2 = ndp.targetWord(view, at, 2);
  const w3 = ndp.targetWord(view, at, 3);
  if (isLinkLocalOf(t.ports.macHi[pkt.inPort], t.ports.macLo[pkt.inPort], w0, w1, w2, w3)) return NEXT;
  const slot = neighbor.find(t.stations, w0, w1, w2, w3);
  if (slot < 0) return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
  if (t.stations.port[slot] === pkt.inPort) return NEXT;
  return advertise(pkt, t, t.stations.macHi[slot], t.stations.macLo[slot], PROXY);
}

/** fe80::1, the next hop that host0 is given, and the link-local address that the gateway's MAC makes (RFC 4291). */
function isGatewayLink(pkt: Packet, t: Tables): boolean {
  const view = pkt.view;
  const at = pkt.l4;
  if (ndp.targetWord(view, at, 0) !== LINK_LOCAL || ndp.targetWord(view, at, 1) !== 0) return false;
  const w2 = ndp.targetWord(view, at, 2);
  const w3 = ndp.targetWord(view, at, 3);
  if (w2 === 0 && w3 === 1) return true;
  return isLinkLocalOf(t.config.router.macHi, t.config.router.macLo, LINK_LOCAL, 0, w2, w3);
}

/** The node's own stack reaches the world through us; its probes for duplicates go out to the fabric. */
function hostAsks(pkt: Packet, t: Tables, ours: boolean): Verdict {
  const { router } = t.config;
  if (isGatewayLink(pkt, t)) return advertise(pkt, t, router.macHi, router.macLo, OWN);
  if (isUnspecified(pkt)) return NEXT;
  return ours ? CONSUMED : advertise(pkt, t, router.macHi, router.macLo, PROXY);
}

function fabricAsks(pkt: Packet, t: Tables, nowMs: number): Verdict {
  const ours = isTargetIn(t.addresses.local, pkt) || isTargetIn(t.addresses.announced, pkt);
  const option = ndp.findOption(pkt.view, pkt.l4, pkt.end, ndp.OPTION_SOURCE_LINK);
  if (option >= 0) {
    const k = pkt.key;
    // Somebody asks for us: he will want an answer soon.
    learn(pkt, t, option, k[SRC0], k[SRC1], k[SRC2], k[SRC3], ours ? OVERRIDE | CREATE : OVERRIDE, nowMs);
  }
  if (!ours || t.config.router.shared !== 0) return CONSUMED; // of a shared uplink the kernel answers
  return advertise(pkt, t, t.ports.macHi[pkt.inPort], t.ports.macLo[pkt.inPort], OWN);
}

/** Somebody else with an address of ours: the node's own stack shall hear it. */
function fabricTells(pkt: Packet, t: Tables, nowMs: number): Verdict {
  if (isTargetIn(t.addresses.local, pkt)) return isMulticast(pkt.key[DST0]) ? NEXT : CONSUMED;
  const view = pkt.view;
  const at = pkt.l4;
  const option = ndp.findOption(view, at, pkt.end, ndp.OPTION_TARGET_LINK);
  const said = ndp.advertisementFlags(view, at);
  let flags = 0;
  if ((said & ndp.NA_OVERRIDE) !== 0) flags |= OVERRIDE;
  if ((said & ndp.NA_SOLICITED) !== 0) flags |= SOLICITED;
  const w0 = ndp.targetWord(view, at, 0);
  const w1 = ndp.targetWord(view, at, 1);
  const w2 = ndp.targetWord(view, at, 2);
  learn(pkt, t, option, w0, w1, w2, ndp.targetWord(view, at, 3), flags, nowMs);
  return CONSUMED;
}

/** Without an option (RFC 4861 §7.2.4: answers to unicast need none) the address that is known is confirmed. */
function learn(
  pkt: Packet,
  t: Tables,
  option: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  flags: number,
  nowMs: number,
): void {
  if (localAddresses.has(t.addresses.local, w0, w1, w2, w3)) return;
  const n = t.fabric;
  let slot = neighbor.find(n, w0, w1, w2, w3);
  if (option < 0 && (slot < 0 || !neighbor.isUsable(n, slot))) return;
  const hi = option < 0 ? n.macHi[slot] : ndp.linkHi(pkt.view, option);
  const lo = option < 0 ? n.macLo[slot] : ndp.linkLo(pkt.view, option);
  if (eth.isMulticast(hi)) return;
  slot = neighbor.confirm(n, w0, w1, w2, w3, hi, lo, nowMs, flags);
  if (slot >= 0 && neighbor.isUsable(n, slot)) sendWaiting(t, slot);
}

/**
 * Sends "the target is at hi:lo" back out of the ingress port; to everybody when the asker has no address. Who asked by
 * the address itself knows where it is: he is told neither a link-layer address nor to override what he has, as Linux.
 * Of an address of our own that address tells; of another's, as in Linux, one of ours.
 */
function advertise(pkt: Packet, t: Tables, hi: number, lo: number, said: number): Verdict {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return drop(pkt, t, DropReason.NO_SLOT);
  const view = pkt.view;
  const off = pool.frameOffset(slot);
  const ip = off + eth.HEADER_LEN;
  const icmp = ip + ipv6.HEADER_LEN;
  const k = pkt.key;
  const tells = isMulticast(k[DST0]);
  const len = tells ? ndp.ADVERTISEMENT_LEN + ndp.LINK_OPTION_LEN : ndp.ADVERTISEMENT_LEN;
  vnet.clear(view, off - vnet.HEADER_LEN);
  ipv6.emit(view, ip, 0, 0, len, ICMPV6, HOP_LIMIT);
  let flags = tells ? said : said & ~ndp.NA_OVERRIDE;
  if (isUnspecified(pkt)) {
    eth.emit(view, off, ALL_NODES_MAC, 1, hi, lo, eth.ETHERTYPE_IPV6);
    ipv6.setDst(view, ip, ALL_NODES, 0, 0, 1);
  } else {
    flags |= ndp.NA_SOLICITED;
    const option = ndp.findOption(view, pkt.l4, pkt.end, ndp.OPTION_SOURCE_LINK);
    const toHi = option < 0 ? eth.srcHi(view, pkt.off) : ndp.linkHi(view, option);
    const toLo = option < 0 ? eth.srcLo(view, pkt.off) : ndp.linkLo(view, option);
    eth.emit(view, off, toHi, toLo, hi, lo, eth.ETHERTYPE_IPV6);
    ipv6.setDst(view, ip, k[SRC0], k[SRC1], k[SRC2], k[SRC3]);
  }
  const t0 = ndp.targetWord(view, pkt.l4, 0);
  const t1 = ndp.targetWord(view, pkt.l4, 1);
  const t2 = ndp.targetWord(view, pkt.l4, 2);
  const t3 = ndp.targetWord(view, pkt.l4, 3);
  if (said === PROXY) {
    // Who speaks for another does so by his own address and MAC: the gateway's link-local one.
    eth.setSrc(view, off, t.config.router.macHi, t.config.router.macLo);
    ipv6.setSrc(view, ip, LINK_LOCAL, 0, 0, 1);
  } else ipv6.setSrc(view, ip, t0, t1, t2, t3);
  ndp.emitAdvertisement(view, icmp, flags, t0, t1, t2, t3);
  if (tells) ndp.emitLinkOption(view, icmp + ndp.ADVERTISEMENT_LEN, ndp.OPTION_TARGET_LINK, hi, lo);
  icmpv6.computeChecksum(view, icmp, len, ip);
  t.counters.events[Event.ND_REPLIES]++;
  pkt.detail[Detail.ANSWERED] = 1;
  pkt.detail[Detail.MAC_HI] = hi;
  pkt.detail[Detail.MAC_LO] = lo;
  enqueue(t.tx, pkt.inPort, off, eth.HEADER_LEN + ipv6.HEADER_LEN + len, slot);
  return CONSUMED;
}
