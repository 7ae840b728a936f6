/**
 * Port: what a device offers to the engine. A TAP, an AF_PACKET socket, a pair of memory queues and a replayed
 * capture are interchangeable behind it. Ports with a file descriptor are read and written by the addon in
 * batches (`fd >= 0`); the others implement `receive` and `transmit` themselves.
 */

import type { IoKind } from "../base/addon.ts";

/** What a port is to the node. */
export const PortRole = Object.freeze({ POD: 0, HOST: 1, UPLINK: 2 } as const);
export type PortRole = (typeof PortRole)[keyof typeof PortRole];

/** Whoever says which ports have something to be read, by their descriptors; 0 or -errno. */
export interface Polling {
  add(fd: number, id: number): number;
  remove(fd: number): number;
}

export interface Port {
  /** For people: "eth0 of default/web-1", "uplink eth0", "host0". */
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind: IoKind;
  /** File descriptor for the addon, or -1: then `receive` and `transmit` are called. */
  readonly fd: number;
  /**
   * Copies at most `max` frames into `arena` at `offs[first]`…, the virtio-net header 10 bytes before each;
   * writes the lengths (bytes, without virtio-net header) to `lens`. Returns the count, or -errno.
   */
  receive?(
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
  ): number;
  /** Sends one frame; its virtio-net header lies 10 bytes before it. Returns 0 or -errno. */
  transmit?(arena: Uint8Array, off: number, len: number): number;
  close?(): void;
}
