import t from "tap";
import { parseManifests } from "../manifest/manifest.ts";

/** The problems of a policy with this spec, without their place. */
function problemsOf(spec: string): string[] {
  const text = `{ apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: { name: p }, ${spec} }`;
  try {
    parseManifests([{ file: "a.yaml", text }]);
  } catch (error) {
    return (error as { problems: { message: string }[] }).problems.map(({ message }) => message);
  }
  return [];
}

const HEAD = "tier: Admin, priority: 5, subject: { namespaces: {} }";
const ingress = (rule: string): string => `spec: { ${HEAD}, ingress: [{ ${rule} }] }`;
const egress = (rule: string): string => `spec: { ${HEAD}, egress: [{ ${rule} }] }`;

const cases: [what: string, spec: string, want: string[]][] = [
  ["no more than a head", `spec: { ${HEAD} }`, []],
  ["a rule", ingress("name: all, action: Deny, from: [{ namespaces: {} }]"), []],
  ["every peer", egress("action: Pass, to: [{ nodes: {} }, { networks: [10.1.2.3/8, '::/0'] }]"), []],
  [
    "every protocol",
    ingress(
      `action: Accept, from: [{ pods: { podSelector: {} } }], protocols: [{ tcp: { destinationPort: { number: 1 } } },
       { udp: { destinationPort: { range: { start: 1, end: 2 } } } }, { destinationNamedPort: dns }]`,
    ),
    [],
  ],
  ["no spec", "status: { conditions: [] }", ["spec: Required value"]],
  [
    "an empty spec",
    "spec: {}",
    ["spec.priority: Required value", "spec.subject: Required value", "spec.tier: Required value"],
  ],
  [
    "two subjects",
    "spec: { tier: Admin, priority: 1, subject: { namespaces: {}, pods: { podSelector: {} } } }",
    ["spec.subject: Too many: 2: must have at most 1 item"],
  ],
  [
    "an action of before",
    ingress("action: Allow, from: [{ namespaces: {} }]"),
    ['spec.ingress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"'],
  ],
  [
    "named ports of networks",
    egress("action: Deny, to: [{ networks: [1.0.0.0/8] }], protocols: [{ destinationNamedPort: web }]"),
    [
      "spec.egress[0]: Invalid value: networks/nodes/domainNames peer cannot be set with namedPorts since there are no " +
        "namedPorts for networks/nodes/domainNames",
    ],
  ],
  [
    "a named port without a name",
    ingress("action: Deny, from: [{ namespaces: {} }], protocols: [{ destinationNamedPort: '' }]"),
    ["spec.ingress[0].protocols[0].destinationNamedPort: Required value"],
  ],
  [
    "names of domains",
    egress("action: Accept, to: [{ domainNames: [example.com] }]"),
    [
      "spec.egress[0].to[0].domainNames: Forbidden: podwire has no view of DNS yet, so it does not know the addresses " +
        "of names: give them as networks",
    ],
  ],
  [
    "a selector that nobody can evaluate",
    ingress("action: Deny, from: [{ namespaces: { matchExpressions: [{ key: a, operator: In }] } }]"),
    [
      "spec.ingress[0].from[0].namespaces.matchExpressions[0].values: Required value: must be specified when " +
        "`operator` is 'In' or 'NotIn'",
    ],
  ],
];

for (const [what, spec, want] of cases) t.test(what, async (t) => t.same(problemsOf(spec), want));

const MANIFEST = `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: guard }
spec:
  tier: admin
  priority: 5
  subject: { namespaces: {} }
  egress:
    - action: Deny
      to:
        - networks: [10.0.0.0/8, 10.0.0.0/8]
        - pods: { namespaceSelector: {} }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db }
spec:
  podSelector: {}
  ingress:
    - from:
        - ipBlock: { cidr: 10.0.0.0/8 }
          podSelector: {}
      ports:
        - { port: http, endPort: 90 }
`;

t.test("every problem of a policy is told with its place", async (t) => {
  const problem = (() => {
    try {
      parseManifests([{ file: "a.yaml", text: MANIFEST }]);
    } catch (error) {
      return (error as Error).message.split("\n");
    }
    return [];
  })();
  const [first, second] = [': document 1: ClusterNetworkPolicy "guard"', ': document 2: NetworkPolicy "db"'];
  t.same(problem, [
    `a.yaml:5:9${first}: spec.tier: Unsupported value: "admin": supported values: "Admin", "Baseline"`,
    `a.yaml:11:34${first}: spec.egress[0].to[0].networks[1]: Duplicate value: "10.0.0.0/8"`,
    `a.yaml:12:11${first}: spec.egress[0].to[1].pods.podSelector: Required value`,
    `a.yaml:24:34${second}: spec.ingress[0].ports[0].endPort: Invalid value: 90: may not be specified when ` +
      "`port` is non-numeric",
    `a.yaml:21:11${second}: spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer`,
  ]);
});
