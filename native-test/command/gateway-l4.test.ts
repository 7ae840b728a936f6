// podwire gateway's TLS, TCP and UDP, judged by programs of Debian: openssl as client and as server, curl, socat.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { HelloReader, type HelloState } from "../../src/gateway/tls/client-hello.ts";
import { freePort } from "../../src/testing/gateway/running-gateway.ts";
import { Authority, type Issued } from "../../src/testing/l7/authority.ts";
import { ingress } from "../../src/testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../src/testing/l7/random-gateway.ts";
import { type Running, run, start } from "../../src/testing/lab/process.ts";

const PODWIRE = fileURLToPath(new URL("../../../podwire", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "podwire-gateway-l4-"));
t.teardown(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}
const yaml = (...objects: object[]): string => objects.map((each) => JSON.stringify(each)).join("\n---\n");
/** A Service that is this machine: a slice may not name its loopback. */
const here = (name: string, port: number): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "shop" } },
  spec: { type: "ExternalName", externalName: "localhost", ports: [{ port }] },
});
const secret = (name: string, { cert, key }: Issued): object => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop" } },
  ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": cert, "tls.key": key } },
});
const route = (kind: string, name: string, to: readonly [string, number], more: object = {}): object => ({
  ...{ apiVersion: `${GATEWAY_GROUP}/v1alpha2`, kind, metadata: { name, namespace: "shop" } },
  spec: { parentRefs: [{ name: "gw" }], rules: [{ backendRefs: [{ name: to[0], port: to[1] }] }], ...more },
});
const openssl = (port: number, ...args: string[]) =>
  run(["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...args], { timeoutMs: 10_000 });

t.test("what openssl s_client really sends is read: names, protocols, versions, many records", async (t) => {
  const states: HelloState[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    const reader = new HelloReader();
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      const state = reader.push(bytes);
      if (state.kind === "more") return;
      states.push(state);
      socket.destroy();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const many = Array.from({ length: 60 }, (_, i) => `protocol-number-${i}`);
  for (const [args, wanted] of [
    [["-servername", "Shop.Example"], { sni: "shop.example", alpn: [] }],
    [["-noservername"], { sni: "" }],
    [["-servername", "a.b", "-alpn", "h2,http/1.1"], { sni: "a.b", alpn: ["h2", "http/1.1"] }],
    [["-servername", "a.b", "-tls1_2"], { sni: "a.b", versions: [0x0303] }],
    [["-servername", "a.b", "-tls1_3"], { sni: "a.b", versions: [0x0304] }],
    [["-servername", "a.b", "-alpn", many.join(","), "-max_send_frag", "512"], { sni: "a.b", alpn: many }],
  ] as const) {
    await openssl(port, ...args);
    t.match(states.pop(), { kind: "hello", hello: wanted }, args.slice(0, 3).join(" "));
  }
});

t.test("a gateway between programs of Debian", async (t) => {
  const root = await Authority.make("root");
  const dayMs = 86_400_000;
  const [own, renewed, theirs, old] = await Promise.all([
    root.issue({ names: ["web.t", "end.t"], subject: "own" }),
    root.issue({ names: ["web.t", "end.t"], subject: "renewed" }),
    root.issue({ names: ["pass.t"], subject: "theirs" }),
    root.issue({
      names: ["old.t"],
      subject: "old",
      fromMs: Date.now() - 9 * dayMs,
      toMs: Date.now() - dayMs,
    }),
  ]);
  const ca = file("ca.pem", root.cert);
  const [behind, tcp, udp, tls, plain, udpBehind, http, https, tcpBehind] = await Promise.all(
    Array.from({ length: 9 }, freePort),
  );
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop();
  });
  const server = [
    "openssl",
    "s_server",
    "-accept",
    `127.0.0.1:${behind}`,
    "-www",
    "-cert",
    file("c.pem", theirs.cert),
  ];
  running.push(await start([...server, "-key", file("k.pem", theirs.key)], /ACCEPT/));
  const echoTcp = `TCP-LISTEN:${tcpBehind},bind=127.0.0.1,reuseaddr,fork`;
  running.push(await start(["socat", "-d", "-d", echoTcp, "SYSTEM:sleep 0.2; wc -c"], /listening/));
  running.push(
    await start(
      ["socat", "-d", "-d", `UDP-LISTEN:${udpBehind},bind=127.0.0.1,fork`, "EXEC:cat"],
      /listening/,
    ),
  );
  running.push(
    await start(["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", `${plain}`], /Serving/),
  );
  const listener = (name: string, hostname: string, more: object): object => ({
    name,
    hostname,
    port: tls,
    ...more,
  });
  const objects = (certificate: Issued): string =>
    yaml(
      ...[secret("own", certificate), secret("old", old)],
      ...[here("pass", behind), here("tcp", tcpBehind), here("web", plain), here("udp", udpBehind)],
      gateway([
        { name: "tcp", port: tcp, protocol: "TCP" },
        { name: "udp", port: udp, protocol: "UDP" },
        listener("pass", "pass.t", { protocol: "TLS", tls: { mode: "Passthrough" } }),
        listener("end", "end.t", {
          protocol: "TLS",
          tls: { mode: "Terminate", certificateRefs: [{ name: "own" }] },
        }),
        listener("web", "web.t", { protocol: "HTTPS", tls: { certificateRefs: [{ name: "own" }] } }),
        listener("old", "old.t", { protocol: "HTTPS", tls: { certificateRefs: [{ name: "old" }] } }),
      ]),
      ...[route("TCPRoute", "tcp", ["tcp", tcpBehind], { parentRefs: [{ name: "gw", sectionName: "tcp" }] })],
      ...[
        route("UDPRoute", "udp", ["udp", udpBehind]),
        route("TLSRoute", "pass", ["pass", behind], { hostnames: ["pass.t"] }),
      ],
      route("TLSRoute", "end", ["tcp", tcpBehind], { hostnames: ["end.t"] }),
      httpRoute("web", { rules: [{ backendRefs: [{ name: "web", port: plain }] }] }),
      ingress({ hosts: { "in.t": [{ path: "/", to: `web:${plain}` }] } }),
    );
  const source = file("objects.yaml", objects(own));
  const log = join(directory, "access.log");
  const config = {
    source: { files: [source] },
    gateways: "all",
    address: "127.0.0.1",
    accessLog: { file: log },
  };
  running.push(
    await start(
      [PODWIRE, "gateway", "--config", file("gateway.yaml", JSON.stringify(config))],
      /gateway: tcp/,
      60_000,
    ),
  );
  const passed = await openssl(tls, "-servername", "pass.t", "-CAfile", ca, "-verify_return_error");
  t.match(passed.stdout, /subject=CN ?= ?theirs[\s\S]*Verify return code: 0 \(ok\)/);
  const ended = await run(
    ["socat", "-t", "5", "-", `OPENSSL:127.0.0.1:${tls},cafile=${ca},snihost=end.t,commonname=end.t`],
    { input: "hello" },
  );
  t.match(ended.stdout, /^\s*5\n$/, "half of a connection of TLS may end before the other");
  const counted = await run(["socat", "-t", "5", "-", `TCP:127.0.0.1:${tcp}`], {
    input: "x".repeat(100_000),
  });
  t.match(counted.stdout, /^\s*100000\n$/, "the backend hears the end, and is heard after it");
  const datagram = await run(["socat", "-t", "2", "-", `UDP:127.0.0.1:${udp}`], { input: "over udp" });
  t.equal(datagram.stdout, "over udp");
  const curl = async (name: string, ...args: string[]): Promise<string> => {
    const at = ["--resolve", `${name}:${tls}:127.0.0.1`, `https://${name}:${tls}/`];
    const said = await run([
      "curl",
      "-sS",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code} %{http_version}",
      "--cacert",
      ca,
      ...args,
      ...at,
    ]);
    return said.stdout + said.stderr;
  };
  t.equal(await curl("web.t", "--http1.1"), "200 1.1");
  t.equal(await curl("web.t", "--http2"), "200 2");
  t.equal(await curl("web.t", "-H", "Host: old.t"), "421 2", "misdirected");
  t.match(await curl("old.t"), /certificate has expired/, "an expired one is shown");
  t.match(await curl("nobody.t"), /unrecognized name/);
  const shown = async (): Promise<string> => (await openssl(tls, "-servername", "web.t")).stdout;
  t.match(await shown(), /subject=CN ?= ?own/);
  file("objects.yaml", objects(renewed));
  let subject = "";
  for (let i = 0; i < 50 && !/renewed/.test(subject); i++) subject = await shown();
  t.match(subject, /subject=CN ?= ?renewed/, "renewed without a restart");
  const withHeader = {
    ...config,
    ingress: { http, https },
    gateways: [],
    proxyProtocol: "require",
    accessLog: "stdout",
  };
  const other = await start(
    [PODWIRE, "gateway", "--config", file("in.yaml", JSON.stringify(withHeader))],
    /gateway: http/,
    60_000,
  );
  running.push(other);
  const told = await run([
    "curl",
    "-sS",
    "-o",
    "/dev/null",
    "-w",
    "%{http_code}",
    "--haproxy-protocol",
    "-H",
    "Host: in.t",
    `http://127.0.0.1:${http}/`,
  ]);
  t.equal(told.stdout, "200");
  t.not((await run(["curl", "-sS", "-H", "Host: in.t", `http://127.0.0.1:${http}/`])).status, 0);
});
