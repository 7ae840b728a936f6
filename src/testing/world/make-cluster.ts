// A cluster without an API server, for tests of what it does with objects: some nodes, one range of each kind, and a
// clock that stands at 1970 unless a test has its own.
import { Cluster } from "../../cluster/cluster.ts";
import type { ClusterOptions } from "../../cluster/cluster-options.ts";
import type { KubeObject } from "../../kube/objects.ts";

/** `nodes`: node1 and so on; two when left out. */
export function makeCluster({
  nodes = 2,
  ...options
}: Partial<ClusterOptions> & { readonly nodes?: number } = {}): Cluster {
  const ranges = { clusterCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" };
  const cluster = new Cluster({ ...ranges, nowMs: () => 0, ...options });
  for (let i = 1; i <= nodes; i++) cluster.update(makeNode(`node${i}`, `192.168.50.${10 + i}`));
  return cluster;
}

/** As a kubelet registers it. */
export function makeNode(name: string, address: string, more: object = {}): KubeObject {
  const status = { addresses: [{ type: "InternalIP", address }] };
  return { apiVersion: "v1", kind: "Node", metadata: { name }, spec: {}, status, ...more } as KubeObject;
}
