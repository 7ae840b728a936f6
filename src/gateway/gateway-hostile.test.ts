// Clients and backends that mean harm, or are broken: nothing ends the gateway, nothing of one request comes into
// another, and nothing grows or stays.
import { connect as connectHttp2, constants } from "node:http2";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Duplex, Writable } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Test, t } from "tap";
import { makeCredentials } from "../apiserver/certificates.ts";
import { http2Backend, webIngress as web } from "../testing/gateway/asking.ts";
import { frame, headersFrame, PREFACE } from "../testing/gateway/http2-frames.ts";
import {
  backend,
  echo,
  freePort,
  localObjects,
  type Running,
  rawAnswer,
  runningGateway,
  servedAt,
} from "../testing/gateway/running-gateway.ts";
import { gateway as gatewayObject, httpRoute } from "../testing/l7/random-gateway.ts";
import type { ClientRequest } from "./exchange/ends.ts";
import type { Door } from "./server/door.ts";
import { Http1Connection } from "./server/http1-connection.ts";
import { OutBuffer } from "./server/out-buffer.ts";
import { Sweep } from "./sweep.ts";
import { Clusters } from "./upstream/clusters.ts";
import { Endpoint } from "./upstream/endpoint.ts";
import { DEFAULTS } from "./upstream/settings.ts";

const WAIT_MS = 10_000; // for an answer that ends its connection
const HEAD = "GET / HTTP/1.1\r\nHost: a.example\r\n";
const LIMITS = {
  ...{ headerBytes: 16_384, headers: 100, headerSec: 2, idleSec: 2, stallSec: 1, bodyBytes: 0 },
  ...{ connections: 1000, streams: 128, streamIdleSec: 1, flowIdleSec: 60, flows: 100 },
};

/** A server that says these bytes to every connection, as soon as it has heard something. */
async function saying(t: Test, bytes: string | ((socket: Socket, heard: string) => void)): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      if (typeof bytes === "string") socket.write(bytes, "latin1");
      else bytes(socket, chunk.toString("latin1"));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    for (const each of sockets) each.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function serving(
  t: Test,
  at: number,
  annotations: Record<string, string> = {},
  limits = LIMITS,
): Promise<Running> {
  return runningGateway(t, localObjects(...servedAt("web", [at]), web(annotations)), { limits });
}

function isAlive(port: number): Promise<boolean> {
  return rawAnswer(port, "GET / HTTP/1.1\r\nHost: nobody.example\r\nConnection: close\r\n\r\n", 2000).then(
    (text) => text.startsWith("HTTP/1.1 404"),
  );
}

/** Status and body by HTTP/2. */
function ask2(
  t: Test,
  port: number,
  path = "/",
): Promise<{ readonly status: number; readonly body: string }> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({ ":path": path, ":authority": "a.example" });
    let status = 0;
    let body = "";
    stream.on("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (chunk) => (body += chunk));
    stream.on("error", reject);
    stream.on("end", () => resolve({ status, body }));
  });
}

function closes(socket: Socket, withinMs: number): Promise<boolean> {
  socket.on("error", () => {});
  socket.resume();
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), withinMs);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

t.test(
  "a stream that is reset as if nothing were wrong, in the packet that opened it, harms nobody",
  async (t) => {
    const { port: at } = await backend(t, echo);
    const { port } = await serving(t, at);
    const reset = frame(3, 0, 1, Buffer.alloc(4));
    for (const authority of ["a.example", "nobody.example"]) {
      for (const path of ["/", "none"]) {
        for (const flags of [4, 5]) {
          const fields = { ":method": "POST", ":scheme": "http", ":authority": authority, ":path": path };
          await rawAnswer(port, Buffer.concat([PREFACE, headersFrame(fields, flags), reset]), 100);
          t.ok(await isAlive(port), `${authority} ${path} ${flags}`);
        }
      }
    }
  },
);

t.test("a body whose stream is reset is not taken for a whole one", async (t) => {
  const bodies: string[] = [];
  const { port: at } = await backend(t, (asked, response) => {
    let body = "";
    asked.on("data", (chunk) => (body += chunk));
    asked.on("end", () => bodies.push(body));
    response.on("error", () => {});
  });
  const { port } = await serving(t, at);
  const fields = { ":method": "POST", ":scheme": "http", ":authority": "a.example", ":path": "/" };
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.resume();
  socket.write(Buffer.concat([PREFACE, headersFrame(fields, 4), frame(0, 0, 1, Buffer.from("half"))]));
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.write(frame(3, 0, 1, Buffer.alloc(4)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.destroy();
  t.same(bodies, []);
});

t.test("headers that HTTP/2 has not are left out on the way to it, in both directions", async (t) => {
  const told: Record<string, unknown>[] = [];
  const at = await http2Backend(t, (stream, headers) => {
    told.push(headers);
    stream.resume();
    stream.respond({ ":status": 200, "content-length": 2 });
    stream.end("ok");
  });
  const grpc = await serving(t, at, { "backend-protocol": "GRPC" });
  const own = "HTTP2-Settings: AAMAAABkAAQAAP__\r\nconstructor: c\r\n__proto__: p\r\nX-On: 1\r\n";
  t.match(await rawAnswer(grpc.port, `${HEAD}${own}\r\n`), /^HTTP\/1\.1 200 /);
  t.match(told[0], { "x-on": "1", constructor: "c" });
  const chunked = `POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n`;
  await rawAnswer(grpc.port, `${chunked}1\r\na\r\n0\r\nTE: gzip\r\nHTTP2-Settings: x\r\nX-Last: 1\r\n\r\n`);
  t.ok(await isAlive(grpc.port));
  const answer = "HTTP/1.1 200 OK\r\nTE: x\r\nHTTP2-Settings: x\r\nX-On: 1\r\nContent-Length: 2\r\n\r\nok";
  t.same(await ask2(t, (await serving(t, await saying(t, answer))).port), { status: 200, body: "ok" });
});

t.test("statuses that are none, or that HTTP/2 has not, end an exchange, and not the gateway", async (t) => {
  const one = async (line: string) => serving(t, await saying(t, `${line}\r\nContent-Length: 0\r\n\r\n`));
  const odd = await one("HTTP/1.1 999 Denied");
  t.equal((await ask2(t, odd.port)).status, 502);
  t.match(await rawAnswer(odd.port, `${HEAD}\r\n`), /^HTTP\/1\.1 999 Denied\r\n/);
  for (const line of ["HTTP/1.1 099 Low", "HTTP/1.1 000 None", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK"]) {
    const { port } = await one(line);
    t.equal((await ask2(t, port)).status, 502, line);
    t.match(await rawAnswer(port, `${HEAD}\r\n`), /^HTTP\/1\.1 502 /, line);
  }
  const early = await serving(
    t,
    await saying(t, "HTTP/1.1 103 E\r\nTE: x\r\n\r\nHTTP/1.1 205 R\r\nContent-Length: 1\r\n\r\nx"),
  );
  t.equal((await ask2(t, early.port)).status, 205);
});

t.test("an answer that breaks off breaks off for a client of TLS, too", async (t) => {
  const { port: at } = await backend(t, (_, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("abc");
    setTimeout(() => response.destroy(), 20);
  });
  const { tlsPort, port } = await serving(t, at);
  const socket = connectTls({ port: tlsPort, host: "127.0.0.1", rejectUnauthorized: false });
  let text = "";
  socket.on("data", (chunk) => (text += chunk));
  socket.write(`${HEAD}\r\n`);
  t.ok(await closes(socket, 2000));
  t.match(text, /\r\n\r\nabc$/);
  t.ok(await isAlive(port));
});

t.test("what is no TLS behind a handshake ends the connection", async (t) => {
  const { port: at } = await backend(t, echo);
  const { tlsPort } = await serving(t, at);
  const below = connect({ port: tlsPort, host: "127.0.0.1" });
  const tls = connectTls({ socket: below, rejectUnauthorized: false });
  tls.on("error", () => {});
  await new Promise((resolve) => tls.once("secureConnect", resolve));
  below.write("this is no record of TLS at all, and never will be one\r\n");
  t.ok(await closes(tls, 1000));
});

t.test("who asks and does not read is not read, either, and has all answers when he does", async (t) => {
  const { port: at } = await backend(t, echo);
  const annotations = { "permanent-redirect": `https://b.example/${"x".repeat(8000)}` };
  const { port, gateway } = await serving(t, at, annotations, { ...LIMITS, stallSec: 60 });
  const asked = 8000;
  const socket = connect({ port, host: "127.0.0.1" });
  socket.pause();
  socket.write(`${HEAD}\r\n`.repeat(asked));
  const answered = (): number => Number(/_requests_total\{[^}]*\} (\d+)/.exec(gateway.metricsText)?.[1] ?? 0);
  let before = -1;
  for (let i = 0; i < 30 && answered() > before; i++) {
    before = answered();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(before > 0 && before < asked, `${before} of ${asked} are answered`);
  let bytes = 0;
  socket.on("data", (chunk) => (bytes += chunk.length)).resume();
  for (let i = 0; i < 100 && answered() < asked; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(answered(), asked);
  socket.destroy();
});

t.test("who reads slowly has the whole answer before the connection ends", async (t) => {
  const sweep = new Sweep();
  t.teardown(() => sweep.close());
  let taken = (): void => {};
  const slow = new Duplex({ read: () => {}, write: (_, __, done) => (taken = done) });
  const door = {
    ...{ limits: { ...LIMITS, stallSec: 60 }, sweep, isDraining: false },
    taken: (request: ClientRequest) => {
      request.respond(200, "", [], 3);
      request.write(Buffer.from("abc"));
      request.end([]);
    },
  };
  const peer = { ip: undefined, text: "", sni: undefined };
  const port = { number: 80, isTls: false, hasStreams: false, isIngress: true, gateways: [] };
  const connection = new Http1Connection(slow as unknown as Socket, peer, port, door as unknown as Door);
  connection.push(Buffer.from(`${HEAD}Connection: close\r\n\r\n`));
  const leftMs = (): number => connection.deadlineMs - performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  t.ok(leftMs() > 10_000, "while there is something left");
  taken();
  await new Promise((resolve) => setImmediate(resolve));
  t.ok(leftMs() <= 2000, "and not much longer");
});

t.test("many small pieces are too much at some time, as one large one is", async (t) => {
  const stuck = new Writable({ highWaterMark: 16_384, write: () => {} });
  const out = new OutBuffer(stuck as unknown as Socket);
  let taken = 0;
  for (; taken < 1000 && out.add(Buffer.alloc(1000)); taken++)
    await new Promise((resolve) => setImmediate(resolve));
  t.ok(taken < 30, `${taken} kB`);
});

t.test("a letter is no end of a line, whatever its code", async (t) => {
  const { port: at } = await backend(t, echo);
  const { port } = await serving(t, at, { "permanent-redirect": "https://b.example$uri" });
  const answer = await rawAnswer(
    port,
    "GET /%C4%8D%C4%8ASet-Cookie:%20x=1%0d%0aX-Y:%20z HTTP/1.1\r\nHost: a.example\r\n\r\n",
  );
  t.match(answer, /\r\nLocation: https:\/\/b\.example\/%C4%8D%C4%8ASet-Cookie:%20x=1%0D%0AX-Y:%20z\r\n/);
  t.notMatch(answer, /\nSet-Cookie/);
  const written: Buffer[] = [];
  const sink = new Writable({
    write: (chunk, _, done) => {
      written.push(chunk);
      done();
    },
  });
  new OutBuffer(sink as unknown as Socket).add("a: \u010d\u010a\xfc");
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(Buffer.concat(written).toString("latin1"), "a: \xc4\x8d\xc4\x8a\xfc");
});

t.test("an upgrade to HTTP itself is not passed on", async (t) => {
  const { server, port: at } = await backend(t, echo);
  server.on("upgrade", (_, socket) => {
    t.fail("upgraded");
    socket.destroy();
  });
  const { port } = await serving(t, at);
  for (const protocol of ["h2c", "H2C", "HTTP/2.0", "TLS/1.0", "h2c, http/1.1"]) {
    const answer = await rawAnswer(
      port,
      `${HEAD}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    );
    t.match(answer, /^HTTP\/1\.1 200 /, protocol);
    t.notMatch(answer, /"Upgrade"/i, protocol);
  }
  for (const version of ["2.0", "0.9"]) {
    const answer = await rawAnswer(port, `GET / HTTP/${version}\r\nHost: a.example\r\n\r\n`);
    t.match(answer, /^HTTP\/1\.1 505 /, version);
  }
});

t.test(
  "what comes behind a body in chunks is not lost in silence where an upgrade was asked for",
  async (t) => {
    const { port: at } = await backend(t, echo);
    const { port } = await serving(t, at);
    const head = "POST /1 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n";
    const answer = await rawAnswer(
      port,
      `${head}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n0\r\n\r\n${HEAD}\r\n`,
      400,
    );
    t.equal(answer.match(/HTTP\/1\.1 200/g)?.length, 1);
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write(`${head}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n0\r\n\r\n${HEAD}\r\n`);
    t.ok(await closes(socket, 1000), "the connection ends");
  },
);

t.test(
  "a copy of a request that is broken off is broken off: its connection serves nobody else",
  async (t) => {
    const heard = new Map<Socket, string>();
    const mirror = await saying(t, (socket, text) => {
      heard.set(socket, (heard.get(socket) ?? "") + text);
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 150);
    });
    const { port: at } = await backend(t, (asked) => asked.resume());
    const { port } = await serving(t, at, { "mirror-target": `http://127.0.0.1:${mirror}/` });
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write("POST /1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\nhalf");
    await new Promise((resolve) => setTimeout(resolve, 80));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 250));
    await rawAnswer(port, "GET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n", 300);
    t.equal(heard.size, 2);
    for (const each of heard.values()) t.equal(each.match(/HTTP\/1\.1\r\n/g)?.length, 1, "one request each");
  },
);

t.test("an answer by HTTP/2 that ends too early is not taken for a whole one", async (t) => {
  const at = await http2Backend(t, (stream) => {
    stream.respond({ ":status": 200, "content-length": 10 });
    stream.write("half");
    setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), 50);
    stream.on("error", () => {});
  });
  const { port } = await serving(t, at, { "backend-protocol": "GRPC" });
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(`${HEAD}\r\n`);
  t.ok(await closes(socket, 1500), "its client is told by the connection's end");
});

t.test("the body that a backend sends behind its answer to HEAD is nobody's answer", async (t) => {
  const hadHead = new Set<Socket>();
  const at = await saying(t, (socket, heard) => {
    const own = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown";
    const late = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    const isHead = heard.startsWith("HEAD");
    if (!isHead) {
      socket.write(hadHead.has(socket) ? `${late}${own}` : own);
      return;
    }
    hadHead.add(socket);
    if (heard.includes("/chunks")) socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${late.length}\r\n\r\n`);
  });
  const { port } = await serving(t, at);
  for (const path of ["/length", "/chunks"]) {
    const last = "Host: a.example\r\nConnection: close\r\n\r\n";
    const head = await rawAnswer(port, `HEAD ${path} HTTP/1.1\r\n${last}`, WAIT_MS);
    t.match(head, path === "/length" ? /Content-Length: 44\r\n/ : /Transfer-Encoding: chunked\r\n/);
    t.match(await rawAnswer(port, `GET / HTTP/1.1\r\n${last}`, WAIT_MS), /\r\n\r\nown$/, path);
  }
});

t.test("a connection by HTTP/2 on which somebody waited in vain is not the next one's", async (t) => {
  const real = await http2Backend(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  let first: Socket | undefined;
  const at = await saying(t, (socket, heard) => {
    first ??= socket;
    if (socket === first) return; // as a machine that is gone
    const way = known.get(socket) ?? connect({ port: real, host: "127.0.0.1" });
    if (!known.has(socket)) way.on("data", (chunk) => socket.write(chunk)).on("error", () => {});
    known.set(socket, way);
    way.write(heard, "latin1");
  });
  const known = new Map<Socket, Socket>();
  t.teardown(() => {
    for (const each of known.values()) each.destroy();
  });
  const annotations = { "backend-protocol": "GRPC", "proxy-read-timeout": "1", "proxy-next-upstream": "off" };
  const { port } = await serving(t, at, annotations);
  t.match(await rawAnswer(port, `${HEAD}\r\n`, 3000), /^HTTP\/1\.1 504 /);
  t.match(await rawAnswer(port, `${HEAD}\r\n`, 3000), /^HTTP\/1\.1 200 /);
});

t.test("who is asked first hears who asks of the gateway alone", async (t) => {
  const seen: string[][] = [];
  const { port: auth } = await backend(t, (asked, response) => {
    seen.push(asked.rawHeaders);
    response.end();
  });
  const { port: at } = await backend(t, echo);
  const annotations = { "auth-url": `http://127.0.0.1:${auth}/`, "auth-response-headers": "X-User" };
  const { port } = await serving(t, at, annotations);
  const names = [
    "X-Real-IP",
    "X_Real_IP",
    "X-Forwarded-For",
    "X_Forwarded-For",
    "X-Forwarded-Proto",
    "Forwarded",
  ];
  const told = ["X-Original-URL", "X_Original_URL", "X-Original-Method", "X-Auth-Request-Redirect", "X_User"];
  const lines = [...names, ...told].map((name) => `${name}: forged\r\n`).join("");
  const answer = await rawAnswer(port, `${HEAD}${lines}Connection: close\r\n\r\n`, WAIT_MS);
  const shown = seen[0].join("\n").replace(/^X-Original-Forwarded-For\n.*$/m, "");
  t.match(shown, /X-Real-IP\n127\.0\.0\.1/);
  for (const name of [...names, ...told.slice(0, 4)])
    t.notMatch(shown, new RegExp(`^${name}\\nforged`, "mi"), name);
  t.notMatch(answer, /"(?:X_Real_IP|X_Forwarded-For|X_User)"/, "nor does the backend of anybody else");
});

t.test("connections do not stay: of clients that are gone, that do not read, that do not end", async (t) => {
  const { port: at } = await backend(t, () => {});
  const listenAt = await freePort();
  const objects = [
    ...servedAt("web", [at]),
    gatewayObject([{ name: "http", port: listenAt, protocol: "HTTP" }]),
    httpRoute("r", { rules: [{ backendRefs: [{ name: "web", port: 80 }] }] }),
  ];
  const { gateway } = await runningGateway(t, localObjects(...objects), {
    ...{ limits: LIMITS, ingress: undefined, gateways: "all" },
  });
  const gone = connect({ port: listenAt, host: "127.0.0.1", allowHalfOpen: true });
  gone.end(`${HEAD}\r\n`);
  const fields = { ":method": "GET", ":scheme": "http", ":authority": "a.example", ":path": "/" };
  const gone2 = connect({ port: listenAt, host: "127.0.0.1", allowHalfOpen: true });
  gone2.end(Buffer.concat([PREFACE, headersFrame(fields, 5)]));
  const silent = connect({ port: listenAt, host: "127.0.0.1", allowHalfOpen: true });
  silent.write(PREFACE);
  for (const each of [gone, gone2, silent]) each.on("error", () => {}).resume();
  const open = (): string =>
    /^podwire_gateway_connections\{[^}]*\} (\d+)$/m.exec(gateway.metricsText)?.[1] ?? "";
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.ok(Number(open()) >= 1);
  for (let i = 0; i < 80 && open() !== "0"; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(open(), "0");
  for (const each of [gone, gone2, silent]) each.destroy();
});

t.test("an answer that a client of HTTP/2 gives no room to does not wait for ever", async (t) => {
  const late = 1500; // after the first time that something could have been too late
  const { port: at } = await backend(t, (_, response) => {
    setTimeout(() => response.end("x".repeat(10_000)), late);
  });
  const { port } = await serving(t, at);
  const session = connectHttp2(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  t.teardown(() => session.destroy());
  session.on("error", () => {});
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  const stream = session.request({ ":path": "/", ":authority": "a.example" });
  stream.on("error", () => {});
  const code = await new Promise((resolve) => {
    stream.on("close", () => resolve(stream.rstCode));
    setTimeout(() => resolve("open"), 6000).unref();
  });
  t.equal(code, constants.NGHTTP2_CANCEL);
});

t.test("a body that was held up, and then is not wanted, has its time", async (t) => {
  const at = await saying(t, (socket) => {
    socket.pause();
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"), 700);
  });
  const { port } = await serving(t, at, { "proxy-body-size": "0" });
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 90000000\r\n\r\n");
  socket.write(Buffer.alloc(40_000_000));
  t.ok(await closes(socket, 6000));
});

t.test("a connection that has changed to another protocol ends when nothing goes by", async (t) => {
  const { server, port: at } = await backend(t, echo);
  server.on("upgrade", (_, socket) => {
    socket.on("end", () => socket.end()).resume();
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  });
  const { port } = await serving(t, at);
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(`${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  t.ok(await closes(socket, 4000));
});

t.test("ways and addresses that clients can think of are not kept without end", async (t) => {
  const sweep = new Sweep();
  t.teardown(() => sweep.close());
  let open = 0;
  const at = await saying(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const endpoint = new Endpoint(`127.0.0.1:${at}`, sweep, (change) => (open += change));
  t.teardown(() => endpoint.close());
  const head = {
    method: "GET",
    target: "/",
    host: "a",
    headers: [],
    bodyLength: 0,
    upgrade: "",
    takesTrailers: false,
  };
  for (let i = 0; i < 100; i++)
    await new Promise<void>((resolve, reject) => {
      const nothing = (): void => {};
      endpoint.ask({ key: `name ${i}`, isHttp2: false, tls: undefined }, head, {
        ...{ connected: nothing, informed: nothing, answered: nothing, answerBody: nothing },
        ...{ answerEnd: () => resolve(), switched: nothing, callDrained: nothing },
        failed: ({ text }) => reject(new Error(text)),
      });
    });
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.ok(open > 0 && open <= 32, `${open} of 100 connections`);
  const clusters = new Clusters(sweep, () => DEFAULTS, -1);
  t.teardown(() => clusters.close());
  for (let i = 0; i < 5000; i++) clusters.outside(`host-${i}.example:80`);
  t.ok(clusters.gauges().length <= 2002, `${clusters.gauges().length} addresses`);
  clusters.follow();
  t.same(clusters.gauges(), []);
});

/** With a session of an earlier connection, where there is one. */
function resumed(port: number, session?: Buffer) {
  const socket: TLSSocket = connectTls({
    ...{ port, host: "127.0.0.1", servername: "b.example", rejectUnauthorized: false },
    ...(session !== undefined && { session }),
  });
  return new Promise<{ text: string; session: Buffer | undefined; isReused: boolean }>((resolve, reject) => {
    let text = "";
    let ticket: Buffer | undefined;
    socket.on("error", reject);
    socket.on("session", (given: Buffer) => (ticket = given));
    socket.on("data", (chunk) => (text += chunk));
    socket.on("secureConnect", () =>
      socket.write("GET / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n"),
    );
    socket.on("end", () => resolve({ text, session: ticket, isReused: socket.isSessionReused() }));
  });
}

t.test("a session of TLS that is taken up again has its name", async (t) => {
  const { serverCert, serverKey } = await makeCredentials("one", ["b.example"], []);
  const data = {
    "tls.crt": Buffer.from(serverCert).toString("base64"),
    "tls.key": Buffer.from(serverKey).toString("base64"),
  };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "own", namespace: "shop" },
    data,
  };
  const port = await freePort();
  const tls = { mode: "Terminate", certificateRefs: [{ name: "own" }] };
  const listeners = [
    { name: "any", port, protocol: "HTTPS", tls },
    { name: "b", port, protocol: "HTTPS", hostname: "b.example", tls },
  ];
  const { port: at } = await backend(t, echo);
  const route = httpRoute("r", {
    parentRefs: [{ name: "gw", namespace: "shop", sectionName: "b" }],
    rules: [{ backendRefs: [{ name: "web", port: 80 }] }],
  });
  const objects = localObjects(...servedAt("web", [at]), secret, gatewayObject(listeners), route);
  await runningGateway(t, objects, { ingress: undefined, gateways: "all" });
  const first = await resumed(port);
  t.match(first.text, /^HTTP\/1\.1 200 /);
  const second = await resumed(port, first.session);
  t.ok(second.isReused);
  t.match(second.text, /^HTTP\/1\.1 200 /);
});
