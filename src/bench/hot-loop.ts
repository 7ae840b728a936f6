// Times one operation of the data plane in a tight loop: seeded input, warm-up, several rounds, minimum and
// median per operation, a sink that keeps the compiler from deleting the work. With `--check` a figure
// worse than 1.5 × the recorded one makes the process fail; the minimum is compared, since other work on
// the machine only ever adds.

export const SEED = 0x5eed;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 3;
const TOLERANCE = 1.5;

let sink = 0;

/** Mulberry32: the same numbers on every run, as i32. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (x ^ (x >>> 14)) | 0;
  };
}

/**
 * Runs `round`, which performs `operations` operations and returns something that depends on them, and
 * prints a line. `recordedNs` is the minimum when it was last recorded.
 */
export function measure(name: string, operations: number, round: () => number, recordedNs: number): void {
  for (let i = 0; i < WARM_UP_ROUNDS; i++) sink = (sink + round()) | 0;
  const ns: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = process.hrtime.bigint();
    sink = (sink + round()) | 0;
    ns.push(Number(process.hrtime.bigint() - start) / operations);
  }
  ns.sort((a, b) => a - b);
  const [min, median] = [ns[0], ns[ROUNDS >> 1]];
  const isWorse = process.argv.includes("--check") && min > recordedNs * TOLERANCE;
  if (isWorse) process.exitCode = 1;
  console.log(
    `${name.padEnd(52)} min ${min.toFixed(1).padStart(7)}  median ${median.toFixed(1).padStart(7)}` +
      `  recorded ${recordedNs.toFixed(1).padStart(7)} ns${isWorse ? "  WORSE" : ""}`,
  );
}

export function printHeader(title: string): void {
  console.log(`${title}, seed 0x${SEED.toString(16)}, node ${process.version}, ${ROUNDS} rounds`);
}

/** Printed last, so that everything before it had to happen. */
export function printSink(): void {
  console.log(`sink ${sink}`);
}
