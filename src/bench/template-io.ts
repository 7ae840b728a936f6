// A port for benchmarks: every frame it "receives" is a copy of one template, what is sent to it goes nowhere.
import type { Io } from "../base/addon.ts";
import { frameSum } from "../wire/bytes/offload.ts";

/** Bytes of the virtio-net header before a frame. */
export const VIRTIO = 10;

/** Copies one template into every slot of a batch; `vary` changes the copies. Transmits into nothing. */
export class TemplateIo implements Io {
  template = new Uint8Array(0);
  left = 0;
  sent = 0;
  #sum = -1;
  #sumFrom = -1;
  #summed: Uint8Array | null = null;
  vary: ((arena: Uint8Array, frame: number) => void) | null = null;
  /** `vary` changes addresses: their sum is in a checksum, but not in what it sums, so each copy has its own. */
  variesAddresses = false;

  receive(
    _fd: number,
    _kind: number,
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    _slotBytes: number,
    _byteBudget: number,
    sums: Int32Array,
    sumFrom: number,
  ): number {
    const count = this.left < max ? this.left : max;
    const len = this.template.length - VIRTIO;
    const sum = this.#sumOf(sumFrom);
    for (let i = 0; i < count; i++) {
      const at = offs[first + i];
      arena.set(this.template, at - VIRTIO);
      if (this.vary !== null) this.vary(arena, at);
      lens[first + i] = len;
      sums[first + i] = this.variesAddresses ? frameSum(arena, at, len, sumFrom) : sum;
    }
    this.left -= count;
    return count;
  }

  /** `vary` mends a checksum for what it changes, so the sum of all copies is the template's. */
  #sumOf(sumFrom: number): number {
    if (sumFrom !== this.#sumFrom || this.template !== this.#summed) {
      this.#sumFrom = sumFrom;
      this.#summed = this.template;
      this.#sum = frameSum(this.template, VIRTIO, this.template.length - VIRTIO, sumFrom);
    }
    return this.#sum;
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
