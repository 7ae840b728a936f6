/**
 * Stage `translate` (Linux: nf_nat_manip_pkt). Writes the decided tuple into the bytes, once, and repairs every
 * checksum under it: RFC 1624 on a full one; on a partial one (virtio NEEDS_CSUM) only the pseudo-header's sum,
 * since ports and payload are still to be summed. An ICMP error is translated outside and inside. Never drops.
 */
import * as checksum from "../../wire/checksum.ts";
import * as icmpv4 from "../../wire/icmpv4.ts";
import * as icmpv6 from "../../wire/icmpv6.ts";
import * as ipv4 from "../../wire/ipv4.ts";
import * as ipv6 from "../../wire/ipv6.ts";
import * as sctp from "../../wire/sctp.ts";
import type { Packet } from "../packet.ts";
import * as conntrack from "../table/conntrack.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";

const TCP = 6;
const UDP = 17;
const UDPLITE = 136;
const SCTP = 132;
const ICMP = 1;
const ICMPV6 = 58;
const TCP_CSUM = 16;
const UDP_CSUM = 6;

export function translate(pkt: Packet, t: Tables): Verdict {
  if (pkt.nat === 0) return Verdict.NEXT;
  if (pkt.icmpInner !== 0) {
    translateError(pkt, t);
    return Verdict.NEXT;
  }
  const key = pkt.key;
  const to = pkt.to;
  const csum = checksumField(pkt.proto, pkt.l4, pkt.family);
  const partial = pkt.csumPartial !== 0;
  for (let i = 0; i < 8; i++) if (key[i] !== to[i]) writeAddress(pkt, i, key[i], to[i], csum, partial);
  const before = key[8];
  const after = to[8];
  if (before !== after) writePorts(pkt, before, after, csum, partial);
  if (pkt.proto === SCTP && before !== after) sctp.computeChecksum(pkt.view, pkt.l4, pkt.end);
  return Verdict.NEXT;
}

/** Offset of the checksum that covers the pseudo-header, or 0: the protocol has none. */
function checksumField(proto: number, l4: number, family: number): number {
  if (proto === TCP) return l4 + TCP_CSUM;
  if (proto === UDP || proto === UDPLITE) return l4 + UDP_CSUM;
  return proto === ICMPV6 && family === 6 ? l4 + icmpv6.CSUM_OFFSET : 0;
}

/** Writes address word `i` (0–3 source, 4–7 destination). */
function writeAddress(
  pkt: Packet,
  i: number,
  before: number,
  after: number,
  csum: number,
  partial: boolean,
): void {
  const view = pkt.view;
  if (pkt.family === 4) {
    const at = pkt.l3 + (i < 4 ? 12 : 16);
    view.setInt32(at, after);
    checksum.adjust32(view, pkt.l3 + 10, before, after);
  } else if (i < 4) ipv6.setSrcWord(view, pkt.l3, i, after);
  else ipv6.setDstWord(view, pkt.l3, i - 4, after);
  if (csum !== 0) repair32(pkt, csum, before, after, partial);
}

function repair32(pkt: Packet, csum: number, before: number, after: number, partial: boolean): void {
  const view = pkt.view;
  if (partial && csum === pkt.csumStart + pkt.csumOffset) checksum.adjustPartial32(view, csum, before, after);
  else if (pkt.proto === UDP) checksum.adjustUdp32(view, csum, before, after);
  else checksum.adjust32(view, csum, before, after);
}

function writePorts(pkt: Packet, before: number, after: number, csum: number, partial: boolean): void {
  const view = pkt.view;
  const proto = pkt.proto;
  if (proto === ICMP || proto === ICMPV6) {
    const field = proto === ICMP ? pkt.l4 + icmpv4.CSUM_OFFSET : csum;
    view.setUint16(pkt.l4 + 4, after >>> 16);
    if (!partial) checksum.adjust16(view, field, before >>> 16, after >>> 16);
    return;
  }
  view.setInt32(pkt.l4, after);
  if (csum === 0 || partial) return;
  if (proto === UDP) checksum.adjustUdp32(view, csum, before, after);
  else checksum.adjust32(view, csum, before, after);
}

/** Rewrites the quoted packet to what the receiver once sent, then the outer addresses, then sums the ICMP anew. */
function translateError(pkt: Packet, t: Tables): void {
  const view = pkt.view;
  const inner = pkt.icmpInner;
  const sent = t.keyB;
  conntrack.loadTuple(t.conntrack, (pkt.ctSlot << 1) | (pkt.ctDir ^ 1), sent);
  if (pkt.family === 4) {
    const l4 = inner + ipv4.headerLen(view, inner);
    rewriteQuoted(pkt, l4, ipv4.proto(view, inner), view.getInt32(inner + 12), sent[3]);
    view.setInt32(inner + 12, sent[3]);
    rewriteQuoted(pkt, l4, ipv4.proto(view, inner), view.getInt32(inner + 16), sent[7]);
    view.setInt32(inner + 16, sent[7]);
    ipv4.computeChecksum(view, inner);
    rewriteQuotedPorts(pkt, l4, ipv4.proto(view, inner), sent[8]);
    for (let i = 3; i < 8; i += 4) {
      if (pkt.key[i] !== pkt.to[i]) writeAddress(pkt, i, pkt.key[i], pkt.to[i], 0, false);
    }
    icmpv4.computeChecksum(view, pkt.l4, pkt.end - pkt.l4);
  } else {
    const upper = ipv6.findUpperLayer(view, inner, pkt.end);
    const l4 = ipv6.upperLayerOffset(inner, upper);
    const proto = ipv6.upperLayerProto(upper);
    for (let i = 0; i < 4; i++) {
      rewriteQuoted(pkt, l4, proto, ipv6.srcWord(view, inner, i), sent[i]);
      ipv6.setSrcWord(view, inner, i, sent[i]);
      rewriteQuoted(pkt, l4, proto, ipv6.dstWord(view, inner, i), sent[i + 4]);
      ipv6.setDstWord(view, inner, i, sent[i + 4]);
    }
    rewriteQuotedPorts(pkt, l4, proto, sent[8]);
    for (let i = 0; i < 8; i++) {
      if (pkt.key[i] !== pkt.to[i]) writeAddress(pkt, i, pkt.key[i], pkt.to[i], 0, false);
    }
    icmpv6.computeChecksum(view, pkt.l4, pkt.end - pkt.l4, pkt.l3);
  }
  pkt.csumPartial = 0;
}

/** Repairs the quoted packet's own checksum for an address word, as far as the quote holds one. */
function rewriteQuoted(pkt: Packet, l4: number, proto: number, before: number, after: number): void {
  if (before === after) return;
  if (proto === UDP) checksum.adjustUdp32(pkt.view, l4 + UDP_CSUM, before, after);
  else if (proto === TCP && l4 + TCP_CSUM + 2 <= pkt.end) {
    checksum.adjust32(pkt.view, l4 + TCP_CSUM, before, after);
  } else if (proto === ICMPV6) checksum.adjust32(pkt.view, l4 + icmpv6.CSUM_OFFSET, before, after);
}

function rewriteQuotedPorts(pkt: Packet, l4: number, proto: number, after: number): void {
  const view = pkt.view;
  if (proto === ICMP || proto === ICMPV6) {
    const id = view.getUint16(l4 + 4);
    view.setUint16(l4 + 4, after >>> 16);
    checksum.adjust16(view, l4 + 2, id, after >>> 16);
    return;
  }
  if (proto !== TCP && proto !== UDP && proto !== SCTP && proto !== UDPLITE) return;
  const before = view.getInt32(l4);
  view.setInt32(l4, after);
  if (proto === UDP) checksum.adjustUdp32(view, l4 + UDP_CSUM, before, after);
  else if (proto === TCP && l4 + TCP_CSUM + 2 <= pkt.end) {
    checksum.adjust32(view, l4 + TCP_CSUM, before, after);
  }
}
