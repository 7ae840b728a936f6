// scripts/conntrack-judge: as many conversations as one has time for. Prints every difference; exit status 3 when there
// is one.
import { parseArgs } from "node:util";
import type { JudgedMode } from "../../src/testing/judge/scenario.ts";
import { ConntrackJudge, findingText } from "./conntrack-judge.ts";

const BATCH = 400;
const SHOWN = 20;

const { values } = parseArgs({
  options: {
    conversations: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    family: { type: "string", default: "4" },
    mode: { type: "string", default: "iptables" },
    liberal: { type: "boolean", default: false },
  },
});

const allowed: Readonly<Record<string, RegExp>> = {
  conversations: /^[1-9]\d*$/,
  seed: /^\d+$/,
  family: /^[46]$/,
  mode: /^(iptables|nftables)$/,
};
for (const [name, pattern] of Object.entries(allowed)) {
  const value = String(values[name as keyof typeof values]);
  if (pattern.test(value)) continue;
  console.error(`conntrack-judge: --${name} ${value}: must match ${pattern.source}`);
  process.exit(2);
}

const judge = new ConntrackJudge({
  family: values.family === "6" ? 6 : 4,
  mode: values.mode as JudgedMode,
  sysctls: values.liberal ? { nf_conntrack_tcp_be_liberal: 1 } : {},
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
