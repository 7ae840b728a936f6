// Whatever way a cluster came by its objects, the table says the same, by the same rules, as one compiled from these objects
// at once: random pods, labels, namespaces, nodes and policies that come, change and go.
import fc from "fast-check";
import t from "tap";
import { Pace } from "../../base/pace.ts";
import { ACTION_BITS, ACTION_MASK, NO_ROW } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { CompiledPolicy } from "../../testing/policy/compiled-policy.ts";
import { testClusterPolicy, testNamespace, testPod, testPolicy } from "../../testing/world/policy-world.ts";
import { formatRule } from "./rule-names.ts";

const RUNS = 60;
const PLACES = [0, 1, 2, 3, 4, 5];
const NAMESPACES = ["a", "b"];
const PORTS = [
  [6, 80],
  [6, 90],
  [17, 80],
  [132, 7],
  [1, 0],
] as const;
const OTHERS = [
  "192.168.50.11",
  "192.168.50.12",
  "169.254.169.254",
  "203.0.113.7",
  "203.0.113.200",
  "2001:db8::1",
];

/** Of pods on node1. */
const OWN = PLACES.filter((i) => i % 2 === 0).flatMap((i) => [`10.244.1.${i}`, `fd00::${i}`]);

const value = fc.constantFrom("x", "y");
const labels = fc.record({ role: value }, { requiredKeys: [] });
const selector = fc.oneof(
  fc.constant({}),
  value.map((role) => ({ matchLabels: { role } })),
  value.map((role) => ({ matchExpressions: [{ key: "role", operator: "NotIn", values: [role] }] })),
  fc.constant({ matchExpressions: [{ key: "role", operator: "Exists" }] }),
);
const block = fc.constantFrom(
  { cidr: "0.0.0.0/0", except: ["203.0.113.128/25"] },
  { cidr: "203.0.113.0/24" },
  { cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] },
  { cidr: "10.0.0.0/8" },
  { cidr: "10.244.0.0/16", except: ["10.244.1.2/31"] },
  { cidr: "10.244.1.2/31" },
  { cidr: "192.168.50.0/28", except: ["192.168.50.11/32"] },
  { cidr: "::/0" },
  { cidr: "::/0", except: ["fd00::2/127", "2001:db8::/32"] },
  { cidr: "fd00::/126" },
);
const peer = fc.oneof(
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
  fc
    .tuple(selector, selector)
    .map(([namespaceSelector, podSelector]) => ({ namespaceSelector, podSelector })),
  block.map((ipBlock) => ({ ipBlock })),
);
const port = fc.constantFrom<object>(
  { port: 80 },
  { protocol: "UDP" },
  { protocol: "TCP", port: 80, endPort: 95 },
  { port: "web" },
  { protocol: "SCTP", port: 7 },
);
const rule = (peers: "from" | "to") =>
  fc.record({ [peers]: fc.array(peer, { maxLength: 2 }), ports: fc.array(port, { maxLength: 2 }) });
const networkSpec = fc.record({
  podSelector: selector,
  policyTypes: fc.constantFrom(["Ingress"], ["Egress"], ["Ingress", "Egress"]),
  ingress: fc.array(rule("from"), { maxLength: 2 }),
  egress: fc.array(rule("to"), { maxLength: 2 }),
});
const clusterPeer = fc.oneof(
  selector.map((namespaces) => ({ namespaces })),
  selector.map((podSelector) => ({ pods: { podSelector } })),
);
const clusterRule = (peers: "from" | "to") =>
  fc.record({
    action: fc.constantFrom("Accept", "Deny", "Pass"),
    [peers]: fc.array(
      peers === "from"
        ? clusterPeer
        : fc.oneof(
            clusterPeer,
            selector.map((nodes) => ({ nodes })),
            fc.array(block, { minLength: 1, maxLength: 2 }).map((blocks) => ({
              networks: blocks.map(({ cidr }) => cidr),
            })),
          ),
      { minLength: 1, maxLength: 2 },
    ),
    protocols: fc.constantFrom<object[]>(
      [],
      [{ tcp: { destinationPort: { number: 80 } } }],
      [{ destinationNamedPort: "web" }],
    ),
  });
const clusterSpec = fc.record({
  tier: fc.constantFrom("Admin", "Baseline"),
  priority: fc.integer({ min: 0, max: 3 }),
  subject: clusterPeer,
  ingress: fc.array(clusterRule("from"), { maxLength: 2 }),
  egress: fc.array(clusterRule("to"), { maxLength: 2 }),
});
const audit = fc.constantFrom({}, {}, {}, { "podwire.dev/enforcement": "audit" });

const onePod = (i: number) =>
  fc
    .record({
      at: fc.constantFrom(...NAMESPACES),
      labels,
      ended: fc.boolean(),
      port: fc.constantFrom(80, 90),
    })
    .map((p) => {
      const pod = testPod({
        name: `p${i}`,
        namespace: p.at,
        labels: p.labels,
        ips: [`10.244.1.${i}`, `fd00::${i}`],
        node: i % 2 === 0 ? "node1" : "node2",
        ports: [`web=${p.port}/TCP`],
      });
      return p.ended && i === 5 ? { ...pod, status: { ...pod.status, phase: "Failed" } } : pod;
    });
const state = fc
  .tuple(
    fc.tuple(...PLACES.map((i) => fc.option(onePod(i)))),
    fc.tuple(labels, labels, audit),
    fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(...NAMESPACES), networkSpec, audit), {
      maxLength: 4,
    }),
    fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), clusterSpec), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(1, 2), labels), { maxLength: 2 }),
  )
  .map(([pods, [a, b, notes], policies, cluster, nodeLabels]) => {
    const nodes = nodeLabels.map(([n, given]) => ({
      ...{ apiVersion: "v1", kind: "Node", metadata: { name: `node${n}`, labels: given }, spec: {} },
      status: { addresses: [{ type: "InternalIP", address: `192.168.50.1${n}` }] },
    }));
    const objects: object[] = [
      testNamespace("a", a as Record<string, string>, notes),
      testNamespace("b", b as Record<string, string>),
      ...nodes,
      ...pods.filter((pod) => pod !== null),
      ...policies.map(([n, namespace, spec, annotations]) =>
        testPolicy(`n${n}`, spec, { namespace, annotations }),
      ),
      ...cluster.map(([n, spec]) => testClusterPolicy(`c${n}`, spec)),
    ];
    const byName = new Map(objects.map((o) => [nameOf(o as KubeObject), o as KubeObject]));
    return [...byName.values()];
  });

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

/** Every verdict about every pod, peer and port, by the rules' names. */
function allVerdicts(world: CompiledPolicy): string[] {
  const pods = PLACES.flatMap((i) => [`10.244.1.${i}`, `fd00::${i}`]);
  const text = (verdict: number): string =>
    `${verdict & ACTION_MASK} ${formatRule(world.compiler.names.nameOf(verdict >> ACTION_BITS))}`;
  const lines: string[] = [];
  for (const own of pods) {
    const subject = world.subjectOf(own);
    if (subject < 0) continue;
    const rows = {
      egress: policy.egressRow(world.table, subject),
      ingress: policy.ingressRow(world.table, subject),
    };
    for (const [direction, row] of Object.entries(rows)) {
      for (const [proto, number] of PORTS) {
        const [way, family] = [direction === "egress" ? 0 : 1, own.includes(":") ? 6 : 4] as const;
        const self = policy.decideSelf(world.table, subject, way, family, proto, number);
        lines.push(`${own} ${direction} itself ${proto}/${number} ${text(self)}`);
        if (row === NO_ROW) continue;
        for (const other of [...pods, ...OTHERS]) {
          const verdict = policy.decide(world.table, row, world.identityOf(other), proto, number);
          lines.push(`${own} ${direction} ${other} ${proto}/${number} ${text(verdict)}`);
        }
      }
    }
  }
  return lines;
}

function compare(changing: CompiledPolicy, objects: readonly KubeObject[]): void {
  const fresh = new CompiledPolicy();
  fresh.become(objects);
  const [now, wanted] = [allVerdicts(changing), allVerdicts(fresh)];
  for (const [i, line] of wanted.entries()) if (line !== now[i]) throw new Error(`${now[i]}, not ${line}`);
  if (now.length !== wanted.length) throw new Error(`${now.length} verdicts, not ${wanted.length}`);
}

t.test("any way leads to the same table", async (t) => {
  fc.assert(
    fc.property(fc.array(state, { minLength: 2, maxLength: 5 }), (states) => {
      const changing = new CompiledPolicy();
      for (const objects of states) {
        changing.become(objects);
        compare(changing, objects);
      }
    }),
    { numRuns: RUNS, seed: 20_261_129 },
  );
  t.pass(`${RUNS} ways`);
});

t.test("what changes while a change is compiled, step by step, belongs to the next one", async (t) => {
  let steps = 0;
  fc.assert(
    fc.property(fc.array(state, { minLength: 2, maxLength: 4 }), (states) => {
      const changing = new CompiledPolicy(new Pace(1));
      for (const [i, objects] of states.entries()) {
        steps += changing.becomeSlowly(objects, states[i + 1] ?? objects);
        compare(changing, objects);
      }
    }),
    { numRuns: RUNS, seed: 20_261_130 },
  );
  t.ok(steps > 20 * RUNS, `${steps} steps`);
});

t.test(
  "a node that looks at others' pods only when there are policies decides the same of its own",
  async (t) => {
    let without = 0;
    fc.assert(
      fc.property(
        fc.array(state, { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 0, max: 3 }),
        (states, first) => {
          const own = new CompiledPolicy(new Pace(), "node1");
          for (const [i, objects] of states.entries()) {
            const isBare = i < first;
            const some = isBare ? objects.filter(({ kind }) => !kind.endsWith("Policy")) : objects;
            if (isBare) without++;
            own.become(some);
            const everybody = new CompiledPolicy();
            everybody.become(some);
            const [now, all] = [own, everybody].map(allVerdicts);
            const wanted = all.filter((line) => OWN.some((address) => line.startsWith(`${address} `)));
            if (now.join() !== wanted.join()) throw new Error(`${now.join("\n")}\nnot\n${wanted.join("\n")}`);
          }
        },
      ),
      { numRuns: RUNS, seed: 20_261_201 },
    );
    t.ok(without > RUNS / 2, `${without} states without policies`);
  },
);

t.test("of others' pods and of nodes nothing is kept before there is a policy", async (t) => {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node2" }, spec: {} };
  const status = { addresses: [{ type: "InternalIP", address: "192.168.50.12" }] };
  const pod = (name: string, on: string, n: number): object =>
    testPod({ name, labels: { app: name }, ips: [`10.244.1.${n}`], node: on });
  const objects = [
    ...[testNamespace("default"), { ...node, status }],
    ...[pod("a", "node1", 1), pod("b", "node2", 2), pod("c", "node2", 3)],
  ] as KubeObject[];
  const world = new CompiledPolicy(new Pace(), "node1");
  world.become(objects);
  t.equal(world.compiler.sizes.classes, 1);
  t.ok(world.subjectOf("10.244.1.1") >= 0, "its own pod is known: its port is not closed");
  world.become(objects.filter(({ metadata }) => metadata.name !== "a"));
  t.equal(world.compiler.sizes.classes, 0, "and is forgotten when it goes");
  const policies = [testPolicy("p", { podSelector: {}, ingress: [] })] as KubeObject[];
  world.become([...objects, ...policies]);
  t.equal(world.compiler.sizes.classes, 3);
  t.not(world.identityOf("192.168.50.12"), world.identityOf("203.0.113.7"), "nodes, too");
});
