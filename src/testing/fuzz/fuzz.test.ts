import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import type { Offload } from "../../base/addon.ts";
import { SLOT_STRIDE } from "../../dataplane/packet/packet.ts";
import * as offloadTwin from "../../wire/bytes/offload.ts";
import * as arbitrary from "../frames/arbitrary.ts";
import { toHex } from "../frames/bytes.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { mutate } from "../frames/mutate.ts";
import { sampleFrames } from "../frames/sample-frames.ts";
import { Prng } from "../prng.ts";
import { TestNode } from "../world/test-node.ts";
import { fuzz, targets } from "./fuzz.ts";
import { createFastTarget } from "./fuzz-fast.ts";
import { readCommand } from "./fuzz-options.ts";
import { createOverlayTarget, overlaySamples } from "./fuzz-overlay.ts";
import { createPipelineTarget, pipelineSamples } from "./fuzz-pipeline.ts";
import { fuzzWire } from "./fuzz-wire.ts";

// scripts/fuzz goes on as long as one wants.
const MAIN = join(import.meta.dirname, "fuzz-main.js");
const run = (...args: string[]): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });

/** Of what is found, which frame it is does not matter. */
const FOUND = { seed: 1, seconds: 20, maxRuns: 200_000, shortenMs: 50 };

t.test("30,000 mutated frames find nothing in the parsers", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { runs, finding } = fuzz({ create: () => fuzzWire, seed, seconds: 60, maxRuns: 30_000 });
  t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error} ${toHex(finding.frame)}`}`);
  t.ok(runs > 5000, `${runs} frames`);
});

t.test("2,000 mutated frames through a whole node find nothing", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { runs, finding } = fuzz({
    create: createPipelineTarget,
    samples: pipelineSamples,
    seed,
    seconds: 60,
    maxRuns: 2000,
  });
  t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error} ${toHex(finding.frame)}`}`);
  t.ok(runs > 1000, `${runs} frames`);
});

t.test("3,000 frames in bursts into two nodes find nothing", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { runs, finding } = fuzz({
    create: createOverlayTarget,
    samples: overlaySamples,
    seed,
    seconds: 60,
    maxRuns: 3000,
  });
  t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error} ${toHex(finding.frame)}`}`);
  t.ok(runs > 1000, `${runs} frames`);
});

t.test(
  "with the fast path and without, 150 rounds of packets and changes leave the same behind",
  async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    let fast = 0;
    const create = () => createFastTarget({ count: (n) => (fast = n) });
    const { finding } = fuzz({ create, samples: pipelineSamples, seed, seconds: 60, maxRuns: 150 });
    t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error}`}`);
    t.ok(fast > 0, `${fast} packets by the fast path`);
  },
);

t.test("four engines on one set of tables do in 60 rounds what a single one does", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const create = () => createFastTarget({ engines: 4 });
  const { finding } = fuzz({ create, samples: pipelineSamples, seed, seconds: 60, maxRuns: 60 });
  t.equal(finding, undefined, `seed ${seed}: ${finding && `${finding.error}`}`);
});

t.test("provoked: an engine that has a table for itself is found", async (t) => {
  for (const table of ["conntrack", "pool"] as const) {
    const spoil = ({ engines }: TestNode) => {
      const other = new TestNode();
      for (const each of engines.slice(1)) Object.assign(each.tables, { [table]: other.tables[table] });
    };
    const create = () => createFastTarget({ engines: 2, spoil });
    const subject = { create, samples: pipelineSamples, seed: 1, seconds: 60, maxRuns: 200, shortenMs: 0 };
    t.not(fuzz(subject).finding, undefined, table);
  }
});

for (const [field, error] of [
  ["ttl", /frame \d+: .*\n?of the twin/],
  ["window", /ct.track differs/],
] as const) {
  t.test(`provoked: a fast path that reads a wrong ${field} is found`, async (t) => {
    const spoil = ({ tables: { scratch } }: TestNode) =>
      Object.defineProperty(scratch.fast, field, { get: () => 65, set: () => undefined });
    const create = () => createFastTarget({ spoil });
    const { finding } = fuzz({ create, samples: pipelineSamples, seed: 1, seconds: 60, maxRuns: 500 });
    t.match(`${finding?.error}`, error);
  });
}

t.test("provoked: a fast path that does not know a shared uplink is found", async (t) => {
  for (const file of ["first-packet", "masquerade"]) {
    const isAsking = () => new Error().stack?.includes(`/${file}.`) === true;
    const spoil = ({ tables: { config } }: TestNode) =>
      config.router.shared === 1 &&
      Object.defineProperty(config.router, "shared", { get: () => (isAsking() ? 0 : 1) });
    const create = () => createFastTarget({ spoil });
    const { finding } = fuzz({ create, samples: pipelineSamples, seed: 1, seconds: 60, maxRuns: 500 });
    t.match(`${finding?.error}`, /of the twin|differs|counters/, file);
  }
});

t.test("provoked: a write into the next packet's slot is found", async (t) => {
  const checksum = (arena: Uint8Array, off: number, len: number, seed: number): number => {
    arena[off - (off % SLOT_STRIDE) + SLOT_STRIDE] = 0;
    return offloadTwin.checksum(arena, off, len, seed);
  };
  const create = () => createOverlayTarget({ offload: { ...offloadTwin, checksum } });
  const { finding } = fuzz({ create, samples: overlaySamples, ...FOUND });
  t.match(`${finding?.error}`, /was written from outside/);
});

const planted: { name: string; offload: Partial<Offload>; error: RegExp }[] = [
  {
    name: "an exception in the plane",
    offload: {
      checksum: () => {
        throw new RangeError("planted");
      },
    },
    error: /planted/,
  },
  {
    name: "a checksum that is wrong on the wire",
    offload: { checksum: () => 1 },
    error: /a good frame.*checksum/,
  },
  {
    name: "a segment with a flipped bit",
    offload: {
      segmentTcp: (...args: Parameters<typeof offloadTwin.segmentTcp>) => {
        const consumed = offloadTwin.segmentTcp(...args);
        const [arena, out] = [args[0], args[7]];
        arena[out + 30] ^= 1;
        return consumed;
      },
    },
    error: /a good frame/,
  },
];
for (const { name, offload, error } of planted) {
  t.test(`provoked: ${name} is found through the pipeline`, async (t) => {
    const create = () => createPipelineTarget({ offload: { ...offloadTwin, ...offload } });
    const { finding } = fuzz({ create, samples: pipelineSamples, ...FOUND });
    t.match(`${finding?.error}`, error);
  });
}

t.test("a parser that reads past the frame is found, and the frame made short", async (t) => {
  const careless = (): ((frame: Uint8Array) => void) => (frame) => {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (frame.length > 20 && frame[12] === 8) view.getUint16(14 + view.getUint8(14));
  };
  const { finding } = fuzz({ create: careless, seed: 1, seconds: 10, maxRuns: 100_000 });
  t.ok(finding?.error instanceof RangeError);
  t.equal(finding?.frame.length, 21);
  t.throws(() => careless()(finding?.frame ?? new Uint8Array(0)));
});

t.test("the same seed gives the same frames", async (t) => {
  const frames = (seed: number): string[] => {
    const seen: string[] = [];
    fuzz({ create: () => (frame) => void seen.push(toHex(frame)), seed, seconds: 10, maxRuns: 50 });
    return seen;
  };
  t.same(frames(7), frames(7));
  t.notSame(frames(7), frames(8));
});

t.test("mutations reach every byte of a header and leave the sample alone", async (t) => {
  const random = new Prng(3);
  const [sample, other] = sampleFrames();
  const before = toHex(sample);
  const touched = new Set<number>();
  const lengths = new Set<number>();
  for (let i = 0; i < 5000; i++) {
    const mutated = mutate(sample, other, random);
    lengths.add(mutated.length);
    for (let k = 0; k < Math.min(54, mutated.length); k++) if (mutated[k] !== sample[k]) touched.add(k);
  }
  t.equal(touched.size, 54);
  t.ok(lengths.size > 40 && lengths.has(0));
  t.equal(toHex(sample), before);
});

t.test("samples and arbitrary frames are right in every length and checksum", async (t) => {
  for (const frame of sampleFrames()) t.same(checkFrame(frame), []);
  fc.assert(fc.property(arbitrary.frame, (frame) => checkFrame(frame).length === 0));
});

t.test("arbitrary broken frames do not break the parsers", async () => {
  fc.assert(
    fc.property(arbitrary.anyFrame, (frame) => fuzzWire(frame)),
    { numRuns: 300 },
  );
});

t.test("the command prints its seed, is bounded, and refuses what it does not know", async (t) => {
  const good = run("--seconds", "0.2", "--seed", "5", "--target", "wire");
  t.equal(good.status, 0);
  t.match(good.stdout, /target wire, seed 5, 0.2 s\nfuzz: \d+ frames, nothing found\n$/);
  const bad = run("--target", "novel");
  t.equal(bad.status, 2);
  t.match(bad.stderr, /^fuzz: there is no target novel\nusage: scripts\/fuzz /);
  for (const [line, reason] of [
    ["--target novel", "there is no target novel"],
    ["--seconds x", "--seconds is 1 to 86400"],
    ["--seconds 0", "--seconds is 1 to 86400"],
    ["--seconds 86401", "--seconds is 1 to 86400"],
    ["--seed x", "--seed is an integer"],
    ["--seed 1.5", "--seed is an integer"],
    ["--target pipeline --offload ts", "target pipeline takes --seconds and --seed only"],
    ["--target overlay --sanitize", "target overlay takes --seconds and --seed only"],
  ] as const)
    t.same(readCommand(line.split(" ")), { what: "refused", reason }, line);
  t.match(readCommand(["--novel"]), { what: "refused", reason: /--novel/ });
  t.ok(targets.has("wire"));
});
