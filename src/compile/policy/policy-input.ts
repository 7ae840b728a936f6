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

function policyInput(state: DesiredState, changes: Changes): PolicyInput {
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

/**
 * Inputs of changes, one after the other. Of other nodes' pods, and of nodes, nothing is looked at before there are
 * policies that may ask about them, and everything then: a cluster has tens of thousands, at 0.4 KiB each.
 */
export class PolicyInputs {
  readonly #nodeName: string | undefined;
  #knowsPeers: boolean;

  /** `nodeName`: whose pods are decided for; undefined: everybody's. */
  constructor(nodeName: string | undefined) {
    this.#nodeName = nodeName;
    this.#knowsPeers = nodeName === undefined;
  }

  /** `isKnown`: pods that were looked at and are not gone. */
  next(state: DesiredState, changes: Changes, isKnown: (podKey: string) => boolean): PolicyInput {
    const input = policyInput(state, changes);
    if (this.#knowsPeers) return input;
    const { policies, clusterPolicies } = input;
    this.#knowsPeers = [...policies.values(), ...clusterPolicies.values()].some((one) => one !== undefined);
    if (this.#knowsPeers) return inputOfAll(state, changes);
    const isOwn = (key: string, pod?: Pod): boolean => pod?.spec.nodeName === this.#nodeName || isKnown(key);
    const pods = new Map([...input.pods].filter(([key, pod]) => isOwn(key, pod)));
    return { ...input, pods, nodes: new Map() };
  }
}

function inputOfAll(state: DesiredState, changes: Changes): PolicyInput {
  const pods = new Set([...state.pods.keys(), ...changes.pods]);
  const nodes = new Set([...state.nodes.keys(), ...changes.nodes]);
  return policyInput(state, { ...changes, pods, nodes });
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
