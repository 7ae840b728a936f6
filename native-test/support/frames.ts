// A small arena with slots, and the calls on the addon that tests make again and again.
import { loadNative } from "../../src/native/binding.ts";
import { frameSum } from "../../src/wire/bytes/offload.ts";

export const native = loadNative();
const HEADROOM = 128;
const STRIDE = 66_048;
export const SLOT_BYTES = STRIDE - HEADROOM;
const SUM_FROM = 14;

export interface Vnet {
  readonly flags: number;
  readonly gsoType: number;
  readonly hdrLen: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

export const NO_VNET: Vnet = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

export interface Received {
  readonly frame: Uint8Array;
  readonly vnet: Vnet;
}

/** Frames of a test: slots in shared memory, as the agent has them. */
export class Frames {
  readonly arena: Uint8Array;
  readonly view: DataView;
  readonly offs: Int32Array;
  readonly lens: Int32Array;
  readonly sums: Int32Array;
  readonly slots: number;
  readonly #fds: Int32Array;
  readonly #kinds: Int32Array;
  readonly results: Int32Array;

  constructor(slots = 64) {
    this.slots = slots;
    this.arena = new Uint8Array(new SharedArrayBuffer(slots * STRIDE));
    this.view = new DataView(this.arena.buffer);
    this.offs = new Int32Array(slots).map((_, i) => i * STRIDE + HEADROOM);
    this.lens = new Int32Array(slots);
    this.sums = new Int32Array(slots);
    this.#fds = new Int32Array(slots);
    this.#kinds = new Int32Array(slots);
    this.results = new Int32Array(slots);
  }

  /** One call of the addon; returns what it does. */
  receiveOnly(fd: number, kind: number, max: number, slotBytes = SLOT_BYTES, budget = 1 << 30): number {
    const { arena, offs, lens, sums } = this;
    sums.fill(77);
    return native.receive(fd, kind, arena, offs, lens, 0, max, slotBytes, budget, sums, SUM_FROM);
  }

  /** One call of the addon; what came, copied out, its sums compared with the twin's. Throws on an error. */
  receive(fd: number, kind: number, max = this.slots, slotBytes = SLOT_BYTES, budget = 1 << 30): Received[] {
    const count = this.receiveOnly(fd, kind, max, slotBytes, budget);
    if (count < 0) throw new Error(`receive: ${count}`);
    return Array.from({ length: count }, (_, i) => {
      const off = this.offs[i];
      const sum = frameSum(this.arena, off, this.lens[i], SUM_FROM);
      if (this.sums[i] !== sum) throw new Error(`frame ${i} has the sum ${sum}, not ${this.sums[i]}`);
      return { frame: this.arena.slice(off, off + this.lens[i]), vnet: this.vnetAt(off) };
    });
  }

  /** Receives until `count` frames that `isWanted` came, at most two seconds. */
  async collect(
    fd: number,
    kind: number,
    count: number,
    isWanted = (_: Received) => true,
  ): Promise<Received[]> {
    const got: Received[] = [];
    for (let i = 0; i < 400 && got.length < count; i++) {
      got.push(...this.receive(fd, kind).filter(isWanted));
      if (got.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return got;
  }

  /** Sends copies of `frames`; returns the number sent, and the results of each in `results`. */
  send(fd: number, kind: number, frames: readonly Uint8Array[], vnet: Vnet = NO_VNET): number {
    for (const [i, frame] of frames.entries()) {
      this.arena.set(frame, this.offs[i]);
      this.putVnet(this.offs[i], vnet);
      this.lens[i] = frame.length;
    }
    return this.forward(fd, kind, frames.length);
  }

  /** Sends what lies in slots 0 … count-1. */
  forward(fd: number, kind: number, count: number): number {
    this.#fds.fill(fd);
    this.#kinds.fill(kind);
    return native.transmit(this.#fds, this.#kinds, this.arena, this.offs, this.lens, count, this.results);
  }

  vnetAt(off: number): Vnet {
    const v = this.view;
    const at = off - 10;
    const [hdrLen, gsoSize, csumStart, csumOffset] = [2, 4, 6, 8].map((field) =>
      v.getUint16(at + field, true),
    );
    return { flags: v.getUint8(at), gsoType: v.getUint8(at + 1), hdrLen, gsoSize, csumStart, csumOffset };
  }

  putVnet(off: number, vnet: Vnet): void {
    const v = this.view;
    const at = off - 10;
    v.setUint8(at, vnet.flags);
    v.setUint8(at + 1, vnet.gsoType);
    v.setUint16(at + 2, vnet.hdrLen, true);
    v.setUint16(at + 4, vnet.gsoSize, true);
    v.setUint16(at + 6, vnet.csumStart, true);
    v.setUint16(at + 8, vnet.csumOffset, true);
  }
}
