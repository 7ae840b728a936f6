// One port of one Service in one family → what kube-proxy's rules would decide, as one message to the plane
// (syncProxyRules of pkg/proxy/iptables/proxier.go; reference: the table in docs). Pure.
import {
  type Cidr,
  contains,
  type Ip,
  type IpFamily,
  ip,
  parseCidr,
  parseIp,
  prefixLen128,
  sameIp,
} from "../base/ip.ts";
import {
  Action,
  type ClassAction,
  type EndpointSpec,
  FrontendKind,
  type FrontendSpec,
  Scheduler,
  type ServicePortSpec,
  type SourceRange,
} from "../dataplane/spec/services.ts";
import { hash32 } from "../kube/hash.ts";
import { keyOf } from "../kube/objects.ts";
import type { EndpointSlice, Service } from "../watch/desired-state.ts";
import {
  type Categories,
  categorize,
  categorizeReady,
  endpointsOf,
  type PortEndpoint,
  portKey,
} from "./endpoints.ts";
import type { ProxySettings } from "./proxy-settings.ts";

type Port = NonNullable<Service["spec"]["ports"]>[number];
export type PortSpec = Omit<ServicePortSpec, "id">;

export const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const AFFINITY_SEC = 10800;
const NO_SET = -1;
/** What a port at loopback addresses is looked up by. */
export const LOOPBACK: Readonly<Record<IpFamily, Ip>> = { 4: ip("127.0.0.0"), 6: ip("::1") };

const Flag = { LOCAL: 1, READY: 2, SERVING: 4, TERMINATING: 8 } as const;

/** True when the proxy is to ignore the Service: headless, ExternalName, or somebody else's. */
export function isIgnored(service: Service): boolean {
  const labels = service.metadata.labels ?? {};
  const { clusterIP = "", type } = service.spec;
  return (
    clusterIP === "" ||
    clusterIP === "None" ||
    type === "ExternalName" ||
    "service.kubernetes.io/service-proxy-name" in labels ||
    "service.kubernetes.io/headless" in labels
  );
}

/** As `isIgnored`, for a slice. */
export function isIgnoredSlice(slice: EndpointSlice): boolean {
  const labels = slice.metadata.labels ?? {};
  return "service.kubernetes.io/service-proxy-name" in labels || "service.kubernetes.io/headless" in labels;
}

/** The Service's ClusterIP of a family; undefined: it does not exist for that family's proxy. */
function clusterIpOf(service: Service, family: IpFamily): Ip | undefined {
  const { clusterIP, clusterIPs } = service.spec;
  const list = (clusterIPs ?? []).length > 0 ? (clusterIPs ?? []) : [clusterIP ?? ""];
  return list.flatMap((text) => parseIp(text) ?? []).find((address) => address.family === family);
}

/** "namespace/name:port", or "namespace/name" for the unnamed port. */
function portName(service: Service, port: Port): string {
  const { name = "" } = port;
  return [keyOf(service), name].join(name === "" ? "" : ":"); // joined as keys are: it is kept
}

export function compileServicePort(
  service: Service,
  port: Port,
  family: IpFamily,
  slices: Iterable<EndpointSlice>,
  settings: ProxySettings,
): PortSpec | undefined {
  const clusterIp = clusterIpOf(service, family);
  const protocol = PROTOCOLS[port.protocol ?? "TCP"];
  if (clusterIp === undefined || protocol === undefined) return undefined;
  const isUserspace = settings.mode === "userspace";
  if (isUserspace && protocol === PROTOCOLS.SCTP) return undefined; // it had sockets for TCP and UDP only
  const external = externalAddresses(service, port, family);
  const policy = isUserspace ? NO_POLICY : policyOf(service, external.accessible);
  const endpoints = endpointsOf(slices, portKey(port.name, port.protocol), family, settings.nodeName);
  const categories = isUserspace
    ? shuffled(categorizeReady(endpoints), endpoints, settings.nodeName)
    : categorize(endpoints, usedSets(policy, external.accessible), settings);
  const decide = new Decisions(policy, categories, settings, family);
  const frontends = [
    frontend(FrontendKind.CLUSTER_IP, clusterIp, port.port, decide.internal()),
    ...external.externalIps.map((a) =>
      frontend(FrontendKind.EXTERNAL_IP, a, port.port, decide.externalIp(a)),
    ),
    ...external.vips.map((a) => ({
      ...frontend(FrontendKind.LOAD_BALANCER, a, port.port, decide.external(a)),
      sourceRanges:
        (categories.hasAny || settings.mode !== "iptables") && !isUserspace
          ? sourceRanges(external, family, settings)
          : null,
    })),
    ...nodePortFrontends(port.nodePort ?? 0, family, decide, settings),
    ...unservedFrontends(clusterIp, external, settings),
  ];
  const affinity = service.spec.sessionAffinity === "ClientIP";
  return {
    name: portName(service, port),
    protocol,
    affinitySec: affinity
      ? (service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SEC)
      : 0,
    ...(affinity && settings.mode === "ipvs" ? { ownAffinity: true } : {}),
    ...(settings.scheduler === Scheduler.RANDOM ? {} : { scheduler: settings.scheduler }),
    ...(isUserspace ? { sharedSchedule: true } : {}), // one balancer, whichever way the client came
    ...decide.pack(endpoints, settings.keepsUnused && protocol === PROTOCOLS.TCP),
    frontends: firstOfEach(frontends),
  };
}

interface Policy {
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
}

const NO_POLICY: Policy = { internalLocal: false, externalLocal: false };

/** kube-proxy's own balancer shuffles; here the node's name does, so that each node begins elsewhere. */
function shuffled(found: Categories, endpoints: readonly PortEndpoint[], nodeName: string): Categories {
  const place = (i: number): number => hash32(`${nodeName}/${endpoints[i].text}`);
  return { ...found, cluster: [...found.cluster].sort((a, b) => place(a) - place(b)) };
}

function policyOf(service: Service, accessible: boolean): Policy {
  const { type, externalIPs = [], externalTrafficPolicy, internalTrafficPolicy } = service.spec;
  const external =
    type === "LoadBalancer" || type === "NodePort" || (type === "ClusterIP" && externalIPs.length > 0);
  return {
    internalLocal: internalTrafficPolicy === "Local",
    externalLocal: external && accessible && externalTrafficPolicy === "Local",
  };
}

/** Even policy Local needs the cluster's endpoints, for the short circuit of pods and the node itself. */
function usedSets(policy: Policy, accessible: boolean): { cluster: boolean; local: boolean } {
  return {
    cluster: !policy.internalLocal || accessible,
    local: policy.internalLocal || policy.externalLocal,
  };
}

interface ExternalAddresses {
  readonly externalIps: readonly Ip[];
  readonly vips: readonly Ip[];
  readonly ranges: readonly Cidr[];
  /** Reachable by anything but the ClusterIP. */
  readonly accessible: boolean;
}

function externalAddresses(service: Service, port: Port, family: IpFamily): ExternalAddresses {
  const ofFamily = (texts: readonly string[]): Ip[] =>
    texts.flatMap((text) => parseIp(text) ?? []).filter((address) => address.family === family);
  const externalIps = ofFamily(service.spec.externalIPs ?? []);
  const ingress = service.status.loadBalancer?.ingress ?? [];
  const vips = ofFamily(ingress.filter((i) => (i.ipMode ?? "VIP") === "VIP").map((i) => i.ip ?? ""));
  const ranges = (service.spec.loadBalancerSourceRanges ?? [])
    .flatMap((text) => parseCidr(text.trim()) ?? [])
    .filter((range) => range.family === family);
  const accessible = (port.nodePort ?? 0) !== 0 || vips.length > 0 || externalIps.length > 0;
  return { externalIps, vips, ranges, accessible };
}

type ByClass = FrontendSpec["byClass"]; // pod, node, outside

/** What each class of source gets. Collects the endpoint sets that are used. */
class Decisions {
  readonly #policy: Policy;
  readonly #found: Categories;
  readonly #settings: ProxySettings;
  readonly #family: IpFamily;
  readonly #sets: (readonly number[])[] = [];

  constructor(policy: Policy, found: Categories, settings: ProxySettings, family: IpFamily) {
    this.#policy = policy;
    this.#found = found;
    this.#settings = settings;
    this.#family = family;
  }

  /** ClusterIP: KUBE-SVC or KUBE-SVL, refused in KUBE-SERVICES of the filter table. */
  internal(): ByClass {
    const { hasAny, cluster, local } = this.#found;
    const ipvs = this.#settings.mode === "ipvs";
    if (this.#settings.mode === "userspace") return this.#portal();
    const set = this.#policy.internalLocal && !(ipvs && local.length === 0) ? local : cluster;
    // A virtual server without destinations answers with an ICMP error, whatever the reason.
    if (!hasAny || (ipvs && set.length === 0)) return each(refuse(Action.REJECT));
    if (set.length === 0) return each(refuse(Action.DROP));
    const { masqueradeAll, detector } = this.#settings;
    const others = masqueradeAll || detector[this.#family];
    return [this.#dnat(set, masqueradeAll), this.#dnat(set, others), this.#dnat(set, others)];
  }

  /** External address or VIP: KUBE-EXT, refused in KUBE-EXTERNAL-SERVICES, which the node's own output skips. */
  external(address: Ip): ByClass {
    const mode = this.#settings.mode;
    if (mode === "ipvs") return this.#virtualServer();
    if (mode === "userspace") return this.#portal();
    if (this.#found.hasAny) return this.#accepted();
    const reject = refuse(Action.REJECT);
    // nftables checks the node's output too. In iptables only a LOCAL address meets the rule, on its way back in.
    const meets = mode === "nftables" || this.#isOwn(address);
    return [reject, meets ? reject : refuse(Action.NONE), reject];
  }

  /** userspace: pods and the node itself reach an external IP by the proxy only where it is the node's own. */
  externalIp(address: Ip): ByClass {
    const all = this.external(address);
    if (this.#settings.mode !== "userspace" || this.#isOwn(address)) return all;
    const none = refuse(Action.NONE);
    return [none, none, all[2]];
  }

  #isOwn(address: Ip): boolean {
    return this.#settings.localIps.some((own) => sameIp(own, address));
  }

  /** Node port: as external; its destination is LOCAL, so that INPUT refuses every source. */
  nodePort(): ByClass {
    if (this.#settings.mode === "ipvs") return this.#virtualServer();
    if (this.#settings.mode === "userspace") return this.#portal();
    return this.#found.hasAny ? this.#accepted() : each(refuse(Action.REJECT));
  }

  /** A node port at a LOCAL address that does not serve it: no translation, but the refusals hold. */
  unservedNodePort(): ByClass {
    if (!this.#found.hasAny) return each(refuse(Action.REJECT));
    if (this.#policy.externalLocal && this.#found.local.length === 0) return each(refuse(Action.DROP));
    return each(refuse(Action.NONE));
  }

  #accepted(): ByClass {
    const { cluster, local } = this.#found;
    if (!this.#policy.externalLocal) return each(this.#dnat(cluster, true));
    const outside = local.length > 0 ? this.#dnat(local, false) : refuse(Action.DROP);
    const pod = this.#settings.detector[this.#family] ? this.#dnat(cluster, false) : outside;
    return [pod, this.#dnat(cluster, true), outside];
  }

  /** ipvs: one server for all sources; policy Local keeps the source, and without local endpoints means all. */
  #virtualServer(): ByClass {
    const { cluster, local } = this.#found;
    const { externalLocal } = this.#policy;
    const set = externalLocal && local.length > 0 ? local : cluster;
    return each(set.length === 0 ? refuse(Action.REJECT) : this.#dnat(set, !externalLocal));
  }

  /** userspace: a socket of the proxy's, whoever sends; so the endpoint sees the node, never the client. */
  #portal(): ByClass {
    const { cluster } = this.#found;
    return each(cluster.length === 0 ? refuse(Action.REJECT) : this.#dnat(cluster, true));
  }

  #dnat(set: readonly number[], masquerade: boolean): ClassAction {
    let index = this.#sets.indexOf(set);
    if (index < 0)
      index = this.#sets.findIndex((s) => s.length === set.length && s.every((n, i) => n === set[i]));
    if (index < 0) index = this.#sets.push(set) - 1;
    return { action: Action.DNAT, set: index, masquerade };
  }

  /**
   * Endpoints and sets for the message. Beside those in a set all that serve are kept: a UDP flow to one of them goes
   * on, as kube-proxy leaves its entry alone, though new flows go elsewhere.
   */
  pack(
    endpoints: readonly PortEndpoint[],
    keepsUnused: boolean,
  ): { endpoints: EndpointSpec[]; sets: number[][] } {
    const isKept = (e: PortEndpoint): boolean => e.serving || keepsUnused;
    if (endpoints.every(isKept)) {
      const specs = endpoints.map((e) => endpointSpec(e, this.#settings.mode !== "userspace"));
      return { endpoints: specs, sets: this.#sets.map((set) => [...set]) };
    }
    const used = new Set(this.#sets.flat());
    const place = new Map<number, number>();
    const kept: EndpointSpec[] = [];
    for (const [i, endpoint] of endpoints.entries()) {
      if (!used.has(i) && !isKept(endpoint)) continue;
      place.set(i, kept.length);
      kept.push(endpointSpec(endpoint, this.#settings.mode !== "userspace"));
    }
    return { endpoints: kept, sets: this.#sets.map((set) => set.map((i) => place.get(i) as number)) };
  }
}

function endpointSpec(e: PortEndpoint, isWeighted: boolean): EndpointSpec {
  const flags =
    (e.local ? Flag.LOCAL : 0) |
    (e.ready ? Flag.READY : 0) |
    (e.serving ? Flag.SERVING : 0) |
    (e.terminating ? Flag.TERMINATING : 0);
  const weight = e.weight === 1 || !isWeighted ? {} : { weight: e.weight };
  return { w0: e.w0, w1: e.w1, w2: e.w2, w3: e.w3, port: e.port, flags, ...weight };
}

function each(action: ClassAction): ByClass {
  return [action, action, action];
}

function refuse(action: number): ClassAction {
  return { action, set: NO_SET, masquerade: false };
}

function frontend(kind: number, address: Ip, port: number, byClass: ByClass): FrontendSpec {
  const { w0, w1, w2, w3, family } = address;
  return { kind, w0, w1, w2, w3, family, port, sourceRanges: null, byClass };
}

/** Where every LOCAL address serves, loopback has an entry of its own: it may be the exception. */
function nodePortFrontends(
  nodePort: number,
  family: IpFamily,
  decide: Decisions,
  settings: ProxySettings,
): FrontendSpec[] {
  if (nodePort === 0) return [];
  const at = (address: Ip, byClass: ByClass): FrontendSpec =>
    frontend(FrontendKind.NODE_PORT, address, nodePort, byClass);
  const claims = (byClass: ByClass): boolean => byClass.some((c) => c.action !== Action.NONE);
  const any: Ip = { family, w0: 0, w1: 0, w2: 0, w3: 0 };
  const loopback = LOOPBACK[family];
  // In nftables and ipvs modes addresses that serve no node ports are not looked at.
  const rest = settings.mode === "iptables" ? decide.unservedNodePort() : each(refuse(Action.NONE));
  const served = settings.nodePortIps[family];
  if (served !== null) {
    const list = served.map((a) => at(a, decide.nodePort()));
    return claims(rest) ? [...list, at(any, rest), at(loopback, rest)] : list;
  }
  const servesLoopback = settings.mode === "userspace" || (family === 4 && settings.localhostNodePorts);
  const onLoopback = servesLoopback ? decide.nodePort() : rest;
  return [at(any, decide.nodePort()), ...(claims(onLoopback) ? [at(loopback, onLoopback)] : [])];
}

/** What is sent to a service's address but to none of its ports: iptables mode does not look at it. */
function unservedFrontends(
  clusterIp: Ip,
  external: ExternalAddresses,
  { mode }: ProxySettings,
): FrontendSpec[] {
  const reject = each(refuse(Action.REJECT));
  if (mode === "nftables") return [frontend(FrontendKind.UNSERVED, clusterIp, 0, reject)];
  if (mode !== "ipvs") return []; // the addresses are bound to kube-ipvs0, and the node answers ping
  const bound = [clusterIp, ...external.externalIps, ...external.vips];
  return bound.map((address) => frontend(FrontendKind.UNSERVED_PORTS, address, 0, reject));
}

/**
 * KUBE-FW: the ranges, and the VIPs themselves where a range holds the node, because a node that talks to a VIP bound
 * to itself does so from such an address.
 */
function sourceRanges(
  { ranges, vips }: ExternalAddresses,
  family: IpFamily,
  settings: ProxySettings,
): SourceRange[] | null {
  if (ranges.length === 0) return null;
  const list = ranges.map((r) => ({ w0: r.w0, w1: r.w1, w2: r.w2, w3: r.w3, prefixLen: prefixLen128(r) }));
  const node = settings.nodeIps.find((a) => a.family === family);
  if (node === undefined || !ranges.some((range) => contains(range, node))) return list;
  return [...list, ...vips.map(({ w0, w1, w2, w3 }) => ({ w0, w1, w2, w3, prefixLen: 128 }))];
}

/** One address that the Service names twice: its first rule is the one that matches. */
function firstOfEach(frontends: readonly FrontendSpec[]): FrontendSpec[] {
  const seen = new Set<string>();
  return frontends.filter((f) => {
    const key = `${f.w0},${f.w1},${f.w2},${f.w3}:${f.port}`;
    return !seen.has(key) && seen.add(key);
  });
}
