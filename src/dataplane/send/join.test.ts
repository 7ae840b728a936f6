// UDP datagrams of a flow enter a pod joined: what a receiver gets of a superframe, once it is cut, is byte for byte and
// in order what was sent to it, and nothing is joined that differs. The judge is the same node without joining.
import t, { type Test } from "tap";
import { concat, viewOf } from "../../testing/frames/bytes.ts";
import { fragmentsOf } from "../../testing/frames/fragment-frames.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { withChecksums } from "../../testing/frames/frame-offload.ts";
import type { UdpOptions } from "../../testing/frames/frame-options.ts";
import { partialFrame, udpSuperframe } from "../../testing/frames/virtio-frames.ts";
import { Prng } from "../../testing/prng.ts";
import { makeDualStack, pod6 } from "../../testing/world/dual-stack.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../../testing/world/test-node.ts";
import { PortCounter, portCounter } from "../counters.ts";

const POD = "10.244.1.2";
const OTHER = "10.244.1.3";
const SERVICE = "10.96.0.9";
const L3 = 14;
const GSO_UDP_L4 = 5;

function createNode(joins: boolean, unchecked = false): TestNode {
  const node = new TestNode({ summed: true, poolSlots: 8, unchecked });
  node.setService({ name: "udp", clusterIp: SERVICE, port: 53, protocol: 17, endpoints: [`${OTHER}:5353`] });
  makeDualStack(node);
  if (joins) node.tables.ports.joins[node.portId("pod3")] = 1;
  return node;
}

const NODE = createNode(true);
const JUDGE = createNode(false);
const LOOSE = createNode(true, true); // what it sends is not looked at
const PATH = pathTo(NODE, POD, OTHER);
const udp = (o: Partial<UdpOptions> = {}): Uint8Array =>
  build.udpFrame({ ...PATH, dstPort: 7000, payload: 22, ...o });

/** What the kernel makes of a frame for who reads no superframes. */
function cut({ frame, virtio }: Pick<Received, "frame" | "virtio">): Uint8Array[] {
  if (virtio[1] !== GSO_UDP_L4) return [virtio[0] === 1 ? withChecksums(frame) : frame];
  const [head, size] = [viewOf(virtio).getUint16(2, true), viewOf(virtio).getUint16(4, true)];
  const pieces: Uint8Array[] = [];
  for (let at = head; at < frame.length; at += size) {
    const piece = concat(frame.subarray(0, head), frame.subarray(at, at + size));
    const view = viewOf(piece);
    if (piece[L3] >> 4 === 4) {
      view.setUint16(L3 + 2, piece.length - L3);
      view.setUint16(L3 + 4, view.getUint16(L3 + 4) + pieces.length);
    } else view.setUint16(L3 + 4, piece.length - L3 - 40);
    view.setUint16(head - 4, piece.length - head + 8);
    pieces.push(withChecksums(piece));
  }
  return pieces;
}

/** Frame for comparing, without the identification of what may not be fragmented: it says nothing. */
function comparable(frame: Uint8Array): string {
  const copy = frame.slice();
  const view = viewOf(copy);
  if (copy[L3] >> 4 === 4 && (view.getUint16(L3 + 6) & 0x4000) !== 0) {
    view.setUint16(L3 + 4, 0);
    view.setUint16(L3 + 10, 0);
  }
  return Buffer.from(copy).toString("hex");
}

/** Frames per flow, each in order. */
function byFlow(frames: readonly Uint8Array[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const frame of frames) {
    const isV6 = frame[L3] >> 4 === 6;
    const at = isV6 ? L3 + 8 : L3 + 12;
    const key =
      Buffer.from(frame.subarray(at, L3 + (isV6 ? 44 : 24))).toString("hex") + frame[isV6 ? L3 + 6 : L3 + 9];
    flows.set(key, [...(flows.get(key) ?? []), comparable(frame)]);
  }
  return flows;
}

type Sent = readonly [frame: Uint8Array, virtio?: Uint8Array];

/** Superframes that pod3 got of `sent`, which must be what a node without joining hands it. */
function joined(t: Test, sent: readonly Sent[]): Received[] {
  for (const node of [NODE, JUDGE]) {
    node.counters.ports.fill(0);
    node.counters.events.fill(0);
    node.counters.drops.fill(0);
  }
  for (const [frame, virtio] of sent) {
    NODE.send("pod2", frame, virtio);
    JUDGE.send("pod2", frame, virtio);
  }
  NODE.run();
  JUDGE.run();
  const got = NODE.received("pod3");
  t.same(byFlow(got.flatMap(cut)), byFlow(JUDGE.received("pod3").flatMap(cut)));
  t.same(NODE.drops(), JUDGE.drops());
  const counts = [NODE, JUDGE].map((node) =>
    [PortCounter.TX_PACKETS, PortCounter.TX_BYTES, PortCounter.TX_DROPS].map((column) =>
      portCounter(node.counters, node.portId("pod3"), column),
    ),
  );
  t.same(counts[0], counts[1], "every datagram is counted");
  return got;
}

const piecesOf = (got: readonly Received[]): number[] => got.map((one) => cut(one).length);

t.test("datagrams of a flow leave as one superframe, the last may be shorter", async (t) => {
  const sizes = [22, 22, 22, 22, 9, 22];
  const got = joined(
    t,
    sizes.map((payload) => [udp({ payload })]),
  );
  t.same(piecesOf(got), [5, 1]);
  t.same(got[1].virtio, new Uint8Array(10), "what stays alone leaves as it came");
  t.equal(NODE.events().UDP_JOINED, 5);
  t.equal(NODE.events().UDP_SUPERFRAMES, 1);
});

t.test(
  "so they do through a service, partial checksums and IPv6 too, with other flows between them",
  async (t) => {
    const via = (srcPort: number): Uint8Array =>
      build.udpFrame({ ...pathTo(NODE, POD, SERVICE), srcPort, dstPort: 53, payload: 30 });
    t.same(
      piecesOf(
        joined(
          t,
          [1, 2, 1, 3, 2, 1, 1].map((n) => [via(40_000 + n)]),
        ),
      ),
      [4, 2, 1],
    );
    const partial = partialFrame(udp());
    t.same(
      piecesOf(
        joined(
          t,
          [1, 2, 3].map(() => [partial.frame, partial.virtio]),
        ),
      ),
      [3],
    );
    const v6 = build.udpFrame({ ...PATH, src: pod6(1, 2), dst: pod6(1, 3), payload: 30 });
    t.same(piecesOf(joined(t, [[v6], [v6], [v6]])), [3]);
  },
);

t.test("64 datagrams are the most, and 60,000 bytes", async (t) => {
  t.same(
    piecesOf(
      joined(
        t,
        Array.from({ length: 64 }, () => [udp({ payload: 1 })]),
      ),
    ),
    [64],
  );
  const big = Array.from({ length: 60 }, (): Sent => [udp({ payload: 1200 })]);
  t.same(piecesOf(joined(t, big)), [49, 11]);
});

t.test("nothing is joined that differs, and nothing overtakes it", async (t) => {
  const plain = udp();
  const whole = udp({ payload: 64, dontFragment: false });
  const frames: Record<string, Sent[]> = {
    longer: [[udp({ payload: 23 })]],
    "other ToS": [[udp({ tos: 4 })]],
    "other ECN": [[udp({ tos: 1 })]],
    "other TTL": [[udp({ ttl: 9 })]],
    "may be fragmented": [[udp({ dontFragment: false })]],
    options: [[udp({ ipOptions: Uint8Array.of(1, 1, 1, 1) })]],
    "no checksum": [[udp({ checksum: false })]],
    empty: [[udp({ payload: 0 })]],
    fragments: fragmentsOf(whole, 32).map((f) => [f]),
  };
  for (const [name, between] of Object.entries(frames)) {
    await t.test(name, async (t) => {
      const got = joined(t, [[plain], [plain], ...between, [plain], [plain]]);
      t.same(
        piecesOf(got).filter((n) => n > 1),
        [2, 2],
      );
    });
  }
  const short = udp();
  viewOf(short).setUint16(L3 + 24, 20); // says that it is shorter than its packet, whose sum is right
  viewOf(short).setUint16(L3 + 26, viewOf(short).getUint16(L3 + 26) + 10);
  for (const frame of [plain, plain, short, plain, plain]) LOOSE.send("pod2", frame);
  LOOSE.run();
  t.same(piecesOf(LOOSE.received("pod3")), [2, 1, 2], "a length of its own");
  const many = udpSuperframe(udp({ payload: 66 }), 22);
  t.same(piecesOf(joined(t, [[plain], [plain], [many.frame, many.virtio], [plain], [plain]])), [2, 3, 2]);
});

t.test("tunnels' ports are left alone; a zero checksum is, unless it was asked for", async (t) => {
  for (const port of [4789, 8472, 6081]) {
    for (const o of [{ srcPort: port }, { dstPort: port }]) {
      for (let i = 0; i < 2; i++) LOOSE.send("pod2", udp(o));
    }
  }
  LOOSE.run();
  t.same(piecesOf(LOOSE.received("pod3")), Array(12).fill(1));
  const bare = udp({ checksum: false });
  LOOSE.tables.config.joining.withoutChecksum = 1;
  for (let i = 0; i < 3; i++) LOOSE.send("pod2", bare);
  LOOSE.run();
  t.same(piecesOf(LOOSE.received("pod3")), [3], "whoever cuts it makes sums");
});

t.test("a wrong checksum that goes on as it is stays wrong", async (t) => {
  LOOSE.tables.config.proxy.dropInvalid = 0;
  const wrong = udp();
  wrong[wrong.length - 1] ^= 1;
  for (const frame of [udp(), udp(), wrong, wrong, udp(), udp()]) LOOSE.send("pod2", frame);
  LOOSE.run();
  const got = LOOSE.received("pod3");
  t.same(piecesOf(got), [2, 1, 1, 2]);
  t.same(comparable(got[1].frame), comparable(wrong));
  LOOSE.tables.config.proxy.dropInvalid = 1;
});

t.test("identifications that mean something must count up, or never change", async (t) => {
  const ids = [7, 8, 9, 9, 10, 65_535, 0];
  const of = (id: number): Uint8Array => udp({ id, dontFragment: false });
  t.same(
    piecesOf(
      joined(
        t,
        ids.map((id) => [of(id)]),
      ),
    ),
    [3, 2, 2],
  );
  for (const id of [4, 4, 4, 5]) LOOSE.send("pod2", of(id));
  LOOSE.run();
  t.same(piecesOf(LOOSE.received("pod3")), [3, 1]);
});

t.test("a superframe that is refused counts for each of its datagrams", async (t) => {
  const port = LOOSE.portId("pod3");
  LOOSE.counters.ports.fill(0);
  LOOSE.tables.ports.devices[port] = null;
  for (let i = 0; i < 5; i++) LOOSE.send("pod2", udp());
  LOOSE.run();
  t.same(LOOSE.takeDrops(), { TX_ERROR: 5 });
  t.equal(portCounter(LOOSE.counters, port, PortCounter.TX_DROPS), 5);
  t.equal(portCounter(LOOSE.counters, port, PortCounter.TX_PACKETS), 0);
});

t.test("whatever comes in whatever order: each flow gets what it got without joining", async (t) => {
  const random = new Prng(20);
  let most = 0;
  for (let round = 0; round < 6; round++) {
    const sent = Array.from({ length: 50 }, (_, i): Sent => {
      const o = {
        srcPort: 40_000 + random.below(2),
        payload: random.pick([22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 40, 9, 0]),
        tos: random.pick([...Array(15).fill(0), 2]),
        ttl: random.pick([...Array(15).fill(64), 63]),
        id: random.pick([i, 0]),
        dontFragment: random.below(9) > 0,
        checksum: random.below(12) > 0,
      };
      const frame = udp(o);
      if (random.below(20) === 0) frame[frame.length - 1] ^= 0x40;
      if (random.below(6) > 0 || !o.checksum) return [frame];
      const { frame: partial, virtio } = partialFrame(frame);
      return [partial, virtio];
    });
    for (const n of piecesOf(joined(t, sent))) most = Math.max(most, n);
  }
  t.ok(most > 3, `${most} joined`);
});
