// The lab's kubelet for one pod: namespace, device, volumes, containers, status; and the way back when it is deleted.

import { rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { deepEqual } from "../../base/deep-equal.ts";
import type { Container, KubeObject, Pod, Service } from "../../kube/objects.ts";
import { oneLine } from "../errors.ts";
import * as names from "../net/names.ts";
import { deleteNamespaces, ETC_NETNS, namespaceExists, processesIn } from "../net/namespace.ts";
import type { ManagedProcess } from "../process/managed-process.ts";
import { type LabPaths, podDirectory } from "../state-dir.ts";
import type { NodePlan, Topology } from "../topology.ts";
import type { ConfigObjects } from "./config-objects.ts";
import { ContainerRun } from "./container-run.ts";
import { containerEnvironment, joinWords } from "./enter/enter.ts";
import { servicePorts } from "./image/service-ports.ts";
import type { LogTimes } from "./log-index.ts";
import { PodContainers } from "./pod-containers.ts";
import { hostname, resolverNotes } from "./pod-env.ts";
import { PodEvents, type Tell } from "./pod-events.ts";
import { type PodNetwork, podMac, wirePod } from "./pod-network.ts";
import { podStatus } from "./pod-status.ts";
import type { ProbeHelper } from "./probe-place.ts";
import type { Entrance } from "./stream/exec-program.ts";
import { PodVolumes } from "./volume/pod-volumes.ts";
import { hasFilesOf, type PodPlace, VolumeProblem } from "./volume/volume-files.ts";

/** What a pod is told by its lab. */
export interface PodHost {
  topology: Topology;
  paths: LabPaths;
  /** ConfigMaps, Secrets and tokens for its containers and volumes. */
  objects: ConfigObjects;
  /** Asks probes from the node's network. */
  helper(node: NodePlan): ProbeHelper;
  /** Services of a namespace. */
  services(namespace: string): readonly Service[];
  /** Folder of busybox' applets, made when it is asked for first; undefined: none here. */
  applets(): string | undefined;
  /** The node's agent is ready. */
  hasDataPath(node: NodePlan): boolean;
  /** It was given up: what runs there is no endpoint. */
  isLost(node: NodePlan): boolean;
  /** Resolves when there is what pods need for the API, or when there will be none. */
  served(): Promise<void>;
  /** The pod's status, or that of one of its containers, changed. */
  tell: Tell;
  statusChanged(pod: Pod, status: Pod["status"], annotations: Record<string, string>): void;
  /** Upper limit for terminationGracePeriodSeconds, set by `lab up --grace-period`. */
  graceMaxMs: number;
  log(line: string): void;
}

/** Between two tries to make the namespace and its device. */
const SETUP_RETRY_MS = 2000;
/** Between two tries to mount a volume, as kubelet waits: 0.5 s, then twice as long each time. */
const MOUNT_RETRY_MS = 500;
const MOUNT_RETRY_MAX_MS = 122_000;

interface Why {
  readonly reason: string;
  readonly message: string;
}

export class PodRunner {
  /** As the store has it now. */
  pod: Pod;
  /** Name of its network namespace: its own, or with `hostNetwork` its node's. */
  readonly netns: string;
  private readonly host: PodHost;
  readonly node: NodePlan;
  /** In the status that an earlier lab process left, or now. */
  private readonly startedAtMs: number;
  private readonly volumes: PodVolumes;
  private readonly containers = new PodContainers();
  private readonly events: PodEvents;
  /** Why it could not be set up, until it is. */
  private failure: Why | undefined;
  private mountTries = 0;
  private starting: Promise<void> | undefined;
  private stopping: Promise<void> | undefined;
  /** It is over whatever its containers do: why. */
  private verdict: Why | undefined;
  /** The status that was told last, as text. */
  private announced = "";
  private retry: NodeJS.Timeout | undefined;
  private deadline: NodeJS.Timeout | undefined;

  constructor(host: PodHost, node: NodePlan, pod: Pod) {
    this.host = host;
    this.node = node;
    this.pod = pod;
    this.startedAtMs = Date.parse(pod.status.startTime ?? "") || Date.now();
    this.events = new PodEvents((happening) => host.tell(happening), node.name);
    const { namespace = "default", name } = pod.metadata;
    this.netns =
      pod.spec.hostNetwork === true ? node.netns : names.podNetns(host.topology.lab, namespace, name);
    this.volumes = new PodVolumes({ own: `${this.stateDir()}/volumes`, lab: host.paths.dir });
  }

  /** Sets the pod up and starts what is not running; repeated after a failure, and by a repair. One at a time. */
  start(): Promise<void> {
    this.starting ??= this.startOnce().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  private async startOnce(): Promise<void> {
    clearTimeout(this.retry);
    const { phase } = this.pod.status;
    const { containers } = this;
    if (!containers.isMade && (phase === "Succeeded" || phase === "Failed")) return; // it was over before
    const renew = this.lost && containers.anyBegun;
    if (!(await this.prepare())) return;
    if (containers.isMade) containers.again(renew);
    else {
      containers.make(this.pod, (each, isInit) => this.containerRun(each, isInit));
      this.servicesChanged();
      this.setDeadline();
    }
    this.advance();
    this.publish();
  }

  /** Its files of the downward API follow its labels and annotations. */
  podChanged(pod: Pod): void {
    const { labels, annotations } = this.pod.metadata;
    this.pod = pod;
    const isSame = deepEqual([labels, annotations], [pod.metadata.labels, pod.metadata.annotations]);
    if (isSame || this.stopping !== undefined || !this.containers.isMade) return;
    this.volumes.refresh(this.place());
    this.servicesChanged();
  }

  /** Its node was given up, or has come back. */
  nodeChanged(): void {
    if (this.containers.isMade) this.publish();
  }

  /** A ConfigMap or a Secret of its namespace says something else now. */
  objectsChanged(object: KubeObject): void {
    if (this.stopping !== undefined) return;
    if (this.failure?.reason === "FailedMount") void this.start();
    if (!this.containers.isMade) return;
    if (hasFilesOf(this.pod, object)) this.volumes.refresh(this.place());
    this.containers.objectsChanged();
  }

  /** A Service of its namespace, or its own labels: who stands in for an image answers where it is expected. */
  servicesChanged(): void {
    if (this.stopping === undefined) this.containers.portTaker?.servicesChanged();
  }

  /** Tokens are followed by others before their time is over. */
  renewTokens(nowMs: number): void {
    if (this.stopping !== undefined || this.volumes.renewAtMs > nowMs) return;
    this.volumes.refresh(this.place());
  }

  /** Namespace, device and volumes. False: they are tried again later, or the pod is being ended. */
  private async prepare(): Promise<boolean> {
    try {
      for (const why of resolverNotes(this.host.topology, this.pod)) this.events.dnsLimits(this.pod, why);
      await Promise.all([wirePod(this.wiring()), this.host.served()]);
      await this.volumes.prepare(this.place());
      this.failure = undefined;
      this.mountTries = 0;
      return this.stopping === undefined;
    } catch (error) {
      if (this.stopping !== undefined) return false;
      this.notPrepared(error);
      return false;
    }
  }

  private notPrepared(error: unknown): void {
    const message = oneLine(error);
    const isMount = error instanceof VolumeProblem;
    const isNew = this.failure?.message !== message;
    this.failure = { reason: isMount ? "FailedMount" : "FailedCreatePodSandBox", message };
    if (isNew) this.host.log(`pod ${this.pod.metadata.namespace}/${this.pod.metadata.name}: ${message}`);
    if (isMount) this.events.noVolume(this.pod, message);
    else this.events.noSandbox(this.pod, message);
    const waitMs = isMount
      ? Math.min(MOUNT_RETRY_MAX_MS, MOUNT_RETRY_MS * 2 ** this.mountTries++)
      : SETUP_RETRY_MS;
    this.retry = setTimeout(() => this.start(), waitMs);
    this.publish();
  }

  private wiring(): PodNetwork {
    const { topology } = this.host;
    return { topology, node: this.node, pod: this.pod, netns: this.netns, folder: this.stateDir() };
  }

  private place(): PodPlace {
    return { pod: this.pod, node: this.node, objects: this.host.objects };
  }

  private containerRun(container: Container, isInit: boolean): ContainerRun {
    const { host, node, netns, events, pod } = this;
    const { namespace = "default" } = pod.metadata;
    const own = pod.spec.hostNetwork === true;
    return new ContainerRun(
      {
        lab: host.topology.lab,
        node,
        netns,
        folder: this.stateDir(),
        objects: host.objects,
        images: host.topology.images ?? [],
        helper: host.helper(node),
        events,
        volumes: this.volumes.paths,
        etc: [`${ETC_NETNS}/${netns}`, ...(own ? [`${this.stateDir()}/etc`] : [])],
        hostname: own ? undefined : hostname(pod),
        servicePorts: (of) =>
          of === this.containers.portTaker?.container ? servicePorts(this.pod, host.services(namespace)) : [],
        applets: () => host.applets(),
        pod: () => this.pod,
        hasDataPath: () => host.hasDataPath(node),
        stopping: () => this.stopping !== undefined,
        changed: () => this.changed(),
      },
      container,
      isInit,
    );
  }

  private changed(): void {
    if (!this.containers.isMade) return;
    this.advance();
    this.publish();
  }

  private advance(): void {
    if (this.stopping === undefined && this.verdict === undefined) this.containers.advance(this.graceOf());
  }

  /** activeDeadlineSeconds counts from the pod's start, over starts of the lab's process. */
  private setDeadline(): void {
    const { activeDeadlineSeconds } = this.pod.spec;
    if (activeDeadlineSeconds === undefined) return;
    const leftMs = this.startedAtMs + activeDeadlineSeconds * 1000 - Date.now();
    this.deadline = setTimeout(() => void this.overdue(), Math.max(0, Math.min(leftMs, 2 ** 31 - 1)));
  }

  private async overdue(): Promise<void> {
    if (this.stopping !== undefined || this.containers.isEnding) return; // it is over
    const message = "Pod was active on the node longer than the specified deadline";
    this.verdict = { reason: "DeadlineExceeded", message };
    this.events.deadline(this.pod);
    this.publish();
    await this.containers.endAll(Date.now() + this.graceOf());
  }

  /** The pod's namespace is not there (any more). */
  get lost(): boolean {
    return !namespaceExists(this.netns);
  }

  /** It is being deleted. */
  get ending(): boolean {
    return this.stopping !== undefined;
  }

  /** SIGTERM, grace period, SIGKILL. The namespace stays: `remove` takes it, after the agent has let go of the device. */
  stop(graceMs = this.graceMs()): Promise<void> {
    this.stopping ??= this.stopContainers(graceMs);
    return this.stopping;
  }

  /** Takes away what is left of it: programs, volumes, files, namespace. */
  async remove(): Promise<void> {
    this.containers.close();
    if (this.pod.spec.hostNetwork !== true) {
      for (const pid of await processesIn(this.netns)) {
        try {
          process.kill(pid, "SIGKILL"); // whatever was left in there, such as an `exec` shell
        } catch {
          // gone meanwhile
        }
      }
    }
    await this.volumes.remove();
    await rm(this.stateDir(), { recursive: true, force: true });
    if (this.pod.spec.hostNetwork !== true) await deleteNamespaces([this.netns]);
  }

  logTimes(container: string): LogTimes {
    return this.containers.logTimes(container);
  }

  logFile(container: string): string {
    return `${this.stateDir()}/${container}.log`;
  }

  processOf(container: string): ManagedProcess | undefined {
    return this.containers.processOf(container);
  }

  inputOf(container: string): Writable | undefined {
    return this.containers.inputOf(container);
  }

  /** How a program gets to where the container's is; undefined: it was not started yet. */
  entranceOf(container: string): Entrance | undefined {
    if (!this.containers.hasBegun(container)) return undefined;
    const base = `${this.stateDir()}/${container}`;
    return { words: joinWords(base, this.netns), env: containerEnvironment(base) };
  }

  /** What runs, for `lab status`. */
  processes(): { container: string; process: ManagedProcess | undefined }[] {
    return this.containers.processes();
  }

  /** How long it has to end when it is deleted. */
  private graceMs(): number {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.pod.metadata;
    if (deletionTimestamp === undefined) return 0; // taken out of the objects at once (--grace-period 0)
    const seconds = deletionGracePeriodSeconds ?? this.pod.spec.terminationGracePeriodSeconds ?? 30;
    return Math.min(seconds * 1000, this.host.graceMaxMs);
  }

  /** How long it has where nobody says another time. */
  private graceOf(): number {
    return Math.min((this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1000, this.host.graceMaxMs);
  }

  private async stopContainers(graceMs: number): Promise<void> {
    clearTimeout(this.retry);
    clearTimeout(this.deadline);
    await this.containers.stop(Date.now() + graceMs);
  }

  /** Tells its status and where its device is, if either is another than before. */
  private publish(): void {
    const { pod } = this;
    const status = podStatus(
      {
        pod,
        hostAddress: this.node.address,
        startedAtMs: this.startedAtMs,
        failure: this.failure?.message,
        ...(this.failure === undefined ? {} : { failureReason: this.failure.reason }),
        ...this.containers.views(pod),
        verdict: this.verdict,
        isLost: this.host.isLost(this.node),
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
