import { createSocket } from "node:dgram";
import { once } from "node:events";
import { get } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import t from "tap";
import { answer, endpoint, looksLikeHttp, tcpServer, udpServer } from "./echo.ts";
import { probe } from "./probe-helper.ts";

const WHO = { pod: "web-1", namespace: "default", node: "node1" };

t.test("addresses are written plainly", async (t) => {
  t.equal(endpoint("::ffff:10.244.1.2", 80), "10.244.1.2:80");
  t.equal(endpoint("10.0.0.1", 1), "10.0.0.1:1");
  t.equal(endpoint("fd00::1", 443), "[fd00::1]:443");
});

t.test("the first bytes tell HTTP from the rest, also one at a time", async (t) => {
  for (const text of ["GET /", "POST /x HTTP/1.1", "HEAD / "])
    t.equal(looksLikeHttp(Buffer.from(text)), "http", text);
  for (const text of ["GE", "P", "PUT", "PRI * H", ""])
    t.equal(looksLikeHttp(Buffer.from(text)), "more", text);
  t.equal(looksLikeHttp(Buffer.from("PRI * HTTP/2.0\r\n")), "http2");
  for (const text of ["hello", "GETX", "PUTTER ", "PRINT it", "\0"])
    t.equal(looksLikeHttp(Buffer.from(text)), "other", text);
});

t.test("HTTP, raw TCP and silence are all answered with the line of JSON", async (t) => {
  const { server, drain } = tcpServer(WHO, 50);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const at = `127.0.0.1:${port}`;

  const body = await new Promise<string>((resolve) => {
    get({ port, path: "/any/path", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    });
  });
  t.match(JSON.parse(body), { ...WHO, protocol: "TCP", server: at });
  t.ok(body.endsWith("}\n"), "one line");
  t.same(Object.keys(JSON.parse(body)), ["pod", "namespace", "node", "protocol", "client", "server"]);

  const raw = connect(port, "127.0.0.1");
  const own = await once(raw, "connect").then(() => `127.0.0.1:${raw.localPort}`);
  raw.end("hello");
  let text = "";
  for await (const chunk of raw.setEncoding("utf8")) text += chunk;
  t.equal(text, `${answer(WHO, "TCP", own, at)}hello`);

  const silent = connect(port, "127.0.0.1");
  const [line] = (await once(silent.setEncoding("utf8"), "data")) as string[];
  t.match(line, /^\{"pod":"web-1"/);
  silent.destroy();

  const begun = connect(port, "127.0.0.1");
  begun.write("GE");
  let heard = "";
  for await (const chunk of begun.setEncoding("utf8")) {
    heard += chunk;
    if (heard.includes("\n")) begun.end();
  }
  t.match(heard, /^\{"pod":"web-1".*\}\nGE$/, "what might have become HTTP comes back, all of it");
  await new Promise<void>((resolve) => drain(resolve));
});

/** All that a connection to `server` says to a request that is sent by `send`. */
async function heardBy(server: Server, send: (socket: Socket) => void): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1").setEncoding("utf8");
  await Promise.all([once(socket, "connect"), once(server, "connection")]);
  send(socket);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}

t.test("a client that is late with its request on a busy machine still speaks HTTP", async (t) => {
  const { server, drain } = tcpServer(WHO);
  const text = await heardBy(server, (socket) => {
    setTimeout(() => socket.write("GET / HTTP/1.0\r\n\r\n"), 800);
  });
  t.match(text, /^HTTP\/1\.1 200 OK/);
  await new Promise<void>((resolve) => drain(resolve));
});

t.test("a server that was kept from reading does not take a request for silence", async (t) => {
  const { server, drain } = tcpServer(WHO, 50);
  const text = await heardBy(server, (socket) => {
    socket.write("GET / HTTP/1.0\r\n\r\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150); // past the server's patience
  });
  t.match(text, /^HTTP\/1\.1 200 OK/);
  await new Promise<void>((resolve) => drain(resolve));
});

t.test("an HTTP request that comes byte by byte is still HTTP", async (t) => {
  const { server, drain } = tcpServer(WHO);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  for (const byte of "GET / HTTP/1.0\r\n\r\n") {
    socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  t.match(text, /^HTTP\/1\.1 200 OK/);
  await new Promise<void>((resolve) => drain(resolve));
});

t.test(
  "gRPC's health service serves, other calls are not implemented, and a plain request gets the line",
  async (t) => {
    const { server, drain } = tcpServer(WHO);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const ask = (service: string) =>
      probe({ id: 1, kind: "grpc", host: "127.0.0.1", port, service, timeoutMs: 2000 });
    t.match(await ask(""), { ok: true, message: "" });
    t.match(await ask("shop.Cart"), { ok: true });

    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const call = async (headers: Record<string, string>) => {
      const stream = session.request({ ":method": "POST", ...headers });
      if (!stream.writableEnded) stream.end(Buffer.alloc(5)); // HEAD has no body
      const [head] = (await once(stream, "response")) as [Record<string, string>];
      let body = "";
      for await (const chunk of stream.setEncoding("utf8")) body += chunk;
      return { head, body };
    };
    const grpc = { "content-type": "application/grpc" };
    const other = await call({ ":path": "/shop.Cart/Get", ...grpc });
    t.match(other.head, { ":status": 200, "grpc-status": "12", "grpc-message": /health/ });
    const { head, body } = await call({ ":path": "/any" });
    t.equal(head["content-type"], "application/json");
    t.match(JSON.parse(body), { ...WHO, protocol: "TCP", server: `127.0.0.1:${port}` });
    t.equal((await call({ ":path": "/", ":method": "HEAD" })).body, "");

    const watch = session.request({ ":method": "POST", ":path": "/grpc.health.v1.Health/Watch", ...grpc });
    const [first] = (await once(watch, "data")) as [Buffer];
    t.same([...first], [0, 0, 0, 0, 2, 0x08, 1], "told at once");
    t.equal(watch.closed, false, "and goes on");
    const ended = once(watch, "trailers");
    await new Promise<void>((resolve) => {
      drain(resolve); // as SIGTERM does: whoever watches is let go
      watch.resume();
    });
    t.match(await ended, [{ "grpc-status": "0" }]);
    t.equal(watch.rstCode, constants.NGHTTP2_NO_ERROR);
    session.destroy();
  },
);

t.test("UDP: large or asked for, the payload; otherwise the line", async (t) => {
  const probe = createSocket("udp4");
  probe.bind(0, "127.0.0.1");
  await once(probe, "listening");
  const port = probe.address().port;
  probe.close();
  const { close } = await udpServer(WHO, "127.0.0.1", port);
  const client = createSocket("udp4");
  const ask = async (payload: Buffer | string): Promise<Buffer> => {
    client.send(payload, port, "127.0.0.1");
    const [message] = (await once(client, "message")) as [Buffer];
    return message;
  };
  const line = JSON.parse((await ask("who?")).toString());
  t.match(line, {
    ...WHO,
    protocol: "UDP",
    server: `127.0.0.1:${port}`,
    client: `127.0.0.1:${client.address().port}`,
  });
  t.match(JSON.parse((await ask("")).toString()), WHO, "an empty datagram too");
  t.equal((await ask("echo this")).toString(), "echo this");
  const large = Buffer.alloc(30_000, 0xa5);
  t.ok(large.equals(await ask(large)), "30,000 bytes come back");
  client.close();
  close();
});
