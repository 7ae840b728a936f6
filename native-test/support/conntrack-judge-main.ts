// scripts/conntrack-judge: as many conversations as one has time for. Prints every difference; exit status 3 when there
// is one.
import type { JudgedMode } from "../../src/testing/judge/scenario.ts";
import { ConntrackJudge, findingText } from "./conntrack-judge.ts";
import { FAMILY, judgeOptions, MODE, number, SEED } from "./judge-options.ts";

const BATCH = 400;
const SHOWN = 20;

const { values, flag: isLiberal } = judgeOptions(
  "conntrack-judge",
  { conversations: number("10000"), seed: SEED, family: FAMILY, mode: MODE },
  { name: "liberal" },
);

const judge = new ConntrackJudge({
  family: values.family === "6" ? 6 : 4,
  mode: values.mode as JudgedMode,
  sysctls: isLiberal ? { nf_conntrack_tcp_be_liberal: 1 } : {},
});
const total = Number(values.conversations);
const begin = performance.now();
let [packets, chosen, met, differing] = [0, 0, 0, 0];
try {
  for (let first = 0; first < total; first += BATCH) {
    const verdict = await judge.judge(Number(values.seed), first, Math.min(BATCH, total - first));
    packets += verdict.packets;
    chosen += verdict.chosen;
    met += verdict.met;
    for (const finding of verdict.findings) {
      differing++;
      if (differing <= SHOWN) console.log(findingText(finding));
    }
  }
} finally {
  judge.close();
}
const seconds = ((performance.now() - begin) / 1000).toFixed(1);
console.log(
  `${total} conversations (${values.mode}, IPv${values.family}, seed ${values.seed}), ${packets} packets to each side: ` +
    `${differing} differ, ${met} met another by chance, ${chosen} packets dropped by a documented choice (${seconds} s)`,
);
process.exitCode = differing > 0 ? 3 : 0;
