/**
 * What policies said of each connection when it was entered: the verdicts of both directions, and the epoch of the
 * policies that gave them. A row a conntrack slot, beside conntrack: pages that a node without policies never touches.
 * An epoch of 0 is none: nothing is known of what let the connection in, since there were no policies then.
 */

import { INHERITED, NO_EPOCH } from "../../spec/policy.ts";

const WORDS_SHIFT = 2;
const EGRESS = 0;
const INGRESS = 1;
const EPOCH = 2;

export class ConnectionRules {
  static readonly LAYOUT = 1;
  readonly words: Int32Array;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(ConnectionRules.bytesFor(capacityLog2)),
    offset = 0,
  ) {
    this.words = new Int32Array(memory, offset, 1 << (capacityLog2 + WORDS_SHIFT));
  }

  static bytesFor(capacityLog2: number): number {
    return 4 << (capacityLog2 + WORDS_SHIFT);
  }
}

/** For tables that nobody tells of policies. */
export const NO_RULES = new ConnectionRules(0);

/** A slot has another connection from now on: what is written here was about the one before. */
export function forget(t: ConnectionRules, slot: number): void {
  const at = slot << WORDS_SHIFT;
  if (t.words[at + EPOCH] !== NO_EPOCH) t.words[at + EPOCH] = NO_EPOCH;
}

/** The epoch last: who reads along finds none of this, or all. */
export function set(t: ConnectionRules, slot: number, egress: number, ingress: number, epoch: number): void {
  const at = slot << WORDS_SHIFT;
  t.words[at + EGRESS] = egress;
  t.words[at + INGRESS] = ingress;
  t.words[at + EPOCH] = epoch;
}

export function egressOf(t: ConnectionRules, slot: number): number {
  return t.words[(slot << WORDS_SHIFT) + EGRESS];
}

export function ingressOf(t: ConnectionRules, slot: number): number {
  return t.words[(slot << WORDS_SHIFT) + INGRESS];
}

export function epochOf(t: ConnectionRules, slot: number): number {
  return t.words[(slot << WORDS_SHIFT) + EPOCH];
}

/** What is there was said by an earlier agent's policies: their epochs could be taken for those of this one. */
export function inherit(t: ConnectionRules, slot: number): void {
  const at = slot << WORDS_SHIFT;
  if (t.words[at + EPOCH] !== NO_EPOCH) t.words[at + EPOCH] = INHERITED;
}
