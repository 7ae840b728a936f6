import t from "tap";
import { cidr, ip } from "../base/ip.ts";
import { agentConfig } from "../config/agent.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { node } from "../testing/world/proxy-objects.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { externalPorts, type HostRulesInput, hostRules } from "./host-rules.ts";
import { compileTopology, type NodeTopology } from "./node.ts";
import { proxySettings } from "./proxy-settings.ts";

function input(proxy: object, more: Partial<HostRulesInput> = {}): HostRulesInput {
  const config = agentConfig(
    {
      nodeName: "node1",
      clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
      serviceCIDR: "10.96.0.0/12",
      uplink: { interface: "eth0" },
      host: { interface: "host0" },
      socket: "/s",
      source: { files: [] },
      proxy,
    },
    new FieldProblems(),
  );
  if (config === undefined) throw new Error("configuration");
  const graph = new ObjectGraph();
  const object = node("node1", ["192.168.50.11", "fd00:50::11"], {
    podCidrs: ["10.244.1.0/24", "fd00:10:244:1::/64"],
  });
  graph.onEvent({ type: "ADDED", object });
  const facts = { config, mtu: 1500, ports: { uplink: 0, host: 1 } };
  const topology = compileTopology(graph, facts) as NodeTopology;
  const settings = proxySettings({
    config: config.proxy,
    nodeName: "node1",
    node: object,
    localIps: topology.own.local,
  });
  const range = { nodePorts: config.nodePortRange, externals: [] };
  return { interface: "host0", topology, settings, ...range, ...more };
}

const ends = (routes: readonly string[]): string[] => routes.map((route) => route.split(" ")[0]);

t.test("in iptables mode every address of the node serves, 127.0.0.0/8 among them, ::1 never", async (t) => {
  const { loopback, 4: v4, 6: v6 } = hostRules(input({ mode: "iptables" }));
  t.ok(loopback);
  t.same(ends(v4.routes), ["192.168.50.11", "10.244.1.1", "10.244.1.0", "127.0.0.0/8", "169.254.1.1"]);
  t.equal(v4.routes[0], "192.168.50.11 via 169.254.1.1 dev host0 src 192.168.50.11 onlink mtu 1450");
  t.same(v4.rules, [
    "from all iif lo ipproto tcp dport 30000-32767 lookup 30000",
    "from all iif lo ipproto udp dport 30000-32767 lookup 30000",
    "from all iif lo ipproto sctp dport 30000-32767 lookup 30000",
    "from all to 169.254.1.1 iif lo lookup 30000",
  ]);
  t.same(ends(v6.routes), ["fd00:50::11", "fd00:10:244:1::1", "fd00:10:244:1::"]);
  t.equal(v6.routes[0], "fd00:50::11 via fe80::1 dev host0 src fd00:50::11 mtu 1450");
  t.equal(v6.rules.length, 3);
});

t.test("localhostNodePorts, nodePortAddresses and nftables mode take addresses away", async (t) => {
  const off = hostRules(input({ iptables: { localhostNodePorts: false } }));
  t.notOk(off.loopback);
  t.notOk(ends(off[4].routes).includes("127.0.0.0/8"));
  const listed = hostRules(input({ nodePortAddresses: ["127.0.0.0/8", "192.168.50.0/24"] }));
  t.ok(listed.loopback);
  t.same(ends(listed[4].routes), ["192.168.50.11", "10.244.1.1", "10.244.1.0", "127.0.0.1", "169.254.1.1"]);
  const primary = hostRules(input({ mode: "nftables" }));
  t.notOk(primary.loopback);
  t.same(ends(primary[4].routes), ["192.168.50.11", "169.254.1.1"]);
  t.same(ends(primary[6].routes), ["fd00:50::11"]);
});

t.test("an external address that is the node's own has a rule of its own, another has none", async (t) => {
  const externals = [
    { address: ip("192.168.50.11"), port: 80, protocol: 6 },
    { address: ip("192.168.50.11"), port: 30_100, protocol: 6 }, // the range holds it
    { address: ip("203.0.113.9"), port: 80, protocol: 6 },
  ];
  const { rules } = hostRules(input({}, { externals }))[4];
  t.ok(rules.includes("from all to 192.168.50.11 iif lo ipproto tcp dport 80 lookup 30000"));
  t.equal(rules.length, 5);
});

t.test("with a shared uplink other addresses have rules too, many of them one for each port", async (t) => {
  const at = (i: number) => ({ address: ip(`203.0.113.${i}`), port: i % 2 === 0 ? 80 : 443, protocol: 6 });
  const few = { externals: [at(1), { ...at(2), address: ip("10.96.0.9") }], ranges: [cidr("10.96.0.0/12")] };
  const { rules, routes } = hostRules(input({}, few))[4];
  t.ok(rules.includes("from all to 203.0.113.1 iif lo ipproto tcp dport 443 lookup 30000"));
  t.notOk(
    rules.some((rule) => rule.includes("10.96.0.9")),
    "a service range is a route of host0",
  );
  t.ok(routes.includes("203.0.113.1 via 169.254.1.1 dev host0 src 192.168.50.11 onlink mtu 1450"));
  const many = { externals: Array.from({ length: 200 }, (_, i) => at(i)), ranges: [] };
  t.same(
    hostRules(input({}, many))[4].rules.filter((rule) => !rule.includes("30000-32767")),
    [
      "from all iif lo ipproto tcp dport 80 lookup 30000",
      "from all iif lo ipproto tcp dport 443 lookup 30000",
      "from all to 169.254.1.1 iif lo lookup 30000",
    ],
  );
});

t.test("what the machine cannot use is the source of no route: the kernel would refuse it", async (t) => {
  const sourcesOf = (family: 4 | 6, usable: string[]): string[] =>
    hostRules(input({}, { usable: usable.map(ip) }))[family].routes.map(
      (route) => / src (\S+)/.exec(route)?.[1] ?? "none",
    );
  const [node, gateway, vtep] = ["192.168.50.11", "10.244.1.1", "10.244.1.0"];
  t.same(sourcesOf(4, [node, gateway, vtep]).slice(0, 3), [node, gateway, vtep]);
  t.same(sourcesOf(4, ["192.168.50.12", gateway, vtep]).slice(0, 3), ["none", gateway, vtep]);
  t.same(sourcesOf(6, []), ["none", "none", "none"], "a device that was down has lost them");
  t.same(sourcesOf(6, ["fd00:50::11"]), Array(3).fill("fd00:50::11"), "the node's stands in for others");
});

t.test("without a range nothing but bound external addresses leaves lo", async (t) => {
  const none = hostRules(input({}, { nodePorts: null }));
  t.same(none[4], { routes: [], rules: [] });
  t.notOk(none.loopback);
  const externals = [{ address: ip("fd00:50::11"), port: 443, protocol: 17 }];
  const bound = hostRules(input({}, { nodePorts: null, externals }));
  t.same(ends(bound[6].routes), ["fd00:50::11"]);
  t.same(bound[6].rules, ["from all to fd00:50::11 iif lo ipproto udp dport 443 lookup 30000"]);
});

t.test("external IPs and VIPs of a service port are told apart from its other addresses", async (t) => {
  const at = (kind: number, text: string) => ({
    kind,
    port: 80,
    sourceRanges: null,
    byClass: [] as never,
    ...ip(text),
  });
  const frontends = [at(0, "10.96.0.1"), at(1, "203.0.113.9"), at(2, "203.0.113.10"), at(3, "0.0.0.0")];
  const found = externalPorts({
    id: 1,
    name: "x",
    protocol: 6,
    affinitySec: 0,
    endpoints: [],
    sets: [],
    frontends,
  });
  t.same(
    found.map(({ address }) => address.w3 & 255),
    [9, 10],
  );
});

t.test("host ports of pods leave lo at every address, or at the one that hostIP names", async (t) => {
  const port = (address: string, port: number) => ({
    address: ip(address),
    isHostPort: true,
    port,
    protocol: 6,
  });
  const externals = [
    port("0.0.0.0", 8088),
    port("127.0.0.0", 8088),
    port("192.168.50.11", 53),
    port("127.0.0.5", 54),
  ];
  const got = hostRules(input({ mode: "nftables" }, { nodePorts: null, externals }));
  t.ok(got.loopback);
  t.ok(ends(got[4].routes).includes("127.0.0.0/8"));
  t.ok(ends(got[4].routes).includes("192.168.50.11"));
  t.match(got[4].rules.slice(0, 3), [
    "from all iif lo ipproto tcp dport 8088 lookup 30000",
    "from all to 192.168.50.11 iif lo ipproto tcp dport 53 lookup 30000",
    "from all to 127.0.0.5 iif lo ipproto tcp dport 54 lookup 30000",
  ]);
  t.same(got[6], { routes: [], rules: [] });
});
