// What outlives a lab process: who had which address, range and port.

import { type KubeObject, keyOf, type Node, type Pod, type Service } from "../kube/objects.ts";
import { type SavedService, savedService } from "./controller/service-allocator.ts";

/** What a restarted lab has to know to hand out the same addresses again. JSON. */
export interface SavedCluster {
  readonly version: 1;
  readonly resourceVersion: number;
  readonly nodes: Readonly<Record<string, { podCIDRs: readonly string[] }>>;
  readonly pods: Readonly<Record<string, { node: string; ips: readonly string[] }>>;
  readonly services: Readonly<Record<string, SavedService>>;
}

export function savedOf(objects: Iterable<KubeObject>, resourceVersion: number): SavedCluster {
  const nodes: [string, { podCIDRs: readonly string[] }][] = [];
  const pods: [string, { node: string; ips: string[] }][] = [];
  const services: [string, SavedService][] = [];
  for (const object of objects) {
    const key = keyOf(object);
    if (object.kind === "Node") nodes.push([key, { podCIDRs: (object as Node).spec.podCIDRs ?? [] }]);
    else if (object.kind === "Service") services.push([key, savedService(object as Service)]);
    else if (object.kind === "Pod") {
      const { spec, status } = object as Pod;
      const ips = (status.podIPs ?? []).map(({ ip }) => ip as string);
      if (spec.nodeName !== undefined) pods.push([key, { node: spec.nodeName, ips }]);
    }
  }
  return {
    version: 1,
    resourceVersion,
    nodes: Object.fromEntries(nodes),
    pods: Object.fromEntries(pods),
    services: Object.fromEntries(services),
  };
}
