/**
 * Tells a pod where its node is, before it asks. While an agent starts anew its pods' devices have no carrier: Linux
 * forgets the neighbours there, asks once into the void and again a second later (neigh_carrier_down, RETRANS_TIMER).
 * An unsolicited answer changes entries that exist and makes none (RFC 826; RFC 4861 §7.2.6), so who waits goes on at
 * once. Cold: when ports are attached.
 *
 * And tells the fabric where the address of a load balancer is from now on: a gratuitous ARP request and answer
 * (RFC 5227 §3: there are hosts that hear one of them alone), or an unsolicited neighbour advertisement to all nodes.
 */

import type { Ipv4Addr } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ndp from "../../wire/ip/ndp.ts";
import * as arp from "../../wire/link/arp.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { Event } from "../counters.ts";
import * as pool from "../slot-pool.ts";
import type { Tables } from "../tables.ts";
import { enqueue } from "./tx-queue.ts";

/** A station of the pod bridge, or a group on the fabric: address in words, MAC, port. */
export interface Station {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly macHi: number;
  readonly macLo: number;
  readonly port: number;
}

const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;
/** 169.254.1.1 and fe80::1: next hops that host0 and pods with a prefix of their own are given. */
const NEXT_HOP_4 = 0xa9fe0101 | 0;
const LINK_LOCAL = 0xfe800000 | 0;
/** RFC 4861 §7.1.2: who sent it is on this link. */
const HOP_LIMIT = 255;
const BROADCAST_HI = 0xffff;
const BROADCAST_LO = -1;
/** ff02::1, and the group's MAC address (RFC 2464 §7). */
const ALL_NODES: Station = { w0: 0xff020000 | 0, w1: 0, w2: 0, w3: 1, macHi: 0x3333, macLo: 1, port: -1 };
const ADVERTISEMENT_LEN = ndp.ADVERTISEMENT_LEN + ndp.LINK_OPTION_LEN;

/** All addresses of the node, of the station's family. */
export function announceNode(t: Tables, to: Station): void {
  const { addr0, addr1, addr2, addr3, taken } = t.addresses.local;
  announceNextHops(t, to);
  for (let i = 0; i < taken.length; i++) {
    if (taken[i] !== 0) announce(t, to, addr0[i], addr1[i], addr2[i], addr3[i]);
  }
}

/** The next hops alone, which are no addresses of the node. */
export function announceNextHops(t: Tables, to: Station): void {
  announce(t, to, 0, 0, V4_MAPPED, NEXT_HOP_4);
  announce(t, to, LINK_LOCAL, 0, 0, 1);
}

/** An address of IPv4 or IPv6 is at the uplink. Nothing is said while there is none. */
export function announceToFabric(t: Tables, w0: number, w1: number, w2: number, w3: number): void {
  const port = t.config.router.uplinkPort;
  if (port < 0 || t.ports.active[port] === 0) return;
  if (isV4(w0, w1, w2)) {
    tellEverybody(t, port, arp.OP_REQUEST, 0, 0, w3);
    tellEverybody(t, port, arp.OP_REPLY, BROADCAST_HI, BROADCAST_LO, w3);
  } else tellAllNodes(t, port, w0, w1, w2, w3);
}

function tellEverybody(
  t: Tables,
  port: number,
  op: number,
  toHi: number,
  toLo: number,
  address: number,
): void {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return;
  const view = t.scratch.own.view;
  const off = pool.frameOffset(slot);
  const hi = t.ports.macHi[port];
  const lo = t.ports.macLo[port];
  const own = address as Ipv4Addr;
  vnet.clear(view, off - vnet.HEADER_LEN);
  eth.emit(view, off, BROADCAST_HI, BROADCAST_LO, hi, lo, eth.ETHERTYPE_ARP);
  arp.emit(view, off + eth.HEADER_LEN, op, hi, lo, own, toHi, toLo, own);
  t.counters.events[Event.NEIGHBOR_ANNOUNCED]++;
  enqueue(t.tx, port, off, eth.HEADER_LEN + arp.HEADER_LEN, slot);
}

function tellAllNodes(t: Tables, port: number, w0: number, w1: number, w2: number, w3: number): void {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return;
  const off = pool.frameOffset(slot);
  const hi = t.ports.macHi[port];
  vnet.clear(t.scratch.own.view, off - vnet.HEADER_LEN);
  const len = emitAdvertisement(t, off, ALL_NODES, hi, t.ports.macLo[port], w0, w1, w2, w3);
  t.counters.events[Event.NEIGHBOR_ANNOUNCED]++;
  enqueue(t.tx, port, off, len, slot);
}

function announce(t: Tables, to: Station, w0: number, w1: number, w2: number, w3: number): void {
  const { macHi, macLo } = t.config.router;
  if ((macHi | macLo) === 0 || isV4(w0, w1, w2) !== isV4(to.w0, to.w1, to.w2)) return;
  if (isV4(w0, w1, w2) ? w3 >>> 24 === LOOPBACK_NET : (w0 | w1 | w2) === 0) return;
  const slot = pool.acquire(t.pool);
  if (slot < 0) return;
  const off = pool.frameOffset(slot);
  vnet.clear(t.scratch.own.view, off - vnet.HEADER_LEN);
  const len = isV4(w0, w1, w2)
    ? emitReply(t, off, to, w3)
    : emitAdvertisement(t, off, to, macHi, macLo, w0, w1, w2, w3);
  t.counters.events[Event.NEIGHBOR_ANNOUNCED]++;
  enqueue(t.tx, to.port, off, len, slot);
}

/** Returns the frame's length, bytes. */
function emitReply(t: Tables, off: number, to: Station, address: number): number {
  const view = t.scratch.own.view;
  const { macHi, macLo } = t.config.router;
  eth.emit(view, off, to.macHi, to.macLo, macHi, macLo, eth.ETHERTYPE_ARP);
  const from = address as Ipv4Addr;
  const asked = to.w3 as Ipv4Addr;
  arp.emit(view, off + eth.HEADER_LEN, arp.OP_REPLY, macHi, macLo, from, to.macHi, to.macLo, asked);
  return eth.HEADER_LEN + arp.HEADER_LEN;
}

function emitAdvertisement(
  t: Tables,
  off: number,
  to: Station,
  macHi: number,
  macLo: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const view = t.scratch.own.view;
  const ip = off + eth.HEADER_LEN;
  const icmp = ip + ipv6.HEADER_LEN;
  eth.emit(view, off, to.macHi, to.macLo, macHi, macLo, eth.ETHERTYPE_IPV6);
  ipv6.emit(view, ip, 0, 0, ADVERTISEMENT_LEN, Protocol.ICMPV6, HOP_LIMIT);
  ipv6.setSrc(view, ip, w0, w1, w2, w3);
  ipv6.setDst(view, ip, to.w0, to.w1, to.w2, to.w3);
  ndp.emitAdvertisement(view, icmp, ndp.NA_ROUTER | ndp.NA_OVERRIDE, w0, w1, w2, w3);
  ndp.emitLinkOption(view, icmp + ndp.ADVERTISEMENT_LEN, ndp.OPTION_TARGET_LINK, macHi, macLo);
  icmpv6.computeChecksum(view, icmp, ADVERTISEMENT_LEN, ip);
  return eth.HEADER_LEN + ipv6.HEADER_LEN + ADVERTISEMENT_LEN;
}

function isV4(w0: number, w1: number, w2: number): boolean {
  return (w0 | w1) === 0 && w2 === V4_MAPPED;
}
