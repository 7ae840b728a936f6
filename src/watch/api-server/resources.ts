/** The resources of an API server that a node follows. */
import { groupOf, type KindInfo, kindNamed, qualifiedPlural } from "../../kube/kinds.ts";

export interface Resource {
  readonly info: KindInfo;
  /** As errors and RBAC name it: networkpolicies.networking.k8s.io. */
  readonly name: string;
  readonly path: string;
  readonly isOptional?: boolean;
  readonly labelSelector?: string;
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
export const NAMED_KINDS: readonly string[] = ["Namespace", "Service", "EndpointSlice", "Pod"];
export const NAMED_RESOURCES: readonly Resource[] = NAMED_KINDS.map((kind) => resource(kind));

function resource(kind: string, more: Partial<Resource> = {}): Resource {
  const info = kindNamed(kind);
  const root = groupOf(info) === "" ? `/api/${info.apiVersion}` : `/apis/${info.apiVersion}`;
  return { info, name: qualifiedPlural(info), path: `${root}/${info.plural}`, ...more };
}
