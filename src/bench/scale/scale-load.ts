// How long a cluster of services takes from text to the plane's tables, and one changed slice of it. The plane is the
// agent's: a worker of its own, without ports.

import { cidr } from "../../base/ip.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { EndpointSlice } from "../../kube/objects.ts";
import { loadNative } from "../../native/binding.ts";
import { offlineConfig } from "../../offline/offline-config.ts";
import { MANY_SERVICES, NodeMessages } from "../../plane/node-messages.ts";
import { PlaneHandle } from "../../plane/plane-handle.ts";
import { collectYoung } from "../../plane/warm-up.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import { CLUSTER_CIDR, clusterText, NODE, replaceEndpoint, SPARE_FROM } from "./scale-objects.ts";

const native = loadNative();
const UPDATES = 100;
const SERVICES_LOG2 = 19; // the agent's
const PORTS = { uplink: 0, host: 1, mtu: 1500 };

export interface LoadResult {
  parseMs: number;
  compileMs: number;
  /** Longest time that compiling kept the main thread from anything else. */
  compileStepMs: number;
  tableMs: number;
  updateMedianMs: number;
  updateMaxMs: number;
  /** Longest time that packets would have waited for the load, and for an update; processor time too. */
  loadHeldMs: number;
  loadHeldCpuMs: number;
  updateHeldMs: number;
  updateHeldCpuMs: number;
  /** Processor time of the main thread from text to messages. */
  mainCpuMs: number;
  residentMb: number;
}

class Agent {
  readonly graph = new ObjectGraph();
  readonly messages: NodeMessages;
  readonly plane: PlaneHandle;
  compileMs = 0;
  compileStepMs = 0;
  tableMs = 0;

  constructor() {
    const proxy = readProxyConfig({ clusterCIDR: CLUSTER_CIDR }, new FieldProblems());
    this.messages = new NodeMessages(offlineConfig(NODE, proxy, [cidr(CLUSTER_CIDR)]), this.graph);
    this.plane = new PlaneHandle(native, {
      sizes: {
        ...{ conntrackLog2: 18, maxPorts: 16, fdbLog2: 13, neighborsLog2: 13, stationsLog2: 11 },
        ...{ frontendsLog2: SERVICES_LOG2, endpointsLog2: SERVICES_LOG2, poolSlots: 64, seed: 7 },
        policyRulesLog2: 10,
      },
      spinUs: 0,
      pauseUs: 0,
      cpuLatencyUs: -1,
      nice: 0,
      onExit: (error) => {
        throw error;
      },
    });
  }

  /** What changed, compiled and in the tables. */
  async apply(): Promise<void> {
    const began = performance.now();
    const changes = this.graph.take();
    const isLarge = changes.services.size >= MANY_SERVICES;
    const steps = this.messages.steps(this.graph, changes, PORTS);
    for (;;) {
      const stepBegan = performance.now();
      const step = steps.next();
      this.compileStepMs = Math.max(this.compileStepMs, performance.now() - stepBegan);
      if (step.done !== true) continue;
      const compiled = performance.now();
      for (const message of step.value) await this.plane.apply(message);
      this.compileMs = compiled - began;
      if (isLarge) collectYoung();
      this.tableMs = performance.now() - compiled;
      return;
    }
  }
}

export async function measureLoad(services: number, endpointsEach: number): Promise<LoadResult> {
  const text = clusterText(services, endpointsEach);
  const agent = new Agent();
  await new Promise((resolve) => setTimeout(resolve, 300)); // the worker has started
  agent.plane.resetHeld();
  const cpuBegan = native.threadCpuUs();
  const began = performance.now();
  const objects = parseManifests([{ file: "cluster.json", text }]).map((manifest) => manifest.object);
  const parseMs = performance.now() - began;
  for (const object of objects) agent.graph.onEvent({ type: "ADDED", object });
  await agent.apply();
  const { compileMs, compileStepMs, tableMs } = agent;
  const { heldMs: loadHeldMs, heldCpuMs: loadHeldCpuMs } = agent.plane;
  const mainCpuMs = (native.threadCpuUs() - cpuBegan) / 1000;
  if (agent.plane.refused.count > 0)
    throw new Error(`${agent.plane.refused.count} service ports did not fit`);
  const slices = objects.filter((object) => object.kind === "EndpointSlice") as EndpointSlice[];
  agent.plane.resetHeld();
  const updates: number[] = [];
  for (let i = 0; i < UPDATES; i++) {
    const object = replaceEndpoint(slices[(i * 7919) % slices.length], i, SPARE_FROM + i);
    const start = performance.now();
    agent.graph.onEvent({ type: "MODIFIED", object });
    await agent.apply();
    updates.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 2)); // the plane is asleep when the next one comes
  }
  updates.sort((a, b) => a - b);
  const result = {
    parseMs,
    compileMs,
    compileStepMs,
    tableMs,
    updateMedianMs: updates[UPDATES >> 1],
    updateMaxMs: updates[UPDATES - 1],
    loadHeldMs,
    loadHeldCpuMs,
    updateHeldMs: agent.plane.heldMs,
    updateHeldCpuMs: agent.plane.heldCpuMs,
    mainCpuMs,
    residentMb: process.memoryUsage().rss / 2 ** 20,
  };
  await agent.plane.stop();
  return result;
}
