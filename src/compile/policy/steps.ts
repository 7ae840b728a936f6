// A policy's rules as they are asked, and what one of them says about one peer: its ports resolved, names of the
// destination's ports included.
import type { Identity, NamedPort } from "./identities.ts";
import { matches } from "./identities.ts";
import { type Direction, LAST_PORT, type PolicySpec, type RuleSpec, type Tier } from "./policy-rules.ts";
import { ruleText } from "./rule-text.ts";

/** A rule of a policy that is in force. */
export interface Step {
  readonly policy: string;
  /** Whom the policy is about. */
  readonly subject: string;
  readonly tier: Tier;
  readonly direction: Direction;
  /** On trial: what it would deny is counted, and passes. */
  readonly audit: boolean;
  readonly index: number;
  readonly rule: RuleSpec;
  /** Ids of the peers' terms, in the rule's order. */
  readonly terms: readonly number[];
  readonly usesNames: boolean;
  /** By names of ports, then by peer + 1. */
  readonly matched: Map<string, (Match | undefined)[]>;
}

/** Ports of one protocol, both ends included. */
export interface PortRange {
  readonly index: number;
  readonly proto: number;
  readonly from: number;
  readonly to: number;
}

/** One peer of a rule that matched, and the ports it is matched on; undefined: any, of any protocol. */
export interface Match {
  readonly step: Step;
  readonly peer: number;
  readonly ports: readonly PortRange[] | undefined;
  /** What it says, by port + 1. */
  readonly says: string[];
}

export const ANY_PEER = -1;
const NO_PEER = -2;

export function createSteps(
  spec: PolicySpec,
  direction: Direction,
  audit: boolean,
  termOf: (key: string) => number,
): Step[] {
  return (spec[direction] ?? []).map((rule, index) => ({
    policy: spec.key,
    subject: spec.subject.key,
    tier: spec.tier,
    direction,
    audit,
    index,
    rule,
    terms: (rule.peers ?? []).map(({ term }) => termOf(term.key)),
    usesNames: (rule.ports ?? []).some(({ name }) => name !== ""),
    matched: new Map(),
  }));
}

/** The first peer of the rule that matches, with its ports; undefined when none does. */
export function matchOf(
  step: Step,
  peer: Identity,
  named: readonly NamedPort[],
  namedKey: string,
): Match | undefined {
  const at = peerOf(step, peer);
  if (at === NO_PEER) return undefined;
  const key = step.usesNames ? namedKey : "";
  let list = step.matched.get(key);
  if (list === undefined) {
    list = [];
    step.matched.set(key, list);
  }
  const known = list[at + 1];
  if (known !== undefined) return known;
  const match = { step, peer: at, ports: portsOf(step.rule, named), says: [] };
  list[at + 1] = match;
  return match;
}

function peerOf(step: Step, peer: Identity): number {
  if (step.rule.peers === undefined) return ANY_PEER;
  const { terms } = step;
  for (let i = 0; i < terms.length; i++) if (matches(peer, terms[i])) return i;
  return NO_PEER;
}

/** What the rule says of the peer and one of its ports, -1: of any. */
export function textOf({ step, peer, says }: Match, port: number): string {
  const known = says[port + 1];
  if (known !== undefined) return known;
  const text = ruleText(step.subject, step.rule, peer, port);
  says[port + 1] = text;
  return text;
}

function portsOf(rule: RuleSpec, named: readonly NamedPort[]): PortRange[] | undefined {
  return rule.ports?.flatMap(({ index, proto, name, from, to }): PortRange[] => {
    if (name === "") return proto === undefined ? [] : [{ index, proto, from, to: Math.min(to, LAST_PORT) }];
    return named
      .filter((port) => port.name === name && (proto === undefined || port.proto === proto))
      .map((port) => ({ index, proto: port.proto, from: port.port, to: port.port }));
  });
}

/** Place of the first of the match's ports that this one is; -1: any, -2: none. */
export function portOf({ ports }: Match, proto: number, port: number): number {
  if (ports === undefined) return -1;
  for (const range of ports) {
    if (range.proto === proto && range.from <= port && port <= range.to) return range.index;
  }
  return -2;
}
