/** What the fabric's neighbour table asks for: ARP, ND, and the bad news for packets that waited in vain. */

import type { Ipv4Addr } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ndp from "../../wire/ip/ndp.ts";
import * as arp from "../../wire/link/arp.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { Event } from "../counters.ts";
import { IcmpRequest, requestIcmp } from "../packet/icmp-request.ts";
import { begin, type Packet } from "../packet/packet.ts";
import * as pool from "../slot-pool.ts";
import { translate } from "../stage/connection/translate.ts";
import { parse } from "../stage/ip/parse.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tuple from "../table/connection/tuple.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";
import { enqueue } from "./tx-queue.ts";

const { ICMPV6, TCP, UDP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, PORTS } = tuple.TupleWord;

/** fe80::/10, its first ten bits; and the first word of addresses in it. */
const LINK_LOCAL = 0x3fa;
const LINK_PREFIX = 0xfe800000 | 0;
const SOLICITATION_LEN = ndp.SOLICITATION_LEN + ndp.LINK_OPTION_LEN;

/** Asks for the neighbour in `slot`: to everybody, or to the station that was last known. */
export function sendProbe(t: Tables, slot: number, unicast: boolean): void {
  const uplink = t.config.router.uplinkPort;
  const n = t.fabric;
  if (uplink < 0) return;
  if (n.addr2[slot] !== 0xffff || (n.addr0[slot] | n.addr1[slot]) !== 0) {
    solicit(t, slot, unicast);
    return;
  }
  const mine = pool.acquire(t.pool);
  if (mine < 0) return;
  const view = t.scratch.own.view;
  const off = pool.frameOffset(mine);
  const hi = t.ports.macHi[uplink];
  const lo = t.ports.macLo[uplink];
  vnet.clear(view, off - vnet.HEADER_LEN);
  const dstHi = unicast ? n.macHi[slot] : 0xffff;
  const dstLo = unicast ? n.macLo[slot] : -1;
  eth.emit(view, off, dstHi, dstLo, hi, lo, eth.ETHERTYPE_ARP);
  const from = t.config.router.v4 as Ipv4Addr;
  const target = n.addr3[slot] as Ipv4Addr;
  arp.emit(view, off + eth.HEADER_LEN, arp.OP_REQUEST, hi, lo, from, 0, 0, target);
  t.counters.events[Event.ARP_REQUESTS]++;
  enqueue(t.tx, uplink, off, eth.HEADER_LEN + arp.HEADER_LEN, mine);
}

/** The same for IPv6 (RFC 4861 §7.2.2): to the solicited-node group, or to the station alone. */
function solicit(t: Tables, slot: number, unicast: boolean): void {
  const c = t.config.router;
  const n = t.fabric;
  const hasOwn = (c.v60 | c.v61 | c.v62 | c.v63) !== 0;
  const hasLink = (c.link2 | c.link3) !== 0;
  // As Linux: who may be reached by routes of IPv4 alone need not know a way to other addresses than those of the link.
  const fromLink = hasLink && (!hasOwn || n.addr0[slot] >>> 22 === LINK_LOCAL);
  if (!hasOwn && !hasLink) return;
  const mine = pool.acquire(t.pool);
  if (mine < 0) return;
  const uplink = c.uplinkPort;
  const view = t.scratch.own.view;
  const off = pool.frameOffset(mine);
  const ip = off + eth.HEADER_LEN;
  const icmp = ip + ipv6.HEADER_LEN;
  const hi = t.ports.macHi[uplink];
  const lo = t.ports.macLo[uplink];
  const group = (0xff << 24) | (n.addr3[slot] & 0xffffff); // last word of the solicited-node group (RFC 4291 §2.7.1)
  vnet.clear(view, off - vnet.HEADER_LEN);
  ipv6.emit(view, ip, 0, 0, SOLICITATION_LEN, ICMPV6, 255);
  if (fromLink) ipv6.setSrc(view, ip, LINK_PREFIX, 0, c.link2, c.link3);
  else ipv6.setSrc(view, ip, c.v60, c.v61, c.v62, c.v63);
  if (unicast) {
    eth.emit(view, off, n.macHi[slot], n.macLo[slot], hi, lo, eth.ETHERTYPE_IPV6);
    ipv6.setDst(view, ip, n.addr0[slot], n.addr1[slot], n.addr2[slot], n.addr3[slot]);
  } else {
    eth.emit(view, off, 0x3333, group, hi, lo, eth.ETHERTYPE_IPV6);
    ipv6.setDst(view, ip, 0xff020000 | 0, 0, 1, group);
  }
  ndp.emitSolicitation(view, icmp, n.addr0[slot], n.addr1[slot], n.addr2[slot], n.addr3[slot]);
  ndp.emitLinkOption(view, icmp + ndp.SOLICITATION_LEN, ndp.OPTION_SOURCE_LINK, hi, lo);
  icmpv6.computeChecksum(view, icmp, SOLICITATION_LEN, ip);
  t.counters.events[Event.ND_SOLICITATIONS]++;
  enqueue(t.tx, uplink, off, eth.HEADER_LEN + ipv6.HEADER_LEN + SOLICITATION_LEN, mine);
}

/** Reads a packet that waited into `outer`, for the ICMP error its sender gets. False: nobody to tell. */
export function describeWaiting(t: Tables, slot: number, len: number): boolean {
  const pkt = t.scratch.outer;
  begin(pkt, pool.frameOffset(slot), len, t.config.router.uplinkPort);
  if (parse(pkt, t) !== Verdict.NEXT || pkt.family === 0) return false;
  // A tunnel packet's sender is this node: nobody learns from telling ourselves.
  if (pkt.proto === UDP && tuple.destinationPort(pkt.key) === t.config.tunnel.port && isFromNode(pkt, t))
    return false;
  undoTranslation(pkt, t);
  requestIcmp(pkt, IcmpRequest.HOST_UNREACHABLE);
  // The frame carries our own MAC addresses by now, none of them a group's.
  eth.setDst(pkt.view, pkt.off, t.config.router.macHi, t.config.router.macLo);
  return true;
}

function isFromNode(pkt: Packet, t: Tables): boolean {
  const k = pkt.key;
  const c = t.config.router;
  if (pkt.family === 4) return k[SRC3] === c.v4;
  return k[SRC0] === c.v60 && k[SRC1] === c.v61 && k[SRC2] === c.v62 && k[SRC3] === c.v63;
}

/** A packet waits as it leaves; whoever sent it must know it again in the quote. */
function undoTranslation(pkt: Packet, t: Tables): void {
  if (pkt.fragment === 1 && (pkt.proto === TCP || pkt.proto === UDP)) {
    if (pkt.end - pkt.l4 < 8) return;
    pkt.key[PORTS] = pkt.view.getInt32(pkt.l4);
  }
  tuple.invert(pkt.key, t.scratch.keyA);
  const ref = conntrack.find(t.conntrack, t.scratch.keyA);
  if (ref < 0) return;
  conntrack.loadTuple(t.conntrack, ref ^ 1, pkt.to);
  pkt.nat = 1;
  translate(pkt, t);
  tuple.exchange(pkt.to, pkt.key); // as if it were still to be translated
}
