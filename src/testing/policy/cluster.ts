// What an evaluator of policies reads of a cluster: pods, namespaces, nodes and policies as manifests have them.
// Nothing is defaulted beforehand, so that a default that went wrong elsewhere shows.
import type * as core from "kubernetes-types/core/v1.js";
import type * as networking from "kubernetes-types/networking/v1.js";
import type { ClusterNetworkPolicy } from "../../kube/objects.ts";

export type Labels = Readonly<Record<string, string>>;
export type Direction = "ingress" | "egress";

export interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
}
export type PodObject = Named & { readonly spec: core.PodSpec; readonly status?: core.PodStatus };
export type NodeObject = Named & { readonly status?: core.NodeStatus };
export type NetworkPolicyObject = Named & { readonly spec: networking.NetworkPolicySpec };
export type ClusterPolicyObject = Named & { readonly spec: ClusterNetworkPolicy["spec"] };

/** The objects of a cluster by their kinds. */
export interface Cluster {
  readonly namespaces: readonly Named[];
  readonly pods: readonly PodObject[];
  readonly nodes: readonly NodeObject[];
  readonly policies: readonly NetworkPolicyObject[];
  readonly clusterPolicies: readonly ClusterPolicyObject[];
}

export function clusterOf(objects: Iterable<Named>): Cluster {
  const all = [...objects];
  const ofKind = <T extends Named>(kind: string): T[] =>
    all.filter((object) => object.kind === kind).map((object) => object as T);
  return {
    namespaces: ofKind("Namespace"),
    pods: ofKind("Pod"),
    nodes: ofKind("Node"),
    policies: ofKind("NetworkPolicy"),
    clusterPolicies: ofKind("ClusterNetworkPolicy"),
  };
}

/** The pod that has the address now: pods of the host's network have none of their own, finished ones no more. */
export function podAt(cluster: Cluster, address: string): PodObject | undefined {
  let byAddress = podsByAddress.get(cluster);
  if (byAddress === undefined) {
    byAddress = new Map();
    podsByAddress.set(cluster, byAddress);
    // The first pod that has an address counts.
    for (const pod of cluster.pods.toReversed()) for (const own of addressesOf(pod)) byAddress.set(own, pod);
  }
  return byAddress.get(address);
}

/** Every question asks twice at least. */
const podsByAddress = new WeakMap<Cluster, Map<string, PodObject>>();

export function addressesOf({ spec, status }: PodObject): string[] {
  if (spec.hostNetwork === true || status?.phase === "Succeeded" || status?.phase === "Failed") return [];
  return [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)].flatMap((ip) => ip ?? []);
}

export function nodeAddressesOf({ status }: NodeObject): string[] {
  return (status?.addresses ?? []).map(({ address }) => address);
}

/** Ports of a pod's containers and of its sidecars: init containers that never end. */
export function containerPorts({ spec }: PodObject): core.ContainerPort[] {
  const sidecars = (spec.initContainers ?? []).filter((container) => {
    const { restartPolicy } = container as { restartPolicy?: string };
    return restartPolicy === "Always";
  });
  return [...spec.containers, ...sidecars].flatMap(({ ports }) => ports ?? []);
}

/** Labels of a namespace; the API server puts its name among them. */
export function namespaceLabels(cluster: Cluster, name: string): Labels {
  const byName = labelsByName.get(cluster) ?? new Map<string, Labels>();
  labelsByName.set(cluster, byName);
  let labels = byName.get(name);
  if (labels === undefined) {
    const found = cluster.namespaces.find(({ metadata }) => metadata.name === name);
    labels = { ...found?.metadata.labels, "kubernetes.io/metadata.name": name };
    byName.set(name, labels);
  }
  return labels;
}

const labelsByName = new WeakMap<Cluster, Map<string, Labels>>();
