import type { Engine } from "../../dataplane/engine.ts";
import { SLOT_STRIDE } from "../../dataplane/packet/packet.ts";
import type { JoinAreas } from "../../dataplane/scratch.ts";

/**
 * Where each slot begins: nobody may write there. The headroom before a frame is used by tunnel headers only
 * as far as they reach, and the second slot of a pair for joined frames is one with the first.
 */
function slotStarts(engines: readonly Engine[]): number[] {
  const seconds = new Set(engines.flatMap(({ tables }) => secondSlots(tables.scratch.areas)));
  const { arena } = engines[0].tables;
  const starts: number[] = [];
  for (let slot = 0; slot < arena.length / SLOT_STRIDE; slot++) {
    if (!seconds.has(slot)) starts.push(slot * SLOT_STRIDE);
  }
  return starts;
}

function secondSlots({ first, count }: JoinAreas): number[] {
  return Array.from({ length: count }, (_, pair) => first + 2 * pair + 1);
}

const CANARY = 0xc5;
const CANARY_WORD = 0xc5c5c5c5 | 0;
const CANARY_BYTES = 40; // of 128: behind them a tunnel over IPv6 may begin

/** Bytes where slots begin, which nobody may change. */
export class Canaries {
  readonly #starts: readonly number[];
  readonly #words: Int32Array;

  constructor(engines: readonly Engine[]) {
    const { arena } = engines[0].tables;
    this.#starts = slotStarts(engines);
    this.#words = new Int32Array(arena.buffer);
    for (const at of this.#starts) arena.fill(CANARY, at, at + CANARY_BYTES);
  }

  check(): void {
    for (const at of this.#starts) {
      for (let i = 0; i < CANARY_BYTES; i += 4) {
        if (this.#words[(at + i) >> 2] !== CANARY_WORD)
          throw new Error(`byte ${i} … ${i + 3} of the slot at ${at} was written from outside`);
      }
    }
  }
}
