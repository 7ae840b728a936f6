// EndpointSlices of a Service → the endpoints of one of its ports, and which of them a new connection may get
// (pkg/proxy/endpointslicecache.go, topology.go).
import { formatIp, type IpWords, parseIp } from "../base/ip.ts";
import { weightsOf } from "../kube/weight.ts";
import type { EndpointSlice } from "../watch/desired-state.ts";
import type { ProxySettings } from "./proxy-settings.ts";

/** One address and port of a service port, merged over slices. */
export interface PortEndpoint extends IpWords {
  readonly port: number;
  /** "ip:port": the identity, and the order in which rules are written. */
  readonly text: string;
  readonly local: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
  readonly weight: number;
}

export interface Categories {
  /** Endpoints of traffic policy Cluster: indexes into the list, in its order. */
  readonly cluster: readonly number[];
  readonly local: readonly number[];
  /** There is an endpoint somewhere: what is refused is dropped for policy's sake, not rejected. */
  readonly hasAny: boolean;
}

interface ParsedSlice {
  readonly ports: readonly { readonly key: string; readonly port: number }[];
  readonly endpoints: readonly ParsedEndpoint[];
}

interface ParsedEndpoint {
  readonly address: IpWords;
  /** "10.0.0.1", "[fd00::1]". */
  readonly host: string;
  readonly nodeName: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zones: readonly string[];
  readonly nodes: readonly string[];
  readonly weight: number;
}

const NONE: readonly string[] = [];
/**
 * Of Services with many slices, so that a change of one does not have all of them read again. Slices are never changed in
 * place. Of the others it would be a third of what a node remembers of 100,000 endpoints.
 */
const parsed = new WeakMap<EndpointSlice, ParsedSlice>();
const MANY_SLICES = 4;

/** "portName/protocol": by what ports of Services and slices are joined. */
export function portKey(name: string | undefined, protocol: string | undefined): string {
  return `${name ?? ""}/${protocol ?? "TCP"}`;
}

/** Endpoints of one port and family, without duplicates, in the order of "ip:port". */
export function endpointsOf(
  slices: Iterable<EndpointSlice>,
  key: string,
  family: 4 | 6,
  nodeName: string,
): PortEndpoint[] {
  const found = new Map<string, PortEndpoint>();
  const sorted = [...slices].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  if (sorted.length >= MANY_SLICES) for (const slice of sorted) remember(slice);
  for (const slice of sorted) {
    if (familyOf(slice) !== family) continue;
    const { ports, endpoints } = parsed.get(slice) ?? parseSlice(slice);
    for (const { key: portName, port } of ports) {
      if (portName !== key) continue;
      for (const endpoint of endpoints) {
        const local = endpoint.nodeName === nodeName && nodeName !== "";
        const text = `${endpoint.host}:${port}`;
        if (found.has(text) && !local) continue; // a local copy wins, else the first
        found.set(text, makeEndpoint(endpoint, port, text, local));
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
}

/** CategorizeEndpoints: which endpoints each traffic policy may use. */
export function categorize(
  endpoints: readonly PortEndpoint[],
  use: { readonly cluster: boolean; readonly local: boolean },
  settings: Pick<ProxySettings, "nodeName" | "zone">,
): Categories {
  let cluster: number[] = [];
  let hasAny = false;
  if (use.cluster) {
    const fits = hintFilter(endpoints, settings);
    cluster = indexes(endpoints, (e) => e.ready && fits(e));
    if (cluster.length === 0) cluster = indexes(endpoints, isLastResort);
    hasAny = cluster.length > 0;
  }
  if (!use.local) return { cluster, local: [], hasAny };
  hasAny ||= endpoints.some((e) => e.ready || isLastResort(e));
  let local = indexes(endpoints, (e) => e.local && e.ready);
  if (local.length === 0) local = indexes(endpoints, (e) => e.local && isLastResort(e));
  return { cluster, local, hasAny };
}

/** What kube-proxy's own balancer knew: ready or not. It read Endpoints, without policies, hints and conditions. */
export function categorizeReady(endpoints: readonly PortEndpoint[]): Categories {
  const cluster = indexes(endpoints, (e) => e.ready);
  return { cluster, local: [], hasAny: cluster.length > 0 };
}

/** Serving while it terminates: used when nothing is ready (KEP-1669). */
function isLastResort(e: PortEndpoint): boolean {
  return !e.ready && e.serving && e.terminating;
}

/** Topology hints: by node if every ready endpoint has such hints and one names ours, else by zone likewise. */
function hintFilter(
  endpoints: readonly PortEndpoint[],
  { nodeName, zone }: Pick<ProxySettings, "nodeName" | "zone">,
): (e: PortEndpoint) => boolean {
  const ready = endpoints.filter((e) => e.ready);
  const applies = (hints: (e: PortEndpoint) => readonly string[], own: string): boolean =>
    own !== "" && ready.every((e) => hints(e).length > 0) && ready.some((e) => hints(e).includes(own));
  if (applies((e) => e.nodes, nodeName)) return (e) => e.nodes.includes(nodeName);
  if (applies((e) => e.zones, zone)) return (e) => e.zones.includes(zone);
  return () => true;
}

function indexes(endpoints: readonly PortEndpoint[], take: (e: PortEndpoint) => boolean): number[] {
  const list: number[] = [];
  for (const [i, endpoint] of endpoints.entries()) if (take(endpoint)) list.push(i);
  return list;
}

function makeEndpoint(e: ParsedEndpoint, port: number, text: string, local: boolean): PortEndpoint {
  const { w0, w1, w2, w3 } = e.address;
  const { ready, serving, terminating, zones, nodes, weight } = e;
  return { w0, w1, w2, w3, port, text, local, ready, serving, terminating, zones, nodes, weight };
}

function remember(slice: EndpointSlice): void {
  if (!parsed.has(slice)) parsed.set(slice, parseSlice(slice));
}

const familyOf = ({ addressType }: EndpointSlice): 4 | 6 => (addressType === "IPv6" ? 6 : 4);

function parseSlice(slice: EndpointSlice): ParsedSlice {
  const family = familyOf(slice);
  const weightOf = weightsOf(slice.metadata.annotations);
  return {
    ports: (slice.ports ?? []).flatMap((p) =>
      p.name === undefined || (p.port ?? 0) === 0
        ? []
        : [{ key: portKey(p.name, p.protocol), port: p.port as number }],
    ),
    endpoints: slice.addressType === "FQDN" ? [] : parseEndpoints(slice.endpoints ?? [], family, weightOf),
  };
}

/** Only the first address counts; one that cannot be read is left out, as an unusable one would be. */
function parseEndpoints(
  endpoints: EndpointSlice["endpoints"],
  family: 4 | 6,
  weightOf: (address: string) => number,
): ParsedEndpoint[] {
  const found: ParsedEndpoint[] = [];
  for (const { addresses, conditions, hints, nodeName } of endpoints) {
    const text = addresses?.[0] ?? "";
    const address = parseIp(text);
    if (address === null || address.family !== family) continue;
    const standard = family === 4 ? text : formatIp(address); // IPv4 has one form
    found.push({
      address,
      host: family === 4 ? standard : `[${standard}]`,
      nodeName: nodeName ?? "",
      ready: conditions?.ready ?? true,
      serving: conditions?.serving ?? true,
      terminating: conditions?.terminating ?? false,
      zones: hints?.forZones?.map((z) => z.name) ?? NONE,
      nodes: hints?.forNodes?.map((n) => n.name) ?? NONE,
      weight: weightOf(standard),
    });
  }
  return found;
}
