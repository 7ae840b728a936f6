// scripts/kernel-judge: as many scenarios as one has time for. Prints every difference with its seed; exit
// status 3 when there is one.
import { parseArgs } from "node:util";
import type { JudgedMode } from "../../src/testing/judge/scenario.ts";
import { KernelJudge } from "./kernel-judge.ts";

const SHOWN = 20; // differences of one scenario

const { values } = parseArgs({
  options: {
    scenarios: { type: "string", default: "1000" },
    seconds: { type: "string", default: "86400" },
    "update-every": { type: "string", default: "1" },
    "times-every": { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    mode: { type: "string", default: "iptables" },
    family: { type: "string", default: "4" },
    variant: { type: "string", default: "legacy" },
    verbose: { type: "boolean", short: "v", default: false },
  },
});

const allowed: Readonly<Record<string, RegExp>> = {
  scenarios: /^[1-9]\d*$/,
  seconds: /^[1-9]\d*$/,
  "update-every": /^[1-9]\d*$/,
  "times-every": /^[1-9]\d*$/,
  seed: /^\d+$/,
  mode: /^(iptables|nftables)$/,
  family: /^[46]$/,
  variant: /^(legacy|nft)$/,
};
for (const [name, pattern] of Object.entries(allowed)) {
  const value = String(values[name as keyof typeof values]);
  if (pattern.test(value)) continue;
  console.error(`kernel-judge: --${name} ${value}: must match ${pattern.source}`);
  process.exit(2);
}

const judge = new KernelJudge({
  mode: values.mode as JudgedMode,
  family: values.family === "6" ? 6 : 4,
  variant: values.variant === "nft" ? "nft" : "legacy",
  updateEvery: Number(values["update-every"]),
  timesEvery: Number(values["times-every"]),
});
const begin = performance.now();
let packets = 0;
let differing = 0;
let judged = 0;
const elapsedSec = (): number => (performance.now() - begin) / 1000;
try {
  while (judged < Number(values.scenarios) && elapsedSec() < Number(values.seconds)) {
    const verdict = await judge.judge(Number(values.seed) + judged++);
    packets += verdict.packets;
    if (verdict.differences.length === 0) continue;
    differing++;
    const { seed, proxy, services, objects } = verdict.scenario;
    console.log(`seed ${seed}: ${verdict.differences.length} differences`);
    if (values.verbose) {
      const slices = objects.filter((object) => object.kind === "EndpointSlice" || object.kind === "Node");
      console.log(JSON.stringify({ proxy, services, slices }, null, 1));
    }
    for (const { flow, kernel, podwire } of verdict.differences.slice(0, SHOWN)) {
      console.log(`  ${flow}\n    kernel:  ${kernel.join(" | ")}\n    podwire: ${podwire.join(" | ")}`);
    }
  }
} finally {
  judge.close();
}
const seconds = elapsedSec().toFixed(1);
const what = `${judged} scenarios (${values.mode}, IPv${values.family}, seeds from ${values.seed})`;
console.log(`${what}, ${packets} packets to each side: ${differing} differ (${seconds} s)`);
process.exitCode = differing > 0 ? 3 : 0;
