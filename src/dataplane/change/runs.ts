/** Runs of words in a column: one that was given back is taken first. */
import type { Runs } from "../table/service/services.ts";

/** First word of a run, or -1: there is no room. */
export function takeRun(runs: Runs, words: number): number {
  const size = roundUp(words);
  const reused = runs.free.get(size)?.pop();
  if (reused !== undefined) return reused;
  if (runs.next + size > runs.limit) return -1;
  const at = runs.next;
  runs.next += size;
  return at;
}

export function giveRun(runs: Runs, at: number, words: number): void {
  const size = roundUp(words);
  const list = runs.free.get(size);
  if (list === undefined) runs.free.set(size, [at]);
  else list.push(at);
}

function roundUp(n: number): number {
  return n <= 1 ? 1 : 2 ** Math.ceil(Math.log2(n));
}
