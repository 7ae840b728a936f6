// exec, attach and port-forward on a cluster that a kubeconfig names: by processes, since their streams are what is tried.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { WebSocketServer } from "ws";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { kubeconfigText } from "../../apiserver/kubeconfig.ts";
import { serveApi } from "../../apiserver/server.ts";
import type { Pod } from "../../kube/objects.ts";
import { type Result, run, start, until } from "../../testing/lab/process.ts";
import { TestPrograms } from "../../testing/pod-programs.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";

const MAIN = join(import.meta.dirname, "..", "main.js");
const folder = mkdtempSync(join(tmpdir(), "podwire-session-"));
const credentials = await makeCredentials("test", ["localhost"], ["127.0.0.1"]);
const cluster = makeCluster({ nowMs: Date.now });
const programs = new TestPrograms();
const server = await serveApi({
  ...{ cluster, credentials, programs, port: 0, notesOf: () => [] },
  log: (line) => t.fail(line),
});
const kubeconfig = join(folder, "kubeconfig");
writeFileSync(kubeconfig, kubeconfigText("test", `https://127.0.0.1:${server.port}`, credentials));
const container = (name: string) => ({ name, image: "x" });
cluster.update({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "web", namespace: "default" } },
  spec: { nodeName: "node1", containers: [container("a"), container("b")] },
  status: { phase: "Running" },
} as unknown as Pod);
t.teardown(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const podwire = (
  words: readonly string[],
  input: string | Buffer = "",
  config = kubeconfig,
): Promise<Result> =>
  run([process.execPath, MAIN, words[0], "--kubeconfig", config, ...words.slice(1)], { input });

t.test("output, errors and the program's status", async (t) => {
  t.match(await podwire(["exec", "web", "--", "both"]), { status: 0, stdout: "out", stderr: "err" });
  t.match(await podwire(["exec", "pod/web", "-c", "b", "--", "exit", "7"]), {
    status: 7,
    stdout: "",
    stderr: "",
  });
  t.same(programs.started.splice(0), ["web/a both", "web/b exit 7"]);
});

t.test("input with -i alone, to its end, byte for byte", async (t) => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i & 0xff));
  const { status, stdout } = await podwire(["exec", "-i", "web", "--", "cat"], bytes);
  t.equal(status, 0);
  t.ok(Buffer.from(stdout, "latin1").equals(bytes));
  const [told] = programs.started.splice(0);
  t.equal(told, "web/a cat");
});

t.test("a terminal is not asked for where we have none", async (t) => {
  const said = await podwire(["exec", "-it", "web", "--", "cat"], "text");
  t.match(said, { status: 0, stdout: "text", stderr: /^Unable to use a TTY/ });
  t.same(programs.started.splice(0), ["web/a cat"]);
});

t.test("attach", async (t) => {
  t.match(await podwire(["attach", "web"]), { status: 0, stdout: "out", stderr: "err" });
});

/** What is said of a port of the pod by whoever answers there; `saying`: all that is said to it. */
async function through(local: number, saying: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: local, allowHalfOpen: true });
  socket.on("error", () => {});
  socket.end(saying);
  return text(socket);
}

t.test("port-forward: each connection by itself, and each direction of it", async (t) => {
  await programs.listen();
  t.teardown(() => programs.close());
  const words = ["port-forward", "--kubeconfig", kubeconfig, "pod/web"];
  const all = await start([process.execPath, MAIN, ...words, ":7", ":8", ":9"], /-> 9\n/);
  const local = (port: number): number =>
    Number(new RegExp(`127\\.0\\.0\\.1:(\\d+) -> ${port}\n`).exec(all.output())?.[1]);
  t.equal(await through(local(7), "word"), "word", "it ends because we did");
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => through(local(7), `${i}`.repeat(50_000))),
  );
  t.same(
    many.map((one) => one.length),
    Array.from({ length: 20 }, (_, i) => `${i}`.length * 50_000),
  );
  t.equal((await through(local(8), "more")).length, 1 << 20);
  t.equal(await through(local(9), "x"), "");
  const why = "error forwarding port 9 to pod web: failed to connect to localhost:9: connection refused";
  await until("why", async () =>
    all.output().includes(`an error occurred forwarding ${local(9)} -> 9: ${why}`),
  );
  t.equal(await through(local(7), "still"), "still");
  await all.stop("SIGINT");
});

t.test("what cannot be is told in one line", async (t) => {
  for (const [words, status, stderr] of [
    [["exec", "web", "--", "none"], 1, /^error: .*"none": executable file not found in \$PATH\n$/],
    [["exec", "no", "--", "cat"], 1, /^error: no: not found in namespace default: there is web\n$/],
    [["exec", "web", "-c", "z", "--", "cat"], 1, /^error: exec web: no container "z": it has a, b\n$/],
    [["exec", "node/node1", "--", "cat"], 2, /^error: node\/node1: the API leads into pods alone: .*\n$/],
  ] as const)
    t.match(await podwire(words), { status, stdout: "", stderr }, words.join(" "));
});

/** A server of before 1.30, which answers the one question about pods, and cuts who is to be cut. */
async function oldServer(): Promise<{ config: string; close: () => void }> {
  const pod = {
    metadata: { name: "web", namespace: "default" },
    spec: { containers: [container("a")] },
    status: { phase: "Running" },
  };
  const http = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://x");
    response.setHeader("content-type", "application/json");
    const isPods = pathname === "/api/v1/namespaces/default/pods";
    const resources = [{ name: "pods", kind: "Pod", namespaced: true, verbs: ["list"], shortNames: ["po"] }];
    if (pathname === "/api") response.end(JSON.stringify({ kind: "APIVersions", versions: ["v1"] }));
    else if (pathname === "/api/v1") response.end(JSON.stringify({ groupVersion: "v1", resources }));
    else if (pathname === "/apis") response.end(JSON.stringify({ kind: "APIGroupList", groups: [] }));
    else if (isPods) response.end(JSON.stringify({ metadata: {}, items: [pod] }));
    else response.writeHead(404).end("{}");
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v4.channel.k8s.io" });
  http.on("upgrade", (request, socket, head) => {
    const command = new URL(request.url ?? "", "http://x").searchParams.get("command");
    if (command === "forbidden") {
      const status = { kind: "Status", reason: "Forbidden", message: 'pods "web" is forbidden', code: 403 };
      const text = JSON.stringify(status);
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
      return;
    }
    if (command === null) delete request.headers["sec-websocket-protocol"]; // of port-forward it knows none
    sockets.handleUpgrade(request, socket, head, (open) => {
      open.send(Buffer.from("\u0001said"));
      if (command === "cut") setTimeout(() => open.terminate(), 100);
      else open.send(Buffer.from('\u0003{"metadata":{},"status":"Success"}'));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const config = join(folder, "old");
  writeFileSync(
    config,
    JSON.stringify({
      ...{ apiVersion: "v1", kind: "Config", "current-context": "a" },
      contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
      clusters: [
        { name: "a", cluster: { server: `http://127.0.0.1:${(http.address() as AddressInfo).port}` } },
      ],
      users: [{ name: "a", user: { token: "x" } }],
    }),
  );
  return { config, close: () => http.close() };
}

t.test("servers without v5, ones that refuse, and a connection that is cut", async (t) => {
  const { config, close } = await oldServer();
  t.teardown(close);
  const exec = (word: string) => podwire(["exec", "web", "--", word], "", config);
  t.match(await exec("date"), { status: 0, stdout: "said", stderr: "" });
  t.match(await exec("forbidden"), {
    ...{ status: 1, stdout: "" },
    stderr: 'Error from server (Forbidden): pods "web" is forbidden\n',
  });
  t.match(await podwire(["port-forward", "web", ":80"], "", config), {
    ...{ status: 1, stdout: "" },
    stderr: /^error: http:\S+: it forwards no ports by WebSocket: Kubernetes does since 1\.31\n$/,
  });
  t.match(await exec("cut"), {
    status: 1,
    stdout: "said",
    stderr: /^error: .*the connection was cut before/,
  });
});
