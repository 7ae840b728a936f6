// Services and slices → the ports at which this node tells load balancers whether it has endpoints of a Service
// (healthCheckNodePort of type LoadBalancer with externalTrafficPolicy Local), and how many it has
// (pkg/proxy/endpointschangetracker.go, LocalReadyEndpoints). Incremental by Service.
import type { IpFamily } from "../base/ip.ts";
import { formatIp, parseIp } from "../base/ip.ts";
import type { DesiredState, EndpointSlice, Node, Service } from "../watch/desired-state.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { isIgnored, isIgnoredSlice } from "./service-port.ts";

const TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler";

export interface HealthCheck {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Ready endpoints on this node. Those that serve while they terminate get traffic, but do not count. */
  readonly localEndpoints: number;
}

export class HealthChecks {
  readonly #checks = new Map<string, HealthCheck>();

  /** Takes in what these Services' objects say now. */
  update(state: DesiredState, serviceKeys: Iterable<string>, nodeName: string): void {
    for (const key of serviceKeys) {
      const check = healthCheckOf(state.services.get(key), state.slices.get(key) ?? [], nodeName);
      if (check === undefined) this.#checks.delete(key);
      else this.#checks.set(key, check);
    }
  }

  list(): HealthCheck[] {
    return [...this.#checks.values()];
  }
}

/** Undefined: nobody asks this node for the Service's health. */
export function healthCheckOf(
  service: Service | undefined,
  slices: Iterable<EndpointSlice>,
  nodeName: string,
): HealthCheck | undefined {
  if (service === undefined || isIgnored(service)) return undefined;
  const { type, externalTrafficPolicy, healthCheckNodePort: port = 0 } = service.spec;
  if (type !== "LoadBalancer" || externalTrafficPolicy !== "Local" || port === 0) return undefined;
  const { namespace = "", name } = service.metadata;
  return { namespace, name, port, localEndpoints: localReady(slices, nodeName) };
}

/** Distinct addresses, whatever ports they have. Each family has its own proxier; a dual-stack pod is one endpoint. */
function localReady(slices: Iterable<EndpointSlice>, nodeName: string): number {
  const found: Record<IpFamily, Set<string>> = { 4: new Set(), 6: new Set() };
  for (const slice of slices) {
    if (isIgnoredSlice(slice) || !(slice.ports ?? []).some((p) => (p.port ?? 0) !== 0)) continue;
    for (const { addresses, nodeName: on, conditions } of slice.endpoints ?? []) {
      if (on !== nodeName || (conditions?.ready ?? true) === false) continue;
      const address = parseIp(addresses[0] ?? "");
      if (address !== null && slice.addressType === `IPv${address.family}`) {
        found[address.family].add(formatIp(address));
      }
    }
  }
  return Math.max(found[4].size, found[6].size);
}

/** Where health-check ports listen: where node ports are served, "::" being every address of both families. */
export function healthCheckAddresses({ nodePortIps, nodeIps }: ProxySettings): string[] {
  if (nodePortIps[4] === null) return ["::"];
  const v6 = nodePortIps[6] ?? nodeIps.filter((a) => a.family === 6);
  return [...nodePortIps[4], ...v6].map(formatIp);
}

/** False: the node is on its way out, load balancers should leave it alone. `wasThere`: it has been seen before. */
export function isNodeEligible(node: Node | undefined, wasThere: boolean): boolean {
  if (node === undefined) return !wasThere;
  if (node.metadata.deletionTimestamp !== undefined) return false;
  return !(node.spec.taints ?? []).some((taint) => taint.key === TO_BE_DELETED);
}
