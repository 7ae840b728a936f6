import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import t from "tap";
import { SpdySession, type SpdyStream } from "./session.ts";

const PING = Buffer.from("800300060000000400000001", "hex");

/** A transport whose client reads nothing: what is written to it is never done. */
function deaf(): { transport: Duplex; written: () => number } {
  let written = 0;
  const transport = new Duplex({
    read: () => {},
    write: (chunk: Buffer) => {
      written += chunk.length;
    },
  });
  return { transport, written: () => written };
}

t.test("a client that asks and never reads is cut off", async (t) => {
  const { transport, written } = deaf();
  const session = new SpdySession(transport, () => {});
  let isClosed = false;
  session.onClose(() => (isClosed = true));
  transport.push(Buffer.concat(Array.from({ length: 9000 }, () => PING)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.notOk(isClosed, "some may wait");
  transport.push(Buffer.concat(Array.from({ length: 9000 }, () => PING)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.ok(isClosed);
  t.ok(transport.destroyed);
  t.ok(written() > 0);
});

t.test("what nobody reads of a stream holds the transport up, until somebody does", async (t) => {
  const transport = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const streams: SpdyStream[] = [];
  const session = new SpdySession(transport, (stream) => streams.push(stream));
  // zlib's head with the dictionary, and a stored block: no headers.
  const block = Buffer.from("783fe3c6a7c2000400fbff00000000000000ffff", "hex");
  const open = Buffer.concat([
    Buffer.from("80030001000000", "hex"),
    Buffer.from([10 + block.length]),
    Buffer.alloc(10),
    block,
  ]);
  open.writeUInt32BE(1, 8);
  transport.push(open);
  while (streams.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const bytes = Buffer.alloc(1 << 20);
  const head = Buffer.from("0000000100100000", "hex");
  transport.push(Buffer.concat([head, bytes]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(transport.isPaused(), "it waits");
  let size = 0;
  streams[0].on("data", (chunk: Buffer) => (size += chunk.length));
  while (size < bytes.length) await new Promise((resolve) => setImmediate(resolve));
  t.notOk(transport.isPaused(), "it goes on");
  session.destroy();
  t.ok(streams[0].destroyed);
});

/** Two ends of one connection, with nothing between them. */
function ends(): [Duplex, Duplex] {
  const made: Duplex[] = [];
  const end = (other: number): Duplex =>
    new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        made[other].push(chunk);
        done();
      },
    });
  made.push(end(1), end(0));
  return [made[0], made[1]];
}

t.test("a client opens streams, and each direction of each ends by itself", async (t) => {
  const [near, far] = ends();
  const client = new SpdySession(near, () => t.fail("a server opens none"));
  const headers: [number, Record<string, string>][] = [];
  const server = new SpdySession(far, (stream) => {
    headers.push([stream.id, Object.fromEntries(stream.headers)]);
    const said: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => said.push(chunk));
    stream.on("end", () => stream.end(`${Buffer.concat(said)} heard`));
  });
  const streams = ["one", "two"].map((name) => client.open({ streamtype: "data", name }));
  streams[1].end("b".repeat(300_000));
  streams[0].end("a");
  const heard = await Promise.all(streams.map((stream) => text(stream)));
  t.same([heard[0], heard[1].length], ["a heard", 300_006]);
  t.same(headers, [
    [1, { streamtype: "data", name: "one" }],
    [3, { streamtype: "data", name: "two" }],
  ]);
  let isOver = false;
  client.onClose(() => (isOver = true));
  client.destroy();
  await new Promise((resolve) => setImmediate(resolve));
  t.ok(isOver);
  server.destroy();
});

t.test("a client answers the pings of a server, and opens nothing for it", async (t) => {
  const [near, far] = ends();
  const said: Buffer[] = [];
  const client = new SpdySession(near, () => t.fail("a server opens none"));
  client.open({ streamtype: "error" });
  far.on("data", (chunk: Buffer) => said.push(chunk));
  near.push(Buffer.from("80030006000000040000000280030006000000040000000180030001000000", "hex"));
  const block = "783fe3c6a7c2000400fbff00000000000000ffff"; // no headers
  near.push(Buffer.concat([Buffer.from([30]), Buffer.from(`00000002000000000000${block}`, "hex")]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const text = Buffer.concat(said).toString("hex");
  t.ok(text.includes("800300060000000400000002"), "an even one");
  t.notOk(text.includes("800300060000000400000001"), "an odd one is our own's answer");
  t.ok(text.includes("80030003000000080000000200000001"), "a stream of the server's is reset");
  client.destroy();
});
