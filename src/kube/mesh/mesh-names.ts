// Names by which the parts of a mesh know each other. Nothing of it is anybody's to choose.

/** Of a namespace; the one value that means anything. */
const MESH_LABEL = "podwire.dev/mesh";
const MESH_ENABLED = "enabled";

/** Where the proxies are, one a node, and their account and configuration. */
export const MESH_NAMESPACE = "podwire-system";
export const MESH_NAME = "podwire-mesh";
/** On the proxies' pods. */
export const MESH_LABELS: Readonly<Record<string, string>> = { "app.kubernetes.io/name": MESH_NAME };

/** A ConfigMap of that namespace: whom proxies trust, in PEM. */
export const MESH_CA_MAP = "podwire-mesh-ca";
export const MESH_CA_KEY = "ca.crt";

/** Whose identities are given out by certificates. */
export const MESH_SIGNER = "podwire.dev/mesh-workload";
export const TRUST_DOMAIN = "cluster.local";
/** Where proxies reach each other (Istio's HTTP-based overlay network). */
export const HBONE_PORT = 15008;

/** Whether connections of a namespace's pods go by the proxies, by its labels. */
export function isMeshed(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels?.[MESH_LABEL] === MESH_ENABLED;
}

/** Of a pod, by its metadata. */
export function isMeshProxy({ namespace, labels }: { namespace?: unknown; labels?: unknown }): boolean {
  if (namespace !== MESH_NAMESPACE) return false;
  const has = (labels ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(MESH_LABELS).every(([name, value]) => has[name] === value);
}
