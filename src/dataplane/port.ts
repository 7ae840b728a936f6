/**
 * Port: what a device offers to the engine. A TAP, an AF_PACKET socket, a pair of memory queues and a replayed
 * capture are interchangeable behind it. Ports with a file descriptor are read and written by the addon in
 * batches (`fd >= 0`); the others implement `receive` and `transmit` themselves.
 */

import type { MaybePinned, Pins } from "../base/maybe-pinned.ts";

/** How the bytes of a port are laid out for the addon's receive/transmit. */
export const IoKind = Object.freeze({ TAP_VNET: 0, PACKET_VNET: 1, TAP: 2, PACKET: 3 } as const);
export type IoKind = (typeof IoKind)[keyof typeof IoKind];

/** What a port is to the node. */
export const PortRole = Object.freeze({ POD: 0, HOST: 1, UPLINK: 2 } as const);
export type PortRole = (typeof PortRole)[keyof typeof PortRole];

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

/** The addon's part of the engine: batches, waiting, and the few byte loops that C does faster. */
export interface Io extends Pins {
  receive(
    fd: number,
    kind: number,
    arena: MaybePinned<Uint8Array>,
    offs: MaybePinned<Int32Array>,
    lens: MaybePinned<Int32Array>,
    first: number,
    max: number,
    slotBytes: number,
    byteBudget: number,
  ): number;
  transmit(
    fds: MaybePinned<Int32Array>,
    kinds: MaybePinned<Int32Array>,
    arena: MaybePinned<Uint8Array>,
    offs: MaybePinned<Int32Array>,
    lens: MaybePinned<Int32Array>,
    count: number,
    results: MaybePinned<Int32Array>,
  ): number;
}

/** Pure byte work over the arena: the addon's, or its TypeScript twin (wire/offload.ts). */
export interface Offload extends Pins {
  checksum(arena: MaybePinned<Uint8Array>, off: number, len: number, seed: number): number;
  copyChecksum(arena: MaybePinned<Uint8Array>, dst: number, src: number, len: number, seed: number): number;
  segmentTcp(
    arena: MaybePinned<Uint8Array>,
    frame: number,
    frameLen: number,
    l3: number,
    l4: number,
    gsoSize: number,
    payloadFrom: number,
    out: number,
    outBytes: number,
    prefix: number,
    prefixLen: number,
    result: MaybePinned<Int32Array>,
  ): number;
  coalesce(
    arena: MaybePinned<Uint8Array>,
    payload: number,
    payloadLen: number,
    stride: number,
    prefixLen: number,
    out: number,
    outBytes: number,
    desc: MaybePinned<Int32Array>,
    maxDesc: number,
  ): number;
}
