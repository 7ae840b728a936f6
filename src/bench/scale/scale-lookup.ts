// What a packet costs among many services: the plane in memory, one pod that talks to services, an endpoint beside it.
// A thousand services are in use at a time (a node's pods do not talk to all of them), or any of them: then what grows
// is what the processor's caches do not hold, not the work.
import { setSeed } from "../../dataplane/change/conntrack.ts";
import * as serviceChange from "../../dataplane/change/services.ts";
import * as engine from "../../dataplane/engine.ts";
import { Conntrack, expireSlice, used } from "../../dataplane/table/connection/conntrack.ts";
import * as services from "../../dataplane/table/service/services.ts";
import { tryLoadNative } from "../../native/binding.ts";
import { setWord } from "../../testing/frames/adjust-sum.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { serviceSpec } from "../../testing/world/test-cluster.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import * as hotLoop from "../hot-loop.ts";
import { TemplateIo, VIRTIO } from "../template-io.ts";
import { dotted, serviceAddress } from "./scale-objects.ts";

const [CLIENT, ENDPOINT] = ["10.244.1.2", "10.244.1.3"];
const PACKETS = 1 << 14;
const ROUNDS = 15;
const IN_USE = 1000;
const SUM_AT = 24; // of an IPv4 frame
const DST_AT = 30;
const PORT_AT = 34;
const UDP_SUM_AT = 40;

export interface LookupResult {
  /** ns a packet, minimum of the rounds: new connections to services in use, to any, and an established one. */
  newNs: number;
  newAnyNs: number;
  establishedNs: number;
}

interface Bench {
  readonly node: TestNode;
  readonly io: TemplateIo;
}

function createBench(count: number, endpointsEach: number): Bench {
  const native = tryLoadNative();
  const conntrack = new Conntrack(17);
  setSeed(conntrack, hotLoop.SEED);
  const table = new services.Services(19, 19);
  const tables = { conntrack, services: table };
  const node = new TestNode({ tables, unchecked: true, ...(native && { offload: native }) });
  const endpoints = Array.from({ length: endpointsEach }, (_, k) => `${ENDPOINT}:${8080 + k}`);
  for (let i = 0; i < count; i++) {
    const clusterIp = dotted(serviceAddress(i));
    const spec = serviceSpec(i + 1, { name: `svc-${i}`, protocol: 17, port: 80, clusterIp, endpoints });
    serviceChange.update(table, { upsert: [spec], remove: [] });
  }
  const io = new TemplateIo();
  Object.assign(node.engine, { io });
  Object.assign(node.engine.tx, { io });
  for (const { id } of node.ports.values()) node.engine.ports.fd[id] = id;
  const target = dotted(serviceAddress(0));
  const frame = build.udpFrame({ ...pathTo(node, CLIENT, target), dstPort: 80, payload: 18 });
  io.template = Uint8Array.from([...new Uint8Array(VIRTIO), ...frame]);
  return { node, io };
}

/** Each packet to one of `count` services in random order, with another source port. */
function createVary(template: Uint8Array, count: number): NonNullable<TemplateIo["vary"]> {
  const random = hotLoop.createRandom(hotLoop.SEED);
  const word = (at: number): number => (template[VIRTIO + at] << 8) | template[VIRTIO + at + 1];
  const otherWords = [14, 16, 18, 20, 22, 26, 28].reduce((sum, at) => sum + word(at), 0);
  const targets = Int32Array.from({ length: PACKETS }, () => serviceAddress((random() >>> 1) % count));
  let next = 0;
  return (arena, frame) => {
    const target = targets[next & (PACKETS - 1)];
    setWord(arena, frame + DST_AT, target >>> 16, frame + UDP_SUM_AT);
    setWord(arena, frame + DST_AT + 2, target & 0xffff, frame + UDP_SUM_AT);
    let sum = otherWords + (target >>> 16) + (target & 0xffff);
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = ~((sum & 0xffff) + (sum >>> 16));
    arena[frame + SUM_AT] = sum >>> 8;
    arena[frame + SUM_AT + 1] = sum;
    setWord(arena, frame + PORT_AT, next, frame + UDP_SUM_AT);
    next = (next + 1) & (PACKETS - 1);
  };
}

/** Fastest of the rounds, ns a packet; connections are forgotten before each round, or kept. */
function measure({ node, io }: Bench, among: number, keep: boolean): number {
  io.vary = createVary(io.template, among);
  io.variesAddresses = true;
  const id = node.portId("pod2");
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    if (!keep) forgetConnections(node);
    io.left = PACKETS;
    const began = performance.now();
    while (io.left > 0) engine.pollPort(node.engine, id);
    if (round > 1) best = Math.min(best, ((performance.now() - began) * 1e6) / PACKETS);
  }
  const drops = JSON.stringify(node.drops());
  if (drops !== "{}") throw new Error(`packets were dropped: ${drops}`);
  return best;
}

function forgetConnections(node: TestNode): void {
  const ct = node.tables.conntrack;
  while (used(ct) > 0) expireSlice(ct, 1 << 16, node.engine.nowSec + 100_000);
}

export function measureLookup(count: number, endpointsEach: number): LookupResult {
  const bench = createBench(count, endpointsEach);
  const inUse = Math.min(IN_USE, count);
  measure(bench, inUse, false); // warm
  return {
    newNs: measure(bench, inUse, false),
    newAnyNs: measure(bench, count, false),
    establishedNs: measure(bench, inUse, true),
  };
}
