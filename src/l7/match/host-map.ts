// Hosts of rules → what stands there for a request's host: the name itself, then wildcards from the longest, then what is
// for every host.

export class HostMap<T> {
  readonly #exact = new Map<string, T>();
  /** By what follows the star: ".example.com". */
  readonly #wild = new Map<string, T>();
  #every: T | undefined;
  readonly #isDeep: boolean;

  /** `isDeep`: a star stands for any number of labels, as in the Gateway API; otherwise for one, as in an Ingress. */
  constructor(isDeep: boolean) {
    this.#isDeep = isDeep;
  }

  /** "": every host. */
  at(host: string, make: () => T): T {
    if (host === "") return (this.#every ??= make());
    const isWild = host.startsWith("*.");
    const map = isWild ? this.#wild : this.#exact;
    const key = isWild ? host.slice(1) : host;
    const known = map.get(key);
    if (known !== undefined) return known;
    const made = make();
    map.set(key, made);
    return made;
  }

  has(host: string): boolean {
    return host.startsWith("*.") ? this.#wild.has(host.slice(1)) : this.#exact.has(host);
  }

  /** What `take` makes of the first that it makes something of. */
  find<R>(host: string, take: (found: T) => R | undefined): R | undefined {
    const exact = this.#exact.get(host);
    const first = exact === undefined ? undefined : take(exact);
    if (first !== undefined) return first;
    for (let dot = host.indexOf(".", 1); dot > 0; dot = host.indexOf(".", dot + 1)) {
      const wild = this.#wild.get(host.slice(dot));
      const taken = wild === undefined ? undefined : take(wild);
      if (taken !== undefined) return taken;
      if (!this.#isDeep) break;
    }
    return this.#every === undefined ? undefined : take(this.#every);
  }
}
