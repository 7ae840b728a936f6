// Who a verdict comes from: every rule that decides anything has an id, which the plane counts by and connections
// remember, and a name that people know it by. A policy that is edited has other rules in the same places: what a rule
// says is part of who it is.
import { INHERITED, RULES_MAX } from "../../dataplane/spec/policy.ts";
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
  /** Policies that isolate the pod, of "isolated"; of a pod's connection to itself those that do not count. */
  readonly isolatedBy: readonly string[];
  /** Rules with action Pass that sent the connection on, in words. */
  readonly passedBy: string;
  /** What is said at these places (rule-text.ts): of the rule or of each that isolates, then of each that passed on. */
  readonly says: readonly string[];
  /** Of what would be denied, on trial: the rule that lets it pass, where that is one. */
  readonly allowedBy?: RuleName | undefined;
}

/** Id of what no policy has anything to say about. */
export const NO_RULE = 0;

/** Keeps ids for an agent that comes after this one, and has those of the one before. */
export interface LastingIds {
  /** Ids that rules had then: connections may name them. */
  former(): Iterable<number>;
  /** The id that the rule with this key had. */
  formerOf(key: string): number | undefined;
  note(id: number, key: string): void;
}

export class RuleNames {
  readonly #lasting: LastingIds | undefined;
  readonly #ids = new Map<string, number>();
  readonly #names: (RuleName | undefined)[] = [undefined];
  /** Epoch from which on an id has its name. */
  readonly #since: number[] = [0];
  /** Former ids whose rule has not come back yet. */
  readonly #former: Set<number>;
  /** Ids of rules that are gone, those that have been so for longest first: connections may still name them. */
  #free: number[] = [];
  #used: Set<number> | undefined;
  #recycled: number[] = [];
  #next = NO_RULE + 1;
  /** Id of all rules that no id was left for. */
  readonly #rest: number;
  /** Of the update that is being made. */
  epoch = 0;

  constructor(lasting?: LastingIds, rulesMax = RULES_MAX) {
    this.#lasting = lasting;
    this.#former = new Set(lasting?.former());
    this.#rest = rulesMax - 1;
  }

  idOf(name: RuleName): number {
    const key = keyOf(name);
    const known = this.#ids.get(key);
    if (known !== undefined) {
      this.#used?.add(known);
      return known;
    }
    const former = this.#lasting?.formerOf(key) ?? NO_RULE;
    const isFormer = this.#former.delete(former);
    const id = isFormer ? former : this.#newId();
    if (id === this.#rest) return id;
    const before = this.#names[id];
    if (before !== undefined) {
      this.#ids.delete(keyOf(before));
      this.#recycled.push(id);
    }
    this.#names[id] = name;
    this.#since[id] = isFormer ? INHERITED : this.epoch;
    this.#ids.set(key, id);
    this.#used?.add(id);
    this.#lasting?.note(id, key);
    return id;
  }

  /** One that nobody had, else that of a rule which is gone. */
  #newId(): number {
    while (this.#former.has(this.#next)) this.#next++;
    if (this.#next < this.#rest) return this.#next++;
    for (const former of this.#former) {
      this.#former.delete(former);
      return former;
    }
    return this.#free.shift() ?? this.#rest;
  }

  nameOf(id: number): RuleName | undefined {
    return this.#names[id];
  }

  /** What the id meant in an epoch; undefined when it has been given to another rule since. */
  nameAt(id: number, epoch: number): RuleName | undefined {
    return epoch < this.#since[id] ? undefined : this.#names[id];
  }

  /** Is it the id of all rules that have none of their own? */
  isRest(id: number): boolean {
    return id === this.#rest;
  }

  /** All that have a name, with their ids. */
  *entries(): Iterable<[id: number, name: RuleName]> {
    for (const [id, name] of this.#names.entries()) if (name !== undefined) yield [id, name];
  }

  /** Ids that mean another rule than at the last call: what was counted by them is the other's. */
  takeRecycled(): number[] {
    const taken = this.#recycled;
    this.#recycled = [];
    return taken;
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
  const own = [n.direction, n.decision, n.policy, n.rule, n.isolatedBy.join(), n.passedBy, ...n.says].join(
    "|",
  );
  return n.allowedBy === undefined ? own : `${own}||${keyOf(n.allowedBy)}`;
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
