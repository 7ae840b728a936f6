// A port whose frames come from a list, for instance a capture file: each is received once, in order, as fast
// as the data plane asks. What the plane sends to it is kept in `sent`.
import { type Port, PortRole } from "../dataplane/port.ts";
import { IoKind } from "../native/binding.ts";
import { FrameQueue, frameOf, type StoredFrame, storeFrame, storeFromArena } from "./frame-queue.ts";

export class ReplayPort implements Port {
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind = IoKind.TAP_VNET;
  readonly fd = -1;
  readonly #queue: FrameQueue;
  readonly #sent: StoredFrame[] = [];

  /** `frames` are Ethernet frames without vnet header, their checksums complete. */
  constructor(name: string, frames: readonly Uint8Array[], role: PortRole = PortRole.POD) {
    this.name = name;
    this.role = role;
    this.#queue = new FrameQueue(frames.length);
    for (const frame of frames) this.#queue.push(storeFrame(frame));
  }

  /** Frames that have not been received yet. */
  get remaining(): number {
    return this.#queue.length;
  }

  /** Frames too large for a slot. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Everything that was transmitted to this port, oldest first, without vnet headers. */
  get sent(): readonly Uint8Array[] {
    return this.#sent.map(frameOf);
  }

  /** The same with vnet headers: see frame-queue.ts. */
  get sentStored(): readonly StoredFrame[] {
    return this.#sent;
  }

  receive(
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
  ): number {
    return this.#queue.receiveInto(arena, offs, lens, first, max, slotBytes);
  }

  transmit(arena: Uint8Array, off: number, len: number): number {
    this.#sent.push(storeFromArena(arena, off, len));
    return 0;
  }
}
