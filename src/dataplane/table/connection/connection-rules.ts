/**
 * What policies said of each connection when it was entered: the verdicts of both directions, and the epoch of the
 * policies that gave them. Eight bytes a conntrack slot, beside conntrack: pages that a node without policies never
 * touches, and an eighth of a cache line for each new connection of one that has them. An epoch of 0 is none: nothing is
 * known of what let the connection in, since there were no policies then.
 */

import { ACTION_BITS, INHERITED, NO_EPOCH, RULES_MAX } from "../../spec/policy.ts";

const WORDS_SHIFT = 1;
// First word: the epoch, signed, above the egress verdict's lowest bits. Second: the rest of that verdict above the
// ingress verdict.
const LOW_BITS = 4;
const LOW_MASK = (1 << LOW_BITS) - 1;
const VERDICT_BITS = Math.log2(RULES_MAX) + ACTION_BITS;
const VERDICT_MASK = (1 << VERDICT_BITS) - 1;

export class ConnectionRules {
  static readonly LAYOUT = 2;
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
  if (t.words[at] !== 0) t.words[at] = NO_EPOCH << LOW_BITS;
}

/** The epoch last: who reads along finds none of this, or all. */
export function set(t: ConnectionRules, slot: number, egress: number, ingress: number, epoch: number): void {
  const at = slot << WORDS_SHIFT;
  t.words[at + 1] = ((egress >> LOW_BITS) << VERDICT_BITS) | ingress;
  t.words[at] = (epoch << LOW_BITS) | (egress & LOW_MASK);
}

export function egressOf(t: ConnectionRules, slot: number): number {
  const at = slot << WORDS_SHIFT;
  return ((t.words[at + 1] >>> VERDICT_BITS) << LOW_BITS) | (t.words[at] & LOW_MASK);
}

export function ingressOf(t: ConnectionRules, slot: number): number {
  return t.words[(slot << WORDS_SHIFT) + 1] & VERDICT_MASK;
}

export function epochOf(t: ConnectionRules, slot: number): number {
  return t.words[slot << WORDS_SHIFT] >> LOW_BITS;
}

/** What is there was said by an earlier agent's policies: their epochs could be taken for those of this one. */
export function inherit(t: ConnectionRules, slot: number): void {
  if (epochOf(t, slot) === NO_EPOCH) return;
  const at = slot << WORDS_SHIFT;
  t.words[at] = (INHERITED << LOW_BITS) | (t.words[at] & LOW_MASK);
}
