// Where objects come from: what an agent says when its API server is behind a Service, which it serves itself.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { readAgentFile } from "../config/read-config.ts";
import { objectSource } from "./object-source.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-object-source-"));
t.teardown(() => rmSync(folder, { recursive: true }));

/** What is said at the start, of these servers. */
function saidOf(servers: readonly string[], serviceCIDR = "10.96.0.0/12,fd00:96::/112"): string[] {
  const kubeconfig = join(folder, "kubeconfig");
  const [cluster, user] = [{ server: servers[0] }, {}];
  const context = { cluster: "c", user: "u" };
  const file = {
    ...{ clusters: [{ name: "c", cluster }], users: [{ name: "u", user }], "current-context": "x" },
    contexts: [{ name: "x", context }],
  };
  writeFileSync(kubeconfig, JSON.stringify(file));
  const more = servers.length > 1 ? { servers } : {};
  const text = JSON.stringify({
    ...{ apiVersion: "podwire.dev/v1alpha1", kind: "AgentConfiguration", nodeName: "n1" },
    ...{ clusterCIDR: "10.244.0.0/16", serviceCIDR },
    source: { kubernetes: { kubeconfig, stateFile: "", ...more } },
  });
  const source = objectSource(readAgentFile({ file: "agent.yaml", text }));
  const said: string[] = [];
  source.start({ events: () => {}, problem: () => {}, note: (line) => said.push(line) });
  source.close();
  return said;
}

t.test("an API server behind a Service is told in one line, its own address is not", async (t) => {
  const [line, ...more] = saidOf(["https://10.96.0.1:443"]);
  t.same(more, []);
  t.match(
    line,
    /^API server: https:\/\/10\.96\.0\.1 is a Service's address \(serviceCIDR 10\.96\.0\.0\/12,fd00:96::\/112\)/,
  );
  t.match(line, /name the server's own address in source\.kubernetes\.servers$/);
  t.notMatch(line, /\n/);
  t.match(saidOf(["https://[fd00:96::1]:443"]), [/^API server: https:\/\/\[fd00:96::1\] is a Service's/]);
  t.same(saidOf(["https://192.168.1.10:6443"]), []);
  t.same(saidOf(["https://10.96.0.1", "https://192.168.1.10:6443"]), [], "one of them is its own");
  t.same(saidOf(["https://kubernetes.example:6443"]), []);
  t.same(saidOf(["https://10.96.0.1"], "10.43.0.0/16"), []);
});
