/**
 * Stage `reassemble` (Linux: nf_defrag_ipv4, nf_defrag_ipv6). Fragments wait until their datagram is whole; then it
 * goes on as one packet, so that NAT and policy see its ports, and `output` cuts it again. Reads IPv4 and IPv6, writes
 * `fragments` and the queue's slot. Drops: overlaps, impossible lengths, too many datagrams at once.
 *
 * In the slot the payload always begins at the same place, behind room for the longest header, since the first
 * fragment, whose header the datagram gets, may come last. What IPv6 calls the unfragmentable part is that header.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { UNKNOWN } from "../../packet/frame-sum.ts";
import type { Packet } from "../../packet/packet.ts";
import { completeChecksum } from "../../send/complete-checksum.ts";
import * as pool from "../../slot-pool.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as fragments from "../../table/fragments.ts";
import type { Tables } from "../../tables.ts";
import { endedLate } from "../../trace/late.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMPV6 } = Protocol;

const { META } = tuple.TupleWord;
const { V6 } = tuple.Meta;

const { NEXT, CONSUMED } = Verdict;
const { Status, Flag } = fragments;
/** The longest header there is room for. IPv4 needs 60 bytes; IPv6 has extension headers, and few of these. */
const HEADER_MAX = 256;
const HEADER_ROOM = eth.HEADER_LEN + HEADER_MAX;
/** Bytes before the payload where the first fragment's header length is kept: in the slot's headroom. */
const HEADER_LEN_AT = HEADER_ROOM + 16;

/** Where the payload of a waiting datagram begins, in the slot whose frames begin at `frame`. */
export function payloadAt(frame: number): number {
  return frame + HEADER_ROOM;
}

/** Bytes of IP header of the first fragment that waits before `payload`; it has come. */
export function headerLenAt(view: DataView, payload: number): number {
  return view.getUint16(payload - HEADER_LEN_AT);
}

export function reassemble(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.REASSEMBLE;
  if (pkt.fragment === 0) return NEXT;
  const view = pkt.view;
  const isV4 = pkt.family === 4;
  const headerLen = isV4 ? ipv4.headerLen(view, pkt.l3) : pkt.l4 - pkt.l3;
  if (headerLen > HEADER_MAX) return drop(pkt, t, DropReason.MALFORMED_IPV6);
  const payload = isV4 ? pkt.l4 : pkt.l4 + ipv6.FRAGMENT_HEADER_LEN;
  const id = isV4 ? ipv4.id(view, pkt.l3) : ipv6.fragId(view, pkt.l4);
  // RFC 8200 §4.5 tells datagrams apart without a protocol. One client may come by two nodes, with the same ids.
  const proto = (isV4 ? pkt.proto : 0) | tuple.zoneOf(pkt.key);
  let queue = fragments.find(t.fragments, pkt.key, id, proto);
  if (queue < 0) {
    queue = openQueue(pkt, t, id, proto, nowSec);
    if (queue < 0) return drop(pkt, t, DropReason.FRAGMENT_QUEUE_FULL);
  }
  if (t.tx.tag !== 0) tagQueue(t, queue);
  if (pkt.csumPartial !== 0) completeChecksum(pkt, t);
  const offset = isV4 ? ipv4.fragOffset(view, pkt.l3) : ipv6.fragOffset(view, pkt.l4);
  const len = pkt.end - payload;
  const status = fragments.store(t.fragments, queue, offset, len, flagsOf(pkt), pkt.ipLen);
  if (fragments.isFatal(status)) {
    pool.release(t.pool, fragments.close(t.fragments, queue));
    return drop(pkt, t, DropReason.FRAGMENT_OVERLAP);
  }
  if (status === Status.DUPLICATE) return CONSUMED;
  if (status === Status.BAD_LENGTH) return drop(pkt, t, DropReason.FRAGMENT_BAD_LENGTH);
  if (status === Status.TOO_BIG) return drop(pkt, t, DropReason.FRAGMENT_TOO_BIG);
  const base = payloadAt(pool.frameOffset(t.fragments.arenaSlot[queue]));
  t.arena.copyWithin(base + offset, payload, payload + len);
  if (offset === 0) {
    // The first fragment's link and IP headers, so that they end where the payload begins.
    view.setUint16(base - HEADER_LEN_AT, headerLen);
    if (!isV4) view.setUint8(ipv6.nextHeaderField(view, pkt.l3, pkt.l4), ipv6.fragNextHeader(view, pkt.l4));
    t.arena.copyWithin(base - headerLen - eth.HEADER_LEN, pkt.off, pkt.off + eth.HEADER_LEN + headerLen);
  }
  if (status !== Status.COMPLETE) return CONSUMED;
  return complete(pkt, t, queue, base);
}

/** What the table wants to know of this fragment: more to come, not to be cut, congestion. */
function flagsOf(pkt: Packet): number {
  const view = pkt.view;
  if (pkt.family === 6) {
    const ecn = (ipv6.trafficClass(view, pkt.l3) & 3) << fragments.ECN_SHIFT;
    return ipv6.fragMore(view, pkt.l4) ? ecn | Flag.MORE : ecn;
  }
  let flags = (ipv4.tos(view, pkt.l3) & 3) << fragments.ECN_SHIFT;
  if (ipv4.moreFragments(view, pkt.l3)) flags |= Flag.MORE;
  if (ipv4.dontFragment(view, pkt.l3)) flags |= Flag.DONT_FRAGMENT;
  return flags;
}

function openQueue(pkt: Packet, t: Tables, id: number, proto: number, nowSec: number): number {
  let slot = pool.acquireToKeep(t.pool);
  if (slot < 0) {
    const oldest = fragments.oldest(t.fragments);
    if (oldest < 0) return -1;
    slot = giveUp(t, oldest);
  }
  t.pool.tags[slot] = 0;
  let queue = fragments.open(t.fragments, pkt.key, id, proto, slot, nowSec);
  if (queue >= 0) return queue;
  const oldest = fragments.oldest(t.fragments);
  if (oldest >= 0) {
    pool.release(t.pool, giveUp(t, oldest));
    queue = fragments.open(t.fragments, pkt.key, id, proto, slot, nowSec);
  }
  if (queue < 0) pool.release(t.pool, slot);
  return queue;
}

/** Of a datagram the first traced fragment stands for all. */
function tagQueue(t: Tables, queue: number): void {
  const slot = t.fragments.arenaSlot[queue];
  if (t.pool.tags[slot] === 0) t.pool.tags[slot] = t.tx.tag;
}

/** A datagram has to make room. Returns its slot. */
function giveUp(t: Tables, queue: number): number {
  const slot = fragments.close(t.fragments, queue);
  t.counters.drops[DropReason.FRAGMENT_QUEUE_FULL]++;
  const tag = t.pool.tags[slot];
  const reason = DropReason.FRAGMENT_QUEUE_FULL;
  if (tag !== 0) endedLate(t.watchers, t.counters, tag, StageId.REASSEMBLE, Verdict.DROP, reason, -1);
  return slot;
}

/** The datagram is whole: `pkt` becomes it. */
function complete(pkt: Packet, t: Tables, queue: number, base: number): Verdict {
  const view = pkt.view;
  const f = t.fragments;
  const payload = f.totalLen[queue];
  const fragMax = f.fragmentMax[queue];
  const dontFragment = f.dontFragment[queue] !== 0;
  // RFC 3168 §5.3: one congested piece marks the whole, unless a piece says that its sender knows no ECN.
  const congested = (f.ecnSeen[queue] & 0b1001) === 0b1000;
  const id = f.id[queue];
  const slot = fragments.close(f, queue);
  const headerLen = headerLenAt(view, base);
  const l3 = base - headerLen;
  pkt.off = l3 - eth.HEADER_LEN;
  pkt.l3 = l3;
  pkt.l4 = base;
  pkt.end = base + payload;
  pkt.slot = slot;
  pkt.ipLen = headerLen + payload;
  if (pkt.ipLen > (pkt.family === 4 ? 65_535 : 65_535 + ipv6.HEADER_LEN)) {
    return drop(pkt, t, DropReason.FRAGMENT_TOO_BIG);
  }
  vnet.clear(view, pkt.off - vnet.HEADER_LEN);
  pkt.fragment = 0;
  pkt.fragMax = fragMax;
  pkt.csumPartial = 0;
  pkt.csumValid = 0; // each piece may have been said to be right: of no sum that covers the whole
  pkt.frameSum = UNKNOWN; // the last piece's
  pkt.gsoType = 0;
  t.counters.events[Event.REASSEMBLED]++;
  if (pkt.family === 6) return completeV6(pkt, t, id, congested);
  pkt.options = headerLen > ipv4.HEADER_LEN_MIN ? 1 : 0; // the first fragment's, whichever came last
  ipv4.setTotalLen(view, l3, pkt.ipLen);
  if (congested) ipv4.setTos(view, l3, ipv4.tos(view, l3) | 3);
  ipv4.setFlagsFragment(view, l3, dontFragment ? ipv4.FLAG_DF : 0);
  ipv4.computeChecksum(view, l3);
  return NEXT;
}

/** Only now the upper layer can be found: headers may have been cut through as well. */
function completeV6(pkt: Packet, t: Tables, id: number, congested: boolean): Verdict {
  const view = pkt.view;
  const l3 = pkt.l3;
  pkt.fragId = id;
  pkt.fragHeader = pkt.l4 - l3;
  ipv6.setPayloadLen(view, l3, pkt.ipLen - ipv6.HEADER_LEN);
  if (congested) ipv6.setTrafficClass(view, l3, ipv6.trafficClass(view, l3) | 3);
  const upper = ipv6.findUpperLayer(view, l3, pkt.end);
  if (upper < 0 || ipv6.upperLayerProto(upper) === ipv6.PROTO_FRAGMENT) {
    return drop(pkt, t, DropReason.MALFORMED_IPV6);
  }
  pkt.l4 = ipv6.upperLayerOffset(l3, upper);
  pkt.proto = ipv6.upperLayerProto(upper);
  pkt.key[META] = tuple.zoneOf(pkt.key) | V6 | pkt.proto;
  // RFC 6980: neighbour discovery never comes in pieces; whoever looks for it has looked at them already.
  if (pkt.proto === ICMPV6 && icmpv6.isNeighborDiscovery(view.getUint8(pkt.l4))) {
    return drop(pkt, t, DropReason.MALFORMED_ND);
  }
  return NEXT;
}
