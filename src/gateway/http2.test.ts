import { connect, constants } from "node:http2";
import { type Test, t } from "tap";
import { http2Backend, webIngress as web } from "../testing/gateway/asking.ts";
import { backend, echo, localObjects, runningGateway, servedAt } from "../testing/gateway/running-gateway.ts";

interface Answer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
}

/** By HTTP/2 with prior knowledge, or by TLS at an address of its own. */
function ask(
  t: Test,
  port: number | string,
  headers: Record<string, string>,
  body: readonly string[] = [],
  trailers?: Record<string, string>,
): Promise<Answer> {
  const at = typeof port === "string" ? port : `http://127.0.0.1:${port}`;
  const session = connect(at, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({ ":authority": "a.example", ...headers }, {
      endStream: body.length === 0,
      waitForTrailers: trailers !== undefined,
    } as object);
    const answer = { headers: {}, trailers: {}, body: "" };
    if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("response", (told) => (answer.headers = told));
    stream.on("trailers", (told) => (answer.trailers = told));
    stream.on("data", (chunk) => (answer.body += chunk));
    stream.on("error", reject);
    stream.on("end", () => resolve(answer));
    for (const part of body) stream.write(part);
    if (body.length > 0) stream.end();
  });
}

t.test("a request by HTTP/2 goes to a backend of HTTP/1.1", async (t) => {
  const { port: at } = await backend(t, echo);
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const { headers, body } = await ask(t, port, { ":path": "/x?y", ":method": "POST", cookie: "a=b" }, [
    "one ",
    "two",
  ]);
  t.equal(headers[":status"], 200);
  const told = JSON.parse(body);
  t.equal(told.url, "/x?y");
  t.equal(told.body, "one two");
  t.match(told.headers.join("\n"), /Host\na\.example/);
  t.equal((await ask(t, port, { ":path": "/", ":authority": "b.example" })).headers[":status"], 404);
});

t.test("a client that TLS lets choose HTTP/2 has it", async (t) => {
  const { port: at } = await backend(t, echo);
  const { tlsPort } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const { headers, body } = await ask(t, `https://127.0.0.1:${tlsPort}`, { ":path": "/x" });
  t.equal(headers[":status"], 200);
  t.match(JSON.parse(body).headers.join("\n"), /X-Forwarded-Proto\nhttps/);
});

t.test("a body that waits to be asked for is asked for", async (t) => {
  const { port: at } = await backend(t, echo);
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const session = connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  const head = { ":authority": "a.example", ":path": "/", ":method": "POST", expect: "100-continue" };
  const stream = session.request(head, { endStream: false });
  stream.on("continue", () => stream.end("said"));
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  t.equal(JSON.parse(text).body, "said");
});

t.test("gRPC goes through with its trailers, both ways", async (t) => {
  let got: Record<string, unknown> = {};
  const at = await http2Backend(t, (stream, headers) => {
    let text = "";
    stream.on("data", (chunk) => (text += chunk));
    stream.on("trailers", (trailers) => (got = trailers));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": "0", "x-path": String(headers[":path"]) }),
      );
      stream.end(text.toUpperCase());
    });
  });
  const { port } = await runningGateway(
    t,
    localObjects(...servedAt("web", [at]), web({ "backend-protocol": "GRPC" })),
  );
  const answer = await ask(
    t,
    port,
    { ":path": "/pkg.Service/Do", ":method": "POST", "content-type": "application/grpc", te: "trailers" },
    ["abc", "def"],
    { "x-client": "1" },
  );
  t.equal(answer.body, "ABCDEF");
  t.match(answer.trailers, { "grpc-status": "0", "x-path": "/pkg.Service/Do" });
  t.equal(got["x-client"], "1");
});

t.test("a large answer comes whole, to a client that reads slowly, too", async (t) => {
  const chunk = Buffer.alloc(65_536, "x");
  const { port: at } = await backend(t, (_, response) => {
    for (let i = 0; i < 64; i++) response.write(chunk);
    response.end();
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  t.equal((await ask(t, port, { ":path": "/" })).body.length, 64 * chunk.length);
});

t.test(
  "a stream that its client resets ends at the backend, and many of them end the connection",
  async (t) => {
    let ended = 0;
    const { port: at } = await backend(t, (asked) => asked.on("close", () => ended++));
    const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
    const session = connect(`http://127.0.0.1:${port}`);
    t.teardown(() => session.destroy());
    session.on("error", () => {});
    const over = new Promise((resolve) => session.on("close", resolve));
    const one = session.request({ ":path": "/", ":authority": "a.example" });
    one.on("error", () => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    one.close(constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => setTimeout(resolve, 100));
    t.equal(ended, 1);
    for (let i = 0; i < 600 && !session.destroyed; i++) {
      const stream = session.request({ ":path": "/", ":authority": "a.example" });
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await over;
    t.pass("the connection is over");
  },
);
