/**
 * The NIC that the agent shares with the kernel. Each packet that comes in has one taker: the socket's filter gives the
 * plane what is the plane's, and a table at netdev ingress, which goes with this process, drops the kernel's copies of
 * just that. Both follow services, addresses and routes as they change; what the kernel knows of its network is looked at
 * twenty times a second.
 */
import { PodwireError } from "../../base/errors.ts";
import { type Cidr, formatCidr, formatIp, type Ip, sameIp } from "../../base/ip.ts";
import type { KernelLink, KernelNeighbor, KernelNetwork, KernelRoute } from "../../base/kernel-network.ts";
import { gatherPeers, type Taken, unitePorts } from "../../base/taken.ts";
import { type HostDevice, hostDevice, hostDeviceLines } from "../../compile/host-device.ts";
import type { NodeTopology } from "../../compile/node.ts";
import {
  type MachineNetwork,
  machineNetwork,
  type ServedPort,
  servedPorts,
  takenOf,
} from "../../compile/shared-uplink.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ServiceUpdate } from "../../dataplane/spec/services.ts";
import { KernelReader } from "../../device/netlink/kernel-network.ts";
import { Netlink } from "../../device/netlink/netlink.ts";
import { takenFilter } from "../../device/taken-filter.ts";
import { NETLINK_NETFILTER, TakenTable } from "../../device/taken-table.ts";
import { errnoName, type Native } from "../../native/binding.ts";
import type { PortlessPeers } from "./portless-peers.ts";
import { runIn } from "./run-ip.ts";
import { hasFrames } from "./settle-uplink.ts";

const LOOK_MS = 50;
const AGAIN_MS = 200;
const TABLE = "podwire";
/** The first ten bits of IPv6's. */
const LINK_LOCAL = 0x3fa;

/** host0 as the kernel has it. */
interface HostState {
  readonly link: KernelLink | undefined;
  readonly addresses: readonly (Ip & { prefixLen: number })[];
  readonly routes: readonly KernelRoute[];
}

export class SharedUplink {
  readonly #native: Native;
  readonly #config: AgentConfig;
  readonly #reader: KernelReader;
  readonly #table: TakenTable;
  readonly #portless: PortlessPeers;
  readonly #served = new Map<number, readonly ServedPort[]>();
  #neighbors = new Map<string, KernelNeighbor>();
  #fd = -1;
  #kernel: KernelNetwork;
  #link: KernelLink;
  #taken: Taken | undefined;
  /** Something has changed that what is taken depends on, beside the topology. */
  #isDue = true;
  /** Pods speak to others without ports. */
  #isUnsettled = false;
  #topology: NodeTopology | undefined;
  #device: HostDevice | undefined;
  #deviceKey = "";
  #hostIndex: number | undefined;
  #look: NodeJS.Timeout | undefined;
  /** As the plane has to know it; another object whenever it changes. */
  machine: MachineNetwork;
  /** Called when `machine` or `mtu` has changed. */
  onChange: () => void = () => {};
  /** Called with what the kernel has learnt of its neighbours on the NIC, and which it knows no more. */
  onNeighbors: (known: KernelNeighbor[], gone: KernelNeighbor[]) => void = () => {};
  onNote: (text: string) => void = () => {};
  /** Called when the device is another one by now. */
  onLost: (error: Error) => void = () => {};

  constructor(native: Native, config: AgentConfig, portless: PortlessPeers) {
    const { netns, uplink } = config;
    this.#portless = portless;
    this.#native = native;
    this.#config = config;
    this.#reader = new KernelReader(native, netns);
    this.#kernel = this.#reader.read();
    this.#link = this.#found();
    this.machine = this.#machine();
    this.#table = this.#openTable(netns, uplink.interface);
  }

  #openTable(netns: string, device: string): TakenTable {
    try {
      return new TakenTable(new Netlink(this.#native, netns, NETLINK_NETFILTER), TABLE, device);
    } catch (cause) {
      throw tableError(cause as Error);
    }
  }

  /** Throws where the kernel cannot drop what is the plane's: better now than when the machine has been changed. */
  tryTable(): void {
    const ids = this.#config.uplink.masqueradePorts;
    this.#drop({ whole: [], groups: [], tunnelPort: 0, ids, answers: [] });
  }

  get mtu(): number {
    return this.#link.mtu;
  }

  #machine(): MachineNetwork {
    const { uplink, host } = this.#config;
    return machineNetwork(this.#kernel, { uplink: uplink.interface, host: host.interface }, this.#config);
  }

  /** Of the machine's own addresses those that the kernel takes as sources now. */
  #usable({ addresses }: KernelNetwork): Ip[] {
    const isOwn = (address: Ip): boolean => this.machine.local.some((each) => sameIp(each, address));
    return addresses.flatMap(({ address, isUsable }) => (isUsable && isOwn(address) ? [address] : []));
  }

  #found(): KernelLink {
    const { uplink } = this.#config;
    const link = this.#kernel.links.find(({ name }) => name === uplink.interface);
    if (link !== undefined) return link;
    throw new PodwireError(`uplink ${uplink.interface} is not there (any more)`, { code: "UPLINK_GONE" });
  }

  /** The socket's descriptor, which receives nothing yet. */
  opened(fd: number): void {
    this.#fd = fd;
    this.#look = setInterval(() => this.#follow(), LOOK_MS);
    this.#look.unref();
    this.#followNeighbors();
  }

  #followNeighbors(): void {
    const all = this.#reader.neighbors().filter(({ link }) => link === this.#link.index);
    const now = new Map(all.map((each) => [formatIp(each.address), each]));
    const before = this.#neighbors;
    this.#neighbors = now;
    const isKnown = ([text, each]: [string, KernelNeighbor]): boolean => isSame(before.get(text), each);
    const known = [...now].filter((each) => !isKnown(each)).map(([, each]) => each);
    const gone = [...before].filter(([text, { isStatic }]) => isStatic && now.get(text)?.isStatic !== true);
    const left = gone.map(([, each]) => each);
    if (known.length + left.length > 0) this.onNeighbors(known, left);
  }

  #follow(): void {
    try {
      if (this.#portless.look(performance.now())) {
        this.#isUnsettled = true;
        this.#isDue = true;
        this.onChange();
      }
      const changes = this.#reader.changes();
      if (changes.neighbors) this.#followNeighbors();
      if (!changes.network) return;
      const usable = JSON.stringify(this.#usable(this.#kernel));
      this.#kernel = this.#reader.read();
      const link = this.#found();
      if (link.index !== this.#link.index || link.mac !== this.#link.mac) {
        const what = `uplink ${link.name} is another device by now, or has another MAC address`;
        throw new PodwireError(`${what}: the agent has to start anew`, { code: "UPLINK_GONE" });
      }
      const machine = this.#machine();
      const isSame =
        JSON.stringify(machine) === JSON.stringify(this.machine) &&
        usable === JSON.stringify(this.#usable(this.#kernel)) &&
        link.mtu === this.mtu;
      this.#link = link;
      if (isSame) return;
      this.machine = machine;
      this.#isDue = true;
      this.onChange();
    } catch (error) {
      clearInterval(this.#look);
      this.onLost(error as Error);
    }
  }

  update({ upsert, remove }: ServiceUpdate): void {
    for (const id of remove) if (this.#served.delete(id)) this.#isDue = true;
    for (const spec of upsert) {
      const served = servedPorts(spec);
      const before = this.#served.get(spec.id) ?? [];
      if (served.length > 0) this.#served.set(spec.id, served);
      else this.#served.delete(spec.id);
      // Mostly endpoints change, which makes no difference here.
      if (served.length + before.length > 0 && JSON.stringify(served) !== JSON.stringify(before))
        this.#isDue = true;
    }
  }

  /** Brings host0, the socket's filter and the kernel's table up to date. */
  async sync(topology: NodeTopology): Promise<void> {
    if (!this.#isDue && topology === this.#topology) return;
    this.#isDue = false;
    this.#topology = topology;
    await this.#giveHost(topology);
    const { machine } = this;
    const { masqueradePorts } = this.#config.uplink;
    const served = [...this.#served.values()].flat();
    const { podCidrs } = topology.own;
    if (this.#isUnsettled) await this.#settle();
    const { answers } = this.#portless;
    this.#take(takenOf({ config: this.#config, machine, podCidrs, masqueradePorts, served, answers }));
  }

  async #settle(): Promise<void> {
    this.#isUnsettled = false;
    const { netns } = this.#config;
    const said = await this.#portless.settle((argv) => runIn(netns, argv, { mayFail: true }));
    if (said !== "") this.onNote(said);
  }

  /** What is new is dropped before the plane has it, and what is old as long: nothing has two takers. */
  #take(taken: Taken): void {
    if (JSON.stringify(taken) === JSON.stringify(this.#taken)) return;
    const before = this.#taken;
    this.#drop(before === undefined ? taken : (united(before, taken) ?? taken));
    const set = this.#native.packetFilter(this.#fd, takenFilter(taken));
    if (set < 0) throw new PodwireError(`the uplink's filter: ${errnoName(set)}`, { code: "UPLINK_FILTER" });
    this.#drop(taken);
    this.#taken = taken;
  }

  #drop(taken: Taken): void {
    try {
      this.#table.drop(taken);
    } catch (cause) {
      throw tableError(cause as Error);
    }
  }

  async #giveHost(topology: NodeTopology): Promise<void> {
    const wanted = hostDevice(this.#config, topology, this.#usable(this.#kernel));
    const key = JSON.stringify([wanted.addresses, [...wanted.routes], this.mtu]);
    if (key === this.#deviceKey) return;
    const isFirst = this.#device === undefined;
    this.#device = wanted;
    this.#deviceKey = key;
    await this.#setHost(wanted).catch((error: Error) => {
      if (isFirst) throw error;
      this.#again();
    });
  }

  /** An address that went while it was made a route's source: what is there by now is looked at once more. */
  #again(): void {
    this.#deviceKey = "";
    this.#isDue = true;
    setTimeout(() => this.onChange(), AGAIN_MS).unref();
  }

  async #setHost(wanted: HostDevice): Promise<void> {
    const { host, netns } = this.#config;
    const { link, addresses, routes } = this.#hostOf(this.#reader.read());
    const at = { addresses, routes: routes.map(({ to }) => to) };
    const isRight = link?.isUp === true && link.mtu === this.mtu;
    const lines = [
      ...(isRight ? [] : [`link set ${host.interface} mtu ${this.mtu} up`]),
      ...hostDeviceLines(host.interface, wanted, at),
    ];
    await runIn(netns, ["ip", "-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
  }

  #hostOf({ links, addresses, routes }: KernelNetwork): HostState {
    const link = links.find(({ name }) => name === this.#config.host.interface);
    // IPv6's routes to its own addresses are the kernel's.
    const isKernels = ({ w0, family, prefixLen }: Cidr): boolean =>
      family === 6 && (w0 >>> 22 === LINK_LOCAL || prefixLen === 128);
    return {
      link,
      addresses: addresses
        .filter((each) => each.link === link?.index && each.isGlobal)
        .map(({ address, prefixLen }) => ({ ...address, prefixLen })),
      routes: routes.filter((each) => each.link === link?.index && !isKernels(each.to)),
    };
  }

  /** What somebody has taken of host0, for people; "": nothing. Throws when it is another device by now. */
  missingOfHost(network: KernelNetwork): string {
    if (this.#device === undefined) return "";
    const name = this.#config.host.interface;
    const { link, addresses, routes } = this.#hostOf(network);
    this.#hostIndex ??= link?.index;
    if (link === undefined || link.index !== this.#hostIndex) {
      const message = `${name} is gone: somebody removed it, and the agent has to start anew`;
      throw new PodwireError(message, { code: "HOST_GONE" });
    }
    const there = new Set(addresses.map((each) => `${formatIp(each)}/${each.prefixLen}`));
    const ways = new Set(routes.map(({ to }) => formatCidr(to)));
    const gone = [
      ...(link.isUp ? [] : ["that it is up"]),
      ...this.#device.addresses.filter((address) => !there.has(address)),
      ...[...this.#device.routes.keys()].filter((range) => !ways.has(range)).map((range) => `route ${range}`),
    ];
    return gone.length === 0 ? "" : `of ${name}: ${gone.join(", ")}`;
  }

  /** Answers what was missing. */
  async putBack(): Promise<string> {
    const gone = this.missingOfHost(this.#reader.read());
    if (gone !== "" && this.#device !== undefined)
      await this.#setHost(this.#device).catch(() => this.#again());
    return gone;
  }

  /** Who has the node's address. */
  #holder({ own }: NodeTopology): { link: KernelLink; isOther: boolean } | undefined {
    const { addresses, links } = this.#kernel;
    const text = own.addresses.slice(0, 1).map(formatIp)[0];
    const found = addresses.find(({ address }) => formatIp(address) === text);
    const link = links.find(({ index }) => index === found?.link);
    if (found === undefined || link === undefined) return undefined;
    // One that is alone, on lo or a dummy device, is reached by routes that lead to any NIC.
    const isAlone = found.prefixLen === (found.address.family === 4 ? 32 : 128);
    return { link, isOther: found.link !== this.#link.index && !isAlone };
  }

  /** The NIC that has the node's address, where that is another one; "": there is none. */
  elsewhere(topology: NodeTopology): string {
    const holder = this.#holder(topology);
    return holder?.isOther === true && hasFrames(holder.link) ? holder.link.name : "";
  }

  /** Why pods and services would not be reached as their node; "": nothing is wrong. */
  complaint(topology: NodeTopology): string {
    const [address] = topology.own.addresses;
    const holder = this.#holder(topology);
    if (address === undefined || holder?.isOther === false) return "";
    const is = holder === undefined ? "no device of this machine has it" : `${holder.link.name} has it`;
    const what = `uplink ${this.#link.name} does not have the node's address ${formatIp(address)}, ${is}`;
    if (holder !== undefined && !hasFrames(holder.link))
      return `${what}: that carries no Ethernet frames: give the Node an InternalIP of a NIC`;
    return `${what}: name the device that has it as uplink.interface, or mend the Node object`;
  }

  /** What pods do not reach, since the kernel reaches it by another device, for people; "": nothing. */
  get unreached(): string {
    const lines = ([4, 6] as const).flatMap((family) => {
      const ways = this.#kernel.routes
        .filter((route) => route.family === family && route.to.prefixLen === 0)
        .sort((a, b) => a.metric - b.metric);
      const by = this.#kernel.links.find(({ index }) => index === ways[0]?.link)?.name;
      return by === undefined || by === this.#link.name
        ? []
        : [`IPv${family}'s default route leads by ${by}`];
    });
    if (lines.length === 0) return "";
    return `pods do not reach what is outside of ${this.#link.name}'s networks: ${lines.join(", ")}`;
  }

  close(): void {
    clearInterval(this.#look);
    this.onChange = () => {};
    this.#reader.close();
    this.#table.close();
  }
}

function tableError(cause: Error): PodwireError {
  const how = "a shared uplink needs nftables with owned tables at netdev ingress (Linux 5.12)";
  const alone = `one agent a network, and no table netdev ${TABLE} of somebody else's`;
  const message = `${cause.message}: ${how}, ${alone}: uplink.mode: exclusive does without`;
  return new PodwireError(message, { code: "UPLINK_TABLE", cause });
}

function isSame(a: KernelNeighbor | undefined, b: KernelNeighbor): boolean {
  return a?.macHi === b.macHi && a.macLo === b.macLo && a.isStatic === b.isStatic;
}

/** What either takes; undefined: they are about other addresses. */
function united(a: Taken, b: Taken): Taken | undefined {
  const addressesOf = ({ groups }: Taken): string => JSON.stringify(groups.map(({ addresses }) => addresses));
  if (addressesOf(a) !== addressesOf(b)) return undefined;
  const groups = b.groups.map(({ addresses, ports }, i) => ({
    addresses,
    ports: unitePorts(a.groups[i].ports, ports),
  }));
  const answers = gatherPeers([...a.answers, ...b.answers]);
  return { ...b, whole: [...a.whole, ...b.whole], groups, answers };
}
