// Indexes of an indexed Job: "0-2,5", as its status and its policies write them.
import type { Pod } from "../../../kube/objects.ts";

export const INDEX = "batch.kubernetes.io/job-completion-index";
/** How often its index has failed before a pod, counted and not. */
export const FAILURES = "batch.kubernetes.io/job-index-failure-count";
export const IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count";

/** -1: it has none. */
export function indexOf({ metadata }: Pod): number {
  const text = metadata.annotations?.[INDEX] ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : -1;
}

/** Of an annotation that counts; what anybody wrote there and is no number is none. */
export function countIn({ metadata }: Pod, annotation: string): number {
  const text = metadata.annotations?.[annotation] ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

export function indexText(indexes: Iterable<number>): string {
  const runs: [number, number][] = [];
  for (const index of [...indexes].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else runs.push([index, index]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : b === a + 1 ? `${a},${b}` : `${a}-${b}`)).join(",");
}

/** Those below `completions`. */
export function indexesIn(text: string, completions: number): Set<number> {
  const found = new Set<number>();
  for (const part of text === "" ? [] : text.split(",")) {
    const [from, to = from] = part.split("-").map(Number);
    for (let i = from; i <= Math.min(to, completions - 1); i++) found.add(i);
  }
  return found;
}
