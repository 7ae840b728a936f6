/**
 * What policies answered lately. Connections of one pod to another differ in their source ports alone, for which no
 * policy asks: the second one gets both its verdicts from one cache line. A row a place, and what comes to a place last
 * has it. All are forgotten when other policies come into force.
 */
import * as tuple from "../connection/tuple.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, META, PORTS } = tuple.TupleWord;
const { PROTO } = tuple.Meta;

const ROWS_LOG2 = 10;
const ROW_SHIFT = 4;
// Words of a row: source, destination, then
const WHAT = 8; //     protocol << 16 | destination port
const SENDER = 9;
const RECEIVER = 10;
const EGRESS = 11;
const INGRESS = 12;
const NOTHING = -1; // of WHAT

export class PolicyAnswers {
  readonly words = new Int32Array(1 << (ROWS_LOG2 + ROW_SHIFT)).fill(NOTHING);
}

export function forget(t: PolicyAnswers): void {
  t.words.fill(NOTHING);
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
  return (
    w[at + WHAT] === whatOf(to) &&
    w[at + SRC3] === from[SRC3] &&
    w[at + DST3] === to[DST3] &&
    w[at + SENDER] === sender &&
    w[at + RECEIVER] === receiver &&
    w[at + SRC2] === from[SRC2] &&
    w[at + DST2] === to[DST2] &&
    w[at + SRC1] === from[SRC1] &&
    w[at + DST1] === to[DST1] &&
    w[at + SRC0] === from[SRC0] &&
    w[at + DST0] === to[DST0]
  );
}

export function keep(
  t: PolicyAnswers,
  at: number,
  from: Int32Array,
  to: Int32Array,
  sender: number,
  receiver: number,
  egress: number,
  ingress: number,
): void {
  const w = t.words;
  for (let i = 0; i < 4; i++) {
    w[at + SRC0 + i] = from[SRC0 + i];
    w[at + DST0 + i] = to[DST0 + i];
  }
  w[at + WHAT] = whatOf(to);
  w[at + SENDER] = sender;
  w[at + RECEIVER] = receiver;
  w[at + EGRESS] = egress;
  w[at + INGRESS] = ingress;
}

export function egressAt(t: PolicyAnswers, at: number): number {
  return t.words[at + EGRESS];
}

export function ingressAt(t: PolicyAnswers, at: number): number {
  return t.words[at + INGRESS];
}

function whatOf(to: Int32Array): number {
  return ((to[META] & PROTO) << 16) | (to[PORTS] & 0xffff);
}
