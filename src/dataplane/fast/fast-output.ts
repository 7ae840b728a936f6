/**
 * The fast path's second half: the way out, asked for as `route` and `output` do; then, with nothing left to ask, the
 * connection is told, the bytes change and the frame is queued.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { Event } from "../counters.ts";
import { drop } from "../drop.ts";
import type { DropReason } from "../drop-reason.ts";
import { begin, type Packet } from "../packet/packet.ts";
import { PortRole } from "../port.ts";
import * as udpTracker from "../protocol/udp.ts";
import { enqueueForPod } from "../send/join.ts";
import { toNeighbor } from "../send/link.ts";
import { encapsulate } from "../send/tunnel.ts";
import * as tx from "../send/tx-queue.ts";
import { RouteKind } from "../spec/routes.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as tcpWindow from "../table/connection/conntrack-tcp-window.ts";
import * as ipvsTimeouts from "../table/connection/ipvs-timeouts.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import * as fdb from "../table/fdb.ts";
import * as neighbor from "../table/neighbor.ts";
import * as routes from "../table/routes.ts";
import type { Tables } from "../tables.ts";
import { type FastFrame, L4_AT } from "./fast-frame.ts";
import { enter, isMasked, returnsToSender } from "./first-packet.ts";

const { TCP, UDP } = Protocol;
const { SRC3, DST3, PORTS, META } = TupleWord;
const { HOST } = PortRole;
const { LOCAL, PODS, VTEP, ONLINK, GATEWAY } = RouteKind;
const V4_MAPPED = 0xffff;
const L3 = eth.HEADER_LEN;
const TTL_AT = L3 + 8;
const IP_SUM_AT = L3 + 10;
const SRC_AT = L3 + 12;
const DST_AT = L3 + 16;

/** The frame's way out, and out by it. False: nothing has happened. */
export function leave(f: FastFrame, t: Tables, nowSec: number): boolean {
  if (f.bridged !== 0 && f.dst === f.key[DST3]) return toBridge(f, t, nowSec);
  const r = routes.lookup4(t.routes, f.dst);
  if (r < 0) return false;
  const kind = t.routes.kind[r];
  if (kind === LOCAL) return toHost(f, t, nowSec);
  const isForwarded = t.ports.role[f.inPort] !== HOST || f.fromTunnel !== 0;
  if ((isForwarded && f.ttl <= 1) || longest(f) > t.routes.mtu[r]) return false;
  const hops = isForwarded ? 1 : 0;
  if (kind === PODS) return toPod(f, t, hops, nowSec);
  if (kind === VTEP) return toVtep(f, t, r, hops, nowSec);
  return (kind === ONLINK || kind === GATEWAY) && toFabric(f, t, r, hops, nowSec);
}

/** Bytes of the packet, or of a superframe's segments. */
function longest(f: FastFrame): number {
  return f.gsoSize === 0 ? f.ipLen : ipv4.HEADER_LEN_MIN + f.l4HeaderLen + f.gsoSize;
}

function toBridge(f: FastFrame, t: Tables, nowSec: number): boolean {
  const to = fdb.find(t.fdb, eth.dstHi(f.view, f.off), eth.dstLo(f.view, f.off), nowSec);
  if (to < 0) return false;
  const port = t.fdb.port[to];
  if (port === f.inPort || t.ports.active[port] === 0 || !tell(f, t, port, nowSec)) return false;
  rewrite(f, 0);
  enqueue(f, t, port);
  return true;
}

/** To the node's own stack: neither TTL nor a route's MTU concern it. */
function toHost(f: FastFrame, t: Tables, nowSec: number): boolean {
  const port = t.config.router.hostPort;
  if (port < 0 || t.ports.active[port] === 0) return false;
  if (f.gsoSize === 0 && f.ipLen > t.ports.mtu[port]) return false;
  if (f.ref < 0 && returnsToSender(f, t)) return false;
  if (!tell(f, t, -1, nowSec)) return false;
  rewrite(f, 0);
  deliver(f, t, port, t.ports.macHi[port], t.ports.macLo[port]);
  return true;
}

function toPod(f: FastFrame, t: Tables, hops: number, nowSec: number): boolean {
  const s = neighbor.find(t.stations, 0, 0, V4_MAPPED, f.dst);
  if (s < 0) return false;
  const port = t.stations.port[s];
  if (t.ports.active[port] === 0 || !tell(f, t, port, nowSec)) return false;
  rewrite(f, hops);
  deliver(f, t, port, t.stations.macHi[s], t.stations.macLo[s]);
  return true;
}

/** To a station of this node, from the gateway's. */
function deliver(f: FastFrame, t: Tables, port: number, hi: number, lo: number): void {
  eth.setDst(f.view, f.off, hi, lo);
  eth.setSrc(f.view, f.off, t.config.router.macHi, t.config.router.macLo);
  enqueue(f, t, port);
}

function enqueue(f: FastFrame, t: Tables, port: number): void {
  const len = f.end - f.off;
  if (f.proto === UDP && t.ports.joins[port] !== 0) enqueueForPod(t, packetOf(f), port, f.off, len, -1);
  else tx.enqueue(t.tx, port, f.off, len, -1);
}

/** Onto the fabric, where the neighbour is known. */
function toFabric(f: FastFrame, t: Tables, r: number, hops: number, nowSec: number): boolean {
  const rt = t.routes;
  const isDirect = rt.kind[r] !== GATEWAY;
  const w0 = isDirect ? 0 : rt.gw0[r];
  const w1 = isDirect ? 0 : rt.gw1[r];
  const w2 = isDirect ? V4_MAPPED : rt.gw2[r];
  const w3 = isDirect ? f.dst : rt.gw3[r];
  const uplink = t.config.router.uplinkPort;
  if (uplink < 0 || t.ports.active[uplink] === 0) return false;
  const n = neighbor.find(t.fabric, w0, w1, w2, w3);
  if (n < 0 || !neighbor.isUsable(t.fabric, n) || (f.ref < 0 && isMasked(f, t))) return false;
  if (!tell(f, t, -1, nowSec)) return false;
  rewrite(f, hops);
  toNeighbor(t, f.off, f.end - f.off, -1, w0, w1, w2, w3, t.nowMs);
  return true;
}

/** Into the tunnel, by the code of the stages. What comes out of a tunnel to go into one is theirs. */
function toVtep(f: FastFrame, t: Tables, r: number, hops: number, nowSec: number): boolean {
  if (f.fromTunnel !== 0 || !tell(f, t, -1, nowSec)) return false;
  rewrite(f, hops);
  const len = f.end - f.off;
  const reason = encapsulate(t, packetOf(f), f.off, len, -1, t.routes.vtep[r], t.nowMs);
  if (reason !== 0) {
    const { outer } = t.scratch;
    begin(outer, f.off, len, f.inPort);
    f.verdict = drop(outer, t, reason as DropReason);
  }
  return true;
}

/** The frame as it leaves, for code that reads a Packet: what is not set here is the same for all plain frames. */
function packetOf(f: FastFrame): Packet {
  const pkt = f.packet;
  pkt.off = f.off;
  pkt.end = f.end;
  pkt.inPort = f.inPort;
  pkt.fromTunnel = f.fromTunnel;
  pkt.l3 = f.off + L3;
  pkt.l4 = f.off + L4_AT;
  pkt.proto = f.proto;
  pkt.ipLen = f.ipLen;
  pkt.csumPartial = f.partial;
  pkt.gsoType = f.gsoSize === 0 ? vnet.GSO_NONE : vnet.GSO_TCPV4;
  pkt.gsoSize = f.gsoSize;
  pkt.csumValid = f.verified;
  pkt.csumStart = pkt.l4;
  pkt.csumOffset = f.proto === TCP ? tcp.CSUM_OFFSET : udp.CSUM_OFFSET;
  const { key } = pkt;
  key[SRC3] = f.src;
  key[DST3] = f.dst;
  key[PORTS] = f.ports;
  key[META] = f.key[META];
  return pkt;
}

/**
 * The last question: does the packet belong to its connection, or may it open one? `receiver` is the pod's port that it
 * goes to, or -1. With a "yes" it is taken: its sender's station is as fresh as when stages learn it.
 */
function tell(f: FastFrame, t: Tables, receiver: number, nowSec: number): boolean {
  if (f.ref >= 0 ? !goesOn(f, t, nowSec) : !enter(f, t, receiver, nowSec)) return false;
  if (f.station >= 0) fdb.renew(t.fdb, f.station, nowSec);
  if (f.opens !== 0) {
    lay(f);
    t.counters.events[Event.VXLAN_DECAP]++;
  }
  t.counters.events[Event.FAST_PATH]++;
  return true;
}

/** Asked of the tracker of a known connection: does it change nothing of its state? Then it is accounted for. */
function goesOn(f: FastFrame, t: Tables, nowSec: number): boolean {
  const ct = t.conntrack;
  const { view, off, ref } = f;
  if (f.proto === TCP) {
    const l4 = off + L4_AT;
    const seq = tcp.seq(view, l4);
    const end = (seq + f.end - l4 - f.l4HeaderLen) | 0;
    if (!tcpWindow.advance(ct, ref, seq, tcp.ack(view, l4), f.window, end, nowSec)) return false;
  } else if (!udpTracker.advanceSteady(t, ref, nowSec)) return false;
  conntrack.account(ct, ref, f.ipLen);
  const slot = ref >> 1;
  if (ct.header[ipvsTimeouts.H_IPVS_SET] !== 0 && (ct.status[slot << 4] & conntrack.Status.SERVED) !== 0)
    ipvsTimeouts.renew(ct, slot, f.proto, nowSec);
  return true;
}

/** Writes the virtio header of a frame that is taken out of a VXLAN packet: what the outer one said of it. */
function lay({ view, off, partial, proto, gsoSize, l4HeaderLen }: FastFrame): void {
  const at = off - vnet.HEADER_LEN;
  if (partial === 0) {
    vnet.clear(view, at);
    return;
  }
  const type = gsoSize === 0 ? vnet.GSO_NONE : vnet.GSO_TCPV4;
  const headers = gsoSize === 0 ? 0 : L4_AT + l4HeaderLen;
  const sumAt = proto === TCP ? tcp.CSUM_OFFSET : udp.CSUM_OFFSET;
  vnet.emit(view, at, vnet.NEEDS_CSUM, type, headers, gsoSize, L4_AT, sumAt);
}

/** Writes the tuple that it leaves with, takes `hops` from its TTL, and mends both checksums, once each. */
function rewrite(f: FastFrame, hops: number): void {
  const { view, off, key, src, dst, ports } = f;
  let addresses = 0;
  if (src !== key[SRC3]) {
    view.setInt32(off + SRC_AT, src);
    addresses = checksum.difference32(key[SRC3], src);
  }
  if (dst !== key[DST3]) {
    view.setInt32(off + DST_AT, dst);
    addresses += checksum.difference32(key[DST3], dst);
  }
  let header = addresses;
  if (hops !== 0) {
    const before = (f.ttl << 8) | f.proto;
    view.setUint16(off + TTL_AT, before - 0x100);
    header += checksum.difference16(before, before - 0x100);
  }
  if (header !== 0) checksum.adjustBy(view, off + IP_SUM_AT, header);
  const at = off + L4_AT + (f.proto === TCP ? tcp.CSUM_OFFSET : udp.CSUM_OFFSET);
  if (f.partial !== 0) {
    if (ports !== key[PORTS]) view.setInt32(off + L4_AT, ports);
    if (addresses !== 0) checksum.adjustPartialBy(view, at, addresses);
    return;
  }
  let difference = addresses;
  if (ports !== key[PORTS]) {
    view.setInt32(off + L4_AT, ports);
    difference += checksum.difference32(key[PORTS], ports);
  }
  if (difference === 0) return;
  if (f.proto === TCP) checksum.adjustBy(view, at, difference);
  else checksum.adjustUdpBy(view, at, difference);
}
