/**
 * Stage `translate` (Linux: nf_nat_manip_pkt). Writes the decided tuple into the bytes, once, and repairs
 * every checksum under it: RFC 1624 on a full one; on a partial one (virtio NEEDS_CSUM) only the
 * pseudo-header's sum, since ports and payload are still to be summed. An ICMP error is translated outside
 * and inside. Never drops.
 */
import { Protocol } from "../../../base/protocols.ts";
import * as checksum from "../../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as sctp from "../../../wire/transport/sctp.ts";
import type { Packet } from "../../packet/packet.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;

const { SRC0, SRC3, DST0, DST3, PORTS } = TupleWord;

const TCP_CSUM = 16;
const UDP_CSUM = 6;

export function translate(pkt: Packet, t: Tables): Verdict {
  if (pkt.nat === 0) return Verdict.NEXT;
  pkt.stage = StageId.TRANSLATE;
  pkt.acted = 1;
  if (pkt.icmpInner !== 0) {
    translateError(pkt, t);
    return Verdict.NEXT;
  }
  // What changes is added up and repaired once per checksum: a third of the time of a repair per word.
  const addresses = writeAddresses(pkt);
  const ports = pkt.key[PORTS] === pkt.to[PORTS] ? 0 : writePorts(pkt, pkt.key[PORTS], pkt.to[PORTS]);
  repairTransport(pkt, addresses, ports);
  return Verdict.NEXT;
}

/**
 * Writes the addresses, repairs the IPv4 header, and answers what that adds to a sum over the pseudo-header.
 */
function writeAddresses(pkt: Packet): number {
  const view = pkt.view;
  const key = pkt.key;
  const to = pkt.to;
  const l3 = pkt.l3;
  let difference = 0;
  if (pkt.family === 4) {
    if (key[SRC3] !== to[SRC3]) {
      view.setInt32(l3 + 12, to[SRC3]);
      difference = checksum.difference32(key[SRC3], to[SRC3]);
    }
    if (key[DST3] !== to[DST3]) {
      view.setInt32(l3 + 16, to[DST3]);
      difference += checksum.difference32(key[DST3], to[DST3]);
    }
    if (difference !== 0) checksum.adjustBy(view, l3 + 10, difference);
    return difference;
  }
  for (let i = SRC0; i < PORTS; i++) {
    if (key[i] === to[i]) continue;
    if (i < DST0) ipv6.setSrcWord(view, l3, i, to[i]);
    else ipv6.setDstWord(view, l3, i - DST0, to[i]);
    difference += checksum.difference32(key[i], to[i]);
  }
  return difference;
}

/** Writes ports, or the id of an ICMP query, and answers what that adds to the transport's sum. */
function writePorts(pkt: Packet, before: number, after: number): number {
  const view = pkt.view;
  const proto = pkt.proto;
  if (proto === ICMP || proto === ICMPV6) {
    view.setUint16(pkt.l4 + 4, after >>> 16);
    return checksum.difference16(before >>> 16, after >>> 16);
  }
  if (proto === SCTP) sctp.setPortsAndChecksum(view, pkt.l4, after, pkt.end - pkt.l4);
  else view.setInt32(pkt.l4, after);
  return checksum.difference32(before, after);
}

/** Repairs the transport's checksum for addresses and ports that changed. */
function repairTransport(pkt: Packet, addresses: number, ports: number): void {
  const view = pkt.view;
  const proto = pkt.proto;
  const l4 = pkt.l4;
  let csum: number;
  let difference = addresses + ports;
  if (proto === TCP) csum = l4 + TCP_CSUM;
  else if (proto === UDP || proto === UDPLITE) csum = l4 + UDP_CSUM;
  else if (proto === ICMP) {
    csum = l4 + icmpv4.CSUM_OFFSET;
    difference = ports; // no pseudo-header
  } else if (proto === ICMPV6) csum = l4 + icmpv6.CSUM_OFFSET;
  else return;
  if (difference === 0) return;
  if (pkt.csumPartial !== 0 && csum === pkt.csumStart + pkt.csumOffset) {
    // Ports are still to be summed, the pseudo-header is there already; ICMP has none.
    if (proto !== ICMP) checksum.adjustPartialBy(view, csum, addresses);
  } else if (proto === UDP || proto === UDPLITE) checksum.adjustUdpBy(view, csum, difference);
  else checksum.adjustBy(view, csum, difference);
}

/**
 * Rewrites the quoted packet to what the receiver once sent, then the outer addresses, then sums the ICMP
 * anew.
 */
function translateError(pkt: Packet, t: Tables): void {
  const view = pkt.view;
  const inner = pkt.icmpInner;
  const sent = t.scratch.keyB;
  conntrack.loadTuple(t.conntrack, (pkt.ctSlot << 1) | (pkt.ctDir ^ 1), sent);
  if (pkt.family === 4) {
    const l4 = inner + ipv4.headerLen(view, inner);
    rewriteQuoted(pkt, l4, ipv4.proto(view, inner), view.getInt32(inner + 12), sent[SRC3]);
    view.setInt32(inner + 12, sent[SRC3]);
    rewriteQuoted(pkt, l4, ipv4.proto(view, inner), view.getInt32(inner + 16), sent[DST3]);
    view.setInt32(inner + 16, sent[DST3]);
    ipv4.computeChecksum(view, inner);
    rewriteQuotedPorts(
      pkt,
      l4,
      ipv4.proto(view, inner),
      sent[PORTS],
      inner + ipv4.totalLen(view, inner) - l4,
    );
    writeAddresses(pkt);
    icmpv4.computeChecksum(view, pkt.l4, pkt.end - pkt.l4);
  } else {
    const upper = ipv6.findUpperLayer(view, inner, pkt.end);
    const l4 = ipv6.upperLayerOffset(inner, upper);
    const proto = ipv6.upperLayerProto(upper);
    for (let i = 0; i < 4; i++) {
      rewriteQuoted(pkt, l4, proto, ipv6.srcWord(view, inner, i), sent[SRC0 + i]);
      ipv6.setSrcWord(view, inner, i, sent[SRC0 + i]);
      rewriteQuoted(pkt, l4, proto, ipv6.dstWord(view, inner, i), sent[DST0 + i]);
      ipv6.setDstWord(view, inner, i, sent[DST0 + i]);
    }
    const end = inner + ipv6.HEADER_LEN + ipv6.payloadLen(view, inner);
    rewriteQuotedPorts(pkt, l4, proto, sent[PORTS], end - l4);
    writeAddresses(pkt);
    icmpv6.computeChecksum(view, pkt.l4, pkt.end - pkt.l4, pkt.l3);
  }
  pkt.csumPartial = 0;
}

/** Repairs the quoted packet's own checksum for an address word, as far as the quote holds one. */
function rewriteQuoted(pkt: Packet, l4: number, proto: number, before: number, after: number): void {
  if (before === after) return;
  if (proto === UDP || proto === UDPLITE) checksum.adjustUdp32(pkt.view, l4 + UDP_CSUM, before, after);
  else if (proto === TCP && l4 + TCP_CSUM + 2 <= pkt.end) {
    checksum.adjust32(pkt.view, l4 + TCP_CSUM, before, after);
  } else if (proto === ICMPV6) checksum.adjust32(pkt.view, l4 + icmpv6.CSUM_OFFSET, before, after);
}

/**
 * The same for ports. `bytes`: of the quoted packet's transport as it was sent, which the quote may hold a part of
 * only; SCTP's CRC is repaired for that length.
 */
function rewriteQuotedPorts(pkt: Packet, l4: number, proto: number, after: number, bytes: number): void {
  const view = pkt.view;
  if (proto === ICMP || proto === ICMPV6) {
    const id = view.getUint16(l4 + 4);
    view.setUint16(l4 + 4, after >>> 16);
    checksum.adjust16(view, l4 + 2, id, after >>> 16);
    return;
  }
  if (proto !== TCP && proto !== UDP && proto !== SCTP && proto !== UDPLITE) return;
  const before = view.getInt32(l4);
  if (proto === SCTP && l4 + sctp.HEADER_LEN <= pkt.end && bytes >= sctp.HEADER_LEN) {
    if (before !== after) sctp.setPortsAndChecksum(view, l4, after, bytes);
    return;
  }
  view.setInt32(l4, after);
  if (proto === UDP || proto === UDPLITE) checksum.adjustUdp32(view, l4 + UDP_CSUM, before, after);
  else if (proto === TCP && l4 + TCP_CSUM + 2 <= pkt.end) {
    checksum.adjust32(view, l4 + TCP_CSUM, before, after);
  }
}
