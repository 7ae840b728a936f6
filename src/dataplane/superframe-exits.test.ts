// Superframes with partial checksums to every kind of exit: another pod, the node's stack, the fabric, the tunnel, a
// Service; TCP of both families, with extension headers, with CWR, with any segment size, and UDP. Each node checks what
// it sends (test-node.ts); here it is held against the sender's bytes: all of them, once, in order.
import t from "tap";
import { concat, viewOf } from "../testing/frames/bytes.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { superframe, udpSuperframe, type VirtioFrame } from "../testing/frames/virtio-frames.ts";
import { makeDualStack, node6, pathTo6, pod6 } from "../testing/world/dual-stack.ts";
import { VIP6 } from "../testing/world/dual-stack-samples.ts";
import { CLIENT, pathTo, TestFabric } from "../testing/world/test-fabric.ts";
import type { Received } from "../testing/world/test-node.ts";

const ETH = 14;
const CWR = 0x80;
const ECN_BIT = 0x80;
const PAYLOAD = 9001;

interface Segment {
  readonly flags: number;
  readonly offset: number;
  readonly payload: Uint8Array;
}

/** What a receiver without offloads sees of a frame: its segments, TCP flags and places in the stream. */
function segments({ frame, virtio }: VirtioFrame): Segment[] {
  const v6 = frame[ETH] >> 4 === 6;
  let l4 = ETH + (v6 ? 40 : (frame[ETH] & 15) * 4);
  let proto = v6 ? frame[ETH + 6] : frame[ETH + 9];
  if (v6 && proto === 60) {
    proto = frame[l4];
    l4 += 8;
  }
  const isTcp = proto === 6;
  const head = l4 + (isTcp ? (frame[l4 + 12] >> 4) * 4 : 8);
  const end = v6 ? ETH + 40 + viewOf(frame).getUint16(ETH + 4) : ETH + viewOf(frame).getUint16(ETH + 2);
  const size = virtio[1] === 0 ? end - head : virtio[4] + 256 * virtio[5];
  const found: Segment[] = [];
  for (let at = head; at < end; at += size) {
    const flags = isTcp ? frame[l4 + 13] & ~(at > head ? CWR : 0) : 0;
    const offset = isTcp ? viewOf(frame).getInt32(l4 + 4) + at - head : 0;
    found.push({ flags, offset, payload: frame.slice(at, Math.min(end, at + size)) });
  }
  return found;
}

/** The same superframe with an options header for the destination before TCP. */
function withDestinationOptions({ frame, virtio }: VirtioFrame): VirtioFrame {
  const at = ETH + 40;
  const out = concat(
    frame.subarray(0, at),
    Uint8Array.of(frame[ETH + 6], 0, 1, 4, 0, 0, 0, 0),
    frame.subarray(at),
  );
  out[ETH + 6] = 60;
  viewOf(out).setUint16(ETH + 4, out.length - at);
  const header = virtio.slice();
  header[2] += 8;
  header[6] += 8;
  return { frame: out, virtio: header };
}

function fabricWithServices(): TestFabric {
  const fabric = new TestFabric();
  for (const node of fabric.nodes) makeDualStack(node);
  const [one] = fabric.nodes;
  one.setService({ name: "web", clusterIp: "10.96.0.10", endpoints: ["10.244.2.2:8080"] });
  one.setService({ name: "dns", protocol: 17, clusterIp: "10.96.0.10", endpoints: ["10.244.2.2:8080"] });
  one.setService({ name: "web6", clusterIp: VIP6, endpoints: [`[${pod6(2, 2)}]:8080`] });
  one.setService({ name: "dns6", protocol: 17, clusterIp: VIP6, endpoints: [`[${pod6(2, 2)}]:8080`] });
  return fabric;
}

type Kind = (path: ReturnType<typeof pathTo>, size: number) => VirtioFrame;
const KINDS: readonly [name: string, families: readonly (4 | 6)[], make: Kind][] = [
  ["TCP", [4, 6], (path, size) => superframe(build.tcpFrame({ ...path, ...DATA, flags: "P." }), size)],
  [
    "TCP with CWR",
    [4, 6],
    (path, size) => superframe(build.tcpFrame({ ...path, ...DATA, flags: "W." }), size, true),
  ],
  [
    "TCP behind an extension header",
    [6],
    (path, size) =>
      withDestinationOptions(superframe(build.tcpFrame({ ...path, ...DATA, flags: "." }), size)),
  ],
  [
    "UDP",
    [4, 6],
    (path, size) => udpSuperframe(build.udpFrame({ ...path, payload: PAYLOAD, dstPort: 80 }), size),
  ],
];
const DATA = { seq: -4000, ack: 1, payload: PAYLOAD, tos: 2, dstPort: 80, timestamps: [9, 8] as const };

/** Where to, and who has it then: the frames that a place got. */
const EXITS: readonly [name: string, v4: string, v6: string, got: (fabric: TestFabric) => Received[]][] = [
  ["another pod", "10.244.1.3", pod6(1, 3), (fabric) => fabric.nodes[0].received("pod3")],
  ["the node itself", "192.168.50.11", node6(1), (fabric) => fabric.nodes[0].received("host")],
  ["the tunnel", "10.244.2.2", pod6(2, 2), (fabric) => fabric.nodes[1].received("pod2")],
  ["a Service behind the tunnel", "10.96.0.10", VIP6, (fabric) => fabric.nodes[1].received("pod2")],
  [
    "the fabric",
    CLIENT,
    node6(2),
    (fabric) =>
      fabric.client.got.length > 0 ? fabric.client.got.splice(0) : fabric.nodes[1].received("host"),
  ],
];

for (const [exit, v4, v6, take] of EXITS) {
  for (const [kind, families, make] of KINDS) {
    for (const family of families) {
      t.test(`${kind} over IPv${family} to ${exit}: every byte, once, in order`, async (t) => {
        for (const size of [7, 1001]) {
          const fabric = fabricWithServices();
          const [one] = fabric.nodes;
          const path = family === 4 ? pathTo(one, "10.244.1.2", v4) : pathTo6(one, pod6(1, 2), v6);
          one.send("pod2", build.udpFrame({ ...path, srcPort: 7, dstPort: 80, payload: 1 }));
          fabric.run(); // neighbours are asked: more than three frames would not wait
          take(fabric);
          const sent = make(path, size);
          one.send("pod2", sent.frame, sent.virtio);
          fabric.run();
          const got = take(fabric).filter((r) => r.frame[ETH - 2] !== 8 || r.frame[ETH - 1] !== 6);
          const want = segments(sent);
          const have = got.flatMap((r) => segments(r));
          t.equal(have.length, want.length, `segments of ${size}`);
          t.ok(same(concat(...have.map((s) => s.payload)), concat(...want.map((s) => s.payload))), "payload");
          t.same(
            have.map((s) => s.offset),
            want.map((s) => s.offset),
            "places in the stream",
          );
          t.same(
            have.filter((s) => (s.flags & CWR) !== 0).length,
            want.filter((s) => (s.flags & CWR) !== 0).length,
          );
          const marked = got.filter((r) => r.virtio[1] !== 0 && (r.virtio[1] & ECN_BIT) !== 0);
          if (kind !== "TCP with CWR") t.same(marked, [], "nobody else is marked");
          fabric.settle();
        }
      });
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
