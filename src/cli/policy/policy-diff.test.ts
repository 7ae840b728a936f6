import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const EXAMPLE = new URL("../../../../src/calico/felix/testdata/three-tier.yaml", import.meta.url).pathname;
const commands = new CommandLine();
t.teardown(() => commands.close());
const folder = t.testdir({});
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const diff = (next: string, against: string, ...args: string[]): ReturnType<CommandLine["run"]> =>
  commands.run(["policy", "diff", "-f", next, "--against", against, ...args]);
const cells = (text: string): string[][] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {3,}/));

const ACCESS = file(
  "access.yaml",
  `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: allow-db-access }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: backend } } }, { podSelector: { matchLabels: { app: frontend } } }]
      ports: [{ port: 5433 }]
`,
);

t.test(
  "a policy that is changed: pairs with before, after and why, at ports of it too; status 3",
  async (t) => {
    const { stdout, stderr, status } = diff(ACCESS, EXAMPLE);
    t.equal(status, 3, stderr);
    const rule = (n: number): string => `default/allow-db-access ingress[0].from[${n}].ports[0]`;
    t.same(cells(stdout), [
      ["FROM", "TO", "PORT", "BEFORE", "AFTER", "REASON"],
      [
        ...["default/backend", "default/db", "5432/TCP", "yes", "no"],
        "ingress: isolated by default/allow-db-access; no rule matches",
      ],
      ["default/backend", "default/db", "5433/TCP", "no", "yes", rule(0)],
      ["default/frontend", "default/db", "5433/TCP", "no", "yes", rule(1)],
    ]);
    const [first] = diff(ACCESS, EXAMPLE, "-o", "json").stdout.split("\n");
    t.same(JSON.parse(first), {
      ...{
        from: "default/backend",
        to: "default/db",
        port: 5432,
        protocol: "TCP",
        before: true,
        after: false,
      },
      ...{
        policies: ["default/allow-db-access"],
        reason: "ingress: isolated by default/allow-db-access; no rule matches",
      },
    });
  },
);

const OUT = file(
  "out.yaml",
  `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: out }
spec:
  podSelector: { matchLabels: { app: frontend } }
  policyTypes: [Egress]
  egress:
    - to: [{ podSelector: {} }]
    - to: [{ ipBlock: { cidr: 203.0.113.0/24 } }]
      ports: [{ port: 443 }]
`,
);
const brief = (text: string): string[] =>
  cells(text)
    .slice(1)
    .map(([from, to, port, before, after]) => [from, to, port, before, after].join(" "));

t.test("ways from and to nodes and addresses outside: said, and with --world told", async (t) => {
  const pods = diff(OUT, EXAMPLE);
  t.equal(pods.status, 3);
  t.equal(pods.stdout, "");
  const hint = "ways from or to nodes or addresses outside";
  t.equal(pods.stderr, `no pair of pods changes, but ${hint} do: --world shows them\n`);
  const shut = file(
    "shut.yaml",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: shut }\n" +
      "spec: { podSelector: { matchLabels: { app: frontend } }, policyTypes: [Egress] }\n",
  );
  const both = diff(shut, EXAMPLE);
  t.equal(both.stderr, `${hint} change, too: --world shows them\n`);
  t.same(brief(both.stdout), ["default/frontend default/backend 8080/TCP yes no"]);
  const all = diff(OUT, EXAMPLE, "--world", "-o", "json");
  t.equal(all.status, 3, all.stderr);
  const lines = all.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const rest = "0.0.0.0/0 except 169.254.169.254/32, 203.0.113.0/24";
  t.same(
    lines.map(({ from, to, port, before, after }) => [from, to, port, before, after].join(" ")).sort(),
    [
      ...["::/0", rest].flatMap((to) => [80, 443].map((port) => `default/frontend ${to} ${port} true false`)),
      "default/frontend 203.0.113.0/24 80 true false",
      ...["node/node1", "node/node2"].flatMap((to) =>
        [80, 443].map((port) => `default/frontend ${to} ${port} true false`),
      ),
    ].sort(),
  );
});

t.test("--from, --to and --port: only what is asked about", async (t) => {
  const asked = ["--from", "app=frontend", "--to", "203.0.113.0/25", "--port", "80", "--port", "443/TCP"];
  t.same(brief(diff(OUT, EXAMPLE, ...asked).stdout), ["default/frontend 203.0.113.0/25 80/TCP yes no"]);
  const none = diff(OUT, EXAMPLE, "--from", "203.0.113.7", "--to", "app=frontend");
  t.equal(none.status, 0);
  t.equal(none.stderr, "no pair changes\n");
  const node = diff(OUT, EXAMPLE, "--from", "default", "--to", "node/node2", "--port", "53/UDP");
  t.same(brief(node.stdout), ["default/frontend node/node2 53/UDP yes no"]);
  const wrong: [args: string[], status: number, message: RegExp][] = [
    [["--from", "nosuch"], 1, /--from nosuch: no such namespace: there is default$/],
    [["--port", "x"], 2, /--port x: use NUMBER\/TCP/],
  ];
  for (const [args, status, message] of wrong) {
    const said = diff(OUT, EXAMPLE, ...args);
    t.equal(said.status, status);
    t.match(said.stderr.trimEnd(), message);
  }
});

t.test("labels mean whoever has them in either state", async (t) => {
  const pod = file(
    "renamed.yaml",
    `
apiVersion: v1
kind: Pod
metadata: { name: frontend, labels: { app: web } }
spec: { containers: [{ name: c, image: podwire/echo, ports: [{ containerPort: 80 }] }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web }
spec: { podSelector: { matchLabels: { app: web } } }
`,
  );
  for (const to of ["app=web", "app=frontend"])
    t.same(brief(diff(pod, EXAMPLE, "--to", to).stdout), [
      "default/backend, default/db default/frontend 80/TCP yes no",
    ]);
});

t.test("the same again changes nothing: status 0", async (t) => {
  const { stdout, stderr, status } = diff(EXAMPLE, EXAMPLE.replace("three-tier", "./three-tier"));
  t.equal(status, 0, stderr);
  t.equal(stdout, "");
  t.equal(stderr, "no pair changes\n");
});

t.test("labels of a pod change, its place and address stay; a new pod has no before", async (t) => {
  const pod = (name: string, app: string, status = ""): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: c, image: podwire/echo, ports: [{ containerPort: 80 }] }] }
${status}
`;
  const next = file(
    "pods.yaml",
    [pod("frontend", "backend"), pod("late", "backend", "status: { podIP: 10.244.2.77 }")].join("---"),
  );
  const { stdout, stderr, status } = diff(next, EXAMPLE);
  t.equal(status, 3, stderr);
  const rows = cells(stdout).map(([from, to, port, before, after]) =>
    [from, to, port, before, after].join(" "),
  );
  t.ok(rows.includes("default/frontend default/db 5432/TCP no yes"), stdout);
  t.ok(
    rows.some((row) => /^default\/.*late.* default\/db 5432\/TCP - yes$/.test(row)),
    stdout,
  );
});

t.test("workloads: pods that are scaled away are gone, those that stay keep what they had", async (t) => {
  const state = (replicas: number, more = ""): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: i, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec: { containers: [{ name: c, image: i, ports: [{ containerPort: 81 }] }] }
${more}`;
  const closed = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed }
spec: { podSelector: { matchLabels: { app: web } } }
`;
  const before = file("before.yaml", state(3));
  const scaled = diff(file("scaled.yaml", state(2)), before, "-o", "json");
  t.equal(scaled.status, 3, scaled.stderr);
  const lines = scaled.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.ok(lines.every((line) => line.before === true && line.after === null));
  t.equal(lines.length, 7, "the one that is gone, with each of four, in both directions, itself once");
  const closing = cells(diff(file("closed.yaml", state(3, closed)), before).stdout);
  t.same(
    closing.map(([from, , port, was, is]) => [from.replace(/web-\S+/, "web"), port, was, is].join(" ")),
    ["FROM PORT BEFORE AFTER", "default/client and 3 more 80/TCP yes no"],
  );
});

t.test("what is asked wrongly is refused", async (t) => {
  const without = commands.run(["policy", "diff", "--against", EXAMPLE]);
  t.equal(without.status, 2);
  t.match(without.stderr, /policy diff: which manifests\? podwire policy diff -f NEW\.yaml/);
  const bad = file(
    "bad.yaml",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: A }\nspec: {}\n",
  );
  const refused = diff(bad, EXAMPLE);
  t.equal(refused.status, 1);
  t.match(refused.stderr, /bad\.yaml:3:\d+: document 1: NetworkPolicy "A": metadata\.name: Invalid value/);
});
