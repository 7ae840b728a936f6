// What a change touches, as it was when its compile began: that takes many turns, and what comes meanwhile belongs to the
// next change. A table of a pod as it is now and of policies as they were might let pass what neither does.
import type { ClusterNetworkPolicy, KubeObject, NetworkPolicy, Node, Pod } from "../../kube/objects.ts";
import type { Changes, DesiredState } from "../../watch/desired-state.ts";

/** By key; undefined: gone. */
type Objects<T> = ReadonlyMap<string, T | undefined>;

export interface PolicyInput {
  readonly namespaces: Objects<KubeObject>;
  /** Those of namespaces that changed, too. */
  readonly policies: Objects<NetworkPolicy>;
  readonly clusterPolicies: Objects<ClusterNetworkPolicy>;
  readonly pods: Objects<Pod>;
  readonly nodes: Objects<Node>;
  /** All there are, where policies changed that may speak of nodes. */
  readonly allNodes: ReadonlyMap<string, Node>;
}

export function policyInput(state: DesiredState, changes: Changes): PolicyInput {
  const policies = new Set(changes.policies);
  if (changes.namespaces.size > 0) {
    for (const key of state.policies.keys()) if (changes.namespaces.has(namespaceOf(key))) policies.add(key);
  }
  return {
    namespaces: taken(state.namespaces, changes.namespaces),
    policies: taken(state.policies, policies),
    clusterPolicies: taken(state.clusterPolicies, changes.clusterPolicies),
    pods: taken(state.pods, changes.pods),
    nodes: taken(state.nodes, changes.nodes),
    allNodes: new Map(changes.clusterPolicies.size > 0 ? state.nodes : []),
  };
}

function taken<T>(from: ReadonlyMap<string, T>, keys: ReadonlySet<string>): Objects<T> {
  const found = new Map<string, T | undefined>();
  for (const key of keys) found.set(key, from.get(key));
  return found;
}

/** Of "namespace/name". */
export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
