// An AF_PACKET socket: the agent's end of the node's network card. It sees every frame that comes in (VLAN
// tags put back), not those it sent itself, and carries superframes in both directions by the vnet header.
// Either the kernel has no address on the interface, or the socket has a filter (taken-filter.ts) and the kernel's copies
// of what that takes are dropped: the kernel would answer what we answer.

import { IoKind } from "../base/addon.ts";
import type { Mac } from "../base/mac.ts";
import type { Port, PortRole } from "../dataplane/port.ts";
import { type Native, PacketFlag } from "../native/binding.ts";
import { openError } from "./device-error.ts";

export interface PacketSocketOptions {
  /** "" for the process's own namespace, else the path of a namespace file. */
  readonly netns: string;
  readonly interface: string;
  readonly role: PortRole;
  readonly name?: string;
  /** false: plain frames only; for comparing. Default true. */
  readonly vnetHeader?: boolean;
  /**
   * Hand frames to the driver without the kernel's queueing discipline. Default: only without vnet header.
   * Past the queueing discipline the kernel throws away every superframe that the card cannot cut by itself
   * (__dev_direct_xmit), and few cards can cut UDP.
   */
  readonly bypassQdisc?: boolean;
  readonly promiscuous?: boolean;
  /** Nothing is received before a filter is set. */
  readonly shut?: boolean;
  /** Instead of what arrives: what leaves from this MAC address to itself, and nothing else. */
  readonly seesOwn?: Mac;
  /** Socket buffers, bytes, of which the kernel takes twice as many. Default 3 MiB and 32 MiB. */
  readonly receiveBytes?: number;
  readonly sendBytes?: number;
  /** What the UDP that waits in it may cost (native.boundQueue), 0: whatever; port of the tunnel, 0: none. */
  readonly datagramQueue?: { readonly limit: number; readonly tunnelPort: number };
}

const DEFAULT_SEND_BYTES = 1 << 25;
/**
 * The kernel takes twice as much: 6 MiB, by its own count. That is 5 ms of a stream of 10 Gbit/s, and 8,192 of the
 * smallest frames (768 bytes each), 8 ms at a million a second; what has no room is dropped, as at any queue that is
 * full. With 64 MiB a stream of UDP that was too fast made a ping through the same socket wait for up to 98 ms; with 2.5
 * one TCP stream through the tunnel lost 0.3 % of its segments and a tenth of its rate.
 */
const DEFAULT_RECEIVE_BYTES = 3 << 20;

export class PacketSocket implements Port {
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind: IoKind;
  readonly fd: number;
  /** Facts of the interface when it was opened. */
  readonly ifIndex: number;
  readonly mtu: number;
  readonly macHi: number;
  readonly macLo: number;
  /** Frames that arrived, and those of them the socket had no room for, since opening; see `updateStats`. */
  readonly stats = new Float64Array(2);
  /** Why what waits in it has no bound, a negative errno; 0: it has one, or none was wanted. */
  readonly unbound: number;
  readonly #native: Native;
  #open = true;

  constructor(native: Native, options: PacketSocketOptions) {
    const hasVnet = options.vnetHeader ?? true;
    const { netns } = options;
    const facts = new Int32Array(5);
    const found = native.ifInfo(netns, options.interface, facts);
    if (found < 0) throw openError("packet socket on", options.interface, netns, found);
    const flags =
      (options.seesOwn === undefined ? PacketFlag.IGNORE_OUTGOING : 0) |
      (hasVnet ? PacketFlag.VNET_HDR : 0) |
      ((options.bypassQdisc ?? !hasVnet) ? PacketFlag.QDISC_BYPASS : 0) |
      (options.promiscuous ? PacketFlag.PROMISC : 0) |
      (options.shut ? PacketFlag.SHUT : 0);
    const receiveBytes = options.receiveBytes ?? DEFAULT_RECEIVE_BYTES;
    const sendBytes = options.sendBytes ?? DEFAULT_SEND_BYTES;
    this.#native = native;
    this.name = options.name ?? options.interface;
    this.role = options.role;
    this.ioKind = hasVnet ? IoKind.PACKET_VNET : IoKind.PACKET;
    [this.ifIndex, this.mtu, this.macHi, this.macLo] = facts;
    this.fd = native.openPacket(netns, options.interface, flags, receiveBytes, sendBytes);
    if (this.fd < 0) throw openError("packet socket on", options.interface, netns, this.fd);
    if (options.seesOwn !== undefined) native.packetFilter(this.fd, fromTo(options.seesOwn));
    const { limit = 0, tunnelPort = 0 } = options.datagramQueue ?? {};
    const hasFilter = options.shut === true || options.seesOwn !== undefined; // there is room for one program
    const isBound = limit > 0 && hasVnet && !hasFilter;
    this.unbound = isBound ? native.boundQueue(this.fd, this.ioKind, tunnelPort, limit) : 0;
  }

  /** Brings `stats` up to date. The kernel forgets its counts when asked, so only one place may ask. */
  updateStats(): Float64Array {
    this.#native.packetStats(this.fd, this.stats);
    return this.stats;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.closeFd(this.fd);
  }
}

/** Classic BPF (struct sock_filter: code, jt, jf in one word, k in the next): source and destination are `mac`. */
export function fromTo({ hi, lo }: Mac): Int32Array {
  const [LD_W_ABS, LD_H_ABS, JEQ, RET] = [0x20, 0x28, 0x15, 0x06];
  const program: number[] = [];
  const tests = [
    [LD_H_ABS, 0, hi],
    [LD_W_ABS, 2, lo],
    [LD_H_ABS, 6, hi],
    [LD_W_ABS, 8, lo],
  ];
  tests.forEach(([load, at, value], i) => {
    const toRefusal = 2 * (tests.length - 1 - i) + 1;
    program.push(load, at, JEQ | (toRefusal << 24), value);
  });
  return Int32Array.from([...program, RET, 0x40000, RET, 0]);
}
