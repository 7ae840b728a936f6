// Two ports joined by two queues: what one transmits the other receives. For tests and for running several
// data planes in one process without a kernel. vnet headers pass through unchanged, as over a veth pair.

import { IoKind } from "../base/addon.ts";
import { type Port, PortRole } from "../dataplane/port.ts";
import { FrameQueue, frameOf, type StoredFrame, storeFrame, storeFromArena } from "./frame-queue.ts";

const ENOBUFS = 105;

export class MemoryPort implements Port {
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind = IoKind.TAP_VNET;
  readonly fd = -1;
  /** Frames on their way to this port. */
  readonly incoming: FrameQueue;
  /** Frames on their way to the other end. */
  readonly outgoing: FrameQueue;

  constructor(name: string, role: PortRole, incoming: FrameQueue, outgoing: FrameQueue) {
    this.name = name;
    this.role = role;
    this.incoming = incoming;
    this.outgoing = outgoing;
  }

  receive(
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
  ): number {
    return this.incoming.receiveInto(arena, offs, lens, first, max, slotBytes);
  }

  transmit(arena: Uint8Array, off: number, len: number): number {
    if (this.outgoing.length >= this.outgoing.capacity) {
      this.outgoing.dropped++;
      return -ENOBUFS;
    }
    this.outgoing.push(storeFromArena(arena, off, len));
    return 0;
  }

  /** What a station behind this end would do: sends `frame` to the other end. */
  send(frame: Uint8Array, vnetHeader?: Uint8Array): boolean {
    return this.outgoing.push(storeFrame(frame, vnetHeader));
  }

  /** The next frame that arrived, with its vnet header (see frame-queue.ts), or undefined. */
  takeStored(): StoredFrame | undefined {
    return this.incoming.shift();
  }

  /** The next frame that arrived, without vnet header, or undefined. */
  take(): Uint8Array | undefined {
    const stored = this.incoming.shift();
    return stored === undefined ? undefined : frameOf(stored);
  }
}

/** Ends `name` (with `role`; the one a data plane is given) and `name`'s peer, the station's end. */
export function createMemoryPair(
  name: string,
  role: PortRole = PortRole.POD,
  capacity = 1024,
): [port: MemoryPort, station: MemoryPort] {
  const toStation = new FrameQueue(capacity);
  const toPort = new FrameQueue(capacity);
  const port = new MemoryPort(name, role, toPort, toStation);
  return [port, new MemoryPort(`${name} peer`, role, toStation, toPort)];
}
