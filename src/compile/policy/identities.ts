// Identities: addresses that no policy tells apart have one. What makes an identity is whose the address is (`Base`) and
// which ipBlocks it lies in (`Combination`).
//
// An identity keeps its index when a block comes or goes that holds all of its addresses, or none: whoever asks for that
// block has rows of his own, and what all other rows have to say of it stays as it was. Of an identity that a block cuts
// in two, the part with fewer addresses gets another one; when two become the same, the smaller one is given up.
import type { IpWords } from "../../base/ip.ts";
import { AddressOrder } from "./address-order.ts";
import { TermBits } from "./term-bits.ts";

export interface NamedPort {
  readonly name: string;
  readonly proto: number;
  readonly port: number;
}

/** What the addresses of a pod or a node have in common. */
export interface Base {
  readonly key: string;
  /** Terms that match it, but for blocks. */
  readonly terms: TermBits;
  /** Ports that the pod gives names to. */
  readonly named: readonly NamedPort[];
  readonly namedKey: string;
  /** How many identities it has. */
  uses: number;
}

/** The blocks that an address lies in, one for all addresses that lie in the same ones. */
export interface Combination {
  readonly terms: TermBits;
  readonly identities: Map<Base, Identity>;
  /** Those that were one when this change began. */
  kin: Combination[] | undefined;
}

/** One of the addresses of an identity, as whoever keeps them knows it. */
export interface Member extends IpWords {
  readonly identity: Identity | undefined;
}

export interface Identity {
  readonly index: number;
  readonly base: Base;
  combination: Combination;
  readonly members: Set<Member>;
  /** Rows that are no younger say of it what they say of this one. */
  like: Identity | undefined;
}

export function namedKeyOf(named: readonly NamedPort[]): string {
  return named.map(({ name, proto, port }) => `${name}/${proto}=${port}`).join();
}

export function matches({ base, combination }: Identity, term: number): boolean {
  return base.terms.has(term) || combination.terms.has(term);
}

/** All addresses that nobody is known to have. */
const WORLD: Base = { key: "world", terms: new TermBits(), named: [], namedKey: "", uses: 1 };
const ANYBODY: Member = { w0: 0, w1: 0, w2: 0, w3: 0, identity: undefined };

export class Identities {
  readonly #bases = new Map<string, Base>();
  /** By index. */
  readonly list: (Identity | undefined)[] = [];
  readonly #free: number[] = [];
  #unused: Identity[] = [];
  #idleBases: Base[] = [];
  readonly #split = new Set<Combination>();
  #size = 0;
  /** Since `collect`. */
  readonly added = new Set<Identity>();
  /** All addresses that have one. */
  readonly order = new AddressOrder<Member>();
  /** Addresses that have to get another identity. */
  readonly moved = new Set<Member>();

  /** What is common to pods or nodes that match these terms, sorted. */
  baseOf(kind: "node" | "pod", terms: readonly number[], named: readonly NamedPort[]): Base {
    const namedKey = namedKeyOf(named);
    const key = `${kind} ${terms.join()}|${namedKey}`;
    const known = this.#bases.get(key);
    if (known !== undefined) return known;
    const base: Base = { key, terms: new TermBits(terms), named, namedKey, uses: 0 };
    this.#bases.set(key, base);
    this.#idleBases.push(base);
    return base;
  }

  /** Gives an address an identity in the place of what it had. */
  join(member: Member, base: Base, combination: Combination): Identity {
    const before = member.identity;
    const identity = this.#enter(member, base, combination);
    if (before === undefined) this.order.add(member);
    else if (before !== identity) this.#drop(member, before);
    return identity;
  }

  /** Takes an address out that nobody has any more. */
  leave(member: Member, identity: Identity): void {
    this.order.delete(member);
    this.#drop(member, identity);
  }

  /** The identity of addresses that nobody has. */
  worldOf(combination: Combination): Identity {
    return this.#enter(ANYBODY, WORLD, combination);
  }

  #enter(member: Member, base: Base, combination: Combination): Identity {
    const identity = combination.identities.get(base) ?? this.#create(base, combination);
    identity.members.add(member);
    return identity;
  }

  #drop(member: Member, identity: Identity): void {
    identity.members.delete(member);
    if (identity.members.size === 0) this.#unused.push(identity);
  }

  #create(base: Base, combination: Combination): Identity {
    const index = this.#free.pop() ?? this.list.length;
    const like = this.#likeOf(base, combination);
    const identity = { index, base, combination, members: new Set<Member>(), like };
    combination.identities.set(base, identity);
    base.uses++;
    this.#size++;
    this.list[index] = identity;
    this.added.add(identity);
    return identity;
  }

  #likeOf(base: Base, { kin = [] }: Combination): Identity | undefined {
    for (const other of kin) {
      const identity = other.identities.get(base);
      if (identity !== undefined && !this.added.has(identity)) return identity;
    }
    return undefined;
  }

  /**
   * Some of what was in a combination is in another one now, which is new. `part`: at least those of the addresses that
   * are, or with `!isMoved` at least those that are not.
   */
  split(into: ReadonlyMap<Combination, Combination>, part: readonly Member[], isMoved: boolean): void {
    for (const pair of into) this.#relate(...pair);
    const found = new Map<Identity, Set<Member>>();
    for (const member of part) {
      const { identity } = member;
      if (identity === undefined || !into.has(identity.combination)) continue;
      const members = found.get(identity);
      if (members === undefined) found.set(identity, new Set([member]));
      else members.add(member);
    }
    for (const [from, to] of into) {
      for (const identity of [...from.identities.values()]) {
        if (identity.base === WORLD) continue;
        const some = found.get(identity);
        if (some === undefined) {
          if (!isMoved) this.#move(identity, to);
        } else this.#divide(identity, some, isMoved ? to : from, isMoved ? from : to);
      }
    }
  }

  /** Some of its members belong to one combination, and all others to another one. */
  #divide(identity: Identity, some: ReadonlySet<Member>, of: Combination, others: Combination): void {
    const { members, combination } = identity;
    const isMost = 2 * some.size > members.size;
    const wanted = isMost ? of : others;
    if (combination !== wanted) this.#move(identity, wanted);
    for (const member of isMost ? members : some) if (!isMost || !some.has(member)) this.moved.add(member);
  }

  #relate(from: Combination, to: Combination): void {
    from.kin ??= [from];
    from.kin.push(to);
    to.kin = from.kin;
    this.#split.add(from).add(to);
  }

  /** What was in a combination is in another one now. Answers how many addresses have to move. */
  merge(from: Combination, into: Combination): number {
    const before = this.moved.size;
    for (const identity of [...from.identities.values()]) {
      if (identity.base === WORLD) {
        this.#drop(ANYBODY, identity);
        continue;
      }
      const other = into.identities.get(identity.base);
      const isKept = other === undefined || other.members.size < identity.members.size;
      for (const member of isKept ? (other?.members ?? []) : identity.members) this.moved.add(member);
      if (isKept) this.#move(identity, into);
    }
    return this.moved.size - before;
  }

  #move(identity: Identity, into: Combination): void {
    identity.combination.identities.delete(identity.base);
    identity.combination = into;
    into.identities.set(identity.base, identity);
  }

  /**
   * Ends a change. Indices that came free in it are given out in the next one: until then the plane has the addresses
   * that lead to them.
   */
  collect(): void {
    for (const identity of this.added) identity.like = undefined;
    for (const one of this.#split) one.kin = undefined;
    this.added.clear();
    this.#split.clear();
    for (const identity of this.#unused) {
      const { base, combination, index, members } = identity;
      if (members.size > 0 || this.list[index] !== identity) continue;
      if (combination.identities.get(base) === identity) combination.identities.delete(base);
      if (--base.uses === 0) this.#idleBases.push(base);
      this.#size--;
      this.list[index] = undefined;
      this.#free.push(index);
    }
    for (const { key, uses } of this.#idleBases) if (uses === 0) this.#bases.delete(key);
    this.#unused = [];
    this.#idleBases = [];
    this.moved.clear();
  }

  get size(): number {
    return this.#size;
  }
}
