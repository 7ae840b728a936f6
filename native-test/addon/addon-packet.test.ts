// AF_PACKET sockets over a veth pair: what one end sends, the other receives. Needs root.
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { PacketFlag } from "../../src/native/binding.ts";
import { concat } from "../../src/testing/frames/bytes.ts";
import { tcpFrame, udpFrame } from "../../src/testing/frames/frame-builder.ts";
import { Frames, NO_VNET, native, type Received, SLOT_BYTES } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const { PACKET, PACKET_VNET } = IoKind;
const FLAGS = PacketFlag.VNET_HDR | PacketFlag.IGNORE_OUTGOING | PacketFlag.QDISC_BYPASS;
const BUFFER = 1 << 23;
const ADDRESSES = {
  src: "10.1.1.1",
  dst: "10.1.1.2",
  srcMac: "02:00:00:00:00:0a",
  dstMac: "02:00:00:00:00:0b",
};
const spaces = new Namespaces("pwt-native-packet");
spaces.add("a", "b");
spaces.connect("a", "b");
const [A, B] = [spaces.path("a"), spaces.path("b")];

const open = (netns: string, flags: number = FLAGS, rcv = BUFFER): number => {
  const fd = native.openPacket(netns, "eth0", flags, rcv, BUFFER);
  if (fd < 0) throw new Error(`openPacket: ${fd}`);
  return fd;
};
const close = (...fds: number[]): void => {
  for (const fd of fds) native.closeFd(fd);
};
/** Datagram number `i` of a test; the number is the UDP source port. */
const numbered = (i: number, payload = 100): Uint8Array =>
  udpFrame({ ...ADDRESSES, srcPort: 1000 + i, payload });
const numbersOf = (got: readonly Received[]): number[] =>
  got.map(({ frame }) => ((frame[34] << 8) | frame[35]) - 1000);
const isOurs = ({ frame }: Received): boolean => frame[0] === 2 && frame[5] === 0x0b;

t.test("interface facts", async (t) => {
  const info = new Int32Array(5);
  t.equal(native.ifInfo(A, "eth0", info), 0);
  t.strictSame([...info.subarray(1, 4)], [1500, 0x0200, 0x0a]);
  t.equal(info[4] & 1, 1, "up");
});

for (const [name, flags, kind] of [
  ["with vnet headers", FLAGS, PACKET_VNET],
  ["without vnet headers", FLAGS & ~PacketFlag.VNET_HDR, PACKET],
] as const) {
  t.test(`a hundred frames arrive as they were sent, in order, ${name}`, async (t) => {
    const [a, b] = [open(A, flags), open(B, flags)];
    const frames = new Frames(128);
    const sent = Array.from({ length: 100 }, (_, i) => numbered(i, 18 + i * 14));
    t.equal(frames.send(a, kind, sent), 100);
    t.ok(frames.results.subarray(0, 100).every((result) => result === 0));
    const got = await frames.collect(b, kind, 100, isOurs);
    t.strictSame(Buffer.compare(concat(...sent), concat(...got.map(({ frame }) => frame))), 0);
    t.ok(got.every(({ vnet }) => vnet.gsoType === 0 && vnet.csumStart === 0));
    t.strictSame(frames.receive(a, kind), [], "the sender does not hear itself");
    t.strictSame(frames.receive(b, kind), [], "nothing is left");
    close(a, b);
  });
}

t.test("max and the byte budget bound what one call takes", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  const sent = Array.from({ length: 60 }, (_, i) => numbered(i, 958)); // 1000 bytes each
  frames.send(a, PACKET_VNET, sent);
  t.strictSame(numbersOf(frames.receive(b, PACKET_VNET, 5)), [0, 1, 2, 3, 4]);
  const byBudget = frames.receive(b, PACKET_VNET, 64, SLOT_BYTES, 20_000);
  t.equal(byBudget.length, 20);
  t.equal(numbersOf(byBudget)[0], 5, "nothing was lost between the calls");
  t.strictSame(frames.receive(b, PACKET_VNET, 0), []);
  t.strictSame(frames.receive(b, PACKET_VNET, 64, SLOT_BYTES, 0), []);
  t.equal(frames.receive(b, PACKET_VNET).length, 35);
  close(a, b);
});

t.test("frames larger than a slot are dropped and counted, their neighbours keep their order", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  const offsets = [...frames.offs].sort((x, y) => x - y);
  const before = native.droppedOnReceive();
  const sizes = [50, 1400, 60, 70, 1300, 1400, 80, 90, 1000, 100];
  frames.send(
    a,
    PACKET_VNET,
    sizes.map((size, i) => numbered(i, size)),
  );
  t.strictSame(numbersOf(frames.receive(b, PACKET_VNET, 64, 500).filter(isOurs)), [0, 2, 3, 6, 7, 9]);
  t.equal(native.droppedOnReceive(), before + 4);
  t.strictSame(
    [...frames.offs].sort((x, y) => x - y),
    offsets,
    "every slot is still there once",
  );
  close(a, b);
});

for (const kind of [PACKET_VNET, PACKET]) {
  t.test(`a VLAN tag that the kernel took out is put back, kind ${kind}`, async (t) => {
    const flags = kind === PACKET_VNET ? FLAGS : FLAGS & ~PacketFlag.VNET_HDR;
    const [a, b] = [open(A, flags), open(B, flags)];
    const frames = new Frames();
    const sent = [[5], [], [0x0fff], [7, 8]].map((vlans, i) =>
      udpFrame({ ...ADDRESSES, vlans, srcPort: i, payload: 99 }),
    );
    t.equal(frames.send(a, kind, sent), 4);
    const got = await frames.collect(b, kind, 4, isOurs);
    t.strictSame(
      got.map(({ frame }) => Buffer.from(frame).toString("hex")),
      sent.map((frame) => Buffer.from(frame).toString("hex")),
    );
    close(a, b);
  });
}

t.test("a tagged frame has no room in a slot that fits it without its tag", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  const sent = udpFrame({ ...ADDRESSES, vlans: [5], payload: 100 });
  const before = native.droppedOnReceive();
  frames.send(a, PACKET_VNET, [sent]);
  t.strictSame(frames.receive(b, PACKET_VNET, 8, sent.length - 2).filter(isOurs), []);
  t.equal(native.droppedOnReceive(), before + 1);
  close(a, b);
});

const SUPERFRAMES = [
  {
    name: "TCPv4",
    gsoType: 1,
    frame: tcpFrame({ ...ADDRESSES, payload: 40_000 }),
    l4: 34,
    field: 16,
    gsoSize: 1448,
  },
  {
    name: "TCPv4 with CWR",
    gsoType: 0x81,
    frame: tcpFrame({ ...ADDRESSES, flags: "EW.", payload: 40_000 }),
    l4: 34,
    field: 16,
    gsoSize: 1448,
  },
  {
    name: "TCPv6",
    gsoType: 4,
    frame: tcpFrame({ ...ADDRESSES, src: "fd00::1", dst: "fd00::2", payload: 60_001 }),
    l4: 54,
    field: 16,
    gsoSize: 1428,
  },
  {
    name: "UDP",
    gsoType: 5,
    frame: udpFrame({ ...ADDRESSES, payload: 60_000 }),
    l4: 34,
    field: 6,
    gsoSize: 1408,
  },
  {
    name: "tagged TCPv4",
    gsoType: 1,
    frame: tcpFrame({ ...ADDRESSES, vlans: [77], payload: 40_000 }),
    l4: 38,
    field: 16,
    gsoSize: 1444,
  },
];
for (const { name, gsoType, frame, l4, field, gsoSize } of SUPERFRAMES) {
  t.test(`a ${name} superframe crosses a veth pair whole`, async (t) => {
    const [a, b] = [open(A), open(B)];
    const frames = new Frames();
    const hdrLen = name === "UDP" ? l4 + 8 : l4 + (frame[l4 + 12] >> 4) * 4;
    const vnet = { flags: 1, gsoType, hdrLen, gsoSize, csumStart: l4, csumOffset: field };
    t.equal(frames.send(a, PACKET_VNET, [frame, frame], vnet), 2);
    const got = await frames.collect(b, PACKET_VNET, 2, isOurs);
    t.equal(got.length, 2);
    for (const one of got) {
      t.equal(Buffer.compare(one.frame, frame), 0);
      t.match(one.vnet, { flags: 1, gsoType, gsoSize, hdrLen, csumStart: l4, csumOffset: field });
    }
    close(a, b);
  });
}

t.test("each frame has its own result: one that is too long does not harm its neighbours", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  const sent = [
    numbered(0),
    numbered(1, 3000),
    numbered(2),
    new Uint8Array(3),
    numbered(4, 2000),
    numbered(5),
  ];
  t.equal(frames.send(a, PACKET_VNET, sent), 3);
  t.strictSame([...frames.results.subarray(0, 6)], [0, -90, 0, -22, -90, 0], "EMSGSIZE, EINVAL");
  t.strictSame(numbersOf(await frames.collect(b, PACKET_VNET, 3, isOurs)), [0, 2, 5]);
  close(a, b);
});

t.test("frames for several sockets in one call reach the right ones", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  frames.send(
    -1,
    PACKET_VNET,
    Array.from({ length: 40 }, (_, i) => numbered(i)),
  );
  const fds = Int32Array.from({ length: 40 }, (_, i) => (i % 5 === 0 ? b : i % 7 === 0 ? 9999 : a));
  const kinds = new Int32Array(40).fill(PACKET_VNET);
  const { arena, offs, lens, results } = frames;
  const want = [...fds].map((fd) => (fd === 9999 ? -9 : 0));
  t.equal(native.transmit(fds, kinds, arena, offs, lens, 40, results), want.filter((r) => r === 0).length);
  t.strictSame([...results.subarray(0, 40)], want);
  const indexes = (fd: number): number[] => [...fds.keys()].filter((i) => fds[i] === fd);
  t.strictSame(numbersOf(await frames.collect(b, PACKET_VNET, indexes(a).length, isOurs)), indexes(a));
  t.strictSame(numbersOf(await frames.collect(a, PACKET_VNET, indexes(b).length, isOurs)), indexes(b));
  close(a, b);
});

t.test("what did not fit into the socket's buffer is in the statistics", async (t) => {
  const [a, b] = [open(A), open(B, FLAGS, 20_000)];
  const frames = new Frames();
  const batch = Array.from({ length: 50 }, (_, i) => numbered(i, 1000));
  for (let i = 0; i < 10; i++) t.equal(frames.send(a, PACKET_VNET, batch), 50);
  const totals = new Float64Array(2);
  t.equal(native.packetStats(b, totals), 0);
  const [seen, dropped] = totals;
  t.ok(seen >= 500);
  t.ok(dropped > 100);
  t.equal(frames.receive(b, PACKET_VNET).length, seen - dropped);
  frames.send(a, PACKET_VNET, batch.slice(0, 2));
  t.equal(native.packetStats(b, totals), 0);
  t.strictSame([...totals], [seen + 2, dropped], "totals, though the kernel starts again at every question");
  close(a, b);
});

t.test("only the bound interface is heard, and nothing from before", async (t) => {
  spaces.ip("b", "link add other type veth peer name peer");
  spaces.ip("b", "link set other up");
  spaces.ip("b", "link set peer up");
  const a = open(A);
  const frames = new Frames();
  frames.send(a, PACKET_VNET, [numbered(1)]);
  const b = open(B);
  const peer = native.openPacket(B, "peer", FLAGS, 0, 0);
  frames.send(peer, PACKET_VNET, [numbered(2)]);
  frames.send(a, PACKET_VNET, [numbered(3)]);
  t.strictSame(numbersOf((await frames.collect(b, PACKET_VNET, 1)).filter(isOurs)), [3]);
  spaces.ip("b", "link del other");
  close(a, b, peer);
});

t.test("promiscuous mode goes with the socket", async (t) => {
  const isPromiscuous = () => /promiscuity [1-9]/.test(spaces.ip("b", "-d link show dev eth0"));
  t.notOk(isPromiscuous());
  const b = open(B, FLAGS | PacketFlag.PROMISC);
  t.ok(isPromiscuous());
  close(b);
  t.notOk(isPromiscuous());
});

t.test("a link that goes down and comes back", async (t) => {
  const [a, b] = [open(A), open(B)];
  const frames = new Frames();
  spaces.ip("a", "link set eth0 down");
  t.equal(frames.send(a, PACKET_VNET, [numbered(1)]), 0);
  t.equal(frames.results[0], -100, "ENETDOWN");
  t.equal(frames.receiveOnly(a, PACKET_VNET, 8), -100, "said once");
  t.equal(frames.receiveOnly(a, PACKET_VNET, 8), 0);
  spaces.ip("a", "link set eth0 up");
  frames.receive(b, PACKET_VNET);
  t.equal(frames.send(a, PACKET_VNET, [numbered(2)]), 1);
  t.strictSame(numbersOf(await frames.collect(b, PACKET_VNET, 1, isOurs)), [2]);
  close(a, b);
});

t.test("an arriving frame wakes the poller", async (t) => {
  const [a, b] = [open(A), open(B)];
  const poller = native.pollerCreate();
  const tokens = new Int32Array(4);
  const frames = new Frames();
  while (frames.receive(b, PACKET_VNET).length > 0); // whatever the kernel still had to say about the link
  t.equal(native.pollerAdd(poller, b, -5), 0);
  t.equal(native.wait(poller, tokens, 1000, 0, new Float64Array(5)), 0);
  frames.send(a, PACKET_VNET, [numbered(1)], NO_VNET);
  t.equal(native.wait(poller, tokens, 1_000_000, 0, new Float64Array(5)), 1);
  t.equal(tokens[0], -5);
  t.equal(native.wait(poller, tokens, 0, 0, new Float64Array(5)), 1, "level triggered: still there");
  frames.receive(b, PACKET_VNET);
  t.equal(native.wait(poller, tokens, 0, 0, new Float64Array(5)), 0);
  close(a, b, poller);
});
