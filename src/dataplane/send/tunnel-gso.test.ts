// TCP superframes that enter the tunnel whole: what the kernel makes of them on the wire is what podwire makes of them
// where it cuts them itself, and what arrives is what was sent.
import * as fc from "fast-check";
import t from "tap";
import { IoKind } from "../../base/addon.ts";
import { concat, viewOf } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { superframe, tcpPayload, type VirtioFrame } from "../../testing/frames/virtio-frames.ts";
import { pathTo, TestFabric } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { toPlainFrames } from "../../wire/bytes/plain-frames.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import { Counters, Event } from "../counters.ts";
import * as pool from "../slot-pool.ts";
import { PortTable } from "./port-table.ts";
import * as tx from "./tx-queue.ts";

const POD = "10.244.1.2";
const REMOTE = "10.244.2.2";
const PATH = pathTo(new TestNode({ poolSlots: 4 }), POD, REMOTE);
const TUNNEL_FD = 77;
const OUTER_SUM = 14 + 20 + 6;

const tcp = (flags: string, o: object = {}): Uint8Array => build.tcpFrame({ ...PATH, flags, ...o });
const typeOf = ({ virtio: header }: { virtio: Uint8Array }): number => virtio.gsoType(viewOf(header), 0);
const hex = (frames: readonly Uint8Array[]): string[] => frames.map((f) => Buffer.from(f).toString("hex"));

/** Two nodes with an established connection from POD to REMOTE. `whole`: superframes need not be cut. */
function connected(whole: boolean): TestFabric {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const wide = { window: 65_535, wscale: 14 };
  const back = (flags: string, o: object): Uint8Array =>
    build.tcpFrame({ ...pathTo(two, REMOTE, POD), flags, srcPort: 80, dstPort: 41000, ...o });
  one.send("pod2", tcp("S", wide));
  fabric.run();
  two.send("pod2", back("S.", { ack: 1, ...wide }));
  fabric.run();
  one.send("pod2", tcp(".", { seq: 1, ack: 1 }));
  two.send("pod2", back(".", { seq: 1, ack: 1, window: 65_535 }));
  fabric.run();
  for (const node of fabric.nodes) {
    node.everything();
    if (whole) node.tables.ports.tunnelFd = TUNNEL_FD;
  }
  fabric.crossed.length = 0;
  return fabric;
}

/** What a device makes of a frame with a virtio header. */
function onWire({ frame, virtio: header }: VirtioFrame): Uint8Array[] {
  const out = 70_000;
  const arena = concat(header, frame, new Uint8Array(400_000));
  const result = new Int32Array(3);
  const n = toPlainFrames(arena, viewOf(arena), header.length, frame.length, out, 300_000, result);
  return Array.from({ length: Math.max(n, 0) }, (_, i) => {
    const from = out + i * result[2];
    return arena.slice(from, Math.min(from + result[2], out + result[1]));
  });
}

t.test("a superframe that stays whole becomes the packets that podwire would have cut", async (t) => {
  const pair = [true, false].map(connected);
  const [two] = pair.map((fabric) => fabric.nodes[1]);
  let seq = 1;
  const check = (
    flags: string,
    mss: number,
    o: { payload: number; tos?: number; id?: number; timestamps?: [number, number] | undefined },
  ) => {
    const plain = tcp(flags, { ...o, seq, ack: 1 });
    seq += o.payload;
    const { frame, virtio: header } = superframe(plain, mss, flags.includes("W"));
    const [whole, cut] = pair.map((fabric) => {
      fabric.nodes[0].send("pod2", frame, header);
      fabric.run();
      return fabric.crossed.splice(0);
    });
    t.equal(whole.length, 1);
    t.equal(typeOf(whole[0]) & virtio.GSO_TUNNEL, virtio.GSO_TUNNEL_V4);
    const got = whole.flatMap(onWire);
    t.equal(got.length, Math.ceil(o.payload / mss));
    const wanted = cut.flatMap(onWire);
    // What podwire cuts off as a packet of its own has no outer checksum, as any single packet.
    const last = wanted.at(-1);
    if (last && viewOf(last).getUint16(OUTER_SUM) === 0) viewOf(got[got.length - 1]).setUint16(OUTER_SUM, 0);
    t.strictSame(hex(got), hex(wanted));
    const arrived = concat(...two.received("pod2").map((r) => tcpPayload(r.frame)));
    t.ok(Buffer.from(arrived).equals(tcpPayload(plain)));
  };
  const sent = fc.record({
    payload: fc.integer({ min: 1399, max: 60_000 }),
    tos: fc.integer({ min: 0, max: 255 }),
    id: fc.integer({ min: 0, max: 65_535 }),
    timestamps: fc.option(fc.constant<[number, number]>([7, 8]), { nil: undefined }),
  });
  const flags = fc.constantFrom("P.", ".", "WP.", "EW.", "U.");
  const run = fc.property(flags, fc.integer({ min: 480, max: 1398 }), sent, check);
  fc.assert(run, { numRuns: 10, endOnFailure: true });
  check("FWP.", 1000, { payload: 2500 });
});

t.test("it is counted, and outer ids go on behind it as if it had been cut", async (t) => {
  const ids = [true, false].map((whole) => {
    const fabric = connected(whole);
    const { frame, virtio: header } = superframe(tcp("P.", { payload: 20_000, seq: 1 }), 1398);
    fabric.nodes[0].send("pod2", frame, header);
    fabric.run();
    fabric.nodes[0].send("pod2", tcp("P.", { payload: 10, seq: 20_001 }));
    fabric.run();
    const last = fabric.crossed.at(-1);
    t.equal(fabric.nodes[0].counters.events[Event.TUNNEL_GSO], whole ? 1 : 0);
    return last && viewOf(last.frame).getUint16(18);
  });
  t.equal(ids[0], ids[1]);
});

const ipOptions = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
const shared = connected(true);
let next = 1;
for (const { what, o, mss } of [
  { what: "one segment", o: { payload: 700 }, mss: 1398 },
  { what: "more than 128 segments", o: { payload: 12_900 }, mss: 100 },
  { what: "IP options", o: { payload: 5000, ipOptions }, mss: 1000 },
]) {
  t.test(`a superframe with ${what} is cut as ever`, async (t) => {
    const { frame, virtio: header } = superframe(tcp("P.", { seq: next, ...o }), mss);
    next += o.payload;
    shared.nodes[0].send("pod2", frame, header);
    shared.run();
    const crossed = shared.crossed.splice(0);
    t.ok(crossed.length > 0);
    for (const each of crossed) t.equal(typeOf(each) & virtio.GSO_TUNNEL, 0);
    t.equal(shared.nodes[0].counters.events[Event.TUNNEL_GSO], 0);
  });
}

t.test("while the neighbour is asked for it waits, and leaves whole", async (t) => {
  const fabric = shared;
  const [one] = fabric.nodes;
  fabric.advanceMs(120_000);
  const { frame, virtio: header } = superframe(tcp("P.", { payload: 9000, seq: next }), 1398);
  one.send("pod2", frame, header);
  fabric.run();
  t.ok(fabric.crossed.some((f) => (typeOf(f) & virtio.GSO_TUNNEL_V4) !== 0));
  fabric.settle();
});

t.test(
  "between frames of the packet socket it keeps its place, and a lost device is not asked again",
  async (t) => {
    const calls: number[][][] = [];
    let answer = 0;
    const io = {
      receive: () => 0,
      transmit: (
        fds: Int32Array,
        kinds: Int32Array,
        _a: Uint8Array,
        _o: Int32Array,
        _l: Int32Array,
        n: number,
        out: Int32Array,
      ) => {
        calls.push(Array.from({ length: n }, (_, i) => [fds[i], kinds[i]]));
        for (let i = 0; i < n; i++) out[i] = kinds[i] === IoKind.TUNNEL_TAP ? answer : 0;
        return n;
      },
    };
    const ports = new PortTable(1);
    ports.fd[0] = 5;
    ports.ioKind[0] = IoKind.PACKET_VNET;
    ports.tunnelFd = TUNNEL_FD;
    const counters = new Counters(1);
    const q = new tx.TxQueue(new Uint8Array(64), new pool.SlotPool(0, 1), ports, counters, io, {
      capacity: 8,
    });
    const flush = (): number => {
      tx.enqueue(q, 0, 10, 4, -1);
      tx.enqueueInTunnel(q, 0, 20, 4, -1);
      tx.enqueue(q, 0, 30, 4, -1);
      tx.flush(q);
      return ports.tunnelFd;
    };
    t.equal(flush(), TUNNEL_FD);
    const packets = [5, IoKind.PACKET_VNET];
    t.same(calls, [[packets, [TUNNEL_FD, IoKind.TUNNEL_TAP], packets]]);
    for (const busy of [-11, -105, -22]) {
      answer = busy;
      t.equal(flush(), TUNNEL_FD, "full, or one frame refused: the device is there");
    }
    t.equal(counters.events[Event.TUNNEL_GSO_LOST], 0);
    answer = -5;
    t.equal(flush(), -1);
    t.equal(flush(), -1);
    t.equal(counters.events[Event.TUNNEL_GSO_LOST], 1);
  },
);
