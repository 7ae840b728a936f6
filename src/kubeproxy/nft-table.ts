// Commands that make one nftables table, in an order in which everything is there before it is named: sets
// and maps, chains, rules, elements.
import type { IpFamily } from "../base/ip.ts";

export class NftTable {
  /** "ip", "ip6": the family, and the header that addresses are matched in. */
  readonly ip: "ip" | "ip6";
  readonly addressType: "ipv4_addr" | "ipv6_addr";
  /** Matches what is not for loopback. */
  readonly notLoopback: string;
  /** The key of maps by address, protocol and port. */
  readonly service: string;
  readonly #sets: string[] = [];
  readonly #chains: string[] = [];
  readonly #rules: string[] = [];
  readonly #elements = new Map<string, string>();

  constructor(family: IpFamily) {
    this.ip = family === 4 ? "ip" : "ip6";
    this.addressType = family === 4 ? "ipv4_addr" : "ipv6_addr";
    this.notLoopback = family === 4 ? "ip daddr != 127.0.0.0/8" : "ip6 daddr != ::1";
    this.service = `${this.ip} daddr . meta l4proto . th dport`;
  }

  set(name: string, spec: string): void {
    this.#sets.push(`add set ${this.ip} kube-proxy ${name} { ${spec} }`);
  }

  map(name: string, spec: string): void {
    this.#sets.push(`add map ${this.ip} kube-proxy ${name} { ${spec} }`);
  }

  chain(name: string, spec = ""): void {
    this.#chains.push(`add chain ${this.ip} kube-proxy ${name}${spec === "" ? "" : ` { ${spec} }`}`);
  }

  /** Parts are joined by blanks; an empty one leaves nothing. */
  rule(chain: string, ...parts: string[]): void {
    const rule = parts.filter((part) => part !== "").join(" ");
    this.#rules.push(`add rule ${this.ip} kube-proxy ${chain} ${rule}`);
  }

  /** A key that is there keeps its value: two Services may claim one address. */
  element(container: string, key: string, value = "", comment = ""): void {
    const id = `${container} ${key}`;
    if (this.#elements.has(id)) return;
    const note = comment === "" ? "" : ` comment "${comment}"`;
    const verdict = value === "" ? "" : ` : ${value}`;
    this.#elements.set(id, `add element ${this.ip} kube-proxy ${container} { ${key}${note}${verdict} }`);
  }

  text(): string {
    const table = `table ${this.ip} kube-proxy`;
    const lines = [
      `add ${table} { comment "rules for kube-proxy" ; }`,
      `delete ${table}`,
      `add ${table} { comment "rules for kube-proxy" ; }`,
      ...this.#sets,
      ...this.#chains,
      ...this.#rules,
      ...this.#elements.values(),
    ];
    return `${lines.join("\n")}\n`;
  }
}
