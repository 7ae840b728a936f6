// Topology → lines for `ip -batch`: one list per namespace, every line repeatable (an existing link or route is not
// an error, see namespace.ts). Text only: what is written here is what is tested.

import { POD_GSO_MAX } from "../../base/superframe-limits.ts";
import { type ClientPlan, type NodePlan, type Topology, tunnelAddress } from "../topology.ts";
import { controlPlaneAddresses, controlPlaneMac } from "./control-plane.ts";
import * as names from "./names.ts";

/** Next hops that exist nowhere: on host0 the agent answers for them, so that everything reaches the pipeline. */
const PROXY_HOP = { 4: "169.254.1.1", 6: "fe80::1" } as const;
const HOST_BITS = { 4: 32, 6: 128 } as const;

export interface PodWiring {
  namespace: string;
  name: string;
  netns: string;
  /** Addresses with prefix length of the node's pod range. */
  addresses: string[];
  mac: string;
}

/** All namespaces that exist as long as the lab does. */
export function staticNamespaces(t: Topology): string[] {
  return [names.fabricNetns(t.lab), ...t.nodes.map((n) => n.netns), ...t.clients.map((c) => c.netns)];
}

/** The L2 segment between nodes and clients: a bridge in a namespace of its own, one veth pair a member. */
export function fabricBatch(t: Topology): string[] {
  const bridge = names.FABRIC_BRIDGE;
  return [
    "link set lo up",
    `link add ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`,
    `link set ${bridge} address ${controlPlaneMac(t)} up`,
    ...[...t.nodes, ...t.clients].flatMap((member) => [
      `link add ${member.fabricPort} type veth peer name ${names.UPLINK} netns ${member.netns}`,
      `link set ${member.fabricPort} master ${bridge} up`,
    ]),
  ];
}

/** The control plane's end of the segment. */
export function controlPlaneBatch(t: Topology): string[] {
  return fabricAddresses(t, { addresses: controlPlaneAddresses(t) }, names.FABRIC_BRIDGE);
}

export function clientBatch(t: Topology, client: ClientPlan): string[] {
  return [
    "link set lo up",
    `link set ${names.UPLINK} address ${client.mac} up`,
    ...fabricAddresses(t, client, names.UPLINK),
  ];
}

/** Each address with the length of its network. Static: nobody has to look for duplicates before they can be used. */
function fabricAddresses(t: Topology, member: { addresses: string[] }, dev: string): string[] {
  return member.addresses.map(
    (address, i) => `addr replace ${address}/${lengthOf(t.fabricCidrs[i])} dev ${dev}${nodad(address)}`,
  );
}

function nodad(address: string): string {
  return address.includes(":") ? " nodad" : "";
}

function lengthOf(cidr: string): string {
  return cidr.split("/")[1];
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

export function nodeBatch(t: Topology, node: NodePlan): string[] {
  return node.agent === "kernel" ? kernelNode(t, node) : podwireNode(t, node);
}

/**
 * A node whose data path is the agent: the uplink belongs to the agent's raw socket, the node's own stack hangs on
 * host0. The kernel must not take what arrives at the uplink, though its destination is an address of host0 (Linux
 * accepts a local address on any interface): ARP and IPv6 are off there, and a rule looked at before the table of
 * local addresses throws its packets away after the raw socket has seen them.
 */
function podwireNode(t: Topology, node: NodePlan): string[] {
  const [uplink, host] = [names.UPLINK, names.HOST_TAP];
  return [
    "link set lo up",
    "rule add pref 100 lookup local",
    "rule del pref 0 lookup local",
    `rule add pref 10 iif ${uplink} blackhole`,
    `link set ${uplink} address ${node.uplinkMac} arp off up`,
    `tuntap add dev ${host} mode tap vnet_hdr`,
    `link set ${host} address ${node.uplinkMac} gso_max_size ${POD_GSO_MAX} up`,
    ...fabricAddresses(t, node, host),
    ...node.podCidrs.flatMap((_, i) => hostRoutes(t, node, i)),
  ];
}

/**
 * For tc(8): what comes in at the uplink ends once the agent's socket has it. The rule of podwireNode says the same, but
 * only after the kernel has looked at each packet and its route. The program is classic BPF: return TC_ACT_SHOT.
 */
export function uplinkFilterBatch(): string[] {
  return [
    `qdisc replace dev ${names.UPLINK} clsact`,
    `filter replace dev ${names.UPLINK} ingress pref 1 handle 1 protocol all bpf da bytecode "1,6 0 0 2"`,
  ];
}

/** What host0 is given for the `i`-th family: gateway and VTEP addresses, and the ways to pods, cluster and world. */
function hostRoutes(t: Topology, node: NodePlan, i: number): string[] {
  const host = names.HOST_TAP;
  const mtu = `mtu ${t.podMtu}`;
  const vxlan = t.overlay.type === "vxlan";
  const gateway = node.gateways[i];
  const family = familyOf(gateway);
  const flags = `dev ${host}${nodad(gateway)}`;
  const hop = `via ${PROXY_HOP[family]} dev ${host}${family === 4 ? " onlink" : ""}`;
  const scope = family === 4 ? " scope link" : "";
  return [
    `addr replace ${gateway}/${HOST_BITS[family]} ${flags}`,
    ...(vxlan ? [`addr replace ${node.vtepAddresses[i]}/${HOST_BITS[family]} ${flags}`] : []),
    `route replace ${node.podCidrs[i]} dev ${host}${scope} src ${gateway} ${mtu}`,
    ...rangesOf(t.clusterCidr, family).map(
      (range) =>
        `route replace ${range} ${hop} src ${vxlan ? node.vtepAddresses[i] : node.addresses[i]} ${mtu}`,
    ),
    `route replace default ${hop} src ${node.addresses[i]}`,
  ];
}

/** A node as kubenet and flannel make it: bridge cbr0, kernel VXLAN or plain routes. */
function kernelNode(t: Topology, node: NodePlan): string[] {
  const [uplink, bridge] = [names.UPLINK, names.KERNEL_BRIDGE];
  return [
    "link set lo up",
    `link set ${uplink} address ${node.uplinkMac} up`,
    ...fabricAddresses(t, node, uplink),
    // There is no router on the fabric; but without any route a service address is "unreachable" before it is DNATed.
    ...node.addresses.map(
      (address) =>
        `route replace ${familyOf(address) === 4 ? "default" : "::/0"} dev ${uplink} src ${address}`,
    ),
    `link add ${bridge} type bridge forward_delay 0 stp_state 0`,
    `link set ${bridge} address ${node.gatewayMac} mtu ${t.podMtu} up`,
    ...node.gateways.map(
      (gateway, i) => `addr replace ${gateway}/${lengthOf(node.podCidrs[i])} dev ${bridge}${nodad(gateway)}`,
    ),
    ...kernelOverlay(t, node),
  ];
}

/** flannel's VXLAN device; it carries both families, since a tunnel end has one MAC address for both. */
function kernelOverlay(t: Topology, node: NodePlan): string[] {
  const others = t.nodes.filter((other) => other !== node);
  if (t.overlay.type === "none") {
    return others.flatMap((other) =>
      other.podCidrs.map((range, i) => `route replace ${range} via ${other.addresses[i]}`),
    );
  }
  const dev = names.vxlanInterface(t.overlay.vni);
  const { vni, port } = t.overlay;
  const [first, last] = (t.overlay.sourcePortRange ?? "").split("-").map(Number);
  const ports = last === undefined ? "" : ` srcport ${first} ${Math.min(last + 1, 65_535)}`; // the second is beyond
  const local = tunnelAddress(node);
  return [
    `link add ${dev} type vxlan id ${vni} dstport ${port}${ports} local ${local} dev ${names.UPLINK} nolearning`,
    `link set ${dev} address ${node.vtepMac} mtu ${t.podMtu} up`,
    ...node.vtepAddresses.map(
      (address) => `addr replace ${address}/${HOST_BITS[familyOf(address)]} dev ${dev}${nodad(address)}`,
    ),
    ...others.flatMap((other) =>
      other.vtepAddresses.flatMap((address, i) => [
        `neigh replace ${address} lladdr ${other.vtepMac} dev ${dev} nud permanent`,
        `route replace ${other.podCidrs[i]} via ${address} dev ${dev} onlink`,
      ]),
    ),
  ];
}

/** bridge(8)'s part of the overlay on a kernel node: which VTEP is behind which MAC. */
export function kernelFdbBatch(t: Topology, node: NodePlan): string[] {
  if (t.overlay.type === "none") return [];
  const dev = names.vxlanInterface(t.overlay.vni);
  return t.nodes
    .filter((other) => other !== node)
    .map((other) => `fdb replace ${other.vtepMac} dev ${dev} dst ${tunnelAddress(other)} self permanent`);
}

/** Inside a pod: its eth0 is a TAP that the agent opens (podwire), or one end of a veth pair (kernel). */
export function podBatch(t: Topology, node: NodePlan, pod: PodWiring): string[] {
  const dev = names.POD_INTERFACE;
  const gso = node.agent === "kernel" ? "" : ` gso_max_size ${POD_GSO_MAX}`;
  return [
    "link set lo up",
    ...(node.agent === "kernel" ? [] : [`tuntap add dev ${dev} mode tap vnet_hdr`]),
    `link set ${dev} address ${pod.mac} mtu ${t.podMtu}${gso} up`,
    ...pod.addresses.map((address) => `addr replace ${address} dev ${dev}${nodad(address)}`),
    ...node.gateways
      .filter((gateway) => pod.addresses.some((address) => familyOf(address) === familyOf(gateway)))
      .map(
        (gateway) =>
          `route replace ${familyOf(gateway) === 4 ? "default" : "::/0"} via ${gateway} dev ${dev}`,
      ),
  ];
}

/** On a kernel node, before podBatch: the veth pair, bridged, hairpin on as CNI's bridge plugin sets it. */
export function kernelPodBatch(t: Topology, pod: PodWiring): string[] {
  const veth = names.vethName(pod.namespace, pod.name);
  return [
    `link add ${veth} type veth peer name ${names.POD_INTERFACE} netns ${pod.netns}`,
    `link set ${veth} mtu ${t.podMtu} master ${names.KERNEL_BRIDGE} up`,
    `link set ${veth} type bridge_slave hairpin on`,
  ];
}

function rangesOf(cidr: string, family: 4 | 6): string[] {
  return cidr
    .split(",")
    .map((part) => part.trim())
    .filter((part) => familyOf(part) === family);
}
