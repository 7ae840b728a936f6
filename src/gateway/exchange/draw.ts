// Chance, where a decision leaves something to it; and headers that somebody who was asked first adds to a request.
import type { Choice, OutsideAuth } from "../../l7/decision.ts";
import { type Header, plainName } from "../../l7/request.ts";

/** `random`: from 0 to 1. */
export function drawn(choices: readonly Choice[], random: number): Choice {
  let left = random;
  for (const each of choices) {
    left -= each.share;
    if (left < 0) return each;
  }
  return choices[choices.length - 1];
}

/** What whoever was asked may say of the client nobody else may, whether it has said it this time or not. */
export function withVerdict(
  headers: readonly Header[],
  told: readonly Header[],
  auth: OutsideAuth | undefined,
): readonly Header[] {
  const names = new Set(auth?.responseHeaders.map(plainName));
  return names.size === 0 ? headers : [...headers.filter(({ name }) => !names.has(plainName(name))), ...told];
}
