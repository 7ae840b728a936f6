/**
 * Policy: may this connection be? Asked once for each direction of a new connection, never again of a known one.
 *
 *   address ──▶ identity      pods and nodes by their address, all else by the ranges of ipBlocks it lies in
 *   (row of the subject, identity of its peer) ──▶ cell ──▶ program ──▶ verdict by protocol and port
 *
 * An identity stands for all addresses that no policy tells apart; a row for all pods that the same policies select. So
 * the answer costs the same however many policies there are: one hash or range lookup, one load, a search among the few
 * port ranges that differ. A verdict names its rule.
 *
 * Rows of cells and programs are never changed once a subject or an address leads to them. A change makes new ones beside
 * them; then, between two batches, addresses and subjects lead to these, all at once: no packet sees half of a change.
 */

import { ColumnCarver } from "../../../base/columns.ts";
import { Protocol } from "../../../base/protocols.ts";
import {
  A_IDENTITY,
  A_SUBJECT,
  ACTION_MASK,
  ADDRESS_WORDS,
  NO_ROW,
  PolicyAction,
  type PolicyParts,
  S_EGRESS,
  S_INGRESS,
  S_SELF,
  SUBJECT_WORDS,
} from "../../spec/policy.ts";
import * as hashIndex from "../hash-index.ts";
import * as prefixRanges from "../prefix-ranges.ts";

const { SCTP, TCP, UDP } = Protocol;
const { DENY, DENY_RULE } = PolicyAction;
const PROTOCOL_CELLS = 4; // that a program begins with: placeOf

/** Subject of a port whose pod is not in the table: nothing passes it. */
export const CLOSED = -1;
/** Subject of a port that policies have nothing to say about. */
export const OPEN = -2;

const ADDRESS_SHIFT = 3; // of ADDRESS_WORDS

type Columns = Omit<PolicyParts, "addresses" | "changes" | "recycled"> & {
  readonly addresses: Int32Array;
};

const NOTHING: Columns = {
  epoch: 0,
  active: 0,
  addresses: new Int32Array(ADDRESS_WORDS),
  ranges: new ArrayBuffer(prefixRanges.PrefixRanges.bytesFor(prefixRanges.NO_PREFIXES)),
  rangeCounts: prefixRanges.NO_PREFIXES,
  world: 0,
  subjects: new Int32Array(0),
  cells: new Int32Array(0),
  stride: 0,
  programs: new Int32Array(0),
};

export class Policy {
  readonly epoch: number;
  readonly active: number; //           1: there is a policy
  readonly addresses: Int32Array;
  readonly addressMask: number;
  readonly ranges: prefixRanges.PrefixRanges;
  readonly world: number;
  readonly subjects: Int32Array;
  readonly cells: Int32Array;
  readonly stride: number;
  readonly programs: Int32Array;

  /** Without parts: nobody has told of policies. */
  constructor(parts: Columns = NOTHING) {
    this.epoch = parts.epoch;
    this.active = parts.active;
    this.addresses = parts.addresses;
    this.addressMask = parts.addresses.length / ADDRESS_WORDS - 1;
    this.ranges = new prefixRanges.PrefixRanges(new ColumnCarver(parts.ranges), parts.rangeCounts);
    this.world = parts.world;
    this.subjects = parts.subjects;
    this.cells = parts.cells;
    this.stride = parts.stride;
    this.programs = parts.programs;
  }
}

/** First word of the row of an address, or -1. */
function locate(t: Policy, w0: number, w1: number, w2: number, w3: number): number {
  const a = t.addresses;
  let slot = hashIndex.mixTrusted(w0, w1, w2, w3) & t.addressMask;
  for (;;) {
    const at = slot << ADDRESS_SHIFT;
    if (a[at + A_IDENTITY] === 0) return -1;
    if (a[at + 3] === w3 && a[at + 2] === w2 && a[at + 1] === w1 && a[at] === w0) return at;
    slot = (slot + 1) & t.addressMask;
  }
}

/** Identity of an address. */
export function identityOf(t: Policy, w0: number, w1: number, w2: number, w3: number): number {
  const at = locate(t, w0, w1, w2, w3);
  if (at >= 0) return t.addresses[at + A_IDENTITY] - 1;
  const found = prefixRanges.lookup(t.ranges, w0, w1, w2, w3);
  return found === prefixRanges.NONE ? t.world : found;
}

/** Subject that the pod of this address is, CLOSED where no pod of this node is known to have it. */
export function subjectOf(t: Policy, w0: number, w1: number, w2: number, w3: number): number {
  const at = locate(t, w0, w1, w2, w3);
  return at < 0 ? CLOSED : t.addresses[at + A_SUBJECT] - 1;
}

export function egressRow(t: Policy, subject: number): number {
  return subject < 0 ? NO_ROW : t.subjects[subject * SUBJECT_WORDS + S_EGRESS];
}

export function ingressRow(t: Policy, subject: number): number {
  return subject < 0 ? NO_ROW : t.subjects[subject * SUBJECT_WORDS + S_INGRESS];
}

/** Verdict of a row about a peer. `port` is the destination's; of protocols without ports it counts for nothing. */
export function decide(t: Policy, row: number, identity: number, proto: number, port: number): number {
  return verdictOf(t, t.cells[row * t.stride + identity], proto, port);
}

/**
 * The verdict of a row about a peer that denies, if there is one on any port of a protocol, or, of protocol -1, of any
 * protocol: of what does not say which it is for.
 */
export function decideStrictly(t: Policy, row: number, identity: number, proto: number): number {
  const cell = t.cells[row * t.stride + identity];
  if (cell < 0) return ~cell;
  const p = t.programs;
  const last = proto < 0 ? PROTOCOL_CELLS - 1 : placeOf(proto);
  let verdict = 0;
  for (let place = proto < 0 ? 0 : last; place <= last; place++) {
    const at = p[cell + place];
    const ranges = at < 0 ? 1 : p[at];
    for (let i = 0; i < ranges; i++) {
      verdict = at < 0 ? ~at : p[at + ranges + i];
      const action = verdict & ACTION_MASK;
      if (action === DENY || action === DENY_RULE) return verdict;
    }
  }
  return verdict;
}

/** Verdict about what a pod sends to itself by way of a service. `direction`: 0 egress, 1 ingress. */
export function decideSelf(
  t: Policy,
  subject: number,
  direction: number,
  family: number,
  proto: number,
  port: number,
): number {
  const at = subject * SUBJECT_WORDS + S_SELF + (family === 4 ? 0 : 2) + direction;
  return verdictOf(t, t.subjects[at], proto, port);
}

/**
 * A program's first words are cells for each protocol. A list: how many ranges, the ports that all but the first begin
 * at, then their verdicts.
 */
function verdictOf(t: Policy, cell: number, proto: number, port: number): number {
  if (cell < 0) return ~cell;
  const p = t.programs;
  const at = p[cell + placeOf(proto)];
  if (at < 0) return ~at;
  let from = 0;
  let to = p[at];
  const verdicts = at + to;
  while (to - from > 1) {
    const middle = (from + to) >>> 1;
    if (p[at + middle] > port) to = middle;
    else from = middle;
  }
  return p[verdicts + from];
}

function placeOf(proto: number): number {
  if (proto === TCP) return 0;
  if (proto === UDP) return 1;
  return proto === SCTP ? 2 : 3;
}
