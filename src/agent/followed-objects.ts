/** The objects that a node's agent follows, as a lab answers for its own: the same words, the same form. */
import { ApiError } from "../api/api.ts";
import { type KindInfo, kindFromWord, unknownKind } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { DesiredState } from "../watch/desired-state.ts";

/** By kind. Endpoints became slices when they were read: there are none, and who shows them makes them of slices. */
const FOLLOWED: Readonly<Record<string, (state: DesiredState) => Iterable<KubeObject>>> = {
  Namespace: (state) => state.namespaces.values(),
  Node: (state) => state.nodes.values(),
  ServiceCIDR: (state) => state.serviceCidrs.values(),
  Service: (state) => state.services.values(),
  Endpoints: () => [],
  EndpointSlice: (state) => [...state.slices.values()].flat(),
  NetworkPolicy: (state) => state.policies.values(),
  ClusterNetworkPolicy: (state) => state.clusterPolicies.values(),
  Pod: (state) => state.pods.values(),
};

export interface FollowedObjects extends KindInfo {
  readonly items: readonly KubeObject[];
}

/** Objects of a kind by any of kubectl's words for it, by namespace and name. */
export function followedObjects(
  state: DesiredState,
  node: string,
  word: string,
  namespace: string | null,
): FollowedObjects {
  const info = kindFromWord(word);
  if (info === undefined) {
    throw new ApiError(404, unknownKind(word), "UNKNOWN_KIND");
  }
  const list = FOLLOWED[info.kind];
  if (list === undefined) {
    const kinds = Object.keys(FOLLOWED).join(", ");
    const message = `${info.plural}: the agent of ${node} does not follow them: it follows ${kinds}`;
    throw new ApiError(404, message, "UNKNOWN_KIND");
  }
  const isHere = ({ metadata }: KubeObject): boolean =>
    !info.namespaced || namespace === null || metadata.namespace === namespace;
  return { ...info, items: [...list(state)].filter(isHere).sort(byNamespaceAndName) };
}

function byNamespaceAndName(a: KubeObject, b: KubeObject): number {
  const [x, y] = [a, b].map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
  return x < y ? -1 : x > y ? 1 : 0;
}
