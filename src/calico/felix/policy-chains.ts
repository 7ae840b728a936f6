// Chains of policies and profiles. What iptables cannot say in one rule (more than 15 ports, several blocks of addresses,
// numbers or names) takes a block of rules that set marks: all blocks have to match.
import type { IpFamily } from "../../base/ip.ts";
import type { CalicoPolicy, CalicoRule, Direction } from "./convert.ts";
import type { IpSets } from "./ip-sets.ts";
import { MARK_ACCEPT, MARK_ALL_BLOCKS, MARK_DROP, MARK_PASS, MARK_THIS_BLOCK } from "./marks.ts";
import { chainName, policyId, policyText } from "./names.ts";
import {
  type Chain,
  clearMark,
  DROP,
  hasMark,
  hasNoMark,
  inSet,
  type Match,
  maskedMark,
  network,
  notNetwork,
  type PortRange,
  protocol,
  RETURN,
  type Rule,
  type Side,
  setMark,
  toPorts,
} from "./rule-text.ts";
import { ALL } from "./selector.ts";

const PORT_SLOTS = 15; // of iptables' multiport; a range takes two

export function policyChainName({ name }: CalicoPolicy, direction: Direction): string {
  return chainName(direction === "ingress" ? "cali-pi-" : "cali-po-", policyId(name));
}

export function policyChain(
  policy: CalicoPolicy,
  direction: Direction,
  family: IpFamily,
  sets: IpSets,
): Chain {
  const rules = (policy[direction] ?? []).flatMap((rule) => ruleChain(rule, direction, family, sets));
  return {
    name: policyChainName(policy, direction),
    rules: titled(rules, `${policyText(policy.name)} ${direction}`),
  };
}

export function profileChainName(profile: string, direction: Direction): string {
  return chainName(direction === "ingress" ? "cali-pri-" : "cali-pro-", profile);
}

/** A namespace's profile lets everything pass, a service account's says nothing. */
export function profileChain(profile: string, direction: Direction): Chain {
  const rules = profile.startsWith("kns.") ? verdict([], "allow") : [];
  return {
    name: profileChainName(profile, direction),
    rules: titled(rules, `Profile ${profile} ${direction}`),
  };
}

/** Without the returns at its end, which say nothing; the first rule says whose chain it is. */
function titled(rules: readonly Rule[], title: string): Rule[] {
  const length = rules.findLastIndex(({ action }) => action !== RETURN) + 1;
  const [first = {}, ...rest] = rules.slice(0, length);
  return [{ ...first, comments: [...(first.comments ?? []), title] }, ...rest];
}

function ruleChain(rule: CalicoRule, direction: Direction, family: IpFamily, sets: IpSets): Rule[] {
  const nets = ofFamily(rule.nets, family);
  if (rule.nets !== undefined && nets.length === 0) return []; // of the other family, or of nobody
  const notNets = ofFamily(rule.notNets, family);
  const side: Side = direction === "ingress" ? "src" : "dst";
  const blocks = new Blocks();
  const portSets = portSetsOf(rule, direction, sets);
  const splits = splitPorts(rule.ports);
  const protocolMatch = rule.protocol === undefined ? [] : [protocol(rule.protocol)];
  const ownPorts = splits.length + portSets.length <= 1;
  if (!ownPorts) {
    blocks.either([
      ...splits.map((split) => [...protocolMatch, toPorts(split)]),
      ...portSets.map((name) => [inSet(name, "dst,dst")]),
    ]);
  }
  if (nets.length > 1) blocks.either(nets.map((block) => [network(side, block)]));
  const ownNets = nets.length === 1 ? nets : [];
  const ownNot = ownNets.length + notNets.length <= 1;
  if (!ownNot) blocks.none(notNets.map((block) => [network(side, block)]));
  const address = (of: Side): Match[] => (of === side ? ownNets.map((block) => network(side, block)) : []);
  const matches: Match[] = [
    ...protocolMatch,
    ...address("src"),
    ...(side === "src" ? selectorSets(rule, direction, sets) : []),
    ...address("dst"),
    ...(side === "dst" ? selectorSets(rule, direction, sets) : []),
    ...(ownPorts ? splits.map(toPorts) : []),
    ...(ownPorts ? portSets.map((name) => inSet(name, "dst,dst")) : []),
    ...(ownNot ? notNets.map((block) => notNetwork(side, block)) : []),
    ...(blocks.rules.length > 0 ? [hasMark(MARK_ALL_BLOCKS)] : []),
  ];
  const rules = [...blocks.rules, ...verdict(matches, rule.action)];
  return rule.name === undefined
    ? rules
    : rules.map((each) => ({ ...each, comments: [`name=${rule.name}`] }));
}

function ofFamily(blocks: readonly string[] | undefined, family: IpFamily): string[] {
  return (blocks ?? []).filter((block) => block.includes(":") === (family === 6));
}

/** Names of ports among the peers that egress may reach; ingress ones are the destination's, whoever it is. */
function portSetsOf(
  { namedPorts, namedProtocols, peer }: CalicoRule,
  direction: Direction,
  sets: IpSets,
): string[] {
  const among = direction === "egress" ? (peer ?? ALL) : ALL;
  return namedPorts.flatMap((name) => namedProtocols.map((each) => sets.ofNamedPort(among, each, name)));
}

/** Where all ports are named ones of the peers, the ports' set says it all. */
function selectorSets(rule: CalicoRule, direction: Direction, sets: IpSets): Match[] {
  if (rule.peer === undefined) return [];
  if (direction === "egress" && rule.namedPorts.length > 0 && rule.ports.length === 0) return [];
  return [inSet(sets.ofSelector(rule.peer), direction === "ingress" ? "src" : "dst")];
}

function verdict(matches: readonly Match[], action: CalicoRule["action"]): Rule[] {
  const mark = { allow: MARK_ACCEPT, deny: MARK_DROP, pass: MARK_PASS }[action];
  return [
    { matches, action: setMark(mark) },
    { matches: [hasMark(mark)], action: action === "deny" ? DROP : RETURN },
  ];
}

/** Groups of ports that fit a rule each. */
function splitPorts(ranges: readonly PortRange[]): PortRange[][] {
  const splits: PortRange[][] = [];
  let free = 0;
  for (const range of ranges) {
    const slots = range.first === range.last ? 1 : 2;
    if (free < slots) {
      splits.push([]);
      free = PORT_SLOTS;
    }
    splits.at(-1)?.push(range);
    free -= slots;
  }
  return splits;
}

/** Conditions that take rules of their own: one mark says that all of them hold so far. */
class Blocks {
  readonly rules: Rule[] = [];
  #hasPositive = false;

  /** One of these has to match. */
  either(choices: readonly (readonly Match[])[]): void {
    this.#begin(0);
    const mark = this.#hasPositive ? MARK_THIS_BLOCK : MARK_ALL_BLOCKS;
    for (const matches of choices) this.rules.push({ matches, action: setMark(mark) });
    if (this.#hasPositive)
      this.rules.push({ matches: [hasNoMark(MARK_THIS_BLOCK)], action: clearMark(MARK_ALL_BLOCKS) });
    this.#hasPositive = true;
  }

  /** None of these may match. */
  none(choices: readonly (readonly Match[])[]): void {
    this.#begin(MARK_ALL_BLOCKS);
    for (const matches of choices) this.rules.push({ matches, action: clearMark(MARK_ALL_BLOCKS) });
  }

  #begin(mark: number): void {
    if (this.rules.length > 0) return;
    this.rules.push({ action: maskedMark(mark, MARK_ALL_BLOCKS | MARK_THIS_BLOCK) });
  }
}
