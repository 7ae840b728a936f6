import t from "tap";
import { parseManifests } from "../kube/manifest/manifest.ts";
import { kernelNodeWarnings } from "./policy-kernel-nodes.ts";

const of = (text: string) => parseManifests([{ file: "a.yaml", text }]).map(({ object }) => object);
const POLICY = of(
  "{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p }, spec: { podSelector: {} } }",
);
const CLUSTER = of(
  "{ apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: { name: p }," +
    " spec: { tier: Admin, priority: 1, subject: { namespaces: {} } } }",
);
const SPACE = of("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
const PODWIRE = { name: "node1", agent: "podwire" } as const;
const KERNEL = { name: "node2", agent: "kernel" } as const;

t.test("who applies a policy is told of nodes that do not enforce it", async (t) => {
  const told = "warning: node2: plain Linux (agent: kernel) enforces no policies: pods there are open";
  t.same(kernelNodeWarnings(POLICY, [PODWIRE, KERNEL]), [told]);
  t.same(kernelNodeWarnings([...SPACE, ...CLUSTER], [PODWIRE, KERNEL]), [told]);
  t.same(kernelNodeWarnings(SPACE, [PODWIRE, KERNEL]), []);
  t.same(kernelNodeWarnings(POLICY, [PODWIRE]), []);
});
