// The plane in memory, without a kernel: ns per packet through engine and pipeline for what a node does most.
// The port is a loop that copies a template into the arena, batch by batch, as a read would; "copy alone" is
// what that costs; the sums of frames, which the addon makes as it reads them, were made beforehand. The budget for a
// 64-byte packet of an established service connection is 150 ns.

import { setFlagsFromString } from "node:v8";
import { setSeed } from "../dataplane/change/conntrack.ts";
import { DropReason } from "../dataplane/drop-reason.ts";
import * as engine from "../dataplane/engine.ts";
import { BATCH } from "../dataplane/engine.ts";
import { Conntrack, expireSlice, used } from "../dataplane/table/connection/conntrack.ts";
import { tryLoadNative } from "../native/binding.ts";
import { V8_FLAGS } from "../plane/v8-flags.ts";
import { setWord } from "../testing/frames/adjust-sum.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { partialFrame, superframe, type VirtioFrame } from "../testing/frames/virtio-frames.ts";
import { uplinkMacOf, vtepMacOf } from "../testing/world/test-cluster.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import * as hotLoop from "./hot-loop.ts";
import {
  CONNECTIONS_MAX,
  createTurns,
  openMany,
  packetOfMany,
  serveMany,
  type Transport,
} from "./many-connections.ts";
import { TemplateIo, VIRTIO } from "./template-io.ts";

const [POD2, POD3, REMOTE, VIP] = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "10.96.0.10"];
const [NODE, PEER] = ["192.168.50.11", "192.168.50.12"];
const PACKETS = 1 << 15;
const SUPERFRAMES = 1 << 9;
const FLOWS = 50_000;
const PORT_AT = 34; // of a TCP or UDP frame without IP options
const UDP_SUM_AT = 40;
const TCP_SUM_AT = 50;
const WINDOW_AT = 48;
const ID_AT = 18;
const SOURCE_AT = 26;
const FORGED_ID = 0x8efe; // with the lower half of 203.0.113.1 it makes 0xffff
const NODE_PORT = 30_080;
const FORGED = 70_000; // more than there are source ports to masquerade with
/** Minimum of several runs, ns, AMD EPYC, Node 20.20, on a machine that was busy: ratios hold, figures do not. */
const RECORDED: Record<string, number> = {
  "copy alone, 64 bytes": 15,
  "bridged, 64 bytes": 112,
  "ClusterIP, one connection, 64 bytes": 192,
  "ClusterIP, UDP, 1400 bytes": 198,
  "ClusterIP, partial checksum": 205,
  "ClusterIP, 50000 connections": 230,
  "ClusterIP, udp, one of 10000 connections": 259,
  "ClusterIP, udp, one of 1000000 connections": 318,
  "ClusterIP, tcp, one of 10000 connections": 295,
  "ClusterIP, tcp, one of 1000000 connections": 369,
  "ClusterIP, a new connection each, and its expiry": 670,
  "a forged SYN each, every source port taken": 1_900,
  "answer of an endpoint, bridged and un-translated": 163,
  "into VXLAN, 64 bytes": 230,
  "out of VXLAN, 64 bytes": 260,
  "bridged, superframe of 60 KB": 2_800,
  "into VXLAN, superframe of 60 KB": 7_600,
  "out of VXLAN, superframe of 60 KB": 8_100,
};

for (const flag of V8_FLAGS) setFlagsFromString(flag);

interface Bench {
  readonly node: TestNode;
  readonly io: TemplateIo;
}

/** A node with a service and its neighbours, its ports from then on fed by templates. */
function createBench(conntrackLog2 = 17): Bench {
  const native = tryLoadNative();
  const conntrack = new Conntrack(conntrackLog2);
  setSeed(conntrack, hotLoop.SEED);
  const node = new TestNode({ tables: { conntrack }, unchecked: true, ...(native && { offload: native }) });
  const endpoints = [`${POD3}:8080`];
  node.setService({ name: "web", clusterIp: VIP, nodePort: NODE_PORT, endpoints });
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${POD3}:5353`] });
  node.send("uplink", build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: NODE }));
  node.run();
  node.everything();
  for (const [from, src, dst, flags] of [
    ["pod2", POD2, VIP, "S"],
    ["pod3", POD3, POD2, "S."],
    ["pod2", POD2, VIP, "."],
  ]) {
    const ports = flags === "S." ? { srcPort: 8080, dstPort: 41000 } : {};
    const numbers = { seq: flags === "." ? 1 : 0, ack: flags === "S" ? 0 : 1 };
    node.through(from, build.tcpFrame({ ...pathTo(node, src, dst), flags, ...ports, ...numbers }));
  }
  const io = new TemplateIo();
  Object.assign(node.engine, { io });
  Object.assign(node.engine.tx, { io });
  for (const { id } of node.ports.values()) node.engine.ports.fd[id] = id;
  return { node, io };
}

function plain(frame: Uint8Array): VirtioFrame {
  return { frame, virtio: new Uint8Array(VIRTIO) };
}

interface Case {
  readonly name: string;
  readonly port: string;
  readonly packets?: number;
  readonly frame: (node: TestNode) => VirtioFrame;
  readonly vary?: TemplateIo["vary"];
  /** Runs after each round, inside the time taken. */
  readonly after?: (node: TestNode) => void;
  /** Of the connection table, where it is not 17. */
  readonly conntrackLog2?: number;
  /** Runs once before. */
  readonly before?: (bench: Bench, id: number) => void;
}

function measure(c: Case): void {
  const bench = createBench(c.conntrackLog2);
  const { node, io } = bench;
  const id = node.portId(c.port);
  const { frame, virtio } = c.frame(node);
  const feed = (): void => {
    io.template = Uint8Array.from([...virtio, ...frame]);
    io.vary = c.vary ?? null;
  };
  feed();
  c.before?.(bench, id);
  feed();
  const packets = c.packets ?? PACKETS;
  hotLoop.measure(
    c.name,
    packets,
    () => {
      poll(bench, id, packets);
      c.after?.(node);
      return io.sent;
    },
    RECORDED[c.name] ?? 0,
  );
  const drops = JSON.stringify(node.drops());
  if (drops !== "{}")
    throw new Error(`${c.name}: ${drops} ${node.counters.drops[DropReason.INTERNAL_ERROR]}`);
}

/** What the port itself costs: the template copied into each slot of a batch. */
function measureCopy(): void {
  const { node, io } = createBench();
  io.template = Uint8Array.from([...new Uint8Array(VIRTIO), ...toVip(node)]);
  const { tables, rxOffs, rxLens, rxSums } = node.engine;
  const name = "copy alone, 64 bytes";
  hotLoop.measure(
    name,
    PACKETS,
    () => {
      io.left = PACKETS;
      while (io.left > 0) io.receive(0, 0, tables.arena, rxOffs, rxLens, 0, BATCH, 0, 0, rxSums, 14);
      return rxLens[0];
    },
    RECORDED[name] ?? 0,
  );
}

function poll({ node, io }: Bench, id: number, packets: number): void {
  io.left = packets;
  while (io.left > 0) engine.pollPort(node.engine, id);
}

/** Source ports in an order that no cache foresees. */
function createPortOrder(): (arena: Uint8Array, frame: number) => void {
  const random = hotLoop.createRandom(hotLoop.SEED);
  const ports = Uint16Array.from({ length: FLOWS }, (_, i) => 10_000 + i);
  for (let i = FLOWS - 1; i > 0; i--) {
    const k = (random() >>> 0) % (i + 1);
    [ports[i], ports[k]] = [ports[k], ports[i]];
  }
  let next = 0;
  return (arena, frame) => {
    const port = ports[next];
    next = next + 1 === FLOWS ? 0 : next + 1;
    setWord(arena, frame + PORT_AT, port, frame + UDP_SUM_AT);
  };
}

/** Another source port for each packet. */
function createFreshPorts(): (arena: Uint8Array, frame: number) => void {
  let port = 0;
  return (arena, frame) => {
    port = (port + 1) & 0xffff;
    setWord(arena, frame + PORT_AT, port, frame + UDP_SUM_AT);
  };
}

/** Another window in each segment, or they would be the same acknowledgement over and over. */
function createWindows(): (arena: Uint8Array, frame: number) => void {
  let low = 0;
  return (arena, frame) => {
    low = (low + 1) & 0xff;
    setWord(arena, frame + WINDOW_AT, (arena[frame + WINDOW_AT] << 8) | low, frame + TCP_SUM_AT);
  };
}

/** Another sender in each segment; the identification goes the other way, so that the header's sum stays right. */
function createSources(): (arena: Uint8Array, frame: number) => void {
  let sender = 0;
  return (arena, frame) => {
    sender++;
    setWord(arena, frame + SOURCE_AT + 2, sender & 0xffff, frame + TCP_SUM_AT);
    arena[frame + ID_AT] = ~(sender >>> 8);
    arena[frame + ID_AT + 1] = ~sender;
    setWord(arena, frame + PORT_AT, ((sender >>> 16) << 8) | arena[frame + PORT_AT + 1], frame + TCP_SUM_AT);
  };
}

function expireAll(node: TestNode): void {
  const ct = node.tables.conntrack;
  const later = node.engine.nowSec + 1000;
  while (used(ct) > 1) expireSlice(ct, 1 << 16, later);
}

const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
const toVip = (node: TestNode): Uint8Array =>
  build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: ".", seq: 1, ack: 1, payload: 10 });
const query = (node: TestNode): Uint8Array => build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 18 });
const data = (node: TestNode): Uint8Array =>
  build.tcpFrame({ ...pathTo(node, POD2, REMOTE), flags: ".", payload: 60_000 });

/** What the other node sends for a superframe of its pod. */
function tunnelled(): VirtioFrame {
  const peer = new TestNode({ index: 2, unchecked: true });
  peer.send("uplink", build.arpFrame({ senderIp: NODE, senderMac: uplinkMacOf(1), targetIp: PEER }));
  peer.run();
  peer.everything();
  const plainFrame = build.tcpFrame({ ...pathTo(peer, REMOTE, POD2), flags: ".", payload: 60_000 });
  const { frame, virtio } = superframe(plainFrame, 1398);
  return peer.through("pod2", frame, virtio);
}

/** Established connections in turn, of a table with room for a million. */
function amongMany(transport: Transport, count: number): Case {
  return {
    name: `ClusterIP, ${transport}, one of ${count} connections`,
    port: "pod2",
    conntrackLog2: 20,
    frame: (node) => plain(packetOfMany(node, transport)),
    vary: createTurns(transport, count, hotLoop.createRandom(hotLoop.SEED)),
    before: ({ node, io }) => {
      serveMany(node, transport);
      openMany(node, io, transport, count);
    },
  };
}

const cases: Case[] = [
  {
    name: "bridged, 64 bytes",
    port: "pod2",
    frame: (node) => plain(build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 18 })),
  },
  {
    name: "ClusterIP, one connection, 64 bytes",
    port: "pod2",
    frame: (node) => plain(toVip(node)),
    vary: createWindows(),
  },
  {
    name: "ClusterIP, UDP, 1400 bytes",
    port: "pod2",
    frame: (node) => plain(build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 1400 - 42 })),
  },
  {
    name: "ClusterIP, partial checksum",
    port: "pod2",
    frame: (node) => partialFrame(toVip(node)),
    vary: createWindows(),
  },
  {
    name: `ClusterIP, ${FLOWS} connections`,
    port: "pod2",
    frame: (node) => plain(query(node)),
    vary: createPortOrder(),
    before: (bench, id) => poll(bench, id, FLOWS),
  },
  amongMany("udp", 10_000),
  amongMany("udp", CONNECTIONS_MAX),
  amongMany("tcp", 10_000),
  amongMany("tcp", CONNECTIONS_MAX),
  {
    name: "ClusterIP, a new connection each, and its expiry",
    port: "pod2",
    frame: (node) => plain(query(node)),
    vary: createFreshPorts(),
    after: expireAll,
  },
  {
    name: "a forged SYN each, every source port taken",
    port: "uplink",
    frame: (node) =>
      plain(
        build.tcpFrame({
          ...{ ...pathTo(node, "203.0.113.1", NODE), dstPort: NODE_PORT, flags: "S", id: FORGED_ID },
        }),
      ),
    vary: createSources(),
    before: (bench, id) => poll(bench, id, FORGED),
  },
  {
    name: "answer of an endpoint, bridged and un-translated",
    port: "pod3",
    frame: (node) =>
      plain(
        build.tcpFrame({
          ...{ ...pathTo(node, POD3, POD2), srcPort: 8080, dstPort: 41000, flags: ".", seq: 1, ack: 1 },
        }),
      ),
    vary: createWindows(),
  },
  {
    name: "into VXLAN, 64 bytes",
    port: "pod2",
    frame: (node) => plain(build.udpFrame({ ...pathTo(node, POD2, REMOTE), payload: 18 })),
  },
  {
    name: "out of VXLAN, 64 bytes",
    port: "uplink",
    frame: (node) =>
      plain(
        build.vxlanFrame({ ...pathTo(node, PEER, NODE), inner: build.udpFrame({ ...inner, payload: 18 }) }),
      ),
  },
  {
    name: "bridged, superframe of 60 KB",
    port: "pod2",
    packets: SUPERFRAMES,
    frame: (node) =>
      superframe(build.tcpFrame({ ...pathTo(node, POD2, POD3), flags: ".", payload: 60_000 }), 1398),
  },
  {
    name: "into VXLAN, superframe of 60 KB",
    port: "pod2",
    packets: SUPERFRAMES,
    frame: (node) => superframe(data(node), 1398),
  },
  { name: "out of VXLAN, superframe of 60 KB", port: "uplink", packets: SUPERFRAMES, frame: tunnelled },
];

hotLoop.printHeader("pipeline");
console.log(`offload: ${tryLoadNative() === undefined ? "TypeScript" : "addon"}; batches of ${BATCH}`);
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));
if (wanted.length === 0) measureCopy();
for (const c of cases) if (wanted.length === 0 || wanted.some((word) => c.name.includes(word))) measure(c);
hotLoop.printSink();
