import t from "tap";
import type { Cluster } from "../cluster/cluster.ts";
import type { Deployment, KubeObject, Pod } from "../kube/objects.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import { restart, setMetadata } from "./set-metadata.ts";

const TEXT = `
{ apiVersion: v1, kind: Pod, metadata: { name: a, labels: { app: web } }, spec: { containers: [ { name: a, image: a } ] } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  selector: { matchLabels: { app: api } }
  template: { metadata: { labels: { app: api } }, spec: { containers: [ { name: a, image: a } ] } }
`;

function filledCluster(): Cluster {
  const cluster = makeCluster({ nodes: 1 });
  cluster.apply([{ file: "f", text: TEXT }]);
  return cluster;
}
const at = { kind: "pods", name: "a", namespace: "default", field: "labels" as const, set: {}, remove: [] };

t.test("the answer is the object as it is stored then, with its new version", async (t) => {
  const cluster = filledCluster();
  const stored = (kind: string, name: string): KubeObject | undefined => cluster.get(kind, `default/${name}`);
  const before = stored("Pod", "a");
  const rehearsed = setMetadata(cluster, { ...at, set: { tier: "front" }, dryRun: true });
  t.equal(stored("Pod", "a"), before, "rehearsed");
  t.equal(rehearsed.object.metadata.labels?.tier, "front");
  const { object } = setMetadata(cluster, { ...at, set: { tier: "front" } });
  t.not(object.metadata.resourceVersion, before?.metadata.resourceVersion);
  t.equal(object, stored("Pod", "a"));
  const restarted = restart(cluster, { kind: "deployments", name: "api", namespace: "default" });
  t.equal(restarted.object, stored("Deployment", "api"));
});

t.test("labels are set and taken away; what is there already is kept unless it may be changed", async (t) => {
  const cluster = filledCluster();
  const labels = () => cluster.get("Pod", "default/a")?.metadata.labels;
  setMetadata(cluster, { ...at, set: { tier: "front" } });
  t.same(labels(), { app: "web", tier: "front" });
  t.throws(() => setMetadata(cluster, { ...at, set: { app: "x", more: "1" } }), {
    message: "'app' already has a value (web), and --overwrite is false",
  });
  t.same(labels(), { app: "web", tier: "front" });
  setMetadata(cluster, { ...at, set: { app: "web" } });
  setMetadata(cluster, { ...at, set: { app: "x" }, remove: ["tier", "nosuch"], overwrite: true });
  t.same(labels(), { app: "x" });
  setMetadata(cluster, { ...at, set: { dry: "run" }, dryRun: true });
  t.same(labels(), { app: "x" });
  cluster.apply([{ file: "f", text: TEXT }]);
  t.same(labels(), { app: "web" }, "a manifest has its own again");
});

t.test("annotations, in kubectl's other words", async (t) => {
  const cluster = filledCluster();
  const notes = { ...at, field: "annotations" as const };
  setMetadata(cluster, { ...notes, set: { a: "1" } });
  t.throws(() => setMetadata(cluster, { ...notes, set: { a: "2" } }), {
    message:
      "--overwrite is false but found the following declared annotation(s): 'a' already has a value (1)",
  });
});

t.test("the label with a namespace's name stays what it is", async (t) => {
  const cluster = filledCluster();
  const name = "kubernetes.io/metadata.name";
  const space = { ...at, kind: "namespaces", name: "default" };
  const labels = () => cluster.get("Namespace", "default")?.metadata.labels;
  setMetadata(cluster, { ...space, set: { [name]: "other", team: "a" }, overwrite: true });
  t.same(labels(), { [name]: "default", team: "a" });
  setMetadata(cluster, { ...space, remove: [name, "team"] });
  t.same(labels(), { [name]: "default" });
  cluster.apply([
    {
      file: "f",
      text: `{ apiVersion: v1, kind: Namespace, metadata: { name: shop, labels: { ${name}: x } } }`,
    },
  ]);
  t.same(cluster.get("Namespace", "shop")?.metadata.labels, { [name]: "shop" });
});

t.test("what an API server would refuse", async (t) => {
  const cluster = filledCluster();
  t.throws(() => setMetadata(cluster, { ...at, kind: "wep", set: { a: "b" } }), {
    message: "workloadendpoints are made of pods when they are shown: change the pods",
  });
  t.throws(() => setMetadata(cluster, { ...at, set: { "a b": "1" } }), {
    message: /metadata\.labels: Invalid value/,
  });
  t.throws(() => setMetadata(cluster, { ...at, name: "z" }), { message: 'pods "z" not found' });
});

t.test(
  "labels of a namespace: pods that would not be admitted any more are warned of, nonsense is refused",
  async (t) => {
    const cluster = filledCluster();
    const ns = { ...at, kind: "ns", name: "default" };
    const level = (text: string) => ({
      set: { "pod-security.kubernetes.io/enforce": text },
      overwrite: true,
    });
    const existing =
      'existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"';
    const reasons =
      "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile";
    const wanted = [existing, `a (and 1 other pod): ${reasons}`];
    t.same(setMetadata(cluster, { ...ns, ...level("restricted"), dryRun: true }).warnings, wanted);
    t.same(setMetadata(cluster, { ...ns, ...level("restricted") }).warnings, wanted);
    t.same(setMetadata(cluster, { ...ns, set: { x: "y" } }).warnings, []);
    t.throws(() => setMetadata(cluster, { ...ns, ...level("strict") }), {
      message:
        'namespace/default: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": ' +
        "must be one of privileged, baseline, restricted",
    });
    t.same(
      setMetadata(cluster, { ...at, set: { x: "y" } }).warnings,
      [],
      "a pod's labels are nobody's business",
    );
    const deployment = { kind: "deploy", name: "api", namespace: "default" };
    const violates = /^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/;
    t.match(setMetadata(cluster, { ...at, ...deployment, set: { x: "y" } }).warnings, [violates]);
    t.match(restart(cluster, deployment).warnings, [violates]);
  },
);

t.test("restart: another template, so other pods", async (t) => {
  const cluster = filledCluster();
  const target = { kind: "deploy", name: "api", namespace: "default" };
  const names = () => (cluster.list("Pod") as Pod[]).map(({ metadata }) => metadata.name);
  const before = names();
  restart(cluster, target);
  const { template } = (cluster.get("Deployment", "default/api") as Deployment).spec;
  t.match(template.metadata?.annotations?.["kubectl.kubernetes.io/restartedAt"], /^\d{4}-/);
  t.not(names().join(), before.join());
  t.throws(() => restart(cluster, { ...target, kind: "pod", name: "a" }), {
    message: 'pods "a" restarting is not supported',
  });
});
