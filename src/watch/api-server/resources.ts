/** The resources of an API server that a node follows. */
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { groupOf, type KindInfo, kindNamed, qualifiedPlural } from "../../kube/kinds.ts";

export interface Resource {
  readonly info: KindInfo;
  /** As errors and RBAC name it: networkpolicies.networking.k8s.io. */
  readonly name: string;
  readonly path: string;
  readonly isOptional?: boolean;
  readonly labelSelector?: string;
  /** All of an object is kept, and not what a node has to know of it. */
  readonly isWhole?: boolean;
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

function resource(kind: string, more: Partial<Resource> = {}): Resource {
  return ofInfo(kindNamed(kind), more);
}

function ofInfo(info: KindInfo, more: Partial<Resource>): Resource {
  const root = groupOf(info) === "" ? `/api/${info.apiVersion}` : `/apis/${info.apiVersion}`;
  return { info, name: qualifiedPlural(info), path: `${root}/${info.plural}`, ...more };
}
