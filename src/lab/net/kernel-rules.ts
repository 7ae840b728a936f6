// What a node with `agent: kernel` does about services: the rules of kube-proxy, in iptables mode or in nftables mode
// (the lab's `proxy.mode`; iptables where that is another one), flannel's masquerading of pods that speak to the world,
// and portmap's rules for host ports.
import { cidr, type IpFamily, ip } from "../../base/ip.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { renderRules } from "../../kubeproxy/rules.ts";
import type { NodePlan, Topology } from "../topology.ts";

/** A program that loads rules, and what it is to read. */
export interface KernelRules {
  readonly argv: readonly string[];
  readonly input: string;
}

/** The whole tables of one family; what was there before goes. */
export function kernelRules(
  t: Topology,
  node: NodePlan,
  objects: Iterable<KubeObject>,
  family: IpFamily = 4,
): KernelRules {
  const ofFamily = (text: string): boolean => text.includes(":") === (family === 6);
  const cluster = rangesOf(t.clusterCidr).find(ofFamily) ?? "";
  const config = readProxyConfig(t.proxy, new FieldProblems(), [], t.clusterCidr);
  const own = [
    ...node.addresses,
    ...node.gateways,
    ...(t.overlay.type === "vxlan" ? node.vtepAddresses : []),
  ];
  const input = {
    objects,
    nodeName: node.name,
    config,
    family,
    localAddresses: own.map(ip),
    serviceCidrs: rangesOf(t.serviceCidr).map(cidr),
    podCidrs: node.podCidrs.map(cidr),
  };
  if (config.mode === "nftables") {
    const text = noHostPorts(family) + renderRules("nft", input) + egressTable(cluster, family);
    return { argv: ["nft", "-f", "-"], input: text };
  }
  const program = family === 4 ? "iptables-restore" : "ip6tables-restore";
  const text = renderRules("iptables-save", input);
  return { argv: [program, "-w", "5"], input: withNat(text, egressRule(cluster)) };
}

/** True when node ports are served at 127.0.0.1: the kernel has to be told that this is no martian. */
export function servesLoopback(t: Topology): boolean {
  return readProxyConfig(t.proxy, new FieldProblems()).localhostNodePorts;
}

function rangesOf(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

/** At the end of the nat table, which iptables-restore writes as a whole. */
function withNat(text: string, rules: string): string {
  const at = text.indexOf("COMMIT", text.indexOf("*nat"));
  return text.slice(0, at) + rules + text.slice(at);
}

/** flannel --ip-masq. */
function egressRule(cluster: string): string {
  return `-A POSTROUTING -s ${cluster} ! -d ${cluster} -j MASQUERADE\n`;
}

/** Those of pods that have gone; who has some gets the table again. */
function noHostPorts(family: IpFamily): string {
  const table = `table ${family === 4 ? "ip" : "ip6"} cni_hostport`;
  return `add ${table}\ndelete ${table}\n`;
}

function egressTable(cluster: string, family: IpFamily): string {
  const ip = family === 4 ? "ip" : "ip6";
  const lines = [
    `add table ${ip} egress`,
    `delete table ${ip} egress`,
    `add table ${ip} egress`,
    `add chain ${ip} egress postrouting { type nat hook postrouting priority 110 ; }`,
    `add rule ${ip} egress postrouting ${ip} saddr ${cluster} ${ip} daddr != ${cluster} masquerade`,
  ];
  return `${lines.join("\n")}\n`;
}
