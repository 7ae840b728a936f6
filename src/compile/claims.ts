// Who claims what: of those that claim one thing the one with the smallest key has it. Thousands may claim one address.
import { firstOf, type Some } from "../base/some.ts";

interface Claimant {
  readonly key: string;
}

export class Claims<T extends Claimant> {
  /** Claim → who claims it, sorted by their keys; lists are of two and more. */
  readonly #claims = new Map<string, Some<T>>();

  holder(claim: string): T | undefined {
    return firstOf(this.#claims.get(claim));
  }

  /** Answers who had it and has it no more. */
  add(claim: string, who: T): T | undefined {
    const there = this.#claims.get(claim);
    if (there === undefined) {
      this.#claims.set(claim, who);
      return undefined;
    }
    const list = asList(there);
    if (list !== there) this.#claims.set(claim, list);
    const at = placeOf(list, who.key);
    const [holder] = list;
    list.splice(at, 0, who);
    return at === 0 && holder !== who ? holder : undefined;
  }

  /** Answers who has it now in its place; undefined: it had it not, or nobody else claims it. */
  remove(claim: string, who: T): T | undefined {
    const there = this.#claims.get(claim);
    if (there === undefined) return undefined;
    const list = asList(there);
    const at = placeOf(list, who.key);
    if (list[at] !== who) return undefined;
    list.splice(at, 1);
    if (list.length === 0) this.#claims.delete(claim);
    else if (list.length === 1) this.#claims.set(claim, list[0]);
    return at === 0 && list[0] !== who ? list[0] : undefined;
  }
}

/** The list itself where it is one: it is changed in place. */
function asList<T extends object>(some: Some<T>): T[] {
  return Array.isArray(some) ? some : [some as T];
}

/** Where one with this key stands, or would. */
function placeOf(list: readonly Claimant[], key: string): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle].key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
