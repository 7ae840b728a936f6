import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CommandLine } from "../../testing/command-line.ts";

const EXAMPLE = new URL("../../../../src/calico/felix/testdata/three-tier.yaml", import.meta.url).pathname;
const commands = new CommandLine();
t.teardown(() => commands.close());
const matrix = (...args: string[]): ReturnType<CommandLine["run"]> =>
  commands.run(["policy", "matrix", "-f", EXAMPLE, ...args]);
const lines = (text: string): string[] => text.trimEnd().split("\n");

t.test("three tiers: a table of who can reach whom, equal rows as one", async (t) => {
  const { stdout, stderr, status } = matrix();
  t.equal(status, 0, stderr);
  t.same(
    lines(stdout).map((line) => line.split(/ {3,}/)),
    [
      ["FROM \\ TO", "default/backend 8080/TCP", "default/db 5432/TCP", "default/frontend 80/TCP"],
      ["default/backend", "self", "yes", "yes"],
      ["default/db, default/frontend", "yes", "no", "yes"],
    ],
  );
});

t.test("-o wide names the policies and the reason, a line a pair", async (t) => {
  const { stdout } = matrix("-o", "wide", "--to", "app=db", "--port", "5432");
  t.same(
    lines(stdout).map((line) => line.split(/ {3,}/)),
    [
      ["FROM", "TO", "PORT", "ALLOWED", "POLICIES", "REASON"],
      [
        ...["default/backend", "default/db", "5432/TCP", "yes", "default/allow-db-access"],
        "default/allow-db-access ingress[0].from[0].ports[0]",
      ],
      [
        ...["default/db, default/frontend", "default/db", "5432/TCP", "no", "default/allow-db-access"],
        "ingress: isolated by default/allow-db-access; no rule matches",
      ],
    ],
  );
});

t.test("-o json and csv: a line a cell, ports as asked, pods before a known address", async (t) => {
  const asked = ["--from", "default/frontend", "--to", "default/db", "--to", "169.254.169.254"];
  const ports = ["--port", "5432/tcp", "--port", "53/UDP"];
  const cell = (to: string, port: number, protocol: string, policy: string, reason: string) => ({
    ...{ from: "default/frontend", to, port, protocol, allowed: false, policies: [policy], reason },
  });
  const isolated = "ingress: isolated by default/allow-db-access; no rule matches";
  const denied = "no-metadata egress[0].to[0]";
  const wanted = [
    cell("default/db", 5432, "TCP", "default/allow-db-access", isolated),
    cell("default/db", 53, "UDP", "default/allow-db-access", isolated),
    cell("169.254.169.254", 5432, "TCP", "no-metadata", denied),
    cell("169.254.169.254", 53, "UDP", "no-metadata", denied),
  ];
  const { stdout } = matrix(...asked, ...ports, "-o", "json");
  t.same(
    lines(stdout).map((line) => JSON.parse(line)),
    wanted,
  );
  t.same(lines(matrix(...asked, ...ports, "-o", "csv").stdout), [
    "from,to,port,protocol,allowed,policies,reason",
    ...wanted.map(({ to, port, protocol, policies, reason }) =>
      [`default/frontend,${to},${port},${protocol}`, `false,${policies},${reason}`].join(),
    ),
  ]);
});

t.test(
  "--world: nodes and addresses outside, cut where policies cut them; a dash where no pod is in it",
  async (t) => {
    const { stdout, stderr, status } = matrix("--world");
    t.equal(status, 0, stderr);
    t.same(
      lines(stdout).map((line) => line.split(/ {3,}/)),
      [
        [
          ...["FROM \\ TO", "default/backend 8080/TCP", "default/db 5432/TCP", "default/frontend 80/TCP"],
          ...["node/node1 and 3 more 80/TCP", "169.254.169.254/32 80/TCP"],
        ],
        ["default/backend", "self", "yes", "yes", "yes", "no"],
        ["default/db, default/frontend", "yes", "no", "yes", "yes", "no"],
        ["node/node1", "yes", "yes", "yes", "-", "-"],
        ["node/node2 and 3 more", "yes", "no", "yes", "-", "-"],
      ],
    );
    const cells = lines(matrix("--world", "-o", "json").stdout).map((line) => JSON.parse(line));
    t.equal(cells.length, 3 * 8 + 5 * 3, "each with a pod in it");
    const names = [...new Set(cells.map(({ from }) => from))];
    t.same(names.slice(3), [
      ...["node/node1", "node/node2"],
      ...["0.0.0.0/0 except 169.254.169.254/32", "169.254.169.254/32", "::/0"],
    ]);
    const expected = join(t.testdir({}), "printed.jsonl");
    writeFileSync(expected, cells.map((cell) => JSON.stringify(cell)).join("\n"));
    const held = matrix("--expect", expected);
    t.equal(held.status, 0, `what was printed is held to: ${held.stderr}`);
  },
);

t.test("a range means addresses that are no pod's, a node is known by its name", async (t) => {
  const asked = (...args: string[]): string[] =>
    lines(matrix(...args, "-o", "json").stdout).map((line) => {
      const { from, to, allowed } = JSON.parse(line);
      return `${from} ${to} ${allowed}`;
    });
  t.same(asked("--from", "nodes", "--to", "default/db"), [
    "node/node1 default/db true",
    "node/node2 default/db false",
  ]);
  t.same(asked("--from", "10.244.0.0/16", "--to", "default/db"), ["10.244.0.0/16 default/db false"]);
  t.same(asked("--from", "default/db", "--to", "169.254.169.0/24"), [
    "default/db 169.254.169.0/24 except 169.254.169.254/32 true",
    "default/db 169.254.169.254/32 false",
  ]);
  t.same(asked("--from", "world", "--to", "default/frontend", "--port", "9/SCTP"), [
    "0.0.0.0/0 except 169.254.169.254/32 default/frontend true",
    "169.254.169.254/32 default/frontend true",
    "::/0 default/frontend true",
  ]);
});

t.test(
  "what a node sends to another node's pod comes out of the tunnel, or not: allowed where both are",
  async (t) => {
    const file = join(t.testdir({}), "nodes.yaml");
    const policy = (cidrs: string): string => `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nodes }
spec:
  podSelector: { matchLabels: { app: frontend } }
  ingress: [{ from: [${cidrs}] }]
`;
    const block = (cidr: string): string => `{ ipBlock: { cidr: ${cidr} } }`;
    const six = ["fd00:50::/64", "fd00:10:244:2::/128"].map((cidr) => block(`"${cidr}"`));
    const cases: [name: string, blocks: string[], allowed: boolean, reason: RegExp][] = [
      [
        "the node's",
        [block("192.168.50.0/24"), ...six],
        false,
        /IPv4: from 192\.168\.50\.12: .*from\[0\]; from 10\.244\.2\.0: .*no rule/,
      ],
      ["its tunnel's", [block("10.244.2.0/32"), ...six], false, /from 192\.168\.50\.12: .*no rule/],
      ["both", [block("192.168.50.12/32"), block("10.244.2.0/32"), ...six], true, /^IPv4: from 192/],
    ];
    for (const [name, blocks, allowed, reason] of cases) {
      writeFileSync(file, policy(blocks.join(", ")));
      const { stdout } = matrix("-f", file, "--from", "node/node2", "--to", "app=frontend", "-o", "json");
      const cell = JSON.parse(stdout);
      t.equal(cell.allowed, allowed, name);
      t.match(cell.reason, reason, name);
    }
  },
);

t.test("--expect: status 0 where all holds, 3 and each line named where not", async (t) => {
  const folder = t.testdir({});
  const file = (name: string, ...texts: object[]): string => {
    const path = join(folder, name);
    writeFileSync(path, texts.map((text) => `${JSON.stringify(text)}\n`).join("\n"));
    return path;
  };
  const all = lines(matrix("-o", "json").stdout).map((line) => JSON.parse(line));
  const good = file("good.jsonl", ...all, { from: "default", to: "default/backend", port: 1, allowed: true });
  const { status, stdout, stderr } = matrix("--expect", good);
  t.equal(status, 0, stderr);
  t.equal(stdout, "");
  t.equal(stderr, "10 of 10 expectations hold\n");
  const sql = { port: 5432, protocol: "TCP" };
  const bad = file(
    "bad.jsonl",
    { from: "default/backend", to: "default/db", ...sql, allowed: true },
    { from: "default/frontend", to: "default/db", ...sql, allowed: true },
    { from: "default", to: "app=db", ...sql, allowed: false },
    { from: "default/db", to: "app=db", ...sql, allowed: false },
  );
  const failed = matrix("--expect", bad, "-o", "json");
  t.equal(failed.status, 3);
  t.equal(lines(failed.stdout).length, 9, "-o asks for the matrix as well");
  t.same(lines(failed.stderr), [
    `${bad}:3: default/frontend -> default/db 5432/TCP is denied, not allowed: ` +
      "ingress: isolated by default/allow-db-access; no rule matches",
    `${bad}:5: default -> app=db 5432/TCP is allowed, not denied: ` +
      "default/backend -> default/db: default/allow-db-access ingress[0].from[0].ports[0]",
    `${bad}:7: default/db -> app=db 5432/TCP is allowed, not denied: ` +
      "default/db -> default/db: a pod may always connect to its own address",
    "1 of 4 expectations hold",
  ]);
  const broken = file("broken.jsonl", { from: "default/x", to: "default/db", ...sql, allowed: true });
  const unknown = matrix("--expect", broken);
  t.equal(unknown.status, 1);
  t.match(
    unknown.stderr,
    /broken\.jsonl:1: from: default\/x: no such pod: there is default\/backend, default\/db/,
  );
  writeFileSync(broken, '{"from":"a"}\n[]\n{"from":"a/b","to":"c/d","port":"x","allowed":true}\n');
  const told = lines(matrix("--expect", broken).stderr);
  t.match(
    told[0],
    /broken\.jsonl:1: to: missing: use NAMESPACE\/POD, a namespace, labels, an address or a CIDR$/,
  );
  t.match(told[1], /broken\.jsonl:2: not a JSON object$/);
  t.match(told[2], /broken\.jsonl:3: port: "x": use a number from 1 to 65535$/);
});

t.test("pods by the words of other commands; a node reaches its own pods, and why is said", async (t) => {
  const one = lines(matrix("--from", "pod/frontend", "--to", "pod/default/db", "-o", "csv").stdout);
  t.match(one[1], /^default\/frontend,default\/db,5432,TCP,false,/);
  const nodes = lines(matrix("--from", "nodes", "--to", "app=db", "-o", "csv").stdout);
  t.same(nodes.slice(1), [
    "node/node1,default/db,5432,TCP,true,,a node may always connect to its own pods",
    "node/node2,default/db,5432,TCP,false,default/allow-db-access,ingress: isolated by default/allow-db-access; no rule matches",
  ]);
});

t.test("what is asked wrongly is refused with one line", async (t) => {
  const cases: [args: string[], status: number, message: RegExp][] = [
    [["--port", "http"], 2, /--port http: use NUMBER\/TCP, NUMBER\/UDP, NUMBER\/SCTP or ICMP$/],
    [["--port", "65536/TCP"], 2, /--port 65536\/TCP: use/],
    [["-o", "xml"], 2, /-o xml: unknown output form: use one of table, wide, json, csv, yaml$/],
    [["--from", "shop"], 1, /--from shop: no such namespace: there is default$/],
    [
      ["--from", "node/x"],
      1,
      /--from node\/x: no such node with an address: there is node\/node1, node\/node2$/,
    ],
    [["--from", "10.0.0.0/33"], 1, /--from 10\.0\.0\.0\/33: is no CIDR such as 192\.0\.2\.0\/24$/],
    [["--to", "10.244.1.0/31"], 1, /it has no address that is no pod's and no node's$/],
    [
      ["--to", "10.244.1.10/32"],
      1,
      /--to 10\.244\.1\.10\/32: it has no address that is no pod's and no node's$/,
    ],
    [["--from", "frontend"], 1, /no such namespace: there is default; the pod is default\/frontend$/],
    [["--from", "pod/x"], 1, /--from default\/x: no such pod: there is default\/backend, /],
    [["--from", "app in (x"], 2, /--from app in \(x: not a label requirement such as/],
    [["--to", "app=web"], 1, /--to app=web: no pod with an address of its own has these labels$/],
    [["--agent", "/x"], 2, /two sources of objects/],
    [["--expect", "/dev/null"], 1, /--expect \/dev\/null: no expectations in it/],
  ];
  for (const [args, status, message] of cases) {
    const said = matrix(...args);
    t.equal(said.status, status, args.join(" "));
    t.match(said.stderr.trimEnd(), message);
    t.equal(lines(said.stderr).length, 1, said.stderr);
  }
});

t.test("pods of manifests and of workloads have the addresses that a cluster would give them", async (t) => {
  const file = join(t.testdir({}), "web.yaml");
  writeFileSync(
    file,
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 5
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: i, ports: [{ containerPort: 80 }] }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed, namespace: shop }
spec: { podSelector: {} }
`,
  );
  const { stdout, stderr, status } = commands.run(["policy", "matrix", "-f", file, "--to", "shop"]);
  t.equal(status, 0, stderr);
  t.match(stdout, /^FROM \\ TO +shop\/web-\w+-\w+ and 4 more 80\/TCP\nshop\/web-\w+-\w+ and 4 more +no\n$/);
});
