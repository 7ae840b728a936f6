// scripts/policy-judge: as many random clusters as one has time for. Prints every difference with its seed; exit status
// 3 when there is one.

import { podwirePlane } from "../../src/testing/policy/plane-side.ts";
import {
  calicoRules,
  differenceText,
  judgeSeed,
  type Verdict,
} from "../../src/testing/policy/policy-judge.ts";
import { FAMILY, judgeOptions, number, SEED } from "./judge-options.ts";
import { Namespaces } from "./namespaces.ts";
import { PolicyKernelJudge } from "./policy-judge.ts";

const SHOWN = 20; // differences of one cluster

const { values, flag: withKernel } = judgeOptions(
  "policy-judge",
  {
    clusters: number("1000"),
    cells: number("100"),
    seconds: number("86400"),
    seed: SEED,
    family: FAMILY,
    variant: { value: "legacy", pattern: /^(legacy|nft)$/, what: "legacy or nft" },
  },
  { name: "kernel" },
);

const namespaces = new Namespaces("pwt-policy-judge");
const perState = Number(values.cells);
const kernel = withKernel
  ? new PolicyKernelJudge(namespaces, {
      family: values.family === "6" ? 6 : 4,
      variant: values.variant === "nft" ? "nft" : "legacy",
      perState,
    })
  : undefined;
const judge = async (seed: number): Promise<Verdict> =>
  kernel === undefined ? judgeSeed(seed, [podwirePlane, calicoRules], perState) : kernel.judge(seed);

const begin = performance.now();
const elapsedSec = (): number => (performance.now() - begin) / 1000;
let cells = 0;
let judged = 0;
let differing = 0;
try {
  await kernel?.start();
  while (judged < Number(values.clusters) && elapsedSec() < Number(values.seconds)) {
    const seed = Number(values.seed) + judged++;
    const verdict = await judge(seed);
    cells += verdict.cells;
    if (verdict.differences.length === 0) continue;
    differing++;
    console.log(`seed ${seed}: ${verdict.differences.length} differences`);
    for (const difference of verdict.differences.slice(0, SHOWN)) console.log(differenceText(difference));
  }
} finally {
  kernel?.close();
  namespaces.remove();
}
const by = withKernel
  ? `podwire's plane and the kernel (IPv${values.family}, iptables-${values.variant})`
  : "podwire's plane and Calico's rules, read";
console.log(
  `${judged} clusters (seeds from ${values.seed}), each before and after a change, ${cells} connections ` +
    `by the evaluator, ${by}: ${differing} clusters differ (${elapsedSec().toFixed(1)} s)`,
);
process.exitCode = differing > 0 ? 3 : 0;
