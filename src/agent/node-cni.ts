/** CNI on this node: the verbs, wired to the agent. Leases are read when it starts; what is wrong with them is told. */
import { mkdir, open, rename } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { contains, formatCidr, type Ip, parseIp } from "../base/ip.ts";
import { answerCni, type CniAnswer } from "../cni/answer.ts";
import { AttachedPods } from "../cni/attached-pods.ts";
import { Cni } from "../cni/cni.ts";
import { IpContainerNetwork } from "../cni/container-network.ts";
import type { CniHost, CniNode } from "../cni/host.ts";
import { type LeasePod, Leases } from "../cni/leases.ts";
import { servedHostPorts } from "../compile/host-ports.ts";
import { type NodeTopology, podMtu } from "../compile/node.ts";
import type { ProxySettings } from "../compile/proxy-settings.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { PodHostPort } from "../kube/host-ports.ts";
import type { DesiredState, ObjectEvent } from "../watch/desired-state.ts";

/** How long a pod's object may take to come, once its sandbox is made. */
const OBJECT_MS = 5000;
const LOOK_MS = 20;

/** What it needs of the agent. */
export interface AgentParts {
  readonly state: DesiredState;
  /** Of the uplink. */
  mtu(): number;
  topology(): NodeTopology | undefined;
  settings(): ProxySettings;
  /** Why the node is not ready; "": it is. */
  problem(): string;
  follow(event: ObjectEvent): Promise<void>;
  /** The pod's port: why it is not open. undefined: there is none. */
  portError(podKey: string): string | undefined;
  note(text: string): void;
}

export class NodeCni implements CniHost {
  readonly #config: AgentConfig;
  readonly #agent: AgentParts;
  readonly #pods: AttachedPods;
  readonly #cni: Cni;
  readonly #network: IpContainerNetwork;
  readonly #leases: Leases | Error;
  readonly #started: Promise<void>;
  #start: (begun: Promise<void>) => void = () => {};

  constructor(config: AgentConfig, leaseFile: string, agent: AgentParts) {
    this.#config = config;
    this.#agent = agent;
    this.#started = new Promise((resolve) => {
      this.#start = resolve;
    });
    this.#pods = new AttachedPods(config.nodeName, "kubernetes" in config.source);
    this.#leases = readLeases(leaseFile);
    this.#network = new IpContainerNetwork(config.netns, `${leaseFile}.lock`);
    this.#cni = new Cni({
      host: this,
      network: this.#network,
      pods: this.#pods,
      leases: () => this.#known(),
    });
  }

  /**
   * Goes on with what was there before this start; nothing is done before. `ports`: the node's devices are this agent's;
   * a second one, started by mistake, finds them busy and leaves the first one's leases alone.
   */
  start(ports: Promise<void>): Promise<void> {
    this.#start(ports.then(() => this.#begin()));
    return this.#started;
  }

  async #begin(): Promise<void> {
    if (!(await this.#network.outlived())) this.note("a program that an earlier agent started has not ended");
    if (this.#leases instanceof Leases) await this.#cni.resume();
    else this.note(this.#leases.message);
  }

  /** What is wrong with it, a line each. */
  get complaints(): string[] {
    return this.#leases instanceof Leases ? this.strays : [this.#leases.message];
  }

  readonly answer = async (request: Buffer, gone: AbortSignal): Promise<CniAnswer> => {
    await this.#started;
    return answerCni(this.#cni, request, gone);
  };

  /** The source's event as the plane has to see it. */
  merged(event: ObjectEvent): ObjectEvent {
    return this.#pods.merged(event);
  }

  /** Its range may be another node's by now. */
  get #isNodeGone(): boolean {
    return !this.#agent.state.nodes.has(this.#config.nodeName);
  }

  /**
   * For people: containers with addresses of ranges that the node has no more, as when its object was made anew. Nobody
   * reaches them; kubelet, whose pods' objects went with the Node, takes them away.
   */
  get strays(): string[] {
    const ranges = this.#agent.topology()?.own.podCidrs ?? [];
    if (!(this.#leases instanceof Leases) || ranges.length === 0) return [];
    const isOutside = (text: string): boolean => {
      const address = parseIp(text) as Ip;
      return !ranges.some((range) => range.family === address.family && contains(range, address));
    };
    const strays = this.#leases.list().filter(({ ips }) => ips.some(isOutside));
    if (strays.length === 0) return [];
    const [{ pod, containerId, ips }] = strays;
    const first = pod === null ? `container ${containerId}` : `pod ${pod.namespace}/${pod.name}`;
    const what = `CNI: containers with addresses outside of the Node's podCIDRs ${ranges.map(formatCidr).join(", ")}`;
    return [`${what}: ${strays.length}, as ${first} (${ips.join(", ")}): delete their pods`];
  }

  get node(): CniNode | undefined {
    const topology = this.#agent.topology();
    if (topology === undefined || this.#agent.problem() !== "" || this.#isNodeGone) return undefined;
    const { own } = topology;
    return {
      ranges: own.podCidrs,
      mtu: podMtu(this.#config, own.addresses, this.#agent.mtu()),
      localIps: this.#agent.settings().localIps,
    };
  }

  get problem(): string {
    return this.#agent.problem() || `no Node object "${this.#config.nodeName}" yet`;
  }

  follow(event: ObjectEvent): Promise<void> {
    return this.#agent.follow(event);
  }

  /** Files tell what they tell; a server's pods come a moment after kubelet has them. */
  async knows(pod: LeasePod, gone: AbortSignal): Promise<boolean> {
    if ("files" in this.#config.source) return true;
    for (let waited = 0; waited < OBJECT_MS && !gone.aborted; waited += LOOK_MS) {
      const object = this.#pods.object(`${pod.namespace}/${pod.name}`);
      const { uid, annotations } = object?.metadata ?? {};
      if (object !== undefined && [uid, annotations?.[STATIC_POD], ""].includes(pod.uid)) return true;
      await sleep(LOOK_MS);
    }
    return false;
  }

  portProblem(podKey: string): string {
    return this.#agent.portError(podKey) ?? "has no port in the data plane";
  }

  otherAddresses(): readonly Ip[] {
    const leased = new Set(
      this.#known()
        .list()
        .flatMap(({ ips }) => ips),
    );
    return [...this.#agent.state.podsOn(this.#config.nodeName).values()]
      .filter(({ spec }) => spec.hostNetwork !== true)
      .flatMap(({ status }) => (status.podIPs ?? []).map(({ ip = "" }) => ip))
      .flatMap((text) => (leased.has(text) ? [] : (parseIp(text) ?? [])));
  }

  *hostPorts(): Generator<readonly [string, readonly PodHostPort[]]> {
    const { state } = this.#agent;
    for (const key of state.podsOn(this.#config.nodeName).keys()) {
      const ports = servedHostPorts(state, key, this.#config.nodeName);
      if (ports.length > 0) yield [key, ports];
    }
  }

  note(text: string): void {
    this.#agent.note(`CNI: ${text}`);
  }

  #known(): Leases {
    if (this.#leases instanceof Leases) return this.#leases;
    throw this.#leases;
  }
}

/** On the object that the API server has of a pod of kubelet's own: what kubelet calls its uid. */
const STATIC_POD = "kubernetes.io/config.hash";

function readLeases(file: string): Leases | Error {
  try {
    return new Leases(file, { mkdir, open, rename });
  } catch (error) {
    return error as Error;
  }
}
