// kube-proxy's behaviour table, row by row, as far as a row decides about a packet: sections 3 (Service fields), 4
// (EndpointSlice fields), 5 (options), 8 (nftables) and 9 (ipvs). Each test is named after its row; a real packet goes
// through the compiled tables and the pipeline. docs/kube-proxy-rows.md lists them all.
import { existsSync, readFileSync } from "node:fs";
import t from "tap";
import { ip } from "../../base/ip.ts";
import { IPVS_SCHEDULERS } from "../../config/proxy.ts";
import {
  AskedWorld,
  CLUSTER_IP,
  CLUSTER_IP6,
  EVERYWHERE,
  EXTERNAL,
  FAR_POD,
  HERE,
  NODE,
  NODE_PORT,
  NODE2,
  NODE6,
  OUTSIDE,
  OUTSIDE6,
  POD,
  POD6,
  type TestWorld,
  THERE,
  testService,
  testSlice,
  VIP,
  withSpec,
} from "../../testing/world/explain-world.ts";

const BOTH = `dnat ${HERE} ${THERE}`;
const MASKED = `${BOTH} masquerade`;
const API = "default/api:http";
const comment = (text: string): string => `-m comment --comment ${text.includes(" ") ? `"${text}"` : text}`;
const world = (w: TestWorld = {}): AskedWorld => new AskedWorld(w);
const all = (answer: string) => ({ pod: answer, node: answer, outside: answer });
const ELSEWHERE = [{ at: "10.244.2.5", node: "node2" }];
const LOCAL = { externalTrafficPolicy: "Local" };
const EXTERNAL_WAYS: [to: string, port: number][] = [
  [NODE, NODE_PORT],
  [EXTERNAL, 80],
  [VIP, 80],
];

t.test("3: clusterIP(s), port, protocol", async (t) => {
  const w = world();
  t.equal(w.ask(POD, CLUSTER_IP), BOTH);
  t.equal(w.ask(POD, CLUSTER_IP, 81), "accept");
  t.equal(w.ask(POD, CLUSTER_IP, 80, "UDP"), "accept");
  const two = world({
    spec: {
      ports: [
        { name: "a", port: 53, protocol: "UDP" },
        { name: "b", port: 53, protocol: "TCP" },
      ],
    },
    slice: {
      ports: [
        { name: "a", port: 5353, protocol: "UDP" },
        { name: "b", port: 5354 },
      ],
    },
  });
  t.equal(two.ask(POD, CLUSTER_IP, 53, "UDP"), "dnat 10.244.1.5:5353 10.244.2.5:5353");
  t.equal(two.ask(POD, CLUSTER_IP, 53, "TCP"), "dnat 10.244.1.5:5354 10.244.2.5:5354");
});

t.test("3: ClusterIP masquerade", async (t) => {
  t.same(world().classes(CLUSTER_IP), { pod: BOTH, node: MASKED, outside: MASKED });
  t.equal(world().ask(FAR_POD, CLUSTER_IP), BOTH, "a pod of another node is in the cluster's range");
  t.same(world({ config: { iptables: { masqueradeAll: true } } }).classes(CLUSTER_IP), all(MASKED));
  t.same(world({ config: { clusterCIDR: "" } }).classes(CLUSTER_IP), all(BOTH), "without a detector");
});

t.test("3: hairpin", async (t) => {
  const alone = world({ endpoints: [{ at: "10.244.1.5", node: "node1" }] });
  t.equal(alone.ask("10.244.1.5", CLUSTER_IP), `dnat ${HERE} masquerade`);
  t.equal(alone.ask("10.244.1.6", CLUSTER_IP), `dnat ${HERE}`);
  const { steps } = alone.explain("10.244.1.5", CLUSTER_IP);
  t.match(
    steps.filter(({ chain }) => chain.startsWith("KUBE-SEP-")),
    [
      { rule: `${comment(API)} -s 10.244.1.5 -j KUBE-MARK-MASQ` },
      { rule: `${comment(API)} -m tcp -p tcp -j DNAT --to-destination ${HERE}` },
    ],
  );
  t.equal(world().ask("10.244.1.5", CLUSTER_IP), MASKED, "when it is drawn itself");
});

t.test('3: clusterIP None or "", type ExternalName', async (t) => {
  const ports = [{ name: "http", port: 80, nodePort: NODE_PORT }];
  t.equal(world({ spec: { clusterIP: "None" } }).ask(POD, CLUSTER_IP), "accept");
  t.equal(world({ spec: { clusterIP: "", type: "NodePort", ports } }).ask(POD, NODE, NODE_PORT), "accept");
  const named = { type: "ExternalName", externalName: "example.com", clusterIP: "" };
  t.equal(world({ spec: named }).ask(POD, CLUSTER_IP), "accept");
});

t.test("3: label service.kubernetes.io/service-proxy-name, service.kubernetes.io/headless", async (t) => {
  for (const label of ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"]) {
    const labels = { [label]: "x" };
    t.equal(world({ labels }).ask(POD, CLUSTER_IP), "accept", label);
    const metadata = { name: "api-1", labels: { ...labels, "kubernetes.io/service-name": "api" } };
    t.equal(world({ slice: { metadata } }).ask(POD, CLUSTER_IP), "reject", `${label} of the slice`);
  }
});

t.test("3: ports[].targetPort", async (t) => {
  const ports = [{ name: "http", port: 80, targetPort: 1234 }];
  t.equal(world({ spec: { ports } }).ask(POD, CLUSTER_IP), BOTH, "the slice's port counts");
  const other = world({ slice: { ports: [{ name: "other", port: 8080 }] } });
  t.equal(other.ask(POD, CLUSTER_IP), "reject", "joined by the same name");
});

t.test("3: externalIPs", async (t) => {
  const w = world({ spec: { externalIPs: [EXTERNAL] } });
  t.same(w.classes(EXTERNAL), all(MASKED));
  const taken = world({ spec: { externalIPs: [NODE2] } });
  t.equal(taken.ask(POD, NODE2), MASKED, "even if another host owns the address");
  const empty = world({ spec: { externalIPs: [EXTERNAL] }, endpoints: [] });
  t.same(empty.classes(EXTERNAL), { pod: "reject", node: "accept", outside: "reject" });
});

t.test("3: status.loadBalancer.ingress[].ip", async (t) => {
  t.same(world(EVERYWHERE).classes(VIP), all(MASKED));
  const ingress = [
    { hostname: "lb.example.com" },
    { ip: "5.6.7.9", ipMode: "Proxy" },
    { ip: VIP, ipMode: "VIP" },
  ];
  const w = world({
    ...withSpec(EVERYWHERE, { loadBalancerIP: "5.6.7.10" }),
    status: { loadBalancer: { ingress } },
  });
  t.equal(w.ask(OUTSIDE, VIP), MASKED);
  t.equal(w.ask(OUTSIDE, "5.6.7.9"), "accept");
  t.equal(w.ask(OUTSIDE, "5.6.7.10"), "accept", "spec.loadBalancerIP is never read");
});

t.test("3: loadBalancerSourceRanges", async (t) => {
  const w = world(withSpec(EVERYWHERE, { loadBalancerSourceRanges: [" 203.0.113.0/25", "2001:db8::/32"] }));
  t.same(w.classes(VIP), { pod: "drop", node: "drop", outside: MASKED });
  t.equal(w.ask("203.0.113.200", VIP), "drop");
  t.equal(w.ask("203.0.113.200", NODE, NODE_PORT), MASKED);
  t.equal(w.ask("203.0.113.200", EXTERNAL), MASKED);
  t.equal(w.ask("203.0.113.200", CLUSTER_IP), MASKED);
  const other = world(withSpec(EVERYWHERE, { loadBalancerSourceRanges: ["2001:db8::/32"] }));
  t.equal(other.ask(OUTSIDE, VIP), MASKED, "entries of the other family are as if they were not there");
});

t.test("3: LB VIP to itself", async (t) => {
  const ranges = (range: string) => world(withSpec(EVERYWHERE, { loadBalancerSourceRanges: [range] }));
  t.equal(ranges("192.168.50.0/24").ask(VIP, VIP), MASKED);
  t.equal(ranges("203.0.113.0/24").ask(VIP, VIP), "drop");
});

t.test("3: nodePort", async (t) => {
  const w = world(EVERYWHERE);
  t.same(w.classes(NODE, NODE_PORT), all(MASKED));
  t.equal(w.ask(OUTSIDE, NODE, NODE_PORT, "UDP"), "accept", "protocols have separate port spaces");
  t.equal(w.ask(POD, NODE2, NODE_PORT), "accept", "another node's address is not this node's to serve");
  t.same(world({ ...EVERYWHERE, endpoints: [] }).classes(NODE, NODE_PORT), all("reject"));
});

t.test("3: type LoadBalancer, allocateLoadBalancerNodePorts false", async (t) => {
  const ports = [{ name: "http", port: 80 }];
  const w = world(withSpec(EVERYWHERE, { allocateLoadBalancerNodePorts: false, ports }));
  t.equal(w.ask(OUTSIDE, NODE, NODE_PORT), "accept");
  t.equal(w.ask(OUTSIDE, VIP), MASKED);
});

t.test("3: externalTrafficPolicy Cluster", async (t) => {
  const w = world(EVERYWHERE);
  for (const [to, port] of EXTERNAL_WAYS) t.same(w.classes(to, port), all(MASKED), to);
});

t.test("3: externalTrafficPolicy Local, outside source", async (t) => {
  const w = world(withSpec(EVERYWHERE, LOCAL));
  for (const [to, port] of EXTERNAL_WAYS) t.equal(w.ask(OUTSIDE, to, port), `dnat ${HERE}`, to);
  const none = world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: ELSEWHERE });
  for (const [to, port] of EXTERNAL_WAYS) t.equal(none.ask(OUTSIDE, to, port), "drop", to);
});

t.test("3: externalTrafficPolicy Local, pod src", async (t) => {
  const w = world(withSpec(EVERYWHERE, LOCAL));
  for (const [to, port] of EXTERNAL_WAYS) t.equal(w.ask(POD, to, port), BOTH, to);
  const blind = world({ ...withSpec(EVERYWHERE, LOCAL), config: { clusterCIDR: "" } });
  t.equal(blind.ask(POD, VIP), `dnat ${HERE}`, "without a detector it is treated as outside");
});

t.test("3: externalTrafficPolicy Local, node src", async (t) => {
  const w = world(withSpec(EVERYWHERE, LOCAL));
  for (const [to, port] of EXTERNAL_WAYS) t.equal(w.ask(NODE, to, port), MASKED, to);
  const none = world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: ELSEWHERE });
  t.equal(none.ask(NODE, VIP), `dnat ${THERE} masquerade`);
});

t.test("3: eTP Local without any external address", async (t) => {
  const spec = {
    type: "LoadBalancer",
    allocateLoadBalancerNodePorts: false,
    healthCheckNodePort: 31999,
    ...LOCAL,
  };
  t.equal(world({ spec, endpoints: ELSEWHERE }).ask(POD, CLUSTER_IP), `dnat ${THERE}`);
  t.equal(world({ spec, endpoints: [] }).ask(POD, CLUSTER_IP), "reject");
});

t.test("3: internalTrafficPolicy Local", async (t) => {
  const spec = { internalTrafficPolicy: "Local" };
  t.same(world({ spec }).classes(CLUSTER_IP), {
    pod: `dnat ${HERE}`,
    node: `dnat ${HERE} masquerade`,
    outside: `dnat ${HERE} masquerade`,
  });
  const none = world({ ...withSpec(EVERYWHERE, spec), endpoints: ELSEWHERE });
  t.same(none.classes(CLUSTER_IP), all("drop"));
  t.equal(none.ask(OUTSIDE, VIP), `dnat ${THERE} masquerade`, "external traffic is unaffected");
  t.same(world({ spec, endpoints: [] }).classes(CLUSTER_IP), all("reject"));
});

t.test("3: healthCheckNodePort", async (t) => {
  const checked = withSpec(EVERYWHERE, { ...LOCAL, healthCheckNodePort: 31999 });
  const rules = (w: TestWorld): string[] => {
    const { verdict, steps } = world(w).explain(OUTSIDE, NODE, 31999);
    t.equal(verdict, "accept");
    return steps.filter(({ chain }) => chain === "KUBE-NODEPORTS").map(({ rule }) => rule);
  };
  const accept = `${comment(`${API} health check node port`)} -m tcp -p tcp --dport 31999 -j ACCEPT`;
  t.same(rules(checked), [accept]);
  t.same(rules({ ...checked, endpoints: [] }), [accept]);
  t.same(rules(EVERYWHERE), []);
});

t.test("3: sessionAffinity ClientIP, timeoutSeconds", async (t) => {
  const w = world({ spec: { sessionAffinity: "ClientIP" } });
  for (let i = 0; i < 3; i++)
    t.equal(w.ask(POD, CLUSTER_IP), BOTH, "all that a new client may get, again and again");
  t.match(w.explain(POD, CLUSTER_IP).steps[1].text, "10800 s");
});

t.test("3: trafficDistribution, service.kubernetes.io/topology-mode", async (t) => {
  const annotations = { "service.kubernetes.io/topology-mode": "Auto" };
  t.equal(world({ annotations, spec: { trafficDistribution: "PreferClose" } }).ask(POD, CLUSTER_IP), BOTH);
});

t.test("3: publishNotReadyAddresses", async (t) => {
  const endpoints = [{ at: "10.244.1.5", state: "n" }];
  t.equal(world({ spec: { publishNotReadyAddresses: true }, endpoints }).ask(POD, CLUSTER_IP), "reject");
});

t.test("3: ipFamilies / dual stack", async (t) => {
  const spec = {
    ...EVERYWHERE.spec,
    clusterIPs: [CLUSTER_IP, CLUSTER_IP6],
    ipFamilyPolicy: "PreferDualStack",
    externalIPs: [EXTERNAL, "2001:db8:1::1"],
  };
  const v4 = testSlice("api-4", [{ at: "10.244.1.5", node: "node1" }]);
  const v6 = testSlice("api-6", [{ at: "fd00:10:244:1::5", node: "node1" }]);
  const here6 = "dnat [fd00:10:244:1::5]:8080";
  const w = world({ ...EVERYWHERE, spec, slices: [v4, v6] });
  t.equal(w.ask(POD, CLUSTER_IP), `dnat ${HERE}`);
  t.equal(w.ask(POD6, CLUSTER_IP6), here6);
  t.equal(w.ask(OUTSIDE6, CLUSTER_IP6), `${here6} masquerade`);
  t.equal(w.ask(OUTSIDE6, "2001:db8:1::1"), `${here6} masquerade`);
  t.equal(w.ask(OUTSIDE6, NODE6, NODE_PORT), `${here6} masquerade`);
  const only4 = world({ ...EVERYWHERE, spec, slices: [v4] });
  t.equal(only4.ask(POD, CLUSTER_IP), `dnat ${HERE}`);
  t.equal(only4.ask(POD6, CLUSTER_IP6), "reject", "a family without endpoints rejects");
});

t.test("3: SCTP", async (t) => {
  const ports = [{ name: "diameter", port: 3868, protocol: "SCTP" }];
  const w = world({
    spec: { ports },
    slice: { ports: [{ name: "diameter", port: 3868, protocol: "SCTP" }] },
  });
  t.equal(w.ask(POD, CLUSTER_IP, 3868, "SCTP"), "dnat 10.244.1.5:3868 10.244.2.5:3868");
  t.equal(w.ask(POD, CLUSTER_IP, 3868, "TCP"), "accept");
});

t.test("3: ICMP to a service address", async (t) => {
  t.equal(world().ask(POD, CLUSTER_IP, 0, "ICMP"), "accept", "iptables: untouched");
  t.equal(world({ config: { mode: "nftables" } }).ask(POD, CLUSTER_IP, 0, "ICMP"), "reject");
  t.equal(world({ config: { mode: "ipvs" } }).ask(POD, CLUSTER_IP, 0, "ICMP"), "accept");
});

t.test("4: label kubernetes.io/service-name", async (t) => {
  const labelled = (labels: object, namespace = "default") =>
    world({ slice: { metadata: { name: "api-1", namespace, labels } } }).ask(POD, CLUSTER_IP);
  t.equal(labelled({}), "reject");
  t.equal(labelled({ "kubernetes.io/service-name": "other" }), "reject");
  t.equal(
    labelled({ "kubernetes.io/service-name": "api" }, "elsewhere"),
    "reject",
    "joins with the slice's namespace",
  );
  t.equal(labelled({ "kubernetes.io/service-name": "api" }), BOTH);
});

t.test("4: addressType", async (t) => {
  const v6 = testSlice("api-6", [{ at: "fd00:10:244:1::5" }]);
  t.equal(world({ slices: [v6] }).ask(POD, CLUSTER_IP), "reject");
  const fqdn = {
    ...testSlice("api-f", []),
    addressType: "FQDN",
    endpoints: [{ addresses: ["a.example.com"] }],
  };
  t.equal(world({ slices: [fqdn] }).ask(POD, CLUSTER_IP), "reject");
});

t.test("4: ports[].name/protocol/port", async (t) => {
  const ported = (ports: object[]) => world({ slice: { ports } }).ask(POD, CLUSTER_IP);
  t.equal(ported([{ name: "http", protocol: "UDP", port: 8080 }]), "reject", "another protocol");
  t.equal(ported([{ name: "http", port: 0 }]), "reject");
  t.equal(ported([{ name: "http" }]), "reject", "no port");
  const more = testSlice("api-2", [{ at: "10.244.2.5" }], { ports: [{ name: "http", port: 9090 }] });
  const w = world({ slices: [testSlice("api-1", [{ at: "10.244.1.5" }]), more] });
  t.equal(w.ask(POD, CLUSTER_IP), `dnat ${HERE} 10.244.2.5:9090`, "one name, different numbers");
});

t.test("4: endpoints[].addresses", async (t) => {
  const endpoints = [{ addresses: ["10.244.1.5", "10.244.1.6"], conditions: { ready: true } }];
  t.equal(world({ slice: { endpoints } }).ask(POD, CLUSTER_IP), `dnat ${HERE}`, "only the first is used");
});

t.test("4: conditions", async (t) => {
  t.equal(world({ endpoints: [{ at: "10.244.1.5", state: "-" }] }).ask(POD, CLUSTER_IP), `dnat ${HERE}`);
  const endpoints = [{ addresses: ["10.244.1.5"], conditions: { terminating: false } }];
  t.equal(world({ slice: { endpoints } }).ask(POD, CLUSTER_IP), `dnat ${HERE}`, "nil is ready and serving");
  t.equal(world({ endpoints: [{ at: "10.244.1.5", state: "n" }] }).ask(POD, CLUSTER_IP), "reject");
});

t.test("4: serving && terminating", async (t) => {
  const [here, there] = [
    { at: "10.244.1.5", node: "node1" },
    { at: "10.244.2.5", node: "node2" },
  ];
  const w = (...endpoints: object[]) =>
    world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: endpoints as TestWorld["endpoints"] & object[] });
  t.equal(w({ ...here, state: "t" }, { ...there, state: "x" }).ask(POD, CLUSTER_IP), `dnat ${HERE}`);
  t.equal(w({ ...here, state: "t" }, there).ask(POD, CLUSTER_IP), `dnat ${THERE}`, "only when none is ready");
  t.equal(w({ ...here, state: "t" }, there).ask(OUTSIDE, VIP), `dnat ${HERE}`, "each set on its own");
  t.equal(w({ ...here, state: "x" }, there).ask(OUTSIDE, VIP), "drop");
});

t.test("4: nodeName", async (t) => {
  const w = (node: string) =>
    world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: [{ at: "10.244.1.5", node }] });
  t.equal(w("node1").ask(OUTSIDE, VIP), `dnat ${HERE}`);
  t.equal(w("node2").ask(OUTSIDE, VIP), "drop");
  t.equal(w("").ask(OUTSIDE, VIP), "drop", "absent is remote");
});

t.test("4: hints.forNodes", async (t) => {
  const w = (a: string[], b: string[]) =>
    world({
      endpoints: [
        { at: "10.244.1.5", node: "node1", nodes: a, zones: ["z2"] },
        { at: "10.244.2.5", node: "node2", nodes: b, zones: ["z1"] },
      ],
    }).ask(POD, CLUSTER_IP);
  t.equal(w(["node1"], ["node2"]), `dnat ${HERE}`, "before zones");
  t.equal(w(["node2"], ["node1"]), `dnat ${THERE}`);
  t.equal(w(["node1"], []), `dnat ${THERE}`, "not all have them: by zone");
  t.equal(w(["node3"], ["node2"]), `dnat ${THERE}`, "none names this node: by zone");
});

t.test("4: hints.forZones", async (t) => {
  const w = (a: string[], b: string[], node: object = {}, more: TestWorld = {}) =>
    world({
      endpoints: [
        { at: "10.244.1.5", node: "node1", zones: a },
        { at: "10.244.2.5", node: "node2", zones: b },
      ],
      node,
      ...more,
    });
  t.equal(w(["z1"], ["z2"]).ask(POD, CLUSTER_IP), `dnat ${HERE}`);
  t.equal(w(["z1"], []).ask(POD, CLUSTER_IP), BOTH, "every ready endpoint must have some");
  t.equal(w(["z3"], ["z2"]).ask(POD, CLUSTER_IP), BOTH, "and one must name the zone");
  t.equal(
    w(["z1"], ["z2"], { metadata: { name: "node1" } }).ask(POD, CLUSTER_IP),
    BOTH,
    "a node without a zone",
  );
  const local = w(["z2"], ["z1"], {}, withSpec(EVERYWHERE, LOCAL));
  t.equal(local.ask(OUTSIDE, VIP), `dnat ${HERE}`, "never shrinks the local set");
  t.equal(local.ask(POD, CLUSTER_IP), `dnat ${THERE}`);
});

t.test("4: duplicates over slices", async (t) => {
  const remote = testSlice("api-1", [{ at: "10.244.1.5", node: "node2" }]);
  const local = testSlice("api-2", [{ at: "10.244.1.5", node: "node1" }]);
  for (const slices of [
    [remote, local],
    [local, remote],
  ]) {
    const w = world({ ...withSpec(EVERYWHERE, LOCAL), slices });
    t.equal(w.ask(POD, CLUSTER_IP), `dnat ${HERE}`);
    t.equal(w.ask(OUTSIDE, VIP), `dnat ${HERE}`, "a local copy wins");
  }
});

t.test("4: decision: not hasAny is REJECT, hasAny but an empty set is DROP", async (t) => {
  const w = (state: string) =>
    world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: [{ at: "10.244.2.5", node: "node2", state }] });
  t.equal(w("r").ask(OUTSIDE, VIP), "drop");
  t.equal(w("t").ask(OUTSIDE, VIP), "drop", "terminating and serving elsewhere is an endpoint");
  t.equal(w("n").ask(OUTSIDE, VIP), "reject");
  t.equal(w("x").ask(OUTSIDE, VIP), "reject");
});

t.test("5: detectLocalMode", async (t) => {
  const asked = (config: object, from: string, via?: "pod" | "uplink") =>
    world({ config }).ask(from, CLUSTER_IP, 80, "TCP", via);
  t.equal(asked({ detectLocalMode: "NodeCIDR" }, POD), BOTH);
  t.equal(asked({ detectLocalMode: "NodeCIDR" }, FAR_POD), MASKED, "the node's own range only");
  for (const config of [
    { detectLocalMode: "BridgeInterface", detectLocal: { bridgeInterface: "cbr0" } },
    { detectLocalMode: "InterfaceNamePrefix", detectLocal: { interfaceNamePrefix: "veth" } },
  ]) {
    t.equal(asked(config, POD), BOTH, config.detectLocalMode);
    t.equal(asked(config, OUTSIDE, "pod"), BOTH, "whatever its address, it comes from a pod");
    t.equal(asked(config, FAR_POD, "uplink"), MASKED, "a pod's address from elsewhere");
  }
  const bare = world({ config: { detectLocalMode: "NodeCIDR" }, node: { spec: {} } });
  t.equal(bare.ask(OUTSIDE, CLUSTER_IP), BOTH, "no usable value, no detector");
});

t.test("5: clusterCIDR", async (t) => {
  const w = world({ config: { clusterCIDR: "10.0.0.0/8" } });
  t.equal(w.ask("10.99.0.1", CLUSTER_IP), BOTH);
  t.equal(w.ask("11.99.0.1", CLUSTER_IP), MASKED);
});

t.test("5: masqueradeAll", async (t) => {
  const w = world({ ...withSpec(EVERYWHERE, LOCAL), config: { iptables: { masqueradeAll: true } } });
  t.same(w.classes(CLUSTER_IP), all(MASKED));
  t.equal(w.ask(POD, VIP), BOTH, "nothing else changes");
});

t.test("5: masqueradeBit", async (t) => {
  const { steps } = world({ config: { iptables: { masqueradeBit: 10 } } }).explain(OUTSIDE, CLUSTER_IP);
  t.match(steps.find(({ chain }) => chain === "KUBE-FORWARD")?.rule, "--mark 0x400/0x400");
});

t.test("5: localhostNodePorts", async (t) => {
  t.equal(world(EVERYWHERE).ask("127.0.0.1", "127.0.0.1", NODE_PORT), MASKED);
  const off = world({ ...EVERYWHERE, config: { iptables: { localhostNodePorts: false } } });
  t.equal(off.ask("127.0.0.1", "127.0.0.1", NODE_PORT), "accept");
  t.equal(off.ask(OUTSIDE, NODE, NODE_PORT), MASKED);
  const v6 = { clusterIP: CLUSTER_IP6 };
  const six = world({ ...withSpec(EVERYWHERE, v6), endpoints: [{ at: "fd00:10:244:1::5", node: "node1" }] });
  t.equal(six.ask("::1", "::1", NODE_PORT), "accept", "IPv4 only");
});

t.test("5: nodePortAddresses", async (t) => {
  const localIps = ["192.168.60.11", "10.9.9.9"].map(ip);
  const w = (nodePortAddresses: string[], mode = "iptables") =>
    world({ ...EVERYWHERE, config: { mode, nodePortAddresses }, options: { localIps } });
  const served = (asked: AskedWorld) =>
    [NODE, "192.168.60.11", "10.9.9.9"].filter((to) => asked.ask(OUTSIDE, to, NODE_PORT) === MASKED);
  t.same(served(w([])), [NODE, "192.168.60.11", "10.9.9.9"]);
  t.same(served(w(["192.168.0.0/16"])), [NODE, "192.168.60.11"]);
  t.same(served(w(["primary"])), [NODE]);
  t.same(served(w(["fd00::/8"])), [NODE, "192.168.60.11", "10.9.9.9"], "no CIDR of the family: all");
  t.same(served(w([], "nftables")), [NODE], "nftables: primary");
  t.same(served(w(["0.0.0.0/0"], "nftables")), [NODE, "192.168.60.11", "10.9.9.9"]);
  t.same(served(w(["fd00::/8"], "nftables")), [NODE, "192.168.60.11", "10.9.9.9"]);
  t.same(served(w([], "ipvs")), [NODE, "192.168.60.11", "10.9.9.9"]);
  const none = world({
    ...EVERYWHERE,
    endpoints: [],
    config: { nodePortAddresses: ["192.168.50.0/24"] },
    options: { localIps },
  });
  t.equal(none.ask(OUTSIDE, "10.9.9.9", NODE_PORT), "reject", "the refusal knows no addresses");
});

t.test("5: bindAddress", async (t) => {
  const localIps = [ip("192.168.60.11")];
  const config = { mode: "nftables", bindAddress: "192.168.60.11" };
  const w = world({ ...EVERYWHERE, config, options: { localIps } });
  t.equal(w.ask(OUTSIDE, "192.168.60.11", NODE_PORT), MASKED, "it is the primary address");
  t.equal(w.ask(OUTSIDE, NODE, NODE_PORT), "accept");
});

t.test("5: --hostname-override", async (t) => {
  const w = world({ ...withSpec(EVERYWHERE, LOCAL), config: { hostnameOverride: "node2" } });
  t.equal(w.ask(OUTSIDE, VIP), `dnat ${THERE}`, "that node's endpoints are the local ones");
});

const NFT = { mode: "nftables" };

t.test("8: ClusterIP, wrong port/protocol/ICMP", async (t) => {
  const w = world({ ...EVERYWHERE, config: NFT });
  t.same(w.classes(CLUSTER_IP, 81), all("reject"));
  t.equal(w.ask(POD, CLUSTER_IP, 80, "UDP"), "reject");
  t.equal(w.ask(POD, CLUSTER_IP, 0, "ICMP"), "reject");
  t.equal(w.ask(POD, VIP, 81), "accept", "cluster IPs only");
  t.equal(w.ask(POD, EXTERNAL, 81), "accept");
  const two = world({
    ...EVERYWHERE,
    config: NFT,
    more: [testService("b", { spec: { clusterIP: "10.96.0.11" } })],
  });
  t.equal(two.ask(POD, "10.96.0.11", 80), "reject", "no endpoints");
  t.equal(two.ask(POD, "10.96.0.11", 99), "reject");
});

t.test("8: service-CIDR address nobody owns", async (t) => {
  const range = { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: { name: "kubernetes" } };
  const more = [{ ...range, spec: { cidrs: ["10.96.0.0/12"] } }];
  const w = world({ config: NFT, more });
  t.same(w.classes("10.96.7.7"), all("drop"));
  t.equal(w.ask(POD, "10.96.7.7", 0, "ICMP"), "drop");
  t.equal(w.ask(POD, CLUSTER_IP, 81), "reject", "an address that somebody has");
  t.equal(w.ask(POD, CLUSTER_IP), BOTH);
  t.equal(world({ config: NFT }).ask(POD, "10.96.7.7"), "accept", "needs ServiceCIDR objects");
  t.equal(world({ more }).ask(POD, "10.96.7.7"), "accept", "not in iptables mode");
});

t.test("8: node ports", async (t) => {
  const any = world({ ...EVERYWHERE, config: { ...NFT, nodePortAddresses: ["0.0.0.0/0"] } });
  t.equal(any.ask("127.0.0.1", "127.0.0.1", NODE_PORT), "accept", "never on loopback");
  const w = world({ ...EVERYWHERE, config: NFT, options: { localIps: [ip("192.168.60.11")] } });
  t.same(w.classes(NODE, NODE_PORT), all(MASKED));
  t.equal(w.ask(OUTSIDE, "192.168.60.11", NODE_PORT), "accept", "default primary address only");
  const none = world({
    ...EVERYWHERE,
    endpoints: [],
    config: NFT,
    options: { localIps: [ip("192.168.60.11")] },
  });
  t.equal(none.ask(OUTSIDE, NODE, NODE_PORT), "reject");
  t.equal(none.ask(OUTSIDE, "192.168.60.11", NODE_PORT), "accept", "and no refusal elsewhere");
});

t.test("8: firewall", async (t) => {
  const checked = withSpec(EVERYWHERE, { ...LOCAL, healthCheckNodePort: 31999 });
  const { verdict, steps } = world({ ...checked, config: NFT }).explain(OUTSIDE, NODE, 31999);
  t.equal(verdict, "accept");
  t.notOk(
    steps.some(({ rule }) => /accept/i.test(rule)),
    "nothing is accepted on behalf of the user",
  );
  t.equal(world({ config: NFT }).explainer.node.engine.tables.config.proxy.dropInvalid, 0, "no INVALID drop");
  t.equal(world().explainer.node.engine.tables.config.proxy.dropInvalid, 1);
});

t.test("8: source ranges", async (t) => {
  const ranged = withSpec(EVERYWHERE, { loadBalancerSourceRanges: ["203.0.113.0/25"] });
  const w = world({ ...ranged, config: NFT });
  t.same(w.classes(VIP), { pod: "drop", node: "drop", outside: MASKED });
  t.equal(w.explain("203.0.113.200", VIP).steps[0].chain, "firewall-check", "before DNAT");
  const none = world({ ...ranged, endpoints: [], config: NFT });
  t.equal(none.ask("203.0.113.200", VIP), "drop", "and before endpoints are asked for");
  t.equal(none.ask(OUTSIDE, VIP), "reject");
});

t.test("8: affinity", async (t) => {
  const w = world({ spec: { sessionAffinity: "ClientIP" }, config: NFT });
  t.equal(w.ask(POD, CLUSTER_IP), BOTH);
  t.match(w.explain(POD, CLUSTER_IP).steps[1].text, "10800 s");
});

t.test("8: masquerade", async (t) => {
  const w = world({ ...EVERYWHERE, config: NFT });
  t.same(w.classes(CLUSTER_IP), { pod: BOTH, node: MASKED, outside: MASKED });
  t.equal(w.ask("10.244.1.5", CLUSTER_IP), MASKED, "hairpin");
  const last = w.explain(OUTSIDE, VIP).steps.at(-1);
  t.match(last, { hook: "POSTROUTING", chain: "masquerading", rule: "masquerade fully-random" });
  t.same(world({ config: { ...NFT, nftables: { masqueradeAll: true } } }).classes(CLUSTER_IP), all(MASKED));
});

t.test("8: as iptables: policies and refusals", async (t) => {
  const local = world({ ...withSpec(EVERYWHERE, LOCAL), config: NFT });
  t.same(local.classes(VIP), { pod: BOTH, node: MASKED, outside: `dnat ${HERE}` });
  const none = world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: ELSEWHERE, config: NFT });
  t.same(none.classes(VIP), { pod: `dnat ${THERE}`, node: `dnat ${THERE} masquerade`, outside: "drop" });
  t.same(world({ ...EVERYWHERE, endpoints: [], config: NFT }).classes(EXTERNAL), all("reject"), "OUTPUT too");
});

const IPVS = { mode: "ipvs" };
const weighted = (weight: string) => ({
  name: "api-1",
  labels: { "kubernetes.io/service-name": "api" },
  annotations: { "podwire.dev/weight": weight },
});

t.test("9: addresses", async (t) => {
  const w = world({ ...EVERYWHERE, config: IPVS });
  for (const to of [CLUSTER_IP, VIP, EXTERNAL]) {
    t.equal(w.ask(OUTSIDE, to, 81), "reject", `${to}: unknown ports`);
    t.equal(w.ask(OUTSIDE, to, 0, "ICMP"), "accept", `${to}: answers ping`);
  }
});

t.test("9: ClusterIP masquerade", async (t) => {
  const w = world({ config: IPVS });
  t.same(w.classes(CLUSTER_IP), { pod: BOTH, node: MASKED, outside: MASKED });
  const none = world({ config: { ...IPVS, clusterCIDR: "" } });
  t.same(none.classes(CLUSTER_IP), all(BOTH));
  t.equal(
    none.ask(CLUSTER_IP, CLUSTER_IP),
    MASKED,
    "the kernel takes a ClusterIP of kube-ipvs0 for its source",
  );
  t.match(
    none.explain(CLUSTER_IP, CLUSTER_IP).steps.map(({ text }) => text),
    [/^set KUBE-CLUSTER-IP has source and destination: KUBE-MARK-MASQ/],
  );
  const masqueradeAll = world({
    config: { ...IPVS, clusterCIDR: "", ipvs: {}, iptables: { masqueradeAll: true } },
  });
  t.equal(masqueradeAll.ask(OUTSIDE, CLUSTER_IP), MASKED);
});

t.test("9: schedulers", async (t) => {
  const w = (scheduler: string, weight: string) =>
    world({ slice: { metadata: weighted(weight) }, config: { ...IPVS, ipvs: { scheduler } } });
  for (const scheduler of IPVS_SCHEDULERS) {
    t.equal(w(scheduler, "1").ask(POD, CLUSTER_IP), BOTH, scheduler);
    t.equal(w(scheduler, "0").ask(POD, CLUSTER_IP), "reject", `${scheduler}: nobody has a weight`);
  }
});

t.test("9: removal", async (t) => {
  const drained = world({ slice: { metadata: weighted("0") }, config: IPVS });
  t.equal(drained.ask(POD, CLUSTER_IP), "reject", "weight 0: no new connections");
  const annotations = { "podwire.dev/weights": "10.244.1.5=0" };
  const one = world({ slice: { metadata: { ...weighted("2"), annotations } }, config: IPVS });
  t.equal(one.ask(POD, CLUSTER_IP), `dnat ${THERE}`, "one of two");
});

t.test("9: no endpoints", async (t) => {
  const w = world({ ...EVERYWHERE, endpoints: [], config: IPVS });
  for (const [to, port] of [...EXTERNAL_WAYS, [CLUSTER_IP, 80] as const])
    t.same(w.classes(to, port), all("reject"), to);
});

t.test("9: eTP/iTP Local without local endpoints", async (t) => {
  const w = world({ ...withSpec(EVERYWHERE, LOCAL), endpoints: ELSEWHERE, config: IPVS });
  for (const [to, port] of EXTERNAL_WAYS) t.equal(w.ask(OUTSIDE, to, port), `dnat ${THERE}`, to);
  const internal = { internalTrafficPolicy: "Local" };
  t.equal(
    world({ ...withSpec(EVERYWHERE, internal), endpoints: ELSEWHERE, config: IPVS }).ask(POD, CLUSTER_IP),
    `dnat ${THERE}`,
  );
  t.equal(world({ spec: internal, endpoints: ELSEWHERE, config: IPVS }).ask(POD, CLUSTER_IP), "reject");
});

t.test("9: eTP Local, pod src", async (t) => {
  const w = world({ ...withSpec(EVERYWHERE, LOCAL), config: IPVS });
  for (const [to, port] of EXTERNAL_WAYS) t.equal(w.ask(POD, to, port), `dnat ${HERE}`, to);
});

t.test("9: node ports", async (t) => {
  const w = world({ ...EVERYWHERE, config: IPVS });
  t.same(w.classes(NODE, NODE_PORT), all(MASKED));
  t.equal(w.ask("127.0.0.1", "127.0.0.1", NODE_PORT), "accept", "not on loopback");
});

t.test("the tests that the pages name are there", async (t) => {
  for (const page of ["docs/kube-proxy-rows.md", "docs/hostile.md"]) {
    const named = readFileSync(page, "utf8").matchAll(/`((?:src|native-test)\/[\w/.-]+\.test\.ts)`/g);
    const files = [...new Set([...named].map(([, file]) => file))];
    t.ok(files.length > 8, `${page}: ${files.length} files`);
    for (const file of files) t.ok(existsSync(file), `${page}: ${file}`);
  }
});

t.test("every row is in docs/kube-proxy-rows.md", async (t) => {
  const own = readFileSync("src/offline/explain/kube-proxy-rows.test.ts", "utf8");
  const page = readFileSync("docs/kube-proxy-rows.md", "utf8");
  const rows = [...own.matchAll(/^t\.test\(\s*(["'])(\d: .*?)\1/gms)].map(([, , title]) => title);
  t.ok(rows.length > 55, `${rows.length} rows`);
  for (const row of rows) t.ok(page.includes(`| ${row} |`) || page.includes(`| ${row};`), row);
});
