// EndpointSlices as kube-proxy reads them: the endpoints of one service port, and which of them each traffic
// policy may use. Read from the objects alone: this folder shares nothing with what the data plane is
// compiled by, because the rules it writes are there to check that.
import { formatIp, type IpFamily, parseIp } from "../base/ip.ts";
import type { Endpoint, EndpointSlice } from "../kube/objects.ts";

export interface EndpointView {
  readonly ip: string;
  readonly port: number;
  /** "ip:port", "[v6]:port". */
  readonly text: string;
  readonly local: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** Of ipvs mode. */
  readonly weight: number;
}

export interface EndpointSets {
  /** For traffic policy Cluster. */
  readonly cluster: readonly EndpointView[];
  /** For traffic policy Local. */
  readonly local: readonly EndpointView[];
  /** Both together: those that a chain is made for. */
  readonly reachable: readonly EndpointView[];
  /** There is a usable endpoint, be it on another node only. */
  readonly hasAny: boolean;
}

/** Where the proxy runs. */
export interface Place {
  readonly nodeName: string;
  /** "" without a zone label. */
  readonly zone: string;
}

/**
 * Endpoints of the service port `name`/`protocol` (upper case), one per "ip:port", in the order of that text.
 */
export function endpointsOf(
  slices: readonly EndpointSlice[],
  name: string,
  protocol: string,
  family: IpFamily,
  place: Place,
): EndpointView[] {
  const byText = new Map<string, EndpointView>();
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}`) continue;
    for (const port of slice.ports ?? []) {
      const number = port.port ?? 0;
      if (port.name === undefined || number === 0) continue; // unnamed: "" in Kubernetes, never absent
      if (port.name !== name || (port.protocol ?? "TCP") !== protocol) continue;
      for (const endpoint of slice.endpoints ?? []) {
        const view = endpointView(endpoint, number, family, place, slice);
        if (view !== undefined && (view.local || !byText.has(view.text))) byText.set(view.text, view);
      }
    }
  }
  return sorted(byText.values());
}

/** Which endpoints each policy may use. `uses` says which policies the service port has at all. */
export function usableEndpoints(
  endpoints: readonly EndpointView[],
  uses: { readonly cluster: boolean; readonly local: boolean },
  place: Place,
): EndpointSets {
  const cluster = uses.cluster ? readyElseServing(hinted(endpoints, place), endpoints) : [];
  const own = endpoints.filter((e) => e.local);
  const local = uses.local ? readyElseServing(own, own) : [];
  const reachable = new Map([...cluster, ...local].map((e) => [e.text, e]));
  return {
    cluster,
    local,
    reachable: sorted(reachable.values()),
    hasAny: cluster.length > 0 || (uses.local && endpoints.some((e) => e.ready || servesLast(e))),
  };
}

/**
 * The ready ones of `wanted`; when nothing is ready, those of `all` that still serve while they terminate.
 */
function readyElseServing(wanted: readonly EndpointView[], all: readonly EndpointView[]): EndpointView[] {
  const ready = wanted.filter((e) => e.ready);
  return ready.length > 0 ? ready : all.filter(servesLast);
}

function servesLast(e: EndpointView): boolean {
  return e.serving && e.terminating;
}

/**
 * Hints count only if every ready endpoint has one and some endpoint is meant for us: by node, else by zone.
 */
function hinted(endpoints: readonly EndpointView[], { nodeName, zone }: Place): readonly EndpointView[] {
  const ready = endpoints.filter((e) => e.ready);
  if (ready.length === 0) return endpoints;
  const forNode = ready.filter((e) => e.nodeHints.includes(nodeName));
  if (forNode.length > 0 && ready.every((e) => e.nodeHints.length > 0)) return forNode;
  const forZone = ready.filter((e) => e.zoneHints.includes(zone));
  if (forZone.length > 0 && ready.every((e) => e.zoneHints.length > 0)) return forZone;
  return endpoints;
}

function endpointView(
  endpoint: Endpoint,
  port: number,
  family: IpFamily,
  place: Place,
  slice: EndpointSlice,
): EndpointView | undefined {
  const [address = ""] = endpoint.addresses ?? []; // further addresses have no meaning
  const parsed = parseIp(address);
  if (parsed === null || parsed.family !== family) return undefined;
  const ip = formatIp(parsed);
  const { ready = true, serving = true, terminating = false } = endpoint.conditions ?? {};
  return {
    ip,
    port,
    text: family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`,
    local: endpoint.nodeName !== undefined && endpoint.nodeName === place.nodeName,
    ready,
    serving,
    terminating,
    zoneHints: (endpoint.hints?.forZones ?? []).map((hint) => hint.name),
    nodeHints: (endpoint.hints?.forNodes ?? []).map((hint) => hint.name),
    weight: weightOf(slice, ip),
  };
}

/** podwire.dev/weights names addresses, podwire.dev/weight is for the rest. */
function weightOf({ metadata: { annotations = {} } }: EndpointSlice, ip: string): number {
  for (const entry of (annotations["podwire.dev/weights"] ?? "").split(",")) {
    const at = entry.indexOf("=");
    const named = at < 0 ? null : parseIp(entry.slice(0, at).trim());
    if (named !== null && formatIp(named) === ip) return Number(entry.slice(at + 1));
  }
  return Number(annotations["podwire.dev/weight"] ?? 1);
}

function sorted(endpoints: Iterable<EndpointView>): EndpointView[] {
  return [...endpoints].sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
}
