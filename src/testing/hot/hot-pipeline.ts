// Hot subject of the plane: a node whose ports are fed from templates through the engine's batch path (fd >= 0), as the
// addon would feed them: established services, bridging, VXLAN both ways, NAT back, superframes, the node's own stack.

import * as engine from "../../dataplane/engine.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import * as build from "../frames/frame-builder.ts";
import { type OffloadFrame, withPartialChecksum } from "../frames/frame-offload.ts";
import { macWords, uplinkMacOf, vtepMacOf, words } from "../world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../world/test-fabric.ts";
import { TestNode } from "../world/test-node.ts";
import type { HotSubject } from "./hot-subject.ts";
import { TemplateIo } from "./template-io.ts";

const [POD2, POD3, REMOTE_POD] = ["10.244.1.2", "10.244.1.3", "10.244.2.2"];
const [VIP, NODE, PEER] = ["10.96.0.10", "192.168.50.11", "192.168.50.12"];
const VNET_BYTES = 10;

/** What each port delivers in one batch. */
export type Traffic = Readonly<Record<string, readonly OffloadFrame[]>>;

export function createPipelineSubject(): HotSubject {
  const node = createNode();
  return subjectOf(node, createTraffic(node));
}

/** The subject that this node makes of this traffic. */
export function subjectOf(node: TestNode, traffic: Traffic): HotSubject {
  const ports = Object.keys(traffic);
  const io = new TemplateIo(new Map(ports.map((name) => [node.portId(name), traffic[name]])));
  Object.assign(node.engine, { io });
  Object.assign(node.engine.tx, { io });
  for (const { id } of node.ports.values()) node.engine.ports.fd[id] = id;
  const ids = Int32Array.from(ports, (name) => node.portId(name));
  let nowMs = node.clock.nowMs();
  let runs = 0;
  const run = (): void => {
    runs++;
    engine.setClock(node.engine, ++nowMs);
    engine.tick(node.engine);
    for (let i = 0; i < ids.length; i++) engine.pollPort(node.engine, ids[i]);
  };
  // Frames that are dropped early would measure nothing: every template must have come out every time.
  const check = (): void => {
    const drops = JSON.stringify(node.drops());
    if (drops !== "{}" || io.sent < runs * io.frames) {
      throw new Error(`${io.sent} frames came out of ${runs * io.frames}: ${drops}`);
    }
  };
  node.takeDrops();
  return { units: io.frames, run, check };
}

/** With its neighbours known and the connections of `createTraffic` opened. */
function createNode(): TestNode {
  const node = new TestNode({ unchecked: true });
  node.setService({ name: "web", clusterIp: VIP, port: 80, nodePort: 30080, endpoints: [`${POD3}:8080`] });
  const dns = { protocol: 17, clusterIp: VIP, port: 53 };
  node.setService({ name: "dns", ...dns, endpoints: [`${REMOTE_POD}:53`] });
  addNeighbor(node, PEER, uplinkMacOf(2));
  addNeighbor(node, CLIENT, CLIENT_MAC);
  for (const [src, dst] of [
    [POD2, VIP],
    [CLIENT, NODE],
  ] as const)
    handshake(node, src, dst);
  node.everything();
  return node;
}

/** For good: nobody here answers a probe. */
export function addNeighbor(node: TestNode, address: string, mac: string): void {
  const { w0, w1, w2, w3 } = words(address);
  const [hi, lo] = macWords(mac);
  neighbor.addPermanent(node.tables.fabric, w0, w1, w2, w3, hi, lo, node.portId("uplink"));
}

/** SYN, SYN-ACK, ACK of a connection to the web service, through its ClusterIP or its node port. */
function handshake(node: TestNode, src: string, dst: string): void {
  const [from, dstPort] = src === CLIENT ? ["uplink", 30080] : ["pod2", 80];
  const ends = { ...pathTo(node, src, dst), dstPort: Number(dstPort) };
  node.everything();
  const syn = node.through(`${from}`, build.tcpFrame({ ...ends, seq: 99, flags: "S", mss: 1400 }));
  const view = new DataView(syn.frame.buffer, syn.frame.byteOffset);
  const asSeen = { src: [...syn.frame.subarray(26, 30)].join("."), port: view.getUint16(34) };
  const back = { ...pathTo(node, POD3, asSeen.src), srcPort: 8080, dstPort: asSeen.port };
  node.through("pod3", build.tcpFrame({ ...back, seq: 499, ack: 100, flags: "S.", mss: 1400 }));
  node.through(`${from}`, build.tcpFrame({ ...ends, seq: 100, ack: 500 }));
}

function createTraffic(node: TestNode): Traffic {
  const at = (src: string, dst: string) => pathTo(node, src, dst);
  const data = { seq: 100, ack: 500, flags: "P." };
  const inner = { src: REMOTE_POD, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const answer = build.udpFrame({ ...inner, srcPort: 53, dstPort: 41000, payload: 80 });
  return {
    pod2: [
      plain(build.tcpFrame({ ...at(POD2, VIP), ...data, payload: 512 })),
      superframe(build.tcpFrame({ ...at(POD2, VIP), ...data, payload: 14_000 }), 1400),
      plain(build.udpFrame({ ...at(POD2, POD3), payload: 64 })),
      plain(build.udpFrame({ ...at(POD2, VIP), payload: 40 })),
      superframe(build.tcpFrame({ ...at(POD2, REMOTE_POD), flags: ".", payload: 14_000 }), 1398),
      plain(build.echoFrame(at(POD2, CLIENT))),
      partial(build.udpFrame({ ...at(POD2, REMOTE_POD), srcPort: 5000, dstPort: 9, payload: 700 })),
    ],
    pod3: [plain(build.udpFrame({ ...at(POD3, POD2), srcPort: 53, dstPort: 41000, payload: 64 }))],
    host: [plain(build.udpFrame({ ...at(NODE, POD2), srcPort: 700, dstPort: 701, payload: 10 }))],
    uplink: [
      plain(build.tcpFrame({ ...at(CLIENT, NODE), ...data, dstPort: 30080, payload: 100 })),
      plain(build.vxlanFrame({ ...at(PEER, NODE), inner: answer })),
      plain(build.vxlanFrame({ ...at(PEER, NODE), inner: build.echoFrame(inner) })),
    ],
  };
}

export function plain(frame: Uint8Array): OffloadFrame {
  return { frame, virtio: new Uint8Array(VNET_BYTES) };
}

function partial(frame: Uint8Array): OffloadFrame {
  return withPartialChecksum(frame) ?? plain(frame);
}

export function superframe(frame: Uint8Array, gsoSize: number): OffloadFrame {
  return withPartialChecksum(frame, gsoSize) ?? plain(frame);
}
