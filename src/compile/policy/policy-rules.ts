// Policies of both kinds → one form: whom they select, and rules in the order in which they are asked. Nothing here knows
// which pods there are.
import { type Cidr, formatCidr, parseCidr } from "../../base/ip.ts";
import type {
  ClusterNetworkPolicy,
  ClusterPolicyAction,
  ClusterPolicyEgressPeer,
  ClusterPolicyEgressRule,
  ClusterPolicyIngressRule,
  ClusterPolicyPorts,
  ClusterPolicyProtocol,
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "../../kube/objects.ts";
import { selectorKey } from "./selectors.ts";

export type Direction = "egress" | "ingress";
/** In the order in which they are asked; a NetworkPolicy is in the middle one. */
export type Tier = "Admin" | "Default" | "Baseline";
export type Action = ClusterPolicyAction;

/** Whom a selector or an ipBlock means. Terms that say the same have the same key. */
export type TermSpec = { readonly key: string } & (
  | { readonly of: "pods"; readonly inNamespace: string; readonly pods: LabelSelector | undefined }
  | { readonly of: "podsOf"; readonly namespaces: LabelSelector; readonly pods: LabelSelector | undefined }
  | { readonly of: "nodes"; readonly nodes: LabelSelector }
  | { readonly of: "block"; readonly range: Cidr; readonly except: readonly Cidr[] }
);

export interface PeerSpec {
  /** Place in the rule's list. */
  readonly index: number;
  readonly term: TermSpec;
}

/** Ports of a protocol, both ends included; or a name that the destination's containers give to some. */
export interface PortSpec {
  /** Place in the rule's list. */
  readonly index: number;
  /** Protocol number; undefined: whichever has the name. */
  readonly proto: number | undefined;
  /** "": by number. */
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface RuleSpec {
  readonly action: Action;
  /** Undefined: anybody. */
  readonly peers: readonly PeerSpec[] | undefined;
  /** Undefined: any protocol and port. */
  readonly ports: readonly PortSpec[] | undefined;
  /** Of a ClusterNetworkPolicy's rule; "": none. */
  readonly name: string;
}

export interface PolicySpec {
  /** "namespace/name", or the name of a ClusterNetworkPolicy. */
  readonly key: string;
  readonly tier: Tier;
  readonly priority: number;
  readonly subject: TermSpec;
  /** Undefined where it does not speak about the direction. */
  readonly egress: readonly RuleSpec[] | undefined;
  readonly ingress: readonly RuleSpec[] | undefined;
}

export const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
export const LAST_PORT = 65_535;

export function networkPolicySpec(policy: NetworkPolicy): PolicySpec {
  const { namespace = "default", name } = policy.metadata;
  const { podSelector, ingress = [], egress = [], policyTypes = [] } = policy.spec;
  const types =
    policyTypes.length > 0 ? policyTypes : egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
  return {
    key: `${namespace}/${name}`,
    tier: "Default",
    priority: 0,
    subject: podsIn(namespace, podSelector),
    egress: types.includes("Egress")
      ? egress.map(({ to, ports }) => networkRule(to, ports, namespace))
      : undefined,
    ingress: types.includes("Ingress")
      ? ingress.map(({ from, ports }) => networkRule(from, ports, namespace))
      : undefined,
  };
}

function networkRule(
  peers: readonly NetworkPolicyPeer[] = [],
  ports: readonly NetworkPolicyPort[] = [],
  namespace: string,
): RuleSpec {
  const terms = peers.flatMap((peer, index) => numbered(index, networkPeer(peer, namespace)));
  return {
    action: "Accept",
    peers: peers.length === 0 ? undefined : terms,
    ports: ports.length === 0 ? undefined : ports.map(networkPort),
    name: "",
  };
}

function networkPeer(peer: NetworkPolicyPeer, namespace: string): TermSpec[] {
  const { ipBlock, namespaceSelector, podSelector } = peer;
  if (ipBlock !== undefined) return block(ipBlock.cidr, ipBlock.except);
  return [
    namespaceSelector === undefined ? podsIn(namespace, podSelector) : podsOf(namespaceSelector, podSelector),
  ];
}

function networkPort({ protocol = "TCP", port, endPort }: NetworkPolicyPort, index: number): PortSpec {
  const proto = PROTOCOLS[protocol];
  if (typeof port === "string") return { index, proto, name: port, from: 0, to: 0 };
  return { index, proto, name: "", from: port ?? 0, to: endPort ?? port ?? LAST_PORT };
}

export function clusterPolicySpec({ metadata, spec }: ClusterNetworkPolicy): PolicySpec {
  const { tier, priority, subject, ingress = [], egress = [] } = spec;
  return {
    key: metadata.name,
    tier,
    priority,
    subject: clusterTerms(subject)[0],
    egress: egress.length === 0 ? undefined : egress.map((rule) => clusterRule(rule, rule.to)),
    ingress: ingress.length === 0 ? undefined : ingress.map((rule) => clusterRule(rule, rule.from)),
  };
}

function clusterRule(
  { action, protocols = [], name = "" }: ClusterPolicyIngressRule | ClusterPolicyEgressRule,
  peers: readonly ClusterPolicyEgressPeer[],
): RuleSpec {
  return {
    action,
    peers: peers.flatMap((peer, index) => numbered(index, clusterTerms(peer))),
    ports: protocols.length === 0 ? undefined : protocols.flatMap(clusterPorts),
    name,
  };
}

/** Networks are one term each. */
function clusterTerms({ namespaces, pods, nodes, networks = [] }: ClusterPolicyEgressPeer): TermSpec[] {
  if (namespaces !== undefined) return [podsOf(namespaces, undefined)];
  if (pods !== undefined) return [podsOf(pods.namespaceSelector ?? {}, pods.podSelector)];
  if (nodes !== undefined) return [{ key: `nodes ${selectorKey(nodes)}`, of: "nodes", nodes }];
  return networks.flatMap((network) => block(network));
}

function clusterPorts(
  { tcp, udp, sctp, destinationNamedPort = "" }: ClusterPolicyProtocol,
  index: number,
): PortSpec[] {
  if (destinationNamedPort !== "") {
    return [{ index, proto: undefined, name: destinationNamedPort, from: 0, to: 0 }];
  }
  const of = (proto: number, ports: ClusterPolicyPorts | undefined): PortSpec[] =>
    ports === undefined ? [] : [{ index, proto, name: "", ...rangeOf(ports) }];
  return [...of(PROTOCOLS.TCP, tcp), ...of(PROTOCOLS.UDP, udp), ...of(PROTOCOLS.SCTP, sctp)];
}

function rangeOf({ destinationPort: { number, range } = {} }: ClusterPolicyPorts) {
  if (range !== undefined) return { from: range.start, to: range.end };
  return { from: number ?? 0, to: number ?? LAST_PORT };
}

function numbered(index: number, terms: readonly TermSpec[]): PeerSpec[] {
  return terms.map((term) => ({ index, term }));
}

function podsIn(inNamespace: string, pods: LabelSelector | undefined): TermSpec {
  return { key: `pods ${inNamespace} ${selectorKey(pods)}`, of: "pods", inNamespace, pods };
}

function podsOf(namespaces: LabelSelector, pods: LabelSelector | undefined): TermSpec {
  return { key: `pods of ${selectorKey(namespaces)} ${selectorKey(pods)}`, of: "podsOf", namespaces, pods };
}

/** Nothing for a text that is no CIDR, which validation has refused before. */
function block(text: string, exceptions: readonly string[] = []): TermSpec[] {
  const range = parseCidr(text);
  if (range === null) return [];
  const except = exceptions.flatMap((inner) => parseCidr(inner) ?? []);
  const key = `block ${formatCidr(range)} ${except.map(formatCidr).sort().join()}`;
  return [{ key, of: "block", range, except }];
}
