// Nodes and configuration → what the plane of one node knows of itself and of the others: its own addresses,
// tunnel ends, routes. Rebuilt as a whole, because there are few of these and they seldom change.
//
//   destination          kind      by             source of what the node sends there itself
//   own addresses        LOCAL     host0          169.254.1.1, fe80::1: what speaks to the node's own stack (ICMP errors)
//                                                 must not bear an address of its own, which it would drop as martian
//   127.0.0.0/8          LOCAL     host0          the same; where node ports are served there
//   own podCIDR          PODS      pod bridge     gateway (podCIDR .1)
//   other podCIDR        VTEP      overlay        VTEP address (podCIDR .0)        overlay: vxlan
//                        GATEWAY   its address    node address                     overlay: none; directRouting
//   announced addresses  BLACKHOLE                of load balancers: what no service port takes is for nobody. On the
//                                                 fabric we would ask for them, and are who answers; and an agent that
//                                                 begins anew would let in connections before it knows the service
//   fabric               ONLINK    uplink         node address
//   anything             GATEWAY   uplink.gateway node address

import {
  type Cidr,
  cidr,
  contains,
  formatCidr,
  type Ip,
  type IpFamily,
  type IpWords,
  ip,
  network,
  nthIp,
  prefixLen128,
  sizeOf,
} from "../base/ip.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { Prefix } from "../dataplane/spec/prefix.ts";
import { RouteKind, type RouteSpec, type VtepSpec } from "../dataplane/spec/routes.ts";
import { keepsClientAddresses } from "../kube/keep-client-address.ts";
import type { DesiredState, Node } from "../watch/desired-state.ts";
import { type Announced, announced, problemsOf } from "./flannel.ts";
import { type Mac, macOf, vtepMac } from "./mac.ts";
import { grantedTo } from "./node-claims.ts";
import { distinct, nodeAddresses, primaryOf } from "./proxy-settings.ts";
import type { MachineNetwork } from "./shared-uplink.ts";

const RANGE_MIN = 4; // addresses
const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const; // outer Ethernet, IP, UDP, VXLAN (RFC 7348 §5)
/** The next hop that host0 is given: nobody's address. */
const LINK_GATEWAY = { 4: ip("169.254.1.1"), 6: ip("fe80::1") } as const;
const LOOPBACK = cidr("127.0.0.0/8");
const FABRIC_PREFIX = { 4: 24, 6: 64 } as const;

/** The node whose agent this is. */
export interface OwnNode {
  readonly name: string;
  /** Primary address of each family. */
  readonly addresses: readonly Ip[];
  readonly podCidrs: readonly Cidr[];
  /** podCIDR .1 of each family. */
  readonly gateways: readonly Ip[];
  readonly gatewayMac: Mac;
  /** podCIDR .0 of each family; empty without an overlay. */
  readonly vtepAddresses: readonly Ip[];
  readonly vtepMac: Mac;
  /** Everything of type LOCAL. */
  readonly local: readonly Ip[];
}

/** Another node's end of the tunnel. Its place in the list is what routes name it by. */
export interface RemoteVtep extends VtepSpec {
  readonly node: string;
  readonly address: Ip;
  readonly mac: Mac;
  /** Families of the pod ranges that are reached by it: as flannel has it each has its own, or one has both. */
  readonly carries: readonly IpFamily[];
}

export interface NodeTopology {
  readonly own: OwnNode;
  readonly vteps: readonly RemoteVtep[];
  readonly routes: readonly RouteSpec[];
  /** Sources whose traffic to outside the cluster leaves with the node's address. */
  readonly masqueradeSources: readonly Prefix[];
  /** Destinations that pods reach with their own address. */
  readonly masqueradeExempt: readonly Prefix[];
  /** Clients of services are seen as who they are. */
  readonly keepsClients: boolean;
  /** Of all nodes. */
  readonly nodeAddresses: readonly Ip[];
  /** Other nodes that cannot be reached as they say they can be. */
  readonly problems: readonly string[];
}

export interface TopologyInput {
  readonly config: AgentConfig;
  /** MTU of the uplink. */
  readonly mtu: number;
  /** PortIds that routes leave by; -1 where there is none. */
  readonly ports: { readonly uplink: number; readonly host: number };
  /** Further addresses of type LOCAL. */
  readonly localIps?: readonly Ip[];
  /** Objects as somebody wrote them down: what they do not tell of the node is left out, instead of waited for. */
  readonly partial?: boolean;
  /** What the node sends over its IPv4 loopback comes to us. */
  readonly loopback?: boolean;
  /** Addresses of load balancers that this node answers for. */
  readonly announced?: readonly Ip[];
  /** Of a node that shares its uplink with the kernel: instead of what the configuration tells of the fabric. */
  readonly machine?: MachineNetwork;
}

/** Undefined until the node's own object is there with address and range. */
export function compileTopology(state: DesiredState, given: TopologyInput): NodeTopology | undefined {
  const input = { ...given, ...settled(given) };
  const { config } = input;
  const self = state.nodes.get(config.nodeName);
  const own = ownNode(self, input);
  if (own === undefined) return undefined;
  const others = othersOf(state, own, config);
  const hasEnd6 = announced(self, config)[6].mac !== undefined;
  const vteps = config.overlay.type === "vxlan" ? others.flatMap((n) => remoteVteps(n, hasEnd6, config)) : [];
  const cluster = config.clusterCidrs.map(prefixOf);
  return {
    own,
    vteps,
    routes: routesOf(own, others, vteps, input),
    masqueradeSources: cluster,
    masqueradeExempt: [...cluster, ...["224.0.0.0/4", "ff00::/8"].map((text) => prefixOf(cidr(text)))],
    keepsClients:
      config.overlay.type === "vxlan" &&
      (config.keepClientAddress || keepsClientAddresses(self?.metadata.annotations)),
    nodeAddresses: distinct([...state.nodes.values()].flatMap(nodeAddresses)),
    problems: others.flatMap(({ node, told, claim }) => problemsOf(node, told, claim)),
  };
}

/** The fabric as the kernel has it. */
function settled({ config, machine, localIps = [] }: TopologyInput): Partial<TopologyInput> {
  if (machine === undefined) return {};
  const uplink = { ...config.uplink, gateways: [] };
  return {
    config: { ...config, fabricCidrs: machine.onLink, uplink },
    localIps: [...localIps, ...machine.local],
  };
}

export function prefixOf(range: Cidr): Prefix {
  return { w0: range.w0, w1: range.w1, w2: range.w2, w3: range.w3, bits: prefixLen128(range) };
}

function ownNode(node: Node | undefined, input: TopologyInput): OwnNode | undefined {
  const { config, localIps = [], partial = false } = input;
  const addresses = primaryOf(nodeAddresses(node));
  const podCidrs = podCidrsOf(node);
  if ((addresses.length === 0 || podCidrs.length === 0) && !partial) return undefined;
  if (podCidrs.some((range) => sizeOf(range) < RANGE_MIN)) return undefined;
  const gateways = gatewaysOf(podCidrs);
  const vtepAddresses = config.overlay.type === "vxlan" ? vtepsOf(podCidrs) : [];
  const told = announced(node, config);
  return {
    name: config.nodeName,
    addresses,
    podCidrs,
    gateways,
    gatewayMac: macOf(gateways),
    vtepAddresses,
    vtepMac: told[4].mac ?? told[6].mac ?? vtepMac(config.overlay, addresses),
    local: distinct([...nodeAddresses(node), ...gateways, ...vtepAddresses, ...localIps]),
  };
}

/**
 * Why the node of that name cannot be served; "": it can. `isServed`: it was until now, and is while its object is gone.
 * A range has to hold the tunnel's end, the gateway and a pod, and in IPv4 an address that is nobody's, as host-local
 * has it.
 */
export function whyUnserved(name: string, state: DesiredState, isServed: boolean): string {
  const node = state.nodes.get(name);
  if (node === undefined && isServed) return "";
  const podCidrs = podCidrsOf(node);
  const small = podCidrs.find((range) => sizeOf(range) < RANGE_MIN);
  if (small !== undefined) {
    const what = `Node "${name}": podCIDR ${formatCidr(small)} is too small for a pod`;
    return `${what}: give it a /30 or larger (IPv6: /126), for which the Node has to be made anew`;
  }
  if (nodeAddresses(node).length > 0 && podCidrs.length > 0) return "";
  return `no Node object "${name}" with an address and a podCIDR yet`;
}

const podCidrsOf = (node: Node | undefined): Cidr[] => (node?.spec.podCIDRs ?? []).map(cidr);
/** What follows a range of one address is another node's. */
const gatewaysOf = (podCidrs: readonly Cidr[]): Ip[] =>
  podCidrs.filter((range) => sizeOf(range) > 1).map((range) => nthIp(range, 1));
const vtepsOf = (podCidrs: readonly Cidr[]): Ip[] => podCidrs.map((range) => nthIp(range, 0));

/** What a node has beside the addresses of its object: the gateway of its pods, and its end of the tunnel. */
export function cniAddresses(node: Node | undefined, hasTunnel: boolean): Ip[] {
  const podCidrs = podCidrsOf(node);
  return [...gatewaysOf(podCidrs), ...(hasTunnel ? vtepsOf(podCidrs) : [])];
}

interface OtherNode {
  readonly node: Node;
  readonly told: Announced;
  readonly podCidrs: readonly Cidr[];
  /** What of what it says is another node's, too; "": nothing. */
  readonly claim: string;
}

/** By name. */
function othersOf(state: DesiredState, own: OwnNode, config: AgentConfig): OtherNode[] {
  const others = [...state.nodes.values()]
    .filter((n) => n.metadata.name !== config.nodeName)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map((node) => ({ node, told: announced(node, config, own.local) }));
  const claims = others.map(({ node, told }) => {
    const addresses = primaryOf(nodeAddresses(node)).map((each) => told[each.family].address ?? each);
    return { name: node.metadata.name, addresses, podCidrs: podCidrsOf(node) };
  });
  const granted = grantedTo(own, claims);
  return others.map((each, i) => ({ ...each, podCidrs: granted[i].podCidrs, claim: granted[i].problem }));
}

/**
 * A node's ends of the tunnel. flannel has one of each family, podwire by itself one for both. The second one is used
 * where both nodes have it; where a node has nothing else, always.
 */
function remoteVteps(
  { node, told, podCidrs }: OtherNode,
  hasEnd6: boolean,
  config: AgentConfig,
): RemoteVtep[] {
  const families = podCidrs.map(({ family }) => family);
  if (told.problem !== "" || families.length === 0) return [];
  const addresses = primaryOf(nodeAddresses(node));
  const two = told[6].mac !== undefined && (hasEnd6 || told[4].mac === undefined);
  const kept = keepsClientAddresses(node.metadata.annotations) ? { keepsClients: true } : {};
  const end = (which: IpFamily, address: Ip | undefined, carries: readonly IpFamily[]): RemoteVtep[] => {
    if (address === undefined || carries.length === 0 || told[which].isOther) return [];
    const mac = told[which].mac ?? vtepMac(config.overlay, [address]);
    const { w0, w1, w2, w3 } = address;
    const words = { w0, w1, w2, w3, macHi: mac.hi, macLo: mac.lo };
    return [{ node: node.metadata.name, address, mac, carries, ...words, ...kept }];
  };
  const six = addresses.find((a) => a.family === 6);
  return [
    ...end(4, told[4].address ?? addresses[0], two ? families.filter((f) => f === 4) : families),
    ...(two
      ? end(
          6,
          told[6].address ?? six,
          families.filter((f) => f === 6),
        )
      : []),
  ];
}

/** What fits into the tunnel on an uplink of `mtu` bytes; of the node's addresses the first is the tunnel's. */
export function podMtu(config: AgentConfig, addresses: readonly Ip[], mtu: number): number {
  return config.overlay.type === "vxlan" ? mtu - VXLAN_OVERHEAD[addresses[0]?.family ?? 4] : mtu;
}

const of = (list: readonly Ip[], family: IpFamily): Ip | undefined => list.find((a) => a.family === family);

function routesOf(
  own: OwnNode,
  others: readonly OtherNode[],
  vteps: readonly RemoteVtep[],
  input: TopologyInput,
): RouteSpec[] {
  const { config, mtu, ports, loopback = false, announced = [] } = input;
  const overlayMtu = podMtu(config, own.addresses, mtu);
  const routes: RouteSpec[] = own.local.map((a) =>
    route(network(a, a.family === 4 ? 32 : 128), RouteKind.LOCAL, {
      mtu,
      port: ports.host,
      source: LINK_GATEWAY[a.family],
    }),
  );
  if (loopback) {
    const source = LINK_GATEWAY[4];
    routes.push(route(LOOPBACK, RouteKind.LOCAL, { mtu, port: ports.host, source }));
  }
  for (const range of own.podCidrs) {
    routes.push(route(range, RouteKind.PODS, { mtu: overlayMtu, port: -1, source: nthIp(range, 1) }));
  }
  for (const other of others) routes.push(...routesTo(other, own, vteps, input));
  for (const a of announced) {
    const hop = { mtu, port: -1, source: undefined };
    routes.push(route(network(a, a.family === 4 ? 32 : 128), RouteKind.BLACKHOLE, hop));
  }
  for (const range of fabricOf(own, config)) {
    const source = of(own.addresses, range.family);
    routes.push(route(range, RouteKind.ONLINK, { mtu, port: ports.uplink, source }));
  }
  for (const { range, kind, gateway, source, mtu: itsMtu } of input.machine?.ways ?? []) {
    if (kind === RouteKind.ONLINK && source === undefined && itsMtu === 0) continue; // of the fabric, above
    const from = source ?? of(own.addresses, range.family);
    const hop = { mtu: itsMtu === 0 ? mtu : Math.min(mtu, itsMtu), port: ports.uplink, source: from };
    routes.push(route(range, kind, gateway === undefined ? hop : { ...hop, gateway }));
  }
  for (const gateway of config.uplink.gateways) {
    const source = of(own.addresses, gateway.family);
    routes.push(route(network(gateway, 0), RouteKind.GATEWAY, { mtu, port: ports.uplink, source, gateway }));
  }
  return routes;
}

/** To the pods of another node: through the tunnel, or without one by its address. */
function routesTo(
  { node, told, podCidrs }: OtherNode,
  own: OwnNode,
  vteps: readonly RemoteVtep[],
  { config, mtu, ports }: TopologyInput,
): RouteSpec[] {
  if (told.problem !== "") return [];
  const { overlay } = config;
  const port = ports.uplink;
  const addresses = primaryOf(nodeAddresses(node));
  return podCidrs.flatMap((range) => {
    const { family } = range;
    const index = vteps.findIndex((v) => v.node === node.metadata.name && v.carries.includes(family));
    const address = index < 0 ? (told[family].address ?? undefined) : vteps[index].address;
    const gateway = address?.family === family ? address : of(addresses, family);
    const source = of(own.addresses, family);
    if (overlay.type === "none")
      return gateway === undefined ? [] : [route(range, RouteKind.GATEWAY, { mtu, port, source, gateway })];
    if (index < 0) return [];
    const tunnelMtu = podMtu(config, [vteps[index].address], mtu);
    if (overlay.directRouting === true && gateway !== undefined && isOnFabric(gateway, own, config))
      return [route(range, RouteKind.GATEWAY, { mtu: tunnelMtu, port, source, gateway })];
    const hop = { mtu: tunnelMtu, port, source: of(own.vtepAddresses, family), vtep: index };
    return [route(range, RouteKind.VTEP, hop)];
  });
}

function isOnFabric(address: Ip, own: OwnNode, config: AgentConfig): boolean {
  return fabricOf(own, config).some((range) => range.family === address.family && contains(range, address));
}

/** The networks on the uplink: as configured, else the usual size around the node's own addresses. */
function fabricOf(own: OwnNode, config: AgentConfig): readonly Cidr[] {
  if (config.fabricCidrs.length > 0 || config.uplink.mode === "shared") return config.fabricCidrs;
  return own.addresses.map((a) => network(a, FABRIC_PREFIX[a.family]));
}

interface Hop {
  readonly mtu: number;
  readonly port: number;
  readonly source: IpWords | undefined;
  readonly gateway?: IpWords;
  readonly vtep?: number;
}

function route(range: Cidr, kind: number, { mtu, port, source, gateway, vtep = -1 }: Hop): RouteSpec {
  const { family, w0, w1, w2, w3, prefixLen } = range;
  const [gw0, gw1, gw2, gw3] = wordsOf(gateway);
  const [src0, src1, src2, src3] = wordsOf(source);
  return {
    family,
    w0,
    w1,
    w2,
    w3,
    prefixLen,
    kind,
    gw0,
    gw1,
    gw2,
    gw3,
    vtep,
    mtu,
    port,
    src0,
    src1,
    src2,
    src3,
  };
}

function wordsOf(a: IpWords | undefined): [number, number, number, number] {
  return a === undefined ? [0, 0, 0, 0] : [a.w0, a.w1, a.w2, a.w3];
}
