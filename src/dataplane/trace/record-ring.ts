/**
 * Ring of records from the worker to the main thread: one writer, one reader, one shared buffer. A record is
 * written completely and only then published, so the reader never sees half of one. When the ring is full the
 * record is lost and `lost` says so: watching must never hold a packet up.
 *
 * Layout: header of 8 i32 (0 head: bytes written, 1 tail: bytes read, 2 lost records, 3 published records;
 * head and tail run modulo 2³² over a power-of-two ring), then the ring. A record is a length word (bytes, a
 * multiple of 8, itself included), a type word and its body; it never wraps: a length word of -1 sends the
 * reader back to the start.
 */
const HEADER_BYTES = 32;
const H_HEAD = 0;
const H_TAIL = 1;
const H_LOST = 2;
const H_PUBLISHED = 3;
const WRAP = -1;
/** Bytes before a record's body: length and type. */
const RECORD_HEADER = 8;

export class RecordRing {
  readonly memory: ArrayBufferLike;
  readonly header: Int32Array;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly float: Float64Array;
  readonly size: number;
  /** Byte position of the open record in the ring; -1: none. */
  open = -1;
  openBytes = 0;
  constructor(sizeLog2: number, memory: ArrayBufferLike = new ArrayBuffer(RecordRing.bytesFor(sizeLog2))) {
    this.memory = memory;
    this.size = 2 ** sizeLog2;
    this.header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.words = new Int32Array(memory, HEADER_BYTES, this.size / 4);
    this.bytes = new Uint8Array(memory, HEADER_BYTES, this.size);
    this.float = new Float64Array(memory, HEADER_BYTES, this.size / 8);
  }
  static bytesFor(sizeLog2: number): number {
    return HEADER_BYTES + 2 ** sizeLog2;
  }
}

/**
 * Opens a record with room for `bodyBytes`. Returns the byte offset of its body in `ring.bytes` (a multiple
 * of 8), or -1 when there is no room: then the record counts as lost. Only one record is open at a time.
 */
export function begin(r: RecordRing, type: number, bodyBytes: number): number {
  const need = RECORD_HEADER + ((bodyBytes + 7) & ~7);
  const head = r.header[H_HEAD];
  const tail = Atomics.load(r.header, H_TAIL);
  let at = head & (r.size - 1);
  const toEnd = r.size - at;
  const skip = toEnd < need ? toEnd : 0;
  const usedBytes = (head - tail) | 0;
  // The end of the ring is passed even when the record is lost: one of more than half the ring could never
  // get by it.
  if (skip > 0 && usedBytes + skip <= r.size) {
    r.words[at >> 2] = WRAP;
    Atomics.store(r.header, H_HEAD, (head + skip) | 0);
    at = 0;
  }
  if (usedBytes + skip + need > r.size) {
    Atomics.add(r.header, H_LOST, 1);
    return -1;
  }
  r.words[at >> 2] = need;
  r.words[(at >> 2) + 1] = type;
  r.open = at;
  r.openBytes = need;
  return at + RECORD_HEADER;
}

/** Publishes the open record. */
export function commit(r: RecordRing): void {
  Atomics.store(r.header, H_HEAD, (r.header[H_HEAD] + r.openBytes) | 0);
  r.header[H_PUBLISHED]++;
  r.open = -1;
}

export function lost(r: RecordRing): number {
  return Atomics.load(r.header, H_LOST);
}

/** The body's offset in `ring.bytes` of the oldest unread record, or -1. Reader's side. */
export function peek(r: RecordRing): number {
  for (;;) {
    const tail = r.header[H_TAIL];
    if (tail === Atomics.load(r.header, H_HEAD)) return -1;
    const at = tail & (r.size - 1);
    if (r.words[at >> 2] !== WRAP) return at + RECORD_HEADER;
    Atomics.store(r.header, H_TAIL, (tail + r.size - at) | 0);
  }
}
/** Gives the record at `body` back to the writer. */
export function consume(r: RecordRing, body: number): void {
  Atomics.store(r.header, H_TAIL, (r.header[H_TAIL] + r.words[(body >> 2) - 2]) | 0);
}
