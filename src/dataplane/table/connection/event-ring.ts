/**
 * Ring of connection events: one writer, any number of readers, each at its own place. The writer waits for nobody and
 * knows no reader: it overwrites what is oldest, and who was too slow sees by the numbers how much it missed. An
 * event's first word is its number, written last and taken away first, so that a reader can tell a torn one.
 */
export const EventType = Object.freeze({ NEW: 1, UPDATE: 2, DESTROY: 3 } as const);

/** Words of an event. The first is its number: from 1; 0: being written. */
export const E_TYPE = 1;
export const E_SLOT = 2;
export const E_STATUS = 3;
export const E_STATE = 4;
export const E_EXPIRES = 5; // engine clock, seconds
export const E_START = 6;
export const E_NOW = 7;
export const E_TUPLE = 8; //   8 words, as in the table
export const E_WIDE = 16; //   12 words, of IPv6 only
export const E_PACKETS = 28; // 2 words
export const E_OCTETS = 32; // 2 × f64
export const E_EGRESS = 36; //  what policies said when it was entered, and their epoch
export const E_INGRESS = 37;
export const E_EPOCH = 38;
export const E_VIA = 40; //     2 words, where another node brought its client
export const EVENT_WORDS = 42; // even: octets lie at multiples of 8 bytes

export class EventRing {
  readonly words: Int32Array;
  readonly octets: Float64Array;
  readonly capacity: number; // a power of two
  /** `offset` is a multiple of 8. */
  constructor(capacityLog2: number, memory: ArrayBufferLike, offset: number) {
    this.capacity = 1 << capacityLog2;
    this.words = new Int32Array(memory, offset, this.capacity * EVENT_WORDS);
    this.octets = new Float64Array(memory, offset, (this.capacity * EVENT_WORDS) / 2);
  }
  static bytesFor(capacityLog2: number): number {
    return 2 ** capacityLog2 * EVENT_WORDS * 4;
  }
}

/** Where the event of this number lies, in words. */
function placeOf(r: EventRing, number: number): number {
  return (number & (r.capacity - 1)) * EVENT_WORDS;
}

/** Takes the place of the oldest event for the one of `number`: the caller fills it, then closes it. */
export function open(r: EventRing, number: number): number {
  const at = placeOf(r, number);
  Atomics.store(r.words, at, 0);
  return at;
}

export function close(r: EventRing, at: number, number: number): void {
  Atomics.store(r.words, at, number);
}

/** Copies the event of `number` to `to`. False: it is no longer there whole. Reader's side. */
export function read(r: EventRing, number: number, to: Int32Array): boolean {
  const at = placeOf(r, number);
  if (Atomics.load(r.words, at) !== number) return false;
  for (let i = 0; i < EVENT_WORDS; i++) to[i] = r.words[at + i];
  return Atomics.load(r.words, at) === number;
}
