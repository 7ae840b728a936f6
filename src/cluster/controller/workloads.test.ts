// Workloads in a cluster whose kubelets are played here: pods become ready, deleted ones end.
import t from "tap";
import type { Pod } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster, makeNode } from "../../testing/world/make-cluster.ts";
import type { Cluster } from "../cluster.ts";
import { Store } from "../store.ts";

class World {
  nowMs = 1_700_000_000_000;
  readonly cluster: Cluster;

  constructor(nodes = 2) {
    this.cluster = makeCluster({ nodes, nowMs: () => this.nowMs });
  }

  addNode(name: string, more: object = {}): void {
    const address = `192.168.50.${11 + this.cluster.list("Node").length}`;
    this.cluster.update(makeNode(name, address, more));
  }

  apply(kind: string, spec: string, name = "web", template = "containers: [ { name: a, image: a } ]"): void {
    const version = { Job: "batch/v1", ReplicationController: "v1" }[kind] ?? "apps/v1";
    const selector =
      kind === "Job"
        ? ""
        : kind === "ReplicationController"
          ? ""
          : "selector: { matchLabels: { app: web } },";
    const text = `{ apiVersion: ${version}, kind: ${kind}, metadata: { name: ${name} }, spec: { ${spec} ${selector}
      template: { metadata: { labels: { app: web } }, spec: { ${template} } } } }`;
    this.cluster.apply([{ file: "a.yaml", text }]);
  }

  get pods(): Pod[] {
    return this.cluster.list("Pod") as Pod[];
  }

  get names(): string[] {
    return this.pods
      .filter((pod) => pod.metadata.deletionTimestamp === undefined)
      .map((p) => p.metadata.name);
  }

  status(kind: string, name = "web"): Record<string, unknown> {
    return (this.cluster.get(kind, `default/${name}`) as { status?: object }).status as Record<
      string,
      unknown
    >;
  }

  set(pod: Pod, phase: string, ready: boolean): void {
    const ended = { terminated: { exitCode: 1, finishedAt: new Date(this.nowMs).toISOString() } };
    const containerStatuses = phase === "Failed" ? [{ name: "a", restartCount: 0, state: ended }] : [];
    const conditions = [{ type: "Ready", status: ready ? "True" : "False" }];
    this.cluster.update({ ...pod, status: { ...pod.status, phase, conditions, containerStatuses } } as Pod);
  }

  /** One round of the kubelets. */
  step(): void {
    for (const pod of this.pods) {
      if (pod.metadata.deletionTimestamp !== undefined) this.cluster.remove(pod);
      else if (pod.status.phase === "Pending" && pod.spec.nodeName !== undefined)
        this.set(pod, "Running", true);
    }
  }

  settle(rounds = 20): void {
    for (let i = 0; i < rounds; i++) this.step();
  }

  end(phase: "Succeeded" | "Failed", which = this.pods.filter((p) => p.status.phase === "Running")): void {
    for (const pod of which) this.set(pod, phase, false);
  }
}

for (const kind of ["ReplicaSet", "ReplicationController"]) {
  t.test(`${kind}: so many pods, made again, adopted, let go, fewer, none`, async (t) => {
    const w = new World();
    w.apply(kind, "replicas: 3,");
    t.equal(w.names.length, 3);
    for (const name of w.names) t.match(name, /^web-[b-z2-9]{5}$/);
    t.match(w.pods[0].metadata.ownerReferences, [
      { kind, name: "web", controller: true, blockOwnerDeletion: true },
    ]);
    w.settle();
    t.match(w.status(kind), { replicas: 3, readyReplicas: 3, availableReplicas: 3, fullyLabeledReplicas: 3 });
    deleteNamed(w.cluster, "pod", "default", [w.names[0]]);
    t.equal(w.names.length, 3, "a deleted pod is made again");
    w.settle();
    const [free, unready, ...kept] = w.pods;
    w.cluster.update({ ...free, metadata: { ...free.metadata, labels: { app: "other" } } });
    t.equal(w.names.length, 4, "one whose label was changed is let go and replaced");
    t.same(w.cluster.get("Pod", `default/${free.metadata.name}`)?.metadata.ownerReferences, []);
    w.settle();
    w.set(w.cluster.get("Pod", `default/${unready.metadata.name}`) as Pod, "Running", false);
    w.apply(kind, "replicas: 2,");
    t.notOk(w.names.includes(unready.metadata.name), "who is not ready goes first");
    t.ok(kept.some((pod) => w.names.includes(pod.metadata.name)));
    deleteNamed(w.cluster, kind, "default", ["web"]);
    w.settle();
    t.same(w.names, [free.metadata.name], "pods end with what owns them");
    const [orphan] = w.pods;
    w.cluster.update({ ...orphan, metadata: { ...orphan.metadata, labels: { app: "web" } } });
    w.apply(kind, "replicas: 1,");
    t.same(w.names, [orphan.metadata.name], "a pod without an owner is adopted");
  });
}

t.test("StatefulSet: names, labels and order", async (t) => {
  const w = new World();
  w.apply("StatefulSet", "replicas: 3, serviceName: web,");
  t.same(w.names, ["web-0"], "the next one comes when this one is ready");
  t.match(w.pods[0], {
    spec: { hostname: "web-0", subdomain: "web" },
    metadata: {
      labels: {
        "statefulset.kubernetes.io/pod-name": "web-0",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": /^web-[b-z2-9]{10}$/,
      },
    },
  });
  w.step();
  t.same(w.names, ["web-0", "web-1"]);
  w.settle();
  t.same(w.names, ["web-0", "web-1", "web-2"]);
  deleteNamed(w.cluster, "pod", "default", ["web-1"]);
  w.settle();
  t.same(w.names, ["web-0", "web-1", "web-2"], "the same name again");
  w.apply("StatefulSet", "replicas: 1, serviceName: web,");
  t.same(w.names, ["web-0", "web-1"], "the last one goes first, and alone");
  w.settle();
  t.same(w.names, ["web-0"]);
  t.match(w.status("StatefulSet"), { replicas: 1, readyReplicas: 1, updatedReplicas: 1, currentReplicas: 1 });
});

t.test("StatefulSet: a claim is a volume of each pod, in place of the template's", async (t) => {
  const w = new World();
  w.apply(
    "StatefulSet",
    "replicas: 1, volumeClaimTemplates: [ { metadata: { name: data } } ],",
    "web",
    `containers: [ { name: a, image: a, volumeMounts: [ { name: data, mountPath: /d }, { name: tmp, mountPath: /t } ] } ],
      volumes: [ { name: tmp, emptyDir: {} }, { name: data, emptyDir: {} } ]`,
  );
  t.same(w.pods[0].spec.volumes, [
    { name: "data", persistentVolumeClaim: { claimName: "data-web-0" } },
    { name: "tmp", emptyDir: {} },
  ]);
  const text = JSON.stringify({ ...w.pods[0], metadata: { name: "copy" }, status: {} });
  w.cluster.apply([{ file: "pod.json", text }]); // what is printed of a pod may be applied
});

t.test("StatefulSet: in parallel, and from another ordinal on", async (t) => {
  const w = new World();
  w.apply("StatefulSet", "replicas: 2, podManagementPolicy: Parallel, ordinals: { start: 5 },");
  t.same(w.names, ["web-5", "web-6"]);
});

t.test(
  "StatefulSet: a changed template rolls from the last down to the partition; OnDelete waits",
  async (t) => {
    const w = new World();
    const image = (name: string): string => `containers: [ { name: a, image: ${name} } ]`;
    const images = (): string[] =>
      w.pods.map((pod) => `${pod.metadata.name}=${pod.spec.containers[0].image}`);
    const part = (n: number): string =>
      `replicas: 3, updateStrategy: { rollingUpdate: { partition: ${n} } },`;
    w.apply("StatefulSet", part(1));
    w.settle();
    w.apply("StatefulSet", part(1), "web", image("b"));
    t.same(w.names, ["web-0", "web-1"], "one at a time");
    w.settle();
    t.same(images(), ["web-0=a", "web-1=b", "web-2=b"]);
    t.match(w.status("StatefulSet"), { updatedReplicas: 2, currentReplicas: 1 });
    w.apply("StatefulSet", part(0), "web", image("b"));
    w.settle();
    t.same(images(), ["web-0=b", "web-1=b", "web-2=b"]);
    w.apply("StatefulSet", "replicas: 3, updateStrategy: { type: OnDelete },", "web", image("c"));
    w.settle();
    t.same(images(), ["web-0=b", "web-1=b", "web-2=b"]);
    deleteNamed(w.cluster, "pod", "default", ["web-0"]);
    w.settle();
    t.equal(images()[0], "web-0=c");
  },
);

t.test("DaemonSet: a pod a node that fits, later ones and cordoned ones too", async (t) => {
  const w = new World();
  w.addNode("tainted", { spec: { taints: [{ key: "a", value: "b", effect: "NoSchedule" }] } });
  w.addNode("cordoned", { spec: { unschedulable: true } });
  const nodes = (): (string | undefined)[] => w.pods.map((pod) => pod.spec.nodeName).sort();
  w.apply("DaemonSet", "");
  t.same(nodes(), ["cordoned", "node1", "node2"]);
  w.addNode("node5");
  t.same(nodes(), ["cordoned", "node1", "node2", "node5"]);
  w.settle();
  t.match(w.status("DaemonSet"), { desiredNumberScheduled: 4, currentNumberScheduled: 4, numberReady: 4 });
  deleteNamed(w.cluster, "pod", "default", [w.names[0]]);
  w.settle();
  t.equal(nodes().length, 4);
  w.apply(
    "DaemonSet",
    "",
    "web",
    "nodeSelector: { kubernetes.io/hostname: node1 }, containers: [ { name: a, image: b } ]",
  );
  w.settle();
  t.same(nodes(), ["node1"]);
  deleteNamed(w.cluster, "ds", "default", ["web"]);
  w.settle();
  t.same(nodes(), []);
});

t.test("DaemonSet: a changed template goes round a node at a time", async (t) => {
  const w = new World(3);
  w.apply("DaemonSet", "");
  w.settle();
  w.apply("DaemonSet", "", "web", "containers: [ { name: a, image: b } ]");
  t.equal(w.names.length, 2);
  w.settle();
  t.same(
    w.pods.map((pod) => pod.spec.containers[0].image),
    ["b", "b", "b"],
  );
});

const JOB = "restartPolicy: Never, containers: [ { name: a, image: a } ]";

t.test("Job: so many successes, so many at a time", async (t) => {
  const w = new World();
  w.apply("Job", "completions: 3, parallelism: 2,", "work", JOB);
  t.equal(w.names.length, 2);
  t.match(w.pods[0].metadata, {
    name: /^work-[b-z2-9]{5}$/,
    labels: {
      "job-name": "work",
      "batch.kubernetes.io/job-name": "work",
      "batch.kubernetes.io/controller-uid": String,
    },
  });
  w.settle();
  w.end("Succeeded");
  t.equal(w.names.length, 3, "finished ones stay to be looked at");
  w.settle();
  w.end("Succeeded");
  t.match(w.status("Job", "work"), {
    succeeded: 3,
    active: 0,
    conditions: [
      { type: "SuccessCriteriaMet", status: "True", reason: "CompletionsReached" },
      { type: "Complete", status: "True" },
    ],
  });
  w.apply("Job", "completions: 3, parallelism: 2,", "work", JOB);
  t.equal(w.names.length, 3, "applied again, it stays done");
  deleteNamed(w.cluster, "job", "default", ["work"]);
  w.settle();
  t.same(w.names, []);
});

t.test("Job: failures are tried again after a while, up to the limit", async (t) => {
  const w = new World();
  w.apply("Job", "backoffLimit: 1,", "work", JOB);
  w.settle();
  w.end("Failed");
  t.equal(w.names.length, 1, "not at once");
  w.nowMs += 9000;
  w.cluster.tick();
  t.equal(w.names.length, 1);
  w.nowMs += 2000;
  w.cluster.tick();
  t.equal(w.names.length, 2, "after 10 seconds");
  w.settle();
  w.end("Failed");
  t.match(w.status("Job", "work"), {
    failed: 2,
    conditions: [{ type: "FailureTarget" }, { type: "Failed", reason: "BackoffLimitExceeded" }],
  });
  w.nowMs += 3_600_000;
  w.cluster.tick();
  t.equal(w.names.length, 2);
});

t.test("Job: an index each, the failed one again", async (t) => {
  const w = new World();
  w.apply("Job", "completions: 3, parallelism: 3, completionMode: Indexed,", "work", JOB);
  const byIndex = (): (string | undefined)[] =>
    w.pods.map((pod) => pod.metadata.annotations?.["batch.kubernetes.io/job-completion-index"]);
  t.same(byIndex(), ["0", "1", "2"]);
  const [first, second, third] = w.pods;
  t.match(second.metadata.name, /^work-1-[b-z2-9]{5}$/);
  t.equal(second.spec.hostname, "work-1");
  const fieldPath = "metadata.labels['batch.kubernetes.io/job-completion-index']";
  t.same(second.spec.containers[0].env, [
    { name: "JOB_COMPLETION_INDEX", valueFrom: { fieldRef: { fieldPath } } },
  ]);
  w.settle();
  const now = (pod: Pod): Pod => w.cluster.get("Pod", `default/${pod.metadata.name}`) as Pod;
  w.end("Succeeded", [now(first), now(third)]);
  w.end("Failed", [now(second)]);
  w.nowMs += 11_000;
  w.cluster.tick();
  t.same(byIndex(), ["0", "1", "1", "2"]);
  w.settle();
  w.end("Succeeded");
  t.match(w.status("Job", "work"), { completedIndexes: "0-2", succeeded: 3, failed: 1 });
});

t.test("Job: deadline, time to live, suspended", async (t) => {
  const w = new World();
  w.apply("Job", "activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 100,", "work", JOB);
  w.settle();
  w.nowMs += 61_000;
  w.cluster.tick();
  t.match(w.status("Job", "work"), { conditions: [{ type: "FailureTarget", reason: "DeadlineExceeded" }] });
  w.settle();
  t.same(w.names, []);
  t.match(w.status("Job", "work").conditions, [{}, { type: "Failed", reason: "DeadlineExceeded" }]);
  w.nowMs += 101_000;
  w.cluster.tick();
  t.same(w.cluster.list("Job"), []);
  w.apply("Job", "suspend: true,", "held", JOB);
  t.same(w.names, []);
  t.match(w.status("Job", "held"), { conditions: [{ type: "Suspended", status: "True" }] });
  w.apply("Job", "suspend: false,", "held", JOB);
  t.equal(w.names.length, 1);
  t.match(w.status("Job", "held").conditions, [{ type: "Suspended", status: "False", reason: "JobResumed" }]);
});

const INDEXED = "completions: 3, parallelism: 3, completionMode: Indexed,";
const NOTES = "batch.kubernetes.io/job";
const indexOf = (pod: Pod): string => pod.metadata.annotations?.[`${NOTES}-completion-index`] ?? "";

t.test("Job: each index fails for itself, and may do so so often", async (t) => {
  const w = new World();
  const fail = (index: string): void => {
    w.settle();
    const running = w.pods.filter((pod) => indexOf(pod) === index && pod.status.phase === "Running");
    w.end("Failed", running);
    w.nowMs += 21_000;
    w.cluster.tick();
  };
  w.apply("Job", `${INDEXED} backoffLimitPerIndex: 1, maxFailedIndexes: 1,`, "work", JOB);
  fail("1");
  const again = w.pods.filter((pod) => indexOf(pod) === "1");
  const counts = again.map((pod) => pod.metadata.annotations?.[`${NOTES}-index-failure-count`]);
  t.same(counts.sort(), ["0", "1"]);
  fail("1");
  t.equal(w.pods.filter((pod) => indexOf(pod) === "1").length, 2, "not a third time");
  t.match(w.status("Job", "work"), { failedIndexes: "1", failed: 2, active: 2 });
  w.end(
    "Succeeded",
    w.pods.filter((pod) => pod.status.phase === "Running"),
  );
  t.match(w.status("Job", "work"), {
    completedIndexes: "0,2",
    conditions: [
      { type: "FailureTarget" },
      { type: "Failed", reason: "FailedIndexes", message: "Job has failed indexes" },
    ],
  });
  w.apply("Job", `${INDEXED} backoffLimitPerIndex: 0, maxFailedIndexes: 0,`, "strict", JOB);
  fail("2");
  w.settle();
  t.match(w.status("Job", "strict").conditions, [{}, { type: "Failed", reason: "MaxFailedIndexesExceeded" }]);
});

t.test("Job: what a failure means is said by exit codes and conditions", async (t) => {
  const policy = (action: string, more = "onExitCodes: { operator: In, values: [1, 7] }"): string =>
    `podFailurePolicy: { rules: [ { action: ${action}, ${more} } ] },`;
  const w = new World();
  w.apply("Job", `backoffLimit: 5, ${policy("FailJob")}`, "work", JOB);
  w.settle();
  const [{ metadata }] = w.pods;
  w.end("Failed");
  t.match(w.status("Job", "work").conditions, [
    { type: "FailureTarget", reason: "PodFailurePolicy" },
    {
      type: "Failed",
      message: `Container a for pod default/${metadata.name} failed with exit code 1 matching FailJob rule at index 0`,
    },
  ]);
  w.apply("Job", `backoffLimit: 0, ${policy("Ignore")}`, "lenient", JOB);
  w.settle();
  w.end("Failed");
  t.match(w.status("Job", "lenient"), { failed: 0, conditions: [] });
  const other = policy("FailJob", "onPodConditions: [ { type: DisruptionTarget } ]");
  w.apply("Job", `backoffLimit: 0, ${other}`, "other", JOB);
  t.match(w.cluster.get("Job", "default/other"), {
    spec: {
      podReplacementPolicy: "Failed",
      podFailurePolicy: { rules: [{ onPodConditions: [{ status: "True" }] }] },
    },
  });
  w.settle();
  w.end("Failed");
  t.match(w.status("Job", "other").conditions, [{}, { type: "Failed", reason: "BackoffLimitExceeded" }]);
  w.apply("Job", `${INDEXED} backoffLimitPerIndex: 9, ${policy("FailIndex")}`, "indexed", JOB);
  w.settle();
  w.end(
    "Failed",
    w.pods.filter((pod) => indexOf(pod) === "0"),
  );
  t.match(w.status("Job", "indexed"), { failedIndexes: "0", active: 2 });
});

t.test("Job: some indexes are enough where a policy says so", async (t) => {
  const w = new World();
  const policy = "successPolicy: { rules: [ { succeededIndexes: '1-2', succeededCount: 1 } ] },";
  w.apply("Job", `${INDEXED} ${policy}`, "work", JOB);
  w.settle();
  w.end(
    "Succeeded",
    w.pods.filter((pod) => indexOf(pod) === "0"),
  );
  t.same(w.status("Job", "work").conditions, []);
  w.end(
    "Succeeded",
    w.pods.filter((pod) => indexOf(pod) === "2"),
  );
  t.match(w.status("Job", "work"), { conditions: [{ type: "SuccessCriteriaMet", reason: "SuccessPolicy" }] });
  w.settle();
  t.match(w.status("Job", "work").conditions, [
    {},
    { type: "Complete", message: "Matched rules at index 0" },
  ]);
});

t.test(
  "Job: a pod that ends is replaced at once, or when it has failed; others' Jobs are left alone",
  async (t) => {
    const w = new World();
    for (const policy of ["TerminatingOrFailed", "Failed"]) {
      w.apply("Job", `podReplacementPolicy: ${policy},`, policy.toLowerCase(), JOB);
    }
    w.settle();
    const one = (name: string) => w.pods.filter((pod) => pod.metadata.labels?.["job-name"] === name);
    for (const pod of w.pods) deleteNamed(w.cluster, "pod", "default", [pod.metadata.name]);
    t.equal(one("terminatingorfailed").length, 2);
    t.equal(one("failed").length, 1);
    t.match(w.status("Job", "failed"), { active: 0, terminating: 1 });
    w.settle();
    t.equal(one("failed").length, 1, "a new one");
    w.apply("Job", "managedBy: example.com/mine,", "theirs", JOB);
    t.equal(one("theirs").length, 0);
    t.equal(w.status("Job", "theirs"), undefined);
  },
);

t.test("what an API server refuses, of objects and of their changes", async (t) => {
  const w = new World();
  const said = (...args: Parameters<World["apply"]>): string => {
    try {
      w.apply(...args);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  t.match(
    said("Job", ""),
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  );
  t.match(
    said("Job", "completionMode: Indexed, parallelism: 2,", "a", JOB),
    "spec.completions: Required value",
  );
  t.match(said("Job", "selector: { matchLabels: { a: b } },", "a", JOB), "`selector` not auto-generated");
  t.match(said("Job", "backoffLimitPerIndex: 1,", "a", JOB), "requires indexed completion mode");
  t.match(
    said("Job", "maxFailedIndexes: 4, completions: 3, completionMode: Indexed,", "a", JOB),
    "less than or equal to completions",
  );
  t.match(
    said("Job", "podReplacementPolicy: Never,", "a", JOB),
    'supported values: "Failed", "TerminatingOrFailed"',
  );
  t.match(said("Job", "managedBy: me,", "a", JOB), "must be a domain-prefixed path");
  const rule = (text: string): string => `podFailurePolicy: { rules: [ { ${text} } ] },`;
  t.match(
    said("Job", rule("action: FailJob"), "a", JOB),
    "specifying one of OnExitCodes and OnPodConditions is required",
  );
  const codes = "action: FailIndex, onExitCodes: { containerName: b, operator: In, values: [2, 0] }";
  for (const why of [
    "requires the backoffLimitPerIndex to be set",
    "must be one of the container or initContainer names",
    "must not be 0 for the In operator",
    "must be ordered",
  ])
    t.match(said("Job", rule(codes), "a", JOB), why);
  t.match(
    said("Job", `${INDEXED} successPolicy: { rules: [ { succeededIndexes: "2,1" } ] },`, "a", JOB),
    "non-increasing order, previous: 2, current: 1",
  );
  t.match(said("DaemonSet", "", "a", JOB), 'spec.template.spec.restartPolicy: Unsupported value: "Never"');
  t.match(
    said("StatefulSet", "podManagementPolicy: All,"),
    'spec.podManagementPolicy: Unsupported value: "All"',
  );
  t.match(
    said("ReplicaSet", "replicas: -1,"),
    "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
  );
  t.match(said("ReplicaSet", "replica: 1,"), 'unknown field "spec.replica"');
  w.apply("StatefulSet", "serviceName: a,", "s");
  t.match(
    said("StatefulSet", "serviceName: b,", "s"),
    "spec: Forbidden: updates to statefulset spec for fields other than",
  );
  w.apply("Job", "", "j", JOB);
  t.match(said("Job", "", "j", JOB.replace("image: a", "image: b")), /spec\.template: .*field is immutable/);
});

/** How often `change` asks for the pod that it asks for most often. */
function mostAsked(change: () => void): number {
  const asked = new Map<string, number>();
  const get = Store.prototype.get;
  Store.prototype.get = function <T>(this: Store, kind: string, key: string): T | undefined {
    if (kind === "Pod") asked.set(key, (asked.get(key) ?? 0) + 1);
    return get.call(this, kind, key) as T | undefined;
  };
  try {
    change();
  } finally {
    Store.prototype.get = get;
  }
  return Math.max(...asked.values());
}

for (const [kind, pods, spec] of [
  ["Deployment", 2000, "replicas: 2000,"],
  ["ReplicaSet", 2000, "replicas: 2000,"],
  ["ReplicationController", 2000, "replicas: 2000,"],
  ["Job", 500, "parallelism: 500, completions: 500,"],
  ["DaemonSet", 200, ""],
] as const) {
  t.test(`${pods} pods of a ${kind}: each name is asked for once, not all again for each pod`, async (t) => {
    const isDaemon = kind === "DaemonSet";
    const world = new World(isDaemon ? pods : 2);
    const template = `${isDaemon ? "" : "nodeSelector: { a: b },"} containers: [ { name: a, image: a } ]`;
    const never = kind === "Job" ? "restartPolicy: Never," : "";
    const most = mostAsked(() => world.apply(kind, spec, "web", `${never} ${template}`));
    t.equal(new Set(world.names).size, pods);
    t.ok(most < 20, `${most} times`);
  });
}
