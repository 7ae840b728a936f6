// ipBlocks with their exceptions → which of them an address lies in. Prefixes contain each other or are apart, so what
// is true of the innermost one around an address is true of the address.
import { type Cidr, type IpWords, maskWord, prefixLen128, V4_MAPPED } from "../../base/ip.ts";
import type { Prefix } from "../../dataplane/spec/prefix.ts";

export interface Block {
  readonly term: number;
  readonly range: Cidr;
  readonly except: readonly Cidr[];
}

/** What IPv4 addresses look like among IPv6 ones: no block of IPv6 holds them. */
const MAPPED: Prefix = { w0: 0, w1: 0, w2: V4_MAPPED, w3: 0, bits: 96 };

/** A prefix that makes a difference, and the one around it. */
interface Area {
  readonly prefix: Prefix;
  readonly combination: number;
  readonly outer: number;
}

interface Node {
  readonly prefix: Prefix;
  readonly enter: number[];
  readonly leave: number[];
  readonly clears: boolean;
}

export class AddressBlocks {
  /** Terms of each combination, sorted; the first is none. */
  readonly combinations: (readonly number[])[] = [[]];
  /** By first address, wider ones before narrower ones. */
  readonly areas: readonly Area[];
  readonly #keys = new Map<string, number>([["", 0]]);

  constructor(blocks: readonly Block[]) {
    const areas: Area[] = [];
    for (const node of [...nodesOf(blocks).values()].sort(byPlace)) {
      let outer = areas.length - 1;
      while (outer >= 0 && !holds(areas[outer].prefix, node.prefix)) outer = areas[outer].outer;
      const around = outer < 0 || node.clears ? 0 : areas[outer].combination;
      const terms = new Set(this.combinations[around]);
      for (const term of node.enter) terms.add(term);
      for (const term of node.leave) terms.delete(term);
      const combination = this.#combinationOf([...terms].sort((a, b) => a - b));
      areas.push({ prefix: node.prefix, combination, outer });
    }
    this.areas = areas;
  }

  #combinationOf(terms: readonly number[]): number {
    const key = terms.join();
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    this.#keys.set(key, this.combinations.length);
    return this.combinations.push(terms) - 1;
  }

  /** The combination of blocks that an address lies in. */
  combinationOf(address: IpWords): number {
    const { areas } = this;
    let from = -1;
    let to = areas.length;
    while (to - from > 1) {
      const middle = (from + to) >>> 1;
      if (compare(areas[middle].prefix, address) > 0) to = middle;
      else from = middle;
    }
    const one = { ...address, bits: 128 };
    while (from >= 0 && !holds(areas[from].prefix, one)) from = areas[from].outer;
    return from < 0 ? 0 : areas[from].combination;
  }
}

function nodesOf(blocks: readonly Block[]): Map<string, Node> {
  const nodes = new Map<string, Node>();
  const nodeOf = (prefix: Prefix, clears: boolean): Node => {
    const key = `${prefix.w0},${prefix.w1},${prefix.w2},${prefix.w3}/${prefix.bits}`;
    const node = nodes.get(key) ?? { prefix, enter: [], leave: [], clears };
    nodes.set(key, node);
    return node;
  };
  nodeOf(MAPPED, true);
  for (const { term, range, except } of blocks) {
    nodeOf(prefixOf(range), false).enter.push(term);
    for (const inner of except)
      if (inner.family === range.family) nodeOf(prefixOf(inner), false).leave.push(term);
  }
  return nodes;
}

function prefixOf(range: Cidr): Prefix {
  return { w0: range.w0, w1: range.w1, w2: range.w2, w3: range.w3, bits: prefixLen128(range) };
}

function byPlace({ prefix: a }: Node, { prefix: b }: Node): number {
  return compare(a, b) || a.bits - b.bits;
}

function compare(a: IpWords, b: IpWords): number {
  if (a.w0 !== b.w0) return (a.w0 >>> 0) - (b.w0 >>> 0);
  if (a.w1 !== b.w1) return (a.w1 >>> 0) - (b.w1 >>> 0);
  if (a.w2 !== b.w2) return (a.w2 >>> 0) - (b.w2 >>> 0);
  return (a.w3 >>> 0) - (b.w3 >>> 0);
}

function holds(outer: Prefix, inner: Prefix): boolean {
  return (
    outer.bits <= inner.bits &&
    ((outer.w0 ^ inner.w0) & maskWord(outer.bits, 0)) === 0 &&
    ((outer.w1 ^ inner.w1) & maskWord(outer.bits, 1)) === 0 &&
    ((outer.w2 ^ inner.w2) & maskWord(outer.bits, 2)) === 0 &&
    ((outer.w3 ^ inner.w3) & maskWord(outer.bits, 3)) === 0
  );
}
