// Who a verdict comes from: every rule that decides anything has an id, which the plane counts by and connections
// remember, and a name that people know it by.
import { RULES_MAX } from "../../dataplane/spec/policy.ts";
import type { Direction, Tier } from "./policy-rules.ts";

export interface RuleName {
  readonly direction: Direction;
  /** What the rule says: Accept, Deny; "isolated": no rule matched and policies isolate; "default": nothing decided. */
  readonly decision: "Accept" | "Deny" | "isolated" | "default";
  readonly tier: Tier | undefined;
  /** "namespace/name", or the name of a ClusterNetworkPolicy; "" where it is none's. */
  readonly policy: string;
  /** ingress[0].from[1].ports[0] */
  readonly rule: string;
  /** Of a ClusterNetworkPolicy's rule. */
  readonly ruleName: string;
  /** Policies that isolate the pod, of "isolated"; of a pod's connection to itself those that do not count. */
  readonly isolatedBy: readonly string[];
  /** Rules with action Pass that sent the connection on, in words. */
  readonly passedBy: string;
}

/** Id of what no policy has anything to say about. */
export const NO_RULE = 0;
/** Id of all rules that no id was left for. */
const REST = RULES_MAX - 1;

export class RuleNames {
  readonly #ids = new Map<string, number>();
  readonly #names: (RuleName | undefined)[] = [undefined];
  /** Ids of rules that are gone, those that have been so for longest first: connections may still name them. */
  #free: number[] = [];
  #used: Set<number> | undefined;

  idOf(name: RuleName): number {
    const key = keyOf(name);
    const known = this.#ids.get(key);
    if (known !== undefined) {
      this.#used?.add(known);
      return known;
    }
    const isFull = this.#names.length >= REST;
    const id = isFull ? (this.#free.shift() ?? REST) : this.#names.length;
    if (id === REST) return REST;
    const before = this.#names[id];
    if (before !== undefined) this.#ids.delete(keyOf(before));
    this.#names[id] = name;
    this.#ids.set(key, id);
    this.#used?.add(id);
    return id;
  }

  nameOf(id: number): RuleName | undefined {
    return this.#names[id];
  }

  /** All that have a name, with their ids. */
  *entries(): Iterable<[id: number, name: RuleName]> {
    for (const [id, name] of this.#names.entries()) if (name !== undefined) yield [id, name];
  }

  /** Notes from now on which are asked for … */
  beginSweep(): void {
    this.#used = new Set();
  }

  /** … and gives the ids of all others away, when there are no new ones left. */
  endSweep(): void {
    const used = this.#used ?? new Set();
    this.#used = undefined;
    const known = new Set(this.#free);
    const gone = [...this.#ids.values()].filter((id) => !used.has(id) && !known.has(id));
    this.#free = [...this.#free.filter((id) => !used.has(id)), ...gone];
  }
}

function keyOf(n: RuleName): string {
  return [n.direction, n.decision, n.policy, n.rule, n.isolatedBy.join(), n.passedBy].join("|");
}

/** `default/allow-db-access ingress[0].from[1].ports[0]`, or whom the pod is isolated by. */
export function formatRule(name: RuleName | undefined): string {
  if (name === undefined) return "no policy";
  const { decision, policy, rule, isolatedBy, passedBy } = name;
  const passed = passedBy === "" ? "" : `, passed on by ${passedBy}`;
  if (decision === "isolated") return `isolated by ${isolatedBy.join(", ")}; no rule matches${passed}`;
  if (decision === "default") return `no rule matches${passed}`;
  return `${policy} ${rule}${passed}`;
}

/** Whose rule it is, or who isolates. */
export function policiesOf({ policy, isolatedBy }: RuleName): readonly string[] {
  return policy === "" ? isolatedBy : [policy];
}
