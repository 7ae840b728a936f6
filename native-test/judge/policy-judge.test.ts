// The kernel as judge of policies: random clusters, the rules that Calico would have written for them in a namespace's
// kernel, podwire's plane, and the evaluator, which reads the API's text: the same connections, before and after a
// change.
import t from "tap";
import { PLANTED_PLANES } from "../../src/testing/policy/planted.ts";
import { differenceText } from "../../src/testing/policy/policy-judge.ts";
import { Namespaces } from "../support/namespaces.ts";
import { type KernelOptions, type Planted, PolicyKernelJudge } from "../support/policy-judge.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const CASES: readonly (Omit<KernelOptions, "perState"> & { clusters: number })[] = [
  { family: 4, variant: "legacy", clusters: 20 },
  { family: 4, variant: "nft", clusters: 6 },
  { family: 6, variant: "legacy", clusters: 12 },
  { family: 6, variant: "nft", clusters: 4 },
];
const PER_STATE = 400;

for (const { clusters, ...options } of CASES) {
  const { family, variant } = options;
  t.test(
    `${clusters} clusters, IPv${family}, iptables-${variant}: no connection differs`,
    { skip },
    async (t) => {
      const namespaces = new Namespaces("pwt-policy");
      const judge = new PolicyKernelJudge(namespaces, { ...options, perState: PER_STATE });
      t.teardown(() => namespaces.remove());
      t.teardown(() => judge.close());
      await judge.start();
      for (let seed = 1; seed <= clusters; seed++) {
        const { cells, differences } = await judge.judge(seed);
        t.same(differences.map(differenceText), [], `seed ${seed}`);
        t.ok(cells > 0);
      }
    },
  );
}

const PLANTED: Readonly<Record<string, Planted>> = {
  "a set without its members": { sets: (text) => text.replace(/^add cali40s.*\n/gm, "") },
  "an end of a tier that denies nothing": {
    rules: (text) => text.replace(/^.*End of tier default.*\n/gm, ""),
  },
  "peers on the wrong side": { rules: (text) => text.replace(/(0s:\S+) src/g, "$1 dst") },
};
const PATIENCE = 20; // clusters

/** Whom the first seed that shows the error tells apart from the evaluator. */
async function foundBy(judge: PolicyKernelJudge, planted: Planted): Promise<string[]> {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    const { differences } = await judge.judge(seed, planted);
    if (differences.length > 0) return [...new Set(differences.map(({ side }) => side.replace(/ \(.*/, "")))];
  }
  return [];
}

t.test("planted errors are found, and whose they are", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-policy-planted");
  const judge = new PolicyKernelJudge(namespaces, { family: 4, variant: "legacy", perState: PER_STATE });
  t.teardown(() => namespaces.remove());
  t.teardown(() => judge.close());
  await judge.start();
  for (const [what, planted] of Object.entries(PLANTED))
    t.same(await foundBy(judge, planted), ["kernel"], `in the rules: ${what}`);
  for (const [what, plane] of Object.entries(PLANTED_PLANES))
    t.same(await foundBy(judge, { plane }), ["podwire's plane"], `in the plane: ${what}`);
});
