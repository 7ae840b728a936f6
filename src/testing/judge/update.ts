// A scenario's cluster some time later: endpoints come, go, end or move to another port, a Service goes. And what
// kube-proxy then does about connections: after the rules it deletes UDP entries that lead nowhere
// (pkg/proxy/conntrack/cleanup.go). TCP and SCTP it leaves alone.
import { formatIp, ip } from "../../base/ip.ts";
import type { EndpointSlice, KubeObject, Service } from "../../kube/objects.ts";
import { Prng } from "../prng.ts";
import { hostPortEndpoints, laterHostPorts, udpHostPorts } from "./host-ports.ts";
import type { Scenario } from "./scenario.ts";
import { ofFamily, type World } from "./world.ts";

type Endpoint = EndpointSlice["endpoints"][number];

/** The same seed makes the same change. */
export function later(s: Scenario): Scenario {
  const random = new Prng(s.seed ^ 0x5eed);
  const gone = s.services.filter(() => random.below(8) === 0).map(({ metadata }) => metadata.name);
  const objects = s.objects.flatMap((object): KubeObject[] => {
    if (object.kind === "Service") return gone.includes(object.metadata.name) ? [] : [object];
    return object.kind === "EndpointSlice" ? [changed(object as EndpointSlice, s.world, random)] : [object];
  });
  return {
    ...s,
    objects: laterHostPorts(objects, s.seed),
    services: s.services.filter(({ metadata }) => !gone.includes(metadata.name)),
  };
}

function changed(slice: EndpointSlice, world: World, random: Prng): EndpointSlice {
  if (random.below(5) === 0) return slice;
  const moved = random.below(6) === 0;
  const ports = (slice.ports ?? []).map((port) => (moved ? { ...port, port: 7070 } : port));
  const endpoints = slice.endpoints.flatMap((endpoint) => changedEndpoint(endpoint, random));
  const known = new Set(endpoints.map(({ addresses }) => addresses[0]));
  const fresh = ofFamily(world, world.pods).find((address) => !known.has(address));
  const isOurs = slice.addressType === `IPv${world.family}`;
  if (isOurs && fresh !== undefined && random.below(2) === 0)
    endpoints.push({ addresses: [fresh], conditions: { ready: true }, nodeName: "node1" } as Endpoint);
  return { ...slice, ports, endpoints };
}

function changedEndpoint(endpoint: Endpoint, random: Prng): Endpoint[] {
  switch (random.below(6)) {
    case 0:
    case 1:
      return [];
    case 2:
      return [{ ...endpoint, conditions: { ready: false, serving: true, terminating: true } }];
    case 3:
      return [{ ...endpoint, conditions: { ready: false, serving: false, terminating: false } }];
    default:
      return [endpoint];
  }
}

/** "10.244.1.2:8080" of everything that still serves some Service or host port. */
export function servingEndpoints(s: Scenario): Set<string> {
  const ofServices = s.services.flatMap((service) => [...endpointsOf(s, service).values()].flat());
  return new Set([...ofServices, ...hostPortEndpoints(s)]);
}

/** By port name: the endpoints that serve, terminating ones among them. */
function endpointsOf(s: Scenario, service: Service): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const object of s.objects) {
    if (object.kind !== "EndpointSlice") continue;
    const slice = object as EndpointSlice;
    if (slice.addressType !== `IPv${s.world.family}`) continue;
    if (slice.metadata.labels?.["kubernetes.io/service-name"] !== service.metadata.name) continue;
    for (const { name = "", port } of slice.ports ?? []) {
      const serving = slice.endpoints.filter(({ conditions }) => conditions?.serving !== false);
      const list = serving.map(({ addresses }) => `${addresses[0]}:${port}`);
      found.set(name ?? "", [...(found.get(name ?? "") ?? []), ...list]);
    }
  }
  return found;
}

/** conntrack(8)'s words for the entry that `line` shows, if kube-proxy would delete it. */
export function staleEntry(line: string, before: Scenario, now: Scenario): string[] | undefined {
  const all = [...line.matchAll(/\b(src|dst|sport|dport)=(\S+)/g)].map((m) => m[2]);
  if (!line.startsWith("udp") || all.length < 8) return undefined;
  const [src, dst, sport, dport, replySrc, , replySport] = all;
  const words = ["--orig-src", src, "--orig-dst", dst, "--sport", sport, "--dport", dport];
  // portmap deletes by the port alone, and hits Services that have it, too: none of these here.
  const isChanged = udpHostPorts(before).get(Number(dport)) !== udpHostPorts(now).get(Number(dport));
  const [to, by] = [formatIp(ip(dst)), formatIp(ip(replySrc))];
  const isHostPorts = to === by || hostPortEndpoints(before).includes(`${by}:${replySport}`);
  if (isChanged && isHostPorts && isOwn(to, now.world)) return words;
  const serving = servingAt(formatIp(ip(dst)), Number(dport), before, now);
  if (serving === undefined || serving.has(`${formatIp(ip(replySrc))}:${replySport}`)) return undefined;
  return words;
}

/** Endpoints that serve this address and port; undefined: no Service has it or had it. */
function servingAt(address: string, port: number, before: Scenario, now: Scenario): Set<string> | undefined {
  for (const s of [now, before]) {
    for (const service of s.services) {
      if (isForeign(service)) continue;
      const own = addressesOf(service, s.world);
      for (const p of service.spec.ports ?? []) {
        if (p.protocol !== "UDP" || !(p.nodePort === port || (p.port === port && own.includes(address))))
          continue;
        return new Set(s === before ? [] : endpointsOf(s, service).get(p.name ?? ""));
      }
    }
  }
  return undefined;
}

function isOwn(address: string, { nodeIp, secondIp, gateway }: World): boolean {
  return [nodeIp, secondIp, gateway].includes(address) || address.startsWith("127.");
}

function isForeign({ metadata }: Service): boolean {
  return Object.keys(metadata.labels ?? {}).length > 0;
}

function addressesOf({ spec, status }: Service, world: World): string[] {
  const vips = (status.loadBalancer?.ingress ?? []).filter(({ ipMode = "VIP" }) => ipMode === "VIP");
  const all = [
    ...(spec.clusterIPs ?? []),
    ...(spec.externalIPs ?? []),
    ...vips.flatMap(({ ip }) => ip ?? []),
  ];
  return ofFamily(world, all);
}
