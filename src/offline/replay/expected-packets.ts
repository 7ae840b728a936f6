/**
 * What the plane sent, to be found again in the capture, and what differs. Compared are addresses, ports, protocol, TCP's
 * flags and numbers, ICMP's type and code, and the bytes that are carried: what a peer acts upon. What differs from hop
 * to hop, or from node to node, is not: MAC addresses, IP identification, TOS, the tunnel's source port, how a stream is
 * cut into segments and a datagram into fragments. TTL is, where it was seen on both sides.
 */

import { formatIp } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import * as arp from "../../wire/link/arp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { type CapturedPacket, endText, ttlOf, wordsAt } from "./captured-packet.ts";

const { TCP } = Protocol;

const { PORTS } = tuple.TupleWord;

export interface Expected {
  readonly port: number;
  readonly packet: CapturedPacket;
  /** Its TTL is to be what the plane made of the captured one. */
  readonly countsHops?: boolean;
  /** The plane's answer to a packet that it dropped. */
  readonly answersDrop?: boolean;
}

const EXPECTED_MAX = 4096;
const MEANT = tcp.FLAG_SYN | tcp.FLAG_FIN | tcp.FLAG_RST | tcp.FLAG_ACK;
const ICMP = [1, 58];

/** One that was added, and where it stands among those with its tuple. */
interface Kept {
  readonly expected: Expected;
  readonly list: SameTuple;
  isGone: boolean;
}
interface SameTuple {
  readonly tuple: string;
  /** Which tuple was seen first. */
  readonly rank: number;
  readonly kept: Kept[];
}

export class ExpectedPackets {
  readonly #byTuple = new Map<string, SameTuple>();
  /** TCP segments that carry bytes, by sequence number. */
  readonly #bySeq = new Map<number, Kept[]>();
  /** A ring of the last ones. */
  readonly #last: (Kept | undefined)[] = new Array(EXPECTED_MAX).fill(undefined);
  #added = 0;
  #tuples = 0;

  add(expected: Expected): void {
    const { packet } = expected;
    const tuple = tupleOf(packet);
    const list = this.#byTuple.get(tuple) ?? { tuple, rank: this.#tuples++, kept: [] };
    const kept = { expected, list, isGone: false };
    list.kept.push(kept);
    this.#byTuple.set(tuple, list);
    if (hasNumberedBytes(packet)) {
      const same = this.#bySeq.get(packet.seq);
      if (same === undefined) this.#bySeq.set(packet.seq, [kept]);
      else same.push(kept);
    }
    const place = this.#added++ % EXPECTED_MAX;
    const oldest = this.#last[place];
    if (oldest !== undefined && !oldest.isGone) this.#remove(oldest);
    this.#last[place] = kept;
  }

  /** Takes the first that is like `packet`, of those that left by `port` (undefined: by any). */
  take(packet: CapturedPacket, port: number | undefined): Expected | undefined {
    const found = this.#byTuple
      .get(tupleOf(packet))
      ?.kept.find(
        ({ expected }) => (port === undefined || expected.port === port) && isLike(packet, expected.packet),
      );
    if (found === undefined) return undefined;
    // Of a superframe the next segment is still to come.
    if (!isPartOf(packet, found.expected.packet)) this.#remove(found);
    return found.expected;
  }

  /**
   * What the plane sent by `port` with the numbers and the bytes of this TCP segment, but other ends: two streams do not
   * have both by chance.
   */
  withOtherEnds(packet: CapturedPacket, port: number): Expected | undefined {
    if (!hasNumberedBytes(packet)) return undefined;
    let first: Kept | undefined;
    for (const each of this.#bySeq.get(packet.seq) ?? []) {
      const { expected, list } = each;
      if (first !== undefined && first.list.rank <= list.rank) continue;
      if (expected.port === port && differsInEndsOnly(packet, expected.packet)) first = each;
    }
    return first?.expected;
  }

  #remove(kept: Kept): void {
    kept.isGone = true;
    const { list, expected } = kept;
    list.kept.splice(list.kept.indexOf(kept), 1);
    if (list.kept.length === 0) this.#byTuple.delete(list.tuple);
    if (!hasNumberedBytes(expected.packet)) return;
    const same = this.#bySeq.get(expected.packet.seq)!;
    same.splice(same.indexOf(kept), 1);
    if (same.length === 0) this.#bySeq.delete(expected.packet.seq);
  }
}

function hasNumberedBytes(packet: CapturedPacket): boolean {
  return packet.proto === TCP && bytesOf(packet) > 0;
}

function tupleOf(p: CapturedPacket): string {
  return p.key.join();
}

function isLike(seen: CapturedPacket, sent: CapturedPacket): boolean {
  if (seen.proto === TCP && seen.flags !== sent.flags && bytesOf(seen) === bytesOf(sent)) {
    if ((seen.flags & MEANT) !== (sent.flags & MEANT)) return false;
  }
  return isPartOf(seen, sent) || differsInEndsOnly(seen, sent); // their ends are the same: they have one tuple
}

/** A segment that lies within a longer one. */
function isPartOf(seen: CapturedPacket, sent: CapturedPacket): boolean {
  if (seen.proto !== TCP || bytesOf(seen) === 0 || bytesOf(seen) >= bytesOf(sent)) return false;
  const at = (seen.seq - sent.seq) | 0;
  if (at < 0 || at + bytesOf(seen) > bytesOf(sent)) return false;
  return sameBytes(seen, seen.payload, sent, sent.payload + at, bytesOf(seen));
}

function bytesOf({ end, payload }: CapturedPacket): number {
  return Math.max(0, end - payload);
}

function sameBytes(a: CapturedPacket, atA: number, b: CapturedPacket, atB: number, bytes: number): boolean {
  const known = Math.min(bytes, a.known - atA, b.known - atB);
  for (let i = 0; i < known; i++) if (a.data[atA + i] !== b.data[atB + i]) return false;
  return true;
}

/** Sentences of what is not the same; `sent` are the pieces of what the plane makes of one packet. */
export function differences(seen: CapturedPacket, sent: readonly CapturedPacket[]): string[] {
  const [first] = sent;
  const list: string[] = [];
  const differ = (what: string, here: unknown, there: unknown): void => {
    if (here !== there) list.push(`${what} ${here}, the plane sends ${there}`);
  };
  if (seen.isArp || first.isArp) return arpDifferences(seen, first);
  differ("protocol", seen.proto, first.proto);
  differ("source", endText(seen, "source"), endText(first, "source"));
  differ("destination", endText(seen, "destination"), endText(first, "destination"));
  if (seen.proto !== first.proto) return list;
  if (isNeighborDiscovery(seen) && seen.key[PORTS] === first.key[PORTS])
    return [...list, ...discoveryDifferences(seen, first)];
  if (ICMP.includes(seen.proto)) {
    const word = (p: CapturedPacket, at: number): number => p.view.getUint16(p.l4 + at);
    differ("ICMP type and code", typeText(word(seen, 0)), typeText(word(first, 0)));
    if (seen.isError) return list; // quotes differ in length and in what routers did to them
    if (tuple.icmpId(seen.key) !== 0 || tuple.icmpId(first.key) !== 0) {
      differ("ICMP id", word(seen, 4), word(first, 4));
      differ("ICMP sequence number", word(seen, 6), word(first, 6));
    }
  }
  if (seen.proto === TCP) tcpDifferences(seen, sent, differ);
  const total = sent.reduce((sum, piece) => sum + bytesOf(piece), 0);
  differ("payload of", `${bytesOf(seen)} bytes`, `${total} bytes`);
  if (bytesOf(seen) === total && !sameStream(seen, sent)) list.push("other bytes in the payload");
  return list;
}

/** The same packet, from or to somebody else: all that `differences` would tell is of ends and ICMP ids. */
export function differsInEndsOnly(a: CapturedPacket, b: CapturedPacket): boolean {
  if (a.isArp || b.isArp) return a.isArp === b.isArp && a.proto === b.proto && isSameKey(a.key, b.key);
  if (a.proto !== b.proto) return false;
  if (isNeighborDiscovery(a) && a.key[8] === b.key[8]) return discoveryDifferences(a, b).length === 0;
  if (ICMP.includes(a.proto)) {
    if (a.view.getUint16(a.l4) !== b.view.getUint16(b.l4)) return false;
    if (a.isError) return true;
    const hasId = a.key[8] >>> 16 !== 0 || b.key[8] >>> 16 !== 0;
    if (hasId && a.view.getUint16(a.l4 + 6) !== b.view.getUint16(b.l4 + 6)) return false;
  }
  if (a.proto === TCP) {
    if (((a.flags ^ b.flags) & MEANT) !== 0 || a.seq !== b.seq) return false;
    if ((a.flags & tcp.FLAG_ACK) !== 0 && a.ack !== b.ack) return false;
  }
  return bytesOf(a) === bytesOf(b) && sameBytes(a, a.payload, b, b.payload, bytesOf(b));
}

function isSameKey(a: Int32Array, b: Int32Array): boolean {
  return a.every((word, i) => word === b[i]);
}

function tcpDifferences(
  seen: CapturedPacket,
  sent: readonly CapturedPacket[],
  differ: (what: string, here: unknown, there: unknown) => void,
): void {
  const [first] = sent;
  const flags = sent.reduce((all, piece) => all | piece.flags, 0) & MEANT;
  differ("flags", flagText(seen.flags & MEANT), flagText(flags));
  differ("seq", seen.seq >>> 0, first.seq >>> 0);
  if ((seen.flags & tcp.FLAG_ACK) !== 0) differ("ack", seen.ack >>> 0, first.ack >>> 0);
}

const FLAG_LETTERS = ["F", "S", "R", "P", "."]; // tcpdump's, from the lowest bit

function flagText(flags: number): string {
  return `[${FLAG_LETTERS.filter((_, bit) => ((flags >>> bit) & 1) === 1).join("")}]`;
}

function sameStream(seen: CapturedPacket, sent: readonly CapturedPacket[]): boolean {
  let at = seen.payload;
  for (const piece of sent) {
    if (!sameBytes(seen, at, piece, piece.payload, bytesOf(piece))) return false;
    at += bytesOf(piece);
  }
  return true;
}

/** Of a packet that is what the plane sent, but for what changes at each hop. */
export function hopDifferences(
  seen: CapturedPacket,
  { packet: sent, countsHops = false }: Expected,
): string[] {
  const isComparable = countsHops && seen.family !== 0 && !seen.isError && !isNeighborDiscovery(seen);
  const [here, there] = [ttlOf(seen), ttlOf(sent)];
  if (!isComparable || here === there) return [];
  const name = seen.family === 4 ? "TTL" : "hop limit";
  return [
    `${name} ${here}, the plane sends ${there}${here === there + 1 ? ": it did not count this hop" : ""}`,
  ];
}

/** Solicitations and advertisements: who has an address, and who says so. */
export function isNeighborDiscovery(p: CapturedPacket): boolean {
  const type = tuple.icmpType(p.key);
  return p.proto === Protocol.ICMPV6 && (type === 135 || type === 136);
}

/** The address asked for, or told; whose MAC it is differs from one cluster to the next. */
function discoveryDifferences(seen: CapturedPacket, sent: CapturedPacket): string[] {
  const target = (p: CapturedPacket): string =>
    formatIp(
      wordsAt(
        Int32Array.from([8, 12, 16, 20], (at) => p.view.getInt32(p.l4 + at)),
        0,
      ),
    );
  const isWhole = [seen, sent].every((p) => p.l4 + 24 <= Math.min(p.end, p.known));
  if (!isWhole || target(seen) === target(sent)) return [];
  return [`neighbour ${target(seen)}, the plane tells ${target(sent)}`];
}

function arpDifferences(seen: CapturedPacket, sent: CapturedPacket): string[] {
  if (seen.isArp !== sent.isArp) return ["ARP on one side only"];
  const same = [seen.key, sent.key].map((key) => key.join());
  if (same[0] === same[1]) return [];
  const text = (p: CapturedPacket): string =>
    `${endText(p, "source")} to ${endText(p, "destination")} ${p.key[PORTS] === arp.OP_REPLY ? "reply" : "request"}`;
  return [`ARP ${text(seen)}, the plane sends ${text(sent)}`];
}

function typeText(word: number): string {
  return `${word >>> 8}/${word & 0xff}`;
}
