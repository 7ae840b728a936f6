// One node's agent as the lab sees it: its configuration file, its process, whether it is ready. A kernel node has
// no process: the lab writes its nat table instead.
import { rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import type { IpFamily } from "../base/ip.ts";
import { v8Threads } from "../base/v8-threads.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { AgentAccess } from "./api/agent-access.ts";
import { oneLine } from "./errors.ts";
import { exitText, type NodeReport } from "./lab-status.ts";
import { deleteStaleConnections, NOBODY_SERVED, type UdpServed, udpServed } from "./net/kernel-conntrack.ts";
import { kernelRules } from "./net/kernel-rules.ts";
import * as names from "./net/names.ts";
import { command } from "./process/command.ts";
import { AGENT_BACKOFF, lastLine, ManagedProcess } from "./process/managed-process.ts";
import { PROCESS_MARK } from "./process/process-table.ts";
import { agentKubeconfig, agentSocket, type LabPaths, writeAtomically } from "./state-dir.ts";
import type { NodePlan, Topology } from "./topology.ts";

const POLL_STARTING_MS = 25;
const POLL_READY_MS = 1000;
const POLL_TIMEOUT_MS = 2000;
/** An agent that says nothing may have no processor for a moment: packets go on meanwhile, in a thread of their own. */
const MISSES_MAX = 4;
const RULES_DELAY_MS = 20; // a burst of changes is one iptables-restore

export interface NodeAgent {
  readonly node: NodePlan;
  readonly ready: boolean;
  start(access: AgentAccess): Promise<void>;
  /** Tries again now what failed; `renew`: the namespaces it works in are new, it must begin from the start. */
  repair(renew: boolean): Promise<void>;
  /** Services or endpoints changed. `objects`: these, and the nodes and pods, when they are wanted. */
  servicesChanged(objects: () => readonly KubeObject[]): void;
  stop(): Promise<void>;
  report(): NodeReport;
}

/** What the agent reads: AgentConfiguration, as a YAML document (JSON is YAML). */
function agentConfiguration(t: Topology, node: NodePlan, paths: LabPaths): Record<string, unknown> {
  return {
    apiVersion: "podwire.dev/v1alpha1",
    kind: "AgentConfiguration",
    nodeName: node.name,
    clusterCIDR: t.clusterCidr,
    serviceCIDR: t.serviceCidr,
    fabricCIDR: t.fabricCidrs.join(","),
    overlay: { ...t.overlay, flannel: false }, // the lab says it of all nodes, before their agents run
    netns: names.netnsPath(node.netns),
    uplink: { interface: names.UPLINK, driver: node.uplinkDriver },
    host: { interface: names.HOST_TAP },
    socket: agentSocket(t.lab, node.name),
    // Nothing is kept for a start without the API: who starts an agent serves it.
    source: { kubernetes: { kubeconfig: agentKubeconfig(paths, node.name), stateFile: "" } },
    proxy: t.proxy,
    conntrack: t.conntrack,
    dataplane: t.dataplane,
    ...(t.policy === undefined ? {} : { policy: t.policy }),
    ...(t.mesh?.whenAway === undefined ? {} : { mesh: { whenAway: t.mesh.whenAway } }),
  };
}

export class PodwireAgent implements NodeAgent {
  readonly node: NodePlan;
  ready = false;
  private readonly topology: Topology;
  private readonly paths: LabPaths;
  private readonly process: ManagedProcess;
  private readonly onChange: () => void;
  private problem = "";
  private misses = 0;
  /** Why nobody reaches the node though its agent is ready; "": that is not so. */
  private cut = "";
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private access: AgentAccess | undefined;

  constructor(t: Topology, node: NodePlan, paths: LabPaths, program: string, onChange: () => void) {
    this.topology = t;
    this.node = node;
    this.paths = paths;
    this.onChange = onChange;
    const base = `${paths.agents}/${node.name}`;
    this.process = new ManagedProcess(
      {
        argv: [process.execPath, v8Threads(), program, "agent", "--config", `${base}.yaml`],
        env: { ...(process.env as Record<string, string>), [PROCESS_MARK]: `${t.lab}/agent/${node.name}` },
        logFile: `${base}.log`,
        pidFile: `${base}.pid`,
        restart: "Always",
        backoff: AGENT_BACKOFF,
      },
      () => this.processChanged(),
    );
  }

  async start(access: AgentAccess): Promise<void> {
    this.access = access;
    const { stringify } = await import("yaml");
    const text = stringify(agentConfiguration(this.topology, this.node, this.paths), { compat: "yaml-1.1" });
    const file = `${this.paths.agents}/${this.node.name}.yaml`;
    const before = await readFile(file, "utf8").catch(() => "");
    await Promise.all([writeAtomically(file, text), access.open(this.node)]);
    this.process.start();
    // One that an older podwire started has other settings.
    if (this.process.adopted && before !== text) await this.process.restartNow();
  }

  async repair(renew: boolean): Promise<void> {
    if (renew) {
      this.becomes(false, "agent starts again: its namespaces are new");
      await this.access?.open(this.node);
      await this.process.restartNow();
    } else {
      this.process.retryNow();
    }
  }

  servicesChanged(): void {} // it watches the objects itself

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.process.stop(3000);
  }

  report(): NodeReport {
    const { process: agent, node } = this;
    const ended = agent.lastExit;
    const last = ended === undefined ? "" : `agent ended: ${exitText(ended.exitCode, ended.message)}`;
    return {
      name: node.name,
      address: node.address,
      podCIDR: node.podCidr,
      agent: node.agent,
      state: this.ready ? "Ready" : agent.phase === "running" && this.cut === "" ? "Starting" : "NotReady",
      pid: agent.id?.pid ?? null,
      restarts: agent.restarts,
      reason: this.ready ? last : last || this.problem,
    };
  }

  private processChanged(): void {
    if (this.process.phase !== "running") {
      this.becomes(false, "");
      rmSync(agentSocket(this.topology.lab, this.node.name), { force: true }); // of the one that died
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), POLL_STARTING_MS);
  }

  private async poll(): Promise<void> {
    const answer = await agentStatus(agentSocket(this.topology.lab, this.node.name));
    if (this.stopped || this.process.phase !== "running") return;
    this.misses = answer.pid === undefined ? this.misses + 1 : 0;
    if (this.ready && this.misses > 0 && this.misses < MISSES_MAX) {
      this.timer = setTimeout(() => this.poll(), POLL_STARTING_MS);
      return;
    }
    const running = this.process.id?.pid === answer.pid;
    const why = answer.error ?? lastLine(`${this.paths.agents}/${this.node.name}.log`);
    const problem = `agent not ready${why === "" ? "" : `: ${why}`}`;
    this.cut = answer.ready ? cutUplink(answer) : "";
    this.becomes(answer.ready && running && this.cut === "", answer.ready ? this.cut : problem);
    this.timer = setTimeout(() => this.poll(), this.ready ? POLL_READY_MS : POLL_STARTING_MS);
  }

  private becomes(ready: boolean, problem: string): void {
    this.problem = problem;
    if (ready === this.ready) return;
    this.ready = ready;
    this.onChange();
  }
}

export class KernelNode implements NodeAgent {
  readonly node: NodePlan;
  ready = false;
  private readonly topology: Topology;
  private readonly onChange: () => void;
  private problem = "";
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private objects: () => readonly KubeObject[] = () => [];
  private readonly served = new Map<IpFamily, UdpServed>();

  constructor(t: Topology, node: NodePlan, onChange: () => void) {
    this.topology = t;
    this.node = node;
    this.onChange = onChange;
  }

  async start(): Promise<void> {
    await this.write();
  }

  async repair(): Promise<void> {
    await this.write();
  }

  servicesChanged(objects: () => readonly KubeObject[]): void {
    this.objects = objects;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.running = this.running.then(() => this.write());
    }, RULES_DELAY_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    await this.running;
  }

  report(): NodeReport {
    const { node } = this;
    return {
      name: node.name,
      address: node.address,
      podCIDR: node.podCidr,
      agent: node.agent,
      state: this.ready ? "Ready" : "NotReady",
      pid: null,
      restarts: 0,
      reason: this.problem,
    };
  }

  private async write(): Promise<void> {
    const { topology, node } = this;
    const objects = this.objects();
    try {
      for (const range of node.podCidrs) {
        const family = range.includes(":") ? 6 : 4;
        const { argv, input } = kernelRules(topology, node, objects, family);
        await command("ip", ["netns", "exec", node.netns, ...argv], { input });
        const now = udpServed(node, objects, family);
        await deleteStaleConnections(node.netns, family, this.served.get(family) ?? NOBODY_SERVED, now);
        this.served.set(family, now);
      }
      this.problem = "";
    } catch (error) {
      this.problem = oneLine(error);
    }
    const ready = this.problem === "";
    if (ready === this.ready) return;
    this.ready = ready;
    this.onChange();
  }
}

interface AgentStatus {
  ready: boolean;
  pid?: number;
  error?: string;
  devices?: { kind: string; interface: string; isUp: boolean; hasCarrier: boolean }[];
}

/** A kubelet's word would not come through either. */
function cutUplink({ devices = [] }: AgentStatus): string {
  const cut = devices.find((each) => each.kind === "uplink" && !(each.isUp && each.hasCarrier));
  return cut === undefined ? "" : `${cut.interface} is ${cut.isUp ? "without carrier" : "down"}`;
}

/** GET /status of an agent, never throwing: it may not be up yet. */
function agentStatus(socketPath: string): Promise<AgentStatus> {
  return new Promise((resolve) => {
    const call = request(
      { socketPath, path: "/status", agent: false, timeout: POLL_TIMEOUT_MS },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          try {
            resolve(JSON.parse(text) as AgentStatus);
          } catch {
            resolve({ ready: false, error: "its answer is no JSON" });
          }
        });
      },
    );
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve({ ready: false }));
    call.end();
  });
}
