// What the worked cells do not ask: each rule of the API's text once, and the words of an answer.
import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import t from "tap";
import { clusterOf, type Labels, type Named } from "./cluster.ts";
import { type Cell, evaluate, matches } from "./evaluator.ts";

const NODES = [
  {
    kind: "Node",
    metadata: { name: "n1", labels: { zone: "a" } },
    status: { addresses: [{ address: "192.0.2.1" }] },
  },
  {
    kind: "Node",
    metadata: { name: "n2", labels: { zone: "b" } },
    status: { addresses: [{ address: "192.0.2.2" }] },
  },
];

function pod(name: string, ip: string, spec: object = {}, status: object = {}): Named {
  return {
    kind: "Pod",
    metadata: { name, namespace: "shop", labels: { app: name } },
    spec: { nodeName: "n1", containers: [{ name: "c" }], ...spec },
    status: { phase: "Running", podIP: ip, podIPs: [{ ip }, { ip: `fd00::${ip.split(".")[3]}` }], ...status },
  } as Named;
}

const A = pod("a", "10.0.0.1");
const B = pod("b", "10.0.0.2");

function policy(name: string, spec: object): Named {
  return { kind: "NetworkPolicy", metadata: { name, namespace: "shop" }, spec } as Named;
}

function clusterPolicy(name: string, spec: object): Named {
  const all = { tier: "Admin", priority: 1, subject: { namespaces: {} }, ...spec };
  return { kind: "ClusterNetworkPolicy", metadata: { name }, spec: all } as Named;
}

const of = (...objects: Named[]): ReturnType<typeof clusterOf> =>
  clusterOf([...(NODES as Named[]), ...objects]);
const tcp = (from: string, to: string, port = 80): Cell => ({ from, to, protocol: "TCP", port });
const DENY_ALL = policy("deny-all", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
const ingress = (rule: object): Named => policy("p", { podSelector: {}, ingress: [rule] });

t.test("an answer names the rule that allows, and the policies that isolate", async (t) => {
  const allow = policy("allow-a", {
    podSelector: { matchLabels: { app: "b" } },
    ingress: [
      { from: [{ podSelector: { matchLabels: { app: "z" } } }] },
      {
        from: [{ ipBlock: { cidr: "172.16.0.0/12" } }, { podSelector: { matchLabels: { app: "a" } } }],
        ports: [{ port: 80 }],
      },
    ],
  });
  const deny = policy("deny-in", { podSelector: {}, policyTypes: ["Ingress"] });
  const good = evaluate(of(A, B, allow, deny), tcp("10.0.0.1", "10.0.0.2"));
  t.equal(good.ingress.why, "shop/allow-a ingress[1].from[1].ports[0]");
  t.same(good.ingress.policies, ["shop/allow-a"]);
  t.equal(good.egress.why, "no policy says otherwise");
  const bad = evaluate(of(A, B, allow, deny), tcp("10.0.0.1", "10.0.0.2", 81));
  t.equal(bad.ingress.why, "isolated by shop/allow-a, shop/deny-in; no rule matches");
  t.same(bad.ingress.policies, ["shop/allow-a", "shop/deny-in"]);
  const cluster = evaluate(
    of(A, B, clusterPolicy("no", { egress: [{ action: "Deny", to: [{ namespaces: {} }] }] })),
    tcp("10.0.0.1", "10.0.0.2"),
  );
  t.equal(cluster.egress.why, "no egress[0] Deny (Admin tier)");
});

t.test(
  "a pod reaches its own address; through its Service a ClusterNetworkPolicy is asked, a NetworkPolicy not",
  async (t) => {
    const self = tcp("10.0.0.1", "10.0.0.1");
    const hairpin = { ...self, byService: true };
    const never = (tier: string): Named =>
      clusterPolicy("no", { tier, ingress: [{ action: "Deny", from: [{ namespaces: {} }] }] });
    t.ok(evaluate(of(A, DENY_ALL, never("Admin")), self).allowed);
    t.ok(evaluate(of(A, DENY_ALL), hairpin).allowed);
    t.notOk(evaluate(of(A, DENY_ALL, never("Admin")), hairpin).allowed);
    t.ok(
      evaluate(of(A, DENY_ALL, never("Baseline")), hairpin).allowed,
      "the isolating policy's verdict is final",
    );
    t.notOk(evaluate(of(A, never("Baseline")), hairpin).allowed);
  },
);

t.test(
  "a pod's own node reaches it, another node does not; the way to a node is egress like any other",
  async (t) => {
    t.ok(evaluate(of(A, DENY_ALL), tcp("192.0.2.1", "10.0.0.1")).allowed);
    t.notOk(evaluate(of(A, DENY_ALL), tcp("192.0.2.2", "10.0.0.1")).allowed);
    t.notOk(evaluate(of(A, DENY_ALL), tcp("10.0.0.1", "192.0.2.1")).allowed);
  },
);

t.test("pods of the host's network are neither subject nor peer, only their node's address", async (t) => {
  const host = pod("host", "192.0.2.2", { hostNetwork: true, nodeName: "n2" });
  t.ok(
    evaluate(
      of(A, host, policy("p", { podSelector: { matchLabels: { app: "host" } }, policyTypes: ["Ingress"] })),
      tcp("10.0.0.1", "192.0.2.2"),
    ).allowed,
  );
  t.notOk(
    evaluate(of(A, host, ingress({ from: [{ podSelector: {} }] })), tcp("192.0.2.2", "10.0.0.1")).allowed,
  );
  t.ok(
    evaluate(
      of(A, host, ingress({ from: [{ ipBlock: { cidr: "192.0.2.2/32" } }] })),
      tcp("192.0.2.2", "10.0.0.1"),
    ).allowed,
  );
});

t.test("an address of a finished pod belongs to the pod that has it now", async (t) => {
  const done = pod("done", "10.0.0.1", {}, { phase: "Succeeded" });
  const onlyA = ingress({ from: [{ podSelector: { matchLabels: { app: "a" } } }] });
  t.ok(evaluate(of(done, A, B, onlyA), tcp("10.0.0.1", "10.0.0.2")).allowed);
  t.notOk(evaluate(of(done, B, onlyA), tcp("10.0.0.1", "10.0.0.2")).allowed);
  t.ok(evaluate(of(done, DENY_ALL), tcp("10.0.0.9", "10.0.0.1")).allowed, "nobody is there");
});

t.test(
  "a named port is the destination's own, of its protocol; sidecars have some, ended init containers none",
  async (t) => {
    const port = (name: string, containerPort: number, protocol = "TCP"): object => ({
      ports: [{ name, containerPort, protocol }],
    });
    const b = pod("b", "10.0.0.2", {
      containers: [port("web", 8080)],
      initContainers: [{ ...port("side", 9090), restartPolicy: "Always" }, port("gone", 7070)],
    });
    const named = (name: string, protocol = "TCP"): Named => ingress({ ports: [{ port: name, protocol }] });
    t.ok(evaluate(of(A, b, named("web")), tcp("10.0.0.1", "10.0.0.2", 8080)).allowed);
    t.notOk(evaluate(of(A, b, named("web")), tcp("10.0.0.1", "10.0.0.2", 80)).allowed);
    t.notOk(
      evaluate(of(A, b, named("web", "UDP")), { ...tcp("10.0.0.1", "10.0.0.2", 8080), protocol: "UDP" })
        .allowed,
    );
    t.ok(evaluate(of(A, b, named("side")), tcp("10.0.0.1", "10.0.0.2", 9090)).allowed);
    t.notOk(evaluate(of(A, b, named("gone")), tcp("10.0.0.1", "10.0.0.2", 7070)).allowed);
    const out = policy("p", {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [{ ports: [{ port: "web" }] }],
    });
    t.notOk(
      evaluate(of(A, b, out), tcp("10.0.0.1", "198.51.100.1", 8080)).allowed,
      "what is no pod has no names",
    );
  },
);

t.test("a protocol without ports passes a rule without ports, and no other", async (t) => {
  const ping = { ...tcp("10.0.0.1", "10.0.0.2", 0), protocol: "ICMP" };
  t.ok(evaluate(of(A, B, ingress({})), ping).allowed);
  t.notOk(evaluate(of(A, B, ingress({ ports: [{}] })), ping).allowed, "a port without protocol is TCP");
  const action = (protocols?: object[]): Named =>
    clusterPolicy("no", { ingress: [{ action: "Deny", from: [{ namespaces: {} }], protocols }] });
  t.notOk(evaluate(of(A, B, action()), ping).allowed);
  t.ok(evaluate(of(A, B, action([{ tcp: {} }, { udp: {} }])), ping).allowed);
});

t.test("blocks keep to their family, and except takes from its own block alone", async (t) => {
  const from = (...blocks: object[]): Named => ingress({ from: blocks.map((ipBlock) => ({ ipBlock })) });
  const six = tcp("fd00::1", "fd00::2");
  t.notOk(evaluate(of(A, B, from({ cidr: "0.0.0.0/0" })), six).allowed);
  t.ok(evaluate(of(A, B, from({ cidr: "::/0" })), six).allowed);
  t.notOk(evaluate(of(A, B, from({ cidr: "::/0" })), tcp("10.0.0.1", "10.0.0.2")).allowed);
  const cut = { cidr: "10.0.0.0/24", except: ["10.0.0.0/31"] };
  t.notOk(evaluate(of(A, B, from(cut)), tcp("10.0.0.1", "10.0.0.2")).allowed);
  t.ok(evaluate(of(A, B, from(cut, { cidr: "10.0.0.1/32" })), tcp("10.0.0.1", "10.0.0.2")).allowed);
});

t.test(
  "policy types that are left out: egress where there is a rule for it, an empty list is none",
  async (t) => {
    const out = (spec: object): boolean =>
      evaluate(of(A, B, policy("p", { podSelector: {}, ...spec })), tcp("10.0.0.1", "192.0.2.9")).allowed;
    t.ok(out({}));
    t.ok(out({ egress: [] }));
    t.ok(out({ egress: [], policyTypes: [] }));
    t.notOk(out({ egress: [{ to: [{ podSelector: {} }] }] }));
    t.notOk(out({ egress: [{ to: [{ podSelector: {} }] }], policyTypes: [] }));
    t.ok(
      out({ egress: [{ to: [{ podSelector: {} }] }], policyTypes: ["Ingress"] }),
      "named types are all there are",
    );
  },
);

t.test(
  "tiers: lower priorities first, names between equals, Pass leaves the tier, nodes and networks are egress peers",
  async (t) => {
    const rule = (action: string, to: object[] = [{ namespaces: {} }]): object => ({
      egress: [{ action, to }],
    });
    const go = (...objects: Named[]): boolean =>
      evaluate(of(A, B, ...objects), tcp("10.0.0.1", "10.0.0.2")).allowed;
    t.notOk(
      go(
        clusterPolicy("z", { priority: 1, ...rule("Deny") }),
        clusterPolicy("a", { priority: 2, ...rule("Accept") }),
      ),
    );
    t.notOk(go(clusterPolicy("b", rule("Accept")), clusterPolicy("a", rule("Deny"))));
    t.ok(go(clusterPolicy("a", rule("Accept")), DENY_ALL, ingress({})), "Accept is not asked again");
    t.ok(go(clusterPolicy("a", rule("Pass")), clusterPolicy("b", { priority: 2, ...rule("Deny") })));
    t.notOk(go(clusterPolicy("a", rule("Pass")), clusterPolicy("b", { tier: "Baseline", ...rule("Deny") })));
    const node = (to: string, zone: string): boolean =>
      evaluate(
        of(A, clusterPolicy("n", rule("Deny", [{ nodes: { matchLabels: { zone } } }]))),
        tcp("10.0.0.1", to),
      ).allowed;
    t.notOk(node("192.0.2.2", "b"));
    t.ok(node("192.0.2.2", "a"));
    t.notOk(
      go(clusterPolicy("net", rule("Deny", [{ networks: ["10.0.0.77/24"] }]))),
      "bits beyond the prefix say nothing",
    );
  },
);

t.test("selectors: NotIn is satisfied by a missing key, an empty value is a value", async (t) => {
  const expression = (operator: string, values?: string[]): LabelSelector => ({
    matchExpressions: [{ key: "k", operator, ...(values !== undefined && { values }) }],
  });
  const table: [string, string[] | undefined, object, boolean][] = [
    ["In", ["a", ""], {}, false],
    ["In", ["a", ""], { k: "" }, true],
    ["NotIn", ["a"], {}, true],
    ["NotIn", ["a"], { k: "a" }, false],
    ["NotIn", ["a"], { k: "b" }, true],
    ["Exists", undefined, { k: "" }, true],
    ["Exists", undefined, {}, false],
    ["DoesNotExist", undefined, { k: "" }, false],
    ["DoesNotExist", undefined, {}, true],
  ];
  for (const [operator, values, labels, want] of table) {
    t.equal(
      matches(expression(operator, values), labels as Labels),
      want,
      `${operator} ${values} ${JSON.stringify(labels)}`,
    );
  }
  t.notOk(matches({ matchLabels: { k: "" } }, {}));
  t.notOk(matches({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {}));
});

t.test("both ends of a range of ports are in it", async (t) => {
  const ranged = ingress({ ports: [{ port: 80, endPort: 82 }] });
  const denied = clusterPolicy("r", {
    ingress: [
      {
        action: "Deny",
        from: [{ namespaces: {} }],
        protocols: [{ tcp: { destinationPort: { range: { start: 80, end: 82 } } } }],
      },
    ],
  });
  for (const [port, inside] of [
    [79, false],
    [80, true],
    [82, true],
    [83, false],
  ] as const) {
    t.equal(evaluate(of(A, B, ranged), tcp("10.0.0.1", "10.0.0.2", port)).allowed, inside);
    t.equal(evaluate(of(A, B, denied), tcp("10.0.0.1", "10.0.0.2", port)).allowed, !inside);
  }
});
