// Rollouts, in a cluster whose kubelets are played here: Deployments by their ReplicaSets and back again, StatefulSets to
// their partition, DaemonSets with a surge; and who has to be ready for how long.
import t from "tap";
import type { ControllerRevision, Deployment, KubeObject, Pod, ReplicaSet } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { STANDARD_CLASS } from "./storage/volumes.ts";

const START_MS = Date.parse("2026-01-01T00:00:00Z");
const REVISION = "deployment.kubernetes.io/revision";

class World {
  nowMs = START_MS;
  readonly cluster;

  constructor(nodes = 2) {
    this.cluster = makeCluster({ nodes, nowMs: () => this.nowMs, events: true });
  }

  apply(kind: string, spec: string, image = "a"): void {
    const text = `{ apiVersion: apps/v1, kind: ${kind}, metadata: { name: web }, spec: { ${spec} selector: { matchLabels: { app: web } },
      template: { metadata: { labels: { app: web } }, spec: { containers: [ { name: a, image: ${image} } ] } } } }`;
    this.cluster.apply([{ file: "a.yaml", text }]);
  }

  change(kind: string, change: (object: never) => object): void {
    this.cluster.update(change(this.cluster.get(kind, "default/web") as never) as KubeObject);
  }

  get alive(): Pod[] {
    return (this.cluster.list("Pod") as Pod[]).filter((pod) => pod.metadata.deletionTimestamp === undefined);
  }

  get images(): string[] {
    return this.alive.map((pod) => pod.spec.containers[0].image ?? "").sort();
  }

  get sets(): string[] {
    return (this.cluster.list("ReplicaSet") as ReplicaSet[])
      .map(
        (set) =>
          `${set.metadata.annotations?.[REVISION]}: ${set.spec.template.spec?.containers[0].image} ${set.spec.replicas}`,
      )
      .sort();
  }

  condition(type: string) {
    const { status } = this.cluster.get("Deployment", "default/web") as Deployment;
    return (status?.conditions ?? []).find((each) => each.type === type);
  }

  /** Ending pods end; so many that are not ready become it. */
  step(ready = 99): void {
    let left = ready;
    for (const pod of this.cluster.list("Pod") as Pod[]) {
      const isReady = pod.status.conditions?.some((c) => c.type === "Ready" && c.status === "True");
      if (pod.metadata.deletionTimestamp !== undefined) this.cluster.remove(pod);
      else if (isReady !== true && pod.spec.nodeName !== undefined && left-- > 0) {
        const lastTransitionTime = new Date(this.nowMs).toISOString();
        const conditions = [{ type: "Ready", status: "True", lastTransitionTime }];
        this.cluster.update({ ...pod, status: { ...pod.status, phase: "Running", conditions } } as Pod);
      }
    }
  }

  settle(): void {
    for (let i = 0; i < 20; i++) this.step();
  }

  wait(seconds: number): void {
    this.nowMs += seconds * 1000;
    this.cluster.tick();
  }
}

t.test(
  "each template of a Deployment has a ReplicaSet with its revision; going back makes it the newest",
  async (t) => {
    const w = new World();
    w.apply("Deployment", "replicas: 2,");
    w.settle();
    t.same(w.sets, ["1: a 2"]);
    const [set] = w.cluster.list("ReplicaSet");
    const [pod] = w.alive;
    t.match(pod.metadata.ownerReferences, [
      { kind: "ReplicaSet", name: set.metadata.name, controller: true },
    ]);
    t.match(set.metadata, {
      name: /^web-[a-z0-9]{10}$/,
      ownerReferences: [{ kind: "Deployment", name: "web" }],
    });
    w.apply("Deployment", "replicas: 2,", "b");
    w.settle();
    t.same(
      [w.sets, w.images],
      [
        ["1: a 0", "2: b 2"],
        ["b", "b"],
      ],
    );
    t.equal(w.cluster.get("Deployment", "default/web")?.metadata.annotations?.[REVISION], "2");
    // As kubectl rollout undo does: the old set's template, without its hash, becomes the Deployment's.
    const old = (w.cluster.list("ReplicaSet") as ReplicaSet[]).find(
      ({ spec }) => spec.replicas === 0,
    ) as ReplicaSet;
    const labels = { app: "web" };
    const template = { ...old.spec.template, metadata: { labels } };
    w.change("Deployment", (d: Deployment) => ({ ...d, spec: { ...d.spec, template } }));
    w.settle();
    t.same(
      [w.sets, w.images],
      [
        ["2: b 0", "3: a 2"],
        ["a", "a"],
      ],
    );
    t.equal(w.cluster.list("ReplicaSet").length, 2, "the old set serves again");
  },
);

t.test("history is kept as long as it is wanted", async (t) => {
  const w = new World();
  for (const image of ["a", "b", "c", "d"]) {
    w.apply("Deployment", "replicas: 1, revisionHistoryLimit: 1,", image);
    w.settle();
  }
  t.same(w.sets, ["3: c 0", "4: d 1"]);
});

t.test("while rolling there are never fewer available pods than allowed, nor more pods", async (t) => {
  const w = new World();
  const limits =
    "replicas: 6, minReadySeconds: 5, strategy: { rollingUpdate: { maxSurge: 2, maxUnavailable: 1 } },";
  w.apply("Deployment", limits);
  w.settle();
  w.wait(6);
  t.match(w.cluster.get("Deployment", "default/web"), { status: { availableReplicas: 6 } });
  w.apply("Deployment", limits, "b");
  for (let round = 0; round < 60 && !w.images.every((image) => image === "b"); round++) {
    const { availableReplicas = 0 } = (w.cluster.get("Deployment", "default/web") as Deployment).status ?? {};
    t.ok(availableReplicas >= 5, `${availableReplicas} available`);
    t.ok(w.alive.length <= 8, `${w.alive.length} pods`);
    w.step(1);
    w.wait(3);
  }
  t.same(w.images, Array(6).fill("b"));
});

t.test("a pod counts when it has been ready for minReadySeconds", async (t) => {
  const w = new World();
  w.apply("Deployment", "replicas: 1, minReadySeconds: 10,");
  w.step();
  const available = () =>
    (w.cluster.get("Deployment", "default/web") as Deployment).status?.availableReplicas;
  t.equal(available(), 0);
  w.wait(9);
  t.equal(available(), 0);
  w.wait(2);
  t.equal(available(), 1);
});

t.test("a rollout that makes no progress says so when its time is over", async (t) => {
  const w = new World();
  w.apply("Deployment", "replicas: 1, progressDeadlineSeconds: 30,");
  t.match(w.condition("Progressing"), { status: "True" });
  w.wait(31);
  t.match(w.condition("Progressing"), { status: "False", reason: "ProgressDeadlineExceeded" });
  t.match(w.condition("Available"), { status: "False", reason: "MinimumReplicasUnavailable" });
  w.settle();
  t.match(w.condition("Progressing"), { status: "True", reason: "NewReplicaSetAvailable" });
  w.wait(100);
  t.match(w.condition("Progressing"), { status: "True", reason: "NewReplicaSetAvailable" }, "it is done");
});

t.test("a paused Deployment changes its number and not its template", async (t) => {
  const w = new World();
  w.apply("Deployment", "replicas: 2,");
  w.settle();
  w.apply("Deployment", "replicas: 3, paused: true,", "b");
  w.settle();
  t.same([w.images, w.sets], [["a", "a", "a"], ["1: a 3"]]);
  t.match(w.condition("Progressing"), { status: "Unknown", reason: "DeploymentPaused" });
  w.apply("Deployment", "replicas: 3, paused: false,", "b");
  w.settle();
  t.same(w.images, ["b", "b", "b"]);
});

t.test("another number while it rolls is shared out among the sets", async (t) => {
  const w = new World();
  const strategy = "strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },";
  w.apply("Deployment", `replicas: 10, ${strategy}`);
  w.settle();
  w.apply("Deployment", `replicas: 10, ${strategy}`, "b");
  t.same(w.sets, ["1: a 8", "2: b 5"]);
  w.apply("Deployment", `replicas: 15, ${strategy}`, "b");
  t.same(w.sets, ["1: a 11", "2: b 7"], "Kubernetes' own example");
});

t.test("Recreate waits until the last old pod is gone", async (t) => {
  const w = new World();
  w.apply("Deployment", "replicas: 2, strategy: { type: Recreate },");
  w.settle();
  w.apply("Deployment", "replicas: 2, strategy: { type: Recreate },", "b");
  t.same(w.images, []);
  const [first, second] = w.cluster.list("Pod");
  w.cluster.remove(first);
  t.same(w.images, []);
  w.cluster.remove(second);
  t.same(w.images, ["b", "b"]);
});

t.test("a Deployment that is deleted takes its sets and their pods along", async (t) => {
  const w = new World();
  w.apply("Deployment", "replicas: 2,");
  w.settle();
  deleteNamed(w.cluster, "deploy", "default", ["web"]);
  w.settle();
  t.same([w.cluster.list("ReplicaSet"), w.cluster.list("Pod")], [[], []]);
});

t.test("StatefulSet: what is below the partition keeps its template, made anew too", async (t) => {
  const w = new World();
  const partition = (n: number) => `replicas: 3, updateStrategy: { rollingUpdate: { partition: ${n} } },`;
  w.apply("StatefulSet", partition(0));
  w.settle();
  w.apply("StatefulSet", partition(2), "b");
  w.settle();
  t.same(w.images, ["a", "a", "b"]);
  deleteNamed(w.cluster, "pod", "default", ["web-0"]);
  w.settle();
  t.equal((w.cluster.get("Pod", "default/web-0") as Pod).spec.containers[0].image, "a");
  const revisions = w.cluster.list("ControllerRevision") as ControllerRevision[];
  t.same(revisions.map(({ revision }) => revision).sort(), [1, 2]);
  const { status } = w.cluster.get("StatefulSet", "default/web") as KubeObject & {
    status: Record<string, unknown>;
  };
  t.match(status, { currentReplicas: 2, updatedReplicas: 1 });
  t.not(status.currentRevision, status.updateRevision);
  w.apply("StatefulSet", partition(0), "b");
  w.settle();
  t.same(w.images, ["b", "b", "b"]);
  deleteNamed(w.cluster, "sts", "default", ["web"]);
  t.same(w.cluster.list("ControllerRevision"), []);
});

t.test("StatefulSet: claims of its pods are made, bound, and stay", async (t) => {
  const w = new World();
  w.cluster.write(STANDARD_CLASS);
  const claims =
    "volumeClaimTemplates: [ { metadata: { name: data }, spec: { resources: { requests: { storage: 1Gi } } } } ],";
  w.apply("StatefulSet", `replicas: 1, ${claims}`);
  w.settle();
  deleteNamed(w.cluster, "sts", "default", ["web"]);
  w.settle();
  t.match(w.cluster.get("PersistentVolumeClaim", "default/data-web-0"), {
    metadata: { labels: { app: "web" } },
    status: { phase: "Bound", capacity: { storage: "1Gi" } },
  });
});

t.test("DaemonSet: with a surge the next pod is there before the old one goes", async (t) => {
  const w = new World(3);
  const surge = "updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },";
  w.apply("DaemonSet", surge);
  w.settle();
  w.apply("DaemonSet", surge, "b");
  for (let round = 0; round < 20 && w.images.includes("a"); round++) {
    const ready = w.alive.filter((pod) => pod.status.conditions?.some((c) => c.status === "True"));
    t.equal(new Set(ready.map((pod) => pod.spec.nodeName)).size, 3, "every node is served");
    t.ok(w.alive.length <= 4);
    w.step(1);
  }
  t.same(w.images, ["b", "b", "b"]);
  t.equal(w.cluster.list("ControllerRevision").length, 2);
});
