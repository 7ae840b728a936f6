/**
 * The node's own network beside the plane: policy routing of its programs (host-routing), and, where the uplink is shared
 * with the kernel, host0, sysctls and who takes which packets. Prepared before the ports are opened.
 */
import { PodwireError } from "../../base/errors.ts";
import { formatIp, type Ip } from "../../base/ip.ts";
import type { KernelAddress, KernelNetwork } from "../../base/kernel-network.ts";
import { POD_GSO_MAX } from "../../base/superframe-limits.ts";
import { HOST_TABLE } from "../../compile/host-rules.ts";
import type { NodeTopology } from "../../compile/node.ts";
import type { ProxySettings } from "../../compile/proxy-settings.ts";
import { isForPods, type MachineNetwork } from "../../compile/shared-uplink.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ServiceUpdate } from "../../dataplane/spec/services.ts";
import { KernelReader } from "../../device/netlink/kernel-network.ts";
import { errnoName, type Native } from "../../native/binding.ts";
import type { PlaneMessage } from "../../plane/messages.ts";
import type { SharedTables } from "../../plane/plane-memory.ts";
import { Announcements } from "./announcements.ts";
import { HostRouting } from "./host-routing.ts";
import { KeptHost } from "./kept-host.ts";
import { PortlessPeers } from "./portless-peers.ts";
import { readRecord, recordWith, writeRecord } from "./record.ts";
import { lackOf } from "./routing-advice.ts";
import { runIn } from "./run-ip.ts";
import { SharedUplink } from "./shared-uplink.ts";
import { MachineSysctls } from "./sysctls.ts";

/** By which a device of the agent's is known. */
export const ALIAS = "podwire";
/** Another device has the node's address, and nobody named one: the next agent takes that. */
export const UPLINK_ELSEWHERE = "UPLINK_ELSEWHERE";

/** libpcap opens an interface where the thread is. */
export function enterForPcap(native: Native, netns: string): void {
  const entered = netns === "" ? 0 : native.enterNetns(netns);
  if (entered >= 0) return;
  const message = `${netns}: cannot enter (${errnoName(entered)}): the pcap driver has to be there`;
  throw new PodwireError(message, { code: "AGENT_NETNS", netns });
}

export function readNetwork(native: Native, netns: string): KernelNetwork {
  const reader = new KernelReader(native, netns);
  try {
    return reader.read();
  } finally {
    reader.close();
  }
}

interface Listener {
  /** The node's network cannot be changed; once for each problem. */
  problem(error: Error): void;
  /** For the log. */
  note(text: string): void;
  /** The agent cannot go on. */
  fatal(error: Error): void;
  /** The machine's addresses, routes or MTU have changed. */
  changed(): void;
  /** For the plane. */
  tell(message: PlaneMessage): void;
}

/** How often the kernel is asked whether it has told of a change. */
const LOOK_MS = 50;
/** Somebody who takes something once more is told of once more after that. */
const TELL_MS = 1000;
/** After what was taken has been put back it is looked at once more. */
const AGAIN_MS = 1000;

export class NodeNetwork {
  readonly #config: AgentConfig;
  readonly #native: Native;
  readonly #portless: PortlessPeers;
  readonly #routing: HostRouting;
  readonly #announcements: Announcements;
  #reader: KernelReader | undefined;
  #look: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #shared: SharedUplink | undefined;
  #moved = false;
  /** Somebody has taken something of the agent's. */
  #torn = false;
  /** Something happened while the kernel was read. */
  #isStale = false;
  /** host0 where somebody else made it; undefined: the agent did. */
  readonly #kept: KeptHost | undefined;
  #isHostDown = false;
  /** What the kernel takes as a source, and whether host0 is down, to see that it has changed. */
  #usable = "";
  readonly #told = new Map<string, number>();
  /** Of a machine whose uplink is the agent's alone: addresses that it has on other devices. */
  #localIps: readonly Ip[] = [];
  #complaint = "";
  #unreached = "";
  readonly #tell: Listener;

  /** `tables`: the plane's, for who speaks to whom. */
  constructor(native: Native, config: AgentConfig, tables: SharedTables, tell: Listener) {
    this.#portless = new PortlessPeers(tables);
    this.#native = native;
    this.#config = config;
    this.#tell = tell;
    this.#routing = new HostRouting(config);
    this.#kept = this.isShared ? undefined : new KeptHost(config.host.interface);
    this.#announcements = new Announcements((message) => tell.tell(message));
    this.#routing.onProblem = (error) => tell.problem(error);
  }

  get isShared(): boolean {
    return this.#config.uplink.mode === "shared";
  }

  /** What could not be done; "": it is as it should be. */
  get problem(): string {
    if (this.#isHostDown) return ""; // that is told by itself, and all else comes of it
    return [this.#complaint, this.#routing.problem].filter((text) => text !== "").join("; ");
  }

  /** For people who ask how the agent is. */
  get status(): { uplinkMode: string; uplinkNote: string } {
    return { uplinkMode: this.#config.uplink.mode ?? "exclusive", uplinkNote: this.#unreached };
  }

  /** What the plane has to know of the machine. */
  get machine(): { machine?: MachineNetwork; mtu?: number; localIps?: readonly Ip[] } {
    if (this.#shared === undefined) return { localIps: this.#localIps };
    return { machine: this.#shared.machine, mtu: this.#shared.mtu };
  }

  #changed(): void {
    this.#moved = true;
    this.#tell.changed();
  }

  #watch(): void {
    const reader = new KernelReader(this.#native, this.#config.netns);
    this.#reader = reader;
    this.#read(reader, []);
    this.#look = setInterval(() => this.#follow(reader), LOOK_MS);
    this.#look.unref();
  }

  #follow(reader: KernelReader, isDue = false): void {
    if (reader !== this.#reader) return; // it is closed
    try {
      const { network, rules, down } = reader.changes();
      if (isDue || network || rules || this.#isStale) this.#check(reader, down);
    } catch (error) {
      clearInterval(this.#look);
      this.#tell.fatal(error as Error);
    }
  }

  #check(reader: KernelReader, down: readonly number[]): void {
    const before = JSON.stringify([this.#localIps, this.#usable]);
    const network = this.#read(reader, down);
    const isSame = JSON.stringify([this.#localIps, this.#usable]) === before;
    const isWhole =
      (this.#shared?.missingOfHost(network) ?? "") === "" && this.#kept?.isTorn(network) !== true;
    const isRouted = this.#isHostDown || this.#routing.isWhole(reader.rules(), reader.routes(HOST_TABLE));
    this.#torn ||= !isWhole || !isRouted;
    if (this.#torn || !isSame) this.#changed();
  }

  /** `down`: links that have been down since it was read last. */
  #read(reader: KernelReader, down: readonly number[]): KernelNetwork {
    const network = reader.read();
    const since = reader.changes();
    this.#isStale = since.network || since.rules;
    this.#kept?.saw(network, [...down, ...since.down]);
    this.#isHostDown = this.#hasNoWay(network);
    this.#localIps = this.#others(network);
    this.#usable = JSON.stringify([this.#isHostDown, usableOf(network.addresses).map(formatIp)]);
    return network;
  }

  /** Beside an uplink of the agent's alone host0 is up or down as others want it; its routes come back with it. */
  #hasNoWay({ links }: KernelNetwork): boolean {
    const isDown = links.find(({ name }) => name === this.#config.host.interface)?.isUp === false;
    return isDown && !this.isShared;
  }

  #others({ links, addresses }: KernelNetwork): Ip[] {
    if (this.isShared) return [];
    const { uplink, host } = this.#config;
    const own = links.filter(({ name }) => name === uplink.interface || name === host.interface);
    return addresses
      .filter(({ link, address }) => !own.some(({ index }) => index === link) && isForPods(address))
      .map(({ address }) => address);
  }

  /** Makes host0 and sets what the machine has to have; says nothing of what is there already. */
  async prepare(): Promise<void> {
    if (!this.isShared) return this.#watch();
    const { netns, host, uplink, socket } = this.#config;
    const shared = new SharedUplink(this.#native, this.#config, this.#portless);
    this.#shared = shared;
    shared.tryTable();
    shared.onLost = (error) => this.#tell.fatal(error);
    shared.onNeighbors = (known, gone) => {
      const words = known.map(({ address, macHi, macLo, isStatic }) => ({
        ...address,
        macHi,
        macLo,
        isStatic,
      }));
      this.#tell.tell({ type: "neighbors", known: words, gone: gone.map(({ address }) => address) });
    };
    shared.onNote = (text) => this.#tell.note(text);
    shared.onChange = () => this.#changed();
    const sysctls = new MachineSysctls(netns);
    const isThere = readNetwork(this.#native, netns).links.some(({ name }) => name === host.interface);
    const unreserved = await sysctls.unreserved(uplink.masqueradePorts);
    const strict = await sysctls.strictCheck(host.interface);
    const changing = { uplink: uplink.interface, host: isThere ? "" : host.interface };
    const record = recordWith(readRecord(socket), { ...changing, reserved: unreserved, rpFilter: strict });
    writeRecord(socket, record);
    await sysctls.reserve(unreserved);
    const reserved = await sysctls.releaseOthers(record.reserved, uplink.masqueradePorts);
    if (reserved !== record.reserved) writeRecord(socket, { ...record, reserved });
    if (strict.all !== undefined) await sysctls.loosen(strict);
    await runIn(netns, ["sh", "-e", "-c", hostScript(host.interface, isThere, shared.mtu)]);
    this.#watch();
  }

  opened(fd: number): void {
    this.#shared?.opened(fd);
  }

  /** The plane was told this. */
  told(message: PlaneMessage): void {
    if (message.type === "announced") this.#announcements.told(message);
    if (message.type === "services") this.#servicesTold(message.update);
  }

  #servicesTold(update: ServiceUpdate): void {
    this.#routing.update(update);
    this.#shared?.update(update);
  }

  /** `moved`: the node's addresses or settings may have changed. */
  async sync(topology: NodeTopology | undefined, settings: ProxySettings, moved: boolean): Promise<void> {
    const isOther = moved || this.#moved;
    this.#moved = false;
    const shared = this.#shared;
    if (topology !== undefined && shared !== undefined) {
      await shared.sync(topology);
      this.#complain(shared, topology);
    }
    const reader = this.#reader;
    if (this.#isHostDown || reader === undefined) {
      this.#moved ||= isOther; // for when it is up
      return;
    }
    const isTorn = this.#torn;
    this.#torn = false;
    const host = isTorn ? await this.#putHostBack(reader) : "";
    if (topology !== undefined && shared === undefined && (isOther || isTorn)) this.#lack(topology, reader);
    const usable = (): Ip[] => usableOf(reader.addresses());
    await this.#routing.sync(topology, settings, { moved: isOther || isTorn, usable });
    if (isTorn) await this.#putBack(reader, host);
    if (this.#routing.problem !== "") this.#tryAgain();
  }

  /** Nobody but who made host0 gives it the addresses by which the node's own programs reach services. */
  #lack({ own }: NodeTopology, reader: KernelReader): void {
    const wanted = [...own.addresses, ...own.gateways, ...own.vtepAddresses];
    const there = reader.addresses().map(({ address }) => address);
    const isServed = this.#config.nodePortRange !== null;
    const complaint = isServed ? lackOf(this.#config.host.interface, wanted, there) : "";
    if (complaint !== "" && complaint !== this.#complaint) this.#tell.problem(new Error(complaint));
    this.#complaint = complaint;
  }

  /** What stood in the way may go: a rule of somebody else's, an address that was not there for a moment. */
  #tryAgain(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      if (this.#reader !== undefined) this.#changed();
    }, AGAIN_MS);
    this.#retry.unref();
  }

  #complain(shared: SharedUplink, topology: NodeTopology): void {
    const { unreached } = shared;
    if (unreached !== "" && unreached !== this.#unreached) this.#tell.note(unreached);
    this.#unreached = unreached;
    const other = shared.elsewhere(topology);
    const complaint = shared.complaint(topology);
    if (other !== "" && this.#config.uplink.isChosen === true) {
      const { socket } = this.#config;
      writeRecord(socket, { ...readRecord(socket), uplink: other });
      const why = complaint.replace(/: name .*/, "");
      throw new PodwireError(`${why}: it is the uplink from now on`, { code: UPLINK_ELSEWHERE });
    }
    if (complaint !== "" && complaint !== this.#complaint) this.#tell.problem(new Error(complaint));
    this.#complaint = complaint;
  }

  /** host0 first: routes of table 30000 have its addresses as sources. Answers what was done; "": nothing. */
  async #putHostBack(reader: KernelReader): Promise<string> {
    const kept = this.#kept;
    if (kept === undefined) return tookAway((await this.#shared?.putBack()) ?? "");
    const { netns, host } = this.#config;
    const { downs } = kept;
    // Line by line: what somebody puts back meanwhile does not hold up the rest.
    const put = async (lines: readonly string[]): Promise<number> => {
      const input = lines.map((line) => `${line}\n`).join("");
      if (lines.length > 0) await runIn(netns, ["ip", "-force", "-batch", "-"], { mayFail: true, input });
      return lines.length;
    };
    const count = (await put(kept.addressLines(reader.read()))) + (await put(kept.routeLines(reader.read())));
    kept.mended(downs);
    return count === 0 ? "" : `${host.interface} was down: ${count} addresses and routes of it are put back`;
  }

  async #putBack(reader: KernelReader, host: string): Promise<void> {
    const rules = (await this.#routing.putBack()).map(tookAway);
    const lines = [host, ...rules].filter((line) => line !== "");
    for (const line of lines) this.#say(line);
    if (lines.length === 0) return;
    setTimeout(() => this.#follow(reader, true), AGAIN_MS).unref();
  }

  #say(text: string): void {
    const now = performance.now();
    if (now - (this.#told.get(text) ?? Number.NEGATIVE_INFINITY) < TELL_MS) return;
    this.#told.set(text, now);
    this.#tell.note(text);
  }

  /** Before the plane ends: the kernel takes its NIC back. host0 and its routes stay for the next agent. */
  async remove(): Promise<void> {
    clearInterval(this.#look);
    this.#announcements.close();
    this.#reader?.close();
    this.#reader = undefined;
    await this.#routing.remove();
    this.#shared?.close();
  }
}

function tookAway(what: string): string {
  return what === "" ? "" : `somebody took away ${what}: it is put back`;
}

function usableOf(addresses: readonly KernelAddress[]): Ip[] {
  return addresses.filter(({ isGlobal, isUsable }) => isGlobal && isUsable).map(({ address }) => address);
}

/** Addresses and routes come with the Node object. Nobody but the agent is beyond host0: nothing is looked for there. */
function hostScript(name: string, isThere: boolean, mtu: number): string {
  const v4 = `/proc/sys/net/ipv4/conf/${name}`;
  const v6 = `/proc/sys/net/ipv6/conf/${name}`;
  const set = [
    [`${v4}/rp_filter`, 0],
    [`${v4}/accept_local`, 1],
    [`${v6}/accept_dad`, 0],
    [`${v6}/accept_ra`, 0],
    [`${v6}/router_solicitations`, 0],
  ];
  return [
    ...(isThere ? [] : [`ip tuntap add dev ${name} mode tap vnet_hdr`, `ip link set ${name} alias ${ALIAS}`]),
    ...set.map(([file, value]) => `[ ! -e ${file} ] || echo ${value} > ${file}`),
    `ip link set ${name} mtu ${mtu} gso_max_size ${POD_GSO_MAX} up`,
  ].join("\n");
}
