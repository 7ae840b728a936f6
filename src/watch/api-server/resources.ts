/** The resources of an API server that a node follows. */
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { type KindInfo, kindNamed, qualifiedPlural } from "../../kube/kinds.ts";
import { AUTHORIZATION_POLICY } from "../../kube/mesh/authorization-policy.ts";

export interface Resource {
  readonly info: KindInfo;
  /** As errors and RBAC name it: networkpolicies.networking.k8s.io. */
  readonly name: string;
  readonly path: string;
  /** Where servers of other versions have it, in the same fields. */
  readonly otherPaths?: readonly string[];
  readonly isOptional?: boolean;
  readonly labelSelector?: string;
  /** All of an object is kept, and not what a node has to know of it. */
  readonly isWhole?: boolean;
  /** Of a whole object: with its status, and its resourceVersion, which every status that is written changes. */
  readonly hasStatus?: boolean;
}

/** As kube-proxy asks: what another proxy serves, or nobody, is not even sent. */
const PROXIED = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";

export const RESOURCES: readonly Resource[] = [
  resource("Node"),
  resource("Namespace"),
  resource("ServiceCIDR", { isOptional: true }), // since Kubernetes 1.33
  resource("Service", { labelSelector: PROXIED }),
  resource("EndpointSlice", { labelSelector: PROXIED }),
  resource("Pod"),
  resource("NetworkPolicy"),
  resource("ClusterNetworkPolicy", { isOptional: true }),
];

/** What names are made of: headless Services, too, and whoever's proxy serves them. */
export const NAMED_RESOURCES: readonly Resource[] = ["Namespace", "Service", "EndpointSlice", "Pod"].map(
  (kind) => resource(kind),
);

/** What requests by HTTP are routed by; a cluster may have no Gateway API. */
export const ROUTED_RESOURCES: readonly Resource[] = [
  ...["Namespace", "Service", "EndpointSlice", "Ingress", "IngressClass", "ConfigMap", "Secret"].map((kind) =>
    resource(kind, { isWhole: true }),
  ),
  ...GATEWAY_KINDS.map((info) => ofInfo(info, { isWhole: true, isOptional: true })),
];

/** What statuses are decided by: `kinds`, and those of the Gateway API. */
export function statusResources(kinds: readonly string[]): Resource[] {
  const kept = { isWhole: true, hasStatus: true };
  return [
    ...kinds.map((kind) => resource(kind, kept)),
    ...GATEWAY_KINDS.map((info) => ofInfo(info, { ...kept, isOptional: true })),
  ];
}

/** What a node's proxy of the mesh has to know; a cluster may have no policies of that kind. */
export const MESH_RESOURCES: readonly Resource[] = [
  ...["Namespace", "EndpointSlice", "Pod"].map((kind) => resource(kind)),
  ofInfo(AUTHORIZATION_POLICY, { isWhole: true, isOptional: true }),
];

function resource(kind: string, more: Partial<Resource> = {}): Resource {
  return ofInfo(kindNamed(kind), more);
}

function ofInfo(info: KindInfo, more: Partial<Resource>): Resource {
  const path = (version: string): string =>
    `${version.includes("/") ? "/apis" : "/api"}/${version}/${info.plural}`;
  const otherPaths = info.custom === true ? (info.formerVersions ?? []).map(path) : [];
  return {
    ...{ info, name: qualifiedPlural(info), path: path(info.apiVersion) },
    ...(otherPaths.length > 0 && { otherPaths }),
    ...more,
  };
}
