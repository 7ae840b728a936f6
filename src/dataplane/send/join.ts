/**
 * UDP datagrams of one flow that go to one pod leave as one superframe (Linux: udp_gro_receive), which costs the pod's
 * stack a fraction of what it costs one by one. The kernel cuts it again for whoever does not read superframes. Nothing
 * waits for it: only what leaves with the same flush anyway is joined, also when other flows' datagrams came between.
 * Each keeps its place in its flow: what cannot be joined ends the superframe that its flow had.
 *
 * Headers must be the same but for what the cut makes anew: lengths, checksum, IPv4's identification where it means
 * nothing (DF, RFC 6864; it never changes) or counts up. Each checksum must be known to be right, since the cut makes
 * new ones.
 */

import { Protocol } from "../../base/protocols.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as udp from "../../wire/transport/udp.ts";
import type { Packet } from "../packet/packet.ts";
import type { Tables } from "../tables.ts";
import type { JoinFlows } from "./join-flows.ts";
import { enqueue, enqueuePiece, flush, type TxQueue } from "./tx-queue.ts";

const { UDP } = Protocol;

/** UDP_MAX_SEGMENTS of kernels before 6.9. */
const PIECES_MAX = 64;
/** Bytes of a superframe: the kernel's own grow no longer. */
const BYTES_MAX = 60_000;
/** More fragments or a fragment's place: whatever is not whole. */
const NOT_WHOLE = 0x3fff;
/** Tunnels (VXLAN, Linux' older port for it, Geneve): what reads them may not know superframes. */
const VXLAN = 4789;
const VXLAN_LINUX = 8472;
const GENEVE = 6081;

/** Queues the packet in the frame at `off` for the pod behind `port`. */
export function enqueueForPod(
  t: Tables,
  pkt: Packet,
  port: number,
  off: number,
  len: number,
  slot: number,
): void {
  const q = t.tx;
  if (pkt.proto !== UDP || t.ports.joins[port] === 0 || t.ports.fd[port] < 0) {
    enqueue(q, port, off, len, slot);
    return;
  }
  if (pkt.fragment !== 0 || off !== pkt.off) {
    // Of which flow a fragment is, only the first one says.
    endFlows(q);
    enqueue(q, port, off, len, slot);
    return;
  }
  if (q.count === q.capacity) flush(q);
  enqueueDatagram(q, pkt, port, slot, isJoinable(pkt, t));
}

/** Nothing that waits is joined by what comes now. */
export function endFlows(q: TxQueue): void {
  q.flows.heads.fill(-1);
}

/** Queues the datagram of `pkt`, joined to what waits of its flow where it `mayJoin`. Asks for room in the queue. */
export function enqueueDatagram(q: TxQueue, pkt: Packet, port: number, slot: number, mayJoin: boolean): void {
  const f = q.flows;
  const off = pkt.off;
  const len = pkt.end - off;
  const row = rowOf(f, pkt, port);
  const head = f.stamps[row] === q.flushes ? f.heads[row] : -1;
  if (head >= 0 && mayJoin && q.ports[head] === port && continues(f, head, pkt, q.offs[head])) {
    join(q, f, row, head, pkt, slot);
    return;
  }
  enqueue(q, port, off, len, slot);
  const i = q.count - 1;
  f.heads[row] = mayJoin ? i : -1;
  f.stamps[row] = q.flushes;
  f.lasts[i] = i;
  f.pieces[i] = 1;
  f.totals[i] = len;
  f.sizes[i] = pkt.end - pkt.l4 - udp.HEADER_LEN;
}

function join(q: TxQueue, f: JoinFlows, row: number, head: number, pkt: Packet, slot: number): void {
  const skip = pkt.l4 + udp.HEADER_LEN - pkt.off;
  const payload = pkt.end - pkt.off - skip;
  f.lasts[head] = enqueuePiece(q, f.lasts[head], pkt.off, pkt.end - pkt.off, slot, skip);
  if (f.pieces[head]++ === 1) f.begun[f.count++] = head;
  f.totals[head] += payload;
  if (payload < f.sizes[head] || f.pieces[head] === PIECES_MAX) f.heads[row] = -1;
}

/** May the datagram be a part of a superframe at all? Tunnels' ports are asked about last, nearly nobody has them. */
function isJoinable(pkt: Packet, t: Tables): boolean {
  const view = pkt.view;
  const l4 = pkt.l4;
  if (pkt.gsoType !== vnet.GSO_NONE || pkt.l3 - pkt.off !== eth.HEADER_LEN) return false;
  if (l4 - pkt.l3 !== (pkt.family === 4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN)) return false;
  const udpLen = udp.length(view, l4);
  if (udpLen !== pkt.end - l4 || udpLen === udp.HEADER_LEN) return false;
  if (pkt.csumPartial !== 0) {
    if (pkt.csumStart !== l4 || pkt.csumOffset !== udp.CSUM_OFFSET) return false;
  } else if (udp.checksum(view, l4) === 0) {
    if (t.config.joining.withoutChecksum === 0) return false;
  } else if (pkt.csumValid === 0) return false;
  return !isTunnel(udp.dstPort(view, l4)) && !isTunnel(udp.srcPort(view, l4));
}

function isTunnel(port: number): boolean {
  return port === VXLAN || port === VXLAN_LINUX || port === GENEVE;
}

/** Is the datagram the next one of the superframe with the headers at `a`? What differs soonest is compared first. */
function continues(f: JoinFlows, head: number, pkt: Packet, a: number): boolean {
  const view = pkt.view;
  const b = pkt.off;
  const size = pkt.end - pkt.l4 - udp.HEADER_LEN;
  if (size > f.sizes[head] || f.totals[head] + size > BYTES_MAX) return false;
  const l4 = pkt.l4 - b;
  if (view.getInt32(a + l4) !== view.getInt32(b + l4)) return false;
  if (pkt.family === 4) {
    if (!sameV4(view, a + eth.HEADER_LEN, b + eth.HEADER_LEN, f.pieces[head])) return false;
  } else if (!sameV6(view, a + eth.HEADER_LEN, b + eth.HEADER_LEN)) return false;
  return (
    view.getInt32(a) === view.getInt32(b) &&
    view.getInt32(a + 4) === view.getInt32(b + 4) &&
    view.getInt32(a + 8) === view.getInt32(b + 8) &&
    view.getUint16(a + 12) === view.getUint16(b + 12)
  );
}

/** Version, length, ToS; DF; TTL, protocol; addresses; and the identification, where it means anything. */
function sameV4(view: DataView, a: number, b: number, count: number): boolean {
  const flags = ipv4.flagsFragment(view, a);
  if (flags !== ipv4.flagsFragment(view, b) || (flags & NOT_WHOLE) !== 0) return false;
  if ((flags & ipv4.FLAG_DF) === 0) {
    const step = (ipv4.id(view, b) - ipv4.id(view, a)) & 0xffff;
    if (step !== 0 && step !== count) return false;
  }
  return (
    view.getInt32(a + 12) === view.getInt32(b + 12) &&
    view.getInt32(a + 16) === view.getInt32(b + 16) &&
    view.getUint16(a) === view.getUint16(b) &&
    view.getUint16(a + 8) === view.getUint16(b + 8)
  );
}

/** Version, traffic class, flow label; next header, hop limit; addresses. */
function sameV6(view: DataView, a: number, b: number): boolean {
  if (view.getInt32(a) !== view.getInt32(b) || view.getUint16(a + 6) !== view.getUint16(b + 6)) return false;
  for (let i = 8; i < ipv6.HEADER_LEN; i += 4) {
    if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  }
  return true;
}

/** Row of the flow: of what its frames bear now, after translation. */
function rowOf(f: JoinFlows, pkt: Packet, port: number): number {
  const view = pkt.view;
  const src = pkt.l3 + (pkt.family === 4 ? 12 : 20); // the last word of each address
  const dst = pkt.l3 + (pkt.family === 4 ? 16 : 36);
  let h = Math.imul(view.getInt32(src), 0x9e3779b1) ^ Math.imul(view.getInt32(dst), 0x85ebca6b);
  h ^= Math.imul(view.getInt32(pkt.l4), 0xc2b2ae35) ^ port;
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h >>> 20) & f.mask;
}
