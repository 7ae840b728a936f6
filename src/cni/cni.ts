/**
 * The verbs of the container networking specification, on the node whose agent this is: a lease, an interface in the
 * container's namespace, and its port in the plane. Calls for one container come one after the other, others beside
 * each other; what was begun and could not be ended is taken back, at once, by DEL, or when the agent starts again.
 */
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import { macOf } from "../compile/mac.ts";
import { type AttachedPods, podKey } from "./attached-pods.ts";
import { CniCode, CniError } from "./cni-error.ts";
import type { ContainerNetwork } from "./container-network.ts";
import type { Fields } from "./fields.ts";
import type { CniHost, CniNode } from "./host.ts";
import { checkHostPorts } from "./host-port-check.ts";
import type { Lease, LeaseName, LeasePod, Leases } from "./leases.ts";
import { mtuProblem, type NetworkConfig, networkName, readNetwork } from "./network-config.ts";
import type { CniRequest } from "./request.ts";
import { requestedAddresses, requestedMac } from "./requested.ts";
import { addResult, containerAddresses } from "./result.ts";
import { sameAsResult } from "./same-as-result.ts";
import { readValidAttachments } from "./valid-attachments.ts";

export interface CniParts {
  readonly host: CniHost;
  readonly network: ContainerNetwork;
  readonly pods: AttachedPods;
  /** Throws where leases cannot be read. */
  readonly leases: () => Leases;
}

export class Cni {
  readonly #host: CniHost;
  readonly #network: ContainerNetwork;
  readonly #pods: AttachedPods;
  readonly #leases: () => Leases;
  /** What is being done for each container. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor({ host, network, pods, leases }: CniParts) {
    this.#host = host;
    this.#network = network;
    this.#pods = pods;
    this.#leases = leases;
  }

  /**
   * After a start: interfaces that are there go on, what was half made or has lost its container is taken away. What of
   * it cannot be (a disk is full, say) is told and left to DEL, GC or the next start: the others' network comes first.
   */
  async resume(): Promise<void> {
    for (const lease of this.#leases().list()) {
      await this.#resumeOne(lease).catch((error: Error) =>
        this.#host.note(`${lease.containerId}: ${error.message}`),
      );
    }
  }

  async #resumeOne(lease: Lease): Promise<void> {
    const isThere = lease.isComplete && (await this.#network.isNamespace(lease.netns));
    if (isThere) void this.#host.follow(this.#pods.attach(lease));
    else await this.#turn(lease.containerId, () => this.#undo(lease));
  }

  /** What goes to standard output, undefined: nothing. gone: nobody waits for the answer any more. */
  async run(request: CniRequest, version: string, gone: AbortSignal): Promise<Fields | undefined> {
    const { command, containerId } = request;
    if (command === "STATUS") return this.#status();
    if (command === "GC") return this.#collect(request);
    return this.#turn(containerId, () => {
      if (command === "ADD") return this.#add(request, version, gone);
      return command === "DEL" ? this.#delete(request) : this.#check(request);
    });
  }

  async #turn<T>(containerId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(containerId) ?? Promise.resolve();
    const mine = before.then(work);
    const done = mine.catch(() => {});
    this.#turns.set(containerId, done);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(containerId) === done) this.#turns.delete(containerId);
    }
  }

  #node(): CniNode {
    const { node, problem } = this.#host;
    if (node !== undefined) return node;
    throw new CniError(CniCode.TRY_AGAIN_LATER, `the agent is not ready yet: ${problem}`);
  }

  async #add(request: CniRequest, version: string, gone: AbortSignal): Promise<Fields> {
    const { ifname, netns, args, config } = request;
    const network = readNetwork(config, args, ifname);
    const node = this.#node();
    checkWaits(gone);
    await this.#clear(request, network);
    if (!(await this.#network.isNamespace(netns))) {
      throw new CniError(CniCode.INVALID_ENVIRONMENT, `CNI_NETNS "${netns}" is no network namespace`);
    }
    if (await this.#network.isOwn(netns)) {
      throw new CniError(CniCode.INVALID_ENVIRONMENT, `CNI_NETNS "${netns}" is the node's own network`);
    }
    const pod = podOf(args);
    if (pod !== null && !(await this.#host.knows(pod, gone))) {
      const message = `pod ${pod.namespace}/${pod.name} (${pod.uid}) has not come from the API server yet`;
      throw new CniError(CniCode.TRY_AGAIN_LATER, message);
    }
    const lease = await this.#take(request, network, node, pod);
    try {
      return await this.#make(lease, network, node, version, gone);
    } catch (error) {
      await this.#undo(lease).catch((left: Error) =>
        this.#host.note(`${lease.containerId}: ${left.message}`),
      );
      throw error;
    }
  }

  /** An ADD before this one that was not ended is undone; one that was is the runtime's mistake. */
  async #clear(request: CniRequest, { name }: NetworkConfig): Promise<void> {
    const { containerId, ifname } = request;
    for (const lease of this.#leases()
      .list()
      .filter((each) => each.containerId === containerId)) {
      if (!lease.isComplete) {
        await this.#undo(lease);
      } else if (lease.network === name && lease.ifname === ifname) {
        const message = `container ${containerId} has ${ifname} already: DEL it first`;
        throw new CniError(CniCode.ALREADY_THERE, message);
      } else {
        const has = `container ${containerId} has ${lease.ifname} of network ${lease.network}`;
        throw new CniError(CniCode.ALREADY_THERE, `${has}: podwire gives a container one interface`);
      }
    }
  }

  #take(request: CniRequest, network: NetworkConfig, node: CniNode, pod: LeasePod | null): Promise<Lease> {
    const { containerId, ifname, netns } = request;
    const name: LeaseName = { network: network.name, containerId, ifname };
    const annotations = this.#pods.object(podKey({ pod, containerId }))?.metadata.annotations;
    const ips = requestedAddresses(network, annotations, node.ranges);
    const mac = requestedMac(network, annotations);
    const leases = this.#leases();
    checkHostPorts(network.hostPorts, {
      node,
      leases: leases.list(),
      host: this.#host,
      own: podKey({ pod, containerId }),
    });
    const wanted = {
      ...{ ...name, netns, pod, ips, hostPorts: network.hostPorts, bandwidth: network.bandwidth },
      mac: (given: readonly Ip[]) => mac ?? textOf(macOf(given)),
    };
    return leases.take(wanted, node.ranges, this.#host.otherAddresses());
  }

  async #make(
    lease: Lease,
    { mtu = 0, sysctls, dns, prevResult }: NetworkConfig,
    node: CniNode,
    version: string,
    gone: AbortSignal,
  ): Promise<Fields> {
    const addresses = containerAddresses(lease.ips, node.ranges);
    const size = mtu === 0 ? node.mtu : mtu;
    const why = mtuProblem(
      size,
      node.mtu,
      lease.ips.flatMap((text) => parseIp(text) ?? []),
    );
    if (why !== "") throw new CniError(CniCode.INVALID_CONFIG, `mtu: ${why}`);
    const { netns, ifname, mac } = lease;
    await this.#network.create({ netns, ifname, mac, mtu: size, addresses, sysctls });
    await this.#host.follow(this.#pods.attach(lease));
    const problem = this.#host.portProblem(podKey(lease));
    if (problem !== "") throw new CniError(CniCode.INTERFACE_FAILED, `${netns}: ${ifname}: ${problem}`);
    checkWaits(gone);
    const done = await this.#leases().complete(lease);
    this.#pods.attach(done);
    return addResult(version, done, size, addresses, dns, prevResult);
  }

  /** Out of the plane, away with the interface, and the addresses are free: in this order, each as often as needed. */
  async #undo(lease: Lease): Promise<void> {
    const { netns, ifname, mac } = lease;
    await this.#host.follow(this.#pods.detach(lease));
    if (await this.#network.isNamespace(netns)) await this.#network.remove(netns, ifname, mac);
    await this.#leases().release(lease);
  }

  /** Of whichever network: its name may be another one since ADD, and a container has no two interfaces of one name. */
  async #delete({ containerId, ifname, config }: CniRequest): Promise<undefined> {
    networkName(config); // has to be there
    const lease = this.#leases()
      .list()
      .find((each) => each.containerId === containerId && each.ifname === ifname);
    if (lease !== undefined) await this.#undo(lease);
  }

  async #check(request: CniRequest): Promise<undefined> {
    const { containerId, ifname, netns, args, config } = request;
    const { name: network, prevResult } = readNetwork(config, args, ifname);
    if (prevResult === undefined) {
      throw new CniError(CniCode.INVALID_CONFIG, "prevResult: CHECK compares with it, and it is missing");
    }
    const different = (what: string): CniError => {
      return new CniError(CniCode.NOT_AS_IT_WAS, `container ${containerId}: ${what}`);
    };
    const lease = this.#leases().get({ network, containerId, ifname });
    if (lease === undefined || !lease.isComplete) throw different(`${ifname}: no addresses are kept for it`);
    const problem = this.#host.portProblem(podKey(lease));
    if (problem !== "") throw different(`${ifname}: ${problem}`);
    if (!(await this.#network.isNamespace(netns))) throw different(`${netns} is no network namespace`);
    const facts = await this.#network.read(netns, ifname);
    if (facts === undefined) throw different(`${ifname} is gone from ${netns}`);
    const wrong = sameAsResult(prevResult, lease, facts);
    if (wrong !== "") throw different(`${ifname}: ${wrong}`);
  }

  async #collect({ config }: CniRequest): Promise<undefined> {
    const network = networkName(config);
    const valid = readValidAttachments(config);
    const stale = this.#leases()
      .list()
      .filter((each) => each.network === network && !valid.has(`${each.containerId} ${each.ifname}`));
    const problems: string[] = [];
    for (const lease of stale) {
      await this.#turn(lease.containerId, () => this.#undo(lease)).catch((error: Error) => {
        problems.push(error.message);
      });
    }
    if (problems.length > 0) throw new CniError(CniCode.SEVERAL, problems.join("; "));
  }

  #status(): undefined {
    const { node, problem } = this.#host;
    const fail = (why: string, code: CniCode = CniCode.NOT_AVAILABLE): never => {
      throw new CniError(code, why);
    };
    if (node === undefined) return fail(`the agent is not ready yet: ${problem}`);
    let leases: Leases;
    try {
      leases = this.#leases();
    } catch (error) {
      return fail((error as Error).message, CniCode.LIMITED); // nobody knows whose the interfaces are that are there
    }
    for (const range of node.ranges) {
      if (leases.free(range, this.#host.otherAddresses()) > 0) continue;
      fail(`all addresses of ${formatIp(range)}/${range.prefixLen} are taken`);
    }
  }
}

/** Of a runtime that gave up the call only DEL will come, which may have come already. */
function checkWaits(gone: AbortSignal): void {
  if (gone.aborted) throw new CniError(CniCode.TRY_AGAIN_LATER, "the runtime does not wait any more");
}

/** Whose sandbox a Kubernetes runtime says it is. */
function podOf(args: ReadonlyMap<string, string>): LeasePod | null {
  const [namespace = "", name = ""] = [args.get("K8S_POD_NAMESPACE"), args.get("K8S_POD_NAME")];
  if (namespace === "" || name === "") return null;
  return { namespace, name, uid: args.get("K8S_POD_UID") ?? "" };
}

function textOf({ hi, lo }: { hi: number; lo: number }): string {
  return formatMac(hi, lo);
}
