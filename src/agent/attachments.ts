/**
 * The ports of the node: uplink, host0 and one TAP a pod. Opens what the desired state names, closes what it no longer
 * names, tries again what failed: a pod's namespace may come a moment after its object.
 */

import type { PortInfo } from "../api/show.ts";
import type { IpWords } from "../base/ip.ts";
import { formatMac, type Mac } from "../base/mac.ts";
import type { LocalPod } from "../compile/local-pods.ts";
import type { AgentConfig } from "../config/agent.ts";
import { PortRole } from "../dataplane/port.ts";
import { openError } from "../device/device-error.ts";
import { PacketSocket } from "../device/packet-socket.ts";
import { PcapUplink } from "../device/pcap-uplink.ts";
import { Tap } from "../device/tap.ts";
import type { Bandwidth } from "../kube/bandwidth.ts";
import { errnoName, type Native } from "../native/binding.ts";
import type { StationMessage } from "../plane/messages.ts";
import type { InlineDevices, Plane } from "../plane/plane.ts";
import type { JoiningPort } from "./datagram-joining.ts";
import { FormerAddresses } from "./former-addresses.ts";
import { RatesOfPorts } from "./rates-of-ports.ts";

/** A pod of this node that has addresses and a namespace. */
export interface PodAttachment {
  /** namespace/name */
  key: string;
  uid: string;
  netns: string;
  interface: string;
  mac: Mac;
  ips: IpWords[];
}

/** What may change while it is attached. */
interface PodSettings {
  /** UDP datagrams may enter it joined. */
  joins: boolean;
  bandwidth: Bandwidth;
}

/** What the UDP that waits in one device may cost (native.boundQueue), 0: whatever; port of the tunnel, 0: none. */
export interface DatagramQueue {
  readonly limit: number;
  readonly tunnelPort: number;
}

export function datagramQueueOf({ datagramQueueKiB, overlay }: AgentConfig): DatagramQueue {
  return { limit: datagramQueueKiB * 1024, tunnelPort: overlay.type === "vxlan" ? overlay.port : 0 };
}

interface Attached {
  info: PortInfo;
  device: Tap | PacketSocket | PcapUplink | null;
  attachment: PodAttachment | null;
}

interface OpenUplink {
  readonly id: number;
  readonly mac: Mac;
  readonly mtu: number;
  readonly fd: number;
}

const RETRY_MS = 100;
const CHECK_MS = 500;

export class Attachments {
  readonly #native: Native;
  readonly #plane: Plane;
  readonly #ports = new Map<string, Attached>();
  readonly #formerAddresses = new FormerAddresses();
  readonly #freeIds: number[] = [];
  readonly #rates: RatesOfPorts;
  readonly #settings = new Map<string, PodSettings>();
  readonly #wanted = new Map<string, PodAttachment>();
  /** As they were told last. */
  #pods: readonly LocalPod[] = [];
  #nextId = 0;
  #isUnbound = false;
  readonly #check: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  /** Changes one after the other: a retry must not meet a sync half way. */
  #chain: Promise<void> = Promise.resolve();
  /** Bumped whenever a pod's port comes or goes. */
  onChange: () => void = () => {};
  onNote: (text: string) => void = () => {};
  readonly #datagramQueue: DatagramQueue;

  constructor(native: Native, plane: Plane, datagramQueue: DatagramQueue = { limit: 0, tunnelPort: 0 }) {
    this.#native = native;
    this.#plane = plane;
    this.#rates = new RatesOfPorts(plane);
    this.#datagramQueue = datagramQueue;
    this.#check = setInterval(() => void this.#exclusive(() => this.#reopenFailed()), CHECK_MS);
    this.#check.unref();
  }

  #exclusive(work: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(work);
    this.#chain = done.catch(() => {});
    return done;
  }

  list(): PortInfo[] {
    return [...this.#ports.values()].map((p) => p.info);
  }

  /** True when every pod wanted has its port. */
  get complete(): boolean {
    return [...this.#wanted.keys()].every((key) => this.#ports.get(`pod ${key}`)?.info.state === "up");
  }

  /**
   * Opens the uplink through libpcap, on this thread and in this thread's namespace; only an inline plane can have it.
   */
  async openPcapUplink(plane: InlineDevices, name: string): Promise<OpenUplink> {
    const device = await PcapUplink.open(this.#native, {
      interface: name,
      role: PortRole.UPLINK,
      name: `uplink ${name}`,
      onReadable: () => plane.wake(),
    });
    const { mac, mtu } = this.#facts("", name);
    const id = await this.#attach(`uplink ${name}`, "uplink", "", name, device, mac, mtu, null, plane);
    return { id, mac, mtu, fd: device.fd };
  }

  /** Opens the uplink; throws a DeviceError that says what is wrong. `shut`: nothing comes in before a filter is set. */
  async openUplink(netns: string, name: string, shut: boolean): Promise<OpenUplink> {
    const device = new PacketSocket(this.#native, {
      netns,
      interface: name,
      role: PortRole.UPLINK,
      name: `uplink ${name}`,
      shut,
      datagramQueue: this.#datagramQueue,
    });
    this.#noteUnbound(device.unbound);
    const mac = { hi: device.macHi, lo: device.macLo };
    const id = await this.#attach(`uplink ${name}`, "uplink", "", name, device, mac, device.mtu, null);
    return { id, mac, mtu: device.mtu, fd: device.fd };
  }

  /** Opens host0, the node's own stack. */
  async openHost(netns: string, name: string): Promise<{ id: number; mac: Mac; mtu: number }> {
    const datagramQueue = this.#datagramQueue.limit;
    const device = new Tap(this.#native, {
      netns,
      interface: name,
      role: PortRole.HOST,
      name,
      datagramQueue,
    });
    this.#noteUnbound(device.unbound);
    const facts = this.#facts(netns, name);
    const id = await this.#attach(name, "host", "", name, device, facts.mac, facts.mtu, null);
    return { id, ...facts };
  }

  #facts(netns: string, name: string): { mac: Mac; mtu: number } {
    const facts = new Int32Array(5);
    this.#native.ifInfo(netns, name, facts);
    return { mac: { hi: facts[2], lo: facts[3] }, mtu: facts[1] };
  }

  #noteUnbound(errno: number): void {
    if (errno === 0 || this.#isUnbound) return;
    this.#isUnbound = true;
    this.onNote(
      `a flood of UDP fills whole devices: its queue has no bound, ${errnoName(errno)} from the kernel`,
    );
  }

  /** Pods whose ports are open. */
  pods(): PodAttachment[] {
    return [...this.#ports.values()].flatMap(({ info, attachment }) =>
      attachment !== null && info.state === "up" ? [attachment] : [],
    );
  }

  /** Pods' ports that are open. */
  joiningPorts(): JoiningPort[] {
    const list: JoiningPort[] = [];
    for (const { info, device, attachment } of this.#ports.values()) {
      if (attachment === null || device === null || info.state !== "up") continue;
      const mayJoin = this.#settings.get(attachment.key)?.joins ?? true;
      list.push({ id: info.id, device, netns: attachment.netns, mayJoin });
    }
    return list;
  }

  /** Makes the pods' ports what the pods say. Those that were there before, and are, cost nothing. */
  async sync(pods: readonly LocalPod[]): Promise<void> {
    const before = this.#pods;
    if (this.complete && pods.length === before.length && pods.every((pod, i) => pod === before[i])) return;
    this.#pods = pods;
    this.#settings.clear();
    for (const { key, joins, bandwidth } of pods) this.#settings.set(key, { joins, bandwidth });
    await this.#exclusive(() => this.#sync(pods.map(attachmentOf)));
  }

  /** Pods whose device failed: away with the old one, and again from the start. */
  async #reopenFailed(): Promise<void> {
    for (const { info, attachment } of [...this.#ports.values()]) {
      if (attachment === null || info.id < 0 || !this.#plane.hasFailed(info.id)) continue;
      await this.#detachPod(attachment.key);
      this.#wanted.set(attachment.key, attachment);
      await this.#attachMissing();
    }
  }

  async #sync(wanted: PodAttachment[]): Promise<void> {
    const keys = new Set(wanted.map((w) => w.key));
    for (const key of [...this.#wanted.keys()]) if (!keys.has(key)) await this.#detachPod(key);
    for (const attachment of wanted) {
      const known = this.#ports.get(`pod ${attachment.key}`)?.attachment;
      if (known && !sameAttachment(known, attachment)) await this.#detachPod(attachment.key);
      this.#wanted.set(attachment.key, attachment);
    }
    await this.#attachMissing();
    for (const { info, attachment } of this.#ports.values())
      if (attachment !== null && info.state === "up") await this.#tellRates(info, attachment.key);
  }

  async #tellRates(info: PortInfo, key: string): Promise<void> {
    const { ingress, egress } = this.#settings.get(key)?.bandwidth ?? {};
    Object.assign(info, { ingress, egress });
    await this.#rates.tell(info.id, { ingress, egress });
  }

  async #attachMissing(): Promise<void> {
    clearTimeout(this.#retry);
    let failed = false;
    for (const attachment of this.#wanted.values()) {
      const port = this.#ports.get(`pod ${attachment.key}`);
      if (port?.info.state === "up") continue;
      if (!(await this.#attachPod(attachment))) failed = true;
    }
    if (failed) {
      this.#retry = setTimeout(() => void this.#exclusive(() => this.#attachMissing()), RETRY_MS);
    }
  }

  async #attachPod(a: PodAttachment): Promise<boolean> {
    const name = `pod ${a.key}`;
    let device: Tap;
    try {
      device = this.#openPod(a);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#ports.set(name, { info: this.#failedInfo(a, message), device: null, attachment: a });
      return false;
    }
    const { mtu } = this.#facts(a.netns, a.interface);
    const id = await this.#attach(name, "pod", a.key, a.interface, device, a.mac, mtu, a);
    const { info } = this.#ports.get(name) as Attached;
    await this.#tellRates(info, a.key);
    const inherited = this.#formerAddresses.inherited(this.#plane.tables.conntrack, a.uid, a.ips);
    if (inherited !== undefined) await this.#plane.apply({ type: "conntrack-delete", ...inherited });
    await this.#plane.apply({ type: "stations", add: stationsOf(a, id), remove: [] });
    this.onChange();
    return true;
  }

  /** Others make pods' devices: one that is gone is not made anew, for it would have no address, and be in their way. */
  #openPod({ key, netns, interface: name }: PodAttachment): Tap {
    const found = this.#native.ifInfo(netns, name, new Int32Array(5));
    if (found < 0) throw openError("TAP device", name, netns, found);
    const device = new Tap(this.#native, {
      ...{ netns, interface: name, role: PortRole.POD, name: `${name} ${key}`, persist: false },
      datagramQueue: this.#datagramQueue.limit,
    });
    this.#noteUnbound(device.unbound);
    return device;
  }

  #failedInfo(a: PodAttachment, error: string): PortInfo {
    const name = `${a.interface} ${a.key}`;
    const mac = formatMac(a.mac.hi, a.mac.lo);
    return {
      id: -1,
      name,
      kind: "pod",
      pod: a.key,
      interface: a.interface,
      mac,
      mtu: 0,
      state: "error",
      error,
    };
  }

  async #attach(
    key: string,
    kind: PortInfo["kind"],
    pod: string,
    interfaceName: string,
    device: Tap | PacketSocket | PcapUplink,
    mac: Mac,
    mtu: number,
    attachment: PodAttachment | null,
    inline?: InlineDevices,
  ): Promise<number> {
    const id = this.#freeIds.pop() ?? this.#nextId++;
    this.#plane.forgetFailure(id);
    const info: PortInfo = {
      id,
      name: device.name,
      kind,
      pod,
      interface: interfaceName,
      mac: formatMac(mac.hi, mac.lo),
      mtu,
      state: "up",
      error: "",
    };
    this.#ports.set(key, { info, device, attachment });
    if (inline !== undefined) {
      inline.attachDevice(id, device, mac, mtu);
      return id;
    }
    const { name, role, ioKind, fd } = device;
    await this.#plane.apply({
      type: "attach",
      port: { id, name, role, ioKind, fd, macHi: mac.hi, macLo: mac.lo, mtu },
    });
    return id;
  }

  async #detachPod(key: string): Promise<void> {
    const port = this.#ports.get(`pod ${key}`);
    this.#wanted.delete(key);
    this.#ports.delete(`pod ${key}`);
    if (port === undefined || port.info.id < 0) return;
    const { uid = "", ips: remove = [] } = port.attachment ?? {};
    this.#formerAddresses.left(uid, remove);
    await this.#plane.apply({ type: "stations", add: [], remove });
    await this.#plane.apply({ type: "detach", id: port.info.id });
    this.#rates.forget(port.info.id);
    port.device?.close();
    this.#freeIds.push(port.info.id);
    this.onChange();
  }

  /** Packets that the kernel dropped before us, by port, as of now. */
  missed(): Map<number, number> {
    const missed = new Map<number, number>();
    for (const { info, device } of this.#ports.values())
      if (device instanceof PacketSocket) missed.set(info.id, device.updateStats()[1]);
      else if (device instanceof Tap) missed.set(info.id, device.updateMissed());
    return missed;
  }

  close(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#check);
    for (const port of this.#ports.values()) port.device?.close();
  }
}

function attachmentOf({ key, uid, netns, interface: name, mac, addresses }: LocalPod): PodAttachment {
  return { key, uid, netns, interface: name, mac, ips: [...addresses] };
}

function sameAttachment(a: PodAttachment, b: PodAttachment): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function stationsOf(a: PodAttachment, port: number): StationMessage[] {
  return a.ips.map((ip) => ({
    w0: ip.w0,
    w1: ip.w1,
    w2: ip.w2,
    w3: ip.w3,
    macHi: a.mac.hi,
    macLo: a.mac.lo,
    port,
  }));
}
