// Combinations of ipBlocks that addresses lie in, each once: two that hold the same blocks are one. IPv4 and IPv6 never
// share one, so that a block of everything in one family has nothing to tell apart.
import type { IpFamily } from "../../base/ip.ts";
import type { Combination } from "./identities.ts";
import { TermBits } from "./term-bits.ts";

export interface Combined extends Combination {
  readonly family: IpFamily;
  /** How many areas of the address space it is about. */
  areas: number;
  /** Of its terms; two numbers that change with each of them. */
  low: number;
  high: number;
}

export class Combinations {
  readonly #byDigest = new Map<number, Set<Combined>>();

  /** Of no blocks: once for each family. */
  none(family: IpFamily): Combined {
    return this.#enter({ ...emptyOf(family, new TermBits()), low: 0, high: family });
  }

  /** What a combination and one more block make, which is new. */
  with(one: Combined, term: number): Combined {
    const { family, terms, low, high } = one;
    const made = { ...emptyOf(family, new TermBits([term], terms)), low, high };
    toggle(made, term);
    return this.#enter(made);
  }

  /** Another one that has all blocks of this but one, if there is one. */
  without(one: Combined, term: number): Combined | undefined {
    const wanted = { low: one.low, high: one.high };
    toggle(wanted, term);
    for (const other of this.#byDigest.get(digestOf(wanted)) ?? []) {
      const isIt = other.family === one.family && !other.terms.has(term);
      if (isIt && other.terms.sameWithout(one.terms, term)) return other;
    }
    return undefined;
  }

  /** Adds a block to a combination, or takes it away: all of its areas lie in it. */
  change(one: Combined, term: number): void {
    this.forget(one);
    if (one.terms.has(term)) one.terms.delete(term);
    else one.terms.add(term);
    toggle(one, term);
    this.#enter(one);
  }

  forget(one: Combined): void {
    const key = digestOf(one);
    const same = this.#byDigest.get(key);
    same?.delete(one);
    if (same?.size === 0) this.#byDigest.delete(key);
  }

  #enter(one: Combined): Combined {
    const key = digestOf(one);
    const same = this.#byDigest.get(key);
    if (same === undefined) this.#byDigest.set(key, new Set([one]));
    else same.add(one);
    return one;
  }
}

function emptyOf(family: IpFamily, terms: TermBits) {
  return { family, terms, identities: new Map(), kin: undefined, areas: 0 };
}

function digestOf({ low, high }: { readonly low: number; readonly high: number }): number {
  return (high >>> 12) * 2 ** 32 + (low >>> 0);
}

function toggle(digest: { low: number; high: number }, term: number): void {
  digest.low ^= mixed(2 * term + 1);
  digest.high ^= mixed(2 * term + 2);
}

/** Every bit of the number has a say in every bit of the answer. */
function mixed(number: number): number {
  let x = Math.imul(number, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
