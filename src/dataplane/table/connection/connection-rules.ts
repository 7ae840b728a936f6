/**
 * What policies said of each connection when it was entered: the verdicts of both directions, and the epoch of the
 * policies that gave them. A row a conntrack slot, beside conntrack so that a node without policies has no memory for it.
 */

const WORDS_SHIFT = 2;
const EGRESS = 0;
const INGRESS = 1;
const EPOCH = 2;

export class ConnectionRules {
  readonly words: Int32Array;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(ConnectionRules.bytesFor(capacityLog2)),
  ) {
    this.words = new Int32Array(memory);
  }

  static bytesFor(capacityLog2: number): number {
    return 4 << (capacityLog2 + WORDS_SHIFT);
  }
}

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
