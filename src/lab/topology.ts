// From a Lab object (lab.yaml, or the default one) to every name and address the lab will use. Pure: the same file
// gives the same plan, which is what makes `lab up` repeatable and a repair possible.
import {
  addIp,
  type Cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  network,
  nthIp,
  overlaps,
  parseCidr,
  parseIp,
} from "../base/ip.ts";
import { LabError } from "./errors.ts";
import * as names from "./names.ts";

export type AgentKind = "podwire" | "kernel";
export type Overlay = { type: "vxlan"; vni: number; port: number } | { type: "none" };

/** kind Lab, apiVersion podwire.dev/v1alpha1, after its schema was checked. */
export interface LabObject {
  metadata?: { name?: string };
  spec?: {
    clusterCIDR?: string;
    serviceCIDR?: string;
    overlay?: { type?: "vxlan" | "none"; vni?: number; port?: number };
    proxy?: Record<string, unknown>;
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
  address: string;
  podCidr: string;
  gateway: string;
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
  mac: string;
}

export interface Topology {
  lab: string;
  clusterCidr: string;
  serviceCidr: string;
  dnsAddress: string;
  overlay: Overlay;
  /** The node network, e.g. 192.168.50.0/24, and its prefix length. */
  fabricCidr: string;
  fabricPrefix: number;
  /** MTU of pod devices and of routes into the pod network. */
  podMtu: number;
  proxy: Record<string, unknown>;
  nodes: NodePlan[];
  clients: ClientPlan[];
}

const FABRIC_DEFAULT = "192.168.50.0/24";
const FABRIC_MTU = 1500;
const VXLAN_OVERHEAD = 50; // outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8 (RFC 7348 §5)
const NODE_ADDRESS_FIRST = 11;
const CLIENT_ADDRESS_FIRST = 100;
const NODE_CIDR_MASK = 24; // kube-controller-manager's --node-cidr-mask-size
const DNS_INDEX = 10; // kubeadm: the tenth address of the service range is kube-dns

/** `lab up` without a file: two nodes, one client outside, the demo's objects. */
export const DEFAULT_LAB: LabObject = {
  spec: { nodes: [{ name: "node1" }, { name: "node2" }], clients: [{ name: "outside" }] },
};

export function planTopology(lab: string, object: LabObject): Topology {
  names.checkLabName(lab);
  const spec = object.spec ?? {};
  const clusterCidr = spec.clusterCIDR ?? "10.244.0.0/16";
  const serviceCidr = spec.serviceCIDR ?? "10.96.0.0/12";
  const cluster = firstIpv4(clusterCidr, "spec.clusterCIDR");
  const service = firstIpv4(serviceCidr, "spec.serviceCIDR");
  if (overlaps(cluster, service)) {
    throw new LabError("LAB_BAD_CIDR", "spec.serviceCIDR: overlaps spec.clusterCIDR: choose separate ranges");
  }
  const overlay = overlayOf(spec.overlay);
  const fabric = fabricOf(spec);
  const nodeSpecs = spec.nodes ?? DEFAULT_LAB.spec!.nodes!;
  const clientSpecs = spec.clients ?? [];
  const taken = new Set([...nodeSpecs, ...clientSpecs].flatMap((x) => (x.address ? [x.address] : [])));
  const cidrs = podCidrs(nodeSpecs, cluster);
  const nodes = nodeSpecs.map((node, i) => {
    const address = node.address ?? freeAddress(fabric, NODE_ADDRESS_FIRST + i, taken);
    return planNode(lab, node, { index: i, address, cidr: cidrs[i], overlay });
  });
  const clients = clientSpecs.map((client, i): ClientPlan => {
    const address = client.address ?? freeAddress(fabric, CLIENT_ADDRESS_FIRST + i, taken);
    names.checkWorkloadName("client", client.name);
    return {
      name: client.name,
      netns: names.clientNetns(lab, client.name),
      fabricPort: names.fabricPort(nodes.length + i),
      address,
      mac: `0a:58:${hexBytes(address)}`,
    };
  });
  const plan: Topology = {
    lab,
    clusterCidr,
    serviceCidr,
    dnsAddress: formatIp(nthIp(service, DNS_INDEX)),
    overlay,
    fabricCidr: formatCidr(fabric),
    fabricPrefix: fabric.prefixLen,
    podMtu: overlay.type === "vxlan" ? FABRIC_MTU - VXLAN_OVERHEAD : FABRIC_MTU,
    proxy: spec.proxy ?? {},
    nodes,
    clients,
  };
  checkPlan(plan, fabric);
  return plan;
}

function overlayOf(spec: NonNullable<LabObject["spec"]>["overlay"]): Overlay {
  if (spec?.type === "none") return { type: "none" };
  return { type: "vxlan", vni: spec?.vni ?? 1, port: spec?.port ?? 8472 };
}

type NodeSpec = NonNullable<NonNullable<LabObject["spec"]>["nodes"]>[number];

function planNode(
  lab: string,
  node: NodeSpec,
  at: { index: number; address: string; cidr: Cidr; overlay: Overlay },
): NodePlan {
  names.checkWorkloadName("node", node.name);
  const gateway = formatIp(nthIp(at.cidr, 1));
  const vni = at.overlay.type === "vxlan" ? at.overlay.vni : 0;
  return {
    name: node.name,
    agent: node.agent ?? "podwire",
    netns: names.nodeNetns(lab, node.name),
    fabricPort: names.fabricPort(at.index),
    address: at.address,
    podCidr: formatCidr(at.cidr),
    gateway,
    gatewayMac: `0a:58:${hexBytes(gateway)}`,
    uplinkMac: `0a:58:${hexBytes(at.address)}`,
    vtepAddress: formatIp(nthIp(at.cidr, 0)),
    vtepMac: `0e:${hex2(vni & 0xff)}:${hexBytes(at.address)}`,
    uplinkDriver: node.uplink?.driver ?? "packet",
    labels: node.labels ?? {},
  };
}

/** The IPv4 range of "v4" or "v4,v6": the lab's own addressing is IPv4. */
function firstIpv4(text: string, where: string): Cidr {
  const ranges = text.split(",").map((part) => cidrAt(part.trim(), where));
  const v4 = ranges.find((range) => range.family === 4);
  if (v4 === undefined) throw new LabError("LAB_BAD_CIDR", `${where}: needs an IPv4 range`);
  return v4;
}

/** The node network: the /24 of the first address that the file gives. */
function fabricOf(spec: NonNullable<LabObject["spec"]>): Cidr {
  const given = [...(spec.nodes ?? []), ...(spec.clients ?? [])].find((x) => x.address !== undefined);
  return cidrAt(given === undefined ? FABRIC_DEFAULT : `${given.address}/24`, "spec.nodes");
}

function freeAddress(fabric: Cidr, from: number, taken: Set<string>): string {
  for (let i = from; i < 255; i++) {
    const address = formatIp(nthIp(fabric, i));
    if (taken.has(address)) continue;
    taken.add(address);
    return address;
  }
  throw new LabError("LAB_NO_ADDRESS", `spec.nodes: no address left in ${formatCidr(fabric)}`);
}

/** Explicit ranges as given, the others the next free /24; .0 of the cluster range is left for last, as a courtesy. */
function podCidrs(nodes: NodeSpec[], cluster: Cidr): Cidr[] {
  const given = nodes.map((node, i) =>
    node.podCIDR === undefined ? undefined : cidrAt(node.podCIDR, `spec.nodes[${i}].podCIDR`),
  );
  const mask = Math.max(NODE_CIDR_MASK, cluster.prefixLen);
  const count = 2 ** (mask - cluster.prefixLen);
  const used = given.filter((range) => range !== undefined);
  let tried = 0;
  return given.map((range) => {
    if (range !== undefined) return range;
    while (tried < count) {
      const index = ++tried % count;
      const candidate = network(addIp(nthIp(cluster, 0), index * 2 ** (32 - mask)), mask);
      if (!used.some((other) => overlaps(other, candidate))) return candidate;
    }
    throw new LabError("LAB_NO_ADDRESS", `spec.clusterCIDR: ${formatCidr(cluster)} has no /${mask} left`);
  });
}

function checkPlan(plan: Topology, fabric: Cidr): void {
  const seen = new Map<string, string>();
  const members = [
    ...plan.nodes.map((n) => ({ what: `node ${n.name}`, address: n.address })),
    ...plan.clients.map((c) => ({ what: `client ${c.name}`, address: c.address })),
  ];
  for (const { what, address } of members) {
    if (!contains(fabric, addressAt(address, what))) {
      throw new LabError(
        "LAB_BAD_ADDRESS",
        `${what}: ${address} is not in the node network ${plan.fabricCidr}`,
      );
    }
    for (const key of [what, address]) {
      if (seen.has(key))
        throw new LabError("LAB_DUPLICATE", `${what}: ${key} is already used by ${seen.get(key)}`);
      seen.set(key, what);
    }
  }
  for (const [i, node] of plan.nodes.entries()) {
    const range = cidrAt(node.podCidr, `node ${node.name}`);
    const other = plan.nodes.slice(0, i).find((n) => overlaps(cidrAt(n.podCidr, n.name), range));
    if (other !== undefined) {
      throw new LabError(
        "LAB_DUPLICATE",
        `node ${node.name}: podCIDR ${node.podCidr} overlaps node ${other.name}'s`,
      );
    }
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

/** The four bytes of an IPv4 address as colon-separated hex: the tail of the lab's MAC addresses. */
export function hexBytes(address: string): string {
  return address
    .split(".")
    .map((byte) => hex2(Number(byte)))
    .join(":");
}

function hex2(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
