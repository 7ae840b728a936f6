import { Duplex } from "node:stream";
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
