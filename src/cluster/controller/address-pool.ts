// Numbers out of a range, each with one owner: the offsets of a CIDR, node ports. Three ways to get one: ask for it,
// get back the one remembered from before a restart, or take the first free one from where the caller says. What is
// remembered for an owner who has not come back yet is given to others last.

export class NumberPool {
  readonly first: number;
  readonly last: number;
  readonly #owner = new Map<number, string>();
  readonly #remembered = new Map<number, string>();
  readonly #rememberedOf = new Map<string, number[]>();

  /** Numbers first…last, both included. */
  constructor(first: number, last: number) {
    this.first = first;
    this.last = last;
  }

  get used(): number {
    return this.#owner.size;
  }

  get size(): number {
    return Math.max(0, this.last - this.first + 1);
  }

  ownerOf(n: number): string | undefined {
    return this.#owner.get(n);
  }

  has(n: number): boolean {
    return n >= this.first && n <= this.last;
  }

  /** Keeps `n` for `owner` as long as there are others. */
  remember(n: number, owner: string): void {
    if (!this.has(n)) return;
    this.#remembered.set(n, owner);
    this.#rememberedOf.set(owner, [...(this.#rememberedOf.get(owner) ?? []), n]);
  }

  forget(owner: string): void {
    for (const n of this.#rememberedOf.get(owner) ?? []) this.#remembered.delete(n);
    this.#rememberedOf.delete(owner);
  }

  /** False when another owner has it. A number outside the range can be claimed too: manifests may do that. */
  claim(n: number, owner: string): boolean {
    const holder = this.#owner.get(n);
    if (holder !== undefined && holder !== owner) return false;
    this.#owner.set(n, owner);
    return true;
  }

  /** The remembered number of this owner, else the first free one at or after `from`, wrapping; -1: exhausted. */
  take(owner: string, from = this.first): number {
    for (const kept of this.#rememberedOf.get(owner) ?? []) {
      if (this.#owner.has(kept)) continue;
      this.#owner.set(kept, owner);
      return kept;
    }
    const n = this.#firstFree(from, (i) => !this.#owner.has(i) && !this.#remembered.has(i));
    const free = n >= 0 ? n : this.#firstFree(from, (i) => !this.#owner.has(i));
    if (free >= 0) this.#owner.set(free, owner);
    return free;
  }

  release(n: number): void {
    this.#owner.delete(n);
  }

  #firstFree(from: number, isFree: (n: number) => boolean): number {
    if (this.#owner.size >= this.size) return -1;
    for (let n = Math.max(from, this.first); n <= this.last; n++) if (isFree(n)) return n;
    for (let n = this.first; n < from && n <= this.last; n++) if (isFree(n)) return n;
    return -1;
  }
}
