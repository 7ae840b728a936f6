// A pod's two chains, how packets come to them, and what of the policies they ask.
import type { CalicoPolicy, Direction } from "./convert.ts";
import { TIERS } from "./convert.ts";
import type { Endpoint } from "./endpoints.ts";
import { MARK_ACCEPT, MARK_PASS } from "./marks.ts";
import { chainName, groupChain } from "./names.ts";
import { policyChainName, profileChainName } from "./policy-chains.ts";
import {
  ACCEPT,
  type Chain,
  clearMark,
  connection,
  DROP,
  goTo,
  hasMark,
  hasNoMark,
  hasSomeMark,
  inInterface,
  jump,
  outInterface,
  protocol,
  RETURN,
  type Rule,
  toPorts,
} from "./rule-text.ts";

const UDP = "17";
const IP_IN_IP = "4";
const RETURN_STRIDE = 5; // jumps of a group between two looks at the verdict

/** Policies of a tier and direction that select the same pods stand together. */
export type Group = readonly CalicoPolicy[];

export interface EndpointPolicies {
  readonly endpoint: Endpoint;
  /** By direction: those that say something about it. */
  readonly ingress: readonly CalicoPolicy[];
  readonly egress: readonly CalicoPolicy[];
}

export function policiesFor(endpoint: Endpoint, policies: readonly CalicoPolicy[]): EndpointPolicies {
  const own = policies.filter(({ selector }) => selector.matches(endpoint.labels));
  return {
    endpoint,
    ingress: own.filter(({ ingress }) => ingress !== undefined),
    egress: own.filter(({ egress }) => egress !== undefined),
  };
}

export function groupsOf(policies: readonly CalicoPolicy[], tier: string): Group[] {
  const groups: CalicoPolicy[][] = [];
  for (const policy of policies.filter((each) => each.tier === tier)) {
    const last = groups.at(-1);
    if (last !== undefined && last[0].selector.text === policy.selector.text) last.push(policy);
    else groups.push([policy]);
  }
  return groups;
}

function groupName(group: Group, direction: Direction): string {
  const [{ tier, selector }] = group;
  return groupChain({ direction, tier, selector: selector.text, policies: group.map(({ name }) => name) });
}

/** Undefined: a group of one needs no chain. */
export function groupChainOf(group: Group, direction: Direction): Chain | undefined {
  if (group.length === 1) return undefined;
  const rules = group.flatMap((policy, i): Rule[] => {
    const isFirst = i % RETURN_STRIDE === 0;
    const target = { action: jump(policyChainName(policy, direction)) };
    const either = MARK_PASS | MARK_ACCEPT;
    if (!isFirst) return [{ matches: [hasNoMark(either)], ...target }];
    const stop = { matches: [hasSomeMark(either)], action: RETURN, comments: ["Return on verdict"] };
    return i === 0 ? [target] : [stop, target];
  });
  return { name: groupName(group, direction), rules };
}

function endpointChainName(interfaceName: string, direction: Direction): string {
  return chainName(direction === "ingress" ? "cali-tw-" : "cali-fw-", interfaceName);
}

/** "ingress": to the pod. `vxlanPort`: a pod may not make tunnel packets of its own, which no policy would see into. */
export function endpointChain(of: EndpointPolicies, direction: Direction, vxlanPort: number): Chain {
  const { endpoint } = of;
  const fromPod: Rule[] = [
    {
      matches: [protocol(UDP), toPorts([{ first: vxlanPort, last: vxlanPort }])],
      action: DROP,
      comments: ["Drop VXLAN encapped packets originating in workloads"],
    },
    {
      matches: [protocol(IP_IN_IP)],
      action: DROP,
      comments: ["Drop IPinIP encapped packets originating in workloads"],
    },
  ];
  return {
    name: endpointChainName(endpoint.interfaceName, direction),
    rules: [
      { matches: [connection("RELATED,ESTABLISHED")], action: ACCEPT },
      { matches: [connection("INVALID")], action: DROP },
      { action: clearMark(MARK_ACCEPT | MARK_PASS) },
      ...(direction === "egress" ? fromPod : []),
      ...TIERS.flatMap(({ name, denies }) =>
        tierRules(groupsOf(of[direction], name), name, denies, direction),
      ),
      ...endpoint.profiles.flatMap((profile): Rule[] => [
        { action: jump(profileChainName(profile, direction)) },
        { matches: [hasMark(MARK_ACCEPT)], action: RETURN, comments: ["Return if profile accepted"] },
      ]),
      { action: DROP, comments: ["Drop if no profiles matched"] },
    ],
  };
}

function tierRules(groups: readonly Group[], tier: string, denies: boolean, direction: Direction): Rule[] {
  if (groups.length === 0) return [];
  const rest: Rule = {
    matches: [hasNoMark(MARK_PASS)],
    action: DROP,
    comments: [`End of tier ${tier}. Drop if no policies passed packet`],
  };
  return [
    { action: clearMark(MARK_PASS), comments: [`Start of tier ${tier}`] },
    ...groups.flatMap((group): Rule[] => {
      const target = group.length === 1 ? policyChainName(group[0], direction) : groupName(group, direction);
      return [
        { matches: [hasNoMark(MARK_PASS)], action: jump(target) },
        { matches: [hasMark(MARK_ACCEPT)], action: RETURN, comments: ["Return if policy accepted"] },
      ];
    }),
    ...(denies ? [rest] : []),
  ];
}

/**
 * From a packet's interface to its pod's chain. Interfaces that share their next letter stand in a chain of their own,
 * so that a hundred pods do not cost a hundred comparisons.
 */
export function dispatchChains(interfaces: readonly string[], direction: Direction): Chain[] {
  const root = direction === "ingress" ? "cali-to-wl-dispatch" : "cali-from-wl-dispatch";
  const by = direction === "ingress" ? outInterface : inInterface;
  const unknown: Rule = { action: DROP, comments: ["Unknown interface"] };
  const toPod = (name: string): Rule => ({
    matches: [by(name)],
    action: goTo(endpointChainName(name, direction)),
  });
  const prefix = commonPrefix(interfaces);
  const groups = new Map<string, string[]>();
  for (const name of [...interfaces].sort()) {
    const start = name.slice(0, prefix.length + 1);
    groups.set(start, [...(groups.get(start) ?? []), name]);
  }
  const children: Chain[] = [];
  const rules = [...groups].map(([start, names]): Rule => {
    if (names.length === 1) return toPod(names[0]);
    const child = `${root}-${start.slice(prefix.length)}`;
    children.push({ name: child, rules: [...names.map(toPod), unknown] });
    return { matches: [by(`${start}+`)], action: goTo(child) };
  });
  return [...children, { name: root, rules: [...rules, unknown] }];
}

function commonPrefix(names: readonly string[]): string {
  let [prefix = ""] = names;
  for (const name of names) while (!name.startsWith(prefix)) prefix = prefix.slice(0, -1);
  return prefix;
}
