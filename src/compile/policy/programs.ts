// What a row says about one peer, for every protocol and port: the matches in the order in which they are asked become
// ranges of ports with a verdict each. Admin tier, NetworkPolicies, Baseline tier; a rule Pass leaves its tier.
import { ACTION_BITS, PolicyAction, PROGRAM_WORDS } from "../../dataplane/spec/policy.ts";
import type { Direction } from "./policy-rules.ts";
import { PROTOCOLS } from "./policy-rules.ts";
import { NO_RULE, type RuleName, type RuleNames } from "./rule-names.ts";
import { ANY_PEER, type Match, portOf, textOf } from "./steps.ts";

const { ALLOW, DENY, DENY_RULE, AUDIT } = PolicyAction;
const LISTED = [PROTOCOLS.TCP, PROTOCOLS.UDP, PROTOCOLS.SCTP] as const;
const OTHER = 0;
const NO_PORT = -1;

/** What isolates the pods of a row: NetworkPolicies in force, and those on trial. */
export interface Isolation {
  readonly direction: Direction;
  readonly by: readonly string[];
  readonly onTrial: readonly string[];
  /** What each of them says by being there. */
  readonly texts: ReadonlyMap<string, string>;
}

/** Four cells; one of a list is its place among the words that follow them. */
export interface Program {
  readonly words: readonly number[];
  /** Not undefined: one verdict for everything. */
  readonly constant: number | undefined;
}

/** How a connection is decided. `self`: of a pod to itself by way of a service, which NetworkPolicies let pass. */
interface Question {
  readonly matches: readonly Match[];
  readonly isolation: Isolation;
  readonly self: boolean;
  readonly names: RuleNames;
  /** What is said where no rule matches, `trial` or not, and ids of names: of thousands of policies both are long. */
  readonly unmatched: Map<boolean, RuleName>;
  readonly ids: Map<RuleName, number>;
}

export function createProgram(
  matches: readonly Match[],
  isolation: Isolation,
  names: RuleNames,
  self = false,
): Program {
  const question: Question = {
    ...{ matches, isolation, self, names, unmatched: new Map<boolean, RuleName>() },
    ids: new Map<RuleName, number>(),
  };
  const lists = LISTED.map((proto) => listOf(question, proto));
  const other = verdictOf(question, OTHER, NO_PORT);
  const first = lists[0].verdicts[0];
  const isConstant =
    first === other && lists.every(({ verdicts }) => verdicts.length === 1 && verdicts[0] === first);
  if (isConstant) return { words: [], constant: first };
  const words: number[] = [0, 0, 0, ~other];
  for (const [i, { starts, verdicts }] of lists.entries()) {
    if (verdicts.length === 1) words[i] = ~verdicts[0];
    else {
      words[i] = words.length;
      words.push(verdicts.length, ...starts.slice(1), ...verdicts);
    }
  }
  return { words, constant: undefined };
}

/** The words as they lie at `place`. */
export function placed({ words }: Program, place: number): number[] {
  return words.map((word, i) => (i < PROGRAM_WORDS && word >= 0 ? word + place : word));
}

function listOf(question: Question, proto: number): { starts: number[]; verdicts: number[] } {
  const starts: number[] = [];
  const verdicts: number[] = [];
  for (const [start, matches] of stretches(question.matches, proto)) {
    const verdict = verdictOf({ ...question, matches }, proto, start);
    if (verdict === verdicts[verdicts.length - 1]) continue;
    starts.push(start);
    verdicts.push(verdict);
  }
  return { starts, verdicts };
}

/** First ports of ranges that differ, each with the matches that have something to say there, in their order. */
function* stretches(matches: readonly Match[], proto: number): Generator<[number, Match[]]> {
  const changes = new Map<number, { match: number; by: number }[]>([[0, []]]);
  const note = (port: number, match: number, by: number): void => {
    const known = changes.get(port);
    if (known === undefined) changes.set(port, [{ match, by }]);
    else known.push({ match, by });
  };
  const counts = new Map<number, number>(); // ranges that the port lies in, by the place of their match
  for (const [i, { ports }] of matches.entries()) {
    if (ports === undefined) counts.set(i, 1);
    for (const { proto: of, from, to } of ports ?? []) {
      if (of !== proto) continue;
      note(from, i, 1);
      note(to + 1, i, -1);
    }
  }
  for (const start of [...changes.keys()].sort((a, b) => a - b)) {
    if (start > 0xffff) continue;
    for (const { match, by } of changes.get(start) ?? []) {
      const count = (counts.get(match) ?? 0) + by;
      if (count > 0) counts.set(match, count);
      else counts.delete(match);
    }
    yield [start, [...counts.keys()].sort((a, b) => a - b).map((i) => matches[i])];
  }
}

interface Decision {
  readonly action: PolicyAction;
  readonly name: RuleName | undefined;
}

function verdictOf(question: Question, proto: number, port: number): number {
  const real = decide(question, proto, port, false);
  const isTrial = question.isolation.onTrial.length > 0 || question.matches.some(({ step }) => step.audit);
  const tried = isTrial && real.action === ALLOW ? decide(question, proto, port, true) : real;
  const isAudit = real.action === ALLOW && tried.action !== ALLOW;
  const { action, name } = isAudit ? tried : real;
  if (name === undefined) return (NO_RULE << ACTION_BITS) | action;
  const told = isAudit && real.name !== undefined ? { ...name, allowedBy: real.name } : name;
  const id = question.ids.get(told) ?? question.names.idOf(told);
  question.ids.set(told, id);
  return (id << ACTION_BITS) | (isAudit ? AUDIT : action);
}

/** `trial`: as if what is on trial were in force. */
function decide(question: Question, proto: number, port: number, trial: boolean): Decision {
  const { matches, isolation, self } = question;
  const { direction } = isolation;
  const counts = ({ step }: Match): boolean => trial || !step.audit;
  const passed: Pass[] = [];
  const inTier = (tier: string): Decision | undefined => {
    for (const match of matches) {
      const { step } = match;
      if (step.tier !== tier || !counts(match)) continue;
      const at = portOf(match, proto, port);
      if (at === -2) continue;
      if (step.rule.action !== "Pass") return decided(match, at, passed);
      passed.push({ rule: `${step.policy} ${pathOf(match, at)}`, says: textOf(match, at) });
      return undefined;
    }
    return undefined;
  };
  const admin = inTier("Admin");
  if (admin !== undefined) return admin;
  const by = trial ? [...isolation.by, ...isolation.onTrial].sort() : isolation.by;
  if (by.length > 0) {
    const matched = self ? undefined : inTier("Default");
    if (matched !== undefined) return matched;
    const isAlone = passed.length === 0;
    const name = (isAlone && question.unmatched.get(trial)) || unmatched(question, by, passed);
    if (isAlone) question.unmatched.set(trial, name);
    return { action: self ? ALLOW : DENY, name };
  }
  const baseline = inTier("Baseline");
  if (baseline !== undefined) return baseline;
  if (passed.length === 0) return { action: ALLOW, name: undefined };
  return {
    action: ALLOW,
    name: {
      ...{
        direction,
        decision: "default",
        tier: undefined,
        policy: "",
        rule: "",
        isolatedBy: [],
      },
      ...passedOn(passed),
    },
  };
}

/** The pod is isolated, and no rule matches; a pod's connection to itself passes all the same. */
function unmatched({ isolation, self }: Question, by: readonly string[], passed: readonly Pass[]): RuleName {
  return {
    ...{ direction: isolation.direction, decision: self ? "default" : "isolated", tier: "Default" },
    ...{ policy: "", rule: "", isolatedBy: by, ...passedOn(passed) },
    says: [...by.map((key) => isolation.texts.get(key) ?? ""), ...passed.map(({ says }) => says)],
  };
}

/** A rule with action Pass that was met. */
interface Pass {
  readonly rule: string;
  readonly says: string;
}

function passedOn(passed: readonly Pass[]): Pick<RuleName, "passedBy" | "says"> {
  return {
    passedBy: passed.map(({ rule }) => rule).join(", "),
    says: passed.map(({ says }) => says),
  };
}

function decided(match: Match, port: number, passed: readonly Pass[]): Decision {
  const { policy, tier, direction, rule } = match.step;
  const isAllowed = rule.action === "Accept";
  return {
    action: isAllowed ? ALLOW : DENY_RULE,
    name: {
      direction,
      decision: isAllowed ? "Accept" : "Deny",
      tier,
      policy,
      rule: pathOf(match, port),
      isolatedBy: [],
      ...passedOn(passed),
      says: [textOf(match, port), ...passed.map(({ says }) => says)],
    },
  };
}

/** ingress[0].from[1].ports[0] */
function pathOf({ step, peer }: Match, port: number): string {
  const { direction, index, rule, tier } = step;
  const peers = direction === "ingress" ? "from" : "to";
  const from = peer === ANY_PEER ? "" : `.${peers}[${rule.peers?.[peer].index}]`;
  const ports = tier === "Default" ? "ports" : "protocols";
  return `${direction}[${index}]${from}${port < 0 ? "" : `.${ports}[${port}]`}`;
}
