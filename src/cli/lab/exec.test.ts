// podwire exec on an agent that is only its socket, and knows a pod by its network alone, as one that has just begun.
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
const POD = {
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "a", namespace: "default" } },
  ...{ spec: { nodeName: "node1", containers: [] }, status: {} },
};
const ANSWERS: Record<string, object> = {
  "/status": { node: "node1", pid: process.pid },
  "/config": { file: "agent.yaml", text: JSON.stringify(CONFIG) },
  "/objects/pod": { kind: "Pod", items: [POD] },
};

t.test("what is not known of a pod's containers is not asked for", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "podwire-exec-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0];
    response.end(JSON.stringify(ANSWERS[path] ?? { items: [] }));
  });
  const socket = join(dir, "agent.sock");
  await once(server.listen(socket), "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const exec = async (...words: string[]): Promise<string> => {
    const child = spawn(process.execPath, [MAIN, "exec", "--agent", socket, "a", ...words, "--", "true"]);
    return (await Promise.all([text(child.stderr), once(child, "exit")]))[0];
  };
  t.match(await exec(), /^error: .*network/);
  t.match(await exec("-c", "b"), /^error: exec a: no container "b": it has none\n$/);
});
