// What a node's own packets to its own addresses do before any rule sees them: they go over lo, unless policy routing
// brings them out of host0. Reads the lines that the agent gives to ip(8), as the kernel would.
import { cidr, contains, type IpFamily, ip } from "../../base/ip.ts";
import type { FamilyRules } from "../../compile/host-rules.ts";
import type { Flow } from "./flows.ts";

export class Lo {
  readonly #rules: FamilyRules;
  readonly #own: readonly string[];
  readonly #hostBits: number;

  constructor(rules: FamilyRules, own: readonly string[], family: IpFamily) {
    this.#rules = rules;
    this.#own = own;
    this.#hostBits = family === 4 ? 32 : 128;
  }

  /** True for what the node sends to itself without anybody's noticing. */
  keeps({ entry, to, port, protocol }: Flow): boolean {
    if (entry !== "node") return false;
    const isOwn = this.#own.includes(to) || to.startsWith("127.") || to === "::1";
    return isOwn && !(this.#matches(to, port, protocol) && this.#isInTable(to));
  }

  #matches(to: string, port: number, protocol: string): boolean {
    return this.#rules.rules.some((line) => {
      const rule = /^from all (?:to (\S+) )?iif lo ipproto (\w+) dport (\d+)(?:-(\d+))? lookup/.exec(line);
      if (rule === null || rule[2] !== protocol.toLowerCase()) return false;
      const [first, last] = [Number(rule[3]), Number(rule[4] ?? rule[3])];
      return (rule[1] ?? to) === to && port >= first && port <= last;
    });
  }

  #isInTable(to: string): boolean {
    const destinations = this.#rules.routes.map((line) => line.split(" ")[0]);
    return destinations.some((text) =>
      contains(cidr(text.includes("/") ? text : `${text}/${this.#hostBits}`), ip(to)),
    );
  }
}
