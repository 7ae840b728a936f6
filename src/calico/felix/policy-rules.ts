// The chains and sets that Calico's Felix would have written for a node: the filter table of one family for
// iptables-restore, and the sets that its rules name, for ipset restore. Sets have to be there first.
// Left out: what has no part in policy (nat, the raw table's check of sources, mangle), host endpoints, which
// Kubernetes has no objects for, and log rules.
import type { IpFamily } from "../../base/ip.ts";
import type { OverlayConfig } from "../../config/agent.ts";
import type { KubeObject, Node } from "../../kube/objects.ts";
import { type CalicoPolicy, type Direction, policiesOf, TIERS } from "./convert.ts";
import {
  dispatchChains,
  type EndpointPolicies,
  endpointChain,
  groupChainOf,
  groupsOf,
  policiesFor,
} from "./endpoint-chains.ts";
import { endpointsOf } from "./endpoints.ts";
import { IpSets } from "./ip-sets.ts";
import { policyChain, profileChain } from "./policy-chains.ts";
import { appendedLines, type Chain, chainLines } from "./rule-text.ts";
import { ENTRIES, FORWARD_END, staticChains, type Tunnel } from "./static-chains.ts";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];
const FELIX_VXLAN_PORT = 4789; // where there is no tunnel to say otherwise

export const POLICY_FORMATS = ["iptables-save", "ipset"] as const;
export type PolicyFormat = (typeof POLICY_FORMATS)[number];

export interface PolicyInput {
  /** Defaulted, addresses given. */
  readonly objects: readonly KubeObject[];
  readonly nodeName: string;
  readonly family: IpFamily;
  readonly overlay: OverlayConfig;
}

/** Ends with a line feed. */
export function renderPolicyRules(format: PolicyFormat, input: PolicyInput): string {
  const { chains, sets } = policyTables(input);
  const lines = format === "ipset" ? sets.lines() : tableLines(chains);
  return lines.map((line) => `${line}\n`).join("");
}

function policyTables({ objects, nodeName, family, overlay }: PolicyInput): {
  chains: Chain[];
  sets: IpSets;
} {
  const endpoints = endpointsOf(objects);
  const sets = new IpSets(endpoints, family);
  const policies = policiesOf(objects);
  const local = endpoints
    .filter((endpoint) => endpoint.nodeName === nodeName)
    .map((endpoint) => policiesFor(endpoint, policies));
  const tunnel = tunnelOf(objects, nodeName, overlay);
  const vxlanPort = tunnel?.port ?? FELIX_VXLAN_PORT;
  const names = local.map(({ endpoint }) => endpoint.interfaceName);
  const perDirection = DIRECTIONS.flatMap((direction) => [
    ...dispatchChains(names, direction),
    ...local.map((each) => endpointChain(each, direction, vxlanPort)),
    ...groupChains(local, direction),
    ...usedPolicies(local, direction).map((policy) => policyChain(policy, direction, family, sets)),
    ...usedProfiles(local).map((profile) => profileChain(profile, direction)),
  ]);
  return { chains: [...staticChains(family, tunnel, sets), ...perDirection], sets };
}

function tunnelOf(
  objects: readonly KubeObject[],
  nodeName: string,
  overlay: OverlayConfig,
): Tunnel | undefined {
  if (overlay.type !== "vxlan") return undefined;
  const others = objects.filter((o): o is Node => o.kind === "Node" && o.metadata.name !== nodeName);
  const addresses = others.flatMap(({ status }) => status?.addresses ?? []);
  return { port: overlay.port, peers: addresses.map(({ address }) => address) };
}

function groupChains(local: readonly EndpointPolicies[], direction: Direction): Chain[] {
  const groups = local.flatMap((each) => TIERS.flatMap(({ name }) => groupsOf(each[direction], name)));
  const chains = groups.flatMap((group) => groupChainOf(group, direction) ?? []);
  return [...new Map(chains.map((chain) => [chain.name, chain])).values()];
}

function usedPolicies(local: readonly EndpointPolicies[], direction: Direction): CalicoPolicy[] {
  return [...new Set(local.flatMap((each) => each[direction]))];
}

function usedProfiles(local: readonly EndpointPolicies[]): string[] {
  return [...new Set(local.flatMap(({ endpoint }) => endpoint.profiles))];
}

/** As iptables-save shows a table: its own chains, then the others by name, then the rules in the same order. */
function tableLines(chains: readonly Chain[]): string[] {
  const sorted = [...chains].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    "*filter",
    ...ENTRIES.map(({ name }) => `:${name} ACCEPT [0:0]`),
    ...sorted.map(({ name }) => `:${name} - [0:0]`),
    ...ENTRIES.flatMap((chain) => [
      ...chainLines(chain),
      ...(chain.name === "FORWARD" ? appendedLines("FORWARD", FORWARD_END) : []),
    ]),
    ...sorted.flatMap(chainLines),
    "COMMIT",
  ];
}
