import { availableParallelism } from "node:os";

const USUAL = 4; // Node.js' own

/**
 * Node.js' option for agents: how many threads V8 has beside theirs, to compile and to collect. Its usual four take both
 * cores of a small machine, and what changes the plane waits for them: so there is a core less of them than there are, at
 * least one. The programs that start agents in installations say the same (podwire, scripts/package/lay-out).
 */
export function v8Threads(): string {
  return `--v8-pool-size=${Math.min(USUAL, Math.max(1, availableParallelism() - 1))}`;
}
