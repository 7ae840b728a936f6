// Policies of a large cluster: how long they take to compile and how much memory, what a change costs the thread that
// compiles, and what a new connection costs the one that asks. Times of compiling are processor time: what else runs on
// the machine does not count. Run with --expose-gc, or memory is not told.
import { PolicyCompiler } from "../../compile/policy/policy-compiler.ts";
import { nextPolicy, PolicyLayout } from "../../dataplane/change/policy.ts";
import { NO_ROW } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import * as hotLoop from "../hot-loop.ts";
import { podObject, policyCluster, policyObject } from "./policy-objects.ts";

const CLUSTER = { policies: 1000, pods: 10_000, classes: 500, nodes: 100 };
/** What has to hold for that cluster: whole, ms and MiB; one change, ms. */
const TARGETS = { compileMs: 3000, memoryMiB: 100, changeMs: 5 };
const CHANGES = 101;
const N = 1 << 16;
const V4_MAPPED = 0xffff;
const TCP = 6;
/** Minimum, ns, AMD EPYC, Node 20.20: address to identity to verdict. */
const RECORDED_NS = 25;

class Bench {
  readonly graph = new ObjectGraph();
  readonly compiler: PolicyCompiler;
  readonly layout = new PolicyLayout();
  table = new policy.Policy();

  constructor(objects: readonly KubeObject[], nodeName: string | undefined) {
    this.compiler = new PolicyCompiler(nodeName);
    for (const object of objects) this.graph.onEvent({ type: "ADDED", object });
  }

  update(): number {
    const changes = this.graph.take();
    const began = cpuMs();
    const update = this.compiler.update(this.graph, changes);
    if (update !== undefined) this.table = nextPolicy(this.table, this.layout.parts(update));
    return cpuMs() - began;
  }

  change(object: KubeObject): number {
    this.graph.onEvent({ type: "MODIFIED", object });
    return this.update();
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function memoryMiB(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}

/** A line, with what has to hold beside it. */
function tell(what: string, text: string, value: number, target: number): void {
  const isWorse = value > target;
  if (isWorse && process.argv.includes("--check")) process.exitCode = 1;
  console.log(`${what.padEnd(40)} ${text}, target ${target}${isWorse ? "  WORSE" : ""}`);
}

function compile(name: string, nodeName: string | undefined): Bench {
  const objects = policyCluster(CLUSTER);
  const before = memoryMiB();
  const bench = new Bench(objects, nodeName);
  const ms = bench.update();
  const mib = memoryMiB() - before;
  console.log(`${name}: ${JSON.stringify(bench.compiler.sizes)}`);
  tell("compile", `${ms.toFixed(0)} ms`, ms, TARGETS.compileMs);
  tell("memory", `${mib.toFixed(1)} MiB`, mib, TARGETS.memoryMiB);
  return bench;
}

function changes(what: string, change: (i: number) => number): void {
  const times = Array.from({ length: CHANGES }, (_, i) => change(i)).sort((a, b) => a - b);
  const median = times[CHANGES >> 1];
  tell(
    what,
    `median ${median.toFixed(2)} ms, longest ${times[CHANGES - 1].toFixed(1)}`,
    median,
    TARGETS.changeMs,
  );
}

function changeAll(bench: Bench): void {
  const { classes, nodes } = CLUSTER;
  const labelled = (i: number): KubeObject =>
    podObject(i * 7, (i * 7) % classes, (i * 7) % nodes, { tier: `t${i % 3}` });
  changes("one pod's label", (i) => bench.change(labelled(i)));
  // Another pod is selected, and another port is named.
  changes("one policy", (i) => bench.change({ ...policyObject(i * 9 + 1, i % 50), metadata: metadataOf(i) }));
  const namespace = (i: number): KubeObject => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: `ns-${i % 50}`, labels: { team: `team-${(i * 5) % 17}` } },
  });
  changes("one namespace's label", (i) => bench.change(namespace(i)));
}

function metadataOf(i: number): KubeObject["metadata"] {
  return policyObject(i % 50, i % 50).metadata;
}

function lookups({ table }: Bench): void {
  const words = new Int32Array(N);
  for (let i = 0; i < N; i++) words[i] = (10 << 24) | (128 << 16) | ((i * 7919) % CLUSTER.pods);
  const subjects = table.subjects.length >> 3;
  hotLoop.measure(
    "a direction of a new connection",
    N,
    () => {
      let sum = 0;
      for (let i = 0; i < N; i++) {
        const row = policy.ingressRow(table, i % subjects);
        if (row === NO_ROW) continue;
        const peer = policy.identityOf(table, 0, 0, V4_MAPPED, words[i]);
        sum ^= policy.decide(table, row, peer, TCP, (i & 1) === 0 ? 8080 : 443);
      }
      return sum;
    },
    RECORDED_NS,
  );
}

console.log(`${JSON.stringify(CLUSTER)}, node ${process.version}`);
changeAll(compile("pods of all nodes decided for", undefined));
const one = compile("of one node", "node-1");
changeAll(one);
lookups(one);
hotLoop.printSink();
