import { SLOT_STRIDE } from "../../dataplane/packet/packet.ts";
import type { Tables } from "../../dataplane/tables.ts";

/**
 * Where each slot begins: nobody may write there. The headroom before a frame is used by tunnel headers only
 * as far as they reach, and the second slot of a pair for joined frames is one with the first.
 */
export function slotStarts({ arena, scratch }: Tables): number[] {
  const { first, count } = scratch.areas;
  const starts: number[] = [];
  for (let slot = 0; slot < arena.length / SLOT_STRIDE; slot++) {
    const isSecond = slot >= first && slot < first + 2 * count && (slot - first) % 2 === 1;
    if (!isSecond) starts.push(slot * SLOT_STRIDE);
  }
  return starts;
}
