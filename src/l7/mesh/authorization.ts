// Who may reach a workload of the mesh, by AuthorizationPolicies alone: DENY before ALLOW; where one policy of ALLOW
// means a workload, what none of them allows is denied; AUDIT is told and decides nothing. A policy that cannot be judged
// by denies all to whom it means: what it was to forbid is not known.

import { labelValue } from "../../kube/labels.ts";
import type { AuthorizationPolicy, PolicyAction } from "../../kube/mesh/authorization-policy.ts";
import type { Asked, Destination } from "./asked.ts";
import { type CompiledRule, compileRule, UnservedPolicy } from "./policy-rule.ts";

export interface Judgement {
  readonly isAllowed: boolean;
  /** One sentence without an end. */
  readonly reason: string;
  /** "AuthorizationPolicy shop/audit rules[0]", of AUDIT, that were met. */
  readonly audited: readonly string[];
}

interface Policy {
  /** "AuthorizationPolicy shop/web" */
  readonly title: string;
  readonly action: PolicyAction;
  readonly labels: readonly (readonly [key: string, value: string])[];
  readonly rules: readonly CompiledRule[];
  /** Why it cannot be judged by; "": it can. */
  readonly problem: string;
}

/** Policies that mean one workload. */
export class WorkloadPolicies {
  readonly #policies: readonly Policy[];
  readonly #hasAllow: boolean;

  constructor(policies: readonly Policy[]) {
    this.#policies = policies;
    this.#hasAllow = policies.some(({ action }) => action === "ALLOW");
  }

  /** A rule asks of this port for what only a request has. */
  needsHttp(port: number): boolean {
    return this.#policies.some(({ rules }) =>
      rules.some(({ hasHttp, ports }) => hasHttp && ports?.has(port) !== false),
    );
  }

  judge(asked: Asked): Judgement {
    const audited = this.#policies.flatMap((each) => (each.action === "AUDIT" ? metRule(each, asked) : []));
    for (const { title, problem, action } of this.#policies)
      if (problem !== "" && action !== "AUDIT")
        return { isAllowed: false, reason: `${title} cannot be judged by: ${problem}`, audited };
    for (const each of this.#policies) {
      if (each.action !== "DENY") continue;
      const [met] = metRule(each, asked);
      if (met !== undefined) return { isAllowed: false, reason: `denied by ${met}`, audited };
    }
    if (!this.#hasAllow) return { isAllowed: true, reason: "no policy of ALLOW means it", audited };
    for (const each of this.#policies) {
      if (each.action !== "ALLOW") continue;
      const [met] = metRule(each, asked);
      if (met !== undefined) return { isAllowed: true, reason: `allowed by ${met}`, audited };
    }
    return { isAllowed: false, reason: `allowed by none of ${this.#allowing()}`, audited };
  }

  #allowing(): string {
    const titles = this.#policies.filter(({ action }) => action === "ALLOW").map(({ title }) => title);
    return titles.join(", ");
  }
}

export class Authorization {
  readonly #byNamespace = new Map<string, Policy[]>();
  /** A line each: policies that cannot be judged by, and deny. */
  readonly notes: readonly string[];

  /** `refused`: policies that could not even be read, "namespace/name", and why. */
  constructor(policies: readonly AuthorizationPolicy[], refused: ReadonlyMap<string, string> = new Map()) {
    for (const each of policies) this.#add(each.metadata.namespace ?? "", compiled(each));
    for (const [key, why] of refused) this.#add(key.slice(0, key.indexOf("/")), unread(key, why));
    for (const list of this.#byNamespace.values()) list.sort((a, b) => (a.title < b.title ? -1 : 1));
    this.notes = [...this.#byNamespace.values()]
      .flat()
      .filter(({ problem }) => problem !== "")
      .map(
        ({ title, problem }) => `${title} cannot be judged by, and denies all to whom it means: ${problem}`,
      );
  }

  of({ namespace, labels }: Pick<Destination, "namespace" | "labels">): WorkloadPolicies {
    const policies = this.#byNamespace.get(namespace) ?? [];
    return new WorkloadPolicies(
      policies.filter((each) => each.labels.every(([key, value]) => labelValue(labels, key) === value)),
    );
  }

  #add(namespace: string, policy: Policy): void {
    const list = this.#byNamespace.get(namespace);
    if (list === undefined) this.#byNamespace.set(namespace, [policy]);
    else list.push(policy);
  }
}

function compiled({ metadata, spec = {} }: AuthorizationPolicy): Policy {
  const { action = "ALLOW", selector, rules = [], ...others } = spec;
  const title = `AuthorizationPolicy ${metadata.namespace}/${metadata.name}`;
  const labels = Object.entries(selector?.matchLabels ?? {});
  const base = { title, action, labels };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return { ...base, rules: [], problem: `spec.${unknown} is not judged by` };
  if (!["ALLOW", "DENY", "AUDIT"].includes(action))
    return { ...base, rules: [], problem: `the action ${action} is not one of ALLOW, DENY and AUDIT` };
  try {
    const made = rules.map((rule) => compileRule(rule, action, metadata.namespace ?? ""));
    return { ...base, rules: made, problem: "" };
  } catch (error) {
    if (!(error instanceof UnservedPolicy)) throw error;
    return { ...base, rules: [], problem: error.message };
  }
}

/** Nobody knows whom it means: all of its namespace. */
function unread(key: string, why: string): Policy {
  return { title: `AuthorizationPolicy ${key}`, action: "DENY", labels: [], rules: [], problem: why };
}

function metRule({ title, rules }: Policy, asked: Asked): string[] {
  const at = rules.findIndex(({ test }) => test(asked));
  return at < 0 ? [] : [`${title} rules[${at}]`];
}
