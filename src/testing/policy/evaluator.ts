// May this connection pass? Read from the API's text alone, one question at a time: slow, without tables, and without a
// line of what the plane compiles, so that the two can be compared cell by cell.
//   networking.k8s.io/v1 NetworkPolicy; policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy
import { BlockList, isIPv6 } from "node:net";
import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type * as networking from "kubernetes-types/networking/v1.js";
import type {
  ClusterPolicyEgressPeer,
  ClusterPolicyEgressRule,
  ClusterPolicyIngressRule,
  ClusterPolicyPods,
  ClusterPolicyPorts,
  ClusterPolicyProtocol,
} from "../../kube/objects.ts";
import {
  addressesOf,
  type Cluster,
  type ClusterPolicyObject,
  containerPorts,
  type Direction,
  type Labels,
  type NetworkPolicyObject,
  namespaceLabels,
  nodeAddressesOf,
  type PodObject,
  podAt,
} from "./cluster.ts";

/** The first packet of a connection as policy sees it: after DNAT, before SNAT. */
export interface Cell {
  readonly from: string;
  readonly to: string;
  /** TCP, UDP, SCTP; anything else (ICMP, GRE …) has no ports. */
  readonly protocol: string;
  readonly port: number;
  /** The sender asked for a Service, which chose `to`. */
  readonly byService?: boolean;
}

export interface Decision {
  readonly allowed: boolean;
  /** Who decided: a policy and its rule, the policies that isolate the pod, or why there is no question at all. */
  readonly why: string;
  /** "namespace/name" of a NetworkPolicy, the name of a ClusterNetworkPolicy. */
  readonly policies: readonly string[];
}

export interface Answer {
  readonly allowed: boolean;
  /** The source's pod is asked first; the destination's only for what that lets out. */
  readonly egress: Decision;
  readonly ingress: Decision;
}

const WITH_PORTS = ["TCP", "UDP", "SCTP"];

const free = (why: string): Decision => ({ allowed: true, why, policies: [] });

export function evaluate(cluster: Cluster, cell: Cell): Answer {
  const source = podAt(cluster, cell.from);
  const target = podAt(cluster, cell.to);
  const self = source !== undefined && source === target;
  if (self && cell.byService !== true) {
    const own = free("a pod may always reach its own address");
    return { allowed: true, egress: own, ingress: own };
  }
  const egress = source === undefined ? free("no pod") : decide(cluster, cell, "egress", source);
  const ingress =
    target === undefined
      ? free("no pod")
      : isOwnNode(cluster, target, cell.from)
        ? free("a node may always reach its own pods")
        : decide(cluster, cell, "ingress", target);
  return { allowed: egress.allowed && ingress.allowed, egress, ingress };
}

function isOwnNode(cluster: Cluster, pod: PodObject, from: string): boolean {
  const node = cluster.nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName);
  return node !== undefined && nodeAddressesOf(node).includes(from);
}

/** Admin tier, NetworkPolicies, Baseline tier; where nobody says anything, all passes. */
function decide(cluster: Cluster, cell: Cell, direction: Direction, subject: PodObject): Decision {
  return (
    tierDecision(cluster, cell, direction, subject, "Admin") ??
    policyDecision(cluster, cell, direction, subject) ??
    tierDecision(cluster, cell, direction, subject, "Baseline") ??
    free("no policy says otherwise")
  );
}

/** Undefined: no rule matches, or the one that does passes the connection on to the next tier. */
function tierDecision(
  cluster: Cluster,
  cell: Cell,
  direction: Direction,
  subject: PodObject,
  tier: "Admin" | "Baseline",
): Decision | undefined {
  const inOrder = cluster.clusterPolicies
    .filter((policy) => policy.spec.tier === tier && isSubject(cluster, policy, subject))
    .sort((a, b) => a.spec.priority - b.spec.priority || (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const { metadata, spec } of inOrder) {
    for (const [i, rule] of (spec[direction] ?? []).entries()) {
      const peers = peersOf(rule);
      const peer = direction === "ingress" ? cell.from : cell.to;
      if (!peers.some((each) => isClusterPeer(cluster, each, peer))) continue;
      if (rule.protocols !== undefined && !rule.protocols.some((each) => isProtocol(cluster, each, cell)))
        continue;
      if (rule.action === "Pass") return undefined;
      const why = `${metadata.name} ${direction}[${i}] ${rule.action} (${tier} tier)`;
      return { allowed: rule.action === "Accept", why, policies: [metadata.name] };
    }
  }
  return undefined;
}

const peersOf = (rule: ClusterPolicyIngressRule | ClusterPolicyEgressRule): ClusterPolicyEgressPeer[] =>
  "from" in rule ? rule.from : rule.to;

function isSubject(cluster: Cluster, { spec }: ClusterPolicyObject, pod: PodObject): boolean {
  const { namespaces, pods } = spec.subject;
  return pods !== undefined ? isAmong(cluster, pods, pod) : inNamespaces(cluster, namespaces ?? {}, pod);
}

function isClusterPeer(cluster: Cluster, peer: ClusterPolicyEgressPeer, address: string): boolean {
  const pod = podAt(cluster, address);
  if (peer.namespaces !== undefined) return pod !== undefined && inNamespaces(cluster, peer.namespaces, pod);
  if (peer.pods !== undefined) return pod !== undefined && isAmong(cluster, peer.pods, pod);
  if (peer.networks !== undefined) return peer.networks.some((block) => isIn(block, address));
  const { nodes } = peer;
  if (nodes === undefined) return false; // domain names: nobody has asked for any here
  return cluster.nodes.some(
    (node) => matches(nodes, node.metadata.labels) && nodeAddressesOf(node).includes(address),
  );
}

function isAmong(
  cluster: Cluster,
  { namespaceSelector = {}, podSelector }: NonNullable<ClusterPolicyPods["pods"]>,
  pod: PodObject,
): boolean {
  return inNamespaces(cluster, namespaceSelector, pod) && matches(podSelector, pod.metadata.labels);
}

function inNamespaces(cluster: Cluster, selector: LabelSelector, pod: PodObject): boolean {
  return matches(selector, namespaceLabels(cluster, pod.metadata.namespace ?? "default"));
}

function isProtocol(cluster: Cluster, asked: ClusterPolicyProtocol, cell: Cell): boolean {
  if (asked.destinationNamedPort !== undefined)
    return isNamedPort(cluster, asked.destinationNamedPort, cell.protocol, cell);
  const of: Readonly<Record<string, ClusterPolicyPorts | undefined>> = {
    TCP: asked.tcp,
    UDP: asked.udp,
    SCTP: asked.sctp,
  };
  const found = of[cell.protocol];
  if (found === undefined) return false;
  const { number, range } = found.destinationPort ?? {};
  if (number !== undefined) return cell.port === number;
  return range === undefined || (cell.port >= range.start && cell.port <= range.end);
}

/** Undefined: no NetworkPolicy isolates the pod in this direction. */
function policyDecision(
  cluster: Cluster,
  cell: Cell,
  direction: Direction,
  subject: PodObject,
): Decision | undefined {
  const isolating = cluster.policies.filter(
    (policy) =>
      namespaceOf(policy) === namespaceOf(subject) &&
      directionsOf(policy).includes(direction) &&
      matches(policy.spec.podSelector ?? {}, subject.metadata.labels),
  );
  if (isolating.length === 0) return undefined;
  if (addressesOf(subject).includes(cell.from) && addressesOf(subject).includes(cell.to))
    return free("a pod may reach itself through its own Service");
  for (const policy of isolating) {
    const rule = allowingRule(cluster, cell, direction, policy);
    if (rule === undefined) continue;
    return { allowed: true, why: `${nameOf(policy)} ${rule}`, policies: [nameOf(policy)] };
  }
  const policies = isolating.map(nameOf);
  return { allowed: false, why: `isolated by ${policies.join(", ")}; no rule matches`, policies };
}

const namespaceOf = ({ metadata }: NetworkPolicyObject | PodObject): string =>
  metadata.namespace ?? "default";
const nameOf = (policy: NetworkPolicyObject): string => `${namespaceOf(policy)}/${policy.metadata.name}`;

/** policyTypes left out, or empty: ingress always, egress where there is a rule for it. */
function directionsOf({ spec }: NetworkPolicyObject): Direction[] {
  const types = spec.policyTypes ?? [];
  if (types.length > 0) return types.map((type) => (type === "Ingress" ? "ingress" : "egress"));
  return (spec.egress ?? []).length > 0 ? ["ingress", "egress"] : ["ingress"];
}

/** "ingress[0].from[1].ports[0]": the first rule that lets the connection pass, with what of it matched. */
function allowingRule(
  cluster: Cluster,
  cell: Cell,
  direction: Direction,
  policy: NetworkPolicyObject,
): string | undefined {
  const field = direction === "ingress" ? "from" : "to";
  const other = direction === "ingress" ? cell.from : cell.to;
  for (const [i, rule] of (policy.spec[direction] ?? []).entries()) {
    const peers = (rule as { from?: Peer[]; to?: Peer[] })[field] ?? [];
    const ports = rule.ports ?? [];
    const peer = peers.findIndex((each) => isPeer(cluster, each, other, namespaceOf(policy)));
    const port = ports.findIndex((each) => isPort(cluster, each, cell));
    if ((peers.length > 0 && peer < 0) || (ports.length > 0 && port < 0)) continue;
    return [
      `${direction}[${i}]`,
      ...(peer < 0 ? [] : [`${field}[${peer}]`]),
      ...(port < 0 ? [] : [`ports[${port}]`]),
    ].join(".");
  }
  return undefined;
}

type Peer = networking.NetworkPolicyPeer;

function isPeer(cluster: Cluster, peer: Peer, address: string, namespace: string): boolean {
  if (peer.ipBlock !== undefined) {
    const { cidr, except = [] } = peer.ipBlock;
    return isIn(cidr, address) && !except.some((block) => isIn(block, address));
  }
  const pod = podAt(cluster, address);
  if (pod === undefined) return false;
  const rightNamespace =
    peer.namespaceSelector === undefined
      ? namespaceOf(pod) === namespace
      : inNamespaces(cluster, peer.namespaceSelector, pod);
  return rightNamespace && matches(peer.podSelector ?? {}, pod.metadata.labels);
}

function isPort(
  cluster: Cluster,
  { protocol = "TCP", port, endPort }: networking.NetworkPolicyPort,
  cell: Cell,
): boolean {
  if (protocol !== cell.protocol) return false;
  if (port === undefined) return true;
  if (typeof port === "string") return isNamedPort(cluster, port, protocol, cell);
  return cell.port >= port && cell.port <= (endPort ?? port);
}

/** A name means what the destination's pod calls so, in this protocol; what is no pod has no names. */
function isNamedPort(cluster: Cluster, name: string, protocol: string, cell: Cell): boolean {
  const pod = podAt(cluster, cell.to);
  if (pod === undefined || !WITH_PORTS.includes(protocol)) return false;
  return containerPorts(pod).some(
    (port) => port.name === name && (port.protocol ?? "TCP") === protocol && port.containerPort === cell.port,
  );
}

export function matches(selector: LabelSelector, labels: Labels = {}): boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    const isAmongThem = value !== undefined && values.includes(value);
    return operator === "In" ? isAmongThem : !isAmongThem;
  });
}

function isIn(block: string, address: string): boolean {
  if (isIPv6(address) !== block.includes(":")) return false;
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  let list = blockLists.get(block);
  if (list === undefined) {
    const [network, bits] = block.split("/");
    list = new BlockList();
    list.addSubnet(network, Number(bits), family);
    blockLists.set(block, list);
  }
  return list.check(address, family);
}

/** One a block: its making takes longer than the question. */
const blockLists = new Map<string, BlockList>();
