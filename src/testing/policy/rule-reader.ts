// Reads what iptables-restore and ipset restore would be given, and says what a kernel would do with the first packet of
// a connection. It knows the matches and targets that Calico's rules use and throws at any other, so that it passes
// nothing over. Not the kernel, but a third opinion where there is none at hand.
import { BlockList, isIPv6 } from "node:net";

/** The first packet of a connection at one node. */
export interface Packet {
  /** Interface by which it comes, "" from the node itself; by which it goes, "" to the node itself. */
  readonly in: string;
  readonly out: string;
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: number;
}

export type Verdict = "ACCEPT" | "DROP";

const NUMBERS: Readonly<Record<string, string>> = { tcp: "TCP", udp: "UDP", sctp: "SCTP", 4: "IPIP" };

interface State {
  readonly packet: Packet;
  mark: number;
}

type Condition = (state: State) => boolean;
type Target =
  | { readonly chain: string; readonly returns: boolean }
  | { readonly set: readonly [number, number] };

interface Rule {
  readonly text: string;
  readonly conditions: readonly Condition[];
  readonly target?: Target;
}

export class RuleReader {
  readonly #chains = new Map<string, Rule[]>();
  readonly #policies = new Map<string, string>();
  readonly #sets = new Map<string, Set<string>>();
  /** Rules that packets were compared with. */
  steps = 0;

  constructor(rules: string, sets: string) {
    for (const line of sets.split("\n")) this.#readSet(line);
    for (const line of rules.split("\n")) this.#readLine(line);
  }

  #readSet(line: string): void {
    const [verb, name, member] = line.split(" ");
    if (verb === "create") this.#sets.set(name, new Set());
    else if (verb === "add") this.#set(name).add(member);
    else if (line !== "") throw new SyntaxError(`set: ${line}`);
  }

  #readLine(line: string): void {
    const [, chain, policy] = /^:(\S+) (\S+) \[0:0\]$/.exec(line) ?? [];
    if (chain !== undefined) {
      this.#chains.set(chain, []);
      this.#policies.set(chain, policy);
    } else if (line.startsWith("-A ")) {
      const words = line.match(/"[^"]*"|\S+/g) ?? [];
      const rules = this.#chains.get(words[1]);
      if (rules === undefined) throw new SyntaxError(`no chain ${words[1]}: ${line}`);
      rules.push(this.#rule(line, words.slice(2)));
    } else if (!["*filter", "COMMIT", ""].includes(line)) throw new SyntaxError(line);
  }

  #rule(text: string, words: readonly string[]): Rule {
    const conditions: Condition[] = [];
    let target: Target | undefined;
    for (let i = 0; i < words.length; ) {
      const negated = words[i] === "!";
      if (negated) i++;
      const word = words[i];
      if (word === "-m") {
        i += 2; // the option that follows says which it is
        continue;
      }
      if (word === "-j" || word === "-g") {
        target = this.#target(word, words[i + 1], words.slice(i + 2));
        break;
      }
      const length = word === "--match-set" ? 2 : 1;
      const condition = this.#condition(word, words.slice(i + 1, i + 1 + length));
      conditions.push(
        negated || (word === "--match-set" && words[i - 1] === "!") ? (s) => !condition(s) : condition,
      );
      i += 1 + length;
    }
    return target === undefined ? { text, conditions } : { text, conditions, target };
  }

  #target(word: string, name: string, rest: readonly string[]): Target {
    if (name !== "MARK") return { chain: name, returns: word === "-j" };
    const [value, mask] = rest[1].split("/").map(Number);
    if (rest[0] !== "--set-xmark" || rest.length !== 2) throw new SyntaxError(rest.join(" "));
    return { set: [value, mask] };
  }

  #condition(word: string, [value, direction = ""]: readonly string[]): Condition {
    switch (word) {
      case "-s":
        return inBlock(value, ({ from }) => from);
      case "-d":
        return inBlock(value, ({ to }) => to);
      case "-i":
        return ({ packet }) => isInterface(value, packet.in);
      case "-o":
        return ({ packet }) => isInterface(value, packet.out);
      case "-p":
        return ({ packet }) => packet.protocol === (NUMBERS[value] ?? value);
      case "--comment":
        return () => true;
      case "--mark": {
        const [wanted, mask] = value.split("/").map(Number);
        return (state) => (state.mark & mask) === wanted;
      }
      case "--ctstate":
        return () => false; // a first packet is neither of those that are named
      case "--dports":
        return ({ packet }) => value.split(",").some((part) => isInRange(part, packet.port));
      case "--match-set":
        return inSet(this.#set(value), direction);
      case "--src-type":
        return ({ packet }) => packet.in === "";
      case "--dst-type":
        return ({ packet }) => packet.out === "";
      case "--icmpv6-type":
        return () => false; // no neighbours are looked for here
      default:
        throw new SyntaxError(`an unknown match: ${word}`);
    }
  }

  #set(name: string): Set<string> {
    const found = this.#sets.get(name);
    if (found === undefined) throw new SyntaxError(`there is no set ${name}`);
    return found;
  }

  verdict(packet: Packet): Verdict {
    const hook = packet.in === "" ? "OUTPUT" : packet.out === "" ? "INPUT" : "FORWARD";
    const state: State = { packet, mark: 0 };
    return this.#run(hook, state) ?? (this.#policies.get(hook) as Verdict);
  }

  /** Undefined: the end of the chain, or RETURN. */
  #run(chain: string, state: State): Verdict | undefined {
    const rules = this.#chains.get(chain);
    if (rules === undefined) throw new SyntaxError(`there is no chain ${chain}`);
    for (const { conditions, target } of rules) {
      this.steps++;
      if (target === undefined || !conditions.every((condition) => condition(state))) continue;
      if ("set" in target) {
        const [value, mask] = target.set;
        state.mark = (state.mark & ~mask) ^ value;
      } else if (target.chain === "ACCEPT" || target.chain === "DROP") return target.chain;
      else if (target.chain === "RETURN") return undefined;
      else {
        const verdict = this.#run(target.chain, state);
        if (verdict !== undefined || !target.returns) return verdict;
      }
    }
    return undefined;
  }
}

function isInterface(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function isInRange(part: string, port: number): boolean {
  const [first, last = first] = part.split(":").map(Number);
  return port >= first && port <= last;
}

function inBlock(block: string, of: (packet: Packet) => string): Condition {
  const [address, bits] = block.split("/");
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  const list = new BlockList();
  list.addSubnet(address, Number(bits), family);
  return ({ packet }) => list.check(of(packet), family);
}

function inSet(members: ReadonlySet<string>, direction: string): Condition {
  return ({ packet }) => {
    const [side, second] = direction.split(",");
    const address = side === "src" ? packet.from : packet.to;
    if (second === undefined) return members.has(address);
    if (direction !== "dst,dst") throw new SyntaxError(`set by ${direction}`);
    return members.has(`${address},${packet.protocol.toLowerCase()}:${packet.port}`);
  };
}
