// podwire check: everything arrives, and then one thing after the other does not, each with its reason.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { run, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("ip");

interface Row {
  check: string;
  from: string;
  to: string;
  family: number;
  protocol: string;
  ok: boolean;
  ms: number | null;
  reason: string;
}

const deny = {
  ...{
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "deny", namespace: "default" },
  },
  spec: { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"] },
};

t.test("podwire check", { skip }, async (t) => {
  const ports = [{ protocol: "TCP", port: 80, targetPort: 8080 }];
  const lab = await TestLab.up("check", {
    nodes: [{ name: "node1" }, { name: "node2" }, { name: "node3", agent: "kernel" }],
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    objects: [
      ...[
        client("client-1", "node1"),
        pod("web-1", "node1", { app: "web" }),
        pod("web-2", "node2", { app: "web" }),
      ],
      client("far-3", "node3"),
      service("web", { type: "NodePort", ports, ipFamilyPolicy: "PreferDualStack" }),
    ],
  });
  t.teardown(() => lab.down());
  const check = async (...words: string[]): Promise<Row[]> => {
    const { status, stdout, stderr } = await lab.podwire([
      "check",
      "--timeout",
      "0.5",
      "-o",
      "json",
      ...words,
    ]);
    t.ok(status === 0 || status === 3, stderr);
    const { ok, rows } = JSON.parse(stdout) as { ok: boolean; rows: Row[] };
    t.equal(status, ok ? 0 : 3);
    t.equal(
      ok,
      rows.every((row) => row.ok),
    );
    return rows;
  };
  const failed = (rows: Row[]): string[] =>
    rows.filter(({ ok }) => !ok).map(({ to, reason }) => `${to}: ${reason}`);

  let all: Row[] = [];
  await until("all to arrive, once kernels have seen that nobody else has their IPv6 addresses", async () => {
    all = await check();
    return failed(all).length === 0;
  }).catch(() => {}); // told by rows
  t.same(failed(all), []);
  const kinds = new Set(
    all.map(({ check: what, from, family }) => `${what} ${from.split("/")[0]} ${family}`),
  );
  for (const what of ["pod pod", "pod node", "MTU pod", "service pod", "service node", "node port pod"])
    for (const family of [4, 6]) t.ok(kinds.has(`${what} ${family}`), `${what} ${family}`);
  t.ok(kinds.has("world pod 4"));
  t.ok(
    all.some(({ to, ms }) => to === "pod/default/far-3" && typeof ms === "number"),
    "a kernel's node, too",
  );
  const table = await lab.podwire(["check", "--from", "pod/client-1", "--to", "svc/web"]);
  t.equal(table.status, 0, table.stderr);
  t.match(table.stdout, /^CHECK +FROM +TO +ADDRESS +PROTOCOL +OK +MS +REASON\n/);
  t.match(table.stdout, /^service +pod\/default\/client-1 +svc\/default\/web +\S+:80 +TCP +yes +[\d.]+ +-$/m);
  t.match(table.stderr, /^all \d+ arrive$/m);

  await t.test("a policy denies it, at the sender's node and at another", async (t) => {
    await lab.apply(deny);
    const rows = await check("--from", "pod/client-1");
    for (const name of ["node1", "node2"]) {
      const to = `pod/default/web-${name.at(-1)}`;
      const denied = new RegExp(` ${name}: .*isolated by default/deny; no rule matches: DROP Policy denied`);
      const told = failed(rows.filter((row) => row.to === to));
      t.ok(told.length >= 2);
      t.match(
        told,
        told.map(() => denied),
      );
    }
    const told = failed(rows.filter(({ to }) => to === "svc/default/web"));
    t.ok(
      told.length >= 2 && told.every((line) => /node[12]: .*default\/deny.*: DROP Policy denied/.test(line)),
      `${told}`,
    );
    t.same(failed(rows.filter(({ to }) => !/web/.test(to))), [], "nothing else is denied");
    await lab.output(["delete", "networkpolicy", "deny"]);
  });

  await t.test("a service without endpoints", async (t) => {
    await lab.apply(service("nobody", { type: "ClusterIP", selector: { app: "nobody" }, ports }));
    const rows = await check("--from", "pod/client-1", "--to", "svc/nobody");
    const line = /Destination Port Unreachable: node1: .*default\/nobody.*: DROP Service backend not found/;
    t.match(
      failed(rows),
      rows.map(() => line),
    );
    await lab.output(["delete", "service", "nobody"]);
  });

  await t.test("the fabric carries less than pods may send", async (t) => {
    const narrow = (mtu: string) =>
      run(["ip", "-n", `pw-${lab.name}-fabric`, "link", "set", "p1", "mtu", mtu]);
    await narrow("1400");
    const rows = await check("--from", "pod/client-1", "--to", "pod/web-2");
    const line = /no answer to 1450 bytes .*: small ones are answered: .* carry 1500 bytes/;
    t.match(failed(rows), [line, line]);
    t.equal(rows.filter(({ check: what }) => what === "MTU").length, 2);
    await narrow("1500");
  });

  await t.test("another node's agent does nothing any more", async (t) => {
    const { nodes } = await lab.json("lab", "status");
    const { pid } = nodes.find(({ name }: { name: string }) => name === "node2");
    process.kill(pid, "SIGSTOP");
    const rows = await check("--from", "pod/client-1", "--to", "pod/web-2").finally(() =>
      process.kill(pid, "SIGCONT"),
    );
    t.match(failed(rows)[0], /^node\/node2: the agent of node2: no answer/);
    t.match(
      failed(rows)[1],
      /^pod\/default\/web-2: no answer: it left node1 \(.*: is the other node's agent running/,
    );
  });

  t.match(await lab.podwire(["check", "--to", "svc/none"]), {
    status: 1,
    stderr: /^error: .*nothing to check/,
  });
  t.match(await lab.podwire(["check", "--world", "here:80"]), {
    status: 2,
    stderr: /--world here:80: use an IP address/,
  });
});
