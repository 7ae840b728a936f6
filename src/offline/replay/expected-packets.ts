/**
 * What the plane sent, to be found again in the capture, and what differs. Compared are addresses, ports, protocol, TCP's
 * flags and numbers, ICMP's type and code, and the bytes that are carried: what a peer acts upon. What differs from hop
 * to hop, or from node to node, is not: MAC addresses, IP identification, TOS, the tunnel's source port, how a stream is
 * cut into segments and a datagram into fragments. TTL is, where it was seen on both sides.
 */
import { formatIp } from "../../base/ip.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as arp from "../../wire/link/arp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { type CapturedPacket, endText, wordsAt } from "./captured-packet.ts";

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
const TCP = 6;
const ICMP = [1, 58];

export class ExpectedPackets {
  readonly #byTuple = new Map<string, Expected[]>();
  readonly #order: string[] = [];

  add(expected: Expected): void {
    const tuple = tupleOf(expected.packet);
    const list = this.#byTuple.get(tuple) ?? [];
    list.push(expected);
    this.#byTuple.set(tuple, list);
    this.#order.push(tuple);
    if (this.#order.length > EXPECTED_MAX) this.#forget(this.#order.shift() as string);
  }

  /** Takes the first that is like `packet`, of those that left by `port` (undefined: by any). */
  take(packet: CapturedPacket, port: number | undefined): Expected | undefined {
    const list = this.#byTuple.get(tupleOf(packet)) ?? [];
    const at = list.findIndex(
      (each) => (port === undefined || each.port === port) && isLike(packet, each.packet),
    );
    if (at < 0) return undefined;
    const [found] = list.slice(at, at + 1);
    // Of a superframe the next segment is still to come.
    if (!isPartOf(packet, found.packet)) list.splice(at, 1);
    return found;
  }

  /**
   * What the plane sent by `port` with the numbers and the bytes of this TCP segment, but other ends: two streams do not
   * have both by chance.
   */
  withOtherEnds(packet: CapturedPacket, port: number): Expected | undefined {
    if (packet.proto !== TCP || bytesOf(packet) === 0) return undefined;
    for (const list of this.#byTuple.values()) {
      const found = list.find((each) => each.port === port && differsInEndsOnly(packet, each.packet));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #forget(tuple: string): void {
    const list = this.#byTuple.get(tuple);
    list?.shift();
    if (list?.length === 0) this.#byTuple.delete(tuple);
  }
}

function tupleOf(p: CapturedPacket): string {
  return p.key.join();
}

function isLike(seen: CapturedPacket, sent: CapturedPacket): boolean {
  if (seen.proto === TCP && seen.flags !== sent.flags && bytesOf(seen) === bytesOf(sent)) {
    if ((seen.flags & MEANT) !== (sent.flags & MEANT)) return false;
  }
  return isPartOf(seen, sent) || differences(seen, [sent]).length === 0;
}

/** A segment that lies within a longer one. */
function isPartOf(seen: CapturedPacket, sent: CapturedPacket): boolean {
  if (seen.proto !== TCP || bytesOf(seen) === 0 || bytesOf(seen) >= bytesOf(sent)) return false;
  const at = (seen.seq - sent.seq) | 0;
  if (at < 0 || at + bytesOf(seen) > bytesOf(sent)) return false;
  return sameBytes(seen, seen.payload, sent, sent.payload + at, bytesOf(seen));
}

export function bytesOf({ end, payload }: CapturedPacket): number {
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
  if (isNeighborDiscovery(seen) && seen.key[8] === first.key[8])
    return [...list, ...discoveryDifferences(seen, first)];
  if (ICMP.includes(seen.proto)) {
    const word = (p: CapturedPacket, at: number): number => p.view.getUint16(p.l4 + at);
    differ("ICMP type and code", typeText(word(seen, 0)), typeText(word(first, 0)));
    if (seen.isError) return list; // quotes differ in length and in what routers did to them
    if (seen.key[8] >>> 16 !== 0 || first.key[8] >>> 16 !== 0) {
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

const ENDS = /^(source|destination|ICMP id) /;

/** The same packet, from or to somebody else. */
export function differsInEndsOnly(a: CapturedPacket, b: CapturedPacket): boolean {
  return a.proto === b.proto && differences(a, [b]).every((each) => ENDS.test(each));
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
  const [here, there] = [hopsOf(seen), hopsOf(sent)];
  if (!isComparable || here === there) return [];
  const name = seen.family === 4 ? "TTL" : "hop limit";
  return [
    `${name} ${here}, the plane sends ${there}${here === there + 1 ? ": it did not count this hop" : ""}`,
  ];
}

function hopsOf({ view, l3, family }: CapturedPacket): number {
  return family === 4 ? ipv4.ttl(view, l3) : ipv6.hopLimit(view, l3);
}

/** Solicitations and advertisements: who has an address, and who says so. */
export function isNeighborDiscovery(p: CapturedPacket): boolean {
  const type = (p.key[8] >>> 8) & 0xff;
  return p.proto === ipv4.PROTO_ICMPV6 && (type === 135 || type === 136);
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
    `${endText(p, "source")} to ${endText(p, "destination")} ${p.key[8] === arp.OP_REPLY ? "reply" : "request"}`;
  return [`ARP ${text(seen)}, the plane sends ${text(sent)}`];
}

function typeText(word: number): string {
  return `${word >>> 8}/${word & 0xff}`;
}
