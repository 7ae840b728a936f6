/** What explanations need to quote rules to the letter, and no packet shows: counted and listed from the objects. */
import { contains, formatCidr, formatIp, type IpFamily, parseCidr, parseIp } from "../../base/ip.ts";
import type { ProxySettings } from "../../compile/proxy-settings.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { hostPortsOf } from "../../kube/host-ports.ts";
import type { EndpointSlice, Service, ServicePort } from "../../kube/objects.ts";
import { hostPortOwner } from "../../kubeproxy/words/kube-chains.ts";
import type { DesiredState } from "../../watch/desired-state.ts";

/** Above, kube-proxy does not name endpoints in comments. */
export const LARGE_CLUSTER_ENDPOINTS = 1000;

/** A Service's source ranges as its rules list them: a node that is in one, and has the VIP, speaks to it from it. */
export function sourceRanges(
  service: Service | undefined,
  { nodeIps }: Pick<ProxySettings, "nodeIps">,
  family: IpFamily,
): string[] {
  const own = (service?.spec.loadBalancerSourceRanges ?? []).flatMap((text) => parseCidr(text.trim()) ?? []);
  const ranges = own.filter((range) => range.family === family);
  const primary = nodeIps.find((address) => address.family === family);
  const isNodes = primary !== undefined && ranges.some((range) => contains(range, primary));
  const vips = (service?.status.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode = "VIP" }) =>
    ipMode === "VIP" ? (parseIp(ip ?? "") ?? []) : [],
  );
  const sources = isNodes ? vips.filter((vip) => vip.family === family).map(formatIp) : [];
  return [...ranges.map(formatCidr), ...sources];
}

/** Endpoints of all service ports of a family, usable or not. */
export function countEndpoints({ services, slices }: DesiredState, family: IpFamily): number {
  let total = 0;
  for (const [key, { spec }] of services) {
    const own = [...(slices.get(key)?.values() ?? [])].filter((each) => each.addressType === `IPv${family}`);
    for (const port of spec.ports ?? []) {
      total += new Set(own.flatMap((slice) => endpointsIn(slice, port))).size;
    }
  }
  return total;
}

function endpointsIn(
  { ports = [], endpoints }: EndpointSlice,
  { name = "", protocol = "TCP" }: ServicePort,
): string[] {
  const numbers = ports
    .filter((each) => each.name === name && (each.protocol ?? "TCP") === protocol)
    .map(({ port }) => port);
  return numbers.flatMap((number) => endpoints.map(({ addresses }) => `${addresses[0]} ${number}`));
}

/** Ranges of service addresses: those of the configuration, then those of ServiceCIDR objects. */
export function serviceCidrs(state: DesiredState, config: AgentConfig, family: IpFamily): string[] {
  const told = [...state.serviceCidrs.values()].flatMap(({ spec }) => spec.cidrs);
  const added = told.flatMap((text) => parseCidr(text) ?? []);
  const ranges = [...config.serviceCidrs, ...added].filter((range) => range.family === family);
  return [...new Set(ranges.map(formatCidr))];
}

/** The first of the Service's source ranges that holds the sender. */
export function rangeOf(service: Service | undefined, from: string): string | undefined {
  const address = parseIp(from);
  const ranges = (service?.spec.loadBalancerSourceRanges ?? []).flatMap(
    (text) => parseCidr(text.trim()) ?? [],
  );
  const found = ranges.find(
    (range) => address !== null && range.family === address.family && contains(range, address),
  );
  if (found !== undefined) return formatCidr(found);
  const vips = service?.status.loadBalancer?.ingress?.map(({ ip }) => ip) ?? [];
  return vips.includes(from) ? from : undefined;
}

/** The host ports that the pod of "hostPort 8088/TCP of namespace/name" has of a protocol. */
export function hostPortsBeside({ pods }: DesiredState, name: string, protocol: string): number[] {
  const pod = pods.get(hostPortOwner(name) ?? "");
  const all = pod === undefined ? [] : hostPortsOf(pod.spec);
  return all.filter((each) => each.protocol === protocol).map(({ hostPort }) => hostPort);
}
