// Fuzz target `overlay`: two whole nodes on one switch, frames in bursts into any port of either. Findings
// are exceptions below pollOnce, packet slots lost or written to from outside (test-node.ts), and frames that
// go round for ever. What leaves one node is the other's input, so each is fuzzed with what the other makes
// of rubbish.
import { fragmentsOf } from "../frames/fragment-frames.ts";
import * as build from "../frames/frame-builder.ts";
import { sampleFrames } from "../frames/sample-frames.ts";
import { superframe, tunnelSuperframe, udpSuperframe, type VirtioFrame } from "../frames/virtio-frames.ts";
import type { Prng } from "../prng.ts";
import { brought, keepClients } from "../world/kept-clients.ts";
import { CLIENT, pathTo, TestFabric } from "../world/test-fabric.ts";
import { TestNode, type TestNodeOptions } from "../world/test-node.ts";
import { dressed, pipelineSamples } from "./fuzz-pipeline.ts";

const VIP = "10.96.0.10";
const PORTS = ["pod2", "pod3", "host", "uplink"];
const BURST_MAX = 24;
/**
 * Bytes before it, place, and the two values of what tells the nodes apart: pod CIDR, node address, uplink
 * MAC.
 */
const MIRRORED = [
  [[0x0a, 0xf4], 2, 1, 2],
  [[192, 168, 50], 3, 11, 12],
  [[2, 0, 0, 0, 0], 5, 0x11, 0x12],
] as const;

/** Fresh nodes with services; each call hands one frame over, every few calls both nodes run. */
export function createOverlayTarget(
  options: TestNodeOptions = {},
): (frame: Uint8Array, random: Prng) => void {
  const fabric = new TestFabric({ unchecked: true, poolSlots: 48, ...options });
  for (const node of fabric.nodes) {
    addServices(node);
    keepClients(node, fabric.nodes.length);
  }
  const large = superframes(fabric.nodes[0]);
  let waiting = 0;
  return (bytes, random) => {
    const node = nodeOf(fabric, bytes) ?? random.pick(fabric.nodes);
    const { frame, virtio } =
      random.below(50) === 0 ? mangled(random.pick(large), random) : dressed(bytes, random);
    // As where a node is told otherwise while connections live.
    if (random.below(1000) === 0) random.pick(fabric.nodes).tables.config.tunnel.keepClients ^= 1;
    node.send(random.below(4) === 0 ? random.pick(PORTS) : portOf(node, frame), frame, virtio);
    waiting++;
    if (waiting < BURST_MAX && random.below(6) > 0) return;
    waiting = 0;
    fabric.clock.advanceMs(random.below(20) === 0 ? 40_000 : random.below(50));
    fabric.run();
    for (const one of fabric.nodes) one.everything();
    fabric.crossed.length = 0;
    fabric.client.got.length = 0;
    fabric.router.got.length = 0;
  };
}

/** What the pipeline target starts from and datagrams in fragments, as seen from either node. */
export function overlaySamples(): Uint8Array[] {
  const node = new TestNode({ poolSlots: 4 });
  const cut = { dontFragment: false, payload: 200 };
  const ofNodeOne = [
    ...pipelineSamples(),
    ...fragmentsOf(build.udpFrame({ ...pathTo(node, "10.244.1.2", VIP), ...cut, id: 1 }), 104),
    ...fragmentsOf(build.udpFrame({ ...pathTo(node, "10.244.1.2", "10.244.2.2"), ...cut, id: 2 }), 80),
    ...fragmentsOf(build.udpFrame({ ...pathTo(node, "10.244.1.2", "10.244.1.3"), ...cut, id: 3 }), 152),
    ...fragmentsOf(
      build.udpFrame({ ...pathTo(node, CLIENT, node.address), ...cut, id: 4, dstPort: 30053 }),
      104,
    ),
    build.tcpFrame({ ...pathTo(node, CLIENT, node.address), flags: "S", dstPort: 30080 }),
    build.tcpFrame({ ...pathTo(node, "10.244.1.3", CLIENT), flags: "S.", srcPort: 8080, dstPort: 41000 }),
    brought(),
  ];
  return [...ofNodeOne, ...ofNodeOne.map(mirrored), ...sampleFrames()];
}

/** The same frame with the two nodes' addresses exchanged, wherever they stand. */
function mirrored(frame: Uint8Array): Uint8Array {
  const out = frame.slice();
  for (const [before, at, a, b] of MIRRORED) {
    for (let i = 0; i + before.length < frame.length; i++) {
      if (!before.every((byte, k) => frame[i + k] === byte)) continue;
      if (frame[i + at] === a) out[i + at] = b;
      else if (frame[i + at] === b) out[i + at] = a;
    }
  }
  return out;
}

/** The node whose pod, stack or uplink a frame names as its sender or receiver. */
function nodeOf(fabric: TestFabric, frame: Uint8Array): TestNode | undefined {
  const macs = [frame.subarray(6, 12), frame.subarray(0, 6)].map((mac) => `${mac}`);
  for (const mac of macs) {
    const found = fabric.nodes.find(({ index }) => mac.startsWith(`10,88,10,244,${index},`));
    if (found !== undefined) return found;
  }
  return fabric.nodes.find(({ index }) => macs.includes(`2,0,0,0,0,${0x10 + index}`));
}

function portOf(node: TestNode, frame: Uint8Array): string {
  const from = `${frame.subarray(6, 12)}`;
  if (from === `10,88,10,244,${node.index},2`) return "pod2";
  if (from === `10,88,10,244,${node.index},3`) return "pod3";
  return from === `2,0,0,0,0,${0x10 + node.index}` ? "host" : "uplink";
}

function addServices(node: TestNode): void {
  const endpoints = ["10.244.1.3:8080", "10.244.2.2:8080"];
  node.setService({ name: "web", clusterIp: VIP, port: 80, nodePort: 30080, endpoints });
  const dns = { protocol: 17, clusterIp: VIP, port: 53, nodePort: 30053 };
  node.setService({ name: "dns", ...dns, endpoints: ["10.244.1.2:53", "10.244.2.3:53"] });
  node.setService({ name: "empty", clusterIp: VIP, port: 81, endpoints: [] });
}

/** Frames of full length, which mutation of samples does not reach. */
function superframes(node: TestNode): VirtioFrame[] {
  const over = pathTo(node, "10.244.1.2", "10.244.2.2");
  const vteps = pathTo(node, "192.168.50.12", "192.168.50.11");
  const inner = build.tcpFrame({
    src: "10.244.2.2",
    dst: "10.244.1.2",
    dstMac: node.vtepMac,
    payload: 20_000,
  });
  const small = build.udpFrame({ src: "10.244.2.2", dst: "10.244.1.2", dstMac: node.vtepMac, payload: 10 });
  const packets = Array.from({ length: 500 }, () => [8, 0, 0, 0, 0, 0, 1, 0, ...small]).flat();
  return [
    superframe(build.tcpFrame({ ...over, flags: ".", payload: 60_000 }), 1398),
    superframe(build.tcpFrame({ ...over, flags: "FP.", payload: 30_000 }), 100),
    udpSuperframe(build.udpFrame({ ...over, payload: 50_000 }), 1200),
    tunnelSuperframe(build.vxlanFrame({ ...vteps, inner }), 1398),
    udpSuperframe(
      build.udpFrame({ ...vteps, dstPort: 8472, payload: Uint8Array.from(packets) }),
      8 + small.length,
    ),
  ];
}

/** A few bytes changed, in the headers of both layers and in the virtio header; sometimes cut short. */
function mangled({ frame, virtio }: VirtioFrame, random: Prng): VirtioFrame {
  const bytes = random.below(4) === 0 ? frame.slice(0, random.below(frame.length)) : frame.slice();
  const header = virtio.slice();
  for (let n = random.below(3); n > 0; n--) {
    if (random.below(2) === 0) header[random.below(10)] = random.below(256);
    else if (bytes.length > 0) bytes[random.below(Math.min(bytes.length, 140))] = random.below(256);
  }
  return { frame: bytes, virtio: header };
}
