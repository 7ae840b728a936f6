import t from "tap";
import { type KernelService, type KernelSlice, kernelRules } from "./kernel-rules.ts";
import { planTopology } from "./topology.ts";

const topology = planTopology("demo", { spec: { nodes: [{ name: "a", agent: "kernel" }, { name: "b" }] } });
const [node] = topology.nodes;

const service = (spec: KernelService["spec"]): KernelService => ({
  metadata: { namespace: "default", name: "web" },
  ...(spec === undefined ? {} : { spec }),
});
const slice: KernelSlice = {
  metadata: { namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  endpoints: [
    { addresses: ["10.244.1.2"], conditions: { ready: true }, nodeName: "a" },
    { addresses: ["10.244.2.2"], conditions: { ready: true }, nodeName: "b" },
    { addresses: ["10.244.2.3"], conditions: { ready: false }, nodeName: "b" },
  ],
};

t.test("a ClusterIP is balanced over the ready endpoints, with hairpin masquerade", async (t) => {
  const text = kernelRules(
    topology,
    node,
    [service({ clusterIPs: ["10.96.0.1"], ports: [{ name: "http", port: 80 }] })],
    [slice],
  );
  t.match(text, /-A KUBE-SERVICES -d 10\.96\.0\.1\/32 -p tcp -m tcp --dport 80 -j (KUBE-SVC-\w{16})\n/);
  t.match(text, /-m statistic --mode random --probability 0\.5000000000 -j KUBE-SEP-/);
  t.match(text, /-A KUBE-SEP-\w{16} -s 10\.244\.1\.2\/32 -j KUBE-MARK-MASQ\n/);
  t.match(text, /DNAT --to-destination 10\.244\.2\.2:8080\n/);
  t.notMatch(text, /10\.244\.2\.3/);
});

t.test(
  "a NodePort is masqueraded, unless its policy is Local: then only endpoints of this node",
  async (t) => {
    const ports = [{ name: "http", port: 80, nodePort: 30080 }];
    const cluster = kernelRules(topology, node, [service({ clusterIPs: ["10.96.0.1"], ports })], [slice]);
    t.match(cluster, /-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j (KUBE-EXT-\w{16})\n/);
    t.match(cluster, /-A KUBE-EXT-\w{16} -j KUBE-MARK-MASQ\n/);
    const local = kernelRules(topology, node, [service({ clusterIPs: ["None"], ports })], [slice]);
    t.notMatch(local, /30080/, "headless has no node port");
    const spec = { clusterIPs: ["10.96.0.1"], externalTrafficPolicy: "Local", ports };
    const own = kernelRules(topology, node, [service(spec)], [slice]);
    t.notMatch(own, /-A KUBE-EXT-\w{16} -j KUBE-MARK-MASQ\n/);
  },
);

t.test("chain names fit and every chain that is jumped to is declared", async (t) => {
  const ports = [{ name: "http", port: 80, nodePort: 30080 }];
  const text = kernelRules(topology, node, [service({ clusterIPs: ["10.96.0.1"], ports })], [slice]);
  const declared = new Set([...text.matchAll(/^:(\S+)/gm)].map((m) => m[1]));
  for (const [, target] of text.matchAll(/-j (KUBE-\S+)/g)) t.ok(declared.has(target), target);
  for (const name of declared) t.ok(name.length <= 28, name);
});

t.test("ip6tables gets the IPv6 half of a dual-stack Service, iptables the other", async (t) => {
  const dual = planTopology("demo", {
    spec: { clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", nodes: [{ name: "a", agent: "kernel" }] },
  });
  const web = service({ clusterIPs: ["10.96.0.1", "fd00:10:96::1"], ports: [{ name: "http", port: 80 }] });
  const six: KernelSlice = {
    ...slice,
    addressType: "IPv6",
    endpoints: [{ addresses: ["fd00:10:244:1::2"], conditions: { ready: true }, nodeName: "a" }],
  };
  const [v4, v6] = ([4, 6] as const).map((f) => kernelRules(dual, dual.nodes[0], [web], [slice, six], f));
  t.match(v6, "-A KUBE-SERVICES -d fd00:10:96::1/128 -p tcp");
  t.match(v6, "! -s fd00:10:244::/56 -d fd00:10:96::1/128");
  t.match(v6, "--to-destination [fd00:10:244:1::2]:8080");
  t.match(v6, "-s fd00:10:244:1::2/128 -j KUBE-MARK-MASQ");
  t.notMatch(v6, /10\.\d+\.\d+\.\d+/);
  t.notMatch(v4, /fd00/);
});
