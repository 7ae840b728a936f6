/**
 * What becomes of traced packets, written down. A stage sets its id (`pkt.stage`) when it is entered and returns a
 * verdict; where a packet's way ends, `ended` writes both, whichever stage it was: that is the one place. What lets a
 * packet pass is written where it says something (`passed`), what changed it where it did (`acted`).
 */
import { type Packet, Way } from "../packet/packet.ts";
import { PortRole } from "../port.ts";
import { RouteKind } from "../spec/routes.ts";
import * as connectionRules from "../table/connection/connection-rules.ts";
import { TUPLE_WORDS, TupleWord } from "../table/connection/tuple.ts";
import * as localAddresses from "../table/local-addresses.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";
import { open } from "./late.ts";
import { DETAIL_WORDS, Flag, TraceWord, Word } from "./layout.ts";
import * as ring from "./record-ring.ts";
import { WATCHERS_MAX } from "./watchers.ts";

const { NEXT, DROP } = Verdict;
const { DST0, DST1, DST2, DST3 } = TupleWord;

/** The end of a packet's way through the stages: who said so, and what. */
export function ended(pkt: Packet, t: Tables, verdict: number): void {
  if (pkt.traceId !== 0 && verdict !== NEXT) writeTrace(pkt, t, verdict);
}

/** The stage has let the packet pass, and what it found is worth a line. */
export function passed(pkt: Packet, t: Tables, verdict: number): void {
  if (pkt.traceId !== 0 && verdict === NEXT) writeTrace(pkt, t, NEXT);
}

/** The same where most packets pass without anything being done to them. */
export function acted(pkt: Packet, t: Tables, verdict: number): void {
  if (pkt.traceId !== 0 && pkt.acted !== 0 && verdict === NEXT) writeTrace(pkt, t, NEXT);
}

/** A piece of the packet is lost, the rest goes on. */
export function lostPiece(pkt: Packet, t: Tables, reason: number): void {
  if (pkt.traceId === 0) return;
  const before = pkt.dropReason;
  pkt.dropReason = reason;
  writeTrace(pkt, t, DROP);
  pkt.dropReason = before;
}

/** The packet by which an exception came: the inner one, if the outer had been opened. */
export function threw(t: Tables, reason: number): void {
  const { outer, inner } = t.scratch;
  t.tx.tag = 0;
  const pkt = inner.watchId === outer.watchId && inner.traceId !== 0 ? inner : outer;
  pkt.dropReason = reason;
  ended(pkt, t, DROP);
}

function writeTrace(pkt: Packet, t: Tables, verdict: number): void {
  const w = t.watchers;
  for (let i = 0; i < WATCHERS_MAX; i++) {
    const body = open(w, t.counters, i, pkt.traceId, pkt.watchId);
    if (body < 0) continue;
    const r = w.list[i].ring as ring.RecordRing;
    const at = body >> 2;
    const words = r.words;
    writeDecision(pkt, t, words, at, verdict);
    r.float[(body >> 3) + (Word.TIME_US >> 1)] = w.clockUs[0];
    words[at + Word.LENGTH] = pkt.ipLen;
    words[at + TraceWord.STAGE] = pkt.stage;
    words[at + TraceWord.TIME_MS] = t.nowMs;
    words[at + TraceWord.ETHER_TYPE] = pkt.etherType;
    words[at + TraceWord.TCP_FLAGS] = pkt.tcpFlags;
    words[at + TraceWord.GSO_SIZE] = pkt.gsoSize;
    words[at + TraceWord.FRONTEND] = pkt.frontend >= 0 ? t.services.kind[pkt.frontend] : -1;
    words[at + TraceWord.SOURCE_CLASS] = pkt.sourceClass;
    words[at + TraceWord.ROUTE] = pkt.route;
    words[at + TraceWord.ICMP_REQUEST] = pkt.icmpRequest;
    words[at + TraceWord.ATTEMPT] = pkt.attempt & 7;
    words[at + TraceWord.FAILURE] = pkt.attempt >>> 3;
    for (let d = 0; d < DETAIL_WORDS; d++) {
      words[at + TraceWord.DETAIL + d] = pkt.acted !== 0 ? pkt.detail[d] : 0;
    }
    ring.commit(r);
  }
  pkt.acted = 0;
  w.waits = 0;
}

/** The words that both kinds of record begin with. */
export function writeDecision(pkt: Packet, t: Tables, words: Int32Array, at: number, verdict: number): void {
  words[at + Word.PACKET] = pkt.watchId;
  words[at + Word.VERDICT] = verdict;
  words[at + Word.REASON] = verdict === DROP ? pkt.dropReason : 0;
  words[at + Word.FLAGS] =
    (pkt.ctDir !== 0 ? Flag.REPLY : 0) |
    (pkt.nat !== 0 ? Flag.NAT : 0) |
    (pkt.bridged === Way.BRIDGED ? Flag.BRIDGED : 0) |
    (pkt.bridged === Way.RETURN ? Flag.RETURN : 0) |
    (pkt.bridged === Way.MESH ? Flag.TO_PROXY : 0) |
    (pkt.fromTunnel !== 0 ? Flag.FROM_TUNNEL : 0) |
    (pkt.frontend >= 0 && t.services.rangeAt[pkt.frontend] !== 0 ? Flag.RANGES : 0) |
    (t.watchers.waits !== 0 ? Flag.WAITS : 0) |
    (isOwn(pkt, t) ? Flag.OWN : 0) |
    (isForNode(pkt, t) ? Flag.TO_NODE : 0);
  words[at + Word.CT_STATE] = pkt.ctState;
  words[at + Word.MASQUERADE] = pkt.masquerade;
  words[at + Word.IN_PORT] = pkt.inPort;
  words[at + Word.OUT_PORT] = pkt.outPort;
  words[at + Word.SERVICE] = pkt.frontend >= 0 ? t.services.service[pkt.frontend] : serviceOf(pkt, t);
  words[at + Word.FAMILY] = pkt.family;
  words[at + Word.PROTOCOL] = pkt.proto;
  const to = pkt.nat !== 0 ? pkt.to : pkt.key;
  for (let i = 0; i < TUPLE_WORDS; i++) {
    words[at + Word.KEY + i] = pkt.key[i];
    words[at + Word.TO + i] = to[i];
  }
  const isKnown = t.rulesKept !== 0 && pkt.ctSlot >= 0 && t.conntrack.status[pkt.ctSlot << 4] !== 0;
  words[at + Word.EGRESS] = isKnown
    ? connectionRules.egressOf(t.connectionRules, pkt.ctSlot)
    : pkt.egressVerdict;
  words[at + Word.INGRESS] = isKnown
    ? connectionRules.ingressOf(t.connectionRules, pkt.ctSlot)
    : pkt.ingressVerdict;
}

function isOwn(pkt: Packet, t: Tables): boolean {
  return pkt.inPort >= 0 && pkt.fromTunnel === 0 && t.ports.role[pkt.inPort] === PortRole.HOST;
}

function isForNode(pkt: Packet, t: Tables): boolean {
  if (pkt.family === 0) return false;
  if (pkt.route >= 0) return t.routes.kind[pkt.route] === RouteKind.LOCAL;
  const dst = pkt.nat !== 0 ? pkt.to : pkt.key;
  return localAddresses.has(t.addresses.local, dst[DST0], dst[DST1], dst[DST2], dst[DST3]);
}

function serviceOf(pkt: Packet, t: Tables): number {
  return pkt.ctSlot >= 0 && t.conntrack.status[pkt.ctSlot << 4] !== 0
    ? t.conntrack.service[pkt.ctSlot << 1]
    : -1;
}
