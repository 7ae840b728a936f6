// Streams by two kinds of client each: `ws`, and a SPDY client of the tests' own.
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import * as fc from "fast-check";
import t from "tap";
import { WebSocket } from "ws";
import type { Pod } from "../../kube/objects.ts";
import { TestPrograms } from "../../testing/pod-programs.ts";
import { SpdyClient } from "../../testing/spdy-client.ts";
import { openTunnel } from "../../testing/web-socket-tunnel.ts";
import { StatusError } from "../status.ts";
import { serveLog } from "./log.ts";
import { type StreamSubresource, serveUpgrade } from "./upgrade.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default" },
  spec: { nodeName: "node1", containers: [{ name: "a" }] },
  status: {},
} as Pod;
const two = {
  ...pod,
  spec: { ...pod.spec, containers: [{ name: "a" }, { name: "b" }], initContainers: [{ name: "i" }] },
};
const homeless = { ...pod, spec: { containers: [{ name: "a" }] } };
const PODS: Readonly<Record<string, Pod>> = { web: pod, two, homeless } as never;

const programs = new TestPrograms();
let server: Server;
let port = 0;
const sockets = new Set<Duplex>();

t.before(async () => {
  await programs.listen();
  const told = (error: unknown): { code: number; text: string } => {
    if (!(error instanceof StatusError)) throw error;
    return { code: error.status.code ?? 500, text: error.message };
  };
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    serveLog(PODS[url.pathname.split("/")[1]], url.searchParams, response, programs).catch((error) => {
      const { code, text } = told(error);
      response.statusCode = code;
      response.end(text);
    });
  });
  server.on("connection", (socket) => sockets.add(socket));
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const url = new URL(request.url ?? "/", "http://x");
    const [, name, subresource] = url.pathname.split("/");
    const asked = { request, socket, head, pod: PODS[name], query: url.searchParams };
    try {
      serveUpgrade({ ...asked, subresource: subresource as StreamSubresource }, programs);
    } catch (error) {
      const { code, text } = told(error);
      socket.end(
        `HTTP/1.1 ${code} No\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});

t.after(async () => {
  for (const socket of sockets) socket.destroy();
  programs.close();
  await new Promise((resolve) => server.close(resolve));
});

const FORWARD = "portforward.k8s.io";
const V4 = "v4.channel.k8s.io";

/** A connection that was turned to SPDY, or the status and text of what was answered instead. */
function upgrade(path: string, protocols: string): Promise<SpdyClient | [number, string]> {
  return new Promise((resolve, reject) => {
    const headers = { connection: "Upgrade", upgrade: "SPDY/3.1", "x-stream-protocol-version": protocols };
    const made = httpRequest({ port, path, method: "POST", headers, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve([response.statusCode ?? 0, text]);
    });
    made.on("upgrade", (response, socket, head) => {
      t.ok(protocols.includes(response.headers["x-stream-protocol-version"] as string));
      if (head.length > 0) socket.unshift(head);
      resolve(new SpdyClient(socket));
    });
    made.on("error", reject);
    made.end();
  });
}

const spdy = async (path: string, protocols: string): Promise<SpdyClient> =>
  (await upgrade(path, protocols)) as SpdyClient;

interface Channels {
  socket: WebSocket;
  /** What came on each channel so far. */
  texts: Record<number, string>;
  closed: Promise<number>;
}

async function webSocket(path: string, ...protocols: string[]): Promise<Channels> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols);
  const texts: Record<number, string> = {};
  socket.on("message", (data: Buffer) => {
    texts[data[0]] = (texts[data[0]] ?? "") + data.subarray(1).toString("latin1");
  });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  await once(socket, "open");
  return { socket, texts, closed };
}

const message = (channel: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
const SUCCESS = { metadata: {}, status: "Success" };

t.test("exec over SPDY: input, both outputs, the exit status", async (t) => {
  const client = await spdy(
    "/web/exec?command=cat&stdin=true&stdout=true&stderr=true",
    `${V4},v3.channel.k8s.io`,
  );
  const [error, stdin, stdout, stderr] = [
    await client.open({ streamType: "error" }),
    await client.open({ streamType: "stdin" }),
    await client.open({ streamType: "stdout" }),
    await client.open({ streamType: "stderr" }),
  ];
  const text = "0123456789abcdef".repeat(1 << 16); // 1 MiB
  for (let at = 0; at < text.length; at += 100_000) stdin.write(text.slice(at, at + 100_000));
  stdin.end();
  t.equal(await stdout.whole(), text);
  t.equal(await stderr.whole(), "");
  t.same(JSON.parse(await error.whole()), SUCCESS);
  await client.until(() => client.isClosed);
  t.ok(client.isLeaving, "it says that it leaves");
  t.equal(client.replies, 4);
  t.equal(programs.started.at(-1), "web/a cat");
});

t.test("a program that fails, in the words of each version", async (t) => {
  const ask = async (protocol: string, command = "command=exit&command=7"): Promise<string> => {
    const client = await spdy(`/web/exec?${command}&stdout=1`, protocol);
    const error = await client.open({ streamtype: "error" });
    await client.open({ streamtype: "stdout" });
    return error.whole();
  };
  t.match(JSON.parse(await ask(V4)), {
    status: "Failure",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "7" }] },
  });
  for (const version of ["v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]) {
    t.match(await ask(version), /^command terminated with non-zero exit code/, version);
    t.equal(await ask(version, "command=exit&command=0"), "");
  }
  t.match(JSON.parse(await ask(V4, "command=none")), {
    reason: "InternalError",
    message: /executable file not found in \$PATH/,
  });
});

t.test("exec over a WebSocket: v4, and v5 whose client ends its input", async (t) => {
  const path = "/web/exec?command=cat&stdin=true&stdout=true&stderr=true";
  const five = await webSocket(path, "v5.channel.k8s.io", V4);
  t.equal(five.socket.protocol, "v5.channel.k8s.io");
  five.socket.send(message(0, "hello "));
  five.socket.send(message(0, "you"));
  five.socket.send(Buffer.from([255, 0]));
  t.equal(await five.closed, 1000);
  t.equal(five.texts[1], "hello you");
  t.same(JSON.parse(five.texts[3]), SUCCESS);
  const four = await webSocket("/web/exec?command=both&stdout=true&stderr=true", V4);
  t.equal(await four.closed, 1000);
  t.same([four.texts[1], four.texts[2]], ["out", "err"]);
  const failing = await webSocket("/web/exec?command=exit&command=3&stdout=true", V4);
  await failing.closed;
  t.match(JSON.parse(failing.texts[3]), { details: { causes: [{ message: "3" }] } });
});

t.test("a terminal, its sizes, and a client that goes away", async (t) => {
  const query = "command=cat&stdin=true&stdout=true&stderr=true&tty=true";
  const client = await spdy(`/web/exec?${query}`, V4);
  await client.open({ streamType: "error" });
  const stdin = await client.open({ streamType: "stdin" });
  const stdout = await client.open({ streamType: "stdout" });
  const resize = await client.open({ streamType: "resize" });
  resize.write('{"Width":80,"Hei');
  resize.write(
    'ght":24}{"Width":0,"Height":1}{"Width":99999,"Height":1}nonsense}{"Width":100,"Height":30}\n',
  );
  stdin.write("hello");
  await client.until(() => stdout.text === "HELLO");
  const socket = await webSocket(`/web/exec?${query}`, V4);
  socket.socket.send(message(4, '{"Width":132,"Height":50}'));
  socket.socket.send(message(0, "more"));
  while (socket.texts[1] !== "MORE") await new Promise((resolve) => setTimeout(resolve, 5));
  t.same(programs.sizes, [
    [80, 24],
    [100, 30],
    [132, 50],
  ]);
  const before = programs.stopped;
  socket.socket.terminate();
  await client.close();
  while (programs.stopped < before + 2) await new Promise((resolve) => setTimeout(resolve, 5));
});

t.test("attach: what the container's program says", async (t) => {
  const { texts, closed } = await webSocket("/web/attach?stdout=true&stderr=true", V4);
  await closed;
  t.same([texts[1], texts[2], JSON.parse(texts[3])], ["out", "err", SUCCESS]);
});

t.test("what cannot be is said before anything is upgraded", async (t) => {
  const cases: [string, number, RegExp][] = [
    ["/web/exec?command=cat", 400, /at least 1 of stdin, stdout, stderr/],
    ["/web/exec?stdout=1", 400, /must specify a command/],
    [
      "/two/exec?stdout=1&command=x",
      400,
      /for pod web, choose one of: \[a b\] or one of the init containers: \[i\]/,
    ],
    ["/web/exec?stdout=1&command=x&container=z", 400, /container z is not valid for pod web/],
    ["/homeless/exec?stdout=1&command=x", 400, /does not have a host assigned/],
  ];
  for (const [path, code, text] of cases) t.match(await upgrade(path, V4), [code, text], path);
  t.match(await upgrade("/web/exec?stdout=1&command=x", "v9"), [
    403,
    /client supports v9, server accepts v4/,
  ]);
  t.match(await upgrade("/web/portforward", "v9"), [403, /server accepts portforward.k8s.io/]);
  for (const path of ["/web/portforward", "/web/portforward?ports=0", "/web/portforward?ports=99999"])
    await t.rejects(webSocket(path, V4), /400/, path);
  await t.rejects(webSocket("/web/exec?command=x&stdout=1", "v9"), /400/);
});

/** Sends on a new connection of the port, and tells all that came on both of its streams. */
async function talk(client: SpdyClient, id: number, to: number, text: string): Promise<[string, string]> {
  const headers = { port: String(to), requestID: String(id) };
  const error = await client.open({ streamType: "error", ...headers });
  error.end();
  const data = await client.open({ streamType: "data", ...headers });
  data.write(text);
  if (to === 7) data.end();
  return [await data.whole(), await error.whole()];
}

t.test("port-forwarding over SPDY, alone and inside a WebSocket", async (t) => {
  const tunnel = await openTunnel(port, "/web/portforward", `SPDY/3.1+${FORWARD}`);
  for (const client of [await spdy("/web/portforward", FORWARD), new SpdyClient(tunnel)]) {
    t.same(await talk(client, 0, 7, "hello"), ["hello", ""]);
    const [[more], [again]] = await Promise.all([
      talk(client, 1, 8, "more"),
      talk(client, 2, 7, "x".repeat(200_000)),
    ]);
    t.equal(more.length, 1 << 20);
    t.equal(again.length, 200_000);
    const [, why] = await talk(client, 3, 9, "");
    t.match(
      why,
      /^error forwarding port 9 to pod web: failed to connect to localhost:9: connection refused$/,
    );
    const odd = await client.open({ streamType: "data", port: "0", requestID: "4" });
    await odd.whole();
    t.ok(odd.isReset, "a port that is none");
    await client.close();
  }
});

t.test("port-forwarding over the channels of a WebSocket", async (t) => {
  const { socket, texts } = await webSocket("/web/portforward?ports=7,9", V4);
  socket.send(message(0, "hello"));
  while (!texts[0]?.endsWith("hello") || (texts[3]?.length ?? 0) < 3)
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.same([texts[0], texts[2]], ["\x07\x00hello", "\x09\x00"]);
  t.match(texts[3], /^\t\0error forwarding port 9/);
  socket.terminate();
});

t.test("logs: options, what follows, what is wrong with them", async (t) => {
  const get = async (path: string): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, await answer.text()];
  };
  t.same(await get("/web/log?tailLines=5&timestamps=true&limitBytes=9&previous=1"), [200, "one\ntwo\n"]);
  t.match(programs.logged.at(-1), {
    tailLines: 5,
    timestamps: true,
    limitBytes: 9,
    previous: true,
    sinceMs: 0,
  });
  await get("/web/log?sinceTime=2026-01-01T00:00:00Z");
  t.match(programs.logged.at(-1), { sinceMs: Date.UTC(2026, 0, 1), tailLines: -1 });
  const wrong: [string, number, RegExp][] = [
    ["tailLines=-1", 422, /tailLines: Invalid value: -1: must be greater than or equal to 0/],
    ["limitBytes=0&sinceSeconds=0", 422, /\[limitBytes: .*greater than 0, sinceSeconds: .*greater than 0\]/],
    ["sinceSeconds=x", 422, /must be a number/],
    ["sinceTime=yesterday", 422, /must be a time/],
    ["sinceTime=2026-01-01T00:00:00Z&sinceSeconds=1", 422, /at most one of/],
    ["container=z", 400, /container z is not valid/],
  ];
  for (const [query, code, text] of wrong) t.match(await get(`/web/log?${query}`), [code, text], query);
  const gone = new AbortController();
  const following = await fetch(`http://127.0.0.1:${port}/web/log?follow=true`, { signal: gone.signal });
  const reader = following.body!.getReader();
  t.equal(Buffer.from((await reader.read()).value!).toString(), "one\n", "at once");
  gone.abort();
  while (!programs.logIsAborted) await new Promise((resolve) => setTimeout(resolve, 5));
});

t.test("pings are answered", async (t) => {
  const client = await spdy("/web/portforward", FORWARD);
  client.ping(1);
  client.ping(2);
  client.ping(3);
  await client.until(() => client.pings.length === 2);
  t.same(client.pings, [1, 3], "an even one is an answer");
  await client.close();
});

t.test("whatever a client sends, the server stays", async (t) => {
  const paths = ["/web/exec?command=cat&stdin=1&stdout=1&tty=1", "/web/portforward"];
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .tuple(
        fc.constantFrom(1, 2, 3, 4, 6, 7, 8, 9, 77),
        fc.nat(3),
        fc.uint8Array({ minLength: 4, maxLength: 40 }),
      )
      .map(([type, flags, body]) =>
        Buffer.concat([Buffer.from([0x80, 3, 0, type, flags, 0, 0, body.length]), body]),
      ),
    fc.tuple(fc.nat(6), fc.nat(1), fc.uint8Array({ maxLength: 40 })).map(([stream, fin, body]) => {
      return Buffer.concat([Buffer.from([0, 0, 0, stream, fin, 0, 0, body.length]), body]);
    }),
  );
  const raw = async (path: string, kind: string, bytes: Uint8Array[]): Promise<void> => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${kind}\r\n\r\n`);
    for (const each of bytes) socket.write(each);
    await new Promise((resolve) => setTimeout(resolve, 3));
    socket.destroy();
  };
  const key =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==";
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.boolean(),
      fc.array(frame),
      async (path, isSpdy, frames) => {
        const protocol = path.includes("exec") ? V4 : isSpdy ? FORWARD : `SPDY/3.1+${FORWARD}`;
        const kind = isSpdy
          ? `Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}`
          : `${key}\r\nSec-WebSocket-Protocol: ${protocol}`;
        await raw(path, kind, frames);
      },
    ),
    { numRuns: 150 },
  );
  const [error, stdout] = await stillServes();
  t.same([JSON.parse(error), stdout], [SUCCESS, "out"]);
});

async function stillServes(): Promise<[string, string]> {
  const client = await spdy("/web/exec?command=both&stdout=1", V4);
  const error = await client.open({ streamType: "error" });
  const stdout = await client.open({ streamType: "stdout" });
  return [await error.whole(), await stdout.whole()];
}
