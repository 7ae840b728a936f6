// Connections that change to another protocol: WebSockets by HTTP/2 (RFC 8441) become those of HTTP/1.1, judged by ws at
// the backend; and what one end has said reaches the other.
import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { type Test, t } from "tap";
import { WebSocketServer } from "ws";
import { webIngress as web } from "../testing/gateway/asking.ts";
import { backend, echo, localObjects, runningGateway, servedAt } from "../testing/gateway/running-gateway.ts";

const MASK = Buffer.from([1, 2, 3, 4]);
const [TEXT, CLOSE] = [0x81, 0x88];

/** As clients have to send it: masked. */
function frame(kind: number, text: string): Buffer {
  const payload = Buffer.from(text, "latin1");
  const masked = payload.map((byte, i) => byte ^ MASK[i % MASK.length]);
  return Buffer.concat([Buffer.from([kind, 0x80 | payload.length]), MASK, masked]);
}

interface Opened {
  readonly stream: ClientHttp2Stream;
  readonly answer: IncomingHttpHeaders;
}

async function open(t: Test, port: number, headers: Record<string, string> = {}): Promise<Opened> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  session.on("error", () => {});
  const [settings] = (await once(session, "remoteSettings")) as [{ enableConnectProtocol?: boolean }];
  t.equal(settings.enableConnectProtocol, true);
  const stream = session.request(
    {
      ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/chat?a=b" },
      ...{ ":authority": "a.example", "sec-websocket-version": "13", ...headers },
    },
    { endStream: false },
  );
  stream.on("error", () => {});
  const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
  return { stream, answer };
}

async function textOf(stream: ClientHttp2Stream, ends: RegExp): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += (chunk as Buffer).toString("latin1");
    if (ends.test(text)) break;
  }
  return text;
}

t.test("a WebSocket by HTTP/2 is one by HTTP/1.1 at its backend, both ways and to its end", async (t) => {
  const { server, port: at } = await backend(t, echo);
  const sockets = new WebSocketServer({ server });
  t.teardown(() => sockets.close());
  const asked: string[] = [];
  let closed: (code: number) => void = () => {};
  const code = new Promise<number>((resolve) => (closed = resolve));
  sockets.on("connection", (socket, { method, url, headers }) => {
    asked.push(`${method} ${url} ${headers.host} ${headers["x-forwarded-for"]}`);
    socket.on("message", (data) => socket.send(`heard ${String(data)}`));
    socket.on("close", closed);
  });
  const { port, gateway } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const { stream, answer } = await open(t, port, {
    "sec-websocket-protocol": "chat",
    "sec-websocket-key": "not for you",
  });
  t.match(answer, { ":status": 200, "sec-websocket-protocol": "chat" });
  for (const name of ["sec-websocket-accept", "upgrade", "connection"]) t.notOk(answer[name], name);
  t.same(asked, ["GET /chat?a=b a.example 127.0.0.1"]);
  const heard = new Promise<string>((resolve) => {
    let text = "";
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.length >= 22) resolve(text);
    });
  });
  stream.write(frame(TEXT, "one"));
  stream.write(frame(TEXT, "two"));
  t.equal(await heard, "\x81\x09heard one\x81\x09heard two");
  stream.write(frame(CLOSE, "\x03\xe8"));
  await once(stream, "end");
  stream.end();
  await once(stream, "close");
  t.equal(await code, 1000);
  t.match(
    gateway.metricsText,
    /requests_total\{rule="Ingress shop\/web [^}]*code="101"\} 1\n/,
    "counted as a change of protocol",
  );
});

t.test("what is no WebSocket is no success, and a refusal is told as it is", async (t) => {
  const { server, port: at } = await backend(t, (asked, response) => {
    response.writeHead(asked.url === "/chat?a=b" ? 200 : 403).end("not here");
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  t.equal((await open(t, port)).answer[":status"], 502, "who takes no notice of it has changed nothing");
  const refused = await open(t, port, { ":path": "/other" });
  t.equal(refused.answer[":status"], 403);
  t.equal(await textOf(refused.stream, /here/), "not here");
  t.equal((await open(t, port, { ":protocol": "connect-udp" })).answer[":status"], 501);
  t.equal((await open(t, port, { ":authority": "nobody.example" })).answer[":status"], 404);
  server.close();
});

t.test("CONNECT without a protocol is none that is served", async (t) => {
  const { port: at } = await backend(t, echo);
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  const stream = session.request({ ":method": "CONNECT", ":authority": "a.example:80" });
  stream.on("error", () => {});
  const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
  t.equal(answer[":status"], 405);
});

t.test("a client that is gone ends its WebSocket at the backend", async (t) => {
  const { server, port: at } = await backend(t, echo);
  const ended = new Promise<void>((resolve) => {
    server.on("upgrade", (_, socket) => {
      socket.on("error", () => {});
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket
        .on("end", () => socket.end())
        .on("close", () => resolve())
        .resume(); // a server's is half open otherwise
    });
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const { stream } = await open(t, port);
  stream.close(8);
  await ended;
  t.pass("it has ended");
});

t.test("who reads slowly has all that was said before the other end left", async (t) => {
  const bytes = 24 * 1024 * 1024;
  const { server, port: at } = await backend(t, echo);
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    socket.end(Buffer.alloc(bytes, "x"));
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const client = connect({ port, host: "127.0.0.1" });
  client.on("error", () => {});
  client.write("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  let [head, got] = ["", 0];
  client.on("data", (chunk: Buffer) => {
    got += chunk.length;
    if (head === "") head = chunk.toString("latin1");
    client.pause();
    setTimeout(() => client.resume(), 1);
  });
  await once(client, "close");
  const length = head.indexOf("\r\n\r\n") + 4;
  t.equal(got - length, bytes);
});
