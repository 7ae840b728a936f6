import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Test, t } from "tap";
import { backend, freePort } from "../testing/gateway/running-gateway.ts";
import { ingress } from "../testing/l7/objects.ts";
import { sumOfPages } from "./metrics-sum.ts";

const PROGRAM = fileURLToPath(new URL("../cli/main.js", import.meta.url));

function ask(port: number, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { Host: "a.example" };
    const asked = request({ port, host: "127.0.0.1", path, headers, agent: false }, (answer) => {
      let body = "";
      answer.on("data", (chunk) => (body += chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** The program, with a Service that is a name of loopback: no slice may say so. */
async function program(t: Test, more: object, at: number) {
  const folder = mkdtempSync(join(tmpdir(), "gateway-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [port, metrics] = [await freePort(), await freePort()];
  const service = {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "shop" } },
    spec: { type: "ExternalName", externalName: "localhost", ports: [{ port: at }] },
  };
  const objects = [service, ingress({ hosts: { "a.example": [{ path: "/", to: `web:${at}` }] } })];
  writeFileSync(join(folder, "objects.yaml"), objects.map((each) => JSON.stringify(each)).join("\n---\n"));
  const config = {
    ...{ source: { files: [join(folder, "objects.yaml")] }, ingress: { http: port }, address: "127.0.0.1" },
    ...{
      accessLog: { file: join(folder, "log") },
      metrics: { port: metrics, address: "127.0.0.1" },
      drainSec: 2,
    },
    ...more,
  };
  writeFileSync(join(folder, "config.yaml"), JSON.stringify(config));
  const child = spawn(process.execPath, [PROGRAM, "gateway", "--config", join(folder, "config.yaml")]);
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  return { folder, port, metrics, child, ended, said: () => said };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("it does not come to that");
}

t.test("several workers serve one port, count together, and end together", async (t) => {
  const { port: at } = await backend(t, (_, response) => response.end("hello"));
  const { port, metrics, child, ended, folder, said } = await program(t, { workers: 2 }, at);
  await until(async () => (await ask(metrics, "/readyz")).status === 200);
  for (let i = 0; i < 10; i++) t.equal((await ask(port, "/")).body, "hello");
  const { body } = await ask(metrics, "/metrics");
  t.match(body, /^podwire_gateway_requests_total\{rule="Ingress shop\/web [^}]*code="200"\} 10$/m);
  child.kill("SIGTERM");
  t.equal(await ended, 0, said());
  t.equal(readFileSync(join(folder, "log"), "utf8").trim().split("\n").length, 10);
});

t.test("a port that somebody has: one line, and no worker is left", async (t) => {
  const { port: at } = await backend(t, (_, response) => response.end("hello"));
  const { ended, said } = await program(t, { workers: 2, ingress: { http: at } }, at);
  t.equal(await ended, 1);
  t.match(said(), new RegExp(`port ${at}: somebody else has it`));
  t.notMatch(said(), /\n +at /, "no stack");
});

t.test("a configuration that is wrong is told in one line, with status 2", async (t) => {
  const { ended, said } = await program(t, { workers: "many", limits: { headerSecs: 1 } }, 80);
  t.equal(await ended, 2);
  t.match(said(), /^error: .*config\.yaml: .*\n$/);
});

t.test("pages of several processes are one: counts are added, what all see alike is not", (t) => {
  const page = (count: number) =>
    `# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} ${count}\n` +
    "# HELP podwire_gateway_backend_endpoints E.\n# TYPE podwire_gateway_backend_endpoints gauge\n" +
    'podwire_gateway_backend_endpoints{backend="b"} 3\n';
  t.equal(sumOfPages([page(1), page(2), ""]), page(3));
  t.end();
});
