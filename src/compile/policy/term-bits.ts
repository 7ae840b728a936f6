// A set of terms by their ids: what is asked most often of anything here, whether one is in it, is a shift.
export class TermBits {
  #words: Uint32Array;

  constructor(terms: Iterable<number> = [], from?: TermBits) {
    this.#words = from === undefined ? new Uint32Array(0) : from.#words.slice();
    for (const term of terms) this.add(term);
  }

  has(term: number): boolean {
    const at = term >>> 5;
    return at < this.#words.length && ((this.#words[at] >>> (term & 31)) & 1) === 1;
  }

  add(term: number): void {
    const at = term >>> 5;
    if (at >= this.#words.length) {
      const wider = new Uint32Array(at + 1);
      wider.set(this.#words);
      this.#words = wider;
    }
    this.#words[at] |= 1 << (term & 31);
  }

  delete(term: number): void {
    const at = term >>> 5;
    if (at < this.#words.length) this.#words[at] &= ~(1 << (term & 31));
  }

  /** Are they the same, but for this one? */
  sameWithout(other: TermBits, term: number): boolean {
    const count = Math.max(this.#words.length, other.#words.length);
    for (let at = 0; at < count; at++) {
      const mask = at === term >>> 5 ? ~(1 << (term & 31)) : -1;
      if ((((this.#words[at] ?? 0) ^ (other.#words[at] ?? 0)) & mask) !== 0) return false;
    }
    return true;
  }
}
