// Policies of a lab as its commands tell them, held to what happens: who reaches whom and what a change would change, live;
// counters to the packet; the rule that let each connection in.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { agentSocket } from "../../src/lab/state-dir.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { run, sleep } from "../../src/testing/lab/process.ts";
import { testPolicy } from "../../src/testing/world/policy-world.ts";

const OUTSIDE = "192.168.50.100";
const skip = cannotRun("curl", "socat");
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });

function server(name: string, node: string, port: number, portName: string): object {
  const ports = [
    { name: portName, containerPort: port, protocol: "TCP" },
    { name: "udp", containerPort: 9000, protocol: "UDP" },
  ];
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels: { app: name } } },
    spec: { nodeName: node, containers: [{ name: "main", image: "podwire/echo", ports }] },
  };
}

const dbPolicy = (peers: object[]): object =>
  testPolicy("allow-db-access", {
    ...app("db"),
    policyTypes: ["Ingress"],
    ingress: [{ from: peers, ports: [{ port: "sql" }, { protocol: "UDP", port: 9000 }] }],
  });
const AUDITED = testPolicy(
  "try-backend",
  { ...app("backend"), policyTypes: ["Ingress"], ingress: [] },
  { annotations: { "podwire.dev/enforcement": "audit" } },
);
const objects = (): object[] => [
  server("frontend", "node1", 80, "http"),
  server("backend", "node2", 8080, "http"),
  server("db", "node1", 5432, "sql"),
  client("shell", "node2"),
  dbPolicy([app("backend")]),
];

interface Cell {
  from: string;
  to: string;
  port: number;
  protocol: string;
  allowed: boolean;
}

const jsonLines = (text: string): Cell[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Cell);

class Told {
  readonly lab: TestLab;
  readonly ip: Record<string, string> = {};

  constructor(lab: TestLab) {
    this.lab = lab;
  }

  async learn(...pods: string[]): Promise<void> {
    for (const pod of pods) this.ip[pod] = await this.lab.podAddress(pod);
  }

  async connects(from: string, to: string, port: number): Promise<boolean> {
    const words = ["curl", "-s", "-m", "2", "-o", "/dev/null", `http://${this.ip[to] ?? to}:${port}/`];
    return (await this.lab.exec(from, words)).status === 0;
  }

  /** So many datagrams, each a connection of its own. */
  async datagrams(from: string, to: string, count: number, firstPort: number): Promise<void> {
    const address = `UDP4-SENDTO:${this.ip[to]}:9000,sourceport=$((${firstPort} + i))`;
    const script = `i=0; while [ $i -lt ${count} ]; do echo x | socat -u - ${address}; i=$((i + 1)); done`;
    const { status, stderr } = await this.lab.exec(from, ["sh", "-c", script]);
    if (status !== 0) throw new Error(stderr);
  }

  async policies(node: string): Promise<Record<string, unknown[]>> {
    const { items } = await this.lab.json("show", "policies", "--node", node);
    return Object.fromEntries(
      items.map((row: Record<string, unknown>) => [
        `${row.policy} ${row.direction} ${row.rule}`,
        [row.action, row.packets, row.matched],
      ]),
    );
  }

  async metrics(node: string): Promise<Record<string, number>> {
    const words = ["curl", "-s", "http://127.0.0.1:10249/metrics"];
    const { stdout } = await this.lab.exec(`node/${node}`, words);
    const found = stdout.matchAll(
      /^podwire_policy_packets_total\{policy="(.*?)",direction="(.*?)",verdict="(.*?)"\} (\d+)$/gm,
    );
    return Object.fromEntries(
      [...found].map(([, policy, direction, verdict, count]) => [
        `${policy} ${direction} ${verdict}`,
        Number(count),
      ]),
    );
  }

  async apply(...policies: object[]): Promise<void> {
    const input = Buffer.from(JSON.stringify({ apiVersion: "v1", kind: "List", items: policies }));
    await this.lab.output(["apply", "-f", "-"], { input });
    await sleep(300);
  }
}

t.test("what commands tell of policies in a lab", { skip }, async (t) => {
  const lab = await TestLab.up("policy-view", { objects: objects() });
  t.teardown(() => lab.down());
  const told = new Told(lab);
  await told.learn("frontend", "backend", "db");
  const matrix = async (...args: string[]): Promise<Cell[]> =>
    jsonLines(await lab.output(["policy", "matrix", "-o", "json", ...args]));

  t.test("counters: ten allowed, five denied, three on trial, and nothing else", async (t) => {
    await told.apply(AUDITED);
    await told.datagrams("backend", "db", 10, 40_000);
    await told.datagrams("frontend", "db", 5, 41_000);
    await told.datagrams("frontend", "backend", 3, 42_000);
    const isolation = "ingress no rule matches";
    t.same(await told.policies("node1"), {
      "default/allow-db-access ingress ingress[0]": ["allow", 10, "yes"],
      [`default/allow-db-access ${isolation}`]: ["deny", 5, "yes"],
      [`default/try-backend ${isolation}`]: ["deny (audit)", 0, "never"],
    });
    t.same(await told.policies("node2"), {
      "default/allow-db-access ingress ingress[0]": ["allow", 0, "never"],
      [`default/allow-db-access ${isolation}`]: ["deny", 0, "never"],
      [`default/try-backend ${isolation}`]: ["deny (audit)", 3, "yes"],
    });
    const zeros = ["allowed", "denied", "would-deny"].flatMap((verdict) =>
      ["allow-db-access", "try-backend"].map((name) => [`default/${name} ingress ${verdict}`, 0]),
    );
    const counts = (more: object): object => ({ ...Object.fromEntries(zeros), ...more });
    const db = "default/allow-db-access ingress";
    t.same(await told.metrics("node1"), counts({ [`${db} allowed`]: 10, [`${db} denied`]: 5 }));
    t.same(await told.metrics("node2"), counts({ "default/try-backend ingress would-deny": 3 }));
    const drops = await lab.json("show", "drops", "--node", "node1");
    t.equal(drops.items.find((row: { reason: string }) => row.reason === "POLICY_DENY")?.packets, 5);
    const rows = await lab.json("conntrack", "list", "-p", "udp", "--node", "node2", "-d", told.ip.backend);
    t.equal(rows.items.length, 3);
    for (const { policy } of rows.items)
      t.same(policy, {
        ingress: {
          action: "audit",
          rule: "isolated by default/try-backend; no rule matches",
          policies: ["default/try-backend"],
        },
      });
    await lab.output(["delete", "netpol", "try-backend"]);
  });

  t.test("the matrix of the running lab is what connections find, pod by pod and from outside", async (t) => {
    const cells = await matrix(
      "--from",
      "app in (frontend,backend,db)",
      "--to",
      "app in (frontend,backend,db)",
    );
    const tcp = cells.filter(({ from, to, protocol }) => from !== to && protocol === "TCP");
    t.equal(tcp.length, 6);
    for (const { from, to, port, allowed } of tcp) {
      const [source, target] = [from, to].map((name) => name.replace("default/", ""));
      t.equal(await told.connects(source, target, port), allowed, `${source} -> ${target}:${port}`);
    }
    const outside = await matrix("--from", OUTSIDE, "--to", "app=db", "--port", "5432");
    t.same(
      outside.map(({ from, to, allowed }) => [from, to, allowed]),
      [[OUTSIDE, "default/db", false]],
    );
    t.equal(await told.connects("outside", "db", 5432), false);
    for (const [node, allowed] of [
      ["node1", true],
      ["node2", false],
    ] as const) {
      const [cell] = await matrix("--from", `node/${node}`, "--to", "default/db", "--port", "5432");
      t.equal(cell.allowed, allowed, `${node} in the matrix`);
      t.equal(await told.connects(`node/${node}`, "db", 5432), allowed, `${node} in the lab`);
    }
  });

  t.test("a node agent knows as much as the lab", async (t) => {
    const whole = await matrix();
    for (const node of ["node1", "node2"]) {
      const socket = agentSocket(lab.name, node);
      const words = [join(import.meta.dirname, "../../../podwire"), "--agent", socket, "policy", "matrix"];
      const { stdout, stderr } = await run([...words, "-o", "json"]);
      t.same(jsonLines(stdout), whole, `${node} ${stderr}`);
    }
  });

  t.test("--expect: what is so holds, what is not is named, status 3", async (t) => {
    const good = await lab.output(["policy", "matrix", "-o", "json"]);
    const held = await lab.podwire(["policy", "matrix", "--expect", "-"], { input: good });
    t.equal(held.status, 0, held.stderr);
    const bad = `${JSON.stringify({ from: "app=frontend", to: "app=db", port: 5432, allowed: true })}\n`;
    const failed = await lab.podwire(["policy", "matrix", "--expect", "-"], { input: bad });
    t.equal(failed.status, 3);
    t.match(
      failed.stderr,
      /-:1: app=frontend -> app=db 5432\/TCP is denied, not allowed: .*isolated by default\/allow-/,
    );
  });

  t.test("diff: what applying changes, said before, found after", async (t) => {
    const next = join(lab.folder, "next.json");
    await writeFile(next, JSON.stringify(dbPolicy([app("frontend")])));
    const said = await lab.podwire(["policy", "diff", "-f", next, "-o", "json"]);
    t.equal(said.status, 3, said.stderr);
    const lines = said.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const brief = lines.map(({ from, to, port, protocol, before, after }) =>
      [from, to, `${port}/${protocol}`, before, after].join(" "),
    );
    t.same(brief, [
      "default/backend default/db 5432/TCP true false",
      "default/backend default/db 9000/UDP true false",
      "default/frontend default/db 5432/TCP false true",
      "default/frontend default/db 9000/UDP false true",
    ]);
    t.equal(await told.connects("backend", "db", 5432), true);
    t.equal(await told.connects("frontend", "db", 5432), false);
    await lab.output(["apply", "-f", next]);
    await sleep(300);
    t.equal(await told.connects("backend", "db", 5432), false);
    t.equal(await told.connects("frontend", "db", 5432), true);
    const again = await lab.podwire(["policy", "diff", "-f", next]);
    t.equal(again.status, 0, again.stdout);
    t.equal(again.stderr, "no pair changes\n");
  });

  t.test("diff: pods that the lab's controllers would make of NEW, and those that they made", async (t) => {
    const next = join(lab.folder, "more.json");
    const container = { name: "main", image: "podwire/host", command: ["sleep", "infinity"] };
    const template = {
      metadata: { labels: { app: "frontend", run: "more" } },
      spec: { containers: [container] },
    };
    const deployment = {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "more", namespace: "default" } },
      spec: { replicas: 2, selector: { matchLabels: { run: "more" } }, template },
    };
    const guard = testPolicy("no-knocking", { ...app("backend"), policyTypes: ["Ingress"] });
    const items = [deployment, guard];
    await writeFile(next, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    const asked = ["--from", "run=more", "--from", "app=db", "--to", "app in (db,backend)", "--port", "5432"];
    const said = await lab.podwire(["policy", "diff", "-f", next, ...asked]);
    t.equal(said.status, 3, said.stderr);
    const rows = said.stdout
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) =>
        line
          .replaceAll(/more-\w+-\w+/g, "more")
          .split(/ {2,}/)
          .slice(0, 5),
      );
    const both = "default/more, default/more";
    t.same(rows, [
      ["default/db", "default/backend", "5432/TCP", "yes", "no"],
      [both, "default/backend", "5432/TCP", "-", "no"],
      [both, "default/db", "5432/TCP", "-", "yes"],
    ]);
    await lab.output(["apply", "-f", next]);
    await lab.output(["rollout", "status", "deploy/more"]);
    await sleep(300);
    t.equal(await told.connects("deploy/more", "db", 5432), true);
    t.equal(await told.connects("deploy/more", "backend", 8080), false);
    t.equal((await lab.podwire(["policy", "diff", "-f", next])).status, 0);
    await lab.output(["delete", "-f", next]);
  });

  t.test("each connection names the rule that let it in, and what became of it", async (t) => {
    const keep = ["socat", "-u", "EXEC:sleep 15", `TCP4:${told.ip.db}:5432,sourceport=45000`];
    await told.apply(dbPolicy([app("nobody"), app("backend")]));
    const running = lab.exec("backend", keep, { timeoutMs: 30_000 });
    await sleep(1000);
    const list = async (node: string): Promise<string> =>
      lab.output(["conntrack", "list", "-p", "tcp", "--sport", "45000", "-o", "extended", "--node", node]);
    const rule = "default/allow-db-access ingress[0].from[1].ports[0]";
    const line = await list("node1");
    t.match(line, /^ipv4 +2 tcp +6 \d+ ESTABLISHED .* use=1 policy-ingress="/);
    t.ok(line.trimEnd().endsWith(` policy-ingress="${rule}"`), line);
    t.notMatch(await list("node2"), /policy-/, "nothing isolates what the backend sends");
    await told.apply(dbPolicy([app("backend"), app("frontend")]));
    t.ok((await list("node1")).trimEnd().endsWith(`"${rule} (rule since changed)"`));
    await lab.output(["delete", "netpol", "allow-db-access"]);
    await sleep(300);
    t.ok((await list("node1")).trimEnd().endsWith(`"${rule} (rule since removed)"`));
    await running;
  });

  t.test("check: with the object's name, status 3", async (t) => {
    await told.apply(testPolicy("nobody", app("dbb")), dbPolicy([app("backend")]));
    const { status, stdout } = await lab.podwire(["policy", "check"]);
    t.equal(status, 3);
    t.equal(stdout, "NetworkPolicy default/nobody: spec.podSelector: selects no pod\n");
    await lab.output(["delete", "netpol", "nobody"]);
    const well = await lab.podwire(["policy", "check"]);
    t.equal(well.status, 0, well.stdout);
    t.equal(well.stderr, "nothing suspicious in 1 policy\n");
  });
});
