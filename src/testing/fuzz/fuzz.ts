// The fuzzer: mutated frames against a target until the time is up or something is found. A target throws on
// a finding. Runs are repeatable from their seed; a finding is made shorter before it is shown. scripts/fuzz
// is its command.

import { mutate } from "../frames/mutate.ts";
import { sampleFrames } from "../frames/sample-frames.ts";
import { Prng } from "../prng.ts";
import { fuzzHello, fuzzProxyHeader, helloSamples, proxyHeaderSamples } from "./fuzz-beginnings.ts";
import { createFastTarget } from "./fuzz-fast.ts";
import { createOverlayTarget, overlaySamples } from "./fuzz-overlay.ts";
import { createPipelineTarget, pipelineSamples } from "./fuzz-pipeline.ts";
import { fuzzWire } from "./fuzz-wire.ts";

/**
 * Takes one frame; throws when something is wrong. May keep state between frames, as a data plane does; what it
 * leaves to chance it takes from `random`.
 */
export type FuzzTarget = (frame: Uint8Array, random: Prng) => void;

export interface FuzzSubject {
  /** A fresh target. */
  readonly create: () => FuzzTarget;
  /** Frames to mutate; one of every kind when left out. */
  readonly samples?: () => readonly Uint8Array[];
}

export const targets = new Map<string, FuzzSubject>([
  ["wire", { create: () => fuzzWire }],
  ["pipeline", { create: () => createPipelineTarget(), samples: pipelineSamples }],
  ["fast", { create: () => createFastTarget(), samples: pipelineSamples }],
  ["workers", { create: () => createFastTarget({ engines: 4 }), samples: pipelineSamples }],
  ["hello", { create: () => fuzzHello, samples: helloSamples }],
  ["proxy-header", { create: () => fuzzProxyHeader, samples: proxyHeaderSamples }],
  ["overlay", { create: () => createOverlayTarget(), samples: overlaySamples }],
]);

export interface FuzzOptions extends FuzzSubject {
  readonly seed: number;
  readonly seconds: number;
  /** Stops earlier after so many frames. */
  readonly maxRuns?: number;
  /** How long a finding is made shorter. */
  readonly shortenMs?: number;
}

export interface Finding {
  readonly error: unknown;
  /** The frame as short as it could be made. */
  readonly frame: Uint8Array;
  /** Frames before it in this run: a target with state may need them, from the same seed. */
  readonly run: number;
}

export interface FuzzResult {
  readonly runs: number;
  readonly finding?: Finding;
}

const SHORTEN_MS = 2000;
const CLOCK_EVERY = 256; // frames between two looks at the clock

export function fuzz(options: FuzzOptions): FuzzResult {
  const random = new Prng(options.seed);
  const samples = (options.samples ?? sampleFrames)();
  const target = options.create();
  const endMs = performance.now() + options.seconds * 1000;
  const maxRuns = options.maxRuns ?? Number.POSITIVE_INFINITY;
  let runs = 0;
  while (runs < maxRuns && (runs % CLOCK_EVERY !== 0 || performance.now() < endMs)) {
    const sample = random.pick(samples);
    const isIntact = random.below(8) === 0; // good frames between bad ones: state is built, and must still work
    const frame = isIntact ? sample.slice() : mutate(sample, random.pick(samples), random);
    const chance = random.next();
    try {
      target(frame, new Prng(chance));
    } catch (error) {
      const { create, shortenMs = SHORTEN_MS } = options;
      return { runs, finding: { error, frame: shortened(frame, chance, create, shortenMs), run: runs } };
    }
    runs++;
  }
  return { runs };
}

/**
 * Cuts the tail and zeroes bytes as long as a fresh target still throws; the frame itself when it needs the
 * history.
 */
function shortened(
  frame: Uint8Array,
  chance: number,
  create: () => FuzzTarget,
  shortenMs: number,
): Uint8Array {
  const fails = (bytes: Uint8Array): boolean => {
    try {
      create()(bytes, new Prng(chance));
      return false;
    } catch {
      return true;
    }
  };
  if (!fails(frame)) return frame;
  const endMs = performance.now() + shortenMs;
  let best = frame;
  for (let cut = frame.length >> 1; cut > 0; cut >>= 1) {
    while (best.length > cut && performance.now() < endMs && fails(best.slice(0, best.length - cut)))
      best = best.slice(0, best.length - cut);
  }
  for (let i = 0; i < best.length && performance.now() < endMs; i++) {
    const zeroed = best.slice();
    zeroed[i] = 0;
    if (best[i] !== 0 && fails(zeroed)) best = zeroed;
  }
  return best;
}
