/**
 * What policies answered lately. Connections of one pod to another differ in their source ports alone, for which no
 * policy asks: the second one gets both its verdicts from one cache line. A row a place, and what comes to a place last
 * has it. All are forgotten when other policies come into force.
 *
 * Rows count the packets that they answer for; `settle`, at the end of a batch, brings the sums to the rules' counters.
 */
import * as tuple from "../connection/tuple.ts";
import * as hits from "./policy-hits.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, META, PORTS } = tuple.TupleWord;
const { PROTO, FAMILY } = tuple.Meta;
const V4 = 4;

const ROWS_LOG2 = 10;
const ROW_SHIFT = 4;
// Words of a row: source, destination, then
const WHAT = 8; //     family << 24 | protocol << 16 | destination port
const SENDER = 9;
const RECEIVER = 10;
const EGRESS = 11;
const INGRESS = 12;
const PACKETS = 13; // not yet settled, and their bytes
const OCTETS = 14;
const REASON = 15; //  DropReason that both verdicts make
const NOTHING = -1; // of WHAT

export class PolicyAnswers {
  readonly words = new Int32Array(1 << (ROWS_LOG2 + ROW_SHIFT));
  /** Rows with packets that are not settled. */
  readonly touched = new Int32Array(1 << ROWS_LOG2);
  count = 0; // of them
  /** 1: there are answers. */
  used = 1;

  constructor() {
    forget(this);
  }
}

/** Between two batches, when all is settled. */
export function forget(t: PolicyAnswers): void {
  if (t.used === 0) return;
  t.used = 0;
  for (let at = 0; at < t.words.length; at += 1 << ROW_SHIFT) t.words[at + WHAT] = NOTHING;
}

/** Row for connections from the source of `from` to the destination of `to`. */
export function place(from: Int32Array, to: Int32Array): number {
  const hash =
    Math.imul(from[SRC3], 0x9e3779b1) ^
    Math.imul(to[DST3], 0x85ebca6b) ^
    Math.imul((to[PORTS] & 0xffff) ^ (to[META] << 16), 0xc2b2ae35);
  return (hash >>> (32 - ROWS_LOG2)) << ROW_SHIFT;
}

/**
 * Does the row at `at` answer for such a connection? `sender` and `receiver` say in whose name it was asked: the same
 * addresses may be somebody else's.
 */
export function has(
  t: PolicyAnswers,
  at: number,
  from: Int32Array,
  to: Int32Array,
  sender: number,
  receiver: number,
): boolean {
  const w = t.words;
  const what = whatOf(to);
  if (w[at + WHAT] !== what || w[at + SRC3] !== from[SRC3] || w[at + DST3] !== to[DST3]) return false;
  if (w[at + SENDER] !== sender || w[at + RECEIVER] !== receiver) return false;
  return what >>> 24 === V4 || sameUpper(t, at, from, to); // of IPv4 the other words are the same for all
}

function sameUpper(t: PolicyAnswers, at: number, from: Int32Array, to: Int32Array): boolean {
  const w = t.words;
  return (
    w[at + SRC2] === from[SRC2] &&
    w[at + DST2] === to[DST2] &&
    w[at + SRC1] === from[SRC1] &&
    w[at + DST1] === to[DST1] &&
    w[at + SRC0] === from[SRC0] &&
    w[at + DST0] === to[DST0]
  );
}

/** The row must have no packets that are not settled. */
export function keep(
  t: PolicyAnswers,
  at: number,
  from: Int32Array,
  to: Int32Array,
  sender: number,
  receiver: number,
  egress: number,
  ingress: number,
  reason: number,
): void {
  const w = t.words;
  t.used = 1;
  for (let i = 0; i < 4; i++) {
    w[at + SRC0 + i] = from[SRC0 + i];
    w[at + DST0 + i] = to[DST0 + i];
  }
  w[at + WHAT] = whatOf(to);
  w[at + SENDER] = sender;
  w[at + RECEIVER] = receiver;
  w[at + EGRESS] = egress;
  w[at + INGRESS] = ingress;
  w[at + REASON] = reason;
}

export function egressAt(t: PolicyAnswers, at: number): number {
  return t.words[at + EGRESS];
}

export function ingressAt(t: PolicyAnswers, at: number): number {
  return t.words[at + INGRESS];
}

/** DropReason of such packets; NONE: they pass. */
export function reasonAt(t: PolicyAnswers, at: number): number {
  return t.words[at + REASON];
}

/** A packet that the row answers for. */
export function note(t: PolicyAnswers, at: number, octets: number): void {
  const w = t.words;
  if (w[at + PACKETS] === 0) t.touched[t.count++] = at;
  w[at + PACKETS]++;
  w[at + OCTETS] += octets;
}

export function isSettled(t: PolicyAnswers, at: number): boolean {
  return t.words[at + PACKETS] === 0;
}

export function settle(t: PolicyAnswers, to: hits.PolicyHits, nowSec: number): void {
  const w = t.words;
  for (let i = 0; i < t.count; i++) {
    const at = t.touched[i];
    hits.count(to, w[at + EGRESS], w[at + PACKETS], w[at + OCTETS], nowSec);
    hits.count(to, w[at + INGRESS], w[at + PACKETS], w[at + OCTETS], nowSec);
    w[at + PACKETS] = 0;
    w[at + OCTETS] = 0;
  }
  t.count = 0;
}

function whatOf(to: Int32Array): number {
  return ((to[META] & (FAMILY | PROTO)) << 16) | (to[PORTS] & 0xffff);
}
