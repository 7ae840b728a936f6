/**
 * Stage `decapsulate` (Linux: vxlan_rcv). For a VXLAN packet to this node: checks the outer headers, finds
 * the inner frame or frames, and hands each back to the pipeline through `inner`. A UDP_L4 superframe holds
 * many VXLAN packets end to end; their TCP segments are joined again, so that a superframe reaches the pod as
 * it left. Drops: malformed or foreign VXLAN, unknown VTEP, wrong outer checksum, a congestion mark
 * that the inner packet cannot bear.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as options from "../../../wire/ip/ipv4-options.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as vxlan from "../../../wire/link/vxlan.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import * as udp from "../../../wire/transport/udp.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { setSum, UNKNOWN } from "../../packet/frame-sum.ts";
import { begin, type Packet, SLOT_STRIDE } from "../../packet/packet.ts";
import * as transport from "../../packet/transport-checksum.ts";
import { PortRole } from "../../port.ts";
import { JOINED_MAX } from "../../scratch.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as vteps from "../../table/vteps.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { UDP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS } = TupleWord;

const { NEXT } = Verdict;
const { UPLINK } = PortRole;
/** Code points of the ECN field (RFC 3168 §5). */
const Ecn = Object.freeze({ NOT_ECT: 0, ECT1: 1, ECT0: 2, CE: 3, MASK: 3 } as const);
const TCP_MIN = tcp.HEADER_LEN_MIN;

/** Is this one for our tunnel endpoint? Only whole packets: a fragment is reassembled first. */
export function isForTunnel(pkt: Packet, t: Tables): boolean {
  return (
    t.config.tunnel.on !== 0 &&
    pkt.proto === UDP &&
    pkt.fromTunnel === 0 &&
    (pkt.key[PORTS] & 0xffff) === t.config.tunnel.port &&
    pkt.fragment === 0 &&
    t.ports.role[pkt.inPort] === UPLINK &&
    localAddresses.has(t.addresses.local, pkt.key[DST0], pkt.key[DST1], pkt.key[DST2], pkt.key[DST3])
  );
}

/** Checks the outer headers. NEXT: frames can be taken out. */
export function decapsulate(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.DECAPSULATE;
  const view = pkt.view;
  if (pkt.options !== 0 && options.findProblem(view, pkt.l3) !== options.NONE) {
    return drop(pkt, t, DropReason.MALFORMED_IPV4);
  }
  // Every packet of a superframe is looked at: the kernel joins what has one UDP flow, whatever its VNI.
  const stride = pkt.gsoType === vnet.GSO_UDP_L4 ? pkt.gsoSize : pkt.end;
  let at = tunnelPayload(pkt);
  do {
    if (!vxlan.isWellFormed(view, at, pkt.end) || (vxlan.flags(view, at) & vxlan.FLAG_I) === 0) {
      return drop(pkt, t, DropReason.VXLAN_MALFORMED);
    }
    if (vxlan.vni(view, at) !== t.config.tunnel.vni) return drop(pkt, t, DropReason.VXLAN_UNKNOWN_VNI);
    at += stride;
  } while (at < pkt.end);
  const k = pkt.key;
  t.scratch.tunnelVtep = vteps.findByOuter(t.vteps, k[SRC0], k[SRC1], k[SRC2], k[SRC3]);
  if (t.scratch.tunnelVtep < 0) return drop(pkt, t, DropReason.VXLAN_UNKNOWN_VTEP);
  if (!outerChecksumOk(pkt, t)) return drop(pkt, t, DropReason.VXLAN_BAD_CHECKSUM);
  t.counters.events[Event.VXLAN_DECAP]++;
  return NEXT;
}

/** Offset of the first VXLAN header. */
export function tunnelPayload(pkt: Packet): number {
  return pkt.l4 + udp.HEADER_LEN;
}

/** A partial sum was never on a wire, a superframe was checked by whoever joined it. */
function outerChecksumOk(pkt: Packet, t: Tables): boolean {
  const stored = udp.checksum(pkt.view, pkt.l4);
  if (stored === 0 || pkt.gsoType !== vnet.GSO_NONE) return true;
  if (pkt.csumPartial !== 0 && pkt.csumStart === pkt.l4) return true;
  if (pkt.csumPartial !== 0) return true; // inner part still to be summed: the outer sum cannot be checked
  return transport.isRight(pkt, t);
}

/**
 * Lays the inner frames from the VXLAN header at `at` on out and fills `joined` with (offset, length)
 * pairs and, last, the bytes they took: a superframe of many small packets needs several calls. `slot` is the
 * first of two adjacent slots that may be used for joined frames. Returns how many frames there are, ≤ 0 when
 * there is none.
 */
export function innerFrames(pkt: Packet, t: Tables, at: number, slot: number): number {
  const d = t.scratch.joined;
  if (pkt.gsoType === vnet.GSO_UDP_L4) {
    const out = slot * SLOT_STRIDE;
    const room = 2 * SLOT_STRIDE;
    const prefix = vxlan.HEADER_LEN;
    const left = pkt.end - at;
    const n = t.offload.coalesce(
      t.arenaPin,
      at,
      left,
      pkt.gsoSize,
      prefix,
      out,
      room,
      t.scratch.joinedPin,
      JOINED_MAX,
    );
    if (n > 0) t.counters.events[Event.GSO_SEGMENTS_IN] += Math.ceil(d[2 * JOINED_MAX] / pkt.gsoSize);
    return n;
  }
  const off = at + vxlan.HEADER_LEN;
  const len = pkt.end - off;
  const vh = off - vnet.HEADER_LEN;
  const innerPartial = pkt.csumPartial !== 0 && pkt.csumStart > off;
  if (pkt.gsoType !== vnet.GSO_NONE && !innerPartial) return 0;
  if (innerPartial) moveVirtioHeader(pkt, off);
  else vnet.clear(pkt.view, vh);
  d[0] = off;
  d[1] = len;
  d[2 * JOINED_MAX] = pkt.end - at;
  return 1;
}

/**
 * A kernel VTEP without a wire between us hands over its tunnel superframe as it is: one outer header, one
 * inner superframe whose checksum is partial. It needs no joining; the virtio header only moves inward, to
 * before `off`.
 */
function moveVirtioHeader(pkt: Packet, off: number): void {
  const view = pkt.view;
  const start = pkt.csumStart - off;
  const isTcp = pkt.gsoType !== vnet.GSO_NONE && pkt.csumStart + TCP_MIN <= pkt.end;
  const hdrLen = isTcp ? start + tcp.headerLen(view, pkt.csumStart) : 0;
  const type = pkt.gsoType | pkt.gsoEcn;
  vnet.emit(view, off - vnet.HEADER_LEN, vnet.NEEDS_CSUM, type, hdrLen, pkt.gsoSize, start, pkt.csumOffset);
}

/** Do inner frames lie by themselves, each behind a virtio header of its own, and owe the outer one no mark? */
export function isLaidOutPlainly(pkt: Packet): boolean {
  if (pkt.gsoType !== vnet.GSO_UDP_L4) return false;
  const mark = outerEcn(pkt);
  return mark !== Ecn.CE && mark !== Ecn.ECT1;
}

/** Where the inner frame at descriptor `i` begins. */
export function innerAt(t: Tables, i: number): number {
  return t.scratch.joined[2 * i];
}

export function innerLen(t: Tables, i: number): number {
  return t.scratch.joined[2 * i + 1];
}

/** Prepares `inner` for the frame at descriptor `i`. Drops what is too short to be one. */
export function beginInner(pkt: Packet, t: Tables, i: number): Verdict {
  const inner = t.scratch.inner;
  begin(inner, innerAt(t, i), innerLen(t, i), pkt.inPort);
  inner.fromTunnel = 1;
  inner.stage = StageId.DECAPSULATE;
  if (pkt.frameSum >= 0) setSum(inner, pkt.frameSum, pkt.sumAt, pkt.sumEnd); // of the same bytes
  inner.traceId = pkt.traceId;
  inner.watchId = pkt.watchId;
  if (inner.end - inner.off < eth.HEADER_LEN) {
    return drop(inner, t, DropReason.VXLAN_INNER);
  }
  if (!carryCongestion(inner, outerEcn(pkt))) return drop(inner, t, DropReason.VXLAN_CONGESTION);
  return NEXT;
}

function outerEcn(pkt: Packet): number {
  const tos = pkt.family === 4 ? ipv4.tos(pkt.view, pkt.l3) : ipv6.trafficClass(pkt.view, pkt.l3);
  return tos & Ecn.MASK;
}

/**
 * A mark that a switch of the fabric put on the outer header goes on to the inner one (RFC 6040 §4.2; Linux:
 * INET_ECN_decapsulate): CE on every packet whose sender knows ECN, ECT(1), which is milder, on ECT(0) alone.
 * False: congestion for a sender that knows no ECN, for whom a drop is the only mark.
 */
function carryCongestion(inner: Packet, outer: number): boolean {
  if (outer !== Ecn.CE && outer !== Ecn.ECT1) return true;
  const view = inner.view;
  const ip = inner.off + eth.HEADER_LEN;
  const type = eth.etherType(view, inner.off);
  const isV4 = type === eth.ETHERTYPE_IPV4 && inner.end - ip >= ipv4.HEADER_LEN_MIN;
  if (!isV4 && (type !== eth.ETHERTYPE_IPV6 || inner.end - ip < ipv6.HEADER_LEN)) return true;
  const tos = isV4 ? ipv4.tos(view, ip) : ipv6.trafficClass(view, ip);
  const ecn = tos & Ecn.MASK;
  if (ecn === Ecn.NOT_ECT) return outer !== Ecn.CE;
  if (ecn === Ecn.CE || (outer === Ecn.ECT1 && ecn !== Ecn.ECT0)) return true;
  const marked = (tos & ~Ecn.MASK) | outer;
  if (isV4) ipv4.setTosAndChecksum(view, ip, marked);
  else ipv6.setTrafficClass(view, ip, marked);
  inner.frameSum = UNKNOWN;
  return true;
}
