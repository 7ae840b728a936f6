// What stands at a place of a policy, as a text that is another one when something else stands there. Whom the policy is
// about is part of it: a rule for other pods is another rule.
import type { PolicySpec, RuleSpec } from "./policy-rules.ts";

/** Of one peer of a rule (its place among `peers`; -1: of anybody) and one of its ports (its index; -1: of any). */
export function ruleText(subject: string, rule: RuleSpec, peer: number, port: number): string {
  const who = rule.peers?.[peer]?.term.key ?? "anybody";
  const ports = (rule.ports ?? []).filter(({ index }) => index === port);
  const where = ports.map(({ proto, name, from, to }) => `${proto}/${name}/${from}-${to}`);
  return `${rule.action} ${subject} ${who} ${where.join()}`;
}

/** Of a policy that isolates by being there. */
export function isolationText({ subject }: Pick<PolicySpec, "subject">): string {
  return subject.key;
}
