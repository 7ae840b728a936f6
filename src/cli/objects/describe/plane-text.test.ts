import t from "tap";
import type { KubeObject } from "../../../kube/objects.ts";
import { planeText } from "./plane.ts";

/** kube-proxy's for default/web:http over TCP. */
const CHAIN = "KUBE-SVC-CDGGSHYLG3RE2FKL";
const metadata = { name: "web", namespace: "default" };
const lines = (text: string): string[] =>
  text.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "));

t.test("a service: frontends once for nodes that say the same, connections, drops", (t) => {
  const row = {
    ...{ service: "default/web:http", type: "ClusterIP", address: "10.96.0.80:80", protocol: "TCP" },
    ...{
      action: "dnat",
      endpoints: ["1", "2", "3", "4"].map((n) => `10.244.1.${n}:80`),
      masquerade: "outside",
    },
  };
  const other = { ...row, service: "default/web-2:http" };
  const nobody = {
    ...row,
    type: "NodePort",
    address: "*:30080",
    action: "reject",
    endpoints: [],
    masquerade: "",
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
  } as object as KubeObject;
  const drops = [
    { reason: "SERVICE_NO_ENDPOINTS", packets: 3 },
    { reason: "POLICY_DENY", packets: 9 },
  ];
  const facts = [
    { node: "node1", services: [row, other, nobody], drops, connections: [{}, {}] },
    { node: "node2", services: [row], drops: [], connections: [] },
  ];
  const text = planeText(service, facts, []);
  t.same(lines(text), [
    "Data Plane:",
    "Address | Type | Action | Endpoints | Masquerade | Chain | Nodes",
    "------- | ---- | ------ | --------- | ---------- | ----- | -----",
    `10.96.0.80:80/TCP | ClusterIP | dnat | 10.244.1.1:80,10.244.1.2:80,10.244.1.3:80 + 1 more | outside | ${CHAIN} | node1,node2`,
    "*:30080/TCP | NodePort | reject | <none> | - | - | node1",
    "Affinity: | ClientIP, 60 s",
    "Connections: | 2 (node1 2)",
    "Drops of services: | SERVICE_NO_ENDPOINTS 3 (node1)",
    "",
  ]);
  t.end();
});

t.test("a pod: its device, its connections, the policies that select it", (t) => {
  const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: {}, status: {} } as object as KubeObject;
  const port = {
    ...{
      kind: "pod",
      pod: "default/web",
      name: "eth0 default/web",
      mac: "0a:58:0a:f4:01:02",
      mtu: 1450,
      state: "up",
    },
    ...{ rxPackets: 5, rxBytes: 500, rxDrops: 1, rxMissed: 2, txPackets: 6, txBytes: 600, txDrops: 0 },
  };
  const rule = { direction: "ingress", rule: "ingress[0]", action: "allow", packets: 4, connections: 1 };
  const policies = [
    { policy: "default/own", ...rule },
    { policy: "default/other", ...rule },
  ];
  const connections = [{ state: "ESTABLISHED" }, { state: "TIME_WAIT" }, { state: "ESTABLISHED" }, {}];
  const facts = { node: "node1", ports: [{ ...port, pod: "default/x" }, port], policies, connections };
  t.same(lines(planeText(pod, [facts], ["default/own"])), [
    "Data Plane:",
    "Device: | eth0 of node1, MAC 0a:58:0a:f4:01:02, MTU 1450, up",
    "Sent: | 5 packets, 500 bytes, 1 dropped, 2 missed",
    "Received: | 6 packets, 600 bytes, 0 dropped",
    "Connections: | 4 (2 ESTABLISHED, 1 TIME_WAIT)",
    "Policies: | default/own",
    "Policy | Direction | Rule | Action | Packets | Connections",
    "------ | --------- | ---- | ------ | ------- | -----------",
    "default/own | ingress | ingress[0] | allow | 4 | 1",
    "(of all pods of node1 that a policy selects)",
    "",
  ]);
  const free = planeText(pod, [{ node: "node1", ports: [] }], []);
  t.match(free, /Device: +<none>\n/);
  t.match(free, /Policies: +<none>: nothing forbids it anything\n/);
  t.end();
});

t.test("a node: tunnel, counters that are not nought, drops; a policy: its rules on each node", (t) => {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node1" } } as object as KubeObject;
  const facts = {
    node: "node1",
    ports: [{ kind: "pod" }, { kind: "uplink", name: "eth0", rxPackets: 7, txPackets: 8 }],
    vteps: [{ address: "192.168.50.12", mac: "aa:bb:cc:dd:ee:ff" }],
    counters: [
      { counter: "a", value: 0 },
      { counter: "fdb_entries", value: 4 },
    ],
    drops: [{ reason: "NO_ROUTE", packets: 2, description: "nowhere to go" }],
    table: { count: 12, max: 65536 },
  };
  t.same(lines(planeText(node, [facts], [])), [
    "Data Plane:",
    "Ports: | 2, 1 of them of pods",
    "Connections: | 12 of at most 65536",
    "Uplink: | eth0, 7 packets in, 8 out",
    "VTEPs: | 192.168.50.12 (aa:bb:cc:dd:ee:ff)",
    "Counter | Value",
    "------- | -----",
    "fdb_entries | 4",
    "Drops | Packets | Why",
    "----- | ------- | ---",
    "NO_ROUTE | 2 | nowhere to go",
    "",
  ]);
  const policy = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata,
  } as object as KubeObject;
  const row = { policy: "default/web", direction: "egress", rule: "no rule matches", action: "deny" };
  const rows = [{ ...row, packets: 3, connections: 0, lastHitSec: 5 }];
  t.match(
    planeText(policy, [{ node: "n1", policies: rows }], []),
    /n1 +egress +no rule matches +deny +3 +0 +5 s ago\n/,
  );
  t.match(planeText(policy, [{ node: "n1", policies: [] }], []), /<none>: no agent enforces it\n/);
  t.equal(planeText(policy, [], []), "", "nobody was asked");
  t.end();
});
