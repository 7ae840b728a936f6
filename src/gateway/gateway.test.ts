import { METHODS } from "node:http";
import { connect } from "node:net";
import { type Test, t } from "tap";
import { ask, webIngress as web } from "../testing/gateway/asking.ts";
import {
  backend,
  echo,
  localObjects,
  rawAnswer,
  runningGateway,
  servedAt,
  sliceAt,
} from "../testing/gateway/running-gateway.ts";
import { SMUGGLING } from "../testing/gateway/smuggling.ts";

async function serving(t: Test, annotations: Record<string, string> = {}) {
  const { port: at } = await backend(t, echo);
  return runningGateway(t, localObjects(...servedAt("web", [at]), web(annotations)));
}

t.test("a request goes to an endpoint, and its answer back", async (t) => {
  const { port } = await serving(t);
  const { status, body } = await ask(port, "/x?y=1", {
    headers: { "X-Own": "1", "X-Forwarded-For": "192.0.2.9" },
  });
  t.equal(status, 200);
  const told = JSON.parse(body);
  t.equal(told.url, "/x?y=1");
  t.match(told.headers.join("\n"), /X-Own\n1\n/);
  t.match(told.headers.join("\n"), /X-Forwarded-For\n127\.0\.0\.1/);
  t.notMatch(
    told.headers.join("\n"),
    /X-Forwarded-For\n192/,
    "what a client says of others is not passed on",
  );
});

t.test("a body of known length and one in chunks arrive whole, with trailers", async (t) => {
  const { port } = await serving(t);
  const long = "0123456789".repeat(50_000);
  t.equal(
    JSON.parse(
      (await ask(port, "/", { method: "POST", body: long, headers: { "Content-Length": "500000" } })).body,
    ).body,
    long,
  );
  const answer = await rawAnswer(
    port,
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
      "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-End: 1\r\n\r\n",
  );
  const told = JSON.parse(answer.slice(answer.indexOf("{")));
  t.equal(told.body, "hello world");
  t.same(told.trailers, ["X-End", "1"]);
});

t.test("answers come in the order of requests that were sent together", async (t) => {
  const { port } = await serving(t);
  const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
  const answer = await rawAnswer(port, one("/1") + one("/2") + one("/3"));
  t.same(
    [...answer.matchAll(/"url":"([^"]*)"/g)].map(([, url]) => url),
    ["/1", "/2", "/3"],
  );
});

t.test("QUERY is a method with a body, where Node.js reads it", async (t) => {
  const { port } = await serving(t);
  const answer = await rawAnswer(
    port,
    "QUERY /q HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
  );
  if (METHODS.includes("QUERY")) t.match(answer, /"method":"QUERY","url":"\/q".*"body":"abc"/);
  else t.match(answer, /^HTTP\/1\.1 400 /);
  for (const method of ["PRI", "SETUP", "FLUSH", "QUERIES"])
    t.match(
      await rawAnswer(port, `${method} / HTTP/1.1\r\nHost: a.example\r\n\r\n`),
      /^HTTP\/1\.1 (?:400|501) /,
      method,
    );
});

t.test("an answer in chunks, with trailers and with early hints, goes back as it came", async (t) => {
  const { port: at } = await backend(t, (_, response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.writeHead(200, { Trailer: "X-Sum" });
    response.write("one ");
    setTimeout(() => {
      response.write("two");
      response.addTrailers({ "X-Sum": "7" });
      response.end();
    }, 20);
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const answer = await rawAnswer(port, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
  t.match(
    answer,
    /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/i,
  );
  t.match(answer, /4\r\none \r\n3\r\ntwo\r\n0\r\nX-Sum: 7\r\n\r\n$/);
});

t.test("a client that waits for 100 is told to go on, or why not", async (t) => {
  const { port } = await serving(t, { "proxy-body-size": "10" });
  const head = (length: number) =>
    `POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
  const told = await rawAnswer(port, head(5), 200);
  t.equal(told, "HTTP/1.1 100 Continue\r\n\r\n");
  const refused = await rawAnswer(port, head(11));
  t.match(refused, /^HTTP\/1\.1 413 /);
  t.match(refused, /Connection: close/);
});

t.test("a body in chunks that is longer than allowed is refused", async (t) => {
  const { port } = await serving(t, { "proxy-body-size": "10" });
  const answer = await rawAnswer(
    port,
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
  );
  t.match(answer, /^HTTP\/1\.1 413 /);
});

t.test("what the rules answer themselves is answered", async (t) => {
  const { port } = await serving(t, { "temporal-redirect": "https://new.example$request_uri" });
  const { status, headers } = await ask(port, "/x");
  t.equal(status, 302);
  t.equal(headers.location, "https://new.example/x");
  t.equal((await ask(port, "/x", { headers: { Host: "other.example" } })).status, 404);
});

t.test(
  "requests that two readers could take for two things are refused, and the connection ends",
  async (t) => {
    const seen: string[] = [];
    const { port: at } = await backend(t, (asked, response) => {
      seen.push(asked.url ?? "");
      response.end("ok");
    });
    const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
    for (const [name, bytes] of Object.entries(SMUGGLING)) {
      seen.length = 0;
      const answer = await rawAnswer(port, bytes, 150);
      t.match(answer, /^HTTP\/1\.1 (?:400|405|417|501) /, name);
      t.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, `${name}: one answer, and the connection ends`);
      t.same(
        seen.filter((url) => url === "/smuggled"),
        [],
        `${name}: nothing gets through`,
      );
    }
  },
);

t.test("headers of a connection end at it, and those that Connection names", async (t) => {
  const { port } = await serving(t);
  const answer = await rawAnswer(
    port,
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n" +
      "X-On: 2\r\n\r\n",
  );
  const told: string[] = JSON.parse(answer.slice(answer.indexOf("{"))).headers;
  t.ok(told.includes("X-On"));
  for (const name of ["X-Hop", "Keep-Alive", "TE"]) t.notOk(told.includes(name), name);
});

t.test("a head that is too long, has too many headers or takes too long is refused", async (t) => {
  const { port: at } = await backend(t, echo);
  const limits = {
    headerBytes: 2048,
    headers: 10,
    headerSec: 1,
    idleSec: 1,
    stallSec: 1,
    bodyBytes: 0,
    connections: 10,
    streams: 10,
    ...{ streamIdleSec: 10, flowIdleSec: 10, flows: 10 },
  };
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()), { limits });
  const head = "GET / HTTP/1.1\r\nHost: a.example\r\n";
  t.match(await rawAnswer(port, `${head}X: ${"y".repeat(4000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  t.match(await rawAnswer(port, `${head}${"X: y\r\n".repeat(20)}\r\n`), /^HTTP\/1\.1 431 /);
  t.match(await rawAnswer(port, head, 3000), /^HTTP\/1\.1 408 /, "a slow head");
  t.equal(await rawAnswer(port, "", 3000), "", "a connection without a word ends");
  const stalled = await rawAnswer(
    port,
    `POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc`,
    3000,
  );
  t.notMatch(stalled, / 200 /, "a body that does not come");
});

t.test("an endpoint that has changed is used at once, and no request fails", async (t) => {
  const named = (name: string) =>
    backend(t, (asked, response) => {
      asked.resume();
      response.end(name);
    });
  const ports = await Promise.all(["a", "b"].map(async (name) => (await named(name)).port));
  const { port, source } = await runningGateway(t, localObjects(...servedAt("web", [ports[0]]), web()));
  t.equal((await ask(port, "/")).body, "a");
  const [slice] = localObjects(sliceAt("web", ports[1]));
  source.change({ type: "MODIFIED", object: slice });
  t.equal((await ask(port, "/")).body, "b");
  const answers = new Map<string, number>();
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const { status, body } = await ask(port, "/", { method: "POST", body: "x" });
      answers.set(`${status} ${body}`, (answers.get(`${status} ${body}`) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 4 }, client);
  for (let i = 0; i < 200; i++) {
    source.change({ type: "MODIFIED", object: localObjects(sliceAt("web", ports[i % 2]))[0] });
    await new Promise((resolve) => setImmediate(resolve));
  }
  isOver = true;
  await Promise.all(clients);
  t.same([...answers.keys()].sort(), ["200 a", "200 b"]);
});

t.test("an endpoint that refuses is passed over, and one that ends within its answer is told", async (t) => {
  const { port: at } = await backend(t, echo);
  const { port: broken } = await backend(t, (_, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    response.write("abc");
    setTimeout(() => response.destroy(), 20);
  });
  const dead = await backend(t, echo);
  await new Promise((resolve) => dead.server.close(resolve));
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [dead.port, at]), web()));
  for (let i = 0; i < 6; i++) t.equal((await ask(port, "/")).status, 200);
  const other = await runningGateway(t, localObjects(...servedAt("web", [broken]), web()));
  await t.rejects(ask(other.port, "/"), /aborted|hang up|ECONNRESET/);
  const none = await runningGateway(t, localObjects(...servedAt("web", [dead.port]), web()));
  t.equal((await ask(none.port, "/")).status, 502);
});

t.test("a connection that changes to another protocol carries bytes both ways", async (t) => {
  const { server, port: at } = await backend(t, echo);
  server.on("upgrade", (asked, socket) => {
    t.match(asked.headers.upgrade, "websocket");
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-K: 1\r\n\r\nhi ",
    );
    socket.on("data", (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
    socket.on("end", () => socket.end());
  });
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const head = "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc";
  const answer = await rawAnswer(port, head);
  t.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(answer, /X-K: 1\r\n/);
  t.match(answer, /\r\n\r\nhi ABC$/);
});

t.test("when it ends, no new connection is taken, and what is under way is answered", async (t) => {
  const { port: at } = await backend(t, (_, response) => setTimeout(() => response.end("late"), 150));
  const { port, gateway } = await runningGateway(t, localObjects(...servedAt("web", [at]), web()));
  const idle = connect({ port, host: "127.0.0.1" });
  const idleEnded = new Promise((resolve) => idle.on("close", resolve));
  idle.resume();
  const asked = rawAnswer(port, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 1000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await gateway.drain(5);
  const answer = await asked;
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(answer, /Connection: close\r\n/);
  t.match(answer, /late/);
  await idleEnded;
  t.equal(await rawAnswer(port, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "");
});
