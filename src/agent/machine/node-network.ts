/**
 * The node's own network beside the plane: policy routing of its programs (host-routing), and, where the uplink is shared
 * with the kernel, host0, sysctls and who takes which packets. Prepared before the ports are opened.
 */
import { PodwireError } from "../../base/errors.ts";
import type { KernelNetwork } from "../../base/kernel-network.ts";
import { POD_GSO_MAX } from "../../base/superframe-limits.ts";
import type { NodeTopology } from "../../compile/node.ts";
import type { ProxySettings } from "../../compile/proxy-settings.ts";
import type { MachineNetwork } from "../../compile/shared-uplink.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ServiceUpdate } from "../../dataplane/spec/services.ts";
import { KernelReader } from "../../device/netlink/kernel-network.ts";
import { errnoName, type Native } from "../../native/binding.ts";
import type { PlaneMessage } from "../../plane/messages.ts";
import { HostRouting } from "./host-routing.ts";
import { readRecord, recordWith, writeRecord } from "./record.ts";
import { runIn } from "./run-ip.ts";
import { SharedUplink } from "./shared-uplink.ts";
import { MachineSysctls } from "./sysctls.ts";

/** By which a device of the agent's is known. */
export const ALIAS = "podwire";

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
  /** The agent cannot go on. */
  fatal(error: Error): void;
  /** The machine's addresses, routes or MTU have changed. */
  changed(): void;
  /** For the plane. */
  tell(message: PlaneMessage): void;
}

export class NodeNetwork {
  readonly #config: AgentConfig;
  readonly #native: Native;
  readonly #routing: HostRouting;
  #shared: SharedUplink | undefined;
  #moved = false;
  #complaint = "";
  readonly #tell: Listener;

  constructor(native: Native, config: AgentConfig, tell: Listener) {
    this.#native = native;
    this.#config = config;
    this.#tell = tell;
    this.#routing = new HostRouting(config);
    this.#routing.onProblem = (error) => tell.problem(error);
  }

  get isShared(): boolean {
    return this.#config.uplink.mode === "shared";
  }

  /** What could not be done; "": it is as it should be. */
  get problem(): string {
    return [this.#complaint, this.#routing.problem].filter((text) => text !== "").join("; ");
  }

  /** Of the uplink that is shared. */
  get machine(): { machine: MachineNetwork; mtu: number } | undefined {
    return this.#shared && { machine: this.#shared.machine, mtu: this.#shared.mtu };
  }

  /** Makes host0 and sets what the machine has to have; says nothing of what is there already. */
  async prepare(): Promise<void> {
    if (!this.isShared) return;
    const { netns, host, uplink, socket } = this.#config;
    const shared = new SharedUplink(this.#native, this.#config);
    this.#shared = shared;
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
    shared.onChange = () => {
      this.#moved = true;
      this.#tell.changed();
    };
    const sysctls = new MachineSysctls(netns);
    const isThere = readNetwork(this.#native, netns).links.some(({ name }) => name === host.interface);
    const unreserved = await sysctls.unreserved(uplink.masqueradePorts);
    const strict = await sysctls.strictCheck(host.interface);
    const changing = { uplink: uplink.interface, host: isThere ? "" : host.interface };
    writeRecord(
      socket,
      recordWith(readRecord(socket), { ...changing, reserved: unreserved, rpFilter: strict }),
    );
    await sysctls.reserve(unreserved);
    if (strict.all !== undefined) await sysctls.loosen(strict);
    await runIn(netns, ["sh", "-e", "-c", hostScript(host.interface, isThere, shared.mtu)]);
  }

  opened(fd: number): void {
    this.#shared?.opened(fd);
  }

  update(update: ServiceUpdate): void {
    this.#routing.update(update);
    this.#shared?.update(update);
  }

  /** `moved`: the node's addresses or settings may have changed. */
  async sync(topology: NodeTopology | undefined, settings: ProxySettings, moved: boolean): Promise<void> {
    const isOther = moved || this.#moved;
    this.#moved = false;
    if (topology !== undefined && this.#shared !== undefined) {
      await this.#shared.sync(topology);
      const complaint = this.#shared.complaint(topology);
      if (complaint !== "" && complaint !== this.#complaint) this.#tell.problem(new Error(complaint));
      this.#complaint = complaint;
    }
    await this.#routing.sync(topology, settings, isOther);
  }

  /** Before the plane ends: the kernel takes its NIC back. host0 and its routes stay for the next agent. */
  async remove(): Promise<void> {
    await this.#routing.remove();
    this.#shared?.close();
  }
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
