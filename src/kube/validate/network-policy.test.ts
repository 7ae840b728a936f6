// Policies, judged as an API server judged the same ones: testdata/policies has them and what it said.
import { readFileSync } from "node:fs";
import t from "tap";
import { differenceOf, type PolicyVerdict } from "../../testing/policy/policy-verdict.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
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

t.test(
  "what was filled in once is filled in: a policy that is written out and applied again is unchanged",
  async (t) => {
    const cluster = makeCluster({ nodes: 0 });
    const apply = (object: unknown): string[] =>
      cluster.apply([{ file: "a.json", text: JSON.stringify(object) }]).map(({ action }) => action);
    let count = 0;
    for (const { what, object } of lines.filter(({ spec }) => spec !== undefined)) {
      const key = object.kind === "NetworkPolicy" ? "default/p" : "p";
      try {
        apply(object);
      } catch {
        continue; // what podwire alone refuses
      }
      const stored = cluster.get(object.kind, key) as KubeObject & { spec: unknown };
      const { apiVersion, kind, spec } = stored;
      t.same(apply({ apiVersion, kind, metadata: { name: "p" }, spec }), ["unchanged"], what);
      t.same((cluster.get(kind, key) as typeof stored).spec, spec, what);
      count++;
    }
    t.ok(count > 80, `${count} policies`);
  },
);
