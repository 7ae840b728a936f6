// Datagrams through a gateway: flows that keep their endpoint, end when they are silent, and never are too many.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import t, { type Test } from "tap";
import type { ConnectionDecision } from "../../l7/connection.ts";
import { streamTo } from "../../testing/l7/stream-world.ts";
import { UdpFront, type UdpOptions } from "./udp-front.ts";

async function bound(t: Test): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.teardown(() => new Promise<void>((done) => socket.close(() => done())));
  return socket;
}

/** Sends back what it gets behind its name and the port that it came from. */
async function echo(t: Test, name: string, isMute = false): Promise<string> {
  const socket = await bound(t);
  if (!isMute)
    socket.on("message", (bytes: Buffer, from: RemoteInfo) =>
      socket.send(`${name} ${from.port} ${String(bytes)}`, from.port, from.address),
    );
  return `127.0.0.1:${socket.address().port}`;
}

async function open(
  t: Test,
  decide: () => ConnectionDecision,
  options: Partial<UdpOptions> = {},
): Promise<{ front: UdpFront; port: number }> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const nowMs = (): number => performance.now();
  const front = new UdpFront(socket, {
    idleMs: 60_000,
    flows: 100,
    draw: Math.random,
    decide,
    nowMs,
    ...options,
  });
  t.teardown(() => front.close());
  return { front, port: socket.address().port };
}

async function ask(socket: Socket, port: number, text: string): Promise<string> {
  socket.send(text, port, "127.0.0.1");
  const [bytes] = (await once(socket, "message")) as [Buffer];
  return String(bytes);
}

t.test("a client keeps its endpoint, and gets its own answers; clients are spread", async (t) => {
  const [a, b] = [await echo(t, "a"), await echo(t, "b")];
  const { front, port } = await open(t, () => streamTo([1, [a, b]]));
  const names = new Set<string>();
  const sources = new Set<string>();
  for (let i = 0; i < 30; i++) {
    const client = await bound(t);
    const first = await ask(client, port, `${i}`);
    t.equal(await ask(client, port, `${i}`), first, "the same endpoint, from the same port");
    const [name, source, text] = first.split(" ");
    t.equal(text, `${i}`);
    names.add(name);
    sources.add(source);
  }
  t.same([...names].sort(), ["a", "b"]);
  t.equal(sources.size, 30);
  t.same(front.counts, { flows: 30, received: 60, answered: 60, dropped: 0 });
});

t.test("an endpoint that is gone gives its flows up, one that stays keeps them", async (t) => {
  const [a, b] = [await echo(t, "a"), await echo(t, "b")];
  let now = streamTo([1, [a]]);
  const { front, port } = await open(t, () => now);
  const client = await bound(t);
  const before = await ask(client, port, "x");
  now = streamTo([1, [a, b]]);
  front.changed();
  t.equal(await ask(client, port, "x"), before);
  now = streamTo([1, [b]]);
  front.changed();
  t.match(await ask(client, port, "x"), /^b /);
  now = { action: { kind: "close" }, reason: "" };
  front.changed();
  client.send("x", port, "127.0.0.1");
  client.send("x", port, "127.0.0.1");
  while (front.counts.dropped < 2) await new Promise((done) => setTimeout(done, 10));
  now = streamTo([1, [a]]);
  front.changed();
  t.match(await ask(client, port, "x"), /^a /);
});

t.test(
  "a silent flow ends; one that refuses ends at once, and the next datagram finds another",
  async (t) => {
    const a = await echo(t, "a");
    let now = streamTo([1, [a]]);
    let timeMs = 0;
    const { front, port } = await open(t, () => now, { idleMs: 100, nowMs: () => timeMs });
    const client = await bound(t);
    await ask(client, port, "x");
    timeMs = 99;
    await new Promise((done) => setTimeout(done, 60));
    t.equal(front.counts.flows, 1);
    timeMs = 100;
    while (front.counts.flows > 0) await new Promise((done) => setTimeout(done, 10));
    now = streamTo([1, ["127.0.0.1:9"]]);
    client.send("x", port, "127.0.0.1");
    while (front.counts.received < 2) await new Promise((done) => setTimeout(done, 10));
    while (front.counts.flows > 0) await new Promise((done) => setTimeout(done, 10));
    now = streamTo([1, [a]]);
    t.match(await ask(client, port, "y"), /^a \d+ y$/);
  },
);

t.test("flows are bounded: who was never answered gives way, who is being answered does not", async (t) => {
  const [a, mute] = [await echo(t, "a"), await echo(t, "mute", true)];
  let now = streamTo([1, [a]]);
  const { front, port } = await open(t, () => now, { flows: 10 });
  const served = await Promise.all(Array.from({ length: 5 }, () => bound(t)));
  const before = await Promise.all(served.map((socket) => ask(socket, port, "x")));
  now = streamTo([1, [mute]]);
  for (let i = 0; i < 100; i++) {
    const socket = createSocket("udp4");
    socket.send("flood", port, "127.0.0.1", () => socket.close());
    if (i % 20 === 0) await new Promise((done) => setTimeout(done, 5));
  }
  while (front.counts.received < 105) await new Promise((done) => setTimeout(done, 10));
  t.equal(front.counts.flows, 10);
  t.same(await Promise.all(served.map((socket) => ask(socket, port, "x"))), before);
  now = streamTo([1, [a]]);
  front.changed();
  const more = await Promise.all(Array.from({ length: 5 }, () => bound(t)));
  await Promise.all(more.map((socket) => ask(socket, port, "x")));
  const late = await bound(t);
  const { dropped } = front.counts;
  late.send("x", port, "127.0.0.1");
  while (front.counts.dropped === dropped) await new Promise((done) => setTimeout(done, 10));
  t.equal(front.counts.flows, 10, "all are being answered: there is no room");
});
