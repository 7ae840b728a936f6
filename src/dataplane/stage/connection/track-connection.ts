/**
 * Stage `track-connection` (Linux: nf_conntrack_in at PREROUTING and OUTPUT). Finds the connection of a
 * packet and how it is to be translated, or says NEW, RELATED or INVALID. Reads the tuple, writes conntrack;
 * the packet's `to` holds the tuple it shall leave with. Never drops: INVALID is the policy stage's business.
 */
import { Protocol } from "../../../base/protocols.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import { DropReason } from "../../drop-reason.ts";
import { isKnownNew } from "../../fast/fast-frame.ts";
import * as keptClient from "../../packet/kept-client.ts";
import * as mesh from "../../packet/mesh.ts";
import { CtState, type Packet, Way } from "../../packet/packet.ts";
import * as transport from "../../packet/transport-checksum.ts";
import * as trackers from "../../protocol/trackers.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { Track } from "../../table/connection/ct-states.ts";
import { EventType } from "../../table/connection/event-ring.ts";
import * as expectations from "../../table/connection/expectations.ts";
import * as ipvsTimeouts from "../../table/connection/ipvs-timeouts.ts";
import * as tuple from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMP, ICMPV6 } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = tuple.TupleWord;
const { V4, V6, ZONE } = tuple.Meta;

const { NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED } = CtState;
const { NEXT } = Verdict;
const { Status } = conntrack;
const NAT_BITS = Status.SRC_NAT | Status.DST_NAT;
/** Connections of the mesh's proxy. */
const MESH_BITS = Status.TO_PROXY | Status.FROM_PROXY;
/** What would reach its receiver as another's: to who came by another node, or by the proxy, only these can answer. */
const FOREIGN_BITS = NAT_BITS | Status.VIA | MESH_BITS;
const UNUSUAL = Status.HELPER | Status.VIA | MESH_BITS;

export function trackConnection(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.TRACK_CONNECTION;
  const proto = pkt.proto;
  if (pkt.csumPartial === 0 && pkt.csumValid === 0) {
    if (transport.isKnownRight(pkt)) pkt.csumValid = 1;
    else {
      pkt.csumWrong = transport.wrongChecksum(pkt, t);
      if (pkt.csumWrong !== 0) return refuse(pkt, t);
      if (transport.isVerifiedHere(pkt, t)) pkt.csumValid = 1;
    }
  }
  if (proto === ICMP || proto === ICMPV6) {
    const type = tuple.icmpType(pkt.key);
    if (proto === ICMP ? icmpv4.isError(type) : icmpv6.isError(type)) return relate(pkt, t, nowSec);
    if (proto === ICMPV6 && icmpv6.isLinkTalk(type)) {
      pkt.ctState = UNTRACKED; // as the kernel
      return NEXT;
    }
  }
  const ref = isKnownNew(t.scratch.fast, pkt.key) ? -1 : conntrack.find(t.conntrack, pkt.key);
  if (ref < 0) return begin(pkt, t);
  return proceed(pkt, t, ref, nowSec);
}

/** Of no connection, since its ports may be what is damaged; which one it names is asked for the sake of safety alone. */
function refuse(pkt: Packet, t: Tables): Verdict {
  pkt.ctState = INVALID;
  const ref = conntrack.find(t.conntrack, pkt.key);
  if (ref >= 0) pkt.ctInvalidNat = t.conntrack.status[(ref >> 1) << 4] & FOREIGN_BITS;
  return NEXT;
}

/** No such connection: may this packet start one? */
function begin(pkt: Packet, t: Tables): Verdict {
  pkt.ctState = NEW;
  if (expectations.used(t.expectations) !== 0) fulfil(pkt, t);
  if (!trackers.mayBegin(pkt, t)) pkt.ctState = INVALID;
  if (pkt.fromTunnel !== 0 && t.config.tunnel.keepClients !== 0 && keptClient.isOrphan(pkt, t)) {
    pkt.ctState = INVALID;
    pkt.ctInvalidNat = Status.VIA;
  }
  return NEXT;
}

/** A connection that a helper saw coming is RELATED, and goes where its master's other end meant it to. */
function fulfil(pkt: Packet, t: Tables): void {
  const e = t.expectations;
  const index = expectations.find(e, t.conntrack, pkt.key, conntrack.clockSec(t.conntrack));
  if (index < 0) return;
  pkt.ctState = RELATED;
  pkt.expected = index;
  tuple.copy(pkt.key, pkt.to);
  if (!expectations.isTranslated(e, index)) return;
  expectations.loadDestination(e, index, pkt.to);
  pkt.nat = 1;
}

function proceed(pkt: Packet, t: Tables, ref: number, nowSec: number): Verdict {
  const ct = t.conntrack;
  const slot = ref >> 1;
  if ((ref & 1) === 1 && (ct.status[slot << 4] & Status.TO_PROXY) !== 0 && !mesh.isByProxy(pkt, t)) {
    pkt.ctState = INVALID; // the proxy answers for the endpoint, and nobody else
    pkt.ctInvalidNat = Status.TO_PROXY;
    return NEXT;
  }
  const watched = ct.header[conntrack.H_EVENT_READERS] !== 0;
  const before = watched ? conntrack.visible(ct, slot) : 0;
  const answer = trackers.advance(pkt, t, ref, nowSec);
  if (answer === Track.OK) {
    conntrack.account(ct, ref, pkt.ipLen);
    if (ct.header[ipvsTimeouts.H_IPVS_SET] !== 0 && (ct.status[slot << 4] & Status.SERVED) !== 0)
      ipvsTimeouts.renew(ct, slot, pkt.proto, nowSec);
  } else if (answer === Track.REPEAT) return begin(pkt, t);
  else if (answer === Track.INVALID) {
    pkt.ctState = INVALID;
    pkt.ctInvalidNat = ct.status[slot << 4] & FOREIGN_BITS;
    return NEXT;
  } else if ((ref & 1) === 1) ct.status[slot << 4] |= Status.SEEN_REPLY;
  if (watched && conntrack.visible(ct, slot) !== before) conntrack.tell(ct, EventType.UPDATE, slot);
  const status = ct.status[slot << 4];
  pkt.ctSlot = slot;
  pkt.ctDir = ref & 1;
  pkt.ctState = (status & Status.SEEN_REPLY) !== 0 ? ESTABLISHED : firstState(status);
  if ((status & UNUSUAL) !== 0) mark(pkt, t, status);
  if ((status & NAT_BITS) !== 0) {
    conntrack.loadTranslated(ct, ref, pkt.key, pkt.to);
    pkt.nat = 1;
  }
  return NEXT;
}

/**
 * Connections that few are of: read by a helper, brought by another node, to which the pod's packets go back, or of the
 * mesh's proxy, to which one direction goes.
 */
function mark(pkt: Packet, t: Tables, status: number): void {
  if ((status & Status.HELPER) !== 0) pkt.helper = 1;
  if ((status & Status.VIA) !== 0 && pkt.ctDir !== 0) keptClient.goBack(pkt, t, pkt.ctSlot);
  if (mesh.goesToProxy(status, pkt.ctDir)) pkt.bridged = Way.MESH;
}

function firstState(status: number): CtState {
  return (status & Status.RELATED) !== 0 ? RELATED : NEW;
}

/**
 * An ICMP error belongs to the connection of the packet it quotes. The quote was sent by the error's
 * receiver, so its tuple turned round is that of the direction the error travels in
 * (nf_conntrack_inet_error).
 */
function relate(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.ctState = INVALID;
  // The translated error is summed anew, which would make a damaged one look sound
  // (nf_conntrack_icmpv4_error, too, checks first). No kernel leaves the sum of an ICMP error to the card.
  if (pkt.csumPartial !== 0 || (pkt.proto === ICMP) !== (pkt.family === 4)) return NEXT;
  if (!checksumOk(pkt)) {
    pkt.csumWrong = DropReason.BAD_ICMP_CHECKSUM;
    return NEXT;
  }
  const { keyA, keyB } = t.scratch;
  const quoted = quotedTuple(pkt, keyA);
  if (quoted < 0 || !isForQuoted(pkt, keyA)) return NEXT;
  tuple.invert(keyA, keyB);
  const ct = t.conntrack;
  const ref = findQuoted(pkt, t);
  if (ref < 0 || conntrack.isExpired(ct, ref >> 1, nowSec)) return NEXT;
  pkt.ctState = RELATED;
  pkt.ctSlot = ref >> 1;
  pkt.ctDir = ref & 1;
  const status = ct.status[(ref >> 1) << 4];
  if ((status & UNUSUAL) !== 0) mark(pkt, t, status & ~Status.HELPER);
  if ((status & NAT_BITS) === 0) return NEXT;
  // As nf_nat_icmp_reply_translation: the outer addresses become those of the connection's direction, each
  // only when that side is translated; so behind a DNAT every router speaks with the service's address.
  pkt.icmpInner = quoted;
  pkt.nat = 1;
  const reply = (ref & 1) === 1;
  const source = (status & (reply ? Status.DST_NAT : Status.SRC_NAT)) !== 0;
  const destination = (status & (reply ? Status.SRC_NAT : Status.DST_NAT)) !== 0;
  conntrack.loadTranslated(ct, ref, pkt.key, keyA);
  for (let i = 0; i < 4; i++) {
    pkt.to[SRC0 + i] = source ? keyA[SRC0 + i] : pkt.key[SRC0 + i];
    pkt.to[DST0 + i] = destination ? keyA[DST0 + i] : pkt.key[DST0 + i];
  }
  pkt.to[PORTS] = pkt.key[PORTS];
  pkt.to[META] = pkt.key[META];
  return NEXT;
}

/** Is it for who sent what it quotes? Others could be sent anything as an error about a connection of one's own. */
function isForQuoted(pkt: Packet, quoted: Int32Array): boolean {
  const k = pkt.key;
  return (
    k[DST3] === quoted[SRC3] &&
    k[DST2] === quoted[SRC2] &&
    k[DST1] === quoted[SRC1] &&
    k[DST0] === quoted[SRC0]
  );
}

/**
 * The connection of `keyB`. An error out of the tunnel may be about an answer to a client that its sender brought,
 * whoever made it: a router beyond, or the sending node itself.
 */
function findQuoted(pkt: Packet, t: Tables): number {
  const { keyB } = t.scratch;
  if (pkt.fromTunnel !== 0 && t.config.tunnel.keepClients !== 0) {
    keyB[META] |= keptClient.zoneOfSender(pkt, t);
    const ref = conntrack.find(t.conntrack, keyB);
    if (ref >= 0) return ref;
    keyB[META] &= ~ZONE;
  }
  return conntrack.find(t.conntrack, keyB);
}

function checksumOk(pkt: Packet): boolean {
  if (pkt.family === 4) return icmpv4.checksumOk(pkt.view, pkt.l4, pkt.end);
  return icmpv6.checksumOk(pkt.view, pkt.l4, pkt.end, pkt.l3);
}

/** Reads the tuple of the packet an ICMP error quotes; returns the offset of its IP header, or -1. */
function quotedTuple(pkt: Packet, key: Int32Array): number {
  const view = pkt.view;
  const at = pkt.l4 + 8;
  let l4: number;
  let proto: number;
  if (pkt.family === 4) {
    if (pkt.end - at < ipv4.HEADER_LEN_MIN + 8) return -1;
    const headerLen = ipv4.headerLen(view, at);
    if (view.getUint8(at) >>> 4 !== 4 || headerLen < 20 || pkt.end - at < headerLen + 8) return -1;
    if (ipv4.fragOffset(view, at) !== 0) return -1;
    proto = ipv4.proto(view, at);
    l4 = at + headerLen;
    key[SRC0] = key[SRC1] = key[DST0] = key[DST1] = 0;
    key[SRC2] = key[DST2] = 0xffff;
    key[SRC3] = ipv4.src(view, at);
    key[DST3] = ipv4.dst(view, at);
    key[META] = V4 | proto;
  } else {
    if (pkt.end - at < ipv6.HEADER_LEN + 8 || view.getUint8(at) >>> 4 !== 6) return -1;
    const upper = ipv6.findUpperLayer(view, at, pkt.end);
    if (upper < 0) return -1;
    l4 = ipv6.upperLayerOffset(at, upper);
    proto = ipv6.upperLayerProto(upper);
    if (pkt.end - l4 < 8) return -1;
    for (let i = 0; i < 4; i++) {
      key[SRC0 + i] = ipv6.srcWord(view, at, i);
      key[DST0 + i] = ipv6.dstWord(view, at, i);
    }
    key[META] = V6 | proto;
  }
  if (proto === ICMP || proto === ICMPV6) {
    key[PORTS] = (view.getUint16(l4 + 4) << 16) | view.getUint16(l4);
  } else key[PORTS] = view.getInt32(l4);
  return at;
}
