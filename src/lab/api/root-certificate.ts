// The ConfigMap by which pods know the API server: kube-controller-manager writes it into every namespace, and writes it
// again when somebody took it away or changed it.
import { deepEqual } from "../../base/deep-equal.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { ROOT_CA_MAP } from "../../kube/account-volume.ts";
import type { ConfigMap } from "../../kube/objects.ts";

const KIND = "ConfigMap";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the " +
  "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of " +
  "Kubernetes clusters.";

/** From now on. `ca`: PEM. */
export function publishRootCertificate(cluster: Cluster, ca: string): void {
  const data = { "ca.crt": ca };
  const publish = (namespace: string): void => {
    if (cluster.get("Namespace", namespace) === undefined) return;
    const there = cluster.get(KIND, `${namespace}/${ROOT_CA_MAP}`) as ConfigMap | undefined;
    if (there !== undefined && deepEqual(there.data, data)) return;
    const annotations = { "kubernetes.io/description": DESCRIPTION };
    const metadata = there?.metadata ?? { name: ROOT_CA_MAP, namespace, annotations };
    cluster.update({ ...{ apiVersion: "v1", kind: KIND }, ...there, metadata, data } as ConfigMap);
  };
  for (const { metadata } of cluster.list("Namespace")) publish(metadata.name);
  cluster.onChange(({ type, object: { kind, metadata } }) => {
    const isNew = kind === "Namespace" && type === "ADDED";
    const isTouched = kind === KIND && type !== "ADDED" && metadata.name === ROOT_CA_MAP;
    // Not in the middle of the change that is told.
    if (isNew || isTouched) setImmediate(publish, isNew ? metadata.name : (metadata.namespace ?? ""));
  });
}
