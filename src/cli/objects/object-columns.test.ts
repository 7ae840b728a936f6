import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { columnsOf } from "../observe/show.ts";
import { formatTable } from "../table.ts";
import { columnsFor } from "./object-columns.ts";

const NOW = Date.parse("2026-01-01T00:01:00Z");
const lines = (kind: string, wide: boolean, ...objects: object[]): string[][] =>
  formatTable(columnsFor(kind, NOW), objects as KubeObject[], wide)
    .split("\n")
    .map((line) => line.split(/ {2,}/));
const metadata = { name: "web", namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" };

t.test("pods", async (t) => {
  const pod = {
    kind: "Pod",
    metadata,
    spec: { nodeName: "node1", containers: [{ name: "a" }, { name: "b" }] },
    status: {
      phase: "Running",
      podIPs: [{ ip: "10.244.1.2" }],
      containerStatuses: [
        {
          name: "a",
          ready: true,
          restartCount: 2,
          state: { running: {} },
          lastState: { terminated: { finishedAt: "2026-01-01T00:00:30Z" } },
        },
        { name: "b", ready: false, restartCount: 1, state: { waiting: { reason: "CrashLoopBackOff" } } },
      ],
    },
  };
  t.same(lines("Pod", false, pod), [
    ["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
    ["web", "1/2", "CrashLoopBackOff", "3 (30s ago)", "60s"],
  ]);
  t.match(lines("Pod", true, pod)[1].slice(5), ["10.244.1.2", "node1", "<none>", "<none>"]);
});

t.test("services", async (t) => {
  const ports = [
    { port: 80, nodePort: 30080, protocol: "TCP" },
    { port: 53, protocol: "UDP" },
  ];
  const base = { kind: "Service", metadata, status: {} };
  const row = (spec: object): string[] => lines("Service", false, { ...base, spec })[1];
  t.same(row({ type: "NodePort", clusterIPs: ["10.96.0.1"], ports }), [
    "web",
    "NodePort",
    "10.96.0.1",
    "<none>",
    "80:30080/TCP,53/UDP",
    "60s",
  ]);
  t.same(row({ type: "LoadBalancer", clusterIPs: ["10.96.0.1"] }).slice(3), ["<pending>", "<none>", "60s"]);
  t.same(row({ type: "ExternalName", externalName: "a.b" }).slice(1), [
    "ExternalName",
    "<none>",
    "a.b",
    "<none>",
    "60s",
  ]);
  t.same(row({ type: "ClusterIP", clusterIPs: ["None"], externalIPs: ["1.2.3.4"] }).slice(2, 4), [
    "None",
    "1.2.3.4",
  ]);
});

t.test("endpoint slices show three addresses and how many more", async (t) => {
  const endpoints = [1, 2, 3, 4, 5].map((i) => ({
    addresses: [`10.0.0.${i}`],
    conditions: { ready: i > 1, serving: true, terminating: i === 1 },
  }));
  const slice = { kind: "EndpointSlice", metadata, addressType: "IPv4", ports: [{ port: 8080 }], endpoints };
  t.same(lines("EndpointSlice", false, slice)[1].slice(2, 4), [
    "8080",
    "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
  ]);
  t.match(lines("EndpointSlice", true, slice)[1].at(-1), /^serving\+terminating,ready\+serving/);
});

t.test("nodes, deployments, policies", async (t) => {
  const node = {
    kind: "Node",
    metadata: { ...metadata, annotations: { "podwire.dev/agent": "kernel" } },
    spec: {},
    status: { conditions: [{ type: "Ready", status: "False" }] },
  };
  t.same(lines("Node", false, node)[1], ["web", "NotReady", "<none>", "60s", "kernel"]);
  const unheard = { ...node, spec: { unschedulable: true }, status: {} };
  t.equal(lines("Node", false, unheard)[1][1], "Unknown,SchedulingDisabled", "in kubectl's words");
  const deployment = {
    kind: "Deployment",
    metadata,
    spec: { replicas: 3 },
    status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
  };
  t.same(lines("Deployment", false, deployment)[1], ["web", "2/3", "3", "2", "60s"]);
  const podSelector = {
    matchLabels: { app: "web" },
    matchExpressions: [{ key: "tier", operator: "In", values: ["a", "b"] }],
  };
  t.same(lines("NetworkPolicy", false, { kind: "NetworkPolicy", metadata, spec: { podSelector } })[1], [
    "web",
    "app=web,tier in (a,b)",
    "60s",
  ]);
});

t.test("a cluster's policies and Calico's endpoints, as their definitions have them", async (t) => {
  const cluster = {
    kind: "ClusterNetworkPolicy",
    metadata,
    spec: { tier: "Admin", priority: 0, subject: {} },
  };
  t.same(lines("ClusterNetworkPolicy", true, cluster), [
    ["NAME", "TIER", "PRIORITY", "AGE"],
    ["web", "Admin", "0", "60s"],
  ]);
  const spec = {
    node: "n1",
    pod: "a",
    ipNetworks: ["10.244.1.5/32", "fd00::5/128"],
    profiles: ["kns.x", "ksa.x.y"],
  };
  const endpoint = {
    kind: "WorkloadEndpoint",
    metadata,
    spec: { ...spec, interfaceName: "cali0123456789a" },
  };
  t.same(lines("WorkloadEndpoint", false, endpoint), [
    ["WORKLOAD", "NODE", "NETWORKS", "INTERFACE"],
    ["a", "n1", "10.244.1.5/32,fd00::5/128", "cali0123456789a"],
  ]);
  t.same(lines("WorkloadEndpoint", true, endpoint)[0], [
    "NAME",
    "WORKLOAD",
    "NODE",
    "NETWORKS",
    "INTERFACE",
    "PROFILES",
    "NATS",
  ]);
});

t.test("live tables: a column a field, whatever the agent sends", async (t) => {
  const rows = [
    { mac: "a", expiresInSec: 3 },
    { mac: "b", list: ["x", "y"], ok: true, more: { a: 1 } },
  ];
  t.equal(
    formatTable(columnsOf(rows, "fdb"), rows),
    'MAC   EXPIRES-IN-SEC   LIST     OK       MORE\na     3                <none>   <none>   <none>\nb     <none>           x,y      true     {"a":1}',
  );
});

t.test("the ports of a node fit a terminal, and -o wide has all of them", async (t) => {
  const at = { node: "worker-1", id: 12, name: "eth0 kube-system/coredns-6d5f9c7b8-abcde", kind: "pod" };
  const counts = {
    rxPackets: 1e9,
    rxBytes: 1e12,
    rxDrops: 1e6,
    rxMissed: 0,
    rxSuperframes: 1e6,
    txPackets: 1e9,
  };
  const pod = {
    pod: "kube-system/coredns-6d5f9c7b8-abcde",
    mac: "0a:58:0a:f4:01:02",
    mtu: 1450,
    state: "up",
  };
  const rows = [
    { ...at, ...pod, ...counts, txBytes: 1e12, txDrops: 1e6, ingressBandwidth: 20e6, txDelayed: 7 },
  ];
  const columns = columnsOf(rows, "ports");
  for (const line of formatTable(columns, rows).split("\n")) t.ok(line.length <= 120, line);
  t.match(
    formatTable(columns, rows),
    /^NODE +NAME +MTU +STATE +RX-PACKETS +RX-DROPS +TX-PACKETS +TX-DROPS\n/,
  );
  t.equal(formatTable(columns, rows, true), formatTable(columnsOf(rows, "fdb"), rows));
});
