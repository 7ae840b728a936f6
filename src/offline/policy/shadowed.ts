// Rules that have nothing left to decide, since another one, asked before them or beside them, covers all that they
// say: by what the texts say, whichever pods there are.
import { contains } from "../../base/ip.ts";
import type { Direction, PortSpec, RuleSpec, TermSpec, Tier } from "../../compile/policy/policy-rules.ts";
import { selectorKey } from "../../compile/policy/selectors.ts";
import type { CheckedPolicy, Finding } from "./finding.ts";

interface PlacedRule {
  readonly policy: CheckedPolicy;
  readonly direction: Direction;
  readonly index: number;
  readonly rule: RuleSpec;
}

const TIERS: readonly Tier[] = ["Admin", "Default", "Baseline"];
const EVERYTHING = selectorKey({});

export function shadowed(policies: readonly CheckedPolicy[]): Finding[] {
  const inForce = policies.filter(({ audit }) => !audit); // the others decide nothing
  return (["ingress", "egress"] as const).flatMap((direction) => {
    const [admin, own, baseline] = TIERS.map((tier) => rulesOf(inForce, tier, direction));
    const passes = admin.findIndex(({ rule }) => rule.action === "Pass");
    const above = passes < 0 ? admin : admin.slice(0, passes);
    return [...inOrder(admin), ...addingUp(own, above), ...inOrder(baseline)];
  });
}

function rulesOf(policies: readonly CheckedPolicy[], tier: Tier, direction: Direction): PlacedRule[] {
  const inTier = policies.filter(({ spec }) => spec.tier === tier).sort(byOrder);
  return inTier.flatMap((policy) =>
    (policy.spec[direction] ?? []).map((rule, index) => ({ policy, direction, index, rule })),
  );
}

/** The first one that matches decides. */
function inOrder(rules: readonly PlacedRule[]): Finding[] {
  return rules.flatMap((rule, i) => covered(rule, rules.slice(0, i)));
}

/** NetworkPolicies add up: of two rules that say the same the later one is told. */
function addingUp(rules: readonly PlacedRule[], above: readonly PlacedRule[]): Finding[] {
  const byNamespace = new Map<string, PlacedRule[]>();
  for (const rule of rules) {
    const { namespace = "default" } = rule.policy.object.metadata;
    const siblings = byNamespace.get(namespace) ?? [];
    siblings.push(rule);
    byNamespace.set(namespace, siblings);
  }
  return [...byNamespace.values()].flatMap((siblings) =>
    siblings.flatMap((rule, i) => {
      const others = siblings.filter((other, j) => j < i || (j > i && !covers(rule, other)));
      return covered(rule, [...above, ...others]);
    }),
  );
}

function covered(rule: PlacedRule, others: readonly PlacedRule[]): Finding[] {
  const by = others.find((other) => covers(other, rule));
  if (by === undefined) return [];
  const { object } = rule.policy;
  const path = ["spec", rule.direction, rule.index];
  const where = `${by.policy.spec.key} ${by.direction}[${by.index}]`;
  const isAdding = by.policy.object.kind === "NetworkPolicy";
  const why = isAdding
    ? `adds nothing: ${where} allows all of it`
    : `is never asked: ${where} (${by.rule.action}) comes first`;
  return [{ object, path, check: "shadowed", text: `spec.${rule.direction}[${rule.index}]: ${why}` }];
}

function covers(a: PlacedRule, b: PlacedRule): boolean {
  return (
    termCovers(a.policy.spec.subject, b.policy.spec.subject) &&
    peersCover(a.rule, b.rule) &&
    portsCover(a.rule.ports, b.rule.ports)
  );
}

function peersCover({ peers: a }: RuleSpec, { peers: b }: RuleSpec): boolean {
  if (a === undefined) return true;
  return b?.every(({ term }) => a.some((other) => termCovers(other.term, term))) === true && b.length > 0;
}

function termCovers(a: TermSpec, b: TermSpec): boolean {
  if (a.key === b.key) return true;
  if (a.of === "block")
    return b.of === "block" && a.except.length === 0 && a.range.family === b.range.family && holds(a, b);
  if (a.of === "podsOf" && selectorKey(a.pods) === EVERYTHING && selectorKey(a.namespaces) === EVERYTHING)
    return b.of === "pods" || b.of === "podsOf";
  if (a.of === "pods" && selectorKey(a.pods) === EVERYTHING)
    return b.of === "pods" && a.inNamespace === b.inNamespace;
  return (
    a.of === "podsOf" &&
    b.of === "podsOf" &&
    selectorKey(a.pods) === EVERYTHING &&
    selectorKey(a.namespaces) === selectorKey(b.namespaces)
  );
}

function holds(a: TermSpec & { of: "block" }, b: TermSpec & { of: "block" }): boolean {
  return a.range.prefixLen <= b.range.prefixLen && contains(a.range, b.range);
}

function portsCover(a: readonly PortSpec[] | undefined, b: readonly PortSpec[] | undefined): boolean {
  if (a === undefined) return true;
  return (
    b?.every((port) =>
      a.some(
        (other) =>
          (other.proto === undefined || other.proto === port.proto) &&
          other.name === port.name &&
          (port.name !== "" || (other.from <= port.from && port.to <= other.to)),
      ),
    ) === true
  );
}

function byOrder({ spec: a }: CheckedPolicy, { spec: b }: CheckedPolicy): number {
  return a.priority - b.priority || (a.key < b.key ? -1 : 1);
}
