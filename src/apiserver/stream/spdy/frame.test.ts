import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import * as fc from "fast-check";
import t from "tap";
import { DICTIONARY } from "./dictionary.ts";
import {
  dataFrames,
  type Frame,
  FrameReader,
  goAwayFrame,
  pingFrame,
  replyFrame,
  resetFrame,
} from "./frame.ts";
import { emptyBlock, HeaderReader } from "./header-block.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** Data of one frame put together again, whatever parts it came in. */
function whole(frames: readonly Frame[]): object[] {
  const out: { type: string; stream?: number; bytes?: string; fin?: boolean }[] = [];
  let isOpen = false;
  for (const frame of frames) {
    const last = out.at(-1);
    if (frame.type === "data" && isOpen && last?.stream === frame.stream) {
      last.bytes += frame.bytes.toString("hex");
      last.fin = frame.fin;
    } else if (frame.type === "data") out.push({ ...frame, bytes: frame.bytes.toString("hex") });
    else out.push(JSON.parse(JSON.stringify(frame)));
    isOpen = frame.type === "data";
  }
  return out;
}

const CASES: { name: string; bytes: string; frames: object[] }[] = [
  {
    name: "SYN_STREAM",
    bytes: "8003 0001 01 00000c 00000001 00000000 0000 abcd",
    frames: [{ type: "open", stream: 1, fin: true }],
  },
  { name: "SYN_REPLY", bytes: "8003 0002 00 000005 00000003 aa", frames: [{ type: "headers", stream: 3 }] },
  {
    name: "RST_STREAM",
    bytes: "8003 0003 00 000008 00000001 00000005",
    frames: [{ type: "reset", stream: 1 }],
  },
  { name: "SETTINGS is passed over", bytes: "8003 0004 00 00000c 00000001 00000007 00010000", frames: [] },
  { name: "PING", bytes: "8003 0006 00 000004 00000007", frames: [{ type: "ping", id: 7 }] },
  { name: "GOAWAY", bytes: "8003 0007 00 000008 00000001 00000000", frames: [{ type: "goaway" }] },
  { name: "HEADERS", bytes: "8003 0008 00 000005 00000001 bb", frames: [{ type: "headers", stream: 1 }] },
  { name: "WINDOW_UPDATE is passed over", bytes: "8003 0009 00 000008 00000001 00001000", frames: [] },
  { name: "an unknown type is passed over", bytes: "8003 00ff 00 000002 0102", frames: [] },
  { name: "data", bytes: "00000005 00 000003 010203", frames: [{ type: "data", stream: 5, fin: false }] },
  {
    name: "the last data, empty",
    bytes: "00000005 01 000000",
    frames: [{ type: "data", stream: 5, fin: true }],
  },
];

t.test("each frame is read, in whatever pieces it comes", async (t) => {
  for (const { name, bytes, frames } of CASES) {
    const all = hex(bytes);
    t.match(new FrameReader().read(all), frames, name);
    t.equal(new FrameReader().read(all).length, frames.length, name);
    const reader = new FrameReader();
    const found = [...all].flatMap((_, i) => reader.read(all.subarray(i, i + 1)));
    t.same(whole(found), whole(new FrameReader().read(all)), `${name}, byte by byte`);
    t.equal(reader.failure, undefined);
  }
});

t.test("what is no SPDY ends the reading", async (t) => {
  const wrong: [string, RegExp][] = [
    ["8002 0006 00 000004 00000001", /another version/],
    ["8003 0001 00 000009 000000010000000000", /type 1 with 9 bytes/],
    ["8003 0003 00 000004 00000001", /type 3 with 4 bytes/],
    ["8003 0006 00 ffffff 00", /16777215 bytes/],
  ];
  for (const [bytes, failure] of wrong) {
    const reader = new FrameReader();
    t.same(reader.read(hex(bytes)), [], bytes);
    t.match(reader.failure, failure);
    t.same(reader.read(hex("00000005 00 000003 010203")), [], "nothing is read after it");
  }
});

t.test("a stream of frames is the same however it is cut", async () => {
  const frame = fc.oneof(
    fc.constantFrom(...CASES.map(({ bytes }) => hex(bytes))),
    fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.uint8Array({ maxLength: 40 }), fc.boolean())
      .map(([stream, bytes, fin]) => Buffer.concat(dataFrames(stream, Buffer.from(bytes), fin))),
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(400)), (frames, cuts) => {
      const all = Buffer.concat(frames);
      const edges = [0, ...cuts.filter((cut) => cut < all.length).sort((a, b) => a - b), all.length];
      const reader = new FrameReader();
      const pieces = edges.slice(1).flatMap((edge, i) => reader.read(all.subarray(edges[i], edge)));
      const once = new FrameReader().read(all);
      t.same(whole(pieces).length, whole(once).length);
      t.same(whole(pieces), whole(once));
    }),
    { numRuns: 300 },
  );
});

t.test("any bytes are read without a throw, and nothing is kept of data", async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (chunks) => {
      const reader = new FrameReader();
      const given = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      let out = 0;
      for (const chunk of chunks)
        for (const each of reader.read(Buffer.from(chunk)))
          out += each.type === "data" ? each.bytes.length : 0;
      return out <= given;
    }),
    { numRuns: 1000 },
  );
});

t.test("what is written is what is read", async (t) => {
  const written = Buffer.concat([
    replyFrame(7, emptyBlock(true)),
    resetFrame(7, 5),
    pingFrame(9),
    goAwayFrame(7),
    ...dataFrames(7, Buffer.alloc(3 << 20, 1), true),
  ]);
  const frames = new FrameReader().read(written);
  t.match(frames.slice(0, 4), [
    { type: "headers", stream: 7 },
    { type: "reset", stream: 7 },
    { type: "ping", id: 9 },
    { type: "goaway" },
  ]);
  const data = frames.slice(4);
  t.same(
    data.map((frame) => frame.type === "data" && [frame.bytes.length, frame.fin]),
    [
      [1 << 20, false],
      [1 << 20, false],
      [1 << 20, true],
    ],
  );
});

t.test("the dictionary is the draft's, and zlib takes an answer's headers", async (t) => {
  const hash = createHash("sha256").update(DICTIONARY).digest("hex");
  t.equal(hash, "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02");
  const blocks = Buffer.concat([emptyBlock(true), emptyBlock(false)]);
  const text = inflateSync(blocks, { dictionary: DICTIONARY, finishFlush: 2 });
  t.equal(text.toString("hex"), "0000000000000000");
  for (const isFirst of [true, false])
    t.match(emptyBlock(isFirst).toString("hex"), /000000ffff$/, "a flush: Go's zlib waits for one");
});

t.test("headers: hostile blocks end the reading, and a bomb is not inflated", async (t) => {
  const { deflateSync, constants } = await import("node:zlib");
  const block = (plain: Buffer): Buffer =>
    deflateSync(plain, { dictionary: DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  const pair = Buffer.concat([
    hex("00000001 00000004"),
    Buffer.from("Port"),
    hex("00000002"),
    Buffer.from("80"),
  ]);
  const read = async (bytes: Buffer): Promise<unknown> => {
    const reader = new HeaderReader();
    const found = await reader.read(bytes);
    const after = await reader.read(bytes);
    reader.close();
    return typeof found === "string" ? [found, typeof after] : [...found];
  };
  t.same(await read(block(pair)), [["port", "80"]], "names in lower case");
  t.same(await read(block(Buffer.alloc(1 << 24))), ["headers of more than 65536 bytes", "string"]);
  t.match(await read(Buffer.from("no zlib at all")), [/^headers: /, "string"]);
  t.same(await read(block(hex("ffffffff 00000004"))), ["headers that are cut off", "string"]);
  t.same(await read(block(hex("0000"))), ["headers without a number", "string"]);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, isDeflated) => {
      const reader = new HeaderReader();
      const found = await reader.read(isDeflated ? block(Buffer.from(bytes)) : Buffer.from(bytes));
      reader.close();
      return typeof found === "string" || found.size <= bytes.length;
    }),
    { numRuns: 200 },
  );
});
