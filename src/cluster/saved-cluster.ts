// What outlives a lab process: who had which address, range and port.

import { keyOf, type Node, type Pod, type Service } from "../kube/objects.ts";
import { type SavedService, savedService } from "./controller/service-allocator.ts";
import type { Store } from "./store.ts";

/** What a restarted lab has to know to hand out the same addresses again. JSON. */
export interface SavedCluster {
  readonly version: 1;
  readonly resourceVersion: number;
  readonly nodes: Readonly<Record<string, { podCIDRs: readonly string[] }>>;
  readonly pods: Readonly<Record<string, { node: string; ips: readonly string[] }>>;
  readonly services: Readonly<Record<string, SavedService>>;
}

export function saveCluster(store: Store): SavedCluster {
  const nodes = [...store.values<Node>("Node")].map((n): [string, { podCIDRs: string[] }] => [
    n.metadata.name,
    { podCIDRs: n.spec.podCIDRs ?? [] },
  ]);
  const pods = [...store.values<Pod>("Pod")].flatMap((pod): [string, { node: string; ips: string[] }][] => {
    const ips = (pod.status.podIPs ?? []).map(({ ip }) => ip as string);
    return pod.spec.nodeName === undefined ? [] : [[keyOf(pod), { node: pod.spec.nodeName, ips }]];
  });
  const services = [...store.values<Service>("Service")].map((s): [string, SavedService] => [
    keyOf(s),
    savedService(s),
  ]);
  return {
    version: 1,
    resourceVersion: store.version,
    nodes: Object.fromEntries(nodes),
    pods: Object.fromEntries(pods),
    services: Object.fromEntries(services),
  };
}
