// The lab's kubelet for one pod: namespace, device, containers, probes, status; and the way back when it is deleted.
import { rm } from "node:fs/promises";
import type { Container, Pod } from "../../kube/objects.ts";
import { oneLine } from "../errors.ts";
import { kernelPodBatch, type PodWiring, podBatch } from "../net/ip-batch.ts";
import * as names from "../net/names.ts";
import {
  deleteNamespaces,
  ipBatch,
  makeNamespaces,
  namespaceExists,
  processesIn,
  setSysctls,
  writeEtcFiles,
} from "../net/namespace.ts";
import { tryCommand } from "../process/command.ts";
import { KUBELET_BACKOFF, ManagedProcess, type ProcessSpec } from "../process/managed-process.ts";
import { type LabPaths, podDirectory } from "../state-dir.ts";
import { hexBytes, macSource, type NodePlan, type Topology } from "../topology.ts";
import { LogIndex, type LogTimes } from "./log-index.ts";
import { environmentOf, etcFiles, inNamespace, isEcho, programOf } from "./pod-env.ts";
import { PodEvents, type Tell } from "./pod-events.ts";
import { type ContainerView, podStatus } from "./pod-status.ts";
import { checkOf, type ProbeHelper, type ProbeResult, Readiness } from "./prober.ts";

export interface PodHost {
  topology: Topology;
  paths: LabPaths;
  helper(node: NodePlan): ProbeHelper;
  /** The node's agent is ready. */
  hasDataPath(node: NodePlan): boolean;
  /** The pod's status, or that of one of its containers, changed. */
  tell: Tell;
  statusChanged(pod: Pod, status: Pod["status"], annotations: Record<string, string>): void;
  /** Upper limit for terminationGracePeriodSeconds, set by `lab up --grace-period`. */
  graceMaxMs: number;
  log(line: string): void;
}

interface RunningContainer {
  container: Container;
  /** Absent for a container that only keeps the namespace. */
  process: ManagedProcess | undefined;
  env: Record<string, string>;
  readiness: Readiness | undefined;
  startedAtMs: number;
  stopped: boolean;
}

const SETUP_RETRY_MS = 2000;

export class PodRunner {
  pod: Pod;
  readonly netns: string;
  private readonly host: PodHost;
  readonly node: NodePlan;
  private readonly startedAtMs = Date.now();
  private containers: RunningContainer[] = [];
  private readonly events: PodEvents;
  /** Container → when its log grew. */
  private readonly logs = new Map<string, LogIndex>();
  private failure: string | undefined;
  private stopping: Promise<void> | undefined;
  private announced = "";
  private retry: NodeJS.Timeout | undefined;

  constructor(host: PodHost, node: NodePlan, pod: Pod) {
    this.host = host;
    this.node = node;
    this.pod = pod;
    this.events = new PodEvents((happening) => host.tell(happening), node.name);
    const { namespace = "default", name } = pod.metadata;
    this.netns =
      pod.spec.hostNetwork === true ? node.netns : names.podNetns(host.topology.lab, namespace, name);
  }

  /** Sets the pod up and starts what is not running; repeated after a failure, and by a repair. */
  async start(): Promise<void> {
    clearTimeout(this.retry);
    const renew = this.lost && this.containers.length > 0;
    try {
      await this.wire();
      this.failure = undefined;
    } catch (error) {
      if (this.stopping !== undefined) return;
      this.failure = oneLine(error);
      this.host.log(`pod ${this.pod.metadata.namespace}/${this.pod.metadata.name}: ${this.failure}`);
      this.events.noSandbox(this.pod, this.failure);
      this.retry = setTimeout(() => this.start(), SETUP_RETRY_MS);
      this.publish();
      return;
    }
    if (this.stopping !== undefined) return;
    if (this.containers.length === 0) {
      this.containers = this.pod.spec.containers.map((container) => this.prepare(container));
      for (const running of this.containers) {
        running.process?.start();
        if (running.process === undefined) this.keep(running);
      }
    } else {
      for (const { process } of this.containers) renew ? process?.restartNow() : process?.retryNow();
    }
    this.publish();
  }

  private keep({ readiness, container }: RunningContainer): void {
    const isNew = !this.pod.status.containerStatuses?.some((c) => c.name === container.name && c.started);
    if (isNew) this.events.kept(this.pod, container);
    readiness?.start(this.wasReady(container));
  }

  /** The pod's namespace is not there (any more). */
  get lost(): boolean {
    return !namespaceExists(this.netns);
  }

  get ending(): boolean {
    return this.stopping !== undefined;
  }

  /** SIGTERM, grace period, SIGKILL. The namespace stays: `remove` takes it, after the agent has let go of the device. */
  stop(graceMs = this.graceMs()): Promise<void> {
    this.stopping ??= this.stopContainers(graceMs);
    return this.stopping;
  }

  async remove(): Promise<void> {
    for (const log of this.logs.values()) log.close();
    await rm(this.stateDir(), { recursive: true, force: true });
    if (this.pod.spec.hostNetwork === true) return;
    for (const pid of await processesIn(this.netns)) {
      try {
        process.kill(pid, "SIGKILL"); // whatever was left in there, such as an `exec` shell
      } catch {
        // gone meanwhile
      }
    }
    await deleteNamespaces([this.netns]);
  }

  logTimes(container: string): LogTimes {
    return this.logs.get(container)?.times() ?? { starts: [], times: [] };
  }

  /** What runs, for `lab status`. */
  processes(): { container: string; process: ManagedProcess | undefined }[] {
    return this.containers.map((c) => ({ container: c.container.name, process: c.process }));
  }

  private async wire(): Promise<void> {
    const { topology } = this.host;
    const { pod, node } = this;
    if (pod.spec.hostNetwork === true) return; // it lives in the node's namespace, which is there
    const prefix = (family: boolean): string =>
      node.podCidrs.find((range) => range.includes(":") === family)?.split("/")[1] ?? (family ? "64" : "24");
    const addresses = (pod.status.podIPs ?? []).map((x) => x.ip ?? "");
    const wiring = {
      namespace: pod.metadata.namespace ?? "default",
      name: pod.metadata.name,
      netns: this.netns,
      addresses: addresses.map((ip) => `${ip}/${prefix(ip.includes(":"))}`),
      mac: podMac(pod),
    };
    await makeNamespaces([this.netns]);
    await setSysctls(this.netns, podSysctls(addresses));
    if (node.agent === "kernel") await this.wireToKernel(wiring);
    await ipBatch(this.netns, podBatch(topology, node, wiring));
    await writeEtcFiles(this.netns, etcFiles(topology, pod));
  }

  /** A pair with only one end in place, after one of the two namespaces was lost, is made again from the start. */
  private async wireToKernel(wiring: PodWiring): Promise<void> {
    const veth = names.vethName(wiring.namespace, wiring.name);
    const ends = [
      [this.node.netns, veth],
      [this.netns, names.POD_INTERFACE],
    ];
    const shown = await Promise.all(
      ends.map(([netns, dev]) => tryCommand("ip", ["-n", netns, "link", "show", dev])),
    );
    const there = shown.map((result) => result.status === 0);
    if (there[0] !== there[1]) {
      const [netns, dev] = there[0] ? ends[0] : ends[1];
      await ipBatch(netns, [`link del ${dev}`]);
    }
    await ipBatch(this.node.netns, kernelPodBatch(this.host.topology, wiring));
  }

  private prepare(container: Container): RunningContainer {
    const { host, pod } = this;
    const env = environmentOf(host.topology.lab, pod, container, this.node);
    const argv = programOf(container, env);
    const running: RunningContainer = {
      container,
      env,
      process: undefined,
      readiness: undefined,
      startedAtMs: Date.now(),
      stopped: false,
    };
    const ask = checkOf(pod, container, {
      netns: this.netns,
      env,
      helper: host.helper(this.node),
      hasDataPath: () => host.hasDataPath(this.node),
    });
    if (ask !== undefined) {
      const check = async (): Promise<ProbeResult | undefined> => {
        const result = await ask();
        if (result?.ok === false && this.stopping === undefined)
          this.events.unready(this.pod, container, result.message);
        return result;
      };
      running.readiness = new Readiness(container.readinessProbe!, check, () => this.publish());
    }
    if (argv === undefined) return running;
    const base = `${this.stateDir()}/${container.name}`;
    const log = new LogIndex(`${base}.log`);
    this.logs.set(container.name, log);
    const spec: ProcessSpec = {
      argv: inNamespace(this.netns, argv),
      env,
      ...(container.workingDir === undefined ? {} : { cwd: container.workingDir }),
      logFile: `${base}.log`,
      pidFile: `${base}.pid`,
      restart: (pod.spec.restartPolicy ?? "Always") as ProcessSpec["restart"],
      backoff: KUBELET_BACKOFF,
      announces: isEcho(container),
      beforeStart: () => log.begins(),
    };
    running.process = new ManagedProcess(spec, (process) => {
      if (process.adopted && process.phase === "running") log.resume();
      if (this.stopping === undefined) this.events.processChanged(this.pod, container, process);
      if (process.phase === "running") {
        if (process.announced) running.readiness?.start(process.adopted && this.wasReady(container));
      } else {
        running.readiness?.stop();
      }
      this.publish();
    });
    return running;
  }

  /** In the status that an earlier lab process left. */
  private wasReady(container: Container): boolean {
    return this.pod.status.containerStatuses?.find((c) => c.name === container.name)?.ready ?? false;
  }

  /** A pod that was taken out of the objects at once (--grace-period 0) has no time left. */
  private graceMs(): number {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.pod.metadata;
    if (deletionTimestamp === undefined) return 0;
    const seconds = deletionGracePeriodSeconds ?? this.pod.spec.terminationGracePeriodSeconds ?? 30;
    return Math.min(seconds * 1000, this.host.graceMaxMs);
  }

  private async stopContainers(graceMs: number): Promise<void> {
    clearTimeout(this.retry);
    const until = Date.now() + graceMs;
    await Promise.all(
      this.containers.map(async (running) => {
        if ((running.process?.phase ?? "running") === "running")
          this.events.killing(this.pod, running.container);
        await this.preStop(running, until);
        await running.process?.stop(Math.max(0, until - Date.now()));
        running.readiness?.stop();
        running.stopped = true;
        this.publish();
      }),
    );
  }

  /** The hook that keeps a program serving while its endpoint is withdrawn everywhere. */
  private async preStop(running: RunningContainer, until: number): Promise<void> {
    const hook = running.container.lifecycle?.preStop;
    const leftMs = Math.max(0, until - Date.now());
    if (hook?.exec !== undefined) {
      const [file, ...args] = inNamespace(this.netns, hook.exec.command ?? []);
      await tryCommand(file, args, { timeoutMs: leftMs, env: running.env });
    }
    const sleep = (hook as { sleep?: { seconds?: number } } | undefined)?.sleep?.seconds;
    if (sleep !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(sleep * 1000, leftMs)));
    }
  }

  private publish(): void {
    const views = this.containers.map(viewOf);
    const status = podStatus(
      {
        pod: this.pod,
        hostAddress: this.node.address,
        startedAtMs: this.startedAtMs,
        failure: this.failure,
        containers: views.length > 0 ? views : this.pod.spec.containers.map(waitingView),
      },
      Date.now(),
    );
    const annotations = {
      "podwire.dev/netns": names.netnsPath(this.netns),
      ...(this.pod.spec.hostNetwork === true
        ? {} // no device of its own
        : { "podwire.dev/interface": names.POD_INTERFACE, "podwire.dev/mac": podMac(this.pod) }),
    };
    const text = JSON.stringify([status, annotations]);
    if (text === this.announced) return;
    this.announced = text;
    this.host.statusChanged(this.pod, status, annotations);
  }

  private stateDir(): string {
    const { namespace = "default", name } = this.pod.metadata;
    return podDirectory(this.host.paths, namespace, name);
  }
}

/** As CNI's bridge plugin makes it from the IPv4 address, else from the last bytes of the IPv6 one. */
function podMac(pod: Pod): string {
  return `0a:58:${hexBytes(macSource((pod.status.podIPs ?? []).flatMap(({ ip }) => ip ?? [])))}`;
}

/** A pod without an IPv6 address has IPv6 off, as a runtime leaves it: no link-local address, no router solicitation. */
function podSysctls(addresses: string[]): Record<string, string> {
  const off = addresses.some((ip) => ip.includes(":")) ? "0" : "1";
  return {
    "net.ipv6.conf.all.disable_ipv6": off,
    "net.ipv6.conf.default.disable_ipv6": off,
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv4.ping_group_range": "'0 2147483647'",
    "net.ipv4.ip_unprivileged_port_start": "0", // container runtimes' default
  };
}

function viewOf(running: RunningContainer): ContainerView {
  const { container, process, readiness } = running;
  const phase = process?.phase ?? (running.stopped ? "terminated" : "running");
  const started = phase === "running" && (process?.announced ?? true);
  return {
    container,
    phase,
    reason: process?.reason ?? (running.stopped ? "Completed" : ""),
    startedAtMs: process?.startedAtMs ?? running.startedAtMs,
    restarts: process?.restarts ?? 0,
    lastExit: process?.lastExit,
    ready: started && (readiness === undefined || readiness.ready),
    probeMessage: readiness?.message ?? "",
  };
}

function waitingView(container: Container): ContainerView {
  return {
    container,
    phase: "waiting",
    reason: "ContainerCreating",
    startedAtMs: 0,
    restarts: 0,
    lastExit: undefined,
    ready: false,
    probeMessage: "",
  };
}
