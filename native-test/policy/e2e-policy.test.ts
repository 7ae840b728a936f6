// Policies in a lab of two nodes, tried with real programs: who reaches whom by TCP, UDP, SCTP and ping, in both families,
// what is told of what does not arrive, and what becomes of connections when a policy comes.
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod } from "../../src/testing/lab/objects.ts";
import { sleep, until } from "../../src/testing/lab/process.ts";
import { testClusterPolicy, testPolicy } from "../../src/testing/world/policy-world.ts";
import { podAddress6 } from "../support/ipv6-scenario.ts";

const PEER = fileURLToPath(new URL("../support/sctp-peer.js", import.meta.url));
const SCTP_PORT = 2905;
const DUAL = "10.244.0.0/16,fd00:10:244::/56";
const CLIENTS = [
  { name: "outside", address: "192.168.50.100" },
  { name: "banned", address: "192.168.50.101" },
];
const skip = cannotRun("curl", "socat", "ping");
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });

const DENY_ALL = testPolicy("deny-all", { podSelector: {}, policyTypes: ["Ingress"] });
const ALLOW_DB = testPolicy("allow-db-access", {
  ...app("db"),
  policyTypes: ["Ingress"],
  ingress: [
    { from: [app("backend")], ports: [{ port: "http" }, { protocol: "UDP", port: 9000, endPort: 9001 }] },
  ],
});
const ALLOW_SCTP = testPolicy("allow-sctp", {
  ...app("m3ua"),
  policyTypes: ["Ingress"],
  ingress: [{ from: [app("backend")], ports: [{ protocol: "SCTP", port: SCTP_PORT }] }],
});
const BACKEND_OUT = testPolicy("backend-out", {
  ...app("backend"),
  policyTypes: ["Egress"],
  egress: [
    { to: [{ namespaceSelector: {} }] },
    { to: [{ ipBlock: { cidr: "192.168.50.0/24", except: ["192.168.50.101/32"] } }] },
  ],
});

function objects(): object[] {
  const command = [process.execPath, PEER, "serve", String(SCTP_PORT)];
  return [
    client("frontend", "node1"),
    client("backend", "node1"),
    client("far-frontend", "node2"),
    pod("db", "node1"),
    pod("far-db", "node2", { app: "db" }),
    pod("m3ua", "node2", { command }),
  ];
}

class Knocking {
  readonly lab: TestLab;

  constructor(lab: TestLab) {
    this.lab = lab;
  }

  async tcp(from: string, to: string, port = 8080): Promise<boolean> {
    const host = to.includes(":") ? `[${to}]` : to;
    const words = ["curl", "-s", "-m", "2", "-o", "/dev/null", `http://${host}:${port}/`];
    return (await this.lab.exec(from, words)).status === 0;
  }

  async udp(from: string, to: string, port = 9000): Promise<boolean> {
    const host = to.includes(":") ? `UDP6:[${to}]:${port}` : `UDP4:${to}:${port}`;
    const { stdout } = await this.lab.exec(from, ["socat", "-t1", "-T2", "-", host], {
      input: Buffer.from("hello"),
    });
    return stdout.length > 0;
  }

  async ping(from: string, to: string): Promise<boolean> {
    return (await this.lab.exec(from, ["ping", "-n", "-c", "1", "-W", "1", to])).status === 0;
  }

  async sctp(from: string, to: string): Promise<boolean> {
    const words = [process.execPath, PEER, "ask", to, String(SCTP_PORT), "10", "0"];
    return (await this.lab.exec(from, words, { timeoutMs: 8000 })).status === 0;
  }

  async dropped(reason: string): Promise<number> {
    let sum = 0;
    for (const node of ["node1", "node2"]) {
      const { items } = await this.lab.json("show", "drops", "--node", node);
      sum += items.find((d: { reason: string }) => d.reason === reason)?.packets ?? 0;
    }
    return sum;
  }

  async apply(...policies: object[]): Promise<void> {
    const input = Buffer.from(JSON.stringify({ apiVersion: "v1", kind: "List", items: policies }));
    await this.lab.output(["apply", "-f", "-"], { input });
    await sleep(300);
  }
}

t.test("policies in a lab", { skip }, async (t) => {
  const lab = await TestLab.up("policy", { clusterCIDR: DUAL, clients: CLIENTS, objects: objects() });
  t.teardown(() => lab.down());
  const k = new Knocking(lab);
  const v4 = { db: await lab.podAddress("db"), farDb: await lab.podAddress("far-db") };
  const v6 = { db: await podAddress6(lab, "db"), farDb: await podAddress6(lab, "far-db") };
  const m3ua = await lab.podAddress("m3ua");

  t.test("without policies everybody reaches everybody", async (t) => {
    for (const to of [v4.db, v4.farDb, v6.db, v6.farDb]) {
      t.ok(await k.tcp("frontend", to), `TCP to ${to}`);
      t.ok(await k.udp("frontend", to), `UDP to ${to}`);
    }
    t.ok(await k.sctp("frontend", m3ua), "SCTP");
    t.ok(await k.ping("frontend", v4.farDb), "ping");
    t.equal(await k.dropped("POLICY_DENY"), 0);
  });

  t.test("three tiers: the backend reaches the database, nobody else does", async (t) => {
    await k.apply(DENY_ALL, ALLOW_DB, ALLOW_SCTP);
    for (const to of [v4.db, v4.farDb, v6.db, v6.farDb]) {
      await reaches(t, k, "backend", to, true);
      await reaches(t, k, "frontend", to, false);
      await reaches(t, k, "far-frontend", to, false);
    }
    t.notOk(await k.ping("backend", v4.farDb), "ping: the rule names ports");
    t.ok(await k.sctp("backend", m3ua), "SCTP");
    t.notOk(await k.sctp("frontend", m3ua), "SCTP from elsewhere");
    t.notOk(await k.tcp("outside", v4.db), "from outside");
    t.ok((await k.dropped("POLICY_DENY")) > 0);
  });

  t.test("explain says it before it is tried", async (t) => {
    const denied = await lab.podwire([
      "explain",
      "--from",
      "pod/frontend",
      "--to",
      "pod/db",
      "--port",
      "8080",
      "-o",
      "json",
    ]);
    t.equal(denied.status, 3);
    t.match(JSON.parse(denied.stdout), {
      allowed: false,
      policies: ["default/allow-db-access", "default/deny-all"],
      verdict: "drop",
    });
  });

  t.test("egress: pods and a block with an exception", async (t) => {
    t.ok(await k.ping("backend", "192.168.50.101"));
    await k.apply(BACKEND_OUT);
    t.ok(await k.ping("backend", "192.168.50.100"));
    t.notOk(await k.ping("backend", "192.168.50.101"), "excepted");
    t.ok(await k.tcp("backend", v4.farDb), "pods");
    t.ok(await k.ping("frontend", "192.168.50.101"), "others are free");
  });

  t.test("an administrator's rule comes before, and says so", async (t) => {
    const guard = testClusterPolicy("guard", {
      tier: "Admin",
      priority: 1,
      subject: { namespaces: {} },
      ingress: [{ action: "Deny", from: [{ pods: { podSelector: { matchLabels: { app: "backend" } } } }] }],
    });
    await k.apply(guard);
    t.notOk(await k.tcp("backend", v4.db));
    t.ok((await k.dropped("POLICY_DENY_RULE")) > 0);
    await lab.output(["delete", "cnp", "guard"]);
    await sleep(300);
    t.ok(await k.tcp("backend", v4.db));
  });

  t.test("labels decide at once", async () => {
    await lab.output(["label", "pods", "frontend", "app=backend", "--overwrite"]);
    await until("the label's effect", () => k.tcp("frontend", v4.db), 5000);
    await lab.output(["label", "pods", "frontend", "app=frontend", "--overwrite"]);
    await until("its end", async () => !(await k.tcp("frontend", v4.db)), 5000);
  });
});

async function reaches(t: Test, k: Knocking, from: string, to: string, expected: boolean): Promise<void> {
  t.equal(await k.tcp(from, to), expected, `${from} → ${to} TCP`);
  t.equal(await k.udp(from, to), expected, `${from} → ${to} UDP`);
}
