/**
 * Stage `reassemble` (Linux: nf_defrag_ipv4). Fragments wait until their datagram is whole; then it goes on as one
 * packet, so that NAT and policy see its ports, and `output` cuts it again. Reads IPv4, writes `fragments` and the
 * queue's slot. Drops: overlaps, impossible lengths, too many datagrams at once.
 *
 * In the slot the payload always begins at the same place, behind room for the longest header, since the first
 * fragment, whose header the datagram gets, may come last.
 */
import * as eth from "../../wire/ethernet.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as vnet from "../../wire/virtio-net.ts";
import { completeChecksum } from "../complete-checksum.ts";
import { Event } from "../counters.ts";
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import type { Packet } from "../packet.ts";
import * as pool from "../slot-pool.ts";
import * as fragments from "../table/fragments.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";

const { NEXT, CONSUMED } = Verdict;
const { Status, Flag } = fragments;
const HEADER_ROOM = eth.HEADER_LEN + 60; // the longest IPv4 header
/** Bytes before the payload where the first fragment's header length is kept: in the slot's headroom. */
const HEADER_LEN_AT = HEADER_ROOM + 16;

export function reassemble(pkt: Packet, t: Tables, nowSec: number): Verdict {
  if (pkt.fragment === 0 || pkt.family !== 4) return NEXT;
  const view = pkt.view;
  const id = ipv4.id(view, pkt.l3);
  let queue = fragments.find(t.fragments, pkt.key, id, pkt.proto);
  if (queue < 0) {
    queue = openQueue(pkt, t, id, nowSec);
    if (queue < 0) return drop(pkt, t, DropReason.FRAGMENT_QUEUE_FULL);
  }
  if (pkt.csumPartial !== 0) completeChecksum(pkt, t);
  const headerLen = ipv4.headerLen(view, pkt.l3);
  const offset = ipv4.fragOffset(view, pkt.l3);
  const len = pkt.ipLen - headerLen;
  let flags = (ipv4.tos(view, pkt.l3) & 3) << fragments.ECN_SHIFT;
  if (ipv4.moreFragments(view, pkt.l3)) flags |= Flag.MORE;
  if (ipv4.dontFragment(view, pkt.l3)) flags |= Flag.DONT_FRAGMENT;
  const status = fragments.store(t.fragments, queue, offset, len, flags, pkt.ipLen);
  if (fragments.isFatal(status)) {
    pool.release(t.pool, fragments.close(t.fragments, queue));
    return drop(pkt, t, DropReason.FRAGMENT_OVERLAP);
  }
  if (status === Status.DUPLICATE) return CONSUMED;
  if (status === Status.BAD_LENGTH) return drop(pkt, t, DropReason.FRAGMENT_BAD_LENGTH);
  if (status === Status.TOO_BIG) return drop(pkt, t, DropReason.FRAGMENT_TOO_BIG);
  const base = pool.frameOffset(t.fragments.arenaSlot[queue]) + HEADER_ROOM;
  t.arena.copyWithin(base + offset, pkt.l4, pkt.l4 + len);
  if (offset === 0) {
    // The first fragment's link and IP headers, so that they end where the payload begins.
    view.setUint8(base - HEADER_LEN_AT, headerLen);
    t.arena.copyWithin(base - headerLen - eth.HEADER_LEN, pkt.off, pkt.off + eth.HEADER_LEN + headerLen);
  }
  if (status !== Status.COMPLETE) return CONSUMED;
  return complete(pkt, t, queue, base);
}

function openQueue(pkt: Packet, t: Tables, id: number, nowSec: number): number {
  let slot = pool.acquireToKeep(t.pool);
  if (slot < 0) {
    const oldest = fragments.oldest(t.fragments);
    if (oldest < 0) return -1;
    slot = fragments.close(t.fragments, oldest);
    t.counters.drops[DropReason.FRAGMENT_QUEUE_FULL]++;
  }
  let queue = fragments.open(t.fragments, pkt.key, id, pkt.proto, slot, nowSec);
  if (queue >= 0) return queue;
  const oldest = fragments.oldest(t.fragments);
  if (oldest >= 0) {
    pool.release(t.pool, fragments.close(t.fragments, oldest));
    t.counters.drops[DropReason.FRAGMENT_QUEUE_FULL]++;
    queue = fragments.open(t.fragments, pkt.key, id, pkt.proto, slot, nowSec);
  }
  if (queue < 0) pool.release(t.pool, slot);
  return queue;
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
  const slot = fragments.close(f, queue);
  const headerLen = view.getUint8(base - HEADER_LEN_AT);
  const l3 = base - headerLen;
  pkt.off = l3 - eth.HEADER_LEN;
  pkt.l3 = l3;
  pkt.l4 = base;
  pkt.end = base + payload;
  pkt.slot = slot;
  pkt.ipLen = headerLen + payload;
  if (pkt.ipLen > 65_535) return drop(pkt, t, DropReason.FRAGMENT_TOO_BIG);
  vnet.clear(view, pkt.off - vnet.HEADER_LEN);
  ipv4.setTotalLen(view, l3, pkt.ipLen);
  if (congested) ipv4.setTos(view, l3, ipv4.tos(view, l3) | 3);
  ipv4.setFlagsFragment(view, l3, dontFragment ? ipv4.FLAG_DF : 0);
  ipv4.computeChecksum(view, l3);
  pkt.fragment = 0;
  pkt.fragMax = fragMax;
  pkt.csumPartial = 0;
  pkt.gsoType = 0;
  t.counters.events[Event.REASSEMBLED]++;
  return NEXT;
}
