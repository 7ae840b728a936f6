// A TAP device: a pod's eth0, or the node's host0. The kernel's end is an ordinary interface in its
// namespace, ours is a descriptor that the addon reads and writes in batches, superframes and partial
// checksums included. A persistent device outlives the agent with its addresses and routes; offloads and the
// size of the vnet header do not, so opening sets them every time.

import { IoKind } from "../base/addon.ts";
import type { Port, PortRole } from "../dataplane/port.ts";
import { errnoName, type Native, TapFlag, TapOffload } from "../native/binding.ts";
import { DeviceError, openError } from "./device-error.ts";

export interface TapOptions {
  /** "" for the process's own namespace, else the path of a namespace file. */
  readonly netns: string;
  readonly interface: string;
  readonly role: PortRole;
  /** For people; default: the interface's name. */
  readonly name?: string;
  /** Keep the device when the descriptor is closed. Default true. */
  readonly persist?: boolean;
  /** false: no vnet header, so no superframes; for comparing and for kernels without. Default true. */
  readonly vnetHeader?: boolean;
  /** TapOffload bits to ask for. Default: DEFAULT_OFFLOADS. */
  readonly offloads?: number;
  /** What the UDP that waits in it may cost (native.boundQueue), 0: whatever. Left out: not looked at. */
  readonly datagramQueue?: number;
}

/** What the data plane can cut: TCP, and UDP since Linux 6.2 (an older kernel leaves those two bits out). */
const DEFAULT_OFFLOADS =
  TapOffload.CSUM |
  TapOffload.TSO4 |
  TapOffload.TSO6 |
  TapOffload.TSO_ECN |
  TapOffload.USO4 |
  TapOffload.USO6;

export class Tap implements Port {
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind: IoKind;
  readonly fd: number;
  /** TapOffload bits the kernel accepted. */
  readonly offloads: number;
  /** Why what waits in it has no bound, a negative errno; 0: it has one, or none was wanted. */
  readonly unbound: number;
  readonly #native: Native;
  #open = true;
  #missed = 0;

  constructor(native: Native, options: TapOptions) {
    const hasVnet = options.vnetHeader ?? true;
    const persist = options.persist ?? true;
    const flags = (persist ? TapFlag.PERSIST : 0) | (hasVnet ? TapFlag.VNET_HDR : 0);
    this.#native = native;
    this.name = options.name ?? options.interface;
    this.role = options.role;
    this.ioKind = hasVnet ? IoKind.TAP_VNET : IoKind.TAP;
    this.fd = native.openTap(options.netns, options.interface, flags);
    if (this.fd < 0) throw openError("TAP device", options.interface, options.netns, this.fd);
    this.offloads = native.tapOffload(this.fd, hasVnet ? (options.offloads ?? DEFAULT_OFFLOADS) : 0);
    if (this.offloads < 0) {
      native.closeFd(this.fd);
      throw openError("TAP device", options.interface, options.netns, this.offloads);
    }
    const { datagramQueue } = options;
    const bound =
      datagramQueue === undefined || !hasVnet ? 0 : native.boundQueue(this.fd, this.ioKind, 0, datagramQueue);
    this.unbound = datagramQueue === 0 ? 0 : bound;
  }

  /** Datagrams that had no room, since opening. */
  updateMissed(): number {
    this.#missed += this.#native.queueDrops(this.fd);
    return this.#missed;
  }

  /** Whether the device stays when its last descriptor is closed. */
  setPersistent(persist: boolean): void {
    const result = this.#native.tapPersist(this.fd, persist ? 1 : 0);
    if (result < 0) {
      const errno = errnoName(result);
      throw new DeviceError(`cannot change TAP device ${this.name}: ${errno}`, {
        code: "DEVICE_PERSIST",
        errno,
      });
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.closeFd(this.fd);
  }
}
