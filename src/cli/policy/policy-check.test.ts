import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const EXAMPLE = new URL("../../../../src/calico/felix/testdata/three-tier.yaml", import.meta.url).pathname;
const commands = new CommandLine();
t.teardown(() => commands.close());
const folder = t.testdir({});

const pod = (namespace: string, name: string, app: string, ip: string, port = ""): string => `
apiVersion: v1
kind: Pod
metadata: { namespace: ${namespace}, name: ${name}, labels: { ${app} } }
spec: { nodeName: node1, containers: [{ name: c, image: i, ports: [{ containerPort: 80${port} }] }] }
status: { phase: Running, podIP: ${ip} }
`;
const policy = (name: string, spec: string, more = ""): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { namespace: shop, name: ${name}${more} }
spec:
${spec}
`;
const above = (name: string, priority: number, rules: string): string => `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: ${name} }
spec:
  tier: Admin
  priority: ${priority}
  subject: { namespaces: {} }
  ingress:
${rules}
`;
const WEB = pod("shop", "web", "app: web", "10.244.1.2", ", name: http");
const API = pod("shop", "api", "app: api", "10.244.1.3");

/** The findings about these objects, without folder; the exit status. */
function check(...objects: string[]): { status: number; told: string[]; stderr: string } {
  const file = join(folder, "all.yaml");
  writeFileSync(file, objects.join("---"));
  const { status, stdout, stderr } = commands.run(["policy", "check", "-f", file]);
  const lines = stdout.trimEnd().split("\n");
  const told = lines.filter(Boolean).map((line) => line.replace(`${folder}/`, ""));
  return { status, told, stderr };
}

t.test("the three tiers are well: status 0", async (t) => {
  const { status, stdout, stderr } = commands.run(["policy", "check", "-f", EXAMPLE]);
  t.equal(status, 0, stdout);
  t.equal(stdout, "");
  t.equal(stderr, "nothing suspicious in 2 policies\n");
});

t.test(
  "who selects nobody, whom nobody is, which port nobody has: with file and line; status 3",
  async (t) => {
    const found = check(
      WEB,
      API,
      policy("nobody", "  podSelector: { matchLabels: { app: wbe } }"),
      policy(
        "peers",
        `  podSelector: { matchLabels: { app: web } }
  ingress:
    - from:
        - podSelector: { matchLabels: { app: api } }
        - namespaceSelector: { matchLabels: { team: ops } }
      ports: [{ port: http }, { port: metrics }]
  egress:
    - to: [{ podSelector: { matchLabels: { app: api } } }, { ipBlock: { cidr: 192.0.2.0/24 } }]
      ports: [{ port: http }]`,
      ),
    );
    t.equal(found.status, 3, found.stderr);
    t.same(found.told, [
      'all.yaml:18:3: document 3: NetworkPolicy "nobody": spec.podSelector: selects no pod',
      'all.yaml:28:11: document 4: NetworkPolicy "peers": spec.ingress[0].from[1]: matches no pod',
      'all.yaml:29:31: document 4: NetworkPolicy "peers": spec.ingress[0].ports[1]: ' +
        'no pod that it selects has a port "metrics"',
      'all.yaml:32:15: document 4: NetworkPolicy "peers": spec.egress[0].ports[0]: ' +
        'no pod that it leads to has a port "http"',
    ]);
  },
);

t.test("rules of a direction that policyTypes leave out have no effect, be they none", async (t) => {
  const web = "  podSelector: { matchLabels: { app: web } }";
  const told = (spec: string): string[] => check(WEB, API, policy("p", `${web}\n${spec}`)).told;
  const place = (line: number, field: string, type: string): string =>
    `all.yaml:${line}:3: document 3: NetworkPolicy "p": spec.${field}: has no effect: ${type} is not among the policyTypes`;
  t.same(told("  policyTypes: [Ingress]\n  egress: [{}]"), [place(20, "egress", "Egress")]);
  t.same(told("  egress: []"), [place(19, "egress", "Egress")], "what does not close the way out");
  t.same(told("  policyTypes: [Egress]\n  ingress: []"), [place(20, "ingress", "Ingress")]);
  t.same(told("  egress: [{}]"), [], "rules make it one of the types");
  t.same(told("  policyTypes: [Ingress, Egress]\n  ingress: []\n  egress: []"), []);
});

t.test(
  "rules that others cover: of the same policy, of another one, of a tier above, by order",
  async (t) => {
    const all =
      "  podSelector: {}\n  ingress:\n    - from: [{ podSelector: {} }]\n      ports: [{ port: 80, endPort: 90 }]";
    const one =
      "  podSelector: { matchLabels: { app: web } }\n  ingress:\n    - from: [{" +
      " podSelector: { matchLabels: { app: api } } }]";
    const deny =
      "    - { action: Deny, from: [{ namespaces: { matchLabels: { kubernetes.io/metadata.name: shop } } }] }";
    const texts = (...objects: string[]): string[] =>
      check(WEB, API, ...objects).told.map((line) => line.replace(/^.*document \d+: /, ""));
    t.same(texts(policy("a-all", all), policy("b-one", `${one}\n      ports: [{ port: 85 }]`)), [
      'NetworkPolicy "b-one": spec.ingress[0]: adds nothing: shop/a-all ingress[0] allows all of it',
    ]);
    t.same(texts(policy("a-one", `${one}\n      ports: [{ port: 85 }]`), policy("b-all", all)), [
      'NetworkPolicy "a-one": spec.ingress[0]: adds nothing: shop/b-all ingress[0] allows all of it',
    ]);
    t.same(
      texts(policy("all", all), policy("more", `${one}\n      ports: [{ port: 91 }]`), policy("any", one)),
      ['NetworkPolicy "more": spec.ingress[0]: adds nothing: shop/any ingress[0] allows all of it'],
    );
    t.same(texts(policy("one", one), policy("two", one)), [
      'NetworkPolicy "two": spec.ingress[0]: adds nothing: shop/one ingress[0] allows all of it',
    ]);
    t.same(
      texts(policy("one", one), policy("trial", one, ", annotations: { podwire.dev/enforcement: audit }")),
      [],
    );
    const everybody = "    - { action: Accept, from: [{ namespaces: {} }] }";
    t.same(texts(above("first", 1, everybody), above("second", 2, deny), policy("one", one)), [
      'ClusterNetworkPolicy "second": spec.ingress[0]: is never asked: first ingress[0] (Accept) comes first',
      'NetworkPolicy "one": spec.ingress[0]: is never asked: first ingress[0] (Accept) comes first',
    ]);
    t.same(texts(above("first", 2, everybody), above("second", 1, deny)), [], "in the order of priorities");
    t.same(texts(above("first", 1, everybody.replace("Accept", "Pass")), policy("one", one)), []);
  },
);

t.test("pods that cannot reach the cluster's DNS are named with the reason", async (t) => {
  const dns = pod("kube-system", "coredns-1", "k8s-app: kube-dns", "10.244.1.4").replace(
    "containerPort: 80",
    "name: dns, containerPort: 1053, protocol: UDP",
  );
  const closed = "  podSelector: { matchLabels: { app: web } }\n  policyTypes: [Egress]";
  const isolated = "egress: isolated by shop/closed; no rule matches";
  const told = (protocol: string): string =>
    `all.yaml:24:3: document 4: NetworkPolicy "closed": shop/web: cannot reach the cluster's DNS (kube-system/coredns-1) by ${protocol}: ${isolated}`;
  t.same(check(WEB, API, dns, policy("closed", closed)).told, [told("UDP"), told("TCP")]);
  const open =
    `${closed}\n  egress:\n    - to: [{ namespaceSelector: {} }]\n      ports: [{ port:` +
    ` 1053, protocol: UDP }]`;
  t.same(check(WEB, API, dns, policy("closed", open)).told, [told("TCP")], "a port of its own");
  t.same(check(WEB, API, policy("closed", closed)).told, [], "nobody serves DNS");
});

t.test("-o json: a line a finding, with its place", async (t) => {
  const file = join(folder, "json.yaml");
  writeFileSync(file, [WEB, policy("nobody", "  podSelector: { matchLabels: { app: wbe } }")].join("---"));
  const { stdout, status } = commands.run(["policy", "check", "-f", file, "-o", "json"]);
  t.equal(status, 3);
  t.same(JSON.parse(stdout), {
    ...{ check: "selects-nobody", kind: "NetworkPolicy", namespace: "shop", name: "nobody" },
    ...{ field: "spec.podSelector", file, line: 12 },
    text: `${file}:12:3: document 2: NetworkPolicy "nobody": spec.podSelector: selects no pod`,
  });
});
