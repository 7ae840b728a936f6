// Frames into the tunnel that leave together: what crosses the fabric then, what may be joined, and that the other side
// gets byte for byte and in order what it gets without.
import t from "tap";
import { formatMac } from "../../base/mac.ts";
import { concat, viewOf } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../testing/frames/frame-checker.ts";
import { superframe, tcpPayload, udpSuperframe } from "../../testing/frames/virtio-frames.ts";
import { Prng } from "../../testing/prng.ts";
import { makeDualStack, pathTo6, pod6 } from "../../testing/world/dual-stack.ts";
import { nodeAddress, uplinkMacOf } from "../../testing/world/test-cluster.ts";
import { CLIENT, pathTo, TestFabric } from "../../testing/world/test-fabric.ts";
import type { Received } from "../../testing/world/test-node.ts";
import { toPlainFrames } from "../../wire/bytes/plain-frames.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import { Counters, PortCounter, portCounter } from "../counters.ts";
import type { Port } from "../port.ts";
import { Mode } from "../trace/watchers.ts";
import { Bundles, begin, mayJoin, placeOf } from "./bundles.ts";

const POD = "10.244.1.2";
const REMOTE = "10.244.2.2";
const OUTER = 42;
const VXLAN = 8;
const EAGAIN = 11;
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

interface Sent {
  readonly frame: Uint8Array;
  readonly virtio?: Uint8Array;
}

const SMALL = { poolSlots: 24, sizes: { conntrackLog2: 8, frontendsLog2: 6, endpointsLog2: 6, fdbLog2: 6 } };

function fabric(bundle: number, sourcePorts = 16): TestFabric {
  const made = new TestFabric(SMALL);
  for (const { tables } of made.nodes) Object.assign(tables.config.tunnel, { bundle, sourcePorts });
  // Both nodes know each other before the first frame.
  exchange(made, [datagram({ payload: 1 })]);
  made.crossed.length = 0;
  return made;
}

const datagram = (o: Partial<Parameters<typeof build.udpFrame>[0]>): Sent => ({
  frame: build.udpFrame({ srcMac: macs.srcMac, dstMac: macs.dstMac, src: POD, dst: REMOTE, ...o }),
});
const macs = pathTo(new TestFabric({ poolSlots: 8 }, 1).nodes[0], POD, REMOTE);

/** What REMOTE gets of `sent`, which one pod sends as one batch. */
function exchange(f: TestFabric, sent: readonly Sent[]): Received[] {
  const [one, two] = f.nodes;
  for (const { frame, virtio: header } of sent) one.send("pod2", frame, header);
  f.run();
  return two.received("pod2");
}

/** The frames that whoever cuts `crossed` makes of it. */
function cut({ frame, virtio: header }: Received): Uint8Array[] {
  const arena = new Uint8Array(300_000);
  arena.set(header, 90);
  arena.set(frame, 100);
  const result = new Int32Array(3);
  const count = toPlainFrames(arena, viewOf(arena), 100, frame.length, 100_000, 200_000, result);
  return Array.from({ length: count }, (_, i) =>
    arena.slice(100_000 + i * result[2], 100_000 + Math.min((i + 1) * result[2], result[1])),
  );
}

const macAt = (frame: Uint8Array): [hi: number, lo: number] => [
  viewOf(frame).getUint16(0),
  viewOf(frame).getInt32(2),
];
const isSuper = ({ virtio: header }: Received): boolean => virtio.gsoType(viewOf(header), 0) !== 0;

t.test(
  "datagrams of one flow leave as one superframe, which is cut where the VXLAN packets begin",
  async (t) => {
    const f = fabric(1);
    const [one] = f.nodes;
    const sent = Array.from({ length: 50 }, (_, i) =>
      datagram({ payload: Uint8Array.of(i, 1, 2), tos: 1, ttl: 9 }),
    );
    const got = exchange(f, sent);
    t.equal(f.crossed.length, 1);
    const [crossed] = f.crossed;
    const inner = sent[0].frame.length;
    t.equal(virtio.gsoType(viewOf(crossed.virtio), 0), virtio.GSO_UDP_L4);
    t.equal(virtio.gsoSize(viewOf(crossed.virtio), 0), VXLAN + inner);
    t.equal(virtio.hdrLen(viewOf(crossed.virtio), 0), OUTER);
    const pieces = cut(crossed);
    t.equal(pieces.length, 50);
    for (const [i, piece] of pieces.entries()) {
      t.same(checkFrame(piece, { vxlanPorts: [8472] }), [], `packet ${i}`);
      t.equal(piece.length, OUTER + VXLAN + inner);
      t.equal(viewOf(piece).getUint16(18), (viewOf(pieces[0]).getUint16(18) + i) & 0xffff, "identification");
      t.equal(piece[15], 1, "ECN");
      t.equal(piece[22], 64, "TTL");
      t.equal(viewOf(piece).getUint16(20), 0, "may be fragmented");
      t.not(viewOf(piece).getUint16(40), 0, "who cuts it makes a checksum");
    }
    t.same(
      got.map(({ frame }) => frame[42]),
      sent.map((_, i) => i),
    );
    t.match(one.events(), { TUNNEL_BUNDLES: 1, TUNNEL_BUNDLED: 50, VXLAN_ENCAP: 51 });
    t.equal(
      portCounter(one.counters, one.portId("uplink"), PortCounter.TX_PACKETS),
      50 + 1 + 1,
      "and an ARP request",
    );
    f.settle();
  },
);

t.test("a frame that is alone leaves as it did", async (t) => {
  const [plain, bundled] = [0, 1].map((bundle) => {
    const f = fabric(bundle);
    exchange(f, [datagram({ payload: 5 })]);
    return f.crossed[0];
  });
  t.same(bundled.frame, plain.frame);
  t.same(bundled.virtio, plain.virtio);
});

for (const [what, sent, sizes] of [
  ["a shorter one is the last of its bundle", [9, 9, 5, 9, 9], [3, 2]],
  ["a longer one begins another", [9, 9, 10, 10, 10], [2, 3]],
  ["no more than 64 leave as one", Array.from({ length: 64 + 3 }, () => 9), [64, 3]],
  ["nor more than 60,000 bytes", Array.from({ length: 45 }, () => 1400), [41, 4]],
] as const) {
  t.test(what, async (t) => {
    const f = fabric(1);
    // Two batches would be two bundles.
    const got = exchange(
      f,
      sent.map((bytes) => datagram({ payload: bytes })),
    );
    t.same(
      f.crossed.map((crossed) => cut(crossed).length),
      sent.length > 64 ? [64, 3] : sizes,
    );
    for (const { frame } of f.crossed) t.ok(frame.length <= 60_000 + OUTER);
    t.same(
      got.map(({ frame }) => frame.length),
      sent.map((bytes) => Math.max(42 + bytes)),
    );
  });
}

t.test("what differs outside is not joined", async (t) => {
  const f = fabric(1, 16_384);
  exchange(f, [
    datagram({ payload: 9 }),
    datagram({ payload: 9, tos: 2 }),
    datagram({ payload: 9, srcPort: 7777 }),
    datagram({ payload: 9, dst: "10.244.2.3" }),
  ]);
  t.same(f.crossed.filter(isSuper), [], "ECN, outer port of another flow");
  t.equal(f.crossed.length, 4);
  const three = new TestFabric(SMALL, 3);
  for (const { tables } of three.nodes) Object.assign(tables.config.tunnel, { bundle: 1, sourcePorts: 1 });
  const both = ["10.244.2.2", "10.244.3.2"].map((dst) => datagram({ payload: 9, dst }));
  exchange(three, both);
  three.crossed.length = 0;
  exchange(three, [...both, ...both, ...both]);
  t.same(
    three.crossed.map((crossed) => cut(crossed).length),
    [3, 3],
    "each node's of its own, though they take turns",
  );
});

t.test("VTEPs that share a place do not share a bundle", async (t) => {
  const b = new Bundles();
  const place = placeOf(50_000, 1);
  t.equal(placeOf(50_000, 17), place);
  begin(b, place, new DataView(new ArrayBuffer(8)), new Int32Array(1), new Counters(1));
  b.turn[place] = b.now;
  b.vtep[place] = 1;
  b.port[place] = 50_000;
  b.stride[place] = 60;
  t.ok(mayJoin(b, place, 1, 50_000, 0, 60));
  t.notOk(mayJoin(b, place, 17, 50_000, 0, 60));
});

t.test("a flow's small frames do not overtake its superframe", async (t) => {
  const f = fabric(1);
  const tcp = (flags: string, o: object = {}) =>
    build.tcpFrame({ ...macs, src: POD, dst: REMOTE, flags, ...o });
  const wide = { window: 65_535, wscale: 10 };
  const [, two] = f.nodes;
  const back = (flags: string, o: object) =>
    build.tcpFrame({ ...pathTo(two, REMOTE, POD), flags, srcPort: 80, dstPort: 41000, ...o });
  exchange(f, [{ frame: tcp("S", wide) }]);
  two.send("pod2", back("S.", { ack: 1, ...wide }));
  f.run();
  exchange(f, [{ frame: tcp(".", { seq: 1, ack: 1 }) }]);
  two.send("pod2", back(".", { seq: 1, ack: 1, window: 65_535 }));
  f.run();
  f.crossed.length = 0;
  const bytes = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);
  const part = (from: number, to: number): Uint8Array =>
    tcp("P.", { seq: 1 + from, ack: 1, payload: bytes.subarray(from, to) });
  const got = exchange(f, [
    { frame: part(0, 20) },
    { frame: part(20, 40) },
    superframe(part(40, 8000), 1398),
    { frame: part(8000, 8020) },
    { frame: part(8020, 8040) },
  ]);
  t.equal(f.crossed.length, 3);
  t.ok(same(concat(...got.map((r) => tcpPayload(r.frame))), bytes.subarray(0, 8040)), "every byte, in order");
});

t.test("what is captured leaves by itself, as it is captured", async (t) => {
  const f = fabric(1);
  Object.assign(f.nodes[0].tables.watchers.list[0], { mode: Mode.CAPTURE, remaining: -1 });
  f.nodes[0].tables.watchers.active = 1;
  exchange(f, [datagram({ payload: 9 }), datagram({ payload: 9 })]);
  t.same(f.crossed.map(isSuper), [false, false]);
});

t.test("who comes after news of a neighbour goes where that says", async (t) => {
  const f = fabric(1, 1);
  const [one] = f.nodes;
  one.setService({ name: "web", nodePort: 30080, endpoints: [`${REMOTE}:8080`] });
  const knock = (srcPort: number): Uint8Array =>
    build.tcpFrame({ ...pathTo(one, CLIENT, one.address), flags: "S", srcPort, dstPort: 30080 });
  const moved = "02:00:00:00:00:77";
  const news = { srcMac: moved, dstMac: one.uplinkMac, targetMac: one.uplinkMac, targetIp: one.address };
  one.send("uplink", knock(1000));
  one.send("uplink", knock(1001));
  one.send("uplink", build.arpFrame({ op: 2, ...news, senderMac: moved, senderIp: nodeAddress(2) }));
  one.send("uplink", knock(1002));
  one.send("uplink", knock(1003));
  f.run();
  t.same(
    f.crossed.map((crossed) => [cut(crossed).length, formatMac(...macAt(crossed.frame))]),
    [
      [2, uplinkMacOf(2)],
      [2, moved],
    ],
  );
});

t.test("what the device refuses of a bundle is lost whole, and counted packet by packet", async (t) => {
  const f = fabric(1, 1);
  const [one] = f.nodes;
  const device = one.tables.ports.devices[one.portId("uplink")] as Required<Port>;
  const transmit = device.transmit.bind(device);
  let calls = 0;
  device.transmit = (arena, off, len) => (calls++ === 0 ? -EAGAIN : transmit(arena, off, len));
  const got = exchange(
    f,
    [9, 9, 9, 20, 20, 20, 20].map((payload) => datagram({ payload })),
  );
  t.equal(calls, 2);
  t.equal(got.length, 4);
  t.same(one.drops(), { TX_QUEUE_FULL: 3 });
  t.equal(portCounter(one.counters, one.portId("uplink"), PortCounter.TX_DROPS), 3);
  f.settle();
});

t.test("over IPv6 every packet of a bundle has its checksum", async (t) => {
  const f = new TestFabric(SMALL);
  for (const node of f.nodes) {
    makeDualStack(node, 6);
    node.tables.config.tunnel.bundle = 2;
  }
  const [one, two] = f.nodes;
  const frame = (n: number): Uint8Array =>
    build.udpFrame({ ...pathTo6(one, pod6(1, 2), pod6(2, 2)), payload: 20 + n });
  for (const n of [0, 9, 9, 9, 2]) {
    one.send("pod2", frame(n));
    if (n === 0) f.run();
  }
  f.crossed.length = 0;
  f.run();
  t.equal(f.crossed.length, 1);
  const pieces = cut(f.crossed[0]);
  t.equal(pieces.length, 4);
  for (const piece of pieces) t.same(checkFrame(piece, { vxlanPorts: [8472] }), []);
  t.equal(two.received("pod2").length, 5);
});

/** What a flow's packets look like on the fabric, but for what a bundle changes: identification and checksums outside. */
function byPort(crossed: readonly Received[]): Map<number, string[]> {
  const ports = new Map<number, string[]>();
  for (const piece of crossed.flatMap(cut)) {
    piece.fill(0, 18, 20);
    piece.fill(0, 24, 26);
    piece.fill(0, 40, 42);
    const port = viewOf(piece).getUint16(34);
    ports.set(port, [...(ports.get(port) ?? []), Buffer.from(piece).toString("latin1")]);
  }
  return ports;
}

function randomBatch(random: Prng, number: number): Sent[] {
  const sent: Sent[] = [];
  for (let i = 0; i < 20 + random.below(40); i++) {
    const payload = new Uint8Array([8, 8, 8, 8, 6, 1400][random.below(6)]);
    payload.set([number, i]);
    const o = { payload, srcPort: 5000 + random.below(6), tos: random.below(8) === 0 ? 1 : 0 };
    const plain = datagram({ ...o, dst: random.below(3) === 0 ? "10.244.2.3" : REMOTE });
    sent.push(random.below(16) === 0 && payload.length > 1000 ? udpSuperframe(plain.frame, 500) : plain);
  }
  return sent;
}

t.test("flows get through byte for byte and in order what they get through without bundles", async (t) => {
  const seed = 20_261_129;
  const fabrics = [fabric(0, 4), fabric(1, 4)];
  const random = new Prng(seed);
  for (let number = 0; number < 8; number++) {
    const batch = randomBatch(random, number);
    const [plain, bundled] = fabrics.map((f) => {
      f.crossed.length = 0;
      exchange(f, batch);
      return byPort(f.crossed);
    });
    const ids = fabrics[1].crossed.flatMap(cut).map((packet) => viewOf(packet).getUint16(18));
    t.equal(new Set(ids).size, ids.length, "no two packets have one identification");
    t.same([...bundled.keys()].sort(), [...plain.keys()].sort(), `seed ${seed}, batch ${number}`);
    for (const [port, packets] of plain)
      t.ok(packets.join() === bundled.get(port)?.join(), `seed ${seed}, batch ${number}, port ${port}`);
  }
  t.ok(fabrics[1].nodes[0].events().TUNNEL_BUNDLED > 100, "there were bundles");
});
