/**
 * The NIC that the agent shares with the kernel. Each packet that comes in has one taker: the socket's filter gives the
 * plane what is the plane's, and a table at netdev ingress, which goes with this process, drops the kernel's copies of
 * just that. Both follow services, addresses and routes as they change; what the kernel knows of its network is looked at
 * twenty times a second.
 */
import { PodwireError } from "../../base/errors.ts";
import { formatIp } from "../../base/ip.ts";
import type { KernelLink, KernelNeighbor, KernelNetwork } from "../../base/kernel-network.ts";
import { type Taken, unitePorts } from "../../base/taken.ts";
import { hostDevice, hostDeviceLines } from "../../compile/host-device.ts";
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
import { runIn } from "./run-ip.ts";

const LOOK_MS = 50;
const TABLE = "podwire";

export class SharedUplink {
  readonly #native: Native;
  readonly #config: AgentConfig;
  readonly #reader: KernelReader;
  readonly #table: TakenTable;
  readonly #served = new Map<number, readonly ServedPort[]>();
  #neighbors = new Map<string, KernelNeighbor>();
  #fd = -1;
  #kernel: KernelNetwork;
  #link: KernelLink;
  #taken: Taken | undefined;
  /** Something has changed that what is taken depends on, beside the topology. */
  #isDue = true;
  #topology: NodeTopology | undefined;
  #device = "";
  #look: NodeJS.Timeout | undefined;
  /** As the plane has to know it; another object whenever it changes. */
  machine: MachineNetwork;
  /** Called when `machine` or `mtu` has changed. */
  onChange: () => void = () => {};
  /** Called with what the kernel has learnt of its neighbours on the NIC, and which it knows no more. */
  onNeighbors: (known: KernelNeighbor[], gone: KernelNeighbor[]) => void = () => {};
  /** Called when the device is another one by now. */
  onLost: (error: Error) => void = () => {};

  constructor(native: Native, config: AgentConfig) {
    const { netns, uplink } = config;
    this.#native = native;
    this.#config = config;
    this.#reader = new KernelReader(native, netns);
    this.#kernel = this.#reader.read();
    this.#link = this.#found();
    this.machine = this.#machine();
    this.#table = new TakenTable(new Netlink(native, netns, NETLINK_NETFILTER), TABLE, uplink.interface);
  }

  get mtu(): number {
    return this.#link.mtu;
  }

  #machine(): MachineNetwork {
    const { uplink, host } = this.#config;
    return machineNetwork(this.#kernel, { uplink: uplink.interface, host: host.interface }, this.#config);
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
      const changes = this.#reader.changes();
      if (changes.neighbors) this.#followNeighbors();
      if (!changes.network) return;
      this.#kernel = this.#reader.read();
      const link = this.#found();
      if (link.index !== this.#link.index || link.mac !== this.#link.mac) {
        const what = `uplink ${link.name} is another device by now, or has another MAC address`;
        throw new PodwireError(`${what}: the agent has to start anew`, { code: "UPLINK_GONE" });
      }
      const machine = this.#machine();
      const isSame = JSON.stringify(machine) === JSON.stringify(this.machine) && link.mtu === this.mtu;
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
    this.#take(takenOf({ config: this.#config, machine, podCidrs, masqueradePorts, served }));
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
      const how = "a shared uplink needs nftables with owned tables at netdev ingress (Linux 5.12)";
      const message = `${(cause as Error).message}: ${how}, and one agent a network: uplink.mode: exclusive does without`;
      throw new PodwireError(message, { code: "UPLINK_TABLE", cause });
    }
  }

  async #giveHost(topology: NodeTopology): Promise<void> {
    const { host, netns } = this.#config;
    const name = host.interface;
    const wanted = hostDevice(this.#config, topology);
    const key = JSON.stringify([wanted.addresses, [...wanted.routes]]);
    if (key === this.#device) return;
    const kernel = this.#reader.read();
    const index = kernel.links.find((link) => link.name === name)?.index;
    const addresses = kernel.addresses
      .filter(({ link, isGlobal }) => link === index && isGlobal)
      .map(({ address, prefixLen }) => ({ ...address, prefixLen }));
    const routes = kernel.routes.filter(({ link, to }) => link === index && to.w0 >>> 22 !== 0x3fa);
    const lines = hostDeviceLines(name, wanted, { addresses, routes: routes.map(({ to }) => to) });
    await runIn(netns, ["ip", "-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
    this.#device = key;
  }

  /** Why pods and services would not be reached as their node; "": nothing is wrong. */
  complaint(topology: NodeTopology | undefined): string {
    const address = topology?.own.addresses[0];
    if (address === undefined) return "";
    const text = formatIp(address);
    const holder = this.#kernel.addresses.find((each) => formatIp(each.address) === text);
    if (holder?.link === this.#link.index) return "";
    const where = this.#kernel.links.find(({ index }) => index === holder?.link)?.name;
    const is = where === undefined ? "no device of this machine has it" : `${where} has it`;
    const what = `uplink ${this.#link.name} does not have the node's address ${text}, ${is}`;
    return `${what}: name the device that has it as uplink.interface, or mend the Node object`;
  }

  close(): void {
    clearInterval(this.#look);
    this.#reader.close();
    this.#table.close();
  }
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
  return { ...b, whole: [...a.whole, ...b.whole], groups };
}
