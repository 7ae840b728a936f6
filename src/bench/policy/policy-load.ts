// Policies of a large cluster: how long they take to compile and how much memory, and what one change costs until the
// plane works with it. The plane is the agent's: a worker of its own, without ports. Run with --expose-gc.
import { PolicyCompiler } from "../../compile/policy/policy-compiler.ts";
import { PolicyLayout } from "../../dataplane/change/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { loadNative } from "../../native/binding.ts";
import { PlaneHandle } from "../../plane/plane-handle.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import {
  ACROSS,
  AROUND,
  blockPolicyObject,
  OUTSIDE,
  podObject,
  policyCluster,
  policyObject,
} from "./policy-objects.ts";

const native = loadNative();
export const CLUSTER = { policies: 1000, pods: 10_000, classes: 500, nodes: 100 };
const NAMESPACES = CLUSTER.classes / 10;
const CHANGES = 101;

/** Times in ms; processor time of the thread in question where it says Cpu. */
export interface LoadResult {
  compileCpuMs: number;
  /** Longest time that compiling kept the main thread from anything else. */
  stepMs: number;
  stepCpuMs: number;
  memoryMiB: number;
  pod: ChangeResult;
  policy: ChangeResult;
  namespace: ChangeResult;
  /** One policy with a block that takes another's place: of outside, of all pods, and of fewer than half of them. */
  blockOutside: ChangeResult;
  blockAround: ChangeResult;
  blockAcross: ChangeResult;
  /** Longest time that packets would have waited for the load. */
  heldMs: number;
  heldCpuMs: number;
}

/** From the object to the plane that works with it: median and longest; and how much the main thread did, median. */
export interface ChangeResult {
  ms: number;
  longestMs: number;
  cpuMs: number;
  /** Longest time that packets would have waited for one of them. */
  heldMs: number;
  heldCpuMs: number;
}

class Control {
  readonly graph = new ObjectGraph();
  readonly compiler: PolicyCompiler;
  readonly layout = new PolicyLayout();
  readonly plane = startPlane();
  stepMs = 0;
  stepCpuMs = 0;

  constructor(nodeName: string | undefined) {
    this.compiler = new PolicyCompiler({ nodeName });
  }

  /** What changed, compiled as an agent does it, and in the plane. */
  async apply(): Promise<void> {
    const steps = this.#parts();
    for (;;) {
      const began = performance.now();
      const cpuBegan = native.threadCpuUs();
      const step = steps.next();
      this.stepMs = Math.max(this.stepMs, performance.now() - began);
      this.stepCpuMs = Math.max(this.stepCpuMs, (native.threadCpuUs() - cpuBegan) / 1000);
      if (step.done !== true) continue;
      if (step.value !== undefined) await this.plane.apply({ type: "policy", parts: step.value });
      return;
    }
  }

  *#parts() {
    const update = yield* this.compiler.steps(this.graph, this.graph.take());
    return update && (yield* this.layout.steps(update));
  }

  async changes(change: (i: number) => KubeObject): Promise<ChangeResult> {
    const times: number[] = [];
    const cpuTimes: number[] = [];
    this.plane.resetHeld();
    for (let i = 0; i < CHANGES; i++) {
      const object = change(i);
      const cpuBegan = native.threadCpuUs();
      const began = performance.now();
      this.graph.onEvent({ type: "MODIFIED", object });
      await this.apply();
      times.push(performance.now() - began);
      cpuTimes.push((native.threadCpuUs() - cpuBegan) / 1000);
      await new Promise((resolve) => setTimeout(resolve, 2)); // the plane is asleep when the next one comes
    }
    for (const list of [times, cpuTimes]) list.sort((a, b) => a - b);
    const { heldMs, heldCpuMs } = this.plane;
    return {
      ...{ ms: times[CHANGES >> 1], longestMs: times[CHANGES - 1], cpuMs: cpuTimes[CHANGES >> 1] },
      ...{ heldMs, heldCpuMs },
    };
  }
}

function startPlane(): PlaneHandle {
  return new PlaneHandle(native, {
    sizes: {
      ...{ conntrackLog2: 18, maxPorts: 256, fdbLog2: 13, neighborsLog2: 13, stationsLog2: 11 },
      ...{ frontendsLog2: 10, endpointsLog2: 10, policyRulesLog2: 14, poolSlots: 64, seed: 7 },
    },
    ...{ spinUs: 0, pauseUs: 0, cpuLatencyUs: -1, nice: 0 },
    onExit: (error) => {
      throw error;
    },
  });
}

function memoryMiB(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}

/** The policies of one node's pods, or those of every node's. */
export async function measureLoad(nodeName: string | undefined): Promise<LoadResult> {
  const objects = policyCluster(CLUSTER);
  const control = new Control(nodeName);
  await new Promise((resolve) => setTimeout(resolve, 300)); // the worker has started
  control.plane.resetHeld();
  for (const object of objects) control.graph.onEvent({ type: "ADDED", object });
  const before = memoryMiB();
  const began = native.threadCpuUs();
  await control.apply();
  const compileCpuMs = (native.threadCpuUs() - began) / 1000;
  const memory = memoryMiB() - before;
  const { stepMs, stepCpuMs } = control;
  const { heldMs, heldCpuMs } = control.plane;
  const { classes, nodes } = CLUSTER;
  const pod = await control.changes((i) =>
    podObject(i * 7, (i * 7) % classes, (i * 7) % nodes, { tier: `t${i % 3}` }),
  );
  // Another pod is selected, and another port is named.
  const policy = await control.changes((i) => ({
    ...policyObject(i * 9 + 1, i % NAMESPACES),
    metadata: policyObject(i % NAMESPACES, i % NAMESPACES).metadata,
  }));
  const namespace = await control.changes((i) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: `ns-${i % NAMESPACES}`, labels: { team: `team-${(i * 5) % 17}` } },
  }));
  const blocks = {
    blockOutside: await control.changes((i) => blockPolicyObject(OUTSIDE[i % 2])),
    blockAround: await control.changes((i) => blockPolicyObject(AROUND[i % 2])),
    blockAcross: await control.changes((i) => blockPolicyObject(ACROSS[i % 2])),
  };
  await control.plane.stop();
  return {
    ...{ compileCpuMs, stepMs, stepCpuMs, memoryMiB: memory, pod, policy, namespace, ...blocks },
    ...{ heldMs, heldCpuMs },
  };
}
