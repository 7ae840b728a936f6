// A node whose NIC is the kernel's: what the kernel's own addresses and routes mean for the data plane, and what of that
// NIC's packets the plane takes. Pure.
//
//   kernel's route by the NIC, on link     ONLINK       the route's source, else the node's address
//   by the NIC, by a gateway               GATEWAY      the same; the gateway may be of the other family (via inet6)
//   by another device                      UNREACHABLE  the plane has this NIC alone
//   unreachable, blackhole, prohibit       the same
import {
  type Cidr,
  contains,
  formatIp,
  type Ip,
  type IpFamily,
  isLoopback,
  network,
  overlaps,
  sameIp,
} from "../base/ip.ts";
import { type KernelNetwork, type KernelRoute, KernelRouteType } from "../base/kernel-network.ts";
import {
  gatherPeers,
  joinRanges,
  type NumberRange,
  PORT_PROTOCOLS,
  type PortProtocol,
  type Taken,
  type TakenPeers,
  type TakenPorts,
} from "../base/taken.ts";
import type { AgentConfig, PortRange } from "../config/agent.ts";
import { RouteKind } from "../dataplane/spec/routes.ts";
import { FrontendKind, type ServicePortSpec } from "../dataplane/spec/services.ts";

const V6_LINK_LOCAL = 0xfe800000 | 0;
/** The most ranges in one list of a filter: a program has at most 4096 instructions. */
const RANGES_MAX = 200;
/** The same of networks of external addresses in a family; each of IPv6 may take twelve instructions. */
const NETWORKS_MAX = 100;

/**
 * Where kube-proxy in ipvs mode has the addresses of all services, and leaves them when it ends: thousands, more than a
 * filter has room for. They are none of the machine's, and the services are the plane's.
 */
const KUBE_PROXYS = "kube-ipvs0";

/** A way out that the kernel has. */
export interface KernelWay {
  readonly range: Cidr;
  readonly kind: RouteKind;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
  /** 0: the uplink's. */
  readonly mtu: number;
}

/** What the plane has to know of the machine that it shares. */
export interface MachineNetwork {
  /** Addresses of the machine, but loopback and what the agent gave host0. */
  readonly local: readonly Ip[];
  /** Networks on the NIC. */
  readonly onLink: readonly Cidr[];
  readonly ways: readonly KernelWay[];
  /** The NIC's own of fe80::/10, from which neighbours there are asked; undefined: it has none. */
  readonly linkLocal?: Ip | undefined;
}

/** An address that a service port or host port has, or every one of the node's: `address` is undefined. */
export interface ServedPort {
  readonly family: IpFamily;
  readonly address: Ip | undefined;
  /** 0: all of the address, whatever the protocol. */
  readonly port: number;
  readonly protocol: number;
}

type Settings = Pick<AgentConfig, "clusterCidrs" | "serviceCidrs">;

export function machineNetwork(
  { links, addresses, routes }: KernelNetwork,
  names: { readonly uplink: string; readonly host: string },
  config: Settings,
): MachineNetwork {
  const indexOf = (name: string): number => links.find((link) => link.name === name)?.index ?? -1;
  const [uplink, host, proxys] = [names.uplink, names.host, KUBE_PROXYS].map(indexOf);
  const local = addresses
    .filter(({ link, address }) => link !== host && link !== proxys && isForPods(address))
    .map(({ address }) => address);
  const ours = [...config.clusterCidrs, ...config.serviceCidrs];
  const best = bestRoutes(routes.filter((route) => isForeign(route, host, ours)));
  const ways = best.map((route) => wayOf(route, uplink, local));
  const isOnLink = ({ kind }: KernelWay): boolean => kind === RouteKind.ONLINK;
  const linkLocal = addresses.find(
    ({ link, address, isUsable }) => link === uplink && isUsable && isLinkLocal(address),
  )?.address;
  return { local, onLink: ways.filter(isOnLink).map(({ range }) => range), ways, linkLocal };
}

/** An address of the machine by which pods may reach it. */
export function isForPods(address: Ip): boolean {
  return !isLoopback(address) && !isLinkLocal(address);
}

/** Of the machine's own; what leads to pods and services by other devices is of another network plug-in. */
function isForeign({ link, to }: KernelRoute, host: number, ours: readonly Cidr[]): boolean {
  if (link === host || isLinkLocal(to)) return false;
  return !ours.some((range) => range.family === to.family && contains(range, to) && overlaps(range, to));
}

/** Of several routes to one network the one with the lowest metric; of its next hops the first. */
function bestRoutes(routes: readonly KernelRoute[]): KernelRoute[] {
  const best = new Map<string, KernelRoute>();
  for (const route of routes) {
    const { w0, w1, w2, w3, family, prefixLen } = route.to;
    const key = [family, w0, w1, w2, w3, prefixLen].join();
    const known = best.get(key);
    if (known === undefined || route.metric < known.metric) best.set(key, route);
  }
  return [...best.values()];
}

function wayOf(route: KernelRoute, uplink: number, local: readonly Ip[]): KernelWay {
  const { to: range, gateway, mtu } = route;
  const source = local.find((address) => route.source !== undefined && sameIp(address, route.source));
  return { range, kind: kindOf(route, uplink), gateway, source, mtu };
}

function kindOf({ type, link, gateway }: KernelRoute, uplink: number): RouteKind {
  if (type === KernelRouteType.BLACKHOLE) return RouteKind.BLACKHOLE;
  if (type === KernelRouteType.PROHIBIT) return RouteKind.PROHIBIT;
  if (type !== KernelRouteType.UNICAST || link !== uplink) return RouteKind.UNREACHABLE;
  return gateway === undefined ? RouteKind.ONLINK : RouteKind.GATEWAY;
}

/** IPv6: of one link. 169.254.0.0/16 is like any other, where somebody has an address of it (NodeLocal DNS). */
function isLinkLocal({ family, w0 }: Ip): boolean {
  return family === 6 && (w0 & 0xffc00000) === V6_LINK_LOCAL;
}

/** What a service port or a host port is reached by from outside. ClusterIPs are taken as a range. */
export function servedPorts(spec: ServicePortSpec): ServedPort[] {
  return spec.frontends.flatMap(({ kind, family, port, w0, w1, w2, w3 }) => {
    if (kind === FrontendKind.CLUSTER_IP) return [];
    const isAll = kind === FrontendKind.UNSERVED || kind === FrontendKind.UNSERVED_PORTS;
    const isAny = family === 4 ? w3 === 0 : (w0 | w1 | w2 | w3) === 0;
    const address = isAny ? undefined : { family, w0, w1, w2, w3 };
    if (address !== undefined && isLoopback(address)) return [];
    return [{ family, address, port: isAll ? 0 : port, protocol: spec.protocol }];
  });
}

export interface TakenInput {
  readonly config: Pick<AgentConfig, "overlay" | "serviceCidrs">;
  readonly machine: MachineNetwork;
  /** Of the node, and in it the addresses that host0 has: pods and tunnel. */
  readonly podCidrs: readonly Cidr[];
  readonly masqueradePorts: PortRange;
  readonly served: Iterable<ServedPort>;
  /** Hosts beyond the NIC to which pods speak in protocols without ports. */
  readonly answers?: Iterable<TakenPeers>;
}

export function takenOf(input: TakenInput): Taken {
  const { config, machine, podCidrs, masqueradePorts, served, answers = [] } = input;
  const tunnelPort = config.overlay.type === "vxlan" ? config.overlay.port : 0;
  const isOwn = (address: Ip): boolean => machine.local.some((own) => sameIp(own, address));
  const everywhere: ServedPort[] = [];
  const alone = new Map<Ip, ServedPort[]>(machine.local.map((address) => [address, []]));
  const others: Ip[] = [];
  for (const each of served) {
    const { address } = each;
    if (address === undefined) everywhere.push(each);
    else if (isOwn(address)) {
      if (each.port !== 0) alone.get(machine.local.find((own) => sameIp(own, address)) as Ip)?.push(each);
    } else others.push(address);
  }
  const groups = new Map<string, { addresses: Ip[]; ports: TakenPorts }>();
  for (const [address, its] of alone) {
    const { family } = address;
    const all = [...everywhere.filter((each) => each.family === family), ...its];
    const ports = portsOf(all, masqueradePorts, tunnelPort);
    const key = JSON.stringify([family, ports]);
    const group = groups.get(key) ?? { addresses: [], ports };
    group.addresses.push(address);
    groups.set(key, group);
  }
  return {
    whole: wholeOf([...config.serviceCidrs, ...podCidrs], others),
    groups: [...groups.values()],
    tunnelPort,
    ids: masqueradePorts,
    answers: gatherPeers(answers),
  };
}

function portsOf(served: readonly ServedPort[], masquerade: PortRange, tunnelPort: number): TakenPorts {
  const of = (protocol: PortProtocol): NumberRange[] => {
    const ports = served
      .filter((each) => each.protocol === protocol)
      .map(({ port }) => ({ first: port, last: port }));
    const tunnel = protocol === 17 && tunnelPort !== 0 ? [{ first: tunnelPort, last: tunnelPort }] : [];
    return joinRanges([masquerade, ...tunnel, ...ports], RANGES_MAX);
  };
  return Object.fromEntries(PORT_PROTOCOLS.map((p) => [p, of(p)])) as unknown as TakenPorts;
}

function wholeOf(ranges: readonly Cidr[], addresses: readonly Ip[]): Cidr[] {
  const isFree = (address: Ip): boolean =>
    !ranges.some((range) => range.family === address.family && contains(range, address));
  const alone = addresses.filter(isFree);
  return [...ranges, ...([4, 6] as const).flatMap((family) => covering(alone, family))];
}

/** Themselves, or, where they are many, the smallest networks of one size that hold them and are not too many. */
function covering(addresses: readonly Ip[], family: IpFamily): Cidr[] {
  const own = addresses.filter((address) => address.family === family);
  for (let bits = family === 4 ? 32 : 128; ; bits--) {
    const networks = new Map(
      own.map((address) => [formatIp(network(address, bits)), network(address, bits)]),
    );
    if (networks.size <= NETWORKS_MAX) return [...networks.values()];
  }
}
