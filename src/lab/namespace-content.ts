// What every namespace of a cluster has from its beginning: the service account of pods that name none, and the
// certificate by which pods know the API server.
import type { Cluster } from "../cluster/cluster.ts";
import type { KubeObject } from "../kube/objects.ts";

/** From now on. `ca`: PEM. */
export function fillNamespaces(cluster: Cluster, ca: string): void {
  const fill = (namespace: string): void => {
    for (const object of contentOf(namespace, ca)) {
      const { kind, metadata } = object;
      const isThere = cluster.get("Namespace", namespace) !== undefined;
      if (isThere && cluster.get(kind, `${namespace}/${metadata.name}`) === undefined) cluster.update(object);
    }
  };
  for (const { metadata } of cluster.list("Namespace")) fill(metadata.name);
  cluster.onChange(({ type, object }) => {
    const { kind, metadata } = object;
    const isNew = kind === "Namespace" && type === "ADDED";
    const isMissed = type === "DELETED" && contentOf("", "").some((each) => isSame(each, object));
    // Not in the middle of the change that is told.
    if (isNew || isMissed) setImmediate(fill, isNew ? metadata.name : (metadata.namespace ?? ""));
  });
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return a.kind === b.kind && a.metadata.name === b.metadata.name;
}

function contentOf(namespace: string, ca: string): KubeObject[] {
  const object = (kind: string, name: string, more: object = {}): KubeObject =>
    ({ apiVersion: "v1", kind, metadata: { name, namespace }, ...more }) as KubeObject;
  return [
    object("ServiceAccount", "default"),
    object("ConfigMap", "kube-root-ca.crt", { data: { "ca.crt": ca } }),
  ];
}
