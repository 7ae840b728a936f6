// Everything kube-proxy looks at before it writes rules for one family: service ports, its node, its
// configuration.
import {
  type Cidr,
  cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  type IpFamily,
  ip,
  isLoopback,
  parseIp,
} from "../base/ip.ts";
import type { ProxyConfig } from "../config/proxy.ts";
import type { EndpointSlice, KubeObject, Node, Service, ServiceCidr } from "../kube/objects.ts";
import type { Place } from "./endpoint-view.ts";
import { type HostPortView, hostPortView } from "./host-ports.ts";
import { type ServicePortView, servicePorts } from "./service-view.ts";

export interface RulesInput {
  /** Defaulted, addresses allocated. */
  readonly objects: Iterable<KubeObject>;
  readonly nodeName: string;
  readonly config: ProxyConfig;
  readonly family: IpFamily;
  /** Addresses on the node's interfaces beside loopback and those that its Node object tells. */
  readonly localAddresses?: readonly Ip[];
  /** Beside those that ServiceCIDR objects tell; nftables mode drops what nobody owns in them. */
  readonly serviceCidrs?: readonly Cidr[];
  /** With nfacct counters: the kernel refuses such rules until `nfacct add` has made the counters. */
  readonly nfacct?: boolean;
  /** Ranges of the node's pods, where no Node object tells them. */
  readonly podCidrs?: readonly Cidr[];
}

/** How sources are known to be this node's pods. */
export type Detector =
  | { readonly by: "address"; readonly range: string }
  | { readonly by: "interface"; readonly name: string }
  | { readonly by: "interface-prefix"; readonly name: string }
  | { readonly by: "nothing" };

export interface ProxyView {
  readonly family: IpFamily;
  readonly config: ProxyConfig;
  readonly ports: readonly ServicePortView[];
  /** The node's primary address of this family; loopback when it has none. */
  readonly nodeIp: Ip;
  readonly detector: Detector;
  /** Addresses that serve node ports; "all": whatever is of type LOCAL. */
  readonly nodePortIps: "all" | readonly Ip[];
  /** On the node's interfaces, of this family, loopback among them. */
  readonly localIps: readonly Ip[];
  readonly serviceCidrs: readonly string[];
  readonly nfacct: boolean;
  /** No business of kube-proxy's: portmap's rules come behind its own. */
  readonly hostPorts: HostPortView;
}

const ZONE = "topology.kubernetes.io/zone";

export function proxyView(input: RulesInput): ProxyView {
  const { config, family } = input;
  const objects = [...input.objects];
  const node = objects.find((object) => object.kind === "Node" && object.metadata.name === input.nodeName) as
    | Node
    | undefined;
  const place: Place = {
    nodeName: config.hostnameOverride.trim().toLowerCase() || input.nodeName,
    zone: node?.metadata.labels?.[ZONE] ?? "",
  };
  const own = nodeAddresses(node).filter((address) => address.family === family);
  const extra = (input.localAddresses ?? []).filter((address) => address.family === family);
  const loopback = family === 4 ? ip("127.0.0.1") : ip("::1");
  const localIps = distinct([loopback, ...own, ...extra]);
  const nodeIp = own[0] ?? loopback;
  return {
    family,
    config,
    ports: servicePorts(
      objects.filter((object): object is Service => object.kind === "Service"),
      objects.filter((object): object is EndpointSlice => object.kind === "EndpointSlice"),
      family,
      place,
    ),
    nodeIp,
    detector: detectorOf(config, family, node),
    nodePortIps: nodePortIps(config, family, own[0], localIps),
    localIps,
    serviceCidrs: serviceRanges(objects, input.serviceCidrs ?? [], family),
    nfacct: input.nfacct ?? false,
    hostPorts: hostPortView({ ...input, objects }, node?.spec.podCIDRs?.map(cidr) ?? input.podCidrs ?? []),
  };
}

function serviceRanges(objects: readonly KubeObject[], known: readonly Cidr[], family: IpFamily): string[] {
  const told = objects
    .filter((object): object is ServiceCidr => object.kind === "ServiceCIDR")
    .flatMap((object) => object.spec.cidrs.map(cidr));
  const ranges = [...known, ...told].filter((range) => range.family === family);
  return [...new Set(ranges.map(formatCidr))];
}

/** Internal before external, in the Node's order: the first of a family is its primary one. */
export function nodeAddresses(node: Node | undefined): Ip[] {
  const addresses = node?.status.addresses ?? [];
  const ofType = (type: string): Ip[] =>
    addresses.flatMap((address) => (address.type === type ? (parseIp(address.address) ?? []) : []));
  return [...ofType("InternalIP"), ...ofType("ExternalIP")];
}

function detectorOf(config: ProxyConfig, family: IpFamily, node: Node | undefined): Detector {
  switch (config.detectLocalMode) {
    case "ClusterCIDR":
      return byAddress(config.clusterCidrs, family);
    case "NodeCIDR":
      return byAddress((node?.spec.podCIDRs ?? []).map(cidr), family);
    case "BridgeInterface":
      return named("interface", config.bridgeInterface);
    case "InterfaceNamePrefix":
      return named("interface-prefix", config.interfaceNamePrefix);
  }
}

function byAddress(ranges: readonly Cidr[], family: IpFamily): Detector {
  const range = ranges.find((each) => each.family === family);
  return range === undefined ? { by: "nothing" } : { by: "address", range: formatCidr(range) };
}

function named(by: "interface" | "interface-prefix", name: string): Detector {
  return name === "" ? { by: "nothing" } : { by, name };
}

function nodePortIps(
  config: ProxyConfig,
  family: IpFamily,
  primary: Ip | undefined,
  local: readonly Ip[],
): "all" | Ip[] {
  const { nodePortAddresses: wanted } = config;
  const onlyPrimary = wanted.length === 0 ? config.mode === "nftables" : wanted[0] === "primary";
  if (onlyPrimary) return primary === undefined ? [] : [primary];
  const ranges = wanted.map(cidr).filter((range) => range.family === family);
  if (ranges.length === 0 || ranges.some((range) => range.prefixLen === 0)) return "all";
  const inRange = local.filter((address) => ranges.some((range) => contains(range, address)));
  return inRange.filter((address) => !isLoopback(address) || (family === 4 && config.localhostNodePorts));
}

function distinct(addresses: readonly Ip[]): Ip[] {
  return [...new Map(addresses.map((address) => [formatIp(address), address])).values()];
}
