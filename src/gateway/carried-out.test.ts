// What a decision says beyond where a request goes is carried out: limits, somebody who is asked first, copies, cookies,
// canaries, tries, times, TLS.
import type { RequestListener } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Test, t } from "tap";
import { makeCredentials } from "../apiserver/certificates.ts";
import { ask, webIngress as web } from "../testing/gateway/asking.ts";
import {
  backend,
  echo,
  localObjects,
  rawAnswer,
  runningGateway,
  servedAt,
} from "../testing/gateway/running-gateway.ts";
import { ingress } from "../testing/l7/objects.ts";

const named =
  (name: string): RequestListener =>
  (asked, response) => {
    asked.resume();
    asked.on("end", () => response.end(name));
  };

/** Answers nothing until it is told to; then everything at once. */
function holding() {
  const held: { answers: (() => void)[] | undefined } = { answers: [] };
  const hold: RequestListener = (_, response) => {
    if (held.answers === undefined) response.end();
    else held.answers.push(() => response.end());
  };
  return { held, hold };
}

/** Statuses of five requests, of which those that are let on are answered when the others are. */
async function fiveAtOnce(port: number, held: ReturnType<typeof holding>["held"]): Promise<number[]> {
  let refused = 0;
  const asked = Array.from({ length: 5 }, async () => {
    const { status } = await ask(port, "/");
    if (status === 200 || ++refused < 3) return status;
    for (const answer of held.answers ?? []) answer();
    held.answers = undefined;
    return status;
  });
  return (await Promise.all(asked)).sort();
}

async function serving(t: Test, annotations: Record<string, string>, ...answers: RequestListener[]) {
  const ports = await Promise.all(answers.map(async (answer) => (await backend(t, answer)).port));
  return runningGateway(t, localObjects(...servedAt("web", ports), web(annotations)));
}

t.test("limit-rpm and limit-connections: what is more gets 503", async (t) => {
  const rated = await serving(t, { "limit-rpm": "1", "limit-burst-multiplier": "2" }, echo);
  const statuses = await Promise.all(Array.from({ length: 6 }, () => ask(rated.port, "/")));
  t.equal(statuses.filter(({ status }) => status === 200).length, 3, "one, and two above that");
  t.equal(statuses.filter(({ status }) => status === 503).length, 3);
  const { held, hold } = holding();
  const counted = await serving(t, { "limit-connections": "2" }, hold);
  t.same(await fiveAtOnce(counted.port, held), [200, 200, 503, 503, 503]);
  t.equal((await ask(counted.port, "/")).status, 200, "and none is left counted");
});

t.test("auth-url: 2xx lets a request on, 401 and 403 are the answer, all else is 500", async (t) => {
  const seen: string[] = [];
  const { port: auth } = await backend(t, (asked, response) => {
    seen.push(
      `${asked.method} ${asked.url} ${asked.headers["x-original-url"]} ${asked.headers["x-token"] ?? ""}`,
    );
    const status = Number(asked.headers["x-want"]);
    response
      .writeHead(status, { "WWW-Authenticate": "Basic", ...(status === 200 && { "X-User": "ann" }) })
      .end("no");
  });
  const annotations = {
    "auth-url": `http://127.0.0.1:${auth}/check`,
    "auth-response-headers": "X-User, X-Role",
  };
  const { port } = await serving(t, annotations, echo);
  const let_ = await ask(port, "/x", {
    method: "POST",
    body: "body",
    headers: { "X-Want": "200", "X-Token": "t", "X-Role": "admin" },
  });
  t.equal(let_.status, 200);
  const told = JSON.parse(let_.body);
  t.equal(told.body, "body");
  t.match(told.headers.join("\n"), /X-User\nann/);
  t.notOk(told.headers.includes("X-Role"), "what it may say nobody else may");
  t.same(seen, ["GET /check http://a.example/x t"]);
  const unknown = await ask(port, "/", { headers: { "X-Want": "401" } });
  t.equal(unknown.status, 401);
  t.equal(unknown.headers["www-authenticate"], "Basic");
  t.equal((await ask(port, "/", { headers: { "X-Want": "403" } })).status, 403);
  t.equal((await ask(port, "/", { headers: { "X-Want": "302" } })).status, 500);
  const signed = await serving(t, { ...annotations, "auth-signin": "https://login.example/?a=b" }, echo);
  const { status, headers } = await ask(signed.port, "/x?y", { headers: { "X-Want": "401" } });
  t.equal(status, 302);
  t.equal(headers.location, `https://login.example/?a=b&rd=${encodeURIComponent("http://a.example/x?y")}`);
});

t.test("mirror-target: a copy with its body, and nobody waits for it", async (t) => {
  let got: (text: string) => void = () => {};
  const copied = new Promise<string>((resolve) => (got = resolve));
  const { port: mirror } = await backend(t, (asked) => {
    let text = "";
    asked.on("data", (chunk) => (text += chunk));
    asked.on("end", () => got(`${asked.method} ${asked.url} ${text}`)); // and never answers
  });
  const { port } = await serving(t, { "mirror-target": `http://127.0.0.1:${mirror}$request_uri` }, echo);
  t.equal((await ask(port, "/x?y", { method: "POST", body: "body" })).status, 200);
  t.equal(await copied, "POST /x?y body");
});

t.test("copies that are not answered are bounded, and whoever asks does not notice", async (t) => {
  let copied = 0;
  const { port: mirror } = await backend(t, (asked) => {
    copied++;
    asked.resume(); // and never answers
  });
  const { port, gateway } = await serving(t, { "mirror-target": `http://127.0.0.1:${mirror}/` }, echo);
  for (let i = 0; i < 300; i++) t.equal((await ask(port, "/")).status, 200);
  for (let i = 0; i < 50 && copied < 256; i++) await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(copied, 256);
  t.match(gateway.metricsText, /^podwire_gateway_copies_total 256$/m);
  t.match(gateway.metricsText, /^podwire_gateway_copies_left_out_total 44$/m);
});

t.test("a copy whose reader is too slow is given up, and the request goes on", async (t) => {
  const { port: mirror } = await backend(t, (asked) => asked.pause());
  const annotations = { "mirror-target": `http://127.0.0.1:${mirror}/`, "proxy-body-size": "0" };
  const { port, gateway } = await serving(t, annotations, (asked, response) => {
    let length = 0;
    asked.on("data", (chunk: Buffer) => (length += chunk.length));
    asked.on("end", () => response.end(String(length)));
  });
  const body = "x".repeat(32 * 1024 * 1024);
  t.equal((await ask(port, "/", { method: "POST", body })).body, String(body.length));
  t.match(gateway.metricsText, /^podwire_gateway_copies_left_out_total 1$/m);
});

t.test(
  "while somebody else is asked a body waits, unread but for a little, and then arrives whole",
  async (t) => {
    let letOn: () => void = () => {};
    let isAsked: () => void = () => {};
    const asked = new Promise<void>((resolve) => (isAsked = resolve));
    const { port: auth } = await backend(t, (_, response) => {
      letOn = () => response.end();
      isAsked();
    });
    const annotations = { "auth-url": `http://127.0.0.1:${auth}/`, "proxy-body-size": "0" };
    const { port } = await serving(t, annotations, (asked, response) => {
      let length = 0;
      asked.on("data", (chunk: Buffer) => (length += chunk.length));
      asked.on("end", () => response.end(String(length)));
    });
    const body = Buffer.alloc(48 * 1024 * 1024, "x");
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    socket.write(
      `POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await asked;
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.ok(socket.writableLength > 32 * 1024 * 1024, `${socket.writableLength} bytes wait at the client`);
    letOn();
    let text = "";
    for await (const chunk of socket) text += chunk;
    t.match(text, new RegExp(`\r\n\r\n${body.length}$`));
  },
);

t.test("a client that leaves while somebody else is asked is not asked for", async (t) => {
  const held: (() => void)[] = [];
  const { port: auth } = await backend(t, (_, response) => held.push(() => response.end()));
  let asked = 0;
  const { port, gateway } = await serving(t, { "auth-url": `http://127.0.0.1:${auth}/` }, (_, response) => {
    asked++;
    response.end();
  });
  const head = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n";
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(`${head}ab`);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":authority": "a.example" }, { endStream: false });
  stream.on("error", () => {});
  for (let i = 0; i < 50 && held.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(held.length, 2);
  socket.destroy();
  stream.close(8);
  await new Promise((resolve) => setTimeout(resolve, 150));
  for (const letOn of held) letOn();
  for (let i = 0; i < 50 && !/code="499"\} 2/.test(gateway.metricsText); i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  t.match(gateway.metricsText, /requests_total\{[^}]*code="499"\} 2$/m);
  t.equal(asked, 0);
});

t.test("affinity: a cookie brings a client back, as long as its endpoint is there", async (t) => {
  const annotations = { affinity: "cookie", "session-cookie-name": "S", "session-cookie-max-age": "60" };
  const { port, source } = await serving(t, annotations, named("a"), named("b"), named("c"));
  const first = await ask(port, "/");
  const [cookie] = first.headers["set-cookie"] as string[];
  t.match(cookie, /^S=[0-9a-f]{16}-\w+-\w+; Path=\/; Max-Age=60; HttpOnly$/);
  const crumb = cookie.split(";")[0];
  for (let i = 0; i < 6; i++) {
    const again = await ask(port, "/", { headers: { Cookie: `x=y; ${crumb}` } });
    t.equal(again.body, first.body);
    t.notOk(again.headers["set-cookie"]);
  }
  const index = ["a", "b", "c"].indexOf(first.body);
  const [gone] = localObjects(...servedAt("web", [1, 2, 3])).slice(1 + index);
  source.change({ type: "DELETED", object: gone });
  const other = await ask(port, "/", { headers: { Cookie: crumb } });
  t.not(other.body, first.body);
  t.ok(other.headers["set-cookie"]);
});

t.test("a canary gets its share, by header all of it", async (t) => {
  const [main, next] = await Promise.all(
    ["main", "next"].map(async (name) => (await backend(t, named(name))).port),
  );
  const canary = ingress({
    ...{ name: "canary", hosts: { "a.example": [{ path: "/", to: "next" }] } },
    annotations: { canary: "true", "canary-weight": "50", "canary-by-header": "X-Canary" },
  });
  const objects = localObjects(...servedAt("web", [main]), ...servedAt("next", [next]), web(), canary);
  const { port } = await runningGateway(t, objects);
  const bodies = await Promise.all(Array.from({ length: 60 }, async () => (await ask(port, "/")).body));
  const share = bodies.filter((each) => each === "next").length;
  t.ok(share > 10 && share < 50, `${share} of 60`);
  t.equal((await ask(port, "/", { headers: { "X-Canary": "always" } })).body, "next");
  t.equal((await ask(port, "/", { headers: { "X-Canary": "never" } })).body, "main");
});

t.test(
  "tries: statuses that the rule names are asked elsewhere, where the method may be done twice",
  async (t) => {
    const failing: RequestListener = (asked, response) => {
      asked.resume();
      response.writeHead(503).end();
    };
    const { port } = await serving(t, { "proxy-next-upstream": "error http_503" }, failing, named("ok"));
    for (let i = 0; i < 4; i++) t.equal((await ask(port, "/")).status, 200);
    const posts = await Promise.all(
      Array.from({ length: 4 }, () => ask(port, "/", { method: "POST", body: "x" })),
    );
    t.equal(posts.filter(({ status }) => status === 503).length, 2, "POST is not done twice");
  },
);

t.test("times: a backend that says nothing is given up, and after so many failures left alone", async (t) => {
  const { port } = await serving(t, { "proxy-read-timeout": "1", "proxy-next-upstream": "off" }, () => {});
  t.equal((await ask(port, "/")).status, 504);
  const dead: RequestListener = (asked) => asked.socket.destroy();
  const both = await serving(t, { "proxy-next-upstream": "off" }, dead, named("ok"));
  const statuses: number[] = [];
  for (let i = 0; i < 30; i++) statuses.push((await ask(both.port, "/")).status);
  t.equal(statuses.filter((status) => status === 502).length, 5);
  t.same(new Set(statuses.slice(-15)), new Set([200]));
});

t.test("podwire.dev/max-requests: more at once is 503", async (t) => {
  const { held, hold } = holding();
  const { port: at } = await backend(t, hold);
  const annotations = { "podwire.dev/max-requests": "2" };
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at], { annotations }), web()));
  t.same(await fiveAtOnce(port, held), [200, 200, 503, 503, 503]);
});

function secretOf({ cert, key }: { readonly cert: string; readonly key: string }): object {
  const data = {
    "tls.crt": Buffer.from(cert).toString("base64"),
    "tls.key": Buffer.from(key).toString("base64"),
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/tls",
    metadata: { name: "own", namespace: "shop" },
    data,
  };
}

/** What is shown for a name, as PEM without line ends. */
function shown(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().raw.toString("base64"));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const plain = (pem: string): string => pem.replace(/-----[^-]+-----|\s/g, "");

t.test(
  "TLS shows the Secret of the host, a new one at once, and speaks HTTP/2 where it is asked for",
  async (t) => {
    const [first, second] = await Promise.all(
      ["one", "two"].map(async (name) => {
        const { serverCert, serverKey } = await makeCredentials(name, ["a.example"], []);
        return { cert: serverCert, key: serverKey };
      }),
    );
    const { port: at } = await backend(t, echo);
    const tls = [{ hosts: ["a.example"], secretName: "own" }];
    const objects = localObjects(...servedAt("web", [at]), web({}, { tls }), secretOf(first));
    const { tlsPort, port, source } = await runningGateway(t, objects);
    t.equal(await shown(tlsPort, "a.example"), plain(first.cert));
    t.not(await shown(tlsPort, "b.example"), plain(first.cert));
    const session = connectHttp2(`https://127.0.0.1:${tlsPort}`, {
      servername: "a.example",
      rejectUnauthorized: false,
    });
    t.teardown(() => session.destroy());
    const stream = session.request({ ":path": "/x", ":authority": "a.example" });
    let body = "";
    for await (const chunk of stream) body += chunk;
    t.match(JSON.parse(body).headers.join("\n"), /X-Forwarded-Proto\nhttps/);
    t.match(
      await rawAnswer(port, "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n"),
      /308 .*\r\n(?:.*\r\n)*Location: https:\/\/a\.example\/x/,
    );
    source.change({ type: "MODIFIED", object: localObjects(secretOf(second))[0] });
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.equal(await shown(tlsPort, "a.example"), plain(second.cert));
    t.match(
      await rawAnswer(tlsPort, "GET / HTTP/1.1\r\n\r\n"),
      /^(?!HTTP\/1\.1 200)/,
      "what is no TLS gets no answer",
    );
  },
);
