// Identities: addresses that no policy tells apart have one. What makes an identity is the set of peer terms that its
// addresses match, and the ports that its pods give names to; it never changes. When the answer changes, the addresses
// get another one.

export interface NamedPort {
  readonly name: string;
  readonly proto: number;
  readonly port: number;
}

export interface Identity {
  readonly index: number;
  readonly key: string;
  /** Bit per term. */
  readonly terms: Uint32Array;
  readonly named: readonly NamedPort[];
  readonly namedKey: string;
  refs: number;
}

export function namedKeyOf(named: readonly NamedPort[]): string {
  return named.map(({ name, proto, port }) => `${name}/${proto}=${port}`).join();
}

export function matches(identity: Identity, term: number): boolean {
  return ((identity.terms[term >>> 5] >>> (term & 31)) & 1) === 1;
}

export class Identities {
  readonly #byKey = new Map<string, Identity>();
  /** By index. */
  readonly list: (Identity | undefined)[] = [];
  readonly #free: number[] = [];
  #unused: Identity[] = [];
  /** Since `collect`. */
  readonly added = new Set<Identity>();

  /** The identity of what matches these terms, sorted; one more holds it. */
  acquire(terms: readonly number[], named: readonly NamedPort[]): Identity {
    const namedKey = namedKeyOf(named);
    const key = `${terms.join()}|${namedKey}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.refs++;
      return known;
    }
    const bits = new Uint32Array(terms.length === 0 ? 0 : (terms[terms.length - 1] >>> 5) + 1);
    for (const term of terms) bits[term >>> 5] |= 1 << (term & 31);
    const index = this.#free.pop() ?? this.list.length;
    const identity = { index, key, terms: bits, named, namedKey, refs: 1 };
    this.#byKey.set(key, identity);
    this.list[index] = identity;
    this.added.add(identity);
    return identity;
  }

  /** One more holds it; false when it is gone. */
  hold(identity: Identity): boolean {
    if (this.list[identity.index] !== identity) return false;
    identity.refs++;
    return true;
  }

  release(identity: Identity): void {
    identity.refs--;
    if (identity.refs === 0) this.#unused.push(identity);
  }

  /**
   * Ends a change. Indices that came free in it are given out in the next one: until then the plane has the addresses
   * that lead to them.
   */
  collect(): void {
    this.added.clear();
    for (const identity of this.#unused) {
      if (identity.refs > 0 || this.list[identity.index] !== identity) continue;
      this.#byKey.delete(identity.key);
      this.list[identity.index] = undefined;
      this.#free.push(identity.index);
    }
    this.#unused = [];
  }

  get size(): number {
    return this.#byKey.size;
  }
}
