// PodDisruptionBudgets: what their status says of the pods that they select.
import t from "tap";
import type { KubeObject, Pod } from "../../../kube/objects.ts";
import { makeCluster } from "../../../testing/world/make-cluster.ts";

const budget = (name: string, spec: object): KubeObject =>
  ({
    ...{ apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name, namespace: "default" } },
    spec: { selector: { matchLabels: { app: "web" } }, ...spec },
  }) as unknown as KubeObject;

t.test("healthy pods are counted, and what is needed of them by number or share", async (t) => {
  const cluster = makeCluster();
  const status = (name: string) =>
    (cluster.get("PodDisruptionBudget", `default/${name}`) as { status?: object } | undefined)?.status;
  const ready = (is: boolean, count = 10): void => {
    for (const pod of (cluster.list("Pod") as Pod[]).slice(0, count)) {
      const conditions = [{ type: "Ready", status: is ? "True" : "False" }];
      cluster.update({ ...pod, status: { ...pod.status, phase: "Running", conditions } } as Pod);
    }
  };
  cluster.write(budget("number", { minAvailable: 2 }));
  const condition = (is: string, reason: string) => [
    { type: "DisruptionAllowed", status: is, reason, message: "" },
  ];
  const none = {
    currentHealthy: 0,
    desiredHealthy: 2,
    expectedPods: 0,
    disruptionsAllowed: 0,
    observedGeneration: 1,
  };
  t.match(status("number"), { ...none, conditions: condition("False", "InsufficientPods") });
  const template = "{ metadata: { labels: { app: web } }, spec: { containers: [ { name: a, image: a } ] } }";
  const deployment = `{ apiVersion: apps/v1, kind: Deployment, metadata: { name: web }, spec: { replicas: 3,
    selector: { matchLabels: { app: web } }, template: ${template} } }`;
  cluster.apply([{ file: "a.yaml", text: deployment }]);
  cluster.write(budget("share", { minAvailable: "50%" }));
  cluster.write(budget("missing", { maxUnavailable: "50%" }));
  ready(true);
  const all = { currentHealthy: 3, expectedPods: 3 };
  const allowed = condition("True", "SufficientPods");
  t.match(status("number"), { ...all, desiredHealthy: 2, disruptionsAllowed: 1, conditions: allowed });
  t.match(status("share"), { ...all, desiredHealthy: 2, disruptionsAllowed: 1 });
  t.match(status("missing"), { ...all, desiredHealthy: 1, disruptionsAllowed: 2 });
  ready(false, 1);
  t.match(status("share"), {
    currentHealthy: 2,
    disruptionsAllowed: 0,
    conditions: condition("False", "InsufficientPods"),
  });
  const [, second] = cluster.list("Pod") as Pod[];
  cluster.delete(second);
  t.match(
    status("missing"),
    { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0 },
    "one that ends is not healthy",
  );
  cluster.apply([{ file: "a.yaml", text: deployment.replace("replicas: 3", "replicas: 6") }]);
  t.match(status("share"), { expectedPods: 6, desiredHealthy: 3 }, "what the Deployment wants counts");
  const daemon = `{ apiVersion: apps/v1, kind: DaemonSet, metadata: { name: d }, spec: {
    selector: { matchLabels: { app: web } }, template: ${template} } }`;
  cluster.apply([{ file: "a.yaml", text: daemon }]);
  t.match(status("share"), {
    disruptionsAllowed: 0,
    conditions: [{ reason: "SyncFailed", message: /^found no controllers for pod "d-/ }],
  });
});
