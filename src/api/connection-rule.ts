// What let a connection in, as people know it: the plane keeps ids, which mean something in the epoch that they were
// given in. A rule that went away, or whose place another one has, is told as such and never taken for the other one.
import type { Policies } from "../compile/policy/policies.ts";
import type { PolicyCompiler } from "../compile/policy/policy-compiler.ts";
import { formatRule, policiesOf, type RuleName } from "../compile/policy/rule-names.ts";
import { standingOfAll } from "../compile/policy/rule-standing.ts";
import { ACTION_BITS, NO_EPOCH } from "../dataplane/spec/policy.ts";
import { policyVerdict } from "../kubeproxy/words/read-record.ts";
import type { ConntrackRule } from "../observe/conntrack-entry.ts";

/** Of a verdict and its epoch, as they stand beside a connection; undefined: policies said nothing. */
export type RuleOfConnection = (verdict: number, epoch: number) => ConntrackRule | undefined;

function named(verdict: number, name: RuleName, policies: Policies): ConntrackRule {
  const { allowedBy } = name;
  const since = standingOfAll(allowedBy ?? name, policies);
  return {
    ...policyVerdict(verdict, () => ({ rule: formatRule(name), policies: policiesOf(name) })),
    ...(allowedBy !== undefined && { allowedBy: formatRule(allowedBy) }),
    ...(since !== undefined && { since }),
  };
}

function unnamed(verdict: number, isRest: boolean): ConntrackRule {
  const told = policyVerdict(verdict, () => (isRest ? BEYOND : FORGOTTEN));
  return isRest ? told : { ...told, since: "removed" };
}

const FORGOTTEN = { rule: "a rule that nobody remembers", policies: [] };
const BEYOND = { rule: "one of more rules than are told apart", policies: [] };

/** Whoever gave the ids. */
export type RuleSource = Pick<PolicyCompiler, "names" | "policies">;

/** For one listing: what became of a rule is looked up once. */
export function createRuleOf({ names, policies }: RuleSource): RuleOfConnection {
  const known = new Map<number, ConntrackRule>();
  return (verdict, epoch) => {
    if (verdict <= 0 || epoch === NO_EPOCH) return undefined;
    const id = verdict >>> ACTION_BITS;
    const name = names.nameAt(id, epoch);
    const key = name === undefined ? -1 - verdict : verdict;
    let rule = known.get(key);
    if (rule === undefined) {
      rule = name === undefined ? unnamed(verdict, names.isRest(id)) : named(verdict, name, policies);
      known.set(key, rule);
    }
    return rule;
  };
}
