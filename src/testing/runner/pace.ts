// Which files take long: they go first, so that none is left to run alone at the end. What a file took is kept beside the
// build, build/test-seconds.json; without it files go by name.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { FileResult } from "./run-files.ts";

type Seconds = Record<string, number>;

export function slowestFirst(files: readonly string[], path: string): string[] {
  const took = readSeconds(path);
  return [...files].sort((a, b) => (took[b] ?? 0) - (took[a] ?? 0));
}

/** Adds what these took, in seconds of CPU: the clock would tell of other programs, too. */
export function keepSeconds(results: readonly FileResult[], path: string): void {
  const took = readSeconds(path);
  for (const { file, cpuSeconds } of results) took[file] = Number(cpuSeconds.toFixed(1));
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify(took)}\n`);
  } catch {} // somebody else's build: only the order suffers
}

function readSeconds(path: string): Seconds {
  try {
    return { ...(JSON.parse(readFileSync(path, "utf8")) as Seconds) };
  } catch {
    return {};
  }
}
