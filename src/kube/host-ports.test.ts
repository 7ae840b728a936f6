// Host ports on the control side: who gets a node's port, who waits, who is refused; and what a manifest may not say.
import t from "tap";
import { podStatusWord } from "../apiserver/table/pod-columns.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { podReason } from "../lab/lab-status.ts";
import { deleteNamed } from "../testing/world/delete-named.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import type { Pod } from "./objects.ts";

const pod = (name: string, port: string, spec = "") => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec: { ${spec} containers: [{ name: c, image: a, ports: [{ containerPort: 8080, ${port} }] }] }
`;

function apply(cluster: Cluster, ...texts: string[]): void {
  cluster.apply([{ file: "a.yaml", text: texts.join("\n---\n") }]);
}

/** Node, or what is said instead. */
function whereIs(cluster: Cluster, name: string): string {
  const found = cluster.get("Pod", `default/${name}`) as Pod;
  const { phase, podIPs, reason, conditions } = found.status;
  if ((podIPs ?? []).length > 0) return found.spec.nodeName as string;
  const scheduled = conditions?.find((c) => c.type === "PodScheduled");
  return `${phase} ${reason ?? scheduled?.reason}: ${podReason(found)}`;
}

const NO_PORTS =
  "Pending Unschedulable: 0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.";

t.test("one pod on each node has a host port; the third waits until one of them goes", async (t) => {
  const cluster = makeCluster();
  apply(cluster, pod("a", "hostPort: 8088"), pod("b", "hostPort: 8088"), pod("c", "hostPort: 8088"));
  t.same(
    ["a", "b", "c"].map((name) => whereIs(cluster, name)),
    ["node1", "node2", NO_PORTS],
  );
  deleteNamed(cluster, "pod", "default", ["b"], 0);
  t.equal(whereIs(cluster, "c"), "node2");
});

t.test("a pod that has ended lets its host port go", async (t) => {
  const cluster = makeCluster({ nodes: 1 });
  apply(cluster, pod("a", "hostPort: 8088"), pod("b", "hostPort: 8088"));
  t.match(
    whereIs(cluster, "b"),
    "Pending Unschedulable: 0/1 nodes are available: 1 node(s) didn't have free ports",
  );
  const a = cluster.get("Pod", "default/a") as Pod;
  cluster.update({ ...a, status: { ...a.status, phase: "Succeeded" } } as Pod);
  t.equal(whereIs(cluster, "b"), "node1");
});

t.test("address, protocol and port together are what is taken; 0.0.0.0 is all addresses", async (t) => {
  const first = "hostPort: 53, hostIP: 192.168.50.11";
  const cases: [one: string, other: string, fits: boolean][] = [
    ["hostPort: 53", "hostPort: 53, protocol: UDP", true],
    ["hostPort: 53, protocol: SCTP", "hostPort: 53, protocol: UDP", true],
    ["hostPort: 53, protocol: SCTP", "hostPort: 53, protocol: SCTP", false],
    ["hostPort: 53", "hostPort: 54", true],
    [first, "hostPort: 53, hostIP: 127.0.0.1", true],
    [first, first, false],
    [first, "hostPort: 53", false],
    ["hostPort: 53, hostIP: 0.0.0.0", first, false],
    ["hostPort: 53, hostIP: 0.0.0.0", "hostPort: 53", false],
  ];
  for (const [one, other, fits] of cases) {
    const cluster = makeCluster({ nodes: 1 });
    apply(cluster, pod("a", one), pod("b", other));
    t.equal(whereIs(cluster, "b") === "node1", fits, `${one} and ${other}`);
  }
});

t.test("a pod on the host's network has its ports, too, said or not", async (t) => {
  const cluster = makeCluster({ nodes: 1 });
  apply(cluster, pod("a", "protocol: TCP", "hostNetwork: true,"), pod("b", "hostPort: 8080"));
  t.match(whereIs(cluster, "b"), "Pending Unschedulable");
});

t.test("ports of an init container that runs on are the pod's; those of one that ends are not", async (t) => {
  const cluster = makeCluster({ nodes: 1 });
  const init = (restart: string): string =>
    `initContainers: [{ name: i, image: a${restart}, ports: [{ containerPort: 1, hostPort: 8088 }] }],`;
  apply(cluster, pod("a", "protocol: TCP", init("")), pod("b", "hostPort: 8088"));
  t.equal(whereIs(cluster, "b"), "node1");
  apply(cluster, pod("c", "protocol: TCP", init(", restartPolicy: Always")));
  t.match(whereIs(cluster, "c"), "Pending Unschedulable");
});

t.test("who names the node goes past the scheduler: the kubelet refuses the second one", async (t) => {
  const cluster = makeCluster();
  const named = "nodeName: node1,";
  apply(cluster, pod("hp", "hostPort: 8088", named), pod("hp2", "hostPort: 8088", named));
  t.equal(whereIs(cluster, "hp"), "node1");
  t.equal(whereIs(cluster, "hp2"), "Failed NodePorts: Pod was rejected: Predicate NodePorts failed");
  t.equal(podStatusWord(cluster.get("Pod", "default/hp2") as Pod), "NodePorts");
  apply(cluster, pod("hp", "hostPort: 8088", named), pod("hp2", "hostPort: 8088", named));
  t.equal(whereIs(cluster, "hp"), "node1", "applied again, the first one is still there");
  deleteNamed(cluster, "pod", "default", ["hp"], 0);
  t.match(whereIs(cluster, "hp2"), "Failed NodePorts", "and the second one has failed for good");
});

t.test("pods of a Deployment that names its node wait, as many as there are replicas", async (t) => {
  const cluster = makeCluster();
  apply(
    cluster,
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      nodeName: node1
      containers: [{ name: a, image: a, ports: [{ containerPort: 8080, hostPort: 80 }] }]
`,
  );
  const pods = cluster.list("Pod") as Pod[];
  t.same(pods.map((p) => (p.status.podIPs ?? []).length).sort(), [0, 0, 1]);
  const holder = pods.find((p) => (p.status.podIPs ?? []).length > 0) as Pod;
  deleteNamed(cluster, "pod", "default", [holder.metadata.name], 0);
  const now = cluster.list("Pod") as Pod[];
  t.same(now.map((p) => (p.status.podIPs ?? []).length).sort(), [0, 0, 1], "the next one has it");
});

t.test("what the API server refuses of host ports", async (t) => {
  const refused: [ports: string, message: string][] = [
    [
      "hostPort: 70000",
      "spec.containers[0].ports[0].hostPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ],
    [
      "hostPort: -1",
      "spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
    ],
    [
      "hostPort: 80, hostIP: any",
      'spec.containers[0].ports[0].hostIP: Invalid value: "any": must be a valid IP address',
    ],
    [
      "hostPort: 80 }, { containerPort: 9, hostPort: 80",
      'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
    ],
  ];
  for (const [ports, message] of refused) {
    t.throws(() => apply(makeCluster(), pod("x", ports)), { message: new RegExp(escaped(message)) }, ports);
  }
  const apart = pod("x", "hostPort: 80", "hostNetwork: true,");
  t.throws(() => apply(makeCluster(), apart), {
    message: /must match `containerPort` when `hostNetwork` is true/,
  });
});

function escaped(text: string): string {
  return text.replace(/[[\].*+?()]/g, "\\$&");
}

t.test(
  "a pod that waits takes nothing from others when a call is refused, tried, or the lab starts again",
  async (t) => {
    const cluster = makeCluster({ nodes: 1 });
    apply(cluster, pod("z", "hostPort: 8088"), pod("m", "hostPort: 8089"));
    apply(cluster, pod("a", "hostPort: 8088")); // before the others by its name
    const address = (of: Cluster, name: string): string | undefined =>
      (of.get("Pod", `default/${name}`) as Pod).status.podIP;
    const had = ["z", "m"].map((name) => address(cluster, name));
    const service = `
apiVersion: v1
kind: Service
metadata: { name: s, namespace: nowhere }
spec: { ports: [{ port: 80 }] }`;
    const refused = (): void => apply(cluster, service);
    t.throws(refused, { message: /namespaces "nowhere" not found/ });
    t.throws(refused, { message: /namespaces "nowhere" not found/ }, "the reason, a second time too");
    apply(cluster, pod("b", "hostPort: 8090"));
    const object = cluster.get("Pod", "default/b") as Pod;
    t.equal(object.spec.nodeName, "node1");
    t.equal(new Set([...had, object.status.podIP]).size, 3, "an address of its own");
    t.match(whereIs(cluster, "a"), "Pending Unschedulable");
    const objects = ["Node", "Pod"].flatMap((kind) => cluster.list(kind));
    const again = makeCluster({ nodes: 0 });
    again.restore(objects);
    t.same(
      ["z", "m"].map((name) => address(again, name)),
      had,
    );
    t.match(whereIs(again, "a"), "Pending Unschedulable");
    t.equal(whereIs(again, "z"), "node1");
  },
);
