// Topology → lines for `ip -batch`: one list per namespace, every line repeatable (an existing link or route is not
// an error, see namespace.ts). Text only: what is written here is what is tested.
import * as names from "./names.ts";
import type { ClientPlan, NodePlan, Topology } from "./topology.ts";

/** Next hop that exists nowhere: on host0 the agent answers ARP for it, so that everything reaches the pipeline. */
const PROXY_HOP = "169.254.1.1";
/** A superframe plus 50 bytes of VXLAN per segment must stay below 65,535 bytes. */
const POD_GSO_MAX = 60000;

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
    `link set ${bridge} up`,
    ...[...t.nodes, ...t.clients].flatMap((member) => [
      `link add ${member.fabricPort} type veth peer name ${names.UPLINK} netns ${member.netns}`,
      `link set ${member.fabricPort} master ${bridge} up`,
    ]),
  ];
}

export function clientBatch(t: Topology, client: ClientPlan): string[] {
  return [
    "link set lo up",
    `link set ${names.UPLINK} address ${client.mac} up`,
    `addr replace ${client.address}/${t.fabricPrefix} dev ${names.UPLINK}`,
  ];
}

export function nodeBatch(t: Topology, node: NodePlan): string[] {
  return node.agent === "kernel" ? kernelNode(t, node) : podwireNode(t, node);
}

/**
 * A node whose data path is the agent: the uplink belongs to the agent's raw socket, the node's own stack hangs on
 * host0. The kernel must not take what arrives at the uplink, though its destination is an address of host0 (Linux
 * accepts a local address on any interface): ARP is off there, and a rule looked at before the table of local
 * addresses throws its packets away after the raw socket has seen them.
 */
function podwireNode(t: Topology, node: NodePlan): string[] {
  const [uplink, host] = [names.UPLINK, names.HOST_TAP];
  const mtu = `mtu ${t.podMtu}`;
  const vxlan = t.overlay.type === "vxlan";
  return [
    "link set lo up",
    "rule add pref 100 lookup local",
    "rule del pref 0 lookup local",
    `rule add pref 10 iif ${uplink} blackhole`,
    `link set ${uplink} address ${node.uplinkMac} arp off up`,
    `tuntap add dev ${host} mode tap vnet_hdr`,
    `link set ${host} address ${node.uplinkMac} gso_max_size ${POD_GSO_MAX} up`,
    `addr replace ${node.address}/${t.fabricPrefix} dev ${host}`,
    `addr replace ${node.gateway}/32 dev ${host}`,
    ...(vxlan ? [`addr replace ${node.vtepAddress}/32 dev ${host}`] : []),
    `route replace ${node.podCidr} dev ${host} scope link src ${node.gateway} ${mtu}`,
    ...ipv4Ranges(t.clusterCidr).map(
      (cidr) =>
        `route replace ${cidr} via ${PROXY_HOP} dev ${host} onlink ` +
        `src ${vxlan ? node.vtepAddress : node.address} ${mtu}`,
    ),
    `route replace default via ${PROXY_HOP} dev ${host} onlink src ${node.address}`,
  ];
}

/** A node as kubenet and flannel make it: bridge cbr0, kernel VXLAN or plain routes. */
function kernelNode(t: Topology, node: NodePlan): string[] {
  const [uplink, bridge] = [names.UPLINK, names.KERNEL_BRIDGE];
  const prefix = node.podCidr.split("/")[1];
  return [
    "link set lo up",
    `link set ${uplink} address ${node.uplinkMac} up`,
    `addr replace ${node.address}/${t.fabricPrefix} dev ${uplink}`,
    // There is no router on the fabric; but without any route a service address is "unreachable" before it is DNATed.
    `route replace default dev ${uplink} src ${node.address}`,
    `link add ${bridge} type bridge forward_delay 0 stp_state 0`,
    `link set ${bridge} address ${node.gatewayMac} mtu ${t.podMtu} up`,
    `addr replace ${node.gateway}/${prefix} dev ${bridge}`,
    ...kernelOverlay(t, node),
  ];
}

function kernelOverlay(t: Topology, node: NodePlan): string[] {
  const others = t.nodes.filter((other) => other !== node);
  if (t.overlay.type === "none") {
    return others.map((other) => `route replace ${other.podCidr} via ${other.address}`);
  }
  const dev = names.vxlanInterface(t.overlay.vni);
  const { vni, port } = t.overlay;
  return [
    `link add ${dev} type vxlan id ${vni} dstport ${port} local ${node.address} dev ${names.UPLINK} nolearning`,
    `link set ${dev} address ${node.vtepMac} mtu ${t.podMtu} up`,
    `addr replace ${node.vtepAddress}/32 dev ${dev}`,
    ...others.flatMap((other) => [
      `neigh replace ${other.vtepAddress} lladdr ${other.vtepMac} dev ${dev} nud permanent`,
      `route replace ${other.podCidr} via ${other.vtepAddress} dev ${dev} onlink`,
    ]),
  ];
}

/** bridge(8)'s part of the overlay on a kernel node: which VTEP is behind which MAC. */
export function kernelFdbBatch(t: Topology, node: NodePlan): string[] {
  if (t.overlay.type === "none") return [];
  const dev = names.vxlanInterface(t.overlay.vni);
  return t.nodes
    .filter((other) => other !== node)
    .map((other) => `fdb replace ${other.vtepMac} dev ${dev} dst ${other.address} self permanent`);
}

/** Inside a pod: its eth0 is a TAP that the agent opens (podwire), or one end of a veth pair (kernel). */
export function podBatch(t: Topology, node: NodePlan, pod: PodWiring): string[] {
  const dev = names.POD_INTERFACE;
  const gso = node.agent === "kernel" ? "" : ` gso_max_size ${POD_GSO_MAX}`;
  return [
    "link set lo up",
    ...(node.agent === "kernel" ? [] : [`tuntap add dev ${dev} mode tap vnet_hdr`]),
    `link set ${dev} address ${pod.mac} mtu ${t.podMtu}${gso} up`,
    ...pod.addresses.map(
      (address) => `addr replace ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`,
    ),
    `route replace default via ${node.gateway} dev ${dev}`,
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

function ipv4Ranges(cidr: string): string[] {
  return cidr
    .split(",")
    .map((part) => part.trim())
    .filter((part) => !part.includes(":"));
}
