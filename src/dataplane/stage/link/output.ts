/**
 * Stage `output` (Linux: ip_output, ip_fragment, neigh_output). Sends a routed packet by its route: to a pod or the
 * node's stack with the gateway's MAC as source, onto the fabric, or into the tunnel. Decrements TTL, records the
 * route, cuts what is too long and may be cut. Drops: no such station, no slot, tunnel and neighbour troubles.
 */

import type { Ipv4Addr } from "../../../base/ids.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as options from "../../../wire/ip/ipv4-options.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { bridge, floodFrame, portOfStation } from "../../send/bridge.ts";
import { completeChecksum } from "../../send/complete-checksum.ts";
import { enqueueForPod } from "../../send/join.ts";
import { toFabric, toStation } from "../../send/link.ts";
import { encapsulate } from "../../send/tunnel.ts";
import * as tx from "../../send/tx-queue.ts";
import * as pool from "../../slot-pool.ts";
import { RouteKind } from "../../spec/routes.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as routes from "../../table/routes.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { SRC3 } = TupleWord;

const { LOCAL, PODS, VTEP } = RouteKind;
const { HOST } = PortRole;
const LOOPBACK_NET = 127;
const V4_MAPPED = 0xffff;
/** Beside the route kinds: a frame that stays on the bridge. */
const BRIDGE = 255;

export function output(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  pkt.stage = StageId.OUTPUT;
  if (pkt.bridged === Way.BRIDGED) return outputBridged(pkt, t, nowSec, nowMs);
  const kind = t.routes.kind[pkt.route];
  const dst = pkt.nat !== 0 ? pkt.to : pkt.key;
  if (kind === LOCAL) pkt.outPort = t.config.router.hostPort;
  else if (kind === PODS) pkt.outPort = t.stations.port[pkt.station];
  else pkt.outPort = t.config.router.uplinkPort;
  if (kind !== LOCAL && (t.ports.role[pkt.inPort] !== HOST || pkt.fromTunnel !== 0)) {
    if (pkt.family === 4) {
      ipv4.decrementTtl(pkt.view, pkt.l3);
      if (pkt.options !== 0) stampOptions(pkt, t);
    } else ipv6.decrementHopLimit(pkt.view, pkt.l3);
  }
  const mtu =
    kind === LOCAL && t.config.router.hostPort >= 0
      ? t.ports.mtu[t.config.router.hostPort]
      : t.routes.mtu[pkt.route];
  if (mustCut(pkt, kind === LOCAL ? mtu : piece(pkt, mtu))) return cut(pkt, t, dst, kind, mtu, nowMs);
  const slot = pkt.slot;
  pkt.slot = -1; // whoever sends it gives it back
  const reason = send(pkt, t, dst, kind, pkt.off, pkt.end - pkt.off, slot, nowMs);
  return reason === 0 ? Verdict.FORWARD : drop(pkt, t, reason as DropReason);
}

/** Record Route and Timestamp, with the addresses that Linux writes (ip_rt_get_source, fib_compute_spec_dst). */
function stampOptions(pkt: Packet, t: Tables): void {
  const wayOut = sourceOf(t, pkt.route);
  const wayBack = sourceOf(t, routes.lookup4(t.routes, pkt.key[SRC3]));
  const at = options.prespecified(pkt.view, pkt.l3);
  const isOurs = at !== options.NONE && isLocal(t, pkt.view.getInt32(at));
  options.stamp(pkt.view, pkt.l3, wayOut, wayBack, t.dayMs, isOurs);
}

/** The address that the node has on a route. */
function sourceOf(t: Tables, route: number): Ipv4Addr {
  const source = route < 0 ? 0 : t.routes.src3[route];
  return (source === 0 ? t.config.router.v4 : source) as Ipv4Addr;
}

/** Not some other host's (inet_addr_type: all but RTN_UNICAST): our own, loopback, nobody's or everybody's. */
function isLocal(t: Tables, address: number): boolean {
  const net = address >>> 24;
  return (
    net === 0 ||
    net === LOOPBACK_NET ||
    net >= 224 ||
    localAddresses.has(t.addresses.local, 0, 0, V4_MAPPED, address)
  );
}

/** The longest packet that may leave: a datagram that came in fragments leaves in none longer than they were. */
function piece(pkt: Packet, mtu: number): number {
  return pkt.fragMax > 0 && pkt.fragMax < mtu ? pkt.fragMax : mtu;
}

function mustCut(pkt: Packet, longest: number): boolean {
  // Of IPv6 nobody but the sender cuts (RFC 8200 §5): only what came in pieces leaves in pieces.
  return pkt.ipLen > longest && pkt.gsoType === 0 && (pkt.family === 4 || pkt.fragMax !== 0);
}

/** TTL and MAC addresses stay; only a datagram that was reassembled for conntrack must be cut again. */
function outputBridged(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  if (pkt.fragMax === 0 || !mustCut(pkt, pkt.fragMax)) return bridge(pkt, t, nowSec);
  const port = portOfStation(pkt, t, nowSec);
  if (port === pkt.inPort) return drop(pkt, t, DropReason.NO_OTHER_PORT);
  if (port >= 0 && t.ports.active[port] === 0) return drop(pkt, t, DropReason.TX_PORT_GONE);
  pkt.outPort = port;
  if (port >= 0) return cut(pkt, t, pkt.key, BRIDGE, t.ports.mtu[port], nowMs);
  const verdict = cut(pkt, t, pkt.key, BRIDGE, pkt.fragMax, nowMs);
  return verdict === Verdict.FORWARD ? Verdict.FLOOD : verdict;
}

function send(
  pkt: Packet,
  t: Tables,
  dst: Int32Array,
  kind: number,
  off: number,
  len: number,
  slot: number,
  nowMs: number,
): number {
  if (kind === PODS) {
    const s = pkt.station;
    return toStation(t, pkt, pkt.outPort, t.stations.macHi[s], t.stations.macLo[s], off, len, slot);
  }
  if (kind === LOCAL) {
    const h = t.config.router.hostPort;
    return toStation(t, pkt, h, t.ports.macHi[h], t.ports.macLo[h], off, len, slot);
  }
  if (kind === BRIDGE) {
    if (pkt.outPort >= 0) enqueueForPod(t, pkt, pkt.outPort, off, len, slot);
    else if (floodFrame(t, pkt.inPort, off, len, slot) === 0) return DropReason.NO_OTHER_PORT;
    return 0;
  }
  if (kind === VTEP) return encapsulate(t, pkt, off, len, slot, t.routes.vtep[pkt.route], nowMs);
  return toFabric(t, pkt.route, dst, off, len, slot, nowMs);
}

/**
 * Cuts a datagram for `mtu` (RFC 791 §3.2, RFC 8200 §4.5; Linux ip_do_fragment, ip6_fragment). Every fragment takes
 * the header with it; in all but the first, options that may not be copied become no-operations. A reassembled
 * datagram is cut no larger than it came (frag_max_size).
 */
function cut(pkt: Packet, t: Tables, dst: Int32Array, kind: number, mtu: number, nowMs: number): Verdict {
  const view = pkt.view;
  if (pkt.csumPartial !== 0) completeChecksum(pkt, t);
  const isV4 = pkt.family === 4;
  const headerLen = isV4 ? ipv4.headerLen(view, pkt.l3) : pkt.fragHeader;
  const extra = isV4 ? 0 : ipv6.FRAGMENT_HEADER_LEN;
  const step = (piece(pkt, mtu) - headerLen - extra) & ~7;
  if (step <= 0) return drop(pkt, t, DropReason.FRAGMENTATION_NEEDED);
  const payload = pkt.ipLen - headerLen;
  const head = pkt.l3 - pkt.off + headerLen;
  let reason = 0;
  for (let at = 0; at < payload && reason === 0; at += step) {
    if (t.pool.count === 0) tx.flush(t.tx); // slots that wait for the flush come back
    const slot = pool.acquire(t.pool);
    if (slot < 0) {
      reason = DropReason.NO_SLOT;
      break;
    }
    const n = payload - at < step ? payload - at : step;
    const off = pool.frameOffset(slot);
    t.arena.copyWithin(off, pkt.off, pkt.off + head);
    t.arena.copyWithin(off + head + extra, pkt.off + head + at, pkt.off + head + at + n);
    vnet.clear(view, off - vnet.HEADER_LEN);
    const ip = off + (pkt.l3 - pkt.off);
    if (isV4) finishV4(view, ip, headerLen, at, n, at + n < payload);
    else finishV6(view, ip, headerLen, at, n, at + n < payload, pkt.fragId);
    reason = send(pkt, t, dst, kind, off, head + extra + n, slot, nowMs);
  }
  t.counters.events[Event.FRAGMENTED]++;
  return reason === 0 ? Verdict.FORWARD : drop(pkt, t, reason as DropReason);
}

/** Header of the fragment with payload bytes `at` … `at + n`; it was copied from the datagram's. */
function finishV4(view: DataView, ip: number, headerLen: number, at: number, n: number, more: boolean): void {
  const flags = ipv4.dontFragment(view, ip) ? ipv4.FLAG_DF : 0;
  if (at > 0 && headerLen > ipv4.HEADER_LEN_MIN) dropUncopiedOptions(view, ip);
  ipv4.setTotalLen(view, ip, headerLen + n);
  ipv4.setFlagsFragment(view, ip, flags | (more ? ipv4.FLAG_MF : 0) | (at >>> 3));
  ipv4.computeChecksum(view, ip);
}

/** The same for IPv6: a fragment header stands behind what every fragment bears. */
function finishV6(
  view: DataView,
  ip: number,
  headerLen: number,
  at: number,
  n: number,
  more: boolean,
  id: number,
): void {
  const field = ipv6.nextHeaderField(view, ip, ip + headerLen);
  ipv6.emitFragment(view, ip + headerLen, view.getUint8(field), at, more, id);
  view.setUint8(field, ipv6.PROTO_FRAGMENT);
  ipv6.setPayloadLen(view, ip, headerLen - ipv6.HEADER_LEN + ipv6.FRAGMENT_HEADER_LEN + n);
}

function dropUncopiedOptions(view: DataView, ip: number): void {
  const end = ip + ipv4.headerLen(view, ip);
  let at = ip + ipv4.HEADER_LEN_MIN;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === 0) return;
    const len = kind === 1 ? 1 : view.getUint8(at + 1);
    if (len === 0 || at + len > end) return;
    if ((kind & 0x80) === 0) for (let i = 0; i < len; i++) view.setUint8(at + i, 1);
    at += len;
  }
}
