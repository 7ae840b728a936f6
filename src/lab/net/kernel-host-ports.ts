// Host ports of a kernel node's pods, as the portmap plug-in writes them behind flannel's bridge: in iptables' chains, or
// in a table of nftables. Its rules come after kube-proxy's, whose node ports go first.
//
//   PREROUTING, OUTPUT ─▶ CNI-HOSTPORT-DNAT ─▶ CNI-DN-… (one a pod): mark (CNI-HOSTPORT-SETMARK), DNAT
//   POSTROUTING        ─▶ CNI-HOSTPORT-MASQ: masquerade what is marked, before any other rule
import {
  formatCidr,
  formatIp,
  formatIpPort,
  type IpFamily,
  network,
  parseCidr,
  parseIp,
} from "../../base/ip.ts";
import { isFinished } from "../../cluster/controller/scheduler.ts";
import { hostPortsOf } from "../../kube/host-ports.ts";
import { type KubeObject, keyOf, type Pod } from "../../kube/objects.ts";
import { hostPortChain } from "../../kubeproxy/words/kube-chains.ts";
import type { NodePlan } from "../topology.ts";

const MARK_BIT = "0x2000";
const MARK = `${MARK_BIT}/${MARK_BIT}`;

/** One host port of a pod in one family. */
export interface Forward {
  readonly pod: string;
  readonly protocol: string;
  readonly port: number;
  /** "" when every LOCAL address serves. */
  readonly hostIP: string;
  readonly to: string;
}

/** Chains and rules for the nat table of iptables-restore; "" when no pod of the node has a host port. */
export function portmapChains(node: NodePlan, objects: Iterable<KubeObject>, family: IpFamily): string {
  const forwards = hostPortForwards(node, objects, family);
  if (forwards.length === 0) return "";
  const local = "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT";
  const pods = [...new Set(forwards.map(({ pod }) => pod))];
  const lines = [
    ...["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", ...pods.map(hostPortChain)].map(
      (chain) => `:${chain} - [0:0]`,
    ),
    `-A PREROUTING ${local}`,
    `-A OUTPUT ${local}`,
    `-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ`,
    `-A CNI-HOSTPORT-MASQ -m mark --mark ${MARK} -j MASQUERADE`,
    `-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${MARK}`,
  ];
  const sources = markedSources(node, family);
  for (const { pod, protocol, port, hostIP, to } of forwards) {
    const chain = hostPortChain(pod);
    const comment = `-m comment --comment "dnat name: cbr0 id: ${pod}"`;
    lines.push(`-A CNI-HOSTPORT-DNAT -p ${protocol} ${comment} -m multiport --dports ${port} -j ${chain}`);
    const match = `-p ${protocol} -m ${protocol} --dport ${port}${hostIP === "" ? "" : ` -d ${hostIP}`}`;
    for (const source of sources) lines.push(`-A ${chain} -s ${source} ${match} -j CNI-HOSTPORT-SETMARK`);
    lines.push(`-A ${chain} ${match} -j DNAT --to-destination ${to}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The same as a table of its own, behind kube-proxy's. */
export function portmapTable(node: NodePlan, objects: Iterable<KubeObject>, family: IpFamily): string {
  const ip = family === 4 ? "ip" : "ip6";
  const table = `${ip} cni_hostport`;
  const lines = [`add table ${table}`, `delete table ${table}`];
  const forwards = hostPortForwards(node, objects, family);
  if (forwards.length > 0) {
    lines.push(
      `add table ${table}`,
      `add chain ${table} hostports`,
      `add chain ${table} prerouting { type nat hook prerouting priority -90 ; }`,
      `add chain ${table} output { type nat hook output priority -90 ; }`,
      `add chain ${table} masquerading { type nat hook postrouting priority 90 ; }`,
      `add rule ${table} prerouting fib daddr type local jump hostports`,
      `add rule ${table} output fib daddr type local jump hostports`,
    );
    lines.push(`add rule ${table} masquerading meta mark and ${MARK_BIT} == ${MARK_BIT} masquerade`);
    for (const { pod, protocol, port, hostIP, to } of forwards) {
      const at = hostIP === "" ? "" : `${ip} daddr ${hostIP} `;
      const match = `${at}${protocol} dport ${port}`;
      for (const source of markedSources(node, family)) {
        const mark = `meta mark set meta mark or ${MARK_BIT}`;
        lines.push(`add rule ${table} hostports ${match} ${ip} saddr ${source} ${mark}`);
      }
      lines.push(`add rule ${table} hostports ${match} dnat to ${to} comment "${pod}"`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The address that the bridge plug-in gives a pod has the bridge's prefix: its whole network is marked. */
function markedSources(node: NodePlan, family: IpFamily): string[] {
  const own = node.podCidrs
    .flatMap((text) => parseCidr(text) ?? [])
    .filter((range) => range.family === family);
  const ranges = own.map((range) => formatCidr(network(range, range.prefixLen)));
  return family === 4 ? [...ranges, "127.0.0.1/32"] : ranges;
}

/** Of the pods that run on a node, in the order of their names. */
export function hostPortForwards(node: NodePlan, objects: Iterable<KubeObject>, family: IpFamily): Forward[] {
  const list: Forward[] = [];
  for (const object of objects) {
    if (object.kind !== "Pod") continue;
    const pod = object as Pod;
    if (pod.spec.nodeName !== node.name || pod.spec.hostNetwork === true || isFinished(pod)) continue;
    const address = (pod.status.podIPs ?? [])
      .flatMap(({ ip = "" }) => parseIp(ip) ?? [])
      .find((each) => each.family === family);
    if (address === undefined) continue;
    for (const { hostIP, hostPort, protocol, containerPort } of hostPortsOf(pod.spec)) {
      const at = parseIp(hostIP);
      if (at !== null && at.family !== family) continue;
      list.push({
        pod: keyOf(pod),
        protocol: protocol.toLowerCase(),
        port: hostPort,
        hostIP: hostIP === "0.0.0.0" || hostIP === "::" || at === null ? "" : formatIp(at),
        to: formatIpPort(address, containerPort),
      });
    }
  }
  return list.sort((a, b) => (a.pod < b.pod ? -1 : 1));
}
