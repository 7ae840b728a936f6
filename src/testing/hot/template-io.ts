// The addon's part of an engine, from memory: frames come from templates, what is sent goes nowhere.

import type { Io } from "../../base/addon.ts";
import { Protocol } from "../../base/protocols.ts";
import { frameSum } from "../../wire/bytes/offload.ts";
import { setWord } from "../frames/adjust-sum.ts";

const { UDP } = Protocol;

const VNET_BYTES = 10;
const PROTO_AT = 23; // of a frame without IP options
const UDP_SUM_AT = 40;
const TCP_SUM_AT = 50;
export const NEVER = -1;

export interface Template {
  readonly frame: Uint8Array;
  /** Default: an ordinary frame's. */
  readonly virtio?: Uint8Array;
  /** Where each copy gets a number of its own, two bytes; NEVER, the default: all are alike. */
  readonly varyAt?: number;
}

/** Each receive delivers the port's templates once, every copy that varies with the next number; a transmit takes all. */
export class TemplateIo implements Io {
  readonly #stored: (readonly Uint8Array[])[] = [];
  readonly #varyAt: Int32Array[] = [];
  readonly #sumAt: Int32Array[] = [];
  readonly #next = new Int32Array(1);
  frames = 0;
  sent = 0;

  constructor(traffic: ReadonlyMap<number, readonly Template[]>) {
    for (const [id, templates] of traffic) {
      this.#stored[id] = templates.map(({ frame, virtio = new Uint8Array(VNET_BYTES) }) =>
        Uint8Array.from([...virtio, ...frame]),
      );
      this.#varyAt[id] = Int32Array.from(templates, ({ varyAt = NEVER }) => varyAt);
      this.#sumAt[id] = Int32Array.from(templates, ({ frame }) =>
        frame[PROTO_AT] === UDP ? UDP_SUM_AT : TCP_SUM_AT,
      );
      this.frames += templates.length;
    }
  }

  receive(
    fd: number,
    _kind: number,
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    _max: number,
    _slotBytes: number,
    _byteBudget: number,
    sums: Int32Array,
    sumFrom: number,
  ): number {
    const stored = this.#stored[fd];
    const varyAt = this.#varyAt[fd];
    const sumAt = this.#sumAt[fd];
    const number = (this.#next[0] + 1) & 0xffff;
    this.#next[0] = number;
    for (let i = 0; i < stored.length; i++) {
      const off = offs[first + i];
      arena.set(stored[i], off - VNET_BYTES);
      if (varyAt[i] !== NEVER) setWord(arena, off + varyAt[i], number, off + sumAt[i]);
      lens[first + i] = stored[i].length - VNET_BYTES;
      sums[first + i] = frameSum(arena, off, lens[first + i], sumFrom);
    }
    return stored.length;
  }

  transmit(
    _fds: Int32Array,
    _kinds: Int32Array,
    _arena: Uint8Array,
    _offs: Int32Array,
    _lens: Int32Array,
    count: number,
    results: Int32Array,
  ): number {
    for (let i = 0; i < count; i++) results[i] = 0;
    this.sent += count;
    return count;
  }
}
