import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type RequestListener, request } from "node:http";
import { connect, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { t } from "tap";
import { ask, webIngress } from "../testing/gateway/asking.ts";
import { backend, localObjects, runningGateway, servedAt } from "../testing/gateway/running-gateway.ts";

const BYTES = 8 * 1024 * 1024;

/** Nowhere the same for long, so that a piece in the wrong place shows. */
function body(seed: number): Buffer {
  const bytes = Buffer.alloc(BYTES);
  let state = seed;
  for (let at = 0; at < BYTES; at += 4) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** As somebody reads who is slower than whoever writes. */
async function readSlowly(from: Readable): Promise<string> {
  const hash = createHash("sha256");
  let pieces = 0;
  for await (const piece of from) {
    hash.update(piece as Buffer);
    if (++pieces % 8 === 0) await sleep(1);
  }
  return hash.digest("hex");
}

const answer: RequestListener = async (asked, response) => {
  if (asked.url === "/down") response.end(body(1));
  else if (asked.url === "/pieces") {
    const all = body(3);
    for (let at = 0; at < BYTES; at += 10_007) response.write(all.subarray(at, at + 10_007));
    response.end();
  } else if (asked.url === "/up") response.end(await readSlowly(asked));
  else response.end(`small ${asked.url}`);
};

t.test(
  "long bodies arrive as they were sent, however slowly they are taken and whatever else comes",
  async (t) => {
    const { port: at } = await backend(t, answer);
    const { port } = await runningGateway(
      t,
      localObjects(...servedAt("web", [at]), webIngress({ "proxy-body-size": "0" })),
    );
    const options = { port, host: "127.0.0.1", headers: { Host: "a.example" } };
    const down = (path: string): Promise<string> =>
      new Promise((resolve, reject) =>
        request({ ...options, path }, (got) => readSlowly(got).then(resolve, reject))
          .on("error", reject)
          .end(),
      );
    const up = (headers: object): Promise<string> =>
      new Promise((resolve, reject) => {
        const asked = request(
          { ...options, path: "/up", method: "POST", headers: { ...options.headers, ...headers } },
          (got) => {
            let text = "";
            got.on("data", (piece) => (text += piece));
            got.on("end", () => resolve(text));
          },
        );
        asked.on("error", reject);
        asked.end(body(2));
      });
    let isOver = false;
    const long = Promise.all([
      ...[down("/down"), down("/down"), down("/pieces")],
      ...[up({ "Content-Length": BYTES }), up({ "Transfer-Encoding": "chunked" })],
    ]).finally(() => (isOver = true));
    let asked = 0;
    for (; !isOver; asked++) {
      const got = await ask(port, `/${asked}`);
      if (got.body !== `small /${asked}`) t.equal(got.body, `small /${asked}`);
    }
    const [one, two, three] = [1, 2, 3].map((seed) => digest(body(seed)));
    t.same(await long, [one, one, three, two, two]);
    t.ok(asked > 10, `${asked} small requests meanwhile`);
  },
);

t.test("a request in many pieces, others between them, is read as one", async (t) => {
  const { port: at } = await backend(t, answer);
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), webIngress()));
  const socket = connect({ port, host: "127.0.0.1" });
  t.teardown(() => socket.destroy());
  let text = "";
  socket.on("data", (piece) => (text += piece));
  for (const piece of [
    "GE",
    "T /first-half",
    "-second-half HTTP/1.1\r\nHo",
    "st: a.exam",
    "ple\r\n\r",
    "\nGET /second",
  ]) {
    socket.write(piece);
    await sleep(10);
    t.equal((await ask(port, "/an-other-path-that-is-longer-than-the-piece-before")).status, 200);
  }
  socket.write(" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
  await new Promise((resolve) => socket.on("end", resolve));
  t.match(text, /small \/first-half-second-half/);
  t.match(text, /small \/second/);
});

t.test("what goes through a connection of another protocol arrives as it was sent, both ways", async (t) => {
  const { server, port: at } = await backend(t, answer);
  const up = new Promise<string>((resolve) =>
    server.on("upgrade", (_asked, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n");
      socket.write(body(4));
      resolve(readSlowly(socket));
    }),
  );
  const { port } = await runningGateway(t, localObjects(...servedAt("web", [at]), webIngress()));
  const asked = request({
    ...{ port, host: "127.0.0.1", path: "/bytes" },
    headers: { Host: "a.example", Connection: "upgrade", Upgrade: "bytes" },
  }).end();
  const [, socket, first] = (await once(asked, "upgrade")) as [IncomingMessage, Socket, Buffer];
  t.teardown(() => socket.destroy());
  socket.unshift(first);
  socket.write(body(5));
  const hash = createHash("sha256");
  let left = BYTES;
  while (left > 0) {
    const piece = socket.read() as Buffer | null;
    if (piece === null) await once(socket, "readable");
    else {
      hash.update(piece);
      left -= piece.length;
      await sleep(1);
    }
  }
  socket.end();
  t.equal(hash.digest("hex"), digest(body(4)), "down");
  t.equal(await up, digest(body(5)), "up");
});
