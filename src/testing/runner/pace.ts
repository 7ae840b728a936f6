// Which files take long: they go first, so that none is left to run alone at the end. What a file took is kept beside the
// build, build/test-seconds.json; a checkout that has run nothing goes by what is known of the slowest.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { FileResult } from "./run-files.ts";
import { testName } from "./subjects.ts";

type Seconds = Record<string, number>;

/** Seconds of CPU, roughly: which of several files of one name does not matter. */
export const USUAL_SECONDS: Seconds = {
  ...{ "kernel-judge": 140, "e2e-ipv6": 90, "replay-traffic": 47, superframes: 32, "e2e-packetflow": 30 },
  ...{
    "e2e-host-port": 28,
    lab: 26,
    "e2e-spoof": 20,
    "e2e-overlay": 19,
    "e2e-kernel-node": 18,
    "e2e-service": 18,
  },
  ...{
    alloc: 14,
    "shared-process": 13,
    "explain-rules": 11,
    "test-runner": 10,
    fuzz: 8,
    "policy-judge": 7,
    "read-once": 7,
    "fuzz-hostile": 6,
    "policy-reach": 4,
    "policy-blocks": 3,
    schedule: 3,
    "fuzz-trace": 3,
    "superframe-exits": 3,
    tidy: 3,
  },
};

export function slowestFirst(files: readonly string[], path: string): string[] {
  const took = readSeconds(path);
  const secondsOf = (file: string): number => took[file] ?? USUAL_SECONDS[testName(file)] ?? 0;
  return [...files].sort((a, b) => secondsOf(b) - secondsOf(a));
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
