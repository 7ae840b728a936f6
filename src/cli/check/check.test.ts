// podwire check against an agent that is only its socket: what it makes of the answers.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import t from "tap";

const MAIN = fileURLToPath(new URL("../main.js", import.meta.url));
const CONFIG = {
  ...{ apiVersion: "podwire.dev/v1alpha1", kind: "AgentConfiguration", nodeName: "node1" },
  ...{ clusterCIDR: "10.244.0.0/16", serviceCIDR: "10.96.0.0/12", source: { files: ["/x"] } },
};

const dir = mkdtempSync(join(tmpdir(), "podwire-check-"));
t.teardown(() => rmSync(dir, { recursive: true }));

const pod = (name: string, ip: string) => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default" } },
  spec: { nodeName: "node1", containers: [] },
  status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
});
const NODE = {
  ...{ apiVersion: "v1", kind: "Node", metadata: { name: "node1" }, spec: { podCIDRs: ["10.244.1.0/24"] } },
  status: { addresses: [{ type: "InternalIP", address: "192.168.77.11" }] },
};

t.test(
  "a time is of the quicker of two answers, and one lost answer behind a good one is no fault",
  async (t) => {
    const asked = new Map<string, number>();
    const probe = ({ from, to }: { from: string; to: string }): object => {
      const times = (asked.get(`${from} ${to}`) ?? 0) + 1;
      asked.set(`${from} ${to}`, times);
      if (times === 1) return { kind: "answer", ms: 40, from: to, source: "10.244.1.2" };
      return from === "node"
        ? { kind: "lost", ms: 0 }
        : { kind: "answer", ms: 0.5, from: to, source: "10.244.1.2" };
    };
    const answers: Record<string, object> = {
      "/status": { node: "node1", pid: process.pid },
      "/config": { file: "agent.yaml", text: JSON.stringify(CONFIG) },
      "/objects/nodes": { items: [NODE] },
      "/objects/pods": { items: [pod("a", "10.244.1.2"), pod("b", "10.244.1.3")] },
      "/show/ports": { items: [{ kind: "pod", pod: "default/a", mtu: 1450, state: "up" }] },
    };
    const server = createServer(async (request, response) => {
      const path = (request.url ?? "").split("?")[0];
      const body = path === "/probe" ? probe(JSON.parse(await text(request))) : answers[path];
      response.end(JSON.stringify(body ?? { items: [] }));
    });
    const socket = join(dir, "agent.sock");
    await once(server.listen(socket), "listening");
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
    const child = spawn(process.execPath, [MAIN, "check", "--agent", socket, "-o", "json"]);
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit"),
    ]);
    t.equal(status, 0, stderr);
    const rows = JSON.parse(stdout).rows as { from: string; ok: boolean; ms: number }[];
    t.ok(rows.length >= 3, stdout);
    for (const { from, ok, ms } of rows)
      t.same({ ok, ms }, { ok: true, ms: from.startsWith("node/") ? 40 : 0.5 }, from);
  },
);
