// scripts/kernel-judge: as many scenarios as one has time for. Prints every difference with its seed; exit
// status 3 when there is one.
import type { JudgedMode } from "../../src/testing/judge/scenario.ts";
import { FAMILY, judgeOptions, MODE, number, SEED } from "./judge-options.ts";
import { KernelJudge } from "./kernel-judge.ts";

const SHOWN = 20; // differences of one scenario

const { values, flag: isVerbose } = judgeOptions(
  "kernel-judge",
  {
    scenarios: number("1000"),
    seconds: number("86400"),
    "update-every": number("1"),
    "times-every": number("4"),
    workers: number("1"),
    seed: SEED,
    mode: MODE,
    family: FAMILY,
    variant: { value: "legacy", pattern: /^(legacy|nft)$/, what: "legacy or nft" },
  },
  { name: "verbose", short: "v" },
);

const judge = new KernelJudge({
  mode: values.mode as JudgedMode,
  family: values.family === "6" ? 6 : 4,
  variant: values.variant === "nft" ? "nft" : "legacy",
  updateEvery: Number(values["update-every"]),
  timesEvery: Number(values["times-every"]),
  workers: Number(values.workers),
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
    if (isVerbose) {
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
