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
