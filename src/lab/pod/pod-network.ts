// The network of one pod: namespace, device and files under /etc. Everything can be repeated.
import { mkdir, writeFile } from "node:fs/promises";
import type { Pod } from "../../kube/objects.ts";
import { kernelPodBatch, type PodWiring, podBatch } from "../net/ip-batch.ts";
import * as names from "../net/names.ts";
import { ipBatch, makeNamespaces, setSysctls, writeEtcFiles } from "../net/namespace.ts";
import { tryCommand } from "../process/command.ts";
import { hexBytes, macSource, type NodePlan, type Topology } from "../topology.ts";
import { etcFiles } from "./pod-env.ts";

export interface PodNetwork {
  readonly topology: Topology;
  readonly node: NodePlan;
  readonly pod: Pod;
  readonly netns: string;
  /** Of the pod's files. */
  readonly folder: string;
}

export async function wirePod(network: PodNetwork): Promise<void> {
  const { topology, node, pod, netns } = network;
  if (pod.spec.hostNetwork === true) {
    await writeOwnEtc(network); // it lives in the node's namespace, which is there
    return;
  }
  const prefix = (family: boolean): string =>
    node.podCidrs.find((range) => range.includes(":") === family)?.split("/")[1] ?? (family ? "64" : "24");
  const addresses = (pod.status.podIPs ?? []).map((x) => x.ip ?? "");
  const wiring = {
    namespace: pod.metadata.namespace ?? "default",
    name: pod.metadata.name,
    netns,
    addresses: addresses.map((ip) => `${ip}/${prefix(ip.includes(":"))}`),
    mac: podMac(pod),
  };
  await makeNamespaces([netns]);
  await setSysctls(netns, podSysctls(addresses));
  if (node.agent === "kernel") await wireToKernel(network, wiring);
  await ipBatch(netns, podBatch(topology, node, wiring));
  await writeEtcFiles(netns, etcFiles(topology, pod));
}

/** What a pod that has the node's network sees instead of the node's own files, which stay as they are. */
async function writeOwnEtc({ topology, pod, folder }: PodNetwork): Promise<void> {
  const { hosts, "resolv.conf": resolver } = etcFiles(topology, pod);
  const files = {
    ...((pod.spec.hostAliases ?? []).length === 0 ? {} : { hosts }),
    ...(resolver === undefined ? {} : { "resolv.conf": resolver }),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(`${folder}/etc`, { recursive: true });
    await writeFile(`${folder}/etc/${name}`, text);
  }
}

/** A pair with only one end in place, after one of the two namespaces was lost, is made again from the start. */
async function wireToKernel({ topology, node, netns }: PodNetwork, wiring: PodWiring): Promise<void> {
  const veth = names.vethName(wiring.namespace, wiring.name);
  const ends = [
    [node.netns, veth],
    [netns, names.POD_INTERFACE],
  ];
  const shown = await Promise.all(
    ends.map(([where, dev]) => tryCommand("ip", ["-n", where, "link", "show", dev])),
  );
  const there = shown.map((result) => result.status === 0);
  if (there[0] !== there[1]) {
    const [where, dev] = there[0] ? ends[0] : ends[1];
    await ipBatch(where, [`link del ${dev}`]);
  }
  await ipBatch(node.netns, kernelPodBatch(topology, wiring));
}

/** As CNI's bridge plugin makes it from the IPv4 address, else from the last bytes of the IPv6 one. */
export function podMac(pod: Pod): string {
  return `0a:58:${hexBytes(macSource((pod.status.podIPs ?? []).flatMap(({ ip }) => ip ?? [])))}`;
}

/** A pod without an IPv6 address has IPv6 off, as a runtime leaves it: no link-local address, no router solicitation. */
function podSysctls(addresses: string[]): Record<string, string> {
  const off = addresses.some((ip) => ip.includes(":")) ? "0" : "1";
  return {
    "net.ipv6.conf.all.disable_ipv6": off,
    "net.ipv6.conf.default.disable_ipv6": off,
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv4.ping_group_range": "'0 2147483647'",
    "net.ipv4.ip_unprivileged_port_start": "0", // container runtimes' default
  };
}
