// scripts/policy-judge: as many random clusters as one has time for, in several processes side by side. Prints every
// difference with its seed; exit status 3 when there is one.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
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
/** In the environment of a job: its number. */
const JOB = "PODWIRE_JUDGE_JOB";

const { values, flag: withKernel } = judgeOptions(
  "policy-judge",
  {
    clusters: number("1000"),
    cells: number("100"),
    seconds: number("86400"),
    jobs: number("1"),
    seed: SEED,
    family: FAMILY,
    variant: { value: "legacy", pattern: /^(legacy|nft)$/, what: "legacy or nft" },
  },
  { name: "kernel" },
);

interface Sum {
  judged: number;
  cells: number;
  differing: number;
}

const begin = performance.now();
const elapsedSec = (): number => (performance.now() - begin) / 1000;
const jobs = Number(values.jobs);
const perState = Number(values.cells);

/** Every `jobs`-th seed, from the one of this job on. */
async function judgeSeeds(job: number): Promise<Sum> {
  const namespaces = new Namespaces("pwt-policy-judge");
  const kernel = withKernel
    ? new PolicyKernelJudge(namespaces, {
        family: values.family === "6" ? 6 : 4,
        variant: values.variant === "nft" ? "nft" : "legacy",
        perState,
      })
    : undefined;
  const judge = async (seed: number): Promise<Verdict> =>
    kernel === undefined ? judgeSeed(seed, [podwirePlane, calicoRules], perState) : kernel.judge(seed);
  const sum: Sum = { judged: 0, cells: 0, differing: 0 };
  try {
    await kernel?.start();
    for (let i = job; i < Number(values.clusters) && elapsedSec() < Number(values.seconds); i += jobs) {
      const seed = Number(values.seed) + i;
      const { cells, differences } = await judge(seed);
      sum.judged++;
      sum.cells += cells;
      if (differences.length === 0) continue;
      sum.differing++;
      const lines = differences.slice(0, SHOWN).map(differenceText);
      console.log([`seed ${seed}: ${differences.length} differences`, ...lines].join("\n"));
    }
  } finally {
    kernel?.close();
    namespaces.remove();
  }
  return sum;
}

/** The same in a process of its own. */
function startJob(job: number): Promise<Sum> {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
    env: { ...process.env, [JOB]: String(job) },
  });
  return new Promise((resolve, reject) => {
    let sum: Sum | undefined;
    child.once("message", (message) => {
      sum = message as Sum;
    });
    child.once("exit", (code, signal) => {
      if (sum !== undefined) resolve(sum);
      else reject(new Error(`policy-judge: job ${job} ended with ${code ?? signal}`));
    });
  });
}

function tell(sums: readonly Sum[]): void {
  const total = (of: (sum: Sum) => number): number => sums.reduce((n, sum) => n + of(sum), 0);
  const [judged, cells, differing] = [
    total((s) => s.judged),
    total((s) => s.cells),
    total((s) => s.differing),
  ];
  const by = withKernel
    ? `podwire's plane and the kernel (IPv${values.family}, iptables-${values.variant})`
    : "podwire's plane and Calico's rules, read";
  console.log(
    `${judged} clusters (seeds from ${values.seed}), each before and after a change, ${cells} connections ` +
      `by the evaluator, ${by}: ${differing} clusters differ (${elapsedSec().toFixed(1)} s)`,
  );
  process.exitCode = differing > 0 ? 3 : 0;
}

const own = process.env[JOB];
if (own !== undefined) {
  const sum = await judgeSeeds(Number(own));
  process.send?.(sum, () => process.disconnect());
} else if (jobs === 1) tell([await judgeSeeds(0)]);
else tell(await Promise.all(Array.from({ length: jobs }, (_, job) => startJob(job))));
