// A lab's Gateway with listeners of TCP, UDP and TLS beside HTTP, judged from the fabric by others' programs: socat,
// openssl, curl, ws, grpcurl or h2load where the machine has them; and then attacked, while pods ping each other.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { percentile } from "../../src/testing/gateway/polite-client.ts";
import { Authority, type Issued } from "../../src/testing/l7/authority.ts";
import { cannotRun, ROOT, TestLab } from "../../src/testing/lab/lab.ts";
import { client, HTTP_PORT, pod, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { run, until } from "../../src/testing/lab/process.ts";
import { startAsker, stopAsker } from "../support/asker.ts";

const GROUP = "gateway.networking.k8s.io";
const WAIT_MS = 90_000;
const WS = join(ROOT, "node_modules/ws/index.js");
const ATTACKER = join(ROOT, "build/src/testing/gateway/attacks-main.js");
const ATTACK_SEC = 33;
const REQUESTS_PER_SEC = 20;
const PING_MAX_MS = 250; // p99 on a machine whose cores the attack and the gateway share with both planes
const GRPC_PATH = "/grpc.health.v1.Health/Check";

const service = (name: string, ports: readonly object[]): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name } },
  spec: { selector: { app: name }, ports },
});
const route = (kind: string, name: string, sectionName: string, to: object, more: object = {}): object => ({
  apiVersion: `${GROUP}/${kind === "HTTPRoute" || kind === "GRPCRoute" ? "v1" : "v1alpha2"}`,
  ...{ kind, metadata: { name } },
  spec: { parentRefs: [{ name: "edge", sectionName }], rules: [{ backendRefs: [to] }], ...more },
});
const GRPC_RULES = {
  rules: [
    {
      matches: [{ method: { service: "grpc.health.v1.Health" } }],
      backendRefs: [{ name: "web", port: 81 }],
    },
  ],
};
const WS_RULES = {
  rules: [{ matches: [{ path: { value: "/ws" } }], backendRefs: [{ name: "ws", port: 80 }] }],
};
const HEALTH = `syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse { enum S { UNKNOWN = 0; SERVING = 1; } S status = 1; }
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
`;
const own = { certificateRefs: [{ name: "own" }] };
const gateway: object = {
  ...{ apiVersion: `${GROUP}/v1`, kind: "Gateway", metadata: { name: "edge" } },
  spec: {
    gatewayClassName: "podwire",
    listeners: [
      { name: "http", port: 8000, protocol: "HTTP" },
      { name: "https", port: 8443, protocol: "HTTPS", hostname: "a.example", tls: own },
      { name: "pass", port: 8443, protocol: "TLS", hostname: "pass.example", tls: { mode: "Passthrough" } },
      {
        name: "end",
        port: 8443,
        protocol: "TLS",
        hostname: "end.example",
        tls: { mode: "Terminate", ...own },
      },
      { name: "tcp", port: 9000, protocol: "TCP" },
      { name: "udp", port: 9001, protocol: "UDP" },
    ],
  },
};
const secret = ({ cert, key }: Issued): object => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "own" }, type: "kubernetes.io/tls" },
  stringData: { "tls.crt": cert, "tls.key": key },
});

/** TLS of its own: says so, and what it was told. */
const TLS_SERVER = `
const [cert, key] = process.argv.slice(1);
require("node:tls").createServer({ cert, key }, (socket) => {
  socket.on("error", () => {}).once("data", (bytes) => socket.end("theirs " + bytes));
}).listen(8443, "0.0.0.0");
`;
/** Says what it was told, by WebSocket. */
const WS_SERVER = `
const { WebSocketServer } = require(${JSON.stringify(WS)});
new WebSocketServer({ port: 8080, host: "0.0.0.0" }).on("connection", (socket) =>
  socket.on("error", () => {}).on("message", (data) => socket.send("heard " + data)));
`;
const WS_CLIENT = `
const { WebSocket } = require(${JSON.stringify(WS)});
const [url, name, ca] = process.argv.slice(1);
const options = { headers: { host: name }, servername: name, ...(ca && { ca: require("node:fs").readFileSync(ca) }) };
const socket = new WebSocket(url, options);
socket.on("open", () => socket.send("hello"));
socket.on("message", (data) => { console.log(String(data)); socket.close(1000); });
socket.on("close", (code) => process.exit(code === 1000 ? 0 : 1));
socket.on("error", ({ message }) => { console.log(message); process.exit(1); });
`;
/** As browsers do it by HTTP/2 (RFC 8441): one frame there, one back. */
const WS_CLIENT_2 = `
const session = require("node:http2").connect(process.argv[1]);
session.on("error", ({ message }) => { console.log(message); process.exit(1); });
session.once("remoteSettings", () => {
  const stream = session.request({
    ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", ":authority": "a.example",
    ":scheme": "http", "sec-websocket-version": "13",
  }, { endStream: false });
  stream.on("response", (headers) => {
    console.log(headers[":status"]);
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  });
  stream.on("data", (bytes) => { console.log(bytes.subarray(2).toString()); process.exit(0); });
});
`;
/** A call of gRPC: its status, and how many bytes its message has. */
const GRPC_CLIENT = `
const session = require("node:http2").connect(process.argv[1]);
session.on("error", ({ message }) => { console.log(message); process.exit(1); });
const stream = session.request({
  ":method": "POST", ":path": process.argv[2], ":authority": "a.example",
  "content-type": "application/grpc", te: "trailers",
});
let bytes = 0;
stream.on("data", (chunk) => (bytes += chunk.length));
stream.on("trailers", (trailers) => console.log("grpc-status " + trailers["grpc-status"] + ", " + bytes + " bytes"));
stream.on("close", () => process.exit(0));
stream.end(Buffer.alloc(5));
`;

t.test("a Gateway of all protocols in a lab", { skip: cannotRun("curl", "socat", "openssl") }, async (t) => {
  const root = await Authority.make("root");
  const certificate = await root.issue({ names: ["a.example", "end.example"], subject: "own" });
  const theirs = await root.issue({ names: ["pass.example"], subject: "theirs" });
  const lab = await TestLab.up("protocols", {
    loadBalancer: { pool: "192.168.50.240/29" },
    objects: [
      ...[client("client-1", "node1"), client("client-2", "node2")],
      ...[pod("web-1", "node1", { app: "web" }), pod("web-2", "node2", { app: "web" })],
      pod("tls", "node2", { command: ["node", "-e", TLS_SERVER, "--", theirs.cert, theirs.key] }),
      pod("ws", "node1", { command: ["node", "-e", WS_SERVER] }),
      service("web", [
        { name: "http", port: 80, targetPort: HTTP_PORT },
        { name: "grpc", port: 81, targetPort: HTTP_PORT, appProtocol: "kubernetes.io/h2c" },
        { name: "udp", port: 80, protocol: "UDP", targetPort: UDP_PORT },
      ]),
      ...[service("tls", [{ port: 8443 }]), service("ws", [{ port: 80, targetPort: 8080 }])],
      ...[secret(certificate), gateway],
      ...["http", "https"].flatMap((section) => [
        route("HTTPRoute", `web-${section}`, section, { name: "web", port: 80 }),
        route("GRPCRoute", `grpc-${section}`, section, { name: "web", port: 81 }, GRPC_RULES),
        route("HTTPRoute", `ws-${section}`, section, { name: "ws", port: 80 }, WS_RULES),
      ]),
      route("TCPRoute", "tcp", "tcp", { name: "web", port: 80 }),
      route("UDPRoute", "udp", "udp", { name: "web", port: 80 }),
      route("TLSRoute", "pass", "pass", { name: "tls", port: 8443 }, { hostnames: ["pass.example"] }),
      route("TLSRoute", "end", "end", { name: "web", port: 80 }, { hostnames: ["end.example"] }),
    ],
  });
  t.teardown(() => lab.down());
  const ca = `${lab.folder}/ca.pem`;
  writeFileSync(ca, root.cert);
  let at = "";
  const outside = async (...words: string[]): Promise<string> => {
    const { stdout, stderr } = await lab.exec("client/outside", words, { timeoutMs: 30_000 });
    return stdout + stderr;
  };
  const shell = (script: string): Promise<string> => outside("sh", "-c", script);
  const curl = (name: string, port: number, ...more: string[]): Promise<string> => {
    const url = `${port === 8443 ? "https" : "http"}://${name}:${port}/`;
    const names = [
      "--resolve",
      `${name}:${port}:${at}`,
      "--cacert",
      ca,
      "-w",
      " %{http_code} %{http_version}",
    ];
    return outside("curl", "-sS", "-m", "10", ...names, ...more, url);
  };

  t.test("it is programmed, with all its listeners and routes", async (t) => {
    await until(
      "the Gateway's address",
      async () => {
        at = (await lab.json("get", "gateway", "edge")).status?.addresses?.[0]?.value ?? "";
        return at !== "" && / 200 /.test(await curl("a.example", 8000).catch(() => ""));
      },
      WAIT_MS,
    );
    const { status } = await lab.json("get", "gateway", "edge");
    const attached = status.listeners.map((each: { attachedRoutes: number }) => each.attachedRoutes);
    t.same(attached, [3, 3, 1, 1, 1, 1]);
  });

  t.test("curl: HTTP/1.1, HTTP/2 by prior knowledge, HTTP/2 and TLS 1.2 and 1.3 by names", async (t) => {
    t.match(await curl("a.example", 8000, "--http1.1"), /"pod":"web-.* 200 1\.1$/s);
    t.match(await curl("a.example", 8000, "--http2-prior-knowledge"), /"pod":"web-.* 200 2$/s);
    t.match(await curl("a.example", 8443, "--http2", "--tlsv1.3"), /"pod":"web-.* 200 2$/s);
    t.match(await curl("a.example", 8443, "--http1.1", "--tls-max", "1.2"), /"pod":"web-.* 200 1\.1$/s);
    t.match(await curl("nobody.example", 8443), /unrecognized name/);
    t.match(
      await curl(
        "a.example",
        8000,
        "-H",
        "Expect: 100-continue",
        "-H",
        "Transfer-Encoding: chunked",
        "-d",
        "x",
      ),
      / 200 1\.1$/,
    );
  });

  t.test("socat and openssl: TCP, UDP, TLS that passes through and TLS that ends here", async (t) => {
    t.match(await shell(`echo something | socat -t 5 - TCP:${at}:9000`), /"pod":"web-.*something\n$/s);
    t.match(await shell(`printf 'echo this' | socat -t 3 - UDP:${at}:9001`), /^echo this$/);
    const openssl = (name: string): Promise<string> =>
      shell(
        `(echo something; sleep 2) | openssl s_client -connect ${at}:8443 -servername ${name} -CAfile ${ca} ` +
          "-verify_return_error -verify_hostname " +
          `${name} -ign_eof 2>&1`,
      );
    t.match(await openssl("pass.example"), /CN ?= ?theirs.*Verify return code: 0 \(ok\).*theirs something/s);
    t.match(await openssl("end.example"), /CN ?= ?own.*Verify return code: 0 \(ok\).*"pod":"web-/s);
  });

  t.test("ws: WebSockets by HTTP/1.1, by TLS, and by HTTP/2", async (t) => {
    const ask = (url: string, ...more: string[]): Promise<string> =>
      outside("node", "-e", WS_CLIENT, url, "a.example", ...more);
    t.equal(await ask(`ws://${at}:8000/ws`), "heard hello\n");
    t.equal(await ask(`wss://${at}:8443/ws`, ca), "heard hello\n");
    t.equal(await outside("node", "-e", WS_CLIENT_2, `http://${at}:8000`), "200\nheard hi\n");
  });

  t.test("gRPC: an answer with its status behind it, and a call that nobody has", async (t) => {
    const call = (path: string): Promise<string> =>
      outside("node", "-e", GRPC_CLIENT, `http://${at}:8000`, path);
    t.equal(await call(GRPC_PATH), "grpc-status 0, 7 bytes\n");
    if ((await run(["which", "grpcurl"])).status !== 0) return t.comment("grpcurl is not here");
    const words = [
      "-plaintext",
      "-authority",
      "a.example",
      "-import-path",
      lab.folder,
      "-proto",
      "health.proto",
    ];
    writeFileSync(join(lab.folder, "health.proto"), HEALTH);
    t.match(await outside("grpcurl", ...words, `${at}:8000`, "grpc.health.v1.Health/Check"), /SERVING/);
  });

  t.test("h2load: a thousand requests, none of which fails", async (t) => {
    if ((await run(["which", "h2load"])).status !== 0) return t.comment("h2load is not here");
    const said = await outside(
      "h2load",
      "-n",
      "1000",
      "-c",
      "4",
      "-m",
      "10",
      "-H",
      ":authority: a.example",
      `http://${at}:8000/`,
    );
    t.match(said, /1000 succeeded, 0 failed/);
  });

  t.test("attacked: who means well is answered, and pods do not notice", async (t) => {
    const other = await lab.podAddress("web-2");
    const ping = async (seconds: number): Promise<number[]> => {
      const { stdout } = await lab.exec("client-1", ["ping", "-i", "0.02", "-w", `${seconds}`, other], {
        timeoutMs: (seconds + 20) * 1000,
      });
      return [...stdout.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
    };
    const told = (times: readonly number[]): string =>
      `${times.length} pings, p50 ${percentile(times, 50)} ms, p99 ${percentile(times, 99)} ms`;
    t.comment(`at rest: ${told(await ping(5))}`);
    const asker = await startAsker(lab, "client/outside", REQUESTS_PER_SEC, `${at}:8000`);
    const [times, attacks] = await Promise.all([
      ping(ATTACK_SEC),
      lab.exec("client/outside", ["node", ATTACKER, at, "8000", "8443", "1", `${ATTACK_SEC}`, "all"], {
        timeoutMs: (ATTACK_SEC + 60) * 1000,
      }),
    ]);
    const asked = await stopAsker(asker);
    for (const line of attacks.stdout.trim().split("\n")) t.comment(line);
    t.comment(
      `attacked: ${told(times)}; ${asked.sent} requests, ${asked.failed.length} failed, slowest ${asked.slowestMs} ms`,
    );
    t.equal(attacks.status, 0, attacks.stderr);
    t.same(asked.failed, []);
    t.ok(times.length > ATTACK_SEC * 20, "pings came back");
    t.ok(percentile(times, 99) < PING_MAX_MS);
    t.match(await curl("a.example", 8443, "--http2"), / 200 2$/);
    const { items } = await lab.json("get", "pods", "-l", `${GROUP}/gateway-name=edge`);
    t.same(
      items.map(
        (each: { status: { containerStatuses: { restartCount: number }[] } }) =>
          each.status.containerStatuses[0].restartCount,
      ),
      [0],
    );
  });

  t.test("nothing is left of it", async (t) => {
    t.equal((await lab.down()).status, 0);
    t.same(await lab.traces(), []);
  });
});
