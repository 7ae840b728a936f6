// A scenario's cluster some time later: endpoints come, go, end or move to another port, a Service goes. And what
// kube-proxy then does about connections: after the rules it deletes UDP entries that lead nowhere
// (pkg/proxy/conntrack/cleanup.go). TCP and SCTP it leaves alone.
import { formatIp, ip } from "../../base/ip.ts";
import type { EndpointSlice, KubeObject, Service } from "../../kube/objects.ts";
import * as endpointView from "../../kubeproxy/endpoint-view.ts";
import { proxyView } from "../../kubeproxy/proxy-view.ts";
import { Prng } from "../prng.ts";
import { hostPortEndpoints, laterHostPorts, udpHostPorts } from "./host-ports.ts";
import { agentConfigOf } from "./plane.ts";
import type { Scenario } from "./scenario.ts";
import { ofFamily, type World } from "./world.ts";

type Endpoint = EndpointSlice["endpoints"][number];

const PLACE = { nodeName: "node1", zone: "" };

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

/**
 * By port name: the endpoints that serve, terminating ones among them. Of an endpoint that two slices tell of, what
 * kube-proxy's rules believe counts.
 */
function endpointsOf(s: Scenario, service: Service): Map<string, string[]> {
  const slices = s.objects.filter(
    (object): object is EndpointSlice =>
      object.kind === "EndpointSlice" &&
      object.metadata.labels?.["kubernetes.io/service-name"] === service.metadata.name,
  );
  const found = new Map<string, string[]>();
  for (const { name = "", protocol = "TCP" } of service.spec.ports ?? []) {
    const all = endpointView.endpointsOf(slices, name, protocol, s.world.family, PLACE);
    const serving = all.filter((endpoint) => endpoint.serving);
    found.set(
      name,
      serving.map(({ ip, port }) => `${ip}:${port}`),
    );
  }
  return found;
}

/** Answers conntrack(8)'s words for the entry that a line shows, if kube-proxy or portmap would delete it. */
export function staleEntries(before: Scenario, now: Scenario): (line: string) => string[] | undefined {
  const held = { before: udpHostPorts(before), now: udpHostPorts(now) };
  const proxy = {
    before: servedBy(before),
    nodePortIps: nodePortIps(before),
    now: servedBy(now),
  };
  return (line) => {
    const all = [...line.matchAll(/\b(src|dst|sport|dport)=(\S+)/g)].map((m) => m[2]);
    if (!line.startsWith("udp") || all.length < 8) return undefined;
    const [src, dst, sport, dport, replySrc, , replySport] = all;
    const words = ["--orig-src", src, "--orig-dst", dst, "--sport", sport, "--dport", dport];
    const [to, by] = [formatIp(ip(dst)), formatIp(ip(replySrc))];
    const endpoint = `${by}:${replySport}`;
    const isServing = (served: Served, isNodePort = true): boolean =>
      (served.get(`${to} ${dport}`) ?? (isNodePort ? served.get(`* ${dport}`) : undefined))?.has(endpoint) ===
      true;
    // portmap deletes by the port alone, and hits Services that have it, too: none of these here.
    const port = Number(dport);
    const isChanged = held.before.get(port) !== held.now.get(port);
    const isHeld =
      held.before
        .get(port)
        ?.split(" ")
        .some((led) => led.endsWith(`>${endpoint}`)) === true;
    const atNodePort = proxy.nodePortIps === "all" || proxy.nodePortIps.includes(to);
    const isHostPorts = to === by || (isHeld && !isServing(proxy.before, atNodePort));
    if (isChanged && isHostPorts && isOwn(to, now.world)) return words;
    const known = [`${to} ${dport}`, `* ${dport}`].some((at) => proxy.now.has(at) || proxy.before.has(at));
    return known && !isServing(proxy.now) ? words : undefined;
  };
}

/** "address port" of a UDP Service, "* port" of a node port → the endpoints that serve. */
type Served = ReadonlyMap<string, ReadonlySet<string>>;

function servedBy(s: Scenario): Served {
  const served = new Map<string, ReadonlySet<string>>();
  for (const service of s.services) {
    if (isForeign(service)) continue;
    const endpoints = endpointsOf(s, service);
    for (const { name = "", port, nodePort, protocol } of service.spec.ports ?? []) {
      if (protocol !== "UDP") continue;
      const serving = new Set(endpoints.get(name));
      for (const address of addressesOf(service, s.world)) served.set(`${address} ${port}`, serving);
      if (nodePort !== undefined) served.set(`* ${nodePort}`, serving);
    }
  }
  return served;
}

/** Where node ports are served, of this family. */
function nodePortIps(s: Scenario): "all" | string[] {
  const { world } = s;
  const view = proxyView({
    objects: s.objects,
    nodeName: PLACE.nodeName,
    config: agentConfigOf(s).proxy,
    family: world.family,
    localAddresses: [world.nodeIp, world.secondIp, world.gateway].map(ip),
  });
  return view.nodePortIps === "all" ? "all" : view.nodePortIps.map(formatIp);
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
