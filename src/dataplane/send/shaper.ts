/**
 * What a pod may receive: a bucket (table/byte-bucket.ts) and a queue behind it. A frame for which there is no token is
 * copied into a packet slot and waits there with others, packed one behind the other, for a turn that has tokens
 * (turn/rates.ts). Frames of one port leave in their order: while some wait, all others queue up behind them. The queue
 * has so many bytes at most; what does not fit is dropped, as by Linux' tbf with its `limit`. All queues together take at
 * most half of the packet slots.
 *
 * What workers have in common lies in memory that the main thread makes: every worker sends to every port.
 */
import { SLOT_STRIDE } from "../packet/packet.ts";
import { acquireForQueue, type SlotPool } from "../slot-pool.ts";
import * as bucket from "../table/byte-bucket.ts";
import { BUCKET_WORDS } from "../table/byte-bucket.ts";

/** Most slots of one queue. */
const QUEUE_SLOTS_MAX = 32;
const BUCKET_BYTES = BUCKET_WORDS * 8;
const FRAMES = 0; // that wait
const SLOTS = 1; //  that hold them
const FIRST = 2; //  place of the first of these in the ring
const READ = 3; //   byte of the first slot at which the next frame to leave lies
const WRITE = 4; //  byte of the last slot behind its last frame
const BYTES = 5; //  of the frames that wait
const RING = 8;
/** Memory of one. */
export const SHAPER_BYTES = BUCKET_BYTES + (RING + QUEUE_SLOTS_MAX) * 4;

/** Where a slot's frames begin: its first bytes are left alone. */
const BEGIN = 48;
/** Before each frame: length, tag of who traces it, and its virtio-net header. */
const ENTRY_TAG = 4;
const ENTRY_HEADER = 24;

export class Shaper {
  readonly bucket: Float64Array;
  readonly words: Int32Array;
  readonly limitBytes: number;

  constructor(memory: ArrayBufferLike, limitBytes: number) {
    this.bucket = new Float64Array(memory, 0, BUCKET_WORDS);
    this.words = new Int32Array(memory, BUCKET_BYTES);
    this.limitBytes = limitBytes;
  }
}

/** Does a frame of so many bytes leave at once? It is charged then. */
export function passes(s: Shaper, bytes: number, nowMs: number): boolean {
  if (s.words[FRAMES] !== 0 || !bucket.isOpen(s.bucket, nowMs)) return false;
  bucket.take(s.bucket, bytes);
  return true;
}

export function waiting(s: Shaper): number {
  return s.words[FRAMES];
}

/** Offset at which a frame of `len` bytes is to be written, its virtio-net header before it; -1: there is no room. */
export function place(s: Shaper, pool: SlotPool, view: DataView, len: number, tag: number): number {
  const w = s.words;
  const need = (ENTRY_HEADER + len + 3) & ~3;
  if (w[BYTES] + len > s.limitBytes && w[FRAMES] !== 0) return -1;
  if (w[SLOTS] === 0 || w[WRITE] + need > SLOT_STRIDE) {
    if (w[SLOTS] === QUEUE_SLOTS_MAX || BEGIN + need > SLOT_STRIDE) return -1;
    const slot = acquireForQueue(pool);
    if (slot < 0) return -1;
    if (w[SLOTS] === 0) {
      w[FIRST] = 0;
      w[READ] = BEGIN;
    } else endSlot(view, lastSlot(w) * SLOT_STRIDE + w[WRITE], w[WRITE]);
    w[RING + ((w[FIRST] + w[SLOTS]) % QUEUE_SLOTS_MAX)] = slot;
    w[SLOTS]++;
    w[WRITE] = BEGIN;
  }
  const at = lastSlot(w) * SLOT_STRIDE + w[WRITE];
  view.setInt32(at, len);
  view.setInt32(at + ENTRY_TAG, tag);
  w[WRITE] += need;
  w[BYTES] += len;
  w[FRAMES]++;
  return at + ENTRY_HEADER;
}

/** Length 0 says that the next frame lies in the next slot. */
function endSlot(view: DataView, at: number, write: number): void {
  if (write + 4 <= SLOT_STRIDE) view.setInt32(at, 0);
}

function lastSlot(w: Int32Array): number {
  return w[RING + ((w[FIRST] + w[SLOTS] - 1) % QUEUE_SLOTS_MAX)];
}

/** Offset of the frame that leaves next. Asks for one (`waiting`). */
export function front(s: Shaper): number {
  const w = s.words;
  return w[RING + w[FIRST]] * SLOT_STRIDE + w[READ] + ENTRY_HEADER;
}

export function frontLen(view: DataView, off: number): number {
  return view.getInt32(off - ENTRY_HEADER);
}

export function frontTag(view: DataView, off: number): number {
  return view.getInt32(off - ENTRY_HEADER + ENTRY_TAG);
}

/** Goes on behind the frame in front. Returns the slot that held it if nothing else lies there, else -1. */
export function next(s: Shaper, view: DataView, len: number): number {
  const w = s.words;
  w[READ] += (ENTRY_HEADER + len + 3) & ~3;
  w[BYTES] -= len;
  w[FRAMES]--;
  const slot = w[RING + w[FIRST]];
  if (w[SLOTS] === 1) {
    if (w[FRAMES] > 0) return -1;
    w[SLOTS] = 0;
    return slot;
  }
  if (w[READ] + 4 <= SLOT_STRIDE && view.getInt32(slot * SLOT_STRIDE + w[READ]) !== 0) return -1;
  w[SLOTS]--;
  w[FIRST] = (w[FIRST] + 1) % QUEUE_SLOTS_MAX;
  w[READ] = BEGIN;
  return slot;
}
