// From a Lab object (lab.yaml, or the default one) to every name and address the lab will use. Pure: the same file
// gives the same plan, which is what makes `lab up` repeatable and a repair possible.
import { formatSpan, parseSpan, placeIn } from "../base/address-span.ts";
import {
  addIp,
  type Cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  type IpFamily,
  network,
  nthIp,
  overlaps,
  parseCidr,
  parseIp,
} from "../base/ip.ts";
import { type DnsSettings, labDns, type RawLabDns } from "../config/dns.ts";
import {
  CLUSTER_DEFAULT,
  DNS_INDEX,
  FABRIC_DEFAULT,
  FABRIC_MASK,
  SERVICE_DEFAULT,
} from "../config/lab-addresses.ts";
import type { LabGatewaySettings } from "../config/lab-gateways.ts";
import type { LabMeshSettings } from "../config/lab-mesh.ts";
import { type RawLoadBalancer, readPool } from "../config/load-balancer.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { LabError } from "./errors.ts";
import * as names from "./net/names.ts";
import type { ImageRule } from "./pod/image/built-in.ts";

export type AgentKind = "podwire" | "kernel";
export type Overlay =
  | { type: "vxlan"; vni: number; port: number; sourcePortRange?: string; sourcePorts?: number }
  | { type: "none" };

/** kind Lab, apiVersion podwire.dev/v1alpha1, after its schema was checked. */
export interface LabObject {
  metadata?: { name?: string };
  spec?: {
    clusterCIDR?: string;
    serviceCIDR?: string;
    overlay?: { type?: "vxlan" | "none"; vni?: number; port?: number };
    proxy?: Record<string, unknown>;
    conntrack?: Record<string, unknown>;
    dataplane?: Record<string, unknown>;
    policy?: Record<string, unknown>;
    podSecurity?: Record<string, unknown>;
    images?: ImageRule[];
    gateways?: LabGatewaySettings;
    mesh?: LabMeshSettings;
    dns?: RawLabDns;
    loadBalancer?: RawLoadBalancer;
    nodes?: {
      name: string;
      address?: string;
      podCIDR?: string;
      agent?: AgentKind;
      labels?: Record<string, string>;
      uplink?: { driver?: "packet" | "pcap" };
    }[];
    clients?: { name: string; address?: string }[];
    manifests?: string[];
  };
}

export interface NodePlan {
  name: string;
  agent: AgentKind;
  netns: string;
  /** Port of the fabric bridge that the uplink hangs on. */
  fabricPort: string;
  /** Of the first family, as the other fields that have a list beside them. */
  address: string;
  podCidr: string;
  gateway: string;
  /** One of each family of the cluster's ranges, in their order. */
  addresses: string[];
  podCidrs: string[];
  gateways: string[];
  vtepAddresses: string[];
  gatewayMac: string;
  uplinkMac: string;
  /** Address and MAC of the node's tunnel end; the MAC is announced even where `overlay: none` makes no use of it. */
  vtepAddress: string;
  vtepMac: string;
  uplinkDriver: "packet" | "pcap";
  labels: Record<string, string>;
}

export interface ClientPlan {
  name: string;
  netns: string;
  fabricPort: string;
  address: string;
  addresses: string[];
  mac: string;
}

export interface Topology {
  lab: string;
  clusterCidr: string;
  serviceCidr: string;
  dnsAddress: string;
  overlay: Overlay;
  /** The node network, one range a family: 192.168.50.0/24, fd00:192:168:50::/64. */
  fabricCidrs: string[];
  /** MTU of pod devices and of routes into the pod network. */
  podMtu: number;
  /** KubeProxyConfiguration, and the agents' own settings: handed to them as they are. */
  proxy: Record<string, unknown>;
  conntrack: Record<string, unknown>;
  dataplane: Record<string, unknown>;
  policy?: Record<string, unknown>;
  /** A PodSecurityConfiguration, whole or in part. */
  podSecurity?: Record<string, unknown>;
  /** Programs of this machine for images. */
  images?: ImageRule[];
  gateways?: LabGatewaySettings;
  mesh?: LabMeshSettings;
  /** Its DNS' settings; null: it has none. */
  dns: DnsSettings | null;
  /** Spans of addresses for Services of type LoadBalancer: "192.168.50.240-192.168.50.254". */
  loadBalancer?: { pool: string[] };
  nodes: NodePlan[];
  clients: ClientPlan[];
}

const FABRIC_MTU = 1500;
const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const; // outer Ethernet 14, IP 20 or 40, UDP 8, VXLAN 8 (RFC 7348 §5)
const NODE_ADDRESS_FIRST = 11;
const CLIENT_ADDRESS_FIRST = 100;
const NODE_CIDR_MASK = { 4: 24, 6: 64 } as const; // kube-controller-manager's --node-cidr-mask-size-ipv4, -ipv6
const CUT_MAX = 65536; // as many ranges as a controller would cut

/** `lab up` without a file: two nodes, one client outside, the demo's objects. */
export const DEFAULT_LAB: LabObject = {
  spec: { nodes: [{ name: "node1" }, { name: "node2" }], clients: [{ name: "outside" }] },
};

export function planTopology(lab: string, object: LabObject): Topology {
  names.checkLabName(lab);
  const spec = object.spec ?? {};
  const clusterCidr = spec.clusterCIDR ?? CLUSTER_DEFAULT;
  const cluster = rangesOf(clusterCidr, "spec.clusterCIDR");
  const serviceCidr = spec.serviceCIDR ?? cluster.map((range) => SERVICE_DEFAULT[range.family]).join(",");
  const service = rangesOf(serviceCidr, "spec.serviceCIDR");
  if (cluster.some((a) => service.some((b) => overlaps(a, b)))) {
    throw new LabError("LAB_BAD_CIDR", "spec.serviceCIDR: overlaps spec.clusterCIDR: choose separate ranges");
  }
  const overlay = overlayOf(spec.overlay);
  const fabric = fabricOf(
    spec,
    cluster.map((range) => range.family),
  );
  const nodeSpecs = spec.nodes ?? DEFAULT_LAB.spec!.nodes!;
  const clientSpecs = spec.clients ?? [];
  const taken = new Set([...nodeSpecs, ...clientSpecs].flatMap((x) => (x.address ? [x.address] : [])));
  const addressesOf = (member: { address?: string }, index: number): string[] =>
    fabric.map((range) => {
      const given = member.address === undefined ? null : addressAt(member.address, "spec");
      return given?.family === range.family ? formatIp(given) : freeAddress(range, index, taken);
    });
  const cidrs = cluster.map((range) => podCidrs(nodeSpecs, range));
  const nodes = nodeSpecs.map((node, i) => {
    const addresses = addressesOf(node, NODE_ADDRESS_FIRST + i);
    return planNode(lab, node, { index: i, addresses, cidrs: cidrs.map((list) => list[i]), overlay });
  });
  const clients = clientSpecs.map((client, i): ClientPlan => {
    const addresses = addressesOf(client, CLIENT_ADDRESS_FIRST + i);
    names.checkWorkloadName("client", client.name);
    return {
      name: client.name,
      netns: names.clientNetns(lab, client.name),
      fabricPort: names.fabricPort(nodes.length + i),
      address: addresses[0],
      addresses,
      mac: `0a:58:${hexBytes(macSource(addresses))}`,
    };
  });
  const outer = cluster.some((range) => range.family === 4) ? 4 : 6;
  const plan: Topology = {
    lab,
    clusterCidr,
    serviceCidr,
    dnsAddress: formatIp(nthIp(service[0], DNS_INDEX)),
    overlay,
    fabricCidrs: fabric.map(formatCidr),
    podMtu: overlay.type === "vxlan" ? FABRIC_MTU - VXLAN_OVERHEAD[outer] : FABRIC_MTU,
    proxy: spec.proxy ?? {},
    conntrack: spec.conntrack ?? {},
    dataplane: spec.dataplane ?? {},
    ...given(spec),
    dns: labDns(spec.dns ?? {}, new FieldProblems()), // problems were told by the file's reader
    ...loadBalancerOf(spec.loadBalancer, fabric),
    ...{ nodes, clients },
  };
  checkPlan(plan, fabric);
  return plan;
}

/** What is handed on as it is, if it is there. */
function given(spec: NonNullable<LabObject["spec"]>): Partial<Topology> {
  const { policy, podSecurity, images, gateways, mesh } = spec;
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(podSecurity === undefined ? {} : { podSecurity }),
    ...(images === undefined ? {} : { images }),
    ...(gateways === undefined ? {} : { gateways }),
    ...(mesh === undefined ? {} : { mesh }),
  };
}

function loadBalancerOf(given: RawLoadBalancer | undefined, fabric: readonly Cidr[]): Partial<Topology> {
  if (given === undefined) return {};
  const pool = readPool(given, fabric, new FieldProblems()).map(formatSpan); // problems: as above
  return { loadBalancer: { pool } };
}

function overlayOf(spec: NonNullable<LabObject["spec"]>["overlay"]): Overlay {
  if (spec?.type === "none") return { type: "none" };
  return { ...spec, type: "vxlan", vni: spec?.vni ?? 1, port: spec?.port ?? 8472 };
}

type NodeSpec = NonNullable<NonNullable<LabObject["spec"]>["nodes"]>[number];

function planNode(
  lab: string,
  node: NodeSpec,
  at: { index: number; addresses: string[]; cidrs: Cidr[]; overlay: Overlay },
): NodePlan {
  names.checkWorkloadName("node", node.name);
  const podCidrs = at.cidrs.map(formatCidr);
  const gateways = at.cidrs.map((range) => formatIp(nthIp(range, 1)));
  const vtepAddresses = at.cidrs.map((range) => formatIp(nthIp(range, 0)));
  const vni = at.overlay.type === "vxlan" ? at.overlay.vni : 0;
  return {
    name: node.name,
    agent: node.agent ?? "podwire",
    netns: names.nodeNetns(lab, node.name),
    fabricPort: names.fabricPort(at.index),
    address: at.addresses[0],
    podCidr: podCidrs[0],
    gateway: gateways[0],
    addresses: at.addresses,
    podCidrs,
    gateways,
    vtepAddresses,
    gatewayMac: `0a:58:${hexBytes(macSource(gateways))}`,
    uplinkMac: `0a:58:${hexBytes(macSource(at.addresses))}`,
    vtepAddress: vtepAddresses[0],
    vtepMac: `0e:${hex2(vni & 0xff)}:${hexBytes(macSource(at.addresses))}`,
    uplinkDriver: node.uplink?.driver ?? "packet",
    labels: node.labels ?? {},
  };
}

/** One range, or one of each family. */
function rangesOf(text: string, where: string): Cidr[] {
  const ranges = text.split(",").map((part) => cidrAt(part.trim(), where));
  if (new Set(ranges.map((range) => range.family)).size === ranges.length) return ranges;
  throw new LabError("LAB_BAD_CIDR", `${where}: may specify no more than one CIDR for each IP family`);
}

/** The node network of each family: around the first address of it that the file gives, else the usual one. */
function fabricOf(spec: NonNullable<LabObject["spec"]>, families: readonly IpFamily[]): Cidr[] {
  const members = [...(spec.nodes ?? []), ...(spec.clients ?? [])];
  const given = members.flatMap((x) => (x.address === undefined ? [] : [addressAt(x.address, "spec.nodes")]));
  return families.map((family) => {
    const first = given.find((address) => address.family === family);
    return first === undefined
      ? cidrAt(FABRIC_DEFAULT[family], "spec.nodes")
      : network(first, FABRIC_MASK[family]);
  });
}

/** Of IPv6 the last digits read like IPv4's: 192.168.50.11 and fd00:192:168:50::11 are one node. */
function freeAddress(fabric: Cidr, from: number, taken: Set<string>): string {
  for (let i = from; i < 255; i++) {
    const address = formatIp(nthIp(fabric, fabric.family === 4 ? i : Number.parseInt(String(i), 16)));
    if (taken.has(address)) continue;
    taken.add(address);
    return address;
  }
  throw new LabError("LAB_NO_ADDRESS", `spec.nodes: no address left in ${formatCidr(fabric)}`);
}

/** Explicit ranges as given, the others the next free one; the first of the cluster range is left for last. */
function podCidrs(nodes: NodeSpec[], cluster: Cidr): Cidr[] {
  const given = nodes.map((node, i) => {
    const range = node.podCIDR === undefined ? undefined : cidrAt(node.podCIDR, `spec.nodes[${i}].podCIDR`);
    return range?.family === cluster.family ? range : undefined;
  });
  const mask = Math.max(NODE_CIDR_MASK[cluster.family], cluster.prefixLen);
  const count = Math.min(CUT_MAX, 2 ** (mask - cluster.prefixLen));
  const used = given.filter((range) => range !== undefined);
  let tried = 0;
  return given.map((range) => {
    if (range !== undefined) return range;
    while (tried < count) {
      const candidate = network(subnet(cluster, mask, ++tried % count), mask);
      if (!used.some((other) => overlaps(other, candidate))) return candidate;
    }
    throw new LabError("LAB_NO_ADDRESS", `spec.clusterCIDR: ${formatCidr(cluster)} has no /${mask} left`);
  });
}

/** First address of the i-th range of this size. */
function subnet(cluster: Cidr, mask: number, i: number): Ip {
  const first = nthIp(cluster, 0);
  if (cluster.family === 4) return addIp(first, i * 2 ** (32 - mask));
  return mask > 64 ? addIp(first, i * 2 ** (128 - mask)) : { ...first, w1: (first.w1 + i) | 0 };
}

function checkPlan(plan: Topology, fabric: readonly Cidr[]): void {
  const seen = new Map<string, string>();
  const members = [
    ...plan.nodes.map((n) => ({ what: `node ${n.name}`, addresses: n.addresses })),
    ...plan.clients.map((c) => ({ what: `client ${c.name}`, addresses: c.addresses })),
  ];
  for (const { what, addresses } of members) {
    for (const address of addresses) {
      if (!fabric.some((range) => contains(range, addressAt(address, what)))) {
        const networks = plan.fabricCidrs.join(", ");
        throw new LabError("LAB_BAD_ADDRESS", `${what}: ${address} is not in the node network ${networks}`);
      }
    }
    for (const key of [what, ...addresses]) {
      if (seen.has(key))
        throw new LabError("LAB_DUPLICATE", `${what}: ${key} is already used by ${seen.get(key)}`);
      seen.set(key, what);
    }
    checkPool(plan, what, addresses);
  }
  const ranges = plan.nodes.flatMap((node) => node.podCidrs.map((text) => ({ node: node.name, text })));
  for (const [i, { node, text }] of ranges.entries()) {
    const range = cidrAt(text, `node ${node}`);
    const other = ranges.slice(0, i).find((r) => overlaps(cidrAt(r.text, r.node), range));
    if (other !== undefined) {
      throw new LabError("LAB_DUPLICATE", `node ${node}: podCIDR ${text} overlaps node ${other.node}'s`);
    }
  }
}

function checkPool({ loadBalancer }: Topology, what: string, addresses: readonly string[]): void {
  const spans = (loadBalancer?.pool ?? []).flatMap((text) => parseSpan(text) ?? []);
  for (const address of addresses) {
    const inside = spans.find((span) => placeIn(span, addressAt(address, what)) >= 0);
    if (inside === undefined) continue;
    const problem = `spec.loadBalancer.pool: ${formatSpan(inside)} has ${address} in it, the address of ${what}`;
    throw new LabError("LAB_DUPLICATE", `${problem}: take addresses that nobody has`);
  }
}

function cidrAt(text: string, where: string): Cidr {
  const range = parseCidr(text);
  if (range !== null) return range;
  throw new LabError("LAB_BAD_CIDR", `${where}: "${text}" is not a CIDR such as 10.244.0.0/16`);
}

function addressAt(text: string, where: string): Ip {
  const address = parseIp(text);
  if (address !== null) return address;
  throw new LabError("LAB_BAD_ADDRESS", `${where}: "${text}" is not an IP address`);
}

/** The outer address of tunnels to a node: its IPv4 one, if it has one (flannel's public-ip). */
export function tunnelAddress(node: { addresses: readonly string[] }): string {
  return macSource(node.addresses);
}

/** Which of several addresses MAC addresses are made from: the IPv4 one, as CNI's bridge plugin does it. */
export function macSource(addresses: readonly string[]): string {
  return addresses.find((address) => !address.includes(":")) ?? addresses[0] ?? "0.0.0.0";
}

/** The last four bytes of an address as colon-separated hex: the tail of the lab's MAC addresses. */
export function hexBytes(address: string): string {
  const { w3 } = addressAt(address, "address");
  return [24, 16, 8, 0].map((shift) => hex2((w3 >>> shift) & 255)).join(":");
}

function hex2(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
