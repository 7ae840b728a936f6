// A bounded queue of frames, each with its vnet header, for ports without a file descriptor.
const VNET_HDR_BYTES = 10;

/** A frame outside the arena: ten bytes of vnet header, then the frame. */
export type StoredFrame = Uint8Array;

/** Stores a frame; without `vnetHeader` it is an ordinary frame: no superframe, checksum complete. */
export function storeFrame(frame: Uint8Array, vnetHeader?: Uint8Array): StoredFrame {
  const stored = new Uint8Array(VNET_HDR_BYTES + frame.length);
  if (vnetHeader !== undefined) stored.set(vnetHeader.subarray(0, VNET_HDR_BYTES));
  stored.set(frame, VNET_HDR_BYTES);
  return stored;
}

export function storeFromArena(arena: Uint8Array, off: number, len: number): StoredFrame {
  return arena.slice(off - VNET_HDR_BYTES, off + len);
}

export function frameOf(stored: StoredFrame): Uint8Array {
  return stored.subarray(VNET_HDR_BYTES);
}

export function vnetHeaderOf(stored: StoredFrame): Uint8Array {
  return stored.subarray(0, VNET_HDR_BYTES);
}

/** First in, first out, at most `capacity` frames. */
export class FrameQueue {
  readonly capacity: number;
  /** Frames refused because the queue was full, or larger than the receiver's slot. */
  dropped = 0;
  readonly #frames: StoredFrame[] = [];
  #head = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get length(): number {
    return this.#frames.length - this.#head;
  }

  push(stored: StoredFrame): boolean {
    if (this.length >= this.capacity) {
      this.dropped++;
      return false;
    }
    this.#frames.push(stored);
    return true;
  }

  shift(): StoredFrame | undefined {
    if (this.length === 0) return undefined;
    const stored = this.#frames[this.#head++];
    if (this.#head > 1024 && this.#head * 2 > this.#frames.length) {
      this.#frames.splice(0, this.#head);
      this.#head = 0;
    }
    return stored;
  }

  /**
   * Port.receive: up to `max` frames into the arena. A frame larger than its slot is dropped, as the addon
   * does.
   */
  receiveInto(
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
  ): number {
    let count = 0;
    while (count < max) {
      const stored = this.shift();
      if (stored === undefined) break;
      const len = stored.length - VNET_HDR_BYTES;
      if (len > slotBytes) {
        this.dropped++;
        continue;
      }
      arena.set(stored, offs[first + count] - VNET_HDR_BYTES);
      lens[first + count] = len;
      count++;
    }
    return count;
  }
}
