// Paths of rules → what stands at those that a request's path matches, the most telling first. Thousands of rules take as
// many steps as ten: a path is looked up once for each length that rules' paths have, where a path can end at it. A tree
// of elements was measured first: each of its nodes is somewhere else in memory, for which a request had to wait.
//
//   exact    the path and no other
//   prefix   the path, and what lies below it: /a is a prefix of /a and /a/b, not of /ab
//   start    any path that begins with these letters, as nginx' plain locations
//
// Between two that match, the longer one comes first; of equal ones exact, prefix, start.

export type PathKind = "exact" | "prefix" | "start";

interface Length {
  readonly length: number;
  readonly isPrefix: boolean;
}

const SLASH = 47; // character code

export class PathMap<T> {
  readonly #exact = new Map<string, T>();
  /** Without a slash at the end. */
  readonly #prefixes = new Map<string, T>();
  readonly #starts = new Map<string, T>();
  /** That there are, longest first. */
  #lengths: readonly Length[] = [];

  /** What stands at a path; `make` makes it where nothing does yet. */
  at(kind: PathKind, path: string, make: () => T): T {
    if (kind === "exact") return remembered(this.#exact, path, make);
    const isPrefix = kind === "prefix";
    const key = isPrefix ? path.replace(/\/+$/, "") : path;
    if (!this.#lengths.some((each) => each.length === key.length && each.isPrefix === isPrefix)) {
      this.#lengths = [...this.#lengths, { length: key.length, isPrefix }].sort(
        (a, b) => b.length - a.length || Number(b.isPrefix) - Number(a.isPrefix),
      );
    }
    return remembered(isPrefix ? this.#prefixes : this.#starts, key, make);
  }

  /** What `take` makes of the first that it makes something of. */
  find<R>(path: string, take: (found: T) => R | undefined): R | undefined {
    const exact = this.#exact.size === 0 ? undefined : this.#exact.get(path);
    const first = exact === undefined ? undefined : take(exact);
    if (first !== undefined) return first;
    for (const { length, isPrefix } of this.#lengths) {
      if (length > path.length) continue;
      if (isPrefix && length < path.length && path.charCodeAt(length) !== SLASH) continue;
      const found = (isPrefix ? this.#prefixes : this.#starts).get(path.slice(0, length));
      const taken = found === undefined ? undefined : take(found);
      if (taken !== undefined) return taken;
    }
    return undefined;
  }
}

function remembered<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
