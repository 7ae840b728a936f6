// The hostile target, short: the run itself, that a seed makes the same frames, and that it finds what it is there to
// find. scripts/test-native-sanitized.mjs runs this file with the addon under sanitizers as well.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Offload } from "../../base/addon.ts";
import { HEADROOM, SLOT_STRIDE } from "../../dataplane/packet/packet.ts";
import { loadNative } from "../../native/binding.ts";
import * as twin from "../../wire/bytes/offload.ts";
import { toHex } from "../frames/bytes.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { Corpus, Delivery, deliver, KIND_NAMES } from "./fuzz-corpus.ts";
import { type HostileReport, runHostile } from "./fuzz-hostile.ts";
import { readCommand } from "./fuzz-options.ts";
import { createNode } from "./fuzz-pipeline.ts";
import { hostileText } from "./fuzz-report.ts";

const MAIN = join(import.meta.dirname, "fuzz-main.js");
const PER_KIND = 250;
t.setTimeout(120_000); // seconds of work, more under sanitizers on a busy machine
/** Reasons that a hostile run must have met, or its frames do not get far any more. */
const MET = [
  ...["MALFORMED_IPV4", "MALFORMED_IPV6", "MALFORMED_ND", "BAD_VNET_HEADER", "SOURCE_ROUTED", "TTL_EXCEEDED"],
  ...["CT_INVALID", "FRAGMENT_OVERLAP", "FRAGMENT_QUEUE_FULL", "VXLAN_UNKNOWN_VNI"],
  ...["VXLAN_UNKNOWN_VTEP", "FRAGMENTATION_NEEDED", "MARTIAN_SOURCE", "NO_ROUTE"],
  ...["BAD_TCP_CHECKSUM", "BAD_UDP_CHECKSUM", "BAD_ICMP_CHECKSUM", "BAD_SCTP_CHECKSUM"],
];

function sound(t: Test, seed: number, r: HostileReport): void {
  t.same(r.findings, [], `seed ${seed}`);
  const { forwarded, flooded, kept, dropped } = r.fates;
  t.equal(forwarded + flooded + kept + dropped, r.frames, "every frame has a fate");
  t.equal(
    r.drops.reduce((sum, d) => sum + d.frames, 0),
    dropped,
    "every drop has a reason",
  );
  const reasons = r.drops.map((d) => d.reason);
  t.same(
    MET.filter((reason) => !reasons.includes(reason)),
    [],
    "frames get as far as they should",
  );
  for (const kind of KIND_NAMES) t.ok(r.kinds[kind] > 0, kind);
  t.ok(forwarded > r.frames / 20, `${forwarded} forwarded`);
  t.ok(r.inspected > 500, `${r.inspected} good frames looked at`);
}

for (const [name, offload, frames] of [
  ["the addon", loadNative(), 150_000],
  ["its twin", twin, 100_000],
] as const) {
  t.test(`${frames} hostile frames through a whole node with ${name} find nothing`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const r = runHostile({ seed, frames, offload, perKind: PER_KIND });
    sound(t, seed, r);
    t.match(hostileText(r).join("\n"), /frames\/s.*DROP REASON.*MALFORMED_IPV4 +\d+ +\d+/s);
  });
}

const planted: { name: string; offload: Partial<Offload>; finding: RegExp }[] = [
  {
    name: "an exception",
    offload: {
      segmentTcp: () => {
        throw new RangeError("planted");
      },
    },
    finding: /RangeError: planted.*superframes to/s,
  },
  {
    name: "a write into the next slot",
    offload: {
      checksum: (arena: Uint8Array, off: number, len: number, seed: number) => {
        arena[off - (off % SLOT_STRIDE) + SLOT_STRIDE] = 0;
        return twin.checksum(arena, off, len, seed);
      },
    },
    finding: /was written from outside/,
  },
  {
    name: "a wrong checksum",
    offload: { checksum: (...args: Parameters<typeof twin.checksum>) => twin.checksum(...args) ^ 1 },
    finding: /good, but sent to .*checksum/,
  },
  {
    name: "a wrong segment",
    offload: {
      segmentTcp: (...args: Parameters<typeof twin.segmentTcp>) => {
        const consumed = twin.segmentTcp(...args);
        args[0][args[7] + args[10] + 40] ^= 1;
        return consumed;
      },
    },
    finding: /good, but sent to uplink/,
  },
];
for (const { name, offload, finding } of planted) {
  t.test(`provoked: ${name} is found, with the frame`, async (t) => {
    const r = runHostile({ seed: 1, frames: 500_000, offload: { ...twin, ...offload }, perKind: PER_KIND });
    t.match(r.findings[0], finding);
    t.match(r.findings[0], /frame \d+: .*virtio [0-9a-f]{20}, \d+ bytes /s);
  });
}

t.test("the same seed and number make the same frame, another seed others", async (t) => {
  const [first, again, other] = [5, 5, 6].map((seed) => new Corpus(createNode({ poolSlots: 4 }), seed, 50));
  const frames = (corpus: Corpus, seed: number, numbers: readonly number[]): string[] =>
    numbers.map((number) => {
      const bytes = new Uint8Array(SLOT_STRIDE);
      const d = new Delivery();
      deliver(corpus, seed, number, bytes, new DataView(bytes.buffer), HEADROOM, d);
      return `${d.port} ${d.kind} ${toHex(bytes.subarray(HEADROOM - 10, HEADROOM + d.len))}`;
    });
  // In another order: a frame is its number's, not its place's.
  const numbers = [0, 1, 77];
  const [one, two] = [frames(first, 5, numbers), frames(again, 5, numbers.toReversed()).reverse()];
  for (const [i, number] of numbers.entries()) t.equal(one[i], two[i], `frame ${number}`);
  t.notSame(one, frames(first, 6, numbers));
  t.not(toHex(first.bytes), toHex(other.bytes), "nor are they made of the same");
});

t.test("what is called good is good, and each kind has its share", async (t) => {
  const corpus = new Corpus(createNode({ poolSlots: 4 }), 9, 50);
  const bytes = new Uint8Array(SLOT_STRIDE);
  const view = new DataView(bytes.buffer);
  const d = new Delivery();
  const seen = new Set<number>();
  let good = 0;
  const bad: string[] = [];
  for (let n = 0; n < 20_000; n++) {
    deliver(corpus, 9, n, bytes, view, HEADROOM, d);
    seen.add(d.kind);
    if (d.good === 0) continue;
    good++;
    const virtio = bytes.slice(HEADROOM - 10, HEADROOM);
    for (const problem of checkFrame(bytes.slice(HEADROOM, HEADROOM + d.len), { virtio }))
      bad.push(`frame ${n}: ${problem}`);
  }
  t.same(bad, []);
  t.equal(seen.size, KIND_NAMES.length);
  t.ok(good > 2000, `${good} good frames`);
});

t.test("the command counts, prints its seed and the table, and explains itself", async (t) => {
  const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  const good = run("--target", "hostile", "--frames", "30000", "--seed", "4", "--offload", "ts");
  t.equal(good.status, 0, good.stderr);
  t.match(
    good.stdout,
    /target hostile, seed 4, 30000 frames, offload ts\n.*frames\/s.*DROP REASON.*nothing found/s,
  );
  const help = run("--help");
  for (const word of ["hostile", "tap", "--frames", "--sanitize"]) t.match(help.stdout, word);
  for (const [line, reason] of [
    ["--target hostile --frames 0", "--frames is 1 to 10000000000"],
    ["--target hostile --seconds 1", "target hostile takes --frames, not --seconds"],
    ["--target hostile --offload x", "--offload is c or ts"],
    ["--target wire --frames 9", "target wire takes --seconds and --seed only"],
  ] as const)
    t.same(readCommand(line.split(" ")), { what: "refused", reason }, line);
});
