// Fuzz target `fast`: two clusters of two nodes get the same frames and the same changes of their tables; the planes of
// one take the fast path where they can, those of the other send every packet through all stages. Whatever leaves a node,
// and all that its tables and counters hold, has to be the same, byte for byte. Pods and clients answer what they get,
// so that connections live; frames gone wrong come in between. The second node's uplink is its kernel's, too. Target
// `workers` is the same with several engines on one set of tables, ports spread over them, against nodes that have a
// single one.
import { Event } from "../../dataplane/counters.ts";
import { RouteKind } from "../../dataplane/spec/routes.ts";
import { Scheduler } from "../../dataplane/spec/services.ts";
import * as rulesOf from "../../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as ipvsTimeouts from "../../dataplane/table/connection/ipvs-timeouts.ts";
import * as stationsOf from "../../dataplane/table/fdb.ts";
import { RecordRing } from "../../dataplane/trace/record-ring.ts";
import { Mode } from "../../dataplane/trace/watchers.ts";
import { toHex } from "../frames/bytes.ts";
import * as build from "../frames/frame-builder.ts";
import type { OffloadFrame } from "../frames/frame-offload.ts";
import { Prng } from "../prng.ts";
import { changeMesh } from "../world/meshed.ts";
import {
  FABRIC_MTU,
  macOf,
  macWords,
  nodeAddress,
  nodeRoutes,
  type ServiceOptions,
  uplinkMacOf,
  vtepMacOf,
} from "../world/test-cluster.ts";
import { CLIENT, pathTo, TestFabric } from "../world/test-fabric.ts";
import type { Received, TestNode } from "../world/test-node.ts";
import { answerTo } from "./fast-answers.ts";
import { dressed } from "./fuzz-pipeline.ts";

const VIP = "10.96.0.10";
const NODE_PORT = 30080;
const TIME_PORT = 123;
const TIME_NODE_PORT = 30123;
const SIZES = {
  ...{ conntrackLog2: 6, maxPorts: 8, fdbLog2: 6, neighborsLog2: 6, stationsLog2: 6 },
  ...{ frontendsLog2: 6, endpointsLog2: 6, policyRulesLog2: 4 },
};
const PORTS = ["pod2", "pod3", "host", "uplink"];
const WAITING_MAX = 12;
const SOME_FD = 99; // nothing is written to it: test devices have no descriptors

/** Of an uplink that is shared with the kernel: few, so that some are taken. */
const RESERVED = { min: 50_000, max: 50_015, avoidMin: 50_016, avoidMax: 50_015, always: 1 };

const LEARNED_SEC = 300;
/** Before anything is changed: connections live by then. */
const QUIET_ROUNDS = 40;

interface Delivery extends OffloadFrame {
  readonly node: number;
  readonly port: string;
}

export interface FastTargetOptions {
  /** Done to the nodes that are looked at, before the first frame: to plant a fault. */
  readonly spoil?: (node: TestNode) => void;
  /** So many engines a node against one; left out: with the fast path against without it. */
  readonly engines?: number;
  /** Told how many packets took the fast path so far. */
  readonly count?: (fast: number) => void;
}

/** Fresh clusters; each call delivers one frame, lets connections go on, and sometimes changes a table. */
export function createFastTarget(o: FastTargetOptions = {}): (frame: Uint8Array, random: Prng) => void {
  const isCrew = o.engines !== undefined;
  const both = [createFabric(isCrew, o.engines), createFabric(isCrew)];
  if (!isCrew) {
    for (const node of both[1].nodes) node.tables.scratch.fast.isOn = false;
    for (const node of both[0].nodes)
      Object.assign(node.tables.scratch.ahead, { fromConnections: 0, fromFrames: 1 });
  }
  for (const node of both[0].nodes) o.spoil?.(node);
  let waiting: Delivery[] = [];
  let rounds = 0;
  return (bytes, random) => {
    const deliveries = waiting;
    if (random.below(8) === 0)
      deliveries.push({ ...dressed(bytes, random), node: random.below(2), port: random.pick(PORTS) });
    if (deliveries.length < 3 || random.below(6) === 0) deliveries.push(opening(both[0], random));
    if (rounds++ > QUIET_ROUNDS && random.below(10) === 0) change(both, random, isCrew);
    if (random.below(20) === 0) for (const fabric of both) fabric.nodes.forEach(restore);
    const elapsedMs = random.below(30) === 0 ? random.below(200_000) : random.below(300);
    for (const fabric of both) {
      fabric.clock.advanceMs(elapsedMs);
      for (const { node, port, frame, virtio } of deliveries) fabric.nodes[node].send(port, frame, virtio);
      fabric.run();
    }
    const [got, wanted] = both.map(collect);
    compareFrames(got, wanted);
    for (const [i, node] of both[0].nodes.entries()) compareNodes(node, both[1].nodes[i], isCrew);
    waiting = answers(got, random);
    o.count?.(both[0].nodes.reduce((sum, node) => sum + node.counters.events[Event.FAST_PATH], 0));
  };
}

function createFabric(isCrew: boolean, engines?: number): TestFabric {
  const shared = engines === undefined ? {} : { engines };
  const fabric = new TestFabric({ unchecked: true, poolSlots: 48, summed: true, sizes: SIZES, ...shared });
  if (!isCrew) changeTunnel(fabric.nodes[0]);
  for (const { tables } of fabric.nodes[1].engines) {
    tables.config.router.shared = 1;
    Object.assign(tables.config.snat, RESERVED);
  }
  for (const node of fabric.nodes) {
    setServices(node, ["10.244.1.3", "10.244.2.2"]);
    const { expiresAtSec } = node.tables.fdb; // stations are learned, and grow old
    for (let slot = 0; slot < expiresAtSec.length; slot++)
      if (expiresAtSec[slot] !== 0) expiresAtSec[slot] = LEARNED_SEC;
    setDns(node, { endpoints: ["10.244.1.3:53"] });
    setTime(node, [CLIENT, node.address]);
  }
  return fabric;
}

function setServices(node: TestNode, pods: readonly string[]): void {
  const endpoints = pods.map((pod) => `${pod}:8080`);
  node.setService({ name: "web", clusterIp: VIP, port: 80, nodePort: NODE_PORT, endpoints });
}

function setDns(node: TestNode, o: Pick<ServiceOptions, "endpoints"> & Partial<ServiceOptions>): void {
  node.setService({ name: "dns", protocol: 17, clusterIp: VIP, port: 53, nodePort: NODE_PORT, ...o });
}

/** A service by UDP whose endpoints are no pods, and see who asks as far as answers come back then. */
function setTime(node: TestNode, addresses: readonly string[]): void {
  const endpoints = addresses.map((address) => `${address}:${TIME_PORT}`);
  const ports = { port: TIME_PORT, nodePort: TIME_NODE_PORT };
  node.setService({ name: "time", protocol: 17, clusterIp: VIP, ...ports, endpoints, masqueradeNone: true });
}

/** A frame that opens a connection, or goes on with one that nobody answered. */
function opening(fabric: TestFabric, random: Prng): Delivery {
  const node = random.below(2);
  const at = fabric.nodes[node];
  if (random.below(6) === 0)
    return { node, port: "uplink", frame: marked(at, random), virtio: new Uint8Array(10) };
  if (random.below(4) === 0) return { node, ...asksTime(at, random), virtio: new Uint8Array(10) };
  const [pod, peer] = [`10.244.${node + 1}.2`, `10.244.${2 - node}.3`];
  const [src, dst, port] = random.pick([
    [pod, VIP, "pod2"],
    [pod, `10.244.${node + 1}.3`, "pod2"],
    [pod, peer, "pod2"],
    [pod, CLIENT, "pod2"],
    [pod, at.address, "pod2"],
    [at.address, VIP, "host"],
    [at.address, `10.244.${node + 1}.3`, "host"],
    [CLIENT, at.address, "uplink"],
  ] as const);
  const srcPort = 41_000 + random.below(4);
  const isTcp = random.below(3) > 0;
  const dstPort = dst === at.address && src === CLIENT ? NODE_PORT : isTcp ? 80 : 53;
  const path = { ...pathTo(at, src, dst), srcPort, dstPort };
  const frame = isTcp
    ? build.tcpFrame({ ...path, flags: "S", seq: random.next() | 0, wscale: random.below(9) })
    : build.udpFrame({ ...path, payload: random.below(64), checksum: random.below(4) > 0 });
  return { node, port, frame, virtio: new Uint8Array(10) };
}

/** One that opens a flow by the service without pods: of a program of the node, or of the client by the node port. */
function asksTime(at: TestNode, random: Prng): Pick<Delivery, "port" | "frame"> {
  const srcPort = 42_000 + random.below(256);
  if (random.below(2) === 0)
    return {
      port: "host",
      frame: build.udpFrame({ ...pathTo(at, at.address, VIP), srcPort, dstPort: TIME_PORT }),
    };
  const path = pathTo(at, CLIENT, at.address);
  return { port: "uplink", frame: build.udpFrame({ ...path, srcPort, dstPort: TIME_NODE_PORT }) };
}

/** A datagram of the other node's pod in a tunnel packet, on which the fabric may have put a mark. */
function marked(node: TestNode, random: Prng): Uint8Array {
  const peer = 3 - node.index;
  const ends = { src: `10.244.${peer}.3`, dst: `10.244.${node.index}.2`, srcMac: vtepMacOf(peer) };
  const inner = build.udpFrame({ ...ends, dstMac: node.vtepMac, tos: random.below(4), payload: 20 });
  return build.vxlanFrame({ ...pathTo(node, nodeAddress(peer), node.address), inner, tos: random.below(4) });
}

type Got = Received & { readonly node: number; readonly port: string };

/** What reached pods, hosts and the client, and what crossed the switch. */
function collect(fabric: TestFabric): Got[] {
  const all: Got[] = fabric.nodes.flatMap((node, i) => node.everything().map((one) => ({ ...one, node: i })));
  for (const one of fabric.client.got.splice(0)) all.push({ ...one, node: 0, port: "uplink" });
  for (const one of fabric.crossed.splice(0)) all.push({ ...one, node: -1, port: "switch" });
  fabric.router.got.length = 0;
  return all;
}

function answers(got: readonly Got[], random: Prng): Delivery[] {
  const found: Delivery[] = [];
  for (const one of got) {
    if (one.node < 0 || found.length === WAITING_MAX || random.below(12) === 0) continue;
    const answer = answerTo(one.frame, random);
    if (answer === undefined) continue;
    found.push({ ...answer, node: one.node, port: one.port });
    if (random.below(3) === 0) found.push({ ...answer, node: one.node, port: one.port }); // the same once more
  }
  return found;
}

function compareFrames(got: readonly Got[], wanted: readonly Got[]): void {
  for (let i = 0; i < Math.max(got.length, wanted.length); i++) {
    const [a, b] = [got[i], wanted[i]].map(
      (one) => one && `node ${one.node} ${one.port} ${toHex(one.virtio)} ${toHex(one.frame)}`,
    );
    if (a !== b) throw new Error(`frame ${i}: ${a}\nof the twin, ${wanted[i]?.text}: ${b}`);
  }
}

/** All that two nodes hold, but for how often the fast path was taken where one does not take it. */
function compareNodes(got: TestNode, wanted: TestNode, isFastToo: boolean): void {
  const rest = isFastToo ? {} : { FAST_PATH: 0 };
  const told = (node: TestNode): string =>
    JSON.stringify([{ ...rest, ...node.events(), ...rest }, node.drops()]);
  if (told(got) !== told(wanted)) throw new Error(`counters: ${told(got)}, not ${told(wanted)}`);
  if (got.tables.walks.ipId !== wanted.tables.walks.ipId) throw new Error("identification of outer packets");
  const wantedParts = partsOf(wanted);
  for (const [name, words] of partsOf(got)) {
    if (got.engines.length > 1 && name === "fragments.arenaSlot") continue; // the pool begins elsewhere
    if (Buffer.compare(words, wantedParts.get(name) as Uint8Array) === 0) continue;
    const lists = [got, wanted].map((node) => node.connections().join("\n"));
    throw new Error(`${name} differs; connections:\n${lists.join("\nof the twin:\n")}`);
  }
}

/** Columns of all tables that packets fill, but for caches of what was looked up last; events are compared as text. */
function partsOf({ tables, counters }: TestNode): Map<string, Uint8Array> {
  const { conntrack: ct, connectionRules, policyHits, fdb, fabric, stations, fragments, icmpRate } = tables;
  const { hits, epHits } = tables.services;
  const { drops, ports } = counters;
  const all = {
    ct,
    ring: ct.events,
    connectionRules,
    policyHits,
    fdb,
    fabric,
    stations,
    fragments,
    icmpRate,
    services: { hits, epHits },
  };
  const found = new Map<string, Uint8Array>();
  for (const [table, of] of Object.entries({ ...all, counters: { drops, ports } })) {
    for (const [name, column] of Object.entries(of)) {
      if (name.startsWith("hint") || name === "memo" || !ArrayBuffer.isView(column)) continue;
      const { buffer, byteOffset, byteLength } = column;
      found.set(`${table}.${name}`, new Uint8Array(buffer, byteOffset, byteLength));
    }
  }
  return found;
}

/** Something of what control changes between two batches, or that happens to a node; the same on both sides. */
function change(both: readonly TestFabric[], random: Prng, isCrew: boolean): void {
  const which = random.below(2);
  const make = random.pick(CHANGES);
  if (make === changeTunnel && isCrew) return;
  const chance = random.next();
  for (const fabric of both) make(fabric.nodes[which], new Prng(chance));
}

/**
 * Superframes into the tunnel stay whole, or do so no longer. Of several engines each loses the device by itself, with
 * the superframe by which it notices, so that a crew and a single one differ for a while: they have no such device.
 */
function changeTunnel({ engines }: TestNode): void {
  for (const { ports } of engines) ports.tunnelFd = ports.tunnelFd < 0 ? SOME_FD : -1;
}

const CHANGES: readonly ((node: TestNode, random: Prng) => void)[] = [
  (node, random) =>
    setServices(
      node,
      random.pick([["10.244.1.3"], ["10.244.2.2"], ["10.244.1.3", "10.244.2.2"], [], [CLIENT]]),
    ),
  (node, random) =>
    setDns(
      node,
      random.pick([
        { endpoints: ["10.244.1.2:53", "10.244.1.3:53", "10.244.2.2:5353"] },
        { endpoints: ["10.244.1.3:53", "10.244.2.3:53"], affinitySec: 10 },
        { endpoints: ["10.244.1.3:53", "10.244.2.3:53"], scheduler: Scheduler.RR },
        { endpoints: ["10.244.1.3:53"], masqueradeAll: true },
        { endpoints: [] },
      ]),
    ),
  (node, random) => setTime(node, random.pick([[CLIENT], [node.address], [CLIENT, "10.244.1.3"], []])),
  ({ tables }) => {
    tables.config.snat.egress ^= 1;
  },
  (node, random) => {
    const mtu = 1300 + random.below(200);
    node.setRoutes(nodeRoutes(node.index, 2, true).map((route) => ({ ...route, mtu })));
  },
  (node) => node.setRoutes(nodeRoutes(node.index, 2, true)),
  (node) => node.setRoutes(nodeRoutes(node.index, 2, true).filter(({ kind }) => kind !== RouteKind.VTEP)),
  ({ tables }) => {
    tables.config.guard.antiSpoofing ^= 1;
  },
  ({ tables, engines }) => {
    tables.config.guard.policyRecheck ^= 1;
    for (const each of engines) each.tables.rulesKept = 1;
  },
  ({ tables: { connectionRules: rules, conntrack: ct, policy } }, random) => {
    for (let slot = 0; slot < ct.capacity; slot++) {
      const stale = random.below(6) === 0 ? 1 : 0;
      rulesOf.set(rules, slot, random.below(8), random.below(3) << 3, policy.epoch + stale);
    }
  },
  ({ tables }) => {
    tables.config.tunnel.keepClients ^= 1;
  },
  changeMesh,
  ({ tables }) => {
    tables.config.extra.resetRemoved ^= 1;
  },
  ({ tables }) => {
    tables.conntrack.header[conntrack.H_CHECKSUM] ^= 1;
  },
  ({ tables }, random) => {
    tables.conntrack.header[ipvsTimeouts.H_IPVS_SET] = random.below(2);
    tables.conntrack.header[ipvsTimeouts.H_IPVS_UDP] = random.below(100);
    tables.conntrack.header[ipvsTimeouts.H_IPVS_TCP] = random.below(1000);
  },
  ({ tables }) => {
    tables.conntrack.header[conntrack.H_EVENT_READERS] ^= 1;
  },
  ({ tables }, random) => {
    const slot = random.below(tables.conntrack.capacity);
    if (tables.conntrack.status[slot << 4] !== 0) conntrack.remove(tables.conntrack, slot);
  },
  ({ tables }, random) => {
    const port = random.below(tables.ports.count);
    tables.ports.active[port] ^= random.below(2);
    tables.ports.active[port] ||= random.below(2);
  },
  ({ tables }, random) => {
    tables.ports.mtu[tables.config.router.hostPort] = random.pick([1000, FABRIC_MTU]);
  },
  ({ tables }, random) => {
    tables.ports.joins[random.below(tables.ports.count)] ^= 1;
    tables.config.joining.withoutChecksum = random.below(2);
    tables.config.tunnel.bundle = random.below(4);
  },
  changeTunnel,
  (node) => node.send("uplink", movedNeighbor(node)),
  (node, random) => movePod(node, random.below(2) === 0 ? "pod3" : "pod2"),
  ({ tables, engines }) => {
    const isOn = tables.watchers.active === 0;
    const { memory } =
      tables.watchers.list[0].ring ?? new RecordRing(12, new SharedArrayBuffer(RecordRing.bytesFor(12)));
    for (const { watchers } of engines.map((each) => each.tables)) {
      const [one] = watchers.list;
      one.mode = isOn ? Mode.TRACE : Mode.OFF;
      one.remaining = -1;
      one.ring ??= new RecordRing(12, memory);
      watchers.active = isOn ? 1 : 0;
    }
  },
];

/** As it was in the beginning, or most packets would be left to the stages before long. */
function restore(node: TestNode): void {
  const { config, ports } = node.tables;
  config.guard.antiSpoofing = 1;
  config.guard.policyRecheck = 0;
  config.snat.egress = 1;
  config.tunnel.keepClients = 0;
  config.extra.resetRemoved = 0;
  for (const { watchers } of node.engines.map((each) => each.tables)) {
    watchers.active = 0;
    watchers.list[0].mode = Mode.OFF;
  }
  ports.active.fill(1, 0, ports.count);
  node.setRoutes(nodeRoutes(node.index, 2, true));
  setServices(node, ["10.244.1.3", "10.244.2.2"]);
  setDns(node, { endpoints: ["10.244.1.3:53", "10.244.2.3:53"] });
  setTime(node, [CLIENT, node.address]);
}

/** The other node's uplink has another card: an announcement says so. */
function movedNeighbor(node: TestNode): Uint8Array {
  const peer = nodeAddress(3 - node.index);
  const senderMac = node.clock.nowMs() % 2 === 0 ? uplinkMacOf(3 - node.index) : "02:00:00:00:00:77";
  return build.arpFrame({ senderIp: peer, senderMac, targetIp: peer });
}

/** The bridge takes a pod's station to be behind another port. */
function movePod(node: TestNode, port: string): void {
  const [hi, lo] = macWords(macOf(`10.244.${node.index}.3`));
  stationsOf.addStatic(node.tables.fdb, hi, lo, node.portId(port));
}
