// What policies cost a packet: three planes in one process, with none, with ten and with ten thousand policies, in turn,
// so that whatever else the machine does meets all of them. The same packet, from a pod to a Service whose endpoint is
// another pod; where there are policies, both pods are isolated and rules let it pass. And how soon a policy cuts.
import { setFlagsFromString } from "node:v8";
import { setSeed } from "../../dataplane/change/conntrack.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import * as engine from "../../dataplane/engine.ts";
import { Conntrack, expireSlice, used } from "../../dataplane/table/connection/conntrack.ts";
import { loadNative } from "../../native/binding.ts";
import { V8_FLAGS } from "../../plane/v8-flags.ts";
import { setWord } from "../../testing/frames/adjust-sum.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { testPod, testPolicy } from "../../testing/world/policy-world.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { TestPolicies } from "../../testing/world/test-policies.ts";
import * as hotLoop from "../hot-loop.ts";
import { TemplateIo, VIRTIO } from "../template-io.ts";
import { policyCluster } from "./policy-objects.ts";

const [CLIENT, SERVER, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];
for (const flag of V8_FLAGS) setFlagsFromString(flag);
const native = loadNative();
const PACKETS = 1 << 14;
const ROUNDS = 61;
const WARM = 10;
const PORT_AT = 34; // of a UDP frame without IP options
const UDP_SUM_AT = 40;
const SERVER_PORT = 5353;
const CUTS = 21;
/** By how many policies there are. */
export const SIZES = [0, 10, 10_000] as const;

export interface PacketResult {
  /** ns a packet, medians: the first of a connection and a known one's, by SIZES; then what is more than without. */
  first: readonly number[];
  known: readonly number[];
  firstMore: readonly number[];
  knownMore: readonly number[];
  /** Until a known connection's packet is dropped, from the policy's object on: median and longest, ms. */
  cutMs: readonly [number, number];
}

interface Bench {
  readonly node: TestNode;
  readonly io: TemplateIo;
  readonly policies: TestPolicies;
}

function createBench(count: number): Bench {
  const conntrack = new Conntrack(17);
  setSeed(conntrack, hotLoop.SEED);
  const node = new TestNode({ tables: { conntrack }, unchecked: true, offload: native });
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, endpoints: [`${SERVER}:${SERVER_PORT}`] });
  const policies = new TestPolicies(node);
  policies.become(objectsOf(count));
  const io = new TemplateIo();
  Object.assign(node.engine, { io });
  Object.assign(node.engine.tx, { io });
  for (const { id } of node.ports.values()) node.engine.ports.fd[id] = id;
  const frame = build.udpFrame({ ...pathTo(node, CLIENT, VIP), dstPort: 80, payload: 18 });
  io.template = Uint8Array.from([...new Uint8Array(VIRTIO), ...frame]);
  return { node, io, policies };
}

const CLUSTER = { pods: 10_000, classes: 500, nodes: 100 };
const OWN = 10; // policies that select the two pods

/** The two pods, whom ten policies select, among so many policies. */
function objectsOf(count: number): object[] {
  const pods = [
    testPod({ name: "client", ips: [CLIENT] }),
    testPod({ name: "server", ips: [SERVER], ports: [`dns=${SERVER_PORT}/UDP`] }),
  ];
  if (count === 0) return pods;
  const own = Array.from({ length: OWN / 2 }, (_, i) => [
    testPolicy(`in-${i}`, {
      podSelector: { matchLabels: { app: "server" } },
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: { app: i === 3 ? "client" : `other-${i}` } } }],
          ports: [{ protocol: "UDP", port: "dns" }],
        },
        { from: [{ namespaceSelector: {} }], ports: [{ port: 80 + i, endPort: 90 + i }] },
      ],
    }),
    testPolicy(`out-${i}`, {
      podSelector: { matchLabels: { app: "client" } },
      policyTypes: ["Egress"],
      egress: [{ ports: [{ protocol: "UDP", port: 5000 + i, endPort: 5000 + 300 * i }] }],
    }),
  ]).flat();
  const others = count === OWN ? [] : policyCluster({ ...CLUSTER, policies: count - OWN });
  return [...others.filter(({ kind }) => kind !== "Node"), ...pods, ...own];
}

/** Another source port for each packet of a round. */
function createFreshPorts(): (arena: Uint8Array, frame: number) => void {
  let next = 0;
  return (arena, frame) => {
    next = (next + 1) & (PACKETS - 1);
    setWord(arena, frame + PORT_AT, 1024 + next, frame + UDP_SUM_AT);
  };
}

/** ns of processor time a packet: what else runs on the machine counts for less. */
function round({ node, io }: Bench): number {
  const id = node.portId("pod2");
  io.left = PACKETS;
  const began = native.threadCpuUs();
  while (io.left > 0) engine.pollPort(node.engine, id);
  return (1000 * (native.threadCpuUs() - began)) / PACKETS;
}

function forgetConnections({ tables, engine: { nowSec } }: TestNode): void {
  while (used(tables.conntrack) > 0) expireSlice(tables.conntrack, 1 << 16, nowSec + 100_000);
}

/** Rounds of each bench in turn, each time another one first. */
function alternate(benches: readonly Bench[], keeps: boolean): number[][] {
  const found: number[][] = benches.map(() => []);
  for (let n = 0; n < ROUNDS; n++) {
    for (let k = 0; k < benches.length; k++) {
      const i = (n + k) % benches.length;
      if (!keeps) forgetConnections(benches[i].node);
      const ns = round(benches[i]);
      if (n >= WARM) found[i].push(ns);
    }
  }
  return found;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

export function measurePackets(): PacketResult {
  const benches = SIZES.map(createBench);
  for (const { io } of benches) io.vary = createFreshPorts();
  const first = alternate(benches, false);
  for (const { io } of benches) io.vary = null;
  const known = alternate(benches, true);
  for (const { node } of benches) {
    const drops = JSON.stringify(node.drops());
    if (drops !== "{}") throw new Error(`packets were dropped: ${drops}`);
  }
  const more = (rounds: readonly number[][]): number[] =>
    rounds.slice(1).map((each) => median(each.map((ns, i) => ns - rounds[0][i])));
  return {
    ...{ first: first.map(median), known: known.map(median) },
    ...{ firstMore: more(first), knownMore: more(known) },
    cutMs: measureCuts(benches[benches.length - 1]),
  };
}

/** A policy that forbids what a connection does comes, and goes again. */
function measureCuts(bench: Bench): [number, number] {
  const { node, policies, io } = bench;
  node.tables.config.guard.policyRecheck = 1;
  const objects = objectsOf(SIZES[SIZES.length - 1]);
  const forbidding = objects.filter((object) => nameOf(object) !== "in-3");
  const { drops } = node.counters;
  const id = node.portId("pod2");
  const times: number[] = [];
  for (let i = 0; i < CUTS; i++) {
    policies.become(objects);
    io.left = 1;
    engine.pollPort(node.engine, id);
    const before = drops[DropReason.POLICY_DENY];
    const { beganMs } = policies.become(forbidding);
    io.left = 1;
    engine.pollPort(node.engine, id);
    times.push(performance.now() - beganMs);
    if (drops[DropReason.POLICY_DENY] !== before + 1) throw new Error("the connection was not cut");
  }
  times.sort((a, b) => a - b);
  return [median(times), times[CUTS - 1]];
}

function nameOf(object: object): string {
  return (object as { metadata: { name: string } }).metadata.name;
}
