// kube-proxy's behaviour table (iptables mode), row by row: what each class of source gets at each kind of address.
import t from "tap";
import { formatIp, formatIpPort, ip, sameIp } from "../base/ip.ts";
import { readProxyConfig } from "../config/proxy.ts";
import { Action, FrontendKind, type FrontendSpec, Scheduler } from "../dataplane/spec/services.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import type { EndpointSlice, Node, Service } from "../watch/desired-state.ts";
import { type Extensions, proxySettings } from "./proxy-settings.ts";
import type { PortSpec } from "./service-port.ts";
import { compileService } from "./services.ts";

const NODE = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node1", labels: { "topology.kubernetes.io/zone": "z1" } },
  spec: { podCIDRs: ["10.244.1.0/24"] },
  status: {
    addresses: [
      { type: "InternalIP", address: "192.168.50.11" },
      { type: "InternalIP", address: "fd00:50::11" },
    ],
  },
} as Node;

function settings(config: object = {}) {
  const problems = new FieldProblems();
  const parsed = readProxyConfig({ clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", ...config }, problems);
  t.same(problems.list, []);
  return proxySettings({ config: parsed, nodeName: "node1", node: NODE, localIps: [ip("10.244.1.1")] });
}

function service(spec: object = {}, more: object = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "api", namespace: "default", labels: {} },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10"],
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }],
      internalTrafficPolicy: "Cluster",
      sessionAffinity: "None",
      ...spec,
    },
    status: {},
    ...more,
  } as Service;
}

type E = [address: string, node?: string, conditions?: string, hints?: object];
/** Conditions: "r" ready, "n" not ready, "t" terminating but serving, "x" terminating and not serving. */
function slice(endpoints: E[], more: object = {}): EndpointSlice {
  const conditions: Record<string, object> = {
    r: { ready: true, serving: true, terminating: false },
    n: { ready: false, serving: false, terminating: false },
    t: { ready: false, serving: true, terminating: true },
    x: { ready: false, serving: false, terminating: true },
    u: {},
  };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "api-1", namespace: "default", labels: { "kubernetes.io/service-name": "api" } },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: endpoints.map(([address, nodeName, state = "r", hints]) => ({
      addresses: [address],
      conditions: conditions[state],
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(hints === undefined ? {} : { hints }),
    })),
    ...more,
  } as EndpointSlice;
}

const HERE: E = ["10.244.1.5", "node1"];
const THERE: E = ["10.244.2.5", "node2"];
const ALL = "10.244.1.5 10.244.2.5";

function compile(s: Service, slices: EndpointSlice[], config: object = {}): PortSpec[] {
  return [...compileService(s, slices, settings(config)).values()];
}

const KINDS = ["cluster", "external", "lb", "node", "unserved", "unserved"];
const ACTIONS = ["dnat", "reject", "drop", "none"];

/** Loopback's entry of a node port that every address serves; has rows of its own. */
function isLoopbackNet(f: FrontendSpec): boolean {
  return f.kind === FrontendKind.NODE_PORT && (sameIp(f, ip("127.0.0.0")) || sameIp(f, ip("::1")));
}

/** Lines "kind address:port | pod | node | outside"; dnat as its addresses, with a "+" for masquerade. */
function tell(spec: PortSpec | undefined): string[] {
  const shown = (spec?.frontends ?? []).filter((f) => !isLoopbackNet(f));
  return shown.map((f) => {
    const classes = f.byClass.map(({ action, set, masquerade }) => {
      if (action !== Action.DNAT) return ACTIONS[action];
      const addresses = spec?.sets[set].map((i) => formatIp(spec.endpoints[i]));
      return `${addresses?.join(" ")}${masquerade ? "+" : ""}`;
    });
    const any = f.kind === FrontendKind.NODE_PORT && (f.w0 | f.w1 | f.w2 | f.w3) === 0;
    const where = any ? `*:${f.port}` : formatIpPort(f, f.port);
    return `${KINDS[f.kind]} ${where} | ${classes.join(" | ")}`;
  });
}

const NODE_PORT = { type: "NodePort", ports: [{ name: "http", port: 80, protocol: "TCP", nodePort: 30080 }] };
const LB = { ...NODE_PORT, type: "LoadBalancer" };
const VIP = { status: { loadBalancer: { ingress: [{ ip: "5.6.7.8" }] } } };
const LOCAL = { externalTrafficPolicy: "Local" };

interface Row {
  row: string;
  service: Service;
  endpoints?: E[];
  config?: object;
  want: string[];
}

const rows: Row[] = [
  {
    row: "ClusterIP: every class gets all; masqueraded unless the source is a pod",
    service: service(),
    want: [`cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`],
  },
  {
    row: "masqueradeAll: pods too",
    service: service(),
    config: { iptables: { masqueradeAll: true } },
    want: [`cluster 10.96.0.10:80 | ${ALL}+ | ${ALL}+ | ${ALL}+`],
  },
  {
    row: "no detector: nobody is masqueraded at the ClusterIP",
    service: service(),
    config: { clusterCIDR: "" },
    want: [`cluster 10.96.0.10:80 | ${ALL} | ${ALL} | ${ALL}`],
  },
  {
    row: "no endpoints: rejected",
    service: service(),
    endpoints: [],
    want: ["cluster 10.96.0.10:80 | reject | reject | reject"],
  },
  {
    row: "unready endpoints are none",
    service: service(),
    endpoints: [["10.244.1.5", "node1", "n"]],
    want: ["cluster 10.96.0.10:80 | reject | reject | reject"],
  },
  {
    row: "conditions that are absent: ready and serving",
    service: service(),
    endpoints: [["10.244.1.5", "node1", "u"]],
    want: ["cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+"],
  },
  {
    row: "terminating endpoints serve only when nothing is ready",
    service: service(),
    endpoints: [HERE, ["10.244.2.5", "node2", "t"]],
    want: ["cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+"],
  },
  {
    row: "all terminating: those that still serve",
    service: service(),
    endpoints: [
      ["10.244.1.5", "node1", "t"],
      ["10.244.2.5", "node2", "x"],
    ],
    want: ["cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+"],
  },
  {
    row: "internalTrafficPolicy Local: local endpoints only",
    service: service({ internalTrafficPolicy: "Local" }),
    want: ["cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+"],
  },
  {
    row: "internalTrafficPolicy Local, endpoints elsewhere only: dropped",
    service: service({ internalTrafficPolicy: "Local" }),
    endpoints: [THERE],
    want: ["cluster 10.96.0.10:80 | drop | drop | drop"],
  },
  {
    row: "internalTrafficPolicy Local leaves external traffic alone",
    service: service({ internalTrafficPolicy: "Local", ...NODE_PORT }),
    endpoints: [THERE],
    want: [
      "cluster 10.96.0.10:80 | drop | drop | drop",
      "node *:30080 | 10.244.2.5+ | 10.244.2.5+ | 10.244.2.5+",
    ],
  },
  {
    row: "nodePort, policy Cluster: always masqueraded, pods too",
    service: service(NODE_PORT),
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node *:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "nodePort, policy Local: pods get all unmasqueraded, the node all masqueraded, others the local ones",
    service: service({ ...NODE_PORT, ...LOCAL }),
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node *:30080 | ${ALL} | ${ALL}+ | 10.244.1.5`,
    ],
  },
  {
    row: "nodePort, policy Local, none local: others are dropped",
    service: service({ ...NODE_PORT, ...LOCAL }),
    endpoints: [THERE],
    want: [
      "cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+",
      "node *:30080 | 10.244.2.5 | 10.244.2.5+ | drop",
    ],
  },
  {
    row: "nodePort, policy Local, without a detector: a pod is an outsider",
    service: service({ ...NODE_PORT, ...LOCAL }),
    config: { clusterCIDR: "" },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL} | ${ALL}`,
      `node *:30080 | 10.244.1.5 | ${ALL}+ | 10.244.1.5`,
    ],
  },
  {
    row: "nodePort without endpoints: rejected for all, INPUT sees LOCAL destinations",
    service: service(NODE_PORT),
    endpoints: [],
    want: ["cluster 10.96.0.10:80 | reject | reject | reject", "node *:30080 | reject | reject | reject"],
  },
  {
    row: "nodePort, policy Local: a local terminating endpoint serves when no local one is ready",
    service: service({ ...NODE_PORT, ...LOCAL }),
    endpoints: [["10.244.1.5", "node1", "t"], THERE],
    want: [
      "cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+",
      "node *:30080 | 10.244.2.5 | 10.244.2.5+ | 10.244.1.5",
    ],
  },
  {
    row: "nodePortAddresses: only those addresses, the loopback one among them",
    service: service(NODE_PORT),
    config: { nodePortAddresses: ["192.168.50.0/24", "127.0.0.0/8"] },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node 127.0.0.1:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
      `node 192.168.50.11:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "nodePortAddresses with localhostNodePorts off: not the loopback one",
    service: service(NODE_PORT),
    config: {
      nodePortAddresses: ["192.168.50.0/24", "127.0.0.0/8"],
      iptables: { localhostNodePorts: false },
    },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node 192.168.50.11:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "nodePortAddresses of the other family only: every address",
    service: service(NODE_PORT),
    config: { nodePortAddresses: ["fd00::/8"] },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node *:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "nodePortAddresses and no endpoints: the refusal holds at every LOCAL address",
    service: service(NODE_PORT),
    endpoints: [],
    config: { nodePortAddresses: ["192.168.50.0/24"] },
    want: [
      "cluster 10.96.0.10:80 | reject | reject | reject",
      "node 192.168.50.11:30080 | reject | reject | reject",
      "node *:30080 | reject | reject | reject",
    ],
  },
  {
    row: "nftables: node ports at the primary address",
    service: service(NODE_PORT),
    config: { mode: "nftables" },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node 192.168.50.11:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
      "unserved 10.96.0.10:0 | reject | reject | reject",
    ],
  },
  {
    row: "nftables: nodePortAddresses of the other family only: every address",
    service: service(NODE_PORT),
    config: { mode: "nftables", nodePortAddresses: ["fd00::/8"] },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `node *:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
      "unserved 10.96.0.10:0 | reject | reject | reject",
    ],
  },
  {
    row: "ipvs: policy Local keeps everybody's source, pods and the node too; unknown ports are refused",
    service: service({ ...LB, ...LOCAL }, VIP),
    config: { mode: "ipvs" },
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      "lb 5.6.7.8:80 | 10.244.1.5 | 10.244.1.5 | 10.244.1.5",
      "node *:30080 | 10.244.1.5 | 10.244.1.5 | 10.244.1.5",
      "unserved 10.96.0.10:0 | reject | reject | reject",
      "unserved 5.6.7.8:0 | reject | reject | reject",
    ],
  },
  {
    row: "ipvs: policies Local without local endpoints mean all",
    service: service({ ...NODE_PORT, ...LOCAL, internalTrafficPolicy: "Local" }),
    endpoints: [THERE],
    config: { mode: "ipvs" },
    want: [
      "cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+",
      "node *:30080 | 10.244.2.5 | 10.244.2.5 | 10.244.2.5",
      "unserved 10.96.0.10:0 | reject | reject | reject",
    ],
  },
  {
    row: "ipvs: internalTrafficPolicy Local without local endpoints or external address: no destination",
    service: service({ internalTrafficPolicy: "Local" }),
    endpoints: [THERE],
    config: { mode: "ipvs" },
    want: [
      "cluster 10.96.0.10:80 | reject | reject | reject",
      "unserved 10.96.0.10:0 | reject | reject | reject",
    ],
  },
  {
    row: "externalIPs: external traffic, whoever owns the address",
    service: service({ externalIPs: ["1.2.3.4", "fd00::1"], externalTrafficPolicy: "Cluster" }),
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `external 1.2.3.4:80 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "externalIPs without endpoints: the node's own packets pass, OUTPUT has no such rule",
    service: service({ externalIPs: ["1.2.3.4"], externalTrafficPolicy: "Cluster" }),
    endpoints: [],
    want: [
      "cluster 10.96.0.10:80 | reject | reject | reject",
      "external 1.2.3.4:80 | reject | none | reject",
    ],
  },
  {
    row: "externalIPs without endpoints, at an address of the node: rejected on the way in",
    service: service({ externalIPs: ["192.168.50.11"], externalTrafficPolicy: "Cluster" }),
    endpoints: [],
    want: [
      "cluster 10.96.0.10:80 | reject | reject | reject",
      "external 192.168.50.11:80 | reject | reject | reject",
    ],
  },
  {
    row: "load balancer addresses, ipMode Proxy and host names left out",
    service: service(LB, {
      status: {
        loadBalancer: {
          ingress: [
            { ip: "5.6.7.8", ipMode: "VIP" },
            { ip: "5.6.7.9", ipMode: "Proxy" },
            { hostname: "lb.example" },
          ],
        },
      },
    }),
    want: [
      `cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`,
      `lb 5.6.7.8:80 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
      `node *:30080 | ${ALL}+ | ${ALL}+ | ${ALL}+`,
    ],
  },
  {
    row: "policy Local without any external address is ignored",
    service: service({ type: "LoadBalancer", ...LOCAL, allocateLoadBalancerNodePorts: false }),
    endpoints: [THERE],
    want: ["cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+"],
  },
  {
    row: "zone hints: only the zone's, and only when every ready endpoint has some",
    service: service(),
    endpoints: [
      ["10.244.1.5", "node1", "r", { forZones: [{ name: "z1" }] }],
      ["10.244.2.5", "node2", "r", { forZones: [{ name: "z2" }] }],
      ["10.244.3.5", "node3", "n"],
    ],
    want: ["cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+"],
  },
  {
    row: "zone hints that leave one endpoint out are ignored",
    service: service(),
    endpoints: [["10.244.1.5", "node1", "r", { forZones: [{ name: "z1" }] }], THERE],
    want: [`cluster 10.96.0.10:80 | ${ALL} | ${ALL}+ | ${ALL}+`],
  },
  {
    row: "zone hints that do not name our zone are ignored",
    service: service(),
    endpoints: [["10.244.2.5", "node2", "r", { forZones: [{ name: "z2" }] }]],
    want: ["cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+"],
  },
  {
    row: "node hints come before zone hints",
    service: service(),
    endpoints: [
      ["10.244.1.5", "node1", "r", { forZones: [{ name: "z1" }], forNodes: [{ name: "node9" }] }],
      ["10.244.2.5", "node2", "r", { forZones: [{ name: "z2" }], forNodes: [{ name: "node1" }] }],
    ],
    want: ["cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+"],
  },
  {
    row: "hints never shrink the local set",
    service: service({ ...NODE_PORT, ...LOCAL }),
    endpoints: [
      ["10.244.1.5", "node1", "r", { forZones: [{ name: "z2" }] }],
      ["10.244.2.5", "node2", "r", { forZones: [{ name: "z1" }] }],
    ],
    want: [
      "cluster 10.96.0.10:80 | 10.244.2.5 | 10.244.2.5+ | 10.244.2.5+",
      "node *:30080 | 10.244.2.5 | 10.244.2.5+ | 10.244.1.5",
    ],
  },
];

for (const { row, service: s, endpoints = [HERE, THERE], config, want } of rows) {
  t.test(row, async (t) => {
    t.same(tell(compile(s, [slice(endpoints)], config)[0]), want);
  });
}

const ignored: [string, object, object?][] = [
  ["headless", { clusterIP: "None", clusterIPs: ["None"] }],
  ["without an address yet", { clusterIP: "", clusterIPs: [] }],
  ["ExternalName", { type: "ExternalName", clusterIP: "", clusterIPs: [] }],
  ["another proxy's", {}, { "service.kubernetes.io/service-proxy-name": "mine" }],
  ["labelled headless", {}, { "service.kubernetes.io/headless": "" }],
];
for (const [what, spec, labels = {}] of ignored) {
  t.test(`a Service that is ${what} is ignored`, async (t) => {
    const s = service(spec);
    t.same(
      compile({ ...s, metadata: { ...s.metadata, labels: labels as Record<string, string> } }, [
        slice([HERE]),
      ]),
      [],
    );
  });
}

t.test("slices of another proxy, FQDN slices, unnamed and portless ports are ignored", async (t) => {
  const labels = { "kubernetes.io/service-name": "api", "service.kubernetes.io/service-proxy-name": "mine" };
  const foreign = slice([HERE], { metadata: { name: "x", namespace: "default", labels } });
  const fqdn = slice([["example.com"]], { addressType: "FQDN" });
  const portless = slice([HERE], { ports: [{ name: "http", protocol: "TCP" }] });
  const nameless = slice([HERE], { ports: [{ protocol: "TCP", port: 8080 }] });
  const otherPort = slice([HERE], { ports: [{ name: "metrics", protocol: "TCP", port: 9090 }] });
  const udp = slice([HERE], { ports: [{ name: "http", protocol: "UDP", port: 8080 }] });
  const [spec] = compile(service(), [foreign, fqdn, portless, nameless, otherPort, udp]);
  t.same(spec.endpoints, []);
});

t.test(
  "several slices merge: duplicates collapse, a local copy wins, one name may have several numbers",
  async (t) => {
    const slices = [
      slice([["10.244.1.5", "node2"]], { metadata: { name: "a", namespace: "default", labels: {} } }),
      slice([HERE, HERE], { metadata: { name: "b", namespace: "default", labels: {} } }),
      slice([THERE], {
        metadata: { name: "c", namespace: "default", labels: {} },
        ports: [{ name: "http", protocol: "TCP", port: 9090 }],
      }),
    ];
    for (const order of [slices, [...slices].reverse()]) {
      const [spec] = compile(service(), order);
      t.same(
        spec.endpoints.map((e) => `${formatIpPort(e, e.port)} ${e.flags}`),
        ["10.244.1.5:8080 7", "10.244.2.5:9090 6"],
      );
    }
  },
);

t.test(
  "endpoints are in the order of their text; serving ones outside every set are kept for their flows",
  async (t) => {
    const list: E[] = [
      ["10.244.1.9"],
      ["10.244.1.10"],
      ["10.244.1.7", "node1", "t"],
      ["10.244.1.8", "node1", "x"],
    ];
    const [spec] = compile(service(), [slice(list)]);
    t.same(
      spec.endpoints.map((e) => formatIp(e)),
      ["10.244.1.10", "10.244.1.7", "10.244.1.9"],
    );
    t.same(spec.sets, [[0, 2]]);
  },
);

t.test(
  "source ranges: padded ones trimmed, the other family's ignored, the VIP itself where they hold the node",
  async (t) => {
    const ranges = (list: string[]) =>
      compile(service({ ...LB, loadBalancerSourceRanges: list }, VIP), [slice([HERE])])[0]
        .frontends.find((f) => f.kind === FrontendKind.LOAD_BALANCER)
        ?.sourceRanges?.map((r) => `${formatIp(r)}/${r.prefixLen}`) ?? null;
    t.same(ranges([" 203.0.113.0/25 "]), ["203.0.113.0/121"]);
    t.same(ranges(["192.168.50.0/24"]), ["192.168.50.0/120", "5.6.7.8/128"]);
    t.same(ranges(["fd00::/8"]), null);
    const [spec] = compile(service({ ...LB, loadBalancerSourceRanges: ["10.0.0.0/8"] }, VIP), [slice([])]);
    t.ok(
      spec.frontends.every((f) => f.sourceRanges === null),
      "without endpoints everybody is rejected alike",
    );
  },
);

t.test("dual stack: one spec a family, each with its own addresses and slices", async (t) => {
  const s = service({ ...NODE_PORT, clusterIPs: ["10.96.0.10", "fd00:96::10"] });
  const v6 = slice([["fd00:10:244:1::5", "node1"]], { addressType: "IPv6" });
  const specs = compile(s, [slice([HERE]), v6]);
  t.same(specs.map(tell), [
    [
      "cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+",
      "node *:30080 | 10.244.1.5+ | 10.244.1.5+ | 10.244.1.5+",
    ],
    [
      "cluster [fd00:96::10]:80 | fd00:10:244:1::5 | fd00:10:244:1::5+ | fd00:10:244:1::5+",
      "node *:30080 | fd00:10:244:1::5+ | fd00:10:244:1::5+ | fd00:10:244:1::5+",
    ],
  ]);
  t.same(
    compile(s, [slice([HERE])]).map((spec) => tell(spec)[0]),
    [
      "cluster 10.96.0.10:80 | 10.244.1.5 | 10.244.1.5+ | 10.244.1.5+",
      "cluster [fd00:96::10]:80 | reject | reject | reject",
    ],
  );
});

t.test("affinity, protocols and names", async (t) => {
  const affinity = {
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
  };
  t.equal(compile(service(affinity), [])[0].affinitySec, 60);
  t.equal(compile(service({ sessionAffinity: "ClientIP" }), [])[0].affinitySec, 10800);
  const ports = [
    { port: 53, protocol: "UDP" },
    { name: "s", port: 1, protocol: "SCTP" },
  ];
  t.same(
    compile(service({ ports }), []).map((spec) => [spec.name, spec.protocol, spec.affinitySec]),
    [
      ["default/api", 17, 0],
      ["default/api:s", 132, 0],
    ],
  );
});

t.test("an address that a Service names twice is one frontend: the first rule matches", async (t) => {
  const s = service({ ...LB, externalIPs: ["5.6.7.8"], loadBalancerSourceRanges: ["10.0.0.0/8"] }, VIP);
  t.same(
    tell(compile(s, [slice([HERE])])[0]).map((line) => line.split(" |")[0]),
    ["cluster 10.96.0.10:80", "external 5.6.7.8:80", "node *:30080"],
  );
});

t.test(
  "loopback serves node ports in iptables mode only, over IPv4 only, unless localhostNodePorts is off",
  async (t) => {
    const loopback = (config: object, endpoints = [HERE]): string[] => {
      const [spec] = compile(service(NODE_PORT), [slice(endpoints)], config);
      const found = spec.frontends.find(isLoopbackNet);
      return (found?.byClass ?? []).map(
        ({ action, masquerade }) => `${ACTIONS[action]}${masquerade ? "+" : ""}`,
      );
    };
    const off = { iptables: { localhostNodePorts: false } };
    t.same(loopback({}), ["dnat+", "dnat+", "dnat+"]);
    t.same(loopback(off), []);
    t.same(loopback(off, []), ["reject", "reject", "reject"], "the refusal is for every LOCAL address");
    t.same(loopback({ mode: "nftables", nodePortAddresses: ["0.0.0.0/0"] }), []);
    t.same(loopback({ mode: "ipvs" }), []);
    const v6 = { clusterIP: "fd00:96::1", clusterIPs: ["fd00:96::1"] };
    const [spec] = compile(service({ ...NODE_PORT, ...v6 }), [
      slice([["fd00:10:244::5", "node1"]], { addressType: "IPv6" }),
    ]);
    t.equal(spec.frontends.some(isLoopbackNet), false);
  },
);

t.test("each load balancer address may come from any of them, where a range holds the node", async (t) => {
  const ranges = (text: string, mode = "iptables"): number | undefined => {
    const lb = service(
      { ...LB, loadBalancerSourceRanges: [text] },
      { status: { loadBalancer: { ingress: [{ ip: "5.6.7.8" }, { ip: "5.6.7.9" }] } } },
    );
    const [spec] = compile(lb, [slice(mode === "iptables" ? [HERE] : [])], { mode });
    return spec.frontends.find((f) => f.kind === FrontendKind.LOAD_BALANCER)?.sourceRanges?.length;
  };
  t.equal(ranges("192.168.0.0/16"), 3);
  t.equal(ranges("203.0.113.0/24"), 1);
  t.equal(ranges("203.0.113.0/24", "nftables"), 1, "nftables asks for ranges before endpoints");
});

t.test("schedulers: ipvs.scheduler in ipvs mode, least connections where asked for", async (t) => {
  const compiled = (config: object, extensions: Partial<Extensions> = {}, endpoints: E[] = [HERE]) => {
    const problems = new FieldProblems();
    const own = { leastConnections: false, resetRemovedEndpoints: false, ...extensions };
    const parsed = readProxyConfig(config, problems);
    const used = proxySettings({ config: parsed, nodeName: "node1", node: NODE, extensions: own });
    const annotations = { "podwire.dev/weights": "10.244.1.5=4" };
    const labels = { "kubernetes.io/service-name": "api" };
    const metadata = { name: "api-1", namespace: "default", labels, annotations };
    return [...compileService(service(), [slice(endpoints, { metadata })], used).values()][0];
  };
  t.equal(compiled({}).scheduler, undefined);
  t.equal(compiled({ mode: "ipvs" }).scheduler, Scheduler.RR);
  t.match(compiled({ mode: "ipvs", ipvs: { scheduler: "mh" } }), {
    scheduler: Scheduler.MH,
    endpoints: [{ weight: 4 }],
  });
  for (const mode of ["iptables", "nftables", "ipvs"]) {
    t.equal(compiled({ mode }, { leastConnections: true }).scheduler, Scheduler.WLC, mode);
  }
  t.equal(compiled({ mode: "userspace" }, { leastConnections: true }).scheduler, Scheduler.RR);
  t.same(compiled({ mode: "userspace" }).endpoints[0].weight, undefined);
  const unused: E[] = [HERE, ["10.244.1.6", "node1", "x"], ["10.244.1.7", "node1", "n"]];
  t.equal(compiled({}, {}, unused).endpoints.length, 1);
  t.equal(compiled({}, { resetRemovedEndpoints: true }, unused).endpoints.length, 3, "not gone yet");
});
