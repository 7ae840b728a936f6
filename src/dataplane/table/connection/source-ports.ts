/**
 * The search for a source port (ICMP: id) with which a connection's answers cannot be taken for another one's. Conntrack
 * says who holds which port, since its reply tuples are unique; here is how to look, and what of a search the next one
 * has to know. Nothing is reserved: what is found is taken by entering the connection, before another packet comes.
 *
 * Ports are tried at random, as MASQUERADE --random-fully does, and never a node port's number, or an answer could be
 * taken for a packet to a service. Where all that were tried are taken, a connection that was never confirmed, or is
 * over, gives way: a flood of forged SYNs that took every port must not keep others out. Without such a one the search
 * goes on port by port, for so far.
 */
import { Protocol } from "../../../base/protocols.ts";
import * as conntrack from "./conntrack.ts";
import * as tuple from "./tuple.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;

const { DST3, PORTS } = tuple.TupleWord;
/**
 * What one packet may cost: random tries, fewer where a connection was met that may give way, and very few in a
 * millisecond in which that was necessary for the same destination; then steps of a walk. A walk is for a port range
 * that is full of living connections; while one has just failed there are no others, wherever to, or who fills two
 * ranges could have one for each packet.
 */
const RANDOM_TRIES = 32;
const TRIES_WITH_VICTIM = 16;
const TRIES_IN_FLOOD = 2;
const WALK_STEPS = 2048;
const WALK_PAUSE_MS = 5;
const PRIVILEGED = 1024;

/** What became of a search. TAKEN: of a protocol without ports, by the connection that there can be one of. */
export const Search = Object.freeze({ FOUND: 0, TAKEN: 1, EXHAUSTED: 2 } as const);
const { FOUND, TAKEN, EXHAUSTED } = Search;

/** Ports to choose from, all ends included. */
export interface PortRange {
  min: number;
  max: number;
  avoidMin: number;
  avoidMax: number;
  /** Not 0: of these, whatever the protocol. */
  always: number;
}

/** What one search leaves to the next. */
export class SourcePorts {
  walkFailedMs = -1000; // when a walk last found none free
  gaveWayMs = -1; //       when a connection last had to give its port up …
  gaveWayPlace = 0; //     … and for which destination
  // Of the search that is under way: `size` numbers from `low` on, without `gap` of them behind the first `gapAt`.
  low = 0;
  size = 0;
  gapAt = 0;
  gap = 0;
}

/** The living connection that has this tuple, or -1. One that has expired makes room, though the walk has not come by. */
export function holderOf(ct: conntrack.Conntrack, key: Int32Array, nowSec: number): number {
  const ref = conntrack.find(ct, key);
  if (ref < 0 || !conntrack.isExpired(ct, ref >> 1, nowSec)) return ref;
  conntrack.remove(ct, ref >> 1);
  return -1;
}

/** Finds `to` a source port that leaves its answers' tuple, which is then in `reply`, to nobody else. */
export function search(
  s: SourcePorts,
  ct: conntrack.Conntrack,
  range: PortRange,
  to: Int32Array,
  reply: Int32Array,
  nowSec: number,
  nowMs: number,
): number {
  if (!choose(s, range, to)) {
    tuple.invert(to, reply);
    return holderOf(ct, reply, nowSec) >= 0 ? TAKEN : FOUND;
  }
  let n = pickBelow(ct, s.size);
  let victim = -1;
  let victimPort = 0;
  const place = placeOf(to, s.low);
  const enough = nowMs === s.gaveWayMs && s.gaveWayPlace === place ? TRIES_IN_FLOOD : TRIES_WITH_VICTIM;
  for (let tries = 0; tries < RANDOM_TRIES + WALK_STEPS; tries++) {
    const port = s.low + (n < s.gapAt ? n : n + s.gap);
    setPort(to, reply, port);
    const holder = holderOf(ct, reply, nowSec);
    if (holder < 0) return FOUND;
    if (victim < 0 && (holder & 1) === 1 && conntrack.mayGiveWay(ct, holder >> 1, nowSec)) {
      victim = holder >> 1;
      victimPort = port;
    }
    if (victim >= 0 && tries >= enough) {
      s.gaveWayMs = nowMs;
      s.gaveWayPlace = place;
      conntrack.giveWay(ct, victim);
      setPort(to, reply, victimPort);
      return FOUND;
    }
    if (tries < RANDOM_TRIES) n = pickBelow(ct, s.size);
    else {
      if (hasJustWalked(s, nowMs)) break;
      n = n + 1 === s.size ? 0 : n + 1;
    }
  }
  if (!hasJustWalked(s, nowMs)) s.walkFailedMs = nowMs;
  return EXHAUSTED;
}

/** Which numbers may be tried for this tuple. False: its protocol has neither ports nor ids. */
function choose(s: SourcePorts, range: PortRange, to: Int32Array): boolean {
  const proto = tuple.protoOf(to);
  const isPing = proto === ICMP || proto === ICMPV6;
  s.gap = 0;
  if (isPing && range.always !== 0) {
    s.low = range.min;
    s.size = range.max - range.min + 1;
  } else if (isPing) {
    s.low = 0;
    s.size = 0x1_0000;
  } else if (proto !== TCP && proto !== UDP && proto !== SCTP && proto !== UDPLITE) return false;
  else {
    const wanted = to[PORTS] >>> 16;
    if (wanted >= PRIVILEGED || range.always !== 0) {
      s.low = range.min;
      s.gapAt = range.avoidMin - range.min;
      s.gap = range.avoidMax - range.avoidMin + 1;
      s.size = range.max - range.min + 1 - s.gap;
      return true;
    }
    // Who came from a privileged port goes on with one (nf_nat_l4proto_unique_tuple: the same two ranges).
    s.low = wanted < 512 ? 1 : 600;
    s.size = wanted < 512 ? 511 : PRIVILEGED - 600;
  }
  s.gapAt = s.size;
  return true;
}

/** A destination and a range of ports, as one number. */
function placeOf(to: Int32Array, low: number): number {
  const destination = Math.imul(to[DST3], 0x9e3779b1) ^ Math.imul(to[PORTS] & 0xffff, 0x85ebca6b);
  return destination ^ (low << 8) ^ tuple.protoOf(to);
}

/** In vain. Unsigned, so that a clock that wraps stops no walk for long. */
function hasJustWalked(s: SourcePorts, nowMs: number): boolean {
  return (nowMs - s.walkFailedMs) >>> 0 < WALK_PAUSE_MS;
}

/** The packet leaves from `port`; `reply` is then its answers' tuple. */
function setPort(to: Int32Array, reply: Int32Array, port: number): void {
  to[PORTS] = (port << 16) | (to[PORTS] & 0xffff);
  tuple.invert(to, reply);
}

function pickBelow(ct: conntrack.Conntrack, n: number): number {
  return (((conntrack.random(ct) >>> 9) * n) / 0x800000) | 0;
}
