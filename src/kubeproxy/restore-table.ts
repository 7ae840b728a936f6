// One table of iptables-restore's input, in the order of iptables-save: chains first, then the rules, those
// of a chain together, whatever the order they come up in.
export class RestoreTable {
  readonly #name: string;
  readonly #declared: string[] = [];
  readonly #rules = new Map<string, string[]>();

  constructor(name: string, builtin: readonly string[]) {
    this.#name = name;
    for (const chain of builtin) this.#declare(chain, "ACCEPT");
  }

  chain(...names: string[]): void {
    for (const name of names) this.#declare(name, "-");
  }

  #declare(chain: string, policy: string): void {
    this.#declared.push(`:${chain} ${policy} [0:0]`);
    this.#rules.set(chain, []);
  }

  /** Parts are joined by blanks; an empty one leaves nothing. */
  rule(chain: string, ...parts: string[]): void {
    this.#of(chain).push(line(chain, parts));
  }

  /** Before the rules that the chain has so far. */
  insert(chain: string, ...parts: string[]): void {
    this.#of(chain).unshift(line(chain, parts));
  }

  #of(chain: string): string[] {
    const rules = this.#rules.get(chain);
    if (rules === undefined) throw new RangeError(`table ${this.#name} has no chain ${chain}`);
    return rules;
  }

  lines(): string[] {
    return [`*${this.#name}`, ...this.#declared, ...[...this.#rules.values()].flat(), "COMMIT"];
  }
}

function line(chain: string, parts: readonly string[]): string {
  return ["-A", chain, ...parts].filter((part) => part !== "").join(" ");
}

/** With quotes, as kube-proxy writes what has blanks in it. */
export function comment(text: string): string {
  return `-m comment --comment ${text.includes(" ") ? `"${text}"` : text}`;
}
