// Events of a cluster's components: what happened, told once and counted, bounded, and none of calls that are refused.
import t from "tap";
import type { Event, KubeObject, Pod } from "../kube/objects.ts";
import { deleteNamed } from "../testing/world/delete-named.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import { byTime } from "./event-recorder.ts";

const container = "containers: [ { name: a, image: a } ]";
const pod = (name: string, spec = ""): string =>
  `{ apiVersion: v1, kind: Pod, metadata: { name: ${name} }, spec: { ${spec} ${container} } }`;
const workload = (kind: string, name: string, more = "", version = "apps/v1"): string =>
  `{ apiVersion: ${version}, kind: ${kind}, metadata: { name: ${name} }, spec: { ${more} selector: ` +
  `{ matchLabels: { app: ${name} } }, template: { metadata: { labels: { app: ${name} } }, spec: { ${container} } } } }`;

function recordedCluster(events = true) {
  const clock = { nowMs: Date.parse("2026-01-01T00:00:00Z") };
  const cluster = makeCluster({ nowMs: () => clock.nowMs, events });
  const apply = (...texts: string[]) => cluster.apply([{ file: "f", text: texts.join("\n---\n") }]);
  const events_ = (): Event[] => cluster.list("Event") as Event[];
  const lines = (kind?: string): string[] =>
    events_()
      .filter(({ involvedObject }) => kind === undefined || involvedObject.kind === kind)
      .map(
        (e) =>
          `${e.type} ${e.reason} ${e.involvedObject.name} ${e.source?.component}: ${e.message} x${e.count}`,
      )
      .sort();
  return { cluster, clock, apply, events: events_, lines };
}

t.test(
  "the scheduler's: of a pod that it places, and of one that fits nowhere, each time it tries",
  async (t) => {
    const { cluster, clock, apply, lines, events } = recordedCluster();
    apply(pod("a"), pod("named", "nodeName: node2,"), pod("x", "nodeSelector: { no: such },"));
    const refusal = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    const scheduled = "Normal Scheduled a default-scheduler: Successfully assigned default/a to node1 x1";
    t.same(lines(), [scheduled, `Warning FailedScheduling x default-scheduler: ${refusal} x1`]);
    clock.nowMs += 5000;
    deleteNamed(cluster, "pod", "default", ["a"], 0);
    const failed = events().find(({ reason }) => reason === "FailedScheduling");
    t.match(failed, {
      count: 2,
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:05Z",
    });
    t.match(failed?.involvedObject, { kind: "Pod", uid: cluster.get("Pod", "default/x")?.metadata.uid });
    t.equal(lines().length, 2, "the pod is gone, its event is not");
  },
);

t.test("a host port that is taken: the kubelet's", async (t) => {
  const { apply, lines } = recordedCluster();
  const port =
    "nodeName: node1, containers: [ { name: a, image: a, ports: [ { containerPort: 1, hostPort: 1 } ] } ]";
  const text = (name: string): string =>
    `{ apiVersion: v1, kind: Pod, metadata: { name: ${name} }, spec: { ${port} } }`;
  apply(text("a"));
  apply(text("b"));
  t.same(lines(), ["Warning NodePorts b kubelet: Predicate NodePorts failed x1"]);
});

t.test("a Deployment's: numbers of its sets' pods; the set tells of each pod", async (t) => {
  const { cluster, apply, lines } = recordedCluster();
  apply(workload("Deployment", "web", "replicas: 3,"));
  const [first] = cluster.list("Pod") as Pod[];
  const set = `web-${first.metadata.labels?.["pod-template-hash"]}`;
  const scaled = (way: string, from: number, to: number): string =>
    `Normal ScalingReplicaSet web deployment-controller: Scaled ${way} replica set ${set} from ${from} to ${to} x1`;
  t.same(lines("Deployment"), [scaled("up", 0, 3)]);
  apply(workload("Deployment", "web", "replicas: 1,"));
  t.same(lines("Deployment"), [scaled("down", 3, 1), scaled("up", 0, 3)]);
  const [left] = (cluster.list("Pod") as Pod[]).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
  deleteNamed(cluster, "pod", "default", [left.metadata.name], 0);
  const created = lines("ReplicaSet").filter((line) => line.includes("SuccessfulCreate"));
  t.match(created[0], /^Normal SuccessfulCreate web-\S+ replicaset-controller: Created pod: web-\S+ x\d$/);
  t.same([created.length, lines("Deployment").length], [3, 2]);
});

t.test("the other workloads' tell of each pod", async (t) => {
  const { cluster, apply, lines } = recordedCluster();
  apply(workload("ReplicaSet", "rs", "replicas: 1,"), workload("StatefulSet", "db", "replicas: 1,"));
  const name = (cluster.list("Pod") as Pod[]).find(({ metadata }) => metadata.name.startsWith("rs-"))
    ?.metadata.name;
  t.same(lines("ReplicaSet"), [`Normal SuccessfulCreate rs replicaset-controller: Created pod: ${name} x1`]);
  t.same(lines("StatefulSet"), [
    "Normal SuccessfulCreate db statefulset-controller: create Pod db-0 in StatefulSet db successful x1",
  ]);
  apply(workload("ReplicaSet", "rs", "replicas: 0,"));
  t.match(
    lines("ReplicaSet")[1],
    `Normal SuccessfulDelete rs replicaset-controller: Deleted pod: ${name} x1`,
  );
  deleteNamed(cluster, "sts", "default", ["db"]);
  t.equal(lines("StatefulSet").length, 1, "who is gone tells nothing");
});

t.test("none of a call that is refused, none of a dry run, none without the option", async (t) => {
  const { cluster, apply, lines } = recordedCluster();
  const service =
    "{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: 1.1.1.1, ports: [{ port: 1 }] } }";
  t.throws(() => apply(pod("a"), service));
  apply(pod("b"));
  const before = lines();
  t.equal(before.length, 1);
  deleteNamed(cluster, "pod", "default", ["b"], 0, { dryRun: true });
  t.same(lines(), before);
  const silent = recordedCluster(false);
  silent.apply(pod("a"));
  t.same(silent.lines(), []);
});

t.test("a restarted lab has what was told, and tells nothing again", async (t) => {
  const { cluster, apply, lines } = recordedCluster();
  apply(workload("Deployment", "web", "replicas: 2,"), pod("x", "nodeSelector: { no: such },"));
  const objects = ["Node", "Pod", "Deployment", "Event"].flatMap((kind) => cluster.list(kind));
  const second = recordedCluster();
  second.cluster.restore(objects);
  t.same(second.lines(), lines());
  second.apply(workload("Deployment", "web", "replicas: 3,"));
  t.match(
    second.lines("Deployment").find((line) => line.includes("from 2 to 3")),
    /Scaled up replica set web-\S+ from 2 to 3 x1$/,
  );
});

t.test("within a second they stand as they happened", async (t) => {
  const { cluster, clock, apply, events } = recordedCluster();
  apply(pod("a"));
  const object = cluster.get("Pod", "default/a") as KubeObject;
  const reasons = ["Pulled", "Created", "Started", "Unhealthy", "Killing"];
  for (const reason of reasons) cluster.record({ object, reason, message: "", component: "kubelet" });
  t.same(
    events()
      .sort(byTime)
      .map(({ reason }) => reason),
    ["Scheduled", ...reasons],
  );
  clock.nowMs += 1000;
  cluster.record({ object, reason: "Pulled", message: "", component: "kubelet" });
  t.equal(events().sort(byTime).at(-1)?.reason, "Pulled");
});

t.test("an hour, and a thousand of them", async (t) => {
  const { cluster, clock, events } = recordedCluster();
  const object = cluster.get("Node", "node1") as KubeObject;
  for (let i = 0; i < 3000; i++) {
    clock.nowMs += 1000;
    cluster.record({ object, reason: "Test", message: `${i}`, component: "test" });
  }
  t.ok(events().length <= 1100, `${events().length}`);
  t.ok(events().some(({ message }) => message === "2999"));
  t.notOk(
    events().some(({ message }) => message === "1800"),
    "the oldest went",
  );
  clock.nowMs += 3_600_000;
  cluster.tick();
  t.same(events(), []);
});

t.test(
  "manifests hold no events: a dump's are passed over, and they are deleted like anything else",
  async (t) => {
    const { cluster, apply, events } = recordedCluster();
    apply(pod("a"));
    const [event] = events();
    t.same(cluster.apply([{ file: "dump.json", text: JSON.stringify(event) }]), []);
    deleteNamed(cluster, "ev", "default", [event.metadata.name]);
    t.same(events(), []);
  },
);

t.test(
  "names have the order of what happened, within a second too: kubectl describe shows it by them",
  async (t) => {
    const { cluster, clock, apply, events } = recordedCluster();
    apply(pod("a"));
    const object = cluster.get("Pod", "default/a") as Pod;
    const record = (reason: string): void =>
      cluster.record({ object, reason, message: "", component: "kubelet" });
    const inOrder = (): string[] =>
      events()
        .filter(({ involvedObject }) => involvedObject.name === "a")
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .map(({ reason, count }) => `${reason} x${count}`);
    for (const reason of ["Pulled", "Created", "Started", "Created"]) record(reason);
    clock.nowMs += 7;
    for (const reason of ["Killing", "Started"]) record(reason);
    t.same(inOrder(), ["Scheduled x1", "Pulled x1", "Created x2", "Started x2", "Killing x1"]);
    clock.nowMs += 3_600_001;
    cluster.tick();
    record("Pulled");
    t.same(inOrder(), ["Pulled x1"], "what is forgotten begins anew");
  },
);
