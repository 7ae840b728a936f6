// Policies of Kubernetes as those of Calico: one rule for each peer and protocol, selectors in Calico's words.
//   NetworkPolicy: tier "default", order 1000
//   ClusterNetworkPolicy: tiers "kube-admin" and "kube-baseline", its priority
import { cidr, formatCidr, parseIp } from "../../base/ip.ts";
import { matchesSelector } from "../../kube/labels.ts";
import type {
  ClusterNetworkPolicy,
  ClusterPolicyEgressPeer,
  ClusterPolicyEgressRule,
  ClusterPolicyIngressRule,
  ClusterPolicyPods,
  ClusterPolicyProtocol,
  KubeObject,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Node,
} from "../../kube/objects.ts";
import type { PolicyName } from "./names.ts";
import type { PortRange } from "./rule-text.ts";
import { and, equals, NAMESPACE, namespaceSelector, podSelector, type Selector } from "./selector.ts";

export type Direction = "ingress" | "egress";
export type TierName = "kube-admin" | "default" | "kube-baseline";

/** In the order in which they are asked. The default one denies what it does not allow, the others say nothing then. */
export const TIERS: readonly { readonly name: TierName; readonly denies: boolean }[] = [
  { name: "kube-admin", denies: false },
  { name: "default", denies: true },
  { name: "kube-baseline", denies: false },
];

export interface CalicoRule {
  readonly action: "allow" | "deny" | "pass";
  /** tcp, udp or sctp; undefined: all there are. */
  readonly protocol?: string;
  /** One of the ports, by number or by name. None given: all of them. */
  readonly ports: readonly PortRange[];
  readonly namedPorts: readonly string[];
  /** Protocols whose names are meant. */
  readonly namedProtocols: readonly string[];
  /** Undefined: anybody, also who is no pod. */
  readonly peer?: Selector;
  /** Of both families; undefined: any. */
  readonly nets?: readonly string[];
  readonly notNets: readonly string[];
  readonly name?: string;
}

export interface CalicoPolicy {
  readonly name: PolicyName;
  readonly tier: TierName;
  readonly order: number;
  readonly selector: Selector;
  /** Undefined: it says nothing about this direction. */
  readonly ingress?: readonly CalicoRule[];
  readonly egress?: readonly CalicoRule[];
}

const NETWORK_POLICY_ORDER = 1000;
const PROTOCOLS = ["tcp", "udp", "sctp"];

/** In Calico's order: by tier, order and name. */
export function policiesOf(objects: readonly KubeObject[]): CalicoPolicy[] {
  const nodes = objects.filter((object): object is Node => object.kind === "Node");
  const found = objects.flatMap((object): CalicoPolicy[] => {
    if (object.kind === "NetworkPolicy") return [networkPolicy(object as NetworkPolicy)];
    if (object.kind === "ClusterNetworkPolicy") return [clusterPolicy(object as ClusterNetworkPolicy, nodes)];
    return [];
  });
  const key = ({ name }: CalicoPolicy): string => `${name.namespace}/${name.name}`;
  const place = ({ tier }: CalicoPolicy): number => TIERS.findIndex(({ name }) => name === tier);
  return found.sort((a, b) => place(a) - place(b) || a.order - b.order || (key(a) < key(b) ? -1 : 1));
}

function networkPolicy({ metadata, spec }: NetworkPolicy): CalicoPolicy {
  const namespace = metadata.namespace ?? "default";
  const types = spec.policyTypes ?? [];
  const hasIngress = types.length === 0 || types.includes("Ingress");
  const hasEgress = types.length === 0 ? (spec.egress ?? []).length > 0 : types.includes("Egress");
  const rules = (list: readonly { peers: NetworkPolicyPeer[]; ports: NetworkPolicyPort[] }[]): CalicoRule[] =>
    list.flatMap(({ peers, ports }) => networkPolicyRules(peers, ports, namespace));
  return {
    name: { kind: "NetworkPolicy", namespace, name: metadata.name },
    tier: "default",
    order: NETWORK_POLICY_ORDER,
    selector: and([podSelector(spec.podSelector), equals(NAMESPACE, namespace)]),
    ...(hasIngress && {
      ingress: rules((spec.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }))),
    }),
    ...(hasEgress && {
      egress: rules((spec.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }))),
    }),
  };
}

type PeerPart = Pick<CalicoRule, "peer" | "nets" | "notNets">;

function networkPolicyRules(
  peers: readonly NetworkPolicyPeer[],
  ports: readonly NetworkPolicyPort[],
  namespace: string,
): CalicoRule[] {
  const parts: PeerPart[] =
    peers.length === 0 ? [{ notNets: [] }] : peers.map((peer) => peerPart(peer, namespace));
  return byProtocol(ports).flatMap((part) => parts.map((peer) => ({ action: "allow", ...part, ...peer })));
}

function peerPart(
  { podSelector: pods, namespaceSelector: spaces, ipBlock }: NetworkPolicyPeer,
  own: string,
): PeerPart {
  if (ipBlock !== undefined) {
    const notNets = (ipBlock.except ?? []).map(canonical);
    return { nets: [canonical(ipBlock.cidr)], notNets };
  }
  const where = spaces === undefined ? equals(NAMESPACE, own) : namespaceSelector(spaces);
  return { peer: and([where, podSelector(pods)]), notNets: [] };
}

/** Bits beyond the prefix say nothing, and the kernel does not keep them. */
function canonical(block: string): string {
  return formatCidr(cidr(block));
}

type PortPart = Pick<CalicoRule, "protocol" | "ports" | "namedPorts" | "namedProtocols">;
const ANY_PORT: PortPart = { ports: [], namedPorts: [], namedProtocols: [] };

/** One part a protocol, in the order of their names; a port without number is every port of its protocol. */
function byProtocol(ports: readonly NetworkPolicyPort[]): PortPart[] {
  if (ports.length === 0) return [ANY_PORT];
  const protocols = [...new Set(ports.map(({ protocol = "TCP" }) => protocol))].sort();
  return protocols.map((protocol) => {
    const own = ports.filter((port) => (port.protocol ?? "TCP") === protocol);
    const lower = protocol.toLowerCase();
    if (own.some(({ port }) => port === undefined)) return { ...ANY_PORT, protocol: lower };
    const named = own.flatMap(({ port }) => (typeof port === "string" ? [port] : []));
    const ranges = own.flatMap(({ port, endPort }) =>
      typeof port === "number" ? [{ first: port, last: endPort ?? port }] : [],
    );
    return { protocol: lower, ports: joined(ranges), namedPorts: named, namedProtocols: [lower] };
  });
}

/** Ranges that touch become one. */
function joined(ranges: readonly PortRange[]): PortRange[] {
  const found: { first: number; last: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = found.at(-1);
    if (before !== undefined && range.first <= before.last + 1)
      before.last = Math.max(before.last, range.last);
    else found.push({ ...range });
  }
  return found;
}

function clusterPolicy({ metadata, spec }: ClusterNetworkPolicy, nodes: readonly Node[]): CalicoPolicy {
  const rules = (list: readonly (ClusterPolicyIngressRule | ClusterPolicyEgressRule)[]): CalicoRule[] =>
    list.flatMap((rule) => clusterRules(rule, nodes));
  const { ingress = [], egress = [], subject } = spec;
  return {
    name: { kind: "ClusterNetworkPolicy", namespace: "", name: metadata.name },
    tier: spec.tier === "Admin" ? "kube-admin" : "kube-baseline",
    order: spec.priority,
    selector: and([podSelector(subject.pods?.podSelector), namespaceSelector(spacesOf(subject))]),
    ...(ingress.length > 0 && { ingress: rules(ingress) }),
    ...(egress.length > 0 && { egress: rules(egress) }),
  };
}

function spacesOf({ namespaces, pods }: ClusterPolicyPods): NonNullable<ClusterPolicyPods["namespaces"]> {
  return namespaces ?? pods?.namespaceSelector ?? {};
}

const ACTIONS = { Accept: "allow", Deny: "deny", Pass: "pass" } as const;

function clusterRules(
  rule: ClusterPolicyIngressRule | ClusterPolicyEgressRule,
  nodes: readonly Node[],
): CalicoRule[] {
  const peers: ClusterPolicyEgressPeer[] = "from" in rule ? rule.from : rule.to;
  const name = rule.name === undefined || rule.name === "" ? {} : { name: rule.name };
  const action = ACTIONS[rule.action];
  return clusterPorts(rule.protocols ?? []).flatMap((part) =>
    peers.map((peer) => ({ action, ...part, ...clusterPeer(peer, nodes), ...name })),
  );
}

function clusterPeer(peer: ClusterPolicyEgressPeer, nodes: readonly Node[]): PeerPart {
  if (peer.networks !== undefined) return { nets: peer.networks.map(canonical), notNets: [] };
  const { nodes: chosen } = peer;
  if (chosen !== undefined) {
    const found = nodes.filter(({ metadata }) => matchesSelector(chosen, metadata.labels));
    return { nets: found.flatMap(addressBlocks), notNets: [] };
  }
  const where = namespaceSelector(spacesOf(peer));
  return {
    peer: peer.pods === undefined ? where : and([where, podSelector(peer.pods.podSelector)]),
    notNets: [],
  };
}

/** Every address in a node's status, as a block of its own. */
function addressBlocks({ status }: Node): string[] {
  return (status.addresses ?? []).flatMap(({ address }) => {
    const parsed = parseIp(address);
    return parsed === null ? [] : [`${address}/${parsed.family === 4 ? 32 : 128}`];
  });
}

/** As for the other kind; names of ports have no protocol here, and mean the port whatever it has. */
function clusterPorts(protocols: readonly ClusterPolicyProtocol[]): PortPart[] {
  if (protocols.length === 0) return [ANY_PORT];
  const names = protocols.flatMap(({ destinationNamedPort }) => destinationNamedPort ?? []);
  const numbered = [...PROTOCOLS].sort().flatMap((protocol): PortPart[] => {
    const own = protocols.flatMap((each) => each[protocol as "tcp" | "udp" | "sctp"] ?? []);
    if (own.length === 0) return [];
    if (own.some(({ destinationPort }) => destinationPort === undefined)) return [{ ...ANY_PORT, protocol }];
    const ranges = own.map(({ destinationPort: { number, range } = {} }) => ({
      first: range?.start ?? number ?? 0,
      last: range?.end ?? number ?? 0,
    }));
    return [{ ...ANY_PORT, protocol, ports: joined(ranges) }];
  });
  return [
    ...(names.length > 0 ? [{ ports: [], namedPorts: names, namedProtocols: PROTOCOLS }] : []),
    ...numbered,
  ];
}
