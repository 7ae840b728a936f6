/**
 * VXLAN encapsulation (RFC 7348; Linux: vxlan_xmit_one), flannel's way: inner frames from VTEP to VTEP. The outer
 * headers go into the headroom before the frame. A TCP superframe is cut into segments with real checksums, laid
 * end to end behind one outer header and sent as one UDP_L4 superframe: the kernel, or the NIC, cuts it where the
 * VXLAN packets begin.
 */

import type { Vni } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { Event } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import { type Packet, SLOT_ROOM } from "../packet/packet.ts";
import * as pool from "../slot-pool.ts";
import type { Tables } from "../tables.ts";
import { lostPiece } from "../trace/note.ts";
import { endBundle, joinBundle, openBundle } from "./bundling.ts";
import { finished } from "./complete-checksum.ts";
import { emitOuter, emitOuterWhole, isOverV4, outerLen, send } from "./outer-header.ts";
import * as tx from "./tx-queue.ts";

const { TCP, UDP } = Protocol;

/** UDP_MAX_SEGMENTS: virtio_net_hdr_to_skb refuses a superframe of more (64 until Linux 6.8, 128 since). */
const SEGMENTS_MAX = 64;
/** A superframe of more segments is not left to the kernel: an MSS of 500 fits. */
const WHOLE_SEGMENTS_MAX = 128;
/** Of both families: the length field of IPv4 covers its header, too. */
const UDP_LEN_MAX = 65_535 - ipv4.HEADER_LEN_MIN;

/**
 * Encapsulates the frame of `pkt` at `off` (`len` bytes, in pool slot `slot` or borrowed: -1) for VTEP `v` and sends
 * it. Returns 0 or the DropReason.
 */
export function encapsulate(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  slot: number,
  v: number,
  nowMs: number,
): number {
  const view = t.scratch.own.view;
  eth.setDst(view, off, t.vteps.macHi[v], t.vteps.macLo[v]);
  eth.setSrc(view, off, t.config.tunnel.macHi, t.config.tunnel.macLo);
  if (!mayBundle(t, pkt, v) && t.config.tunnel.bundle !== 0) endBundle(t, pkt, v);
  if (pkt.gsoType === vnet.GSO_UDP_L4) return encapsulateDatagrams(t, pkt, off, len, slot, v, nowMs);
  if (pkt.gsoType !== vnet.GSO_NONE) return encapsulateSuperframe(t, pkt, off, len, slot, v, nowMs);
  if (pkt.csumPartial !== 0) complete(t, pkt, off, len);
  return encapsulateFrame(t, pkt, off, len, slot, v, nowMs);
}

/** A superframe is cut by itself; and what is captured leaves as it is captured. */
function mayBundle(t: Tables, pkt: Packet, v: number): boolean {
  const families = t.config.tunnel.bundle;
  if (families === 0 || pkt.gsoType !== vnet.GSO_NONE || t.watchers.capturing !== 0) return false;
  return (families & (isOverV4(t, v) ? 1 : 2)) !== 0;
}

/** One frame that needs no more work behind one outer header. */
function encapsulateFrame(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  slot: number,
  v: number,
  nowMs: number,
): number {
  const view = t.scratch.own.view;
  const prefix = off - vxlan.HEADER_LEN;
  const outer = outerLen(t, v);
  const start = prefix - outer;
  const bytes = outer + vxlan.HEADER_LEN + len;
  const bundles = mayBundle(t, pkt, v);
  vxlan.emit(view, prefix, t.config.tunnel.vni as Vni);
  t.counters.events[Event.VXLAN_ENCAP]++;
  if (bundles && joinBundle(t, pkt, start, bytes, slot, v, outer)) return 0;
  emitOuter(t, pkt, start, len + vxlan.HEADER_LEN, v, 0);
  t.walks.ipId = (t.walks.ipId + 1) & 0xffff;
  const reason = send(t, start, bytes, slot, v, nowMs);
  if (bundles && reason === 0) openBundle(t, pkt, start, bytes, v, outer);
  return reason;
}

/** A superframe of UDP datagrams: finished ones, end to end behind one outer header, as TCP segments are sent. */
function encapsulateDatagrams(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  slot: number,
  v: number,
  nowMs: number,
): number {
  const head = pkt.l4 - pkt.off + udp.HEADER_LEN;
  const outer = outerLen(t, v);
  const most = piecesThatFit(outer, vxlan.HEADER_LEN + head + pkt.gsoSize);
  if (most < 1) return giveBack(t, slot, DropReason.GSO_UNSUPPORTED);
  let reason = 0;
  let at = head;
  while (at < len && reason === 0) {
    if (t.pool.count < 2) tx.flush(t.tx); // slots that wait for the flush come back
    const piece = pool.acquire(t.pool);
    if (piece < 0) {
      reason = DropReason.NO_SLOT;
      break;
    }
    const left = len - at;
    const bytes = left < most * pkt.gsoSize ? left : most * pkt.gsoSize;
    reason = sendDatagrams(t, pkt, off, at, bytes, piece, outer, v, nowMs);
    at += bytes;
  }
  return giveBack(t, slot, reason);
}

/** Pieces of `stride` bytes that one outer datagram may hold. */
function piecesThatFit(outer: number, stride: number): number {
  const room = Math.min(SLOT_ROOM - outer, UDP_LEN_MAX - udp.HEADER_LEN);
  return Math.min((room / stride) | 0, SEGMENTS_MAX);
}

/** The datagrams with payload bytes `at` … `at + bytes` of the superframe at `off`, in pool slot `slot`. */
function sendDatagrams(
  t: Tables,
  pkt: Packet,
  off: number,
  at: number,
  bytes: number,
  slot: number,
  outer: number,
  v: number,
  nowMs: number,
): number {
  const view = t.scratch.own.view;
  const l3 = pkt.l3 - pkt.off;
  const l4 = pkt.l4 - pkt.off;
  const head = l4 + udp.HEADER_LEN;
  const start = pool.frameOffset(slot);
  const index = ((at - head) / pkt.gsoSize) | 0;
  let to = start + outer;
  let count = 0;
  for (let done = 0; done < bytes; done += pkt.gsoSize) {
    const n = bytes - done < pkt.gsoSize ? bytes - done : pkt.gsoSize;
    vxlan.emit(view, to, t.config.tunnel.vni as Vni);
    const frame = to + vxlan.HEADER_LEN;
    t.arena.copyWithin(frame, off, off + head);
    t.arena.copyWithin(frame + head, off + at + done, off + at + done + n);
    finishDatagram(t, frame + l3, frame + l4, udp.HEADER_LEN + n, index + count);
    to = frame + head + n;
    count++;
  }
  const payload = to - start - outer;
  emitOuter(t, pkt, start, payload, v, count > 1 ? vxlan.HEADER_LEN + head + pkt.gsoSize : 0);
  t.walks.ipId = (t.walks.ipId + count) & 0xffff;
  t.counters.events[Event.VXLAN_ENCAP]++;
  t.counters.events[Event.GSO_SEGMENTS_OUT] += count;
  return send(t, start, outer + payload, slot, v, nowMs);
}

/** Lengths, id and checksums of one datagram of a superframe. */
function finishDatagram(t: Tables, l3: number, l4: number, udpLen: number, index: number): void {
  const view = t.scratch.own.view;
  let seed: number;
  if (view.getUint8(l3) >>> 4 === 4) {
    ipv4.setTotalLen(view, l3, l4 - l3 + udpLen);
    ipv4.setId(view, l3, (ipv4.id(view, l3) + index) & 0xffff);
    ipv4.computeChecksum(view, l3);
    seed = checksum.pseudoSumV4(ipv4.src(view, l3), ipv4.dst(view, l3), UDP, udpLen);
  } else {
    ipv6.setPayloadLen(view, l3, l4 - l3 - ipv6.HEADER_LEN + udpLen);
    seed = checksum.pseudoSumV6(view, l3, UDP, udpLen);
  }
  udp.setLength(view, l4, udpLen);
  udp.setChecksum(view, l4, 0);
  const sum = ~t.offload.checksum(t.arenaPin, l4, udpLen, checksum.fold(seed)) & 0xffff;
  udp.setChecksum(view, l4, sum === 0 ? 0xffff : sum);
}

/** Nobody behind the tunnel will complete a partial checksum: do it now. */
function complete(t: Tables, pkt: Packet, off: number, len: number): void {
  const start = pkt.csumStart - pkt.off + off;
  const sum = t.offload.checksum(t.arenaPin, start, off + len - start, 0);
  t.scratch.own.view.setUint16(start + pkt.csumOffset, finished(sum, pkt.csumOffset));
  t.counters.events[Event.CSUM_COMPLETED]++;
}

function encapsulateSuperframe(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  slot: number,
  v: number,
  nowMs: number,
): number {
  if (pkt.proto !== TCP) return giveBack(t, slot, DropReason.GSO_UNSUPPORTED);
  const view = t.scratch.own.view;
  const prefix = off - vxlan.HEADER_LEN; // as a template, in the frame's own headroom
  vxlan.emit(view, prefix, t.config.tunnel.vni as Vni);
  const l3 = pkt.l3 - pkt.off + off;
  const l4 = pkt.l4 - pkt.off + off;
  const payload = len - (l4 - off) - ((view.getUint8(l4 + 12) >>> 4) << 2);
  if (t.ports.tunnelFd >= 0 && mayStayWhole(t, pkt, len, payload, v)) {
    return encapsulateWhole(t, pkt, off, len, payload, slot, v, nowMs);
  }
  let done = 0;
  let reason = 0;
  let sent = 0;
  let lost = 0; // why the last piece that did not leave did not
  while (done < payload && reason === 0) {
    if (t.pool.count < 2) tx.flush(t.tx); // slots that wait for the flush come back
    const out = pool.acquire(t.pool);
    if (out < 0) reason = DropReason.NO_SLOT;
    else {
      const consumed = segments(t, pkt, off, len, l3, l4, done, out, v, prefix, nowMs);
      if (consumed <= 0) reason = DropReason.GSO_UNSUPPORTED;
      else if (t.scratch.cutReason === 0) sent++;
      else {
        if (lost !== 0) losePiece(pkt, t, lost);
        lost = t.scratch.cutReason;
      }
      done += consumed;
    }
  }
  // Of what has left nothing, the last piece's end is the end of all.
  if (lost !== 0 && (sent > 0 || reason !== 0)) losePiece(pkt, t, lost);
  else if (lost !== 0) reason = lost;
  return giveBack(t, slot, reason);
}

/**
 * Only what the self-test of the tunnel TAP has shown to be cut right: no IP options, no extension headers, a checksum
 * that is still to be made. What is one segment Linux refuses to cut, and one of thousands would hold all others up.
 */
function mayStayWhole(t: Tables, pkt: Packet, len: number, payload: number, v: number): boolean {
  const isV4 = pkt.family === 4;
  return (
    pkt.gsoType === (isV4 ? vnet.GSO_TCPV4 : vnet.GSO_TCPV6) &&
    pkt.l4 - pkt.l3 === (isV4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN) &&
    pkt.l3 - pkt.off === eth.HEADER_LEN &&
    pkt.csumPartial !== 0 &&
    pkt.csumStart === pkt.l4 &&
    pkt.csumOffset === tcp.CSUM_OFFSET &&
    payload > pkt.gsoSize &&
    payload <= WHOLE_SEGMENTS_MAX * pkt.gsoSize &&
    len + vxlan.HEADER_LEN + udp.HEADER_LEN <= UDP_LEN_MAX &&
    len + vxlan.HEADER_LEN + outerLen(t, v) <= SLOT_ROOM
  );
}

/** A superframe as it is, behind one outer header: the kernel, or the NIC, cuts it and makes every checksum. */
function encapsulateWhole(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  payload: number,
  slot: number,
  v: number,
  nowMs: number,
): number {
  const outer = outerLen(t, v) + vxlan.HEADER_LEN;
  vxlan.emit(t.scratch.own.view, off - vxlan.HEADER_LEN, t.config.tunnel.vni as Vni);
  emitOuterWhole(t, pkt, off, len, v);
  t.walks.ipId = (t.walks.ipId + Math.ceil(payload / pkt.gsoSize)) & 0xffff;
  t.counters.events[Event.VXLAN_ENCAP]++;
  t.counters.events[Event.TUNNEL_GSO]++;
  return send(t, off - outer, len + outer, slot, v, nowMs);
}

function losePiece(pkt: Packet, t: Tables, reason: number): void {
  t.counters.drops[reason]++;
  lostPiece(pkt, t, reason);
}

/** One outer superframe with as many segments as fit; `cutReason` says whether it left. Returns the bytes it took. */
function segments(
  t: Tables,
  pkt: Packet,
  off: number,
  len: number,
  l3: number,
  l4: number,
  from: number,
  slot: number,
  v: number,
  prefix: number,
  nowMs: number,
): number {
  const start = pool.frameOffset(slot);
  const result = t.scratch.cut;
  const outer = outerLen(t, v);
  const out = start + outer;
  const stride =
    vxlan.HEADER_LEN + (l4 - off) + ((t.scratch.own.view.getUint8(l4 + 12) >>> 4) << 2) + pkt.gsoSize;
  const room = piecesThatFit(outer, stride) * stride;
  const consumed = t.offload.segmentTcp(
    t.arenaPin,
    off,
    len,
    l3,
    l4,
    pkt.gsoSize,
    from,
    out,
    room,
    prefix,
    vxlan.HEADER_LEN,
    t.scratch.cutPin,
  );
  if (consumed <= 0) {
    pool.release(t.pool, slot);
    return consumed;
  }
  const count = result[0];
  emitOuter(t, pkt, start, result[1], v, count > 1 ? result[2] : 0);
  t.walks.ipId = (t.walks.ipId + count) & 0xffff;
  t.counters.events[Event.VXLAN_ENCAP]++;
  t.counters.events[Event.GSO_SEGMENTS_OUT] += count;
  t.scratch.cutReason = send(t, start, result[1] + outer, slot, v, nowMs);
  return consumed;
}

function giveBack(t: Tables, slot: number, reason: number): number {
  if (slot >= 0) pool.release(t.pool, slot);
  return reason;
}
