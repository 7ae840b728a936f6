// Fuzz target `pipeline`: a whole node (test-node.ts) that keeps its state from frame to frame. A finding is an
// exception below pollOnce, a packet slot that got lost, or a good frame that made the plane send a bad one.
import { dissect } from "../../dissect/dissect.ts";
import { fromHex } from "../frames/bytes.ts";
import * as build from "../frames/frame-builder.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { type OffloadFrame, withChecksums, withPartialChecksum } from "../frames/frame-offload.ts";
import { sampleFrames } from "../frames/sample-frames.ts";
import type { Prng } from "../prng.ts";
import { makeDualStack, pod6 } from "../world/dual-stack.ts";
import { answerSolicitation, dualStackSamples, VIP6 } from "../world/dual-stack-samples.ts";
import { FABRIC_ROUTER, macOf, uplinkMacOf, VXLAN_PORT, vtepMacOf } from "../world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo, ROUTER_MAC } from "../world/test-fabric.ts";
import { TestNode, type TestNodeOptions } from "../world/test-node.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const REMOTE_POD = "10.244.2.2";
const VIP = "10.96.0.10";
const NODE = "192.168.50.11";
const PEER = "192.168.50.12";
const STATIONS: Readonly<Record<string, string>> = {
  [PEER]: uplinkMacOf(2),
  [CLIENT]: CLIENT_MAC,
  [FABRIC_ROUTER]: ROUTER_MAC,
};

/** A fresh node with services; each call delivers one frame and looks at what came of it. */
export function createPipelineTarget(
  options: TestNodeOptions = {},
): (frame: Uint8Array, random: Prng) => void {
  const node = createNode(options);
  return (bytes, random) => {
    const delivered = dressed(bytes, random);
    const port = portOf(node, bytes, random);
    node.clock.advanceMs(random.below(12) === 0 ? 40_000 : random.below(50));
    const isIdle = node.tables.pool.count === node.poolSlots;
    const isGood =
      checkFrame(delivered.frame, { virtio: delivered.virtio, vxlanPorts: [VXLAN_PORT] }).length === 0;
    node.send(port, delivered.frame, delivered.virtio);
    node.run();
    for (let outs = node.everything(); outs.length > 0; outs = node.everything()) {
      for (const out of outs) {
        const problems = checkFrame(out.frame, { virtio: out.virtio, vxlanPorts: [VXLAN_PORT] });
        if (isIdle && isGood && problems.length > 0) {
          throw new Error(`from ${port}, a good frame; to ${out.port}: ${out.text}: ${problems.join("; ")}`);
        }
        if (out.port === "uplink" && random.below(8) > 0) {
          answerArp(node, out.frame);
          answerSolicitation(node, out.frame);
        }
      }
      node.run();
    }
  };
}

/** The stations of the fabric answer, mostly: what waited for a neighbour goes on its way. */
function answerArp(node: TestNode, request: Uint8Array): void {
  const { layers } = dissect(request);
  const arp = layers.find((layer) => layer.kind === "arp");
  const mac = arp?.op === 1 ? STATIONS[arp.targetIp] : undefined;
  if (arp === undefined || mac === undefined) return;
  const ends = { senderIp: arp.targetIp, targetIp: arp.senderIp, targetMac: arp.senderMac };
  node.send("uplink", build.arpFrame({ op: 2, srcMac: mac, senderMac: mac, dstMac: arp.senderMac, ...ends }));
}

/** Frames that get far: pods, services, node ports, the tunnel, replies, errors; and one of every other kind. */
export function pipelineSamples(): Uint8Array[] {
  const node = new TestNode();
  const at = (src: string, dst: string) => pathTo(node, src, dst);
  const inner = { src: REMOTE_POD, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const toVip = build.tcpFrame({ ...at(POD2, VIP), flags: "S", mss: 1410, wscale: 7 });
  const fragment = build.udpFrame({ ...at(POD2, REMOTE_POD), payload: 64, dontFragment: false, id: 7 });
  fragment[20] = 0x20;
  return [
    toVip,
    build.tcpFrame({ ...at(POD2, VIP), seq: 1, ack: 1, flags: "P.", payload: 1000 }),
    build.tcpFrame({ ...at(POD3, POD2), srcPort: 8080, dstPort: 41000, seq: 0, ack: 1, flags: "S." }),
    build.udpFrame({ ...at(POD3, VIP), payload: 40 }),
    build.udpFrame({ ...at(POD2, POD3), payload: 40 }),
    build.tcpFrame({ ...at(POD2, REMOTE_POD), flags: "P.", payload: 3000 }),
    build.udpFrame({ ...at(POD2, REMOTE_POD), payload: 1422 }),
    build.udpFrame({ ...at(POD2, "203.0.113.9"), payload: 1500, dontFragment: false }),
    build.udpFrame({ ...at(POD2, "198.18.0.1"), payload: 9 }),
    build.echoFrame(at(POD2, "10.244.1.1")),
    build.echoFrame(at(POD2, CLIENT)),
    build.tcpFrame({ ...at(CLIENT, NODE), dstPort: 30080, flags: "S" }),
    build.udpFrame({ ...at(CLIENT, NODE), dstPort: 30053, payload: 30 }),
    build.icmpErrorFrame({ ...at(CLIENT, NODE), type: 3, code: 4, rest: 1400, about: toVip }),
    build.vxlanFrame({ ...at(PEER, NODE), inner: build.tcpFrame({ ...inner, flags: "S" }) }),
    build.vxlanFrame({ ...at(PEER, NODE), inner: build.udpFrame({ ...inner, payload: 50 }), checksum: true }),
    build.vxlanFrame({ ...at(PEER, NODE), inner: build.echoFrame(inner) }),
    build.arpFrame({ srcMac: macOf(POD2), senderIp: POD2, targetIp: "10.244.1.1" }),
    build.arpFrame({
      op: 2,
      dstMac: node.uplinkMac,
      srcMac: "02:00:00:00:00:64",
      senderIp: CLIENT,
      targetIp: NODE,
    }),
    fragment,
    ...sampleFrames(),
    ...dualStackSamples(),
  ];
}

/** A node of both families with services, for input that is wrong on purpose. */
export function createNode(options: TestNodeOptions): TestNode {
  const node = makeDualStack(new TestNode({ unchecked: true, poolSlots: 64, ...options }));
  node.setService({ name: "web6", clusterIp: VIP6, port: 80, endpoints: [`[${pod6(1, 3)}]:8080`] });
  node.setService({ name: "web", clusterIp: VIP, port: 80, nodePort: 30080, endpoints: [`${POD3}:8080`] });
  const dns = { protocol: 17, clusterIp: VIP, port: 53, nodePort: 30053 };
  node.setService({ name: "dns", ...dns, endpoints: [`${POD2}:53`, `${REMOTE_POD}:53`] });
  node.setService({ name: "empty", clusterIp: VIP, port: 81, endpoints: [] });
  return node;
}

/** Three of four arrive where their source address says; the rest anywhere. */
function portOf(node: TestNode, bytes: Uint8Array, random: Prng): string {
  const from = [...bytes.subarray(6, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  if (random.below(4) > 0) {
    if (from === macOf(POD2)) return "pod2";
    if (from === macOf(POD3)) return "pod3";
    if (from === node.uplinkMac) return "host";
    if (from.startsWith("02:")) return "uplink";
  }
  return random.pick(["pod2", "pod3", "host", "uplink"]);
}

/** The frame as a port may deliver it: sums repaired, left partial or as they are; a virtio header that may be any. */
export function dressed(bytes: Uint8Array, random: Prng): OffloadFrame {
  const frame = random.below(4) > 0 ? withChecksums(bytes) : bytes;
  const plain = { frame, virtio: new Uint8Array(10) };
  switch (random.below(8)) {
    case 0:
      return withPartialChecksum(frame) ?? plain;
    case 1:
      return withPartialChecksum(frame, 1 + random.below(200)) ?? plain;
    case 2:
      return {
        frame,
        virtio: Uint8Array.from({ length: 10 }, () => random.below(random.below(2) * 255 + 8)),
      };
    case 3:
      return { frame, virtio: fromHex("02000000000000000000") };
    default:
      return plain;
  }
}
