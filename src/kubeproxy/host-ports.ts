// Host ports of a node's pods, as the portmap plug-in writes them behind flannel's bridge: in iptables' nat table after
// kube-proxy's chains, whose node ports go first, or in a table of nftables. Like all rules here read from the objects
// alone, and nothing of the plane's compilation is used.
//
//   PREROUTING, OUTPUT ─▶ CNI-HOSTPORT-DNAT ─▶ CNI-DN-… (one a pod): mark (CNI-HOSTPORT-SETMARK), DNAT
//   POSTROUTING        ─▶ CNI-HOSTPORT-MASQ: masquerade what is marked, before any other rule
//
// Rules of iptables are in iptables-save's words: addresses before the protocol, with a prefix; quotes escaped.
import {
  type Cidr,
  formatCidr,
  formatIp,
  formatIpPort,
  type Ip,
  type IpFamily,
  network,
  parseIp,
} from "../base/ip.ts";
import { hostPortsOf } from "../kube/host-ports.ts";
import { type KubeObject, keyOf, type Pod } from "../kube/objects.ts";
import { comment, type RestoreTable } from "./restore-table.ts";
import { hostPortChain } from "./words/kube-chains.ts";

const MARK_BIT = "0x2000";
const MARK = `${MARK_BIT}/${MARK_BIT}`;
/** What the multiport match takes. */
const PORTS_A_RULE = 15;

/** One host port of a pod in one family. */
export interface Forward {
  readonly pod: string;
  readonly protocol: string;
  readonly port: number;
  /** "" when every LOCAL address serves. */
  readonly hostIP: string;
  readonly to: string;
}

/** A node's host ports in one family. */
export interface HostPortView {
  readonly pods: readonly PodForwards[];
  /** Whose connections are masqueraded. */
  readonly sources: readonly string[];
}

interface PodForwards {
  readonly pod: string;
  /** What leads into the pod's chain: "tcp" and "8088,8443", whatever address they are of. */
  readonly ports: readonly (readonly [protocol: string, list: string])[];
  readonly forwards: readonly Forward[];
}

export interface HostPortInput {
  readonly objects: Iterable<KubeObject>;
  readonly nodeName: string;
  readonly family: IpFamily;
}

export function hostPortView(input: HostPortInput, podCidrs: readonly Cidr[]): HostPortView {
  return { pods: podForwards(input), sources: markedSources(podCidrs, input.family) };
}

/** Of the pods that run on a node, in the order of their names. */
export function hostPortForwards(input: HostPortInput): Forward[] {
  return podForwards(input).flatMap(({ forwards }) => forwards);
}

function podForwards({ objects, nodeName, family }: HostPortInput): PodForwards[] {
  const list: PodForwards[] = [];
  for (const object of objects) {
    if (object.kind !== "Pod") continue;
    const pod = object as Pod;
    const { spec, status } = pod;
    const hasEnded = status?.phase === "Succeeded" || status?.phase === "Failed";
    if (spec.nodeName !== nodeName || spec.hostNetwork === true || hasEnded) continue;
    const address = (status?.podIPs ?? [])
      .flatMap(({ ip = "" }) => parseIp(ip) ?? [])
      .find((each) => each.family === family);
    if (address === undefined || hostPortsOf(spec).length === 0) continue;
    list.push({ pod: keyOf(pod), ports: portLists(pod), forwards: forwardsOf(pod, address) });
  }
  return list.sort((a, b) => (a.pod < b.pod ? -1 : 1));
}

function portLists({ spec }: Pod): [protocol: string, list: string][] {
  const byProtocol = new Map<string, number[]>();
  for (const { protocol, hostPort } of hostPortsOf(spec)) {
    const name = protocol.toLowerCase();
    byProtocol.set(name, [...(byProtocol.get(name) ?? []), hostPort]);
  }
  return [...byProtocol.keys()].sort().flatMap((protocol) => {
    const ports = byProtocol.get(protocol) ?? [];
    const count = Math.ceil(ports.length / PORTS_A_RULE);
    return Array.from({ length: count }, (_, i): [string, string] => [
      protocol,
      ports.slice(i * PORTS_A_RULE, (i + 1) * PORTS_A_RULE).join(),
    ]);
  });
}

function forwardsOf(pod: Pod, address: Ip): Forward[] {
  return hostPortsOf(pod.spec).flatMap(({ hostIP, hostPort, protocol, containerPort }) => {
    const at = parseIp(hostIP);
    if (at !== null && at.family !== address.family) return [];
    const isAny = at === null || isUnspecified(at);
    return {
      pod: keyOf(pod),
      protocol: protocol.toLowerCase(),
      port: hostPort,
      hostIP: isAny ? "" : formatIp(at),
      to: formatIpPort(address, containerPort),
    };
  });
}

function isUnspecified({ family, w0, w1, w2, w3 }: Ip): boolean {
  return family === 4 ? w3 === 0 : (w0 | w1 | w2 | w3) === 0;
}

/** The address that the bridge plug-in gives a pod has the bridge's prefix: its whole network is marked. */
function markedSources(podCidrs: readonly Cidr[], family: IpFamily): string[] {
  const own = podCidrs.filter((range) => range.family === family);
  const ranges = own.map((range) => formatCidr(network(range, range.prefixLen)));
  return family === 4 ? [...ranges, "127.0.0.1/32"] : ranges;
}

/** Chains and rules behind kube-proxy's; none when no pod of the node has a host port. */
export function portmapChains(nat: RestoreTable, { pods, sources }: HostPortView, family: IpFamily): void {
  if (pods.length === 0) return;
  nat.chain("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ");
  nat.chain(...pods.map(({ pod }) => hostPortChain(pod)));
  for (const hook of ["PREROUTING", "OUTPUT"]) {
    nat.rule(hook, "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT");
  }
  nat.insert("POSTROUTING", comment("CNI portfwd requiring masquerade"), "-j CNI-HOSTPORT-MASQ");
  nat.rule("CNI-HOSTPORT-MASQ", `-m mark --mark ${MARK} -j MASQUERADE`);
  nat.rule("CNI-HOSTPORT-SETMARK", comment("CNI portfwd masquerade mark"), `-j MARK --set-xmark ${MARK}`);
  for (const { pod, ports, forwards } of pods) {
    const chain = hostPortChain(pod);
    for (const [protocol, list] of ports) {
      const name = comment(`dnat name: \\"cbr0\\" id: \\"${pod}\\"`);
      nat.rule("CNI-HOSTPORT-DNAT", `-p ${protocol}`, name, `-m multiport --dports ${list} -j ${chain}`);
    }
    for (const { protocol, port, hostIP, to } of forwards) {
      const at = hostIP === "" ? "" : `-d ${hostIP}/${family === 4 ? 32 : 128}`;
      const match = `-p ${protocol} -m ${protocol} --dport ${port}`;
      for (const source of sources) nat.rule(chain, `-s ${source}`, at, match, "-j CNI-HOSTPORT-SETMARK");
      nat.rule(chain, at, match, `-j DNAT --to-destination ${to}`);
    }
  }
}

/** The same as commands for a table of its own, behind kube-proxy's; "" when no pod of the node has a host port. */
export function portmapTable({ pods, sources }: HostPortView, family: IpFamily): string {
  const forwards = pods.flatMap((each) => each.forwards);
  if (forwards.length === 0) return "";
  const ip = family === 4 ? "ip" : "ip6";
  const table = `${ip} cni_hostport`;
  const lines = [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    `add chain ${table} hostports`,
    `add chain ${table} prerouting { type nat hook prerouting priority -90 ; }`,
    `add chain ${table} output { type nat hook output priority -90 ; }`,
    `add chain ${table} masquerading { type nat hook postrouting priority 90 ; }`,
    `add rule ${table} prerouting fib daddr type local jump hostports`,
    `add rule ${table} output fib daddr type local jump hostports`,
    `add rule ${table} masquerading meta mark and ${MARK_BIT} == ${MARK_BIT} masquerade`,
  ];
  for (const { pod, protocol, port, hostIP, to } of forwards) {
    const match = `${hostIP === "" ? "" : `${ip} daddr ${hostIP} `}${protocol} dport ${port}`;
    for (const source of sources) {
      const mark = `meta mark set meta mark or ${MARK_BIT}`;
      lines.push(`add rule ${table} hostports ${match} ${ip} saddr ${source} ${mark}`);
    }
    lines.push(`add rule ${table} hostports ${match} dnat to ${to} comment "${pod}"`);
  }
  return `${lines.join("\n")}\n`;
}
