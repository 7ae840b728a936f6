// A running gateway's TCP, TLS and UDP listeners, by objects: what is passed through, what ends here, who asks.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request as askTls } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls, createServer as createTls } from "node:tls";
import t from "tap";
import { ip } from "../../base/ip.ts";
import {
  backend,
  echo,
  freePort,
  localObjects,
  rawAnswer,
  runningGateway,
  servedAt,
} from "../../testing/gateway/running-gateway.ts";
import { Authority, type Issued } from "../../testing/l7/authority.ts";
import { ingress } from "../../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import { allOf, StreamWorld } from "../../testing/l7/stream-world.ts";
import { Pipe, reset } from "./pipe.ts";
import { writeProxyHeader } from "./proxy-protocol.ts";

const route = (kind: string, name: string, to: string, more: object = {}): object => ({
  ...{ apiVersion: `${GATEWAY_GROUP}/v1alpha2`, kind, metadata: { name, namespace: "shop" } },
  spec: { parentRefs: [{ name: "gw" }], rules: [{ backendRefs: [{ name: to, port: 80 }] }], ...more },
});
const secret = (name: string, { cert, key }: Issued): object => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop" } },
  ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": cert, "tls.key": key } },
});
const portOf = (endpoint: string): number => Number(endpoint.split(":")[1]);

t.test("a TCP listener carries bytes to its route's backend, and closes when there is none", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const [one, two] = [await world.echo("one:"), await world.echo("two:")];
  const port = await freePort();
  const objects = localObjects(
    ...[...servedAt("db", [portOf(one)]), gateway([{ name: "tcp", port, protocol: "TCP" }])],
    route("TCPRoute", "r", "db"),
  );
  const running = await runningGateway(t, objects, { ingress: undefined, gateways: "all" });
  const ask = async (): Promise<string> => {
    const client = await world.client(`127.0.0.1:${port}`);
    client.end("x");
    return allOf(client);
  };
  t.equal(await ask(), "one:x");
  const [slice] = localObjects(...servedAt("db", [portOf(two)]).slice(1));
  running.source.change({ type: "MODIFIED", object: slice });
  t.equal(await ask(), "two:x", "a changed endpoint is used by the next connection");
  t.match(
    running.gateway.metricsText,
    /podwire_gateway_streams_total\{rule="TCPRoute shop\/r rules\[0\]",backend="shop\/db:80"\} 2/,
  );
  running.source.change({ type: "DELETED", object: objects.find(({ kind }) => kind === "TCPRoute")! });
  let said = await ask(); // rules are made anew a moment later
  for (let i = 0; i < 100 && said !== ""; i++) said = await ask();
  t.equal(said, "");
});

t.test("TLS passes through or ends by its name; a Host of another listener's is misdirected", async (t) => {
  const root = await Authority.make("root");
  const [web, other, theirs] = await Promise.all(
    ["web.t", "other.t", "pass.t"].map((name) => root.issue({ names: [name] })),
  );
  const behind = createTls(theirs, (socket) => socket.end("from behind"));
  await new Promise<void>((done) => behind.listen(0, "127.0.0.1", done));
  t.teardown(() => behind.close());
  const plain = await backend(t, echo);
  const port = await freePort();
  const https = (name: string): object => ({
    ...{ name, hostname: `${name}.t`, port, protocol: "HTTPS", tls: { certificateRefs: [{ name }] } },
  });
  const objects = localObjects(
    ...[secret("web", web), secret("other", other)],
    ...servedAt("web", [plain.port]),
    ...servedAt("db", [(behind.address() as { port: number }).port]),
    gateway([
      ...[https("web"), https("other")],
      { name: "pass", hostname: "pass.t", port, protocol: "TLS", tls: { mode: "Passthrough" } },
    ]),
    route("TLSRoute", "r", "db"),
    httpRoute("h", { rules: [{ backendRefs: [{ name: "web", port: 80 }] }] }),
  );
  await runningGateway(t, objects, { ingress: undefined, gateways: "all" });
  const passed = connectTls({ port, host: "127.0.0.1", servername: "pass.t", ca: root.cert });
  t.equal(await allOf(passed), "from behind");
  passed.destroy();
  const ask = (servername: string, Host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = {
        port,
        host: "127.0.0.1",
        servername,
        ca: root.cert,
        headers: { Host },
        agent: false as const,
      };
      askTls(options, (answer) => resolve(answer.resume().statusCode ?? 0))
        .on("error", reject)
        .end();
    });
  t.equal(await ask("web.t", "web.t"), 200);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: "web.t", ca: root.cert });
  const stream = session.request({ ":authority": "web.t" });
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  t.equal(headers[":status"], 200, "by HTTP/2, too");
  session.destroy();
  t.equal(await ask("web.t", "other.t"), 421);
  t.equal(await ask("web.t", "nobody.t"), 404);
  await t.rejects(ask("nobody.t", "nobody.t"), /unrecognized name/);
});

t.test("with PROXY headers awaited, backends are told who is there, by TLS, too", async (t) => {
  const plain = await backend(t, echo);
  const objects = localObjects(
    ...servedAt("web", [plain.port]),
    ingress({ hosts: { "a.example": [{ path: "/", to: "web" }] } }),
  );
  const { port, tlsPort } = await runningGateway(t, objects, { proxyProtocol: "require" });
  const header = writeProxyHeader(1, {
    from: { address: ip("192.0.2.7"), port: 7 },
    to: { address: ip("192.0.2.8"), port: 80 },
  });
  const get = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
  t.match(
    await rawAnswer(port, Buffer.concat([header, Buffer.from(get)])),
    /"X-Forwarded-For","192\.0\.2\.7"/,
  );
  t.equal(await rawAnswer(port, get), "", "who does not say is not heard");
  const raw = connect({ port: tlsPort, host: "127.0.0.1" });
  raw.write(header);
  const tls = connectTls({ socket: raw, servername: "a.example", rejectUnauthorized: false });
  tls.end(get);
  t.match(await allOf(tls), /"X-Forwarded-For","192\.0\.2\.7"/);
});

t.test("a UDP listener: datagrams there and back, another endpoint when it is gone", async (t) => {
  const servers = await Promise.all(
    ["one", "two"].map(async (name) => {
      const socket = createSocket("udp4");
      socket.on("message", (bytes, from) => socket.send(`${name}:${String(bytes)}`, from.port, from.address));
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
      t.teardown(() => socket.close());
      return socket.address().port;
    }),
  );
  const udp = (port: number): object[] =>
    JSON.parse(
      JSON.stringify(servedAt("dns", [port])).replaceAll(
        '"name":"http","port"',
        '"name":"http","protocol":"UDP","port"',
      ),
    ) as object[];
  const port = await freePort();
  const objects = localObjects(
    ...[...udp(servers[0]), gateway([{ name: "udp", port, protocol: "UDP" }]), route("UDPRoute", "u", "dns")],
  );
  const running = await runningGateway(t, objects, { ingress: undefined, gateways: "all" });
  const client = createSocket("udp4");
  t.teardown(() => client.close());
  const ask = async (): Promise<string> => {
    client.send("x", port, "127.0.0.1");
    const [bytes] = (await once(client, "message")) as [Buffer];
    return String(bytes);
  };
  t.equal(await ask(), "one:x");
  const [slice] = localObjects(...udp(servers[1]).slice(1));
  running.source.change({ type: "MODIFIED", object: slice });
  t.equal(await ask(), "two:x");
  t.match(running.gateway.metricsText, /podwire_gateway_udp_flows\{port="\d+"\} 1/);
});

t.test(
  "who is told an end that he does not take can still be broken off, and nothing stays open",
  async (t) => {
    const world = new StreamWorld();
    t.teardown(() => world.close());
    let behind: Socket | undefined;
    const end = await world.serve((socket) => (behind = socket.on("error", () => {})), true);
    const pipe = new Promise<Pipe>((resolve) => {
      void world
        .serve((socket) => void world.client(end).then((to) => resolve(new Pipe(socket, to, 300))))
        .then((at) => world.client(at))
        .then((client) => client.on("error", () => {}).end(Buffer.alloc(16 * 1024 * 1024)));
    });
    const { brokenBy, sent } = await (await pipe).ended;
    t.equal(brokenBy, "idle");
    let got = 0;
    const over = new Promise((resolve) => behind?.once("end", resolve).once("close", resolve));
    behind?.on("data", (bytes: Buffer) => (got += bytes.length)).resume();
    await over;
    t.ok(got < sent, `a reset takes back what was not read yet: ${got} of ${sent} bytes`);
  },
);

t.test("a socket that is about to say its end is closed where it should be reset", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const client = await world.client(await world.serve((socket) => socket.on("error", () => {}).resume()));
  client.end("x");
  reset(client);
  await once(client, "close");
  t.pass("it is closed");
});
