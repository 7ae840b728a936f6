// Laying a table out in one buffer: a header of 32-bit words, a row of counters, then one column after
// another. Cold: constructors call it once. One buffer, because the plane's tables are SharedArrayBuffers
// that the main thread opens a second time to answer `show`. Every table is written so that zeroed memory
// is a valid empty table: opening must never have to initialise, or the second opener would wipe what the
// first one holds.

const HEADER_WORDS = 16;
const COUNTERS = 8;
const CAPACITY_LOG2_MIN = 3; // eight cells: then a column of any width is a multiple of 8 bytes
/** Bytes before the first column. */
export const HEADER_BYTES = HEADER_WORDS * 4 + COUNTERS * 8;

/** Header words that every table has; its own words begin at OWN. */
export const Header = Object.freeze({ LAYOUT: 0, CAPACITY_LOG2: 1, SEED: 2, USED: 3, OWN: 4 } as const);

/** Bytes of a column of `count` cells of `width` bytes: columns start at multiples of 8. */
export function columnBytes(count: number, width: number): number {
  return (count * width + 7) & ~7;
}

/** Hands out columns, front to back. A buffer that is too small makes the typed array constructor throw. */
export class ColumnCarver {
  readonly memory: ArrayBufferLike;
  offsetBytes: number;

  constructor(memory: ArrayBufferLike, offsetBytes = 0) {
    this.memory = memory;
    this.offsetBytes = offsetBytes;
  }

  header(): Int32Array {
    return this.int32(HEADER_WORDS);
  }

  counters(): Float64Array {
    return this.float64(COUNTERS);
  }

  uint8(count: number): Uint8Array {
    return new Uint8Array(this.memory, this.#take(count, 1), count);
  }

  uint16(count: number): Uint16Array {
    return new Uint16Array(this.memory, this.#take(count, 2), count);
  }

  int32(count: number): Int32Array {
    return new Int32Array(this.memory, this.#take(count, 4), count);
  }

  float64(count: number): Float64Array {
    return new Float64Array(this.memory, this.#take(count, 8), count);
  }

  #take(count: number, width: number): number {
    const at = this.offsetBytes;
    this.offsetBytes += columnBytes(count, width);
    return at;
  }
}

/** Where a table that has no single piece of memory takes its columns. */
export interface Columns {
  /** Nobody has taken these columns before: they are zeroed, and whoever takes them fills them. */
  readonly isNew: boolean;
  /** Other threads have them, too. */
  readonly isShared: boolean;
  uint8(count: number): Uint8Array;
  uint16(count: number): Uint16Array;
  int32(count: number): Int32Array;
  float64(count: number): Float64Array;
}

/** Each column has memory of its own. */
export const OWN_COLUMNS: Columns = Object.freeze({
  isNew: true,
  isShared: false,
  uint8: (count: number) => new Uint8Array(count),
  uint16: (count: number) => new Uint16Array(count),
  int32: (count: number) => new Int32Array(count),
  float64: (count: number) => new Float64Array(count),
});

/** Columns that several threads have: the first one makes them, the others take its `buffers` in the same order. */
export class SharedColumns implements Columns {
  readonly isShared = true;
  readonly isNew: boolean;
  readonly buffers: SharedArrayBuffer[];
  #next = 0;

  constructor(buffers?: readonly SharedArrayBuffer[]) {
    this.isNew = buffers === undefined;
    this.buffers = [...(buffers ?? [])];
  }

  uint8(count: number): Uint8Array {
    return new Uint8Array(this.#take(count));
  }

  uint16(count: number): Uint16Array {
    return new Uint16Array(this.#take(count * 2));
  }

  int32(count: number): Int32Array {
    return new Int32Array(this.#take(count * 4));
  }

  float64(count: number): Float64Array {
    return new Float64Array(this.#take(count * 8));
  }

  #take(bytes: number): SharedArrayBuffer {
    if (this.isNew) this.buffers.push(new SharedArrayBuffer(bytes));
    const buffer = this.buffers[this.#next++];
    if (buffer?.byteLength !== bytes) throw new RangeError(`shared column ${this.#next - 1} is another one`);
    return buffer;
  }
}

/**
 * Marks fresh memory as a table of this layout, or checks that memory already in use is one.
 * `layout` names the table and its version, e.g. 0x46444201 ("FDB", 1).
 */
export function claimHeader(header: Int32Array, layout: number, capacityLog2: number, seed: number): void {
  if (!(capacityLog2 >= CAPACITY_LOG2_MIN)) throw new RangeError(`capacityLog2 ${capacityLog2} is below 3`);
  if (header[Header.LAYOUT] === 0) {
    header[Header.LAYOUT] = layout;
    header[Header.CAPACITY_LOG2] = capacityLog2;
    header[Header.SEED] = seed | 0;
    return;
  }
  if (header[Header.LAYOUT] !== layout || header[Header.CAPACITY_LOG2] !== capacityLog2) {
    throw new RangeError(
      `memory holds table layout ${header[Header.LAYOUT]} of 2^${header[Header.CAPACITY_LOG2]} slots, ` +
        `not ${layout} of 2^${capacityLog2}`,
    );
  }
}
