// Streams through a gateway: bytes and ends both ways, shares, endpoints that are gone, PROXY headers, TLS that passes and
// TLS that ends, limits and times.
import { once } from "node:events";
import type { Socket } from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTls,
  type TLSSocket,
} from "node:tls";
import t, { type Test } from "tap";
import { formatIp, formatIpPort, ip } from "../../base/ip.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import { Authority } from "../../testing/l7/authority.ts";
import { allOf, StreamWorld, streamTo } from "../../testing/l7/stream-world.ts";
import { lookFirst } from "./first-bytes.ts";
import { readProxyHeader, writeProxyHeader } from "./proxy-protocol.ts";
import { type Begun, type FrontOptions, type StreamRecord, TcpFront } from "./tcp-front.ts";

const GONE = "127.0.0.1:1"; // nobody listens

interface Opened {
  readonly at: string;
  readonly front: TcpFront;
  readonly records: StreamRecord[];
  readonly world: StreamWorld;
  /** The next one. */
  record(): Promise<StreamRecord>;
}

async function open(t: Test, options: Partial<FrontOptions>): Promise<Opened> {
  const world = new StreamWorld();
  const records: StreamRecord[] = [];
  let tell = (): void => {};
  const front = new TcpFront({
    ...{ proxyProtocol: "off", helloMs: 2000, idleMs: 10_000, connectMs: 2000, tries: 3 },
    draw: Math.random,
    backendTls: () => undefined,
    proxyTo: () => 0,
    decide: () => ({ action: { kind: "close" }, reason: "nobody's" }),
    context: () => undefined,
    requests: (socket) => socket.destroy(),
    nowMs: () => performance.now(),
    carried: () => {},
    ended: (record) => {
      records.push(record);
      tell();
    },
    ...options,
  });
  const at = await world.serve((socket) => front.accept(socket), true);
  t.teardown(() => {
    front.stop();
    return world.close();
  });
  let seen = 0;
  const record = async (): Promise<StreamRecord> => {
    while (records.length <= seen) await new Promise<void>((done) => (tell = done));
    return records[seen++];
  };
  return { at, front, records, world, record };
}

t.test("bytes go both ways; an end that says no more still hears the other", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const backend = await world.serve((socket) => {
    let text = "";
    socket.on("data", (bytes: Buffer) => (text += String(bytes)));
    socket.on("end", () => setTimeout(() => socket.end(`heard ${text}`), 50));
  });
  const { at, record } = await open(t, { decide: () => streamTo([1, [backend]]) });
  const client = await world.client(at);
  const all = allOf(client);
  client.end("hello");
  t.equal(await all, "heard hello");
  t.match(await record(), {
    ...{
      rule: "TCPRoute shop/r rules[0]",
      backend: "shop/b0:80",
      endpoint: backend,
      sent: 5,
      received: 11,
      reason: "",
    },
  });
});

t.test("a reader that takes nothing stops its writer; then all of it arrives", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const total = 32 * 1024 * 1024;
  let sent = 0;
  const backend = await world.serve((socket) => {
    const more = (): void => {
      while (sent < total) {
        sent += 65_536;
        if (!socket.write(Buffer.alloc(65_536, 1))) {
          socket.once("drain", more);
          return;
        }
      }
      socket.end();
    };
    more();
  });
  const { at } = await open(t, { decide: () => streamTo([1, [backend]]) });
  const client = await world.client(at);
  client.pause();
  let before = -1;
  while (sent !== before) {
    before = sent;
    await new Promise((done) => setTimeout(done, 200));
  }
  t.ok(sent < total, `${sent} bytes went before somebody read`);
  let got = 0;
  client.on("data", (bytes: Buffer) => (got += bytes.length));
  client.resume();
  await once(client, "end");
  t.equal(got, total);
});

t.test("a backend that breaks off is a reset for the client, and not an end", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const backend = await world.serve((socket) => {
    socket.write("half");
    setTimeout(() => socket.resetAndDestroy(), 50);
  });
  const { at, record } = await open(t, { decide: () => streamTo([1, [backend]]) });
  const client = await world.client(at);
  const broken = once(client, "error") as Promise<[NodeJS.ErrnoException]>;
  client.resume();
  const [{ code }] = await broken;
  t.equal(code, "ECONNRESET");
  t.match(await record(), { reason: "the backend broke it off" });
});

t.test(
  "shares are held; an endpoint that refuses is followed by another; where all refuse it is told",
  async (t) => {
    const world = new StreamWorld();
    t.teardown(() => world.close());
    const [a, b] = [await world.echo("a"), await world.echo("b")];
    let shares = streamTo([0.75, [GONE, a]], [0.25, [b]]);
    const { at, record } = await open(t, { decide: () => shares, tries: 2 });
    const counts: Record<string, number> = { a: 0, b: 0 };
    for (let i = 0; i < 200; i++) {
      const client = await world.client(at);
      client.end();
      counts[await allOf(client)]++;
      await record();
    }
    t.equal(counts.a + counts.b, 200);
    t.ok(counts.b > 25 && counts.b < 80, `b: ${counts.b} of 200`);
    shares = streamTo([1, [GONE]]);
    const client = await world.client(at);
    t.equal(await allOf(client), "");
    t.match(await record(), { reason: /^127\.0\.0\.1:1 of shop\/b0:80: connect ECONNREFUSED/ });
  },
);

t.test("what nothing leads to is closed; silence ends a stream", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const echo = await world.echo("e");
  let decision: ConnectionDecision = { action: { kind: "close" }, reason: "nobody's" };
  const { at, record } = await open(t, { decide: () => decision, idleMs: 300 });
  t.equal(await allOf(await world.client(at)), "");
  t.match(await record(), { reason: "nobody's" });
  decision = streamTo([1, [echo]]);
  const [one, two] = [await world.client(at), await world.client(at)];
  await Promise.all([one, two].map((socket) => once(socket, "data")));
  const over = allOf(two);
  for (let i = 0; i < 4; i++) {
    await new Promise((done) => setTimeout(done, 100));
    one.write("x");
  }
  t.equal(await over, "");
  t.match(await record(), { reason: "nothing went by for too long" });
  t.notOk(one.destroyed, "who says something stays");
});

t.test("PROXY headers: the client is who they say; required, accepted, wrong, cut off", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const echo = await world.echo("");
  const told: string[] = [];
  const decide: FrontOptions["decide"] = ({ address, port, to }) => {
    told.push(`${formatIpPort(address, port)} ${to.port}`);
    return streamTo([1, [echo]]);
  };
  const { at, record } = await open(t, { decide, proxyProtocol: "require", helloMs: 300 });
  const header = writeProxyHeader(2, {
    from: { address: ip("192.0.2.7"), port: 7 },
    to: { address: ip("192.0.2.8"), port: 8 },
  });
  const client = await world.client(at);
  for (const byte of header) {
    client.write(Buffer.from([byte]));
    await new Promise((done) => setImmediate(done));
  }
  client.end("after");
  t.equal(await allOf(client), "after");
  t.same(told, ["192.0.2.7:7 8"]);
  t.equal(formatIp((await record()).client.address), "192.0.2.7");
  for (const [bytes, reason] of [
    ["GET / HTTP/1.1\r\n", "it begins without a PROXY header"],
    ["PROXY TCP4 a b 1 2\r\n", /its PROXY header does not have two addresses/],
    ["PROXY TCP4 ", "no PROXY header came"],
  ] as const) {
    const bad = await world.client(at);
    bad.write(bytes);
    t.equal(await allOf(bad), "");
    t.match(await record(), { reason });
  }
  t.equal(told.length, 1);
  const lenient = await open(t, { decide, proxyProtocol: "accept", helloMs: 300 });
  const greeting = await world.serve((socket) => socket.end("hello"));
  const patient = await open(t, {
    decide: () => streamTo([1, [greeting]]),
    proxyProtocol: "accept",
    helloMs: 300,
  });
  t.equal(await allOf(await world.client(patient.at)), "hello", "the server speaks first");
  const plain = await world.client(lenient.at);
  plain.end("plain");
  t.equal(await allOf(plain), "plain");
  t.match(told[1], /^127\.0\.0\.1:/);
});

const tlsClient = (at: string, servername: string, ca: string, alpn: string[] = []): TLSSocket =>
  connectTls({ port: Number(at.split(":")[1]), host: "127.0.0.1", servername, ca, ALPNProtocols: alpn });

t.test("a backend that awaits a PROXY header is told who is there, before TLS", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const echo = await world.echo("");
  const told = await open(t, { decide: () => streamTo([1, [echo]]), proxyTo: () => 1 });
  const client = await world.client(told.at);
  client.end("x");
  t.match(await allOf(client), /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nx$/);
  const root = await Authority.make("root");
  const secure = createTls(await root.issue({ names: ["db.t"] }), (socket) => socket.end("secret"));
  t.teardown(() => secure.close());
  const behind = await world.serve(async (socket) => {
    const state = await lookFirst(socket, 2000, (_, all) => {
      const read = readProxyHeader(all());
      return read.kind === "header" ? { value: read, used: read.header.length } : undefined;
    });
    t.match(state, { header: { version: 1, from: { address: ip("127.0.0.1") } } });
    secure.emit("connection", socket);
  });
  const tls = { hostname: "db.t", authorities: [] };
  const { at } = await open(t, {
    ...{ decide: () => streamTo([1, [behind], tls]), proxyTo: () => 1 },
    backendTls: ({ hostname }) => ({ servername: hostname, ca: root.cert }),
  });
  t.equal(await allOf(await world.client(at)), "secret");
  const distrusting = await open(t, {
    ...{ decide: () => streamTo([1, [behind], tls]), proxyTo: () => 1 },
    backendTls: () => ({ servername: "other.t", ca: root.cert }),
  });
  t.equal(await allOf(await world.client(distrusting.at)), "");
  t.match(await distrusting.record(), { reason: /Hostname\/IP does not match certificate's altnames/ });
});

t.test("TLS by its name: passed through untouched, ended here, or handed on with its protocol", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const root = await Authority.make("root");
  const [own, theirs] = [
    await root.issue({ names: ["end.t", "web.t"] }),
    await root.issue({ names: ["pass.t"] }),
  ];
  const backend = createTls({ cert: theirs.cert, key: theirs.key }, (socket) =>
    socket.end("from the backend"),
  );
  await new Promise<void>((done) => backend.listen(0, "127.0.0.1", done));
  t.teardown(() => backend.close());
  const passing = `127.0.0.1:${(backend.address() as { port: number }).port}`;
  const echo = await world.echo("e:");
  const begun: Begun[] = [];
  const decide: FrontOptions["decide"] = (_, sni) => {
    if (sni === undefined) return { action: { kind: "close", awaitsTls: true }, reason: "no TLS" };
    if (sni === "pass.t") return streamTo([1, [passing]]);
    if (sni === "end.t") return { ...streamTo([1, [echo]]), cert: "shop/own" };
    if (sni === "web.t") return { action: { kind: "requests" }, cert: "shop/own", reason: "" };
    return { action: { kind: "close" }, reason: `nobody is ${sni}` };
  };
  const { at, record } = await open(t, {
    decide,
    helloMs: 500,
    context: ({ cert }) => (cert === "shop/own" ? createSecureContext(own) : undefined),
    requests: (socket: Socket | TLSSocket, about) => {
      begun.push(about);
      socket.end(`alpn ${(socket as TLSSocket).alpnProtocol}`);
    },
  });
  const passed = tlsClient(at, "pass.t", root.cert);
  t.equal(await allOf(passed), "from the backend");
  passed.end();
  t.match(await record(), { sni: "pass.t", endpoint: passing });
  const ended = tlsClient(at, "end.t", root.cert);
  ended.once("secureConnect", () => ended.end("hi"));
  t.equal(await allOf(ended), "e:hi");
  t.match(await record(), { sni: "end.t", endpoint: echo, reason: "" });
  const web = tlsClient(at, "web.t", root.cert, ["h2", "http/1.1"]);
  t.equal(await allOf(web), "alpn h2");
  web.destroy();
  t.match(begun, [{ hello: { sni: "web.t" }, decision: { cert: "shop/own" } }]);
  const nobody = tlsClient(at, "other.t", root.cert);
  const [error] = (await once(nobody, "error")) as [Error];
  t.match(error.message, /unrecognized name/);
  t.match(await record(), { reason: "nobody is other.t" });
  for (const [bytes, reason] of [
    ["GET / HTTP/1.1\r\n\r\n", /does not begin with TLS/],
    ["\x16\x03\x01\x02", "no ClientHello came"],
  ] as const) {
    const bad = await world.client(at);
    bad.write(Buffer.from(bytes, "latin1"));
    t.equal(await allOf(bad), "");
    t.match(await record(), { reason });
  }
});

t.test("when the gateway ends, its streams do", async (t) => {
  const world = new StreamWorld();
  t.teardown(() => world.close());
  const echo = await world.echo("e");
  const { at, record, front } = await open(t, { decide: () => streamTo([1, [echo]]) });
  const client = await world.client(at);
  await once(client, "data");
  const over = allOf(client);
  front.stop();
  t.equal(await over, "");
  t.match(await record(), { reason: "the gateway ends" });
});
