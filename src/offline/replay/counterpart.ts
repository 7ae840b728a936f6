/**
 * The packet that made the plane send another one. The plane's own conntrack says how a connection's packets look on the
 * other side of its translation; a packet of no connection came as it left. So what a pod received becomes what its peer
 * must have sent, and can be put in where the peer is.
 */

import { Protocol } from "../../base/protocols.ts";
import * as connectionRules from "../../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import type { OfflineNode } from "../offline-node.ts";
import { type CapturedPacket, readPacket } from "./captured-packet.ts";
import { withTuple } from "./with-tuple.ts";

const { SRC0, DST0 } = tuple.TupleWord;

export interface Counterpart {
  readonly packet: CapturedPacket;
  /** A connection of the plane's says so, not just the packet itself. */
  readonly isKnown: boolean;
}

/** How `packet`, which the plane sent, came in. */
export function counterpartOf(node: OfflineNode, packet: CapturedPacket): Counterpart {
  const key = packet.isError ? errorTuple(node, packet) : inputTuple(node, packet.key);
  if (key === undefined) return { packet: withMoreHops(packet), isKnown: false };
  return {
    packet: withMoreHops(packet.isError ? errorAbout(packet, key) : withTuple(packet, key)),
    isKnown: true,
  };
}

/** The reference of the connection and direction that `sent` left as, or -1. */
export function connectionOf(node: OfflineNode, sent: Int32Array): number {
  const { conntrack: ct, scratch } = node.engine.tables;
  const { keyA } = scratch;
  tuple.invert(sent, keyA);
  const ref = conntrack.find(ct, keyA);
  return ref < 0 || conntrack.isExpired(ct, ref >> 1, conntrack.clockSec(ct)) ? -1 : ref ^ 1;
}

function inputTuple(node: OfflineNode, sent: Int32Array): Int32Array | undefined {
  const ref = connectionOf(node, sent);
  if (ref < 0) return undefined;
  const key = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTuple(node.engine.tables.conntrack, ref, key);
  return key;
}

/** Of an ICMP error: the tuple of the packet that it quotes, as that packet left the plane. */
function errorTuple(node: OfflineNode, { data, l4, end, known }: CapturedPacket): Int32Array | undefined {
  const quoted = quotedPacket(data.subarray(l4 + 8, Math.min(end, known)));
  if (quoted === undefined) return undefined;
  const ct = node.engine.tables.conntrack;
  const ref = conntrack.find(ct, quoted.key);
  if (ref < 0) return undefined;
  const left = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTranslated(ct, ref, quoted.key, left);
  return left;
}

/** A quoted packet is cut: it is read as if behind an Ethernet header, at the length that it says it had. */
function quotedPacket(quote: Uint8Array): CapturedPacket | undefined {
  if (quote.length < ipv4.HEADER_LEN_MIN + 8) return undefined;
  const isV4 = quote[0] >>> 4 === 4;
  const view = new DataView(quote.buffer, quote.byteOffset, quote.length);
  const total = isV4 ? ipv4.totalLen(view, 0) : ipv6.HEADER_LEN + ipv6.payloadLen(view, 0);
  const frame = new Uint8Array(14 + quote.length);
  frame.set(isV4 ? [0x08, 0x00] : [0x86, 0xdd], 12);
  frame.set(quote, 14);
  const p = readPacket(frame, 14 + Math.max(total, quote.length), 0);
  return p.family === 0 ? undefined : p;
}

/** The error as it came: about the packet `left`, which is what its sender saw. */
function errorAbout(p: CapturedPacket, left: Int32Array): CapturedPacket {
  const quoteAt = p.l4 + 8;
  const quoted = quotedPacket(p.data.subarray(quoteAt, p.end)) as CapturedPacket;
  const about = withTuple(quoted, left);
  const outer = p.key.slice();
  for (let i = 0; i < 4; i++) {
    outer[DST0 + i] = left[SRC0 + i];
    if (quoted.key[DST0 + i] !== p.key[SRC0 + i]) continue;
    outer[SRC0 + i] = left[DST0 + i];
  }
  const isFromPeer = [0, 1, 2, 3].every((i) => quoted.key[DST0 + i] === p.key[SRC0 + i]);
  if (!isFromPeer) outer.set(p.key.subarray(0, 4));
  const q = withTuple(p, outer);
  q.data.set(about.data.subarray(14, 14 + p.end - quoteAt), quoteAt);
  if (p.family === 4) icmpv4.computeChecksum(q.view, p.l4, p.end - p.l4);
  else icmpv6.computeChecksum(q.view, p.l4, p.end - p.l4, p.l3);
  return q;
}

/** It came with at least one hop more. */
function withMoreHops(p: CapturedPacket): CapturedPacket {
  const data = p.data.slice();
  const view = new DataView(data.buffer);
  if (p.family === 4) {
    ipv4.setTtl(view, p.l3, Math.min(255, ipv4.ttl(view, p.l3) + 1));
    ipv4.computeChecksum(view, p.l3);
  } else if (p.family === 6 && !isDiscovery(p)) {
    ipv6.setHopLimit(view, p.l3, Math.min(255, ipv6.hopLimit(view, p.l3) + 1));
  }
  return { ...p, data, view };
}

function isDiscovery(p: CapturedPacket): boolean {
  return p.proto === Protocol.ICMPV6 && icmpv6.isNeighborDiscovery(tuple.icmpType(p.key));
}

const { Status } = conntrack;

/** Lets a connection's answers come to another tuple; everything else of it stays. Returns whether there was room. */
export function rebind(ct: conntrack.Conntrack, slot: number, reply: Int32Array): boolean {
  if (conntrack.find(ct, reply) >= 0) return false;
  const original = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTuple(ct, slot << 1, original);
  const row = ct.tuple.slice(slot << 4, (slot + 1) << 4);
  const [status, startSec, service] = [ct.status[slot << 4], ct.startSec[slot << 1], ct.service[slot << 1]];
  const track = ct.track.slice(slot * 16, slot * 16 + 16);
  const counts = [0, 1].map((dir) => {
    const ref = (slot << 1) | dir;
    return { packets: conntrack.packetsOf(ct, ref), octets: conntrack.octetsOf(ct, ref) };
  });
  const { rules } = ct;
  const said = [connectionRules.egressOf, connectionRules.ingressOf, connectionRules.epochOf].map((of) =>
    of(rules, slot),
  );
  conntrack.remove(ct, slot);
  const now = conntrack.insert(ct, original, reply, startSec);
  if (now < 0) return false;
  for (const half of [0, 8]) ct.tuple.set(row.subarray(half + 4, half + 8), (now << 4) + half + 4);
  ct.carried[now << 5] = 0;
  ct.status[now << 4] = (status & ~(Status.COUNTED | Status.COUNTED_ACTIVE)) | Status.SRC_NAT;
  ct.service[now << 1] = service;
  ct.track.set(track, now * 16);
  connectionRules.set(rules, now, said[0], said[1], said[2]);
  for (const [dir, { packets, octets }] of counts.entries())
    conntrack.setCounts(ct, (now << 1) | dir, packets, octets);
  if ((status & Status.COUNTED) !== 0) conntrack.countIn(ct, now, (status & Status.COUNTED_ACTIVE) !== 0);
  return true;
}
