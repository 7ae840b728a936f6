// One port of one Service in one family, as kube-proxy keeps it before it writes rules.
import { type Cidr, formatIp, type IpFamily, parseCidr, parseIp } from "../base/ip.ts";
import type { EndpointSlice, Service, ServicePort } from "../kube/objects.ts";
import {
  type EndpointSets,
  type EndpointView,
  endpointsOf,
  type Place,
  usableEndpoints,
} from "./endpoint-view.ts";
import { type PortName, portText } from "./names.ts";

export interface ServicePortView {
  readonly name: PortName;
  /** "namespace/name:port". */
  readonly text: string;
  /** tcp, udp, sctp. */
  readonly protocol: string;
  readonly clusterIp: string;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly sourceRanges: readonly Cidr[];
  /** 0: none. */
  readonly healthCheckNodePort: number;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** 0: no affinity. */
  readonly affinitySec: number;
  readonly endpoints: EndpointSets;
  /** All, usable or not. */
  readonly endpointCount: number;
}

const SERVICE_NAME = "kubernetes.io/service-name";
const FOREIGN_LABELS = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];

/** Service ports of one family in the order of their names, with their endpoints. */
export function servicePorts(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  family: IpFamily,
  place: Place,
): ServicePortView[] {
  const slicesOf = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const owner = slice.metadata.labels?.[SERVICE_NAME] ?? "";
    if (owner === "" || isForeign(slice)) continue;
    const key = `${slice.metadata.namespace}/${owner}`;
    slicesOf.set(key, [...(slicesOf.get(key) ?? []), slice]);
  }
  const views = services.flatMap((service) => {
    const own = slicesOf.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    return portsOf(service, own, family, place);
  });
  const order = ({ text, protocol }: ServicePortView): string => `${text}/${protocol}`;
  return views.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/** Reachable by anything beside its ClusterIP. */
export function isExternal(
  view: Pick<ServicePortView, "nodePort" | "externalIps" | "loadBalancerIps">,
): boolean {
  return view.nodePort !== 0 || view.externalIps.length > 0 || view.loadBalancerIps.length > 0;
}

function portsOf(
  service: Service,
  slices: readonly EndpointSlice[],
  family: IpFamily,
  place: Place,
): ServicePortView[] {
  const { spec } = service;
  if (isForeign(service) || spec.type === "ExternalName") return [];
  const listed = (spec.clusterIPs ?? []).length > 0 ? (spec.clusterIPs ?? []) : [spec.clusterIP ?? ""];
  const [clusterIp] = ofFamily(listed, family); // "None" is no address
  if (clusterIp === undefined) return [];
  return (spec.ports ?? []).map((port) => portView(service, port, clusterIp, slices, family, place));
}

function portView(
  service: Service,
  port: ServicePort,
  clusterIp: string,
  slices: readonly EndpointSlice[],
  family: IpFamily,
  place: Place,
): ServicePortView {
  const { spec } = service;
  const protocol = port.protocol ?? "TCP";
  const name: PortName = {
    namespace: service.metadata.namespace ?? "",
    service: service.metadata.name,
    port: port.name ?? "",
    protocol: protocol.toLowerCase(),
  };
  const addresses = {
    nodePort: port.nodePort ?? 0,
    externalIps: ofFamily(spec.externalIPs ?? [], family),
    loadBalancerIps: loadBalancerIps(service, family),
  };
  const internalLocal = spec.internalTrafficPolicy === "Local";
  const externalLocal = isExternalLocal(service);
  const endpoints: EndpointView[] = endpointsOf(slices, name.port, protocol, family, place);
  const uses = {
    cluster: !internalLocal || isExternal(addresses),
    local: internalLocal || (externalLocal && isExternal(addresses)),
  };
  return {
    name,
    text: portText(name),
    protocol: name.protocol,
    clusterIp,
    port: port.port,
    ...addresses,
    sourceRanges: sourceRanges(service, family),
    healthCheckNodePort: spec.type === "LoadBalancer" && externalLocal ? (spec.healthCheckNodePort ?? 0) : 0,
    internalLocal,
    externalLocal,
    affinitySec:
      spec.sessionAffinity === "ClientIP"
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SEC)
        : 0,
    endpoints: usableEndpoints(endpoints, uses, place),
    endpointCount: endpoints.length,
  };
}

const AFFINITY_SEC = 10_800; // the API server fills it in; manifests on their own may lack it

/** The policy means nothing for a Service that has no external address by its type. */
function isExternalLocal({ spec }: Service): boolean {
  if (spec.externalTrafficPolicy !== "Local") return false;
  if (spec.type === "LoadBalancer" || spec.type === "NodePort") return true;
  return spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0;
}

/**
 * Entries without an address, and those that a proxying load balancer announces, are nobody's business here.
 */
function loadBalancerIps(service: Service, family: IpFamily): string[] {
  const ingress = service.status.loadBalancer?.ingress ?? [];
  const vips = ingress.filter((entry) => entry.ipMode === undefined || entry.ipMode === "VIP");
  return ofFamily(
    vips.map((entry) => entry.ip ?? ""),
    family,
  );
}

function sourceRanges({ spec }: Service, family: IpFamily): Cidr[] {
  const ranges = (spec.loadBalancerSourceRanges ?? []).flatMap((text) => parseCidr(text.trim()) ?? []);
  return ranges.filter((range) => range.family === family);
}

function ofFamily(texts: readonly string[], family: IpFamily): string[] {
  const parsed = texts.flatMap((text) => parseIp(text) ?? []);
  return parsed.filter((address) => address.family === family).map(formatIp);
}

/** Another proxy's, or headless by label. */
function isForeign({ metadata }: Service | EndpointSlice): boolean {
  return FOREIGN_LABELS.some((label) => metadata.labels?.[label] !== undefined);
}
