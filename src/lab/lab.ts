// The lab process: holds the objects and sees to it that what they ask for exists. Controllers (control/) turn
// objects into more objects; this file turns pods into processes and nodes into agents, and reports back as status.
import { podStatusWord, readyColumn, restartsOf } from "../apiserver/table/pod-columns.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Change } from "../cluster/cluster-options.ts";
import type { Happening } from "../cluster/event-recorder.ts";
import { hostPortsOf } from "../kube/host-ports.ts";
import { type Job, type KubeObject, keyOf, type Node, type Pod, type Service } from "../kube/objects.ts";
import type { AgentAccess } from "./api/agent-access.ts";
import { LabDns } from "./dns/lab-dns.ts";
import { labObjects } from "./lab-objects.ts";
import { isReady, isStuck, type LabStatus, type PodReport, podReason } from "./lab-status.ts";
import { fabricNetns } from "./net/names.ts";
import { NodeBeats, renewLease } from "./node/node-beats.ts";
import { nodeObject, readyStatus } from "./node/node-object.ts";
import { KernelNode, type NodeAgent, PodwireAgent } from "./node-agent.ts";
import type { ConfigObjects } from "./pod/config-objects.ts";
import { appletFolder } from "./pod/image/applets.ts";
import { type PodHost, PodRunner } from "./pod/pod-runner.ts";
import { iso } from "./pod/pod-status.ts";
import { ProbeHelper } from "./pod/probe-place.ts";
import { LostNodes } from "./process/lost-nodes.ts";
import type { LabPaths } from "./state-dir.ts";
import type { NodePlan, Topology } from "./topology.ts";

/** The agent lets go of a deleted pod's device when it hears of it; its namespace is taken away after that. */
const DETACH_MS = 100;
/** What comes due by time alone: a Job's deadline, its next try. */
const TICK_MS = 500;

export interface LabOptions {
  topology: Topology;
  paths: LabPaths;
  cluster: Cluster;
  /** File of the command line's main program: agents are `node <program> agent …`. */
  program: string;
  graceMaxMs: number;
}

export class Lab implements PodHost {
  readonly topology: Topology;
  readonly paths: LabPaths;
  readonly cluster: Cluster;
  readonly graceMaxMs: number;
  private readonly startedAtMs = Date.now();
  private readonly agents = new Map<string, NodeAgent>();
  private readonly lost = new LostNodes((name) => this.nodeLost(name));
  private readonly helpers = new Map<string, ProbeHelper>();
  private readonly runners = new Map<string, PodRunner>();
  /** Namespace of a pod → the end of the last pod that had it. */
  private readonly endings = new Map<string, Promise<void>>();
  readonly objects: ConfigObjects;
  /** Told of the namespaces that are new. */
  onRepair: (made: readonly string[]) => void = () => {};
  private readonly dns: LabDns;
  private stopping = false;
  private started = false;
  private ticking: NodeJS.Timeout | undefined;
  private readonly beats = new NodeBeats(() => this.beat());

  constructor(options: LabOptions) {
    this.topology = options.topology;
    this.paths = options.paths;
    this.cluster = options.cluster;
    this.graceMaxMs = options.graceMaxMs;
    this.objects = labObjects(options.cluster, options.paths);
    this.dns = new LabDns(options);
    for (const node of this.topology.nodes) {
      const changed = (): void => this.nodeChanged(node);
      const agent =
        node.agent === "kernel"
          ? new KernelNode(this.topology, node, changed)
          : new PodwireAgent(this.topology, node, this.paths, options.program, changed);
      this.agents.set(node.name, agent);
    }
  }

  /** Before anybody can make objects: a pod that names its node gets its address from that node's range. */
  addNodes(): void {
    for (const node of this.topology.nodes) this.nodeChanged(node);
  }

  /** Agents first, they need the longest; then whatever the objects ask for. */
  async start(access: AgentAccess): Promise<void> {
    await this.dns.start((line) => this.log(line));
    this.cluster.onChange((change) => this.changed(change));
    await Promise.all([...this.agents.values()].map((agent) => agent.start(access)));
    await Promise.all(this.pods().map((pod) => this.podStarts(pod)));
    for (const pod of this.pods()) if (pod.metadata.deletionTimestamp !== undefined) this.podEnds(pod);
    this.servicesChanged();
    this.ticking = setInterval(() => this.tick(), TICK_MS).unref();
    this.beats.start();
    this.started = true;
  }

  /**
   * Missing things are made again, waiting ones tried now. The static network is the caller's part; `made` are the
   * namespaces of it that are new. What worked in a namespace that is gone still works, but nobody can reach it.
   */
  async repair(made: string[]): Promise<void> {
    this.onRepair(made);
    const runners = [...this.runners.values()];
    const renewed = new Set(runners.filter((runner) => runner.lost).map((runner) => runner.node.name));
    for (const node of this.topology.nodes.filter((each) => made.includes(each.netns))) {
      this.helpers.get(node.name)?.stop();
    }
    await Promise.all(runners.map((runner) => runner.start()));
    // With a new fabric each uplink is another device.
    const isRenewed = ({ name, netns }: NodePlan): boolean =>
      renewed.has(name) || [netns, fabricNetns(this.topology.lab)].some((each) => made.includes(each));
    await Promise.all([...this.agents.values()].map((agent) => agent.repair(isRenewed(agent.node))));
  }

  /** Ends all pods and agents. Namespaces and files are left to `lab down`. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    clearInterval(this.ticking);
    this.beats.close();
    this.lost.close();
    this.dns.close();
    await Promise.race([
      Promise.all([...this.runners.values()].map((runner) => runner.stop(graceMs))),
      new Promise((resolve) => setTimeout(resolve, graceMs)),
    ]);
    for (const helper of this.helpers.values()) helper.stop();
    await Promise.all([...this.agents.values()].map((agent) => agent.stop()));
  }

  status(): LabStatus {
    const nodes = [...this.agents.values()].map((agent) => agent.report());
    const pods = this.pods().map((pod) => this.podReport(pod));
    const names = nodes.map(({ name }) => name);
    const unready = this.pods().filter(
      (pod) => !isReady(pod) && pod.status.phase !== "Succeeded" && !isFailedTry(pod),
    );
    const failedJobs = (this.cluster.list("Job") as Job[]).flatMap(failedJob);
    const stuck = [
      ...unready.filter((pod) => isStuck(pod, names)).map((pod) => podProblem(pod, names)),
      ...failedJobs,
    ];
    const problems = [
      ...(this.started ? [] : ["lab process: starting"]),
      ...nodes.filter((n) => n.state !== "Ready").map((n) => problem(`node ${n.name}`, n.state, n.reason)),
      ...unready.map((pod) => podProblem(pod, names)),
      ...failedJobs,
    ];
    return {
      lab: this.topology.lab,
      state: "running",
      pid: process.pid,
      startedAt: iso(this.startedAtMs),
      ready: problems.length === 0,
      nodes,
      pods,
      clients: this.topology.clients.map(({ name, address }) => ({ name, address })),
      problems,
      stuck,
    };
  }

  helper(node: NodePlan): ProbeHelper {
    let helper = this.helpers.get(node.name);
    if (helper === undefined) {
      helper = new ProbeHelper(this.topology.lab, node.netns);
      this.helpers.set(node.name, helper);
    }
    return helper;
  }

  applets(): string | undefined {
    return appletFolder(`${this.paths.dir}/busybox`);
  }

  services(namespace: string): Service[] {
    return this.cluster.list("Service", namespace) as Service[];
  }

  private tick(): void {
    this.cluster.tick();
    for (const runner of this.runners.values()) runner.renewTokens(Date.now());
  }

  /** Of a node that was given up nobody says that it is there. */
  private beat(): void {
    for (const node of this.topology.nodes) {
      this.nodeChanged(node);
      if (!this.lost.has(node.name)) renewLease(this.cluster, node.name);
    }
  }

  /** What every namespace has is made in the turn after the namespace. */
  async served(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  hasDataPath(node: NodePlan): boolean {
    return this.agents.get(node.name)?.ready ?? false;
  }

  isLost(node: NodePlan): boolean {
    return this.lost.has(node.name);
  }

  statusChanged(pod: Pod, status: Pod["status"], annotations: Record<string, string>): void {
    const current = this.current(pod);
    if (current === undefined || this.stopping) return;
    const metadata = {
      ...current.metadata,
      annotations: { ...current.metadata.annotations, ...annotations },
    };
    this.cluster.update({
      ...current,
      metadata,
      status: { ...status, podIPs: current.status.podIPs },
    } as Pod);
  }

  /** Something happened to an object; what ends with the lab is no event of it. */
  tell(happening: Happening): void {
    if (!this.stopping) this.cluster.record(happening);
  }

  log(line: string): void {
    logLine(line);
  }

  /** What runs this pod, once it has a node and an address. */
  runnerOf(pod: Pod): PodRunner | undefined {
    return this.runners.get(runnerKey(pod));
  }

  private changed({ type, object }: Change): void {
    const hasHostPorts = object.kind === "Pod" && hostPortsOf((object as Pod).spec).length > 0;
    if (object.kind === "Service" || object.kind === "EndpointSlice" || hasHostPorts) this.servicesChanged();
    if (this.stopping) return;
    if (object.kind === "ConfigMap" || object.kind === "Secret") this.configChanged(object);
    if (object.kind === "Service")
      for (const runner of this.runnersIn(object.metadata.namespace)) runner.servicesChanged();
    if (object.kind !== "Pod") return;
    const pod = object as Pod;
    const runner = this.runners.get(runnerKey(pod));
    runner?.podChanged(pod);
    if (type === "DELETED" || pod.metadata.deletionTimestamp !== undefined) this.podEnds(pod);
    else if (runner === undefined) this.podStarts(pod);
  }

  /** Volumes and refused containers of a namespace follow what its ConfigMaps and Secrets say. */
  private configChanged(object: KubeObject): void {
    for (const runner of this.runnersIn(object.metadata.namespace)) runner.objectsChanged(object);
  }

  private runnersIn(namespace: string | undefined): PodRunner[] {
    return [...this.runners.values()].filter(({ pod }) => pod.metadata.namespace === namespace);
  }

  /** Once the pod has a node and an address. A pod of the same name that is still ending is waited for. */
  private async podStarts(pod: Pod): Promise<void> {
    const node = this.topology.nodes.find((each) => each.name === pod.spec.nodeName);
    if (node === undefined || (pod.status.podIPs ?? []).length === 0) return;
    // A change of the pod while the lab comes up starts it too: two runners would both restart its processes.
    if (this.runners.has(runnerKey(pod))) return;
    const runner = new PodRunner(this, node, pod);
    this.runners.set(runnerKey(pod), runner);
    await this.endings.get(runner.netns);
    if (!this.stopping) await runner.start();
  }

  private podEnds(pod: Pod): void {
    const runner = this.runners.get(runnerKey(pod));
    if (runner === undefined) {
      this.forget(pod); // it never ran: no node of ours
    } else if (!runner.ending) {
      const ending = this.end(runner).catch((error: Error) => this.log(`${runner.netns}: ${error.message}`));
      this.endings.set(runner.netns, ending);
    }
  }

  private async end(runner: PodRunner): Promise<void> {
    await runner.stop();
    if (this.stopping) return;
    this.forget(runner.pod);
    await new Promise((resolve) => setTimeout(resolve, DETACH_MS));
    await runner.remove();
    this.runners.delete(runnerKey(runner.pod));
  }

  /** Takes the pod out of the objects, unless another one has its name by now. */
  private forget(pod: Pod): void {
    if (this.current(pod) !== undefined) this.cluster.remove(pod);
  }

  private current(pod: Pod): Pod | undefined {
    const found = this.cluster.get("Pod", keyOf(pod));
    return found?.metadata.uid === pod.metadata.uid ? (found as Pod) : undefined;
  }

  private servicesChanged(): void {
    if (this.stopping) return;
    const kinds = ["Node", "Service", "EndpointSlice", "Pod"] as const;
    const objects = (): KubeObject[] => kinds.flatMap((kind) => this.cluster.list(kind));
    for (const agent of this.agents.values()) agent.servicesChanged(objects);
  }

  private nodeChanged(node: NodePlan): void {
    if (this.stopping) return;
    const current = this.cluster.list("Node").find((each) => each.metadata.name === node.name);
    const agent = this.agents.get(node.name);
    const wasLost = this.lost.has(node.name);
    this.lost.seen(node.name, agent?.ready === true);
    const isLost = this.lost.has(node.name);
    const health = { isLost, pressure: this.beats.pressure };
    const object = nodeObject(this.topology, node, agent, current as Node | undefined, Date.now(), health);
    this.cluster.update(object);
    if (wasLost && !isLost) for (const runner of this.podsOf(node.name)) runner.nodeChanged();
    const [was, is] = [current as Node | undefined, object as Node].map((each) => readyStatus(each));
    if (was === is || (was !== "True" && is !== "True")) return;
    const reason = is === "True" ? "NodeReady" : "NodeNotReady";
    const component = is === "True" ? "kubelet" : "node-controller";
    const stored = this.cluster.get("Node", node.name) ?? object;
    const message = `Node ${node.name} status is now: ${reason}`;
    this.tell({ object: stored, reason, message, component, host: node.name });
  }

  private nodeLost(name: string): void {
    const node = this.topology.nodes.find((each) => each.name === name);
    if (node === undefined || this.stopping) return;
    this.nodeChanged(node);
    for (const runner of this.podsOf(name)) runner.nodeChanged();
  }

  private podsOf(nodeName: string): PodRunner[] {
    return [...this.runners.values()].filter(({ node }) => node.name === nodeName);
  }

  private pods(): Pod[] {
    return this.cluster.list("Pod") as Pod[];
  }

  private podReport(pod: Pod): PodReport {
    const runner = this.runners.get(runnerKey(pod));
    return {
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      node: pod.spec.nodeName ?? "",
      ip: pod.status.podIPs?.[0]?.ip ?? "",
      ready: readyColumn(pod),
      status: podStatusWord(pod),
      restarts: restartsOf(pod),
      reason: podReason(pod),
      processes: (runner?.processes() ?? []).map(({ container, process: run }) => ({
        container,
        pid: run?.id?.pid ?? null,
        state: run?.phase ?? "running",
        restarts: run?.restarts ?? 0,
        reason: run?.reason ?? "keeps the namespace",
      })),
    };
  }
}

/** Into the lab's log. */
export function logLine(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

function runnerKey(pod: Pod): string {
  return pod.metadata.uid ?? keyOf(pod);
}

/** A Job's pod that failed: another one is tried, and when there are no more tries the Job says so. */
function isFailedTry({ metadata, status }: Pod): boolean {
  return status.phase === "Failed" && metadata.ownerReferences?.some((each) => each.kind === "Job") === true;
}

function failedJob(job: Job): string[] {
  const end = job.status?.conditions?.find((c) => c.type === "Failed" && c.status === "True");
  const { namespace, name } = job.metadata;
  return end === undefined ? [] : [problem(`job ${namespace}/${name}`, "Failed", end.reason ?? "")];
}

function podProblem(pod: Pod, nodes: readonly string[]): string {
  const { nodeName } = pod.spec;
  const isLost = nodeName !== undefined && !nodes.includes(nodeName);
  const reason = podReason(pod) || (isLost ? `there is no node "${nodeName}" in this lab` : "");
  return problem(`pod ${keyOf(pod)}`, podStatusWord(pod), reason);
}

function problem(what: string, state: string, reason: string): string {
  return `${what}: ${state}${reason === "" ? "" : `: ${reason}`}`;
}
