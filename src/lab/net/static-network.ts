// The part of a lab that does not come and go with its objects: namespaces of nodes and clients, the fabric between
// them, addresses and routes. The same call makes it and repairs it.

import { command } from "../process/command.ts";
import type { NodePlan, Topology } from "../topology.ts";
import {
  clientBatch,
  controlPlaneBatch,
  fabricBatch,
  kernelFdbBatch,
  nodeBatch,
  staticNamespaces,
  uplinkFilterBatch,
} from "./ip-batch.ts";
import { servesLoopback } from "./kernel-rules.ts";
import * as names from "./names.ts";
import { bridgeBatch, ipBatch, makeNamespaces, setSysctls, tryTcBatch } from "./namespace.ts";

/** Returns the namespaces that it had to make: whoever works in them must be started again. */
export async function makeStaticNetwork(t: Topology): Promise<string[]> {
  const made = await makeNamespaces(staticNamespaces(t));
  const fabric = names.fabricNetns(t.lab);
  await Promise.all([
    setSysctls(fabric, { ...fabricSysctls(t), "net.bridge.bridge-nf-call-iptables": "0" }),
    ...t.nodes.map((node) => setSysctls(node.netns, nodeSysctls(t, node))),
    ...t.clients.map((client) => setSysctls(client.netns, ipv6Sysctls(t))),
  ]);
  const members = [...t.nodes, ...t.clients];
  // The veth pair of a namespace that is new may still lead to the old one, which lives on while a process is in it, or a
  // socket: in the fabric the lab's process has some.
  if (made.includes(fabric)) {
    const lost = members.filter((member) => !made.includes(member.netns));
    await Promise.all(lost.map((member) => ipBatch(member.netns, [`link del ${names.UPLINK}`])));
  }
  const stale = members.filter((member) => made.includes(member.netns));
  const removals = stale.map((member) => `link del ${member.fabricPort}`);
  await ipBatch(fabric, [...(made.includes(fabric) ? [] : removals), ...fabricBatch(t)]);
  const agents = t.nodes.filter((node) => node.agent === "podwire");
  await Promise.all(agents.map((node) => setSysctls(node.netns, UPLINK_SYSCTLS)));
  await Promise.all([
    controlPlane(t, fabric),
    ...t.nodes.map((node) => ipBatch(node.netns, nodeBatch(t, node))),
    ...t.clients.map((client) => ipBatch(client.netns, clientBatch(t, client))),
  ]);
  await Promise.all(agents.map((node) => tryTcBatch(node.netns, uplinkFilterBatch())));
  await Promise.all(
    t.nodes.filter((node) => node.uplinkDriver === "pcap").map((node) => plainUplink(t, node)),
  );
  const kernelNodes = t.nodes.filter((node) => node.agent === "kernel");
  await Promise.all(kernelNodes.map((node) => bridgeBatch(node.netns, kernelFdbBatch(t, node))));
  await Promise.all(kernelNodes.map((node) => setSysctls(node.netns, BRIDGE_SYSCTLS)));
  return made;
}

async function controlPlane(t: Topology, fabric: string): Promise<void> {
  if (hasIpv6(t)) await setSysctls(fabric, CONTROL_PLANE_IPV6);
  await ipBatch(fabric, controlPlaneBatch(t));
}

/** libpcap knows no virtio header: what a pcap node sends and gets must be what its headers say. */
async function plainUplink(t: Topology, node: NodePlan): Promise<void> {
  const off = ["tx", "off", "gso", "off", "tso", "off", "gro", "off"];
  await command("ip", ["netns", "exec", node.netns, "ethtool", "-K", names.UPLINK, ...off]);
  await command("ip", ["netns", "exec", names.fabricNetns(t.lab), "ethtool", "-K", node.fabricPort, ...off]);
}

/** The kernel of a podwire node takes no part in what its uplink receives (see podwireNode). */
const UPLINK_SYSCTLS = { [`net.ipv6.conf.${names.UPLINK}.disable_ipv6`]: "1" };

const IPV6_OFF = { "net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1" };

/** Of the fabric the control plane alone has IPv6; `all` would take its addresses away when this is done again. */
function fabricSysctls(t: Topology): Record<string, string> {
  return hasIpv6(t) ? { "net.ipv6.conf.default.disable_ipv6": "1" } : IPV6_OFF;
}

const CONTROL_PLANE_IPV6 = {
  [`net.ipv6.conf.${names.FABRIC_BRIDGE}.accept_ra`]: "0",
  [`net.ipv6.conf.${names.FABRIC_BRIDGE}.disable_ipv6`]: "0",
};

function hasIpv6(t: Topology): boolean {
  return t.clusterCidr.includes(":");
}

/** A lab with IPv4 ranges only has no IPv6 anywhere: no neighbour discovery in captures, no surprises by name. */
function ipv6Sysctls(t: Topology): Record<string, string> {
  return hasIpv6(t) ? { "net.ipv6.conf.default.accept_ra": "0" } : IPV6_OFF;
}

/** As the portmap plug-in sets it: 127.0.0.1 reaches host ports. */
const BRIDGE_SYSCTLS = { [`net.ipv4.conf.${names.KERNEL_BRIDGE}.route_localnet`]: "1" };

function nodeSysctls(t: Topology, node: NodePlan): Record<string, string> {
  if (node.agent === "podwire") {
    // The agent forwards, not the kernel. rp_filter would drop what the agent hands over from another subnet.
    return { ...ipv6Sysctls(t), "net.ipv4.ip_forward": "0", "net.ipv4.conf.all.rp_filter": "0" };
  }
  return {
    ...ipv6Sysctls(t),
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.all.route_localnet": servesLoopback(t) ? "1" : "0", // as kube-proxy sets it
    "net.bridge.bridge-nf-call-iptables": "1",
    ...(hasIpv6(t)
      ? { "net.ipv6.conf.all.forwarding": "1", "net.bridge.bridge-nf-call-ip6tables": "1" }
      : {}),
  };
}
