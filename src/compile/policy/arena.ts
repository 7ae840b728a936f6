// Words in memory that the plane reads while more are added: what was handed out is never written again, so nothing has
// to be copied for a change. When it does not fit any more, the words move into twice the room.
export class Arena {
  words: Int32Array;
  used = 0;

  constructor(capacity: number) {
    this.words = shared(capacity);
  }

  /** Place of the first of `count` new words. */
  take(count: number): number {
    const at = this.used;
    this.used += count;
    if (this.used > this.words.length) {
      const wider = shared(Math.max(this.used, 2 * this.words.length));
      wider.set(this.words.subarray(0, at));
      this.words = wider;
    }
    return at;
  }
}

/** Zeroed words that both threads may have. */
export function shared(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}
