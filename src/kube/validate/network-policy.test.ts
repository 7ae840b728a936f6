// Policies, judged as an API server judged the same ones: testdata/policies has them and what it said.
import { readFileSync } from "node:fs";
import t from "tap";
import { differenceOf, type PolicyVerdict } from "../../testing/policy/policy-verdict.ts";
import type { KubeObject } from "../objects.ts";

interface Line extends PolicyVerdict {
  readonly what: string;
  readonly object: KubeObject;
}

const text = readFileSync("src/kube/validate/testdata/policies/policies.jsonl", "utf8");
const lines = text
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Line);

t.test("every policy is taken with the same defaults, or refused with the same words", async (t) => {
  for (const { what, object, ...verdict } of lines) {
    const difference = differenceOf(object, verdict);
    if (difference !== undefined) t.fail(`${what}: ${JSON.stringify(object)}\n${difference}`);
  }
  const refused = lines.filter(({ spec }) => spec === undefined);
  const counts = `${lines.length} policies, ${refused.length} refused`;
  t.ok(refused.length >= 300 && lines.length - refused.length >= 90, counts);
});
