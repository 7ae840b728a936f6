// Addresses in order: those that lie in a prefix stand side by side. What comes and goes is sorted in when somebody asks.
import type { IpWords } from "../../base/ip.ts";
import type { Prefix } from "../../dataplane/spec/prefix.ts";
import { comparePrefixes, holds } from "./prefixes.ts";

/** The first place, and the one after the last. */
export type Run = readonly [number, number];

/** What is left of some runs without another one. */
export function cut(runs: readonly Run[], [from, to]: Run): Run[] {
  const left = runs.flatMap(([a, b]): Run[] => [
    [a, Math.min(b, from)],
    [Math.max(a, to), b],
  ]);
  return left.filter(([a, b]) => a < b);
}

export function countOf(runs: readonly Run[]): number {
  return runs.reduce((sum, [from, to]) => sum + to - from, 0);
}

const ONE = 128; // bits of a prefix that is one address

export class AddressOrder<T extends IpWords> {
  #list: T[] = [];
  #added: T[] = [];
  readonly #gone = new Set<T>();

  add(one: T): void {
    this.#added.push(one);
  }

  delete(one: T): void {
    this.#gone.add(one);
  }

  /** Those in some runs of places. */
  at(runs: readonly Run[]): T[] {
    return runs.flatMap(([from, to]) => this.#list.slice(from, to));
  }

  /** Places of those in a prefix, until the next one comes or goes. */
  runOf(prefix: Prefix): Run {
    this.#settle();
    const { bits } = prefix;
    const from = this.#firstWhere((address) => comparePrefixes(address, ONE, prefix, bits) >= 0);
    const isAfter = (address: IpWords): boolean =>
      comparePrefixes(address, ONE, prefix, bits) > 0 && !holds(prefix, address, ONE);
    return [from, this.#firstWhere(isAfter)];
  }

  #firstWhere(isSo: (address: IpWords) => boolean): number {
    let from = 0;
    let to = this.#list.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (isSo(this.#list[middle])) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  #settle(): void {
    if (this.#added.length === 0 && this.#gone.size === 0) return;
    const added = this.#added.sort((a, b) => comparePrefixes(a, ONE, b, ONE));
    const list: T[] = [];
    const put = (one: T): void => {
      if (!this.#gone.has(one)) list.push(one);
    };
    let next = 0;
    for (const one of this.#list) {
      while (next < added.length && comparePrefixes(added[next], ONE, one, ONE) < 0) {
        put(added[next++]);
      }
      put(one);
    }
    while (next < added.length) put(added[next++]);
    this.#list = list;
    this.#added = [];
    this.#gone.clear();
  }
}
