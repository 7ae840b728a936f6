// AgentConfiguration (podwire.dev/v1alpha1): what one node's agent has to know before it sees any object.

import { type Cidr, formatCidr, type Ip, overlaps, parseIp } from "../base/ip.ts";
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import { readStrictCidr } from "../kube/validate/names.ts";
import { AGENT_SOCKET } from "./agent-socket.ts";
import { type ConntrackSysctls, conntrackSysctls } from "./conntrack.ts";
import { type ProxyConfig, readProxyConfig } from "./proxy.ts";
import { checkSchema } from "./schema.ts";
import { readWorkers, type Workers } from "./workers.ts";
import { checkWritten } from "./written-files.ts";

export type OverlayConfig =
  | {
      readonly type: "vxlan";
      readonly vni: number;
      readonly port: number;
      /** Pods of nodes on the fabric are reached without the tunnel. */
      readonly directRouting?: boolean;
      /** Outer source ports; left out: SOURCE_PORTS. */
      readonly sourcePortRange?: PortRange;
      /** How many of them are used; left out: as many as suit bundles, or all. */
      readonly sourcePorts?: number;
    }
  | { readonly type: "none" };

/** Ports, both ends included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** An API server to follow. */
export interface KubernetesSource {
  /** Files as in $KUBECONFIG; without one, that variable or what a pod is given. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** Addresses instead of the one that is named there. */
  readonly servers?: readonly string[];
  /** Keeps what is known for a start without the server; "": nothing is kept. */
  readonly stateFile?: string;
}

export interface CniConfig {
  /** Where it is kept which container has which addresses. */
  readonly leaseFile: string;
}

/** RFC 7348 §5: the dynamic range. */
export const SOURCE_PORTS: PortRange = { first: 49_153, last: 65_535 }; // 49152: tcpdump takes it for Broadcom's LI

/** The device of the node's own programs, when nobody names another. */
export const HOST_DEVICE = "host0";

export interface AgentConfig {
  readonly nodeName: string;
  readonly clusterCidrs: readonly Cidr[];
  readonly serviceCidrs: readonly Cidr[];
  /** Networks on the uplink. Empty: the /24 (or /64) of the node's own addresses. */
  readonly fabricCidrs: readonly Cidr[];
  readonly overlay: OverlayConfig;
  /** This node's end of the tunnel is written into its Node object, as flannel does it. */
  readonly flannelAnnotations: boolean;
  /** Network namespace of uplink and host0; "": the process's own. */
  readonly netns: string;
  readonly uplink: {
    /** "": the device by which the machine has its default route, or that has the node's address. */
    readonly interface: string;
    /** Nobody named it: it may be another one that has the node's address. */
    readonly isChosen?: boolean;
    readonly driver: "packet" | "pcap";
    /** Left out: what suits the device; see agent/settle-uplink.ts. */
    readonly mode?: "shared" | "exclusive";
    /** Source ports of what is masqueraded where the uplink is shared. */
    readonly masqueradePorts: PortRange;
    /** Next hops of the default routes, at most one of each family. */
    readonly gateways: readonly Ip[];
  };
  readonly host: { readonly interface: string };
  /** The API server's --service-node-port-range; null: the node's own packets to node ports stay on lo. */
  readonly nodePortRange: PortRange | null;
  readonly socket: string;
  readonly source: { readonly files: readonly string[] } | { readonly kubernetes: KubernetesSource };
  readonly proxy: ProxyConfig;
  readonly conntrackMax: number;
  readonly conntrackSysctls: ConntrackSysctls;
  /** Read FTP's control connections for the data connections they announce. */
  readonly ftpHelper: boolean;
  /** Data-plane threads, over which ports are spread. */
  readonly workers: Workers;
  readonly spinMicroseconds: number;
  /** How long the data plane sleeps after each turn of a stream that nobody answers, µs; 0: not at all. */
  readonly pauseMicroseconds: number;
  /** How soon idle cores are to run again while there is load, µs; -1: not asked for; null: what suits the machine. */
  readonly cpuLatencyMicroseconds: number | null;
  /** Nice value of the data-plane thread. */
  readonly nice: number;
  /** Pods are held to their own MAC and addresses. */
  readonly antiSpoofing: boolean;
  /** New connections go to the endpoint that has the fewest, in any mode but userspace. */
  readonly leastConnections: boolean;
  /** TCP clients of endpoints that were removed get a reset. */
  readonly resetRemovedEndpoints: boolean;
  /** The MSS in a SYN is lowered to what fits the path (iptables: TCPMSS --clamp-mss-to-pmtu). */
  readonly mssClamp: boolean;
  /** Clients of services reach pods of this node, and of others that have it, too, with their own addresses. */
  readonly keepClientAddress: boolean;
  /** What the UDP that waits in one device may cost, KiB (native/queue-bound.c); 0: whatever. */
  readonly datagramQueueKiB: number;
  /** UDP datagrams of a flow enter a pod joined … */
  readonly joinDatagrams: boolean;
  /** … also those without a checksum. */
  readonly joinWithoutChecksum: boolean;
  /** Frames that leave into the tunnel together do so as superframes, where kernel and uplink can cut them. */
  readonly tunnelBundles: boolean;
  /** TCP superframes enter the tunnel whole, where the kernel can cut them there. */
  readonly tunnelGso: boolean;
  /** Containers get their network by CNI; null: they do not. */
  readonly cni: CniConfig | null;
  /** What becomes of connections that policies forbid by now: they go on, or are cut by their next packet. */
  readonly policyEstablished: "keep" | "recheck";
  /** What becomes of new connections that are the mesh's while the node's proxy is not ready. */
  readonly meshWhenAway: "refuse" | "bypass";
}

export interface RawOverlay {
  type: string;
  vni?: number;
  port?: number;
  directRouting?: boolean;
  flannel?: boolean;
  sourcePortRange?: string;
  sourcePorts?: number;
}

/** Which Node object it is, when its file does not say, or whatever its file says. */
export interface NodeNames {
  /** Comes before the file's. */
  readonly told?: string | undefined;
  /** Where neither says one. */
  readonly machine?: string | undefined;
}

interface RawAgent {
  nodeName?: string;
  clusterCIDR: string;
  serviceCIDR: string;
  fabricCIDR?: string;
  overlay?: RawOverlay;
  netns?: string;
  uplink?: {
    interface?: string;
    driver?: "packet" | "pcap";
    mode?: "shared" | "exclusive";
    gateway?: string;
    masqueradePorts?: string;
  };
  host?: { interface: string };
  nodePortRange?: string;
  socket?: string;
  source: AgentConfig["source"];
  proxy?: unknown;
  conntrack?: { max?: number; helpers?: string[] } & ConntrackSysctls;
  dataplane?: {
    workers?: unknown;
    spinMicroseconds?: number;
    pauseMicroseconds?: number;
    cpuLatencyMicroseconds?: number;
    nice?: number;
    antiSpoofing?: boolean;
    mssClamp?: boolean;
    leastConnections?: boolean;
    resetRemovedEndpoints?: boolean;
    keepClientAddress?: boolean;
    datagramQueueKiB?: number;
    joinDatagrams?: boolean;
    joinWithoutChecksum?: boolean;
    tunnelBundles?: boolean;
    tunnelGso?: boolean;
  };
  policy?: { established?: "keep" | "recheck" };
  mesh?: { whenAway?: "refuse" | "bypass" };
  cni?: { leaseFile?: string };
}

const CONNTRACK_MAX = 262_144;
const NODE_PORTS = "30000-32767";
const PORT_MAX = 65_535;
/** Above most of what Linux gives to programs (32768-60999), which keep the greater part of it. */
const MASQUERADE_PORTS = "50000-65535";
const MASQUERADE_PORTS_MIN = 1024;
const SPIN_US = 100; // one TCP stream on one node of 2 cores, Gbit/s: 9 at 0, 10.7 at 50, 11.6 at 100, 11 at 200
const PAUSE_US = 100; // UDP at 800 Mbit/s on 2 busy cores, lost: 6.1 % at 0, 3.6 at 30, 3.5 at 60, 2.5 at 100
const NICE = -20; // with -10 the p99 of a ping over two nodes under load is half as much again (scripts/soak)

/** Schema and values of an AgentConfiguration; undefined when there are problems. */
export function agentConfig(
  value: unknown,
  problems: FieldProblems,
  names: NodeNames = {},
): AgentConfig | undefined {
  checkSchema("AgentConfiguration", value, problems);
  if (problems.any) return undefined;
  const raw = value as RawAgent;
  const nodeName = names.told ?? raw.nodeName ?? names.machine ?? "";
  const { clusterCidrs, serviceCidrs } = rangesOf(raw, problems);
  const proxy = readProxyConfig(raw.proxy, problems, ["proxy"], clusterCidrs.map(formatCidr).join(","));
  const config: AgentConfig = {
    nodeName,
    clusterCidrs,
    serviceCidrs,
    fabricCidrs: cidrList(["fabricCIDR"], raw.fabricCIDR ?? "", problems),
    overlay: overlayConfig(raw.overlay, ["overlay"], problems),
    flannelAnnotations: raw.overlay?.flannel ?? "kubernetes" in raw.source,
    netns: raw.netns ?? "",
    uplink: uplinkConfig(raw, problems),
    host: { interface: raw.host?.interface ?? HOST_DEVICE },
    nodePortRange: portRange(["nodePortRange"], raw.nodePortRange ?? NODE_PORTS, problems),
    socket: raw.socket ?? AGENT_SOCKET,
    source: raw.source,
    proxy,
    conntrackMax: raw.conntrack?.max ?? CONNTRACK_MAX,
    conntrackSysctls: conntrackSysctls(raw.conntrack ?? {}),
    ftpHelper: raw.conntrack?.helpers?.includes("ftp") ?? false,
    workers: readWorkers(
      raw.dataplane?.workers,
      { mode: proxy.mode, drivers: [raw.uplink?.driver] },
      ["dataplane", "workers"],
      problems,
    ),
    spinMicroseconds: raw.dataplane?.spinMicroseconds ?? SPIN_US,
    pauseMicroseconds: raw.dataplane?.pauseMicroseconds ?? PAUSE_US,
    cpuLatencyMicroseconds: raw.dataplane?.cpuLatencyMicroseconds ?? null,
    nice: raw.dataplane?.nice ?? NICE,
    antiSpoofing: raw.dataplane?.antiSpoofing ?? true,
    leastConnections: raw.dataplane?.leastConnections ?? false,
    resetRemovedEndpoints: raw.dataplane?.resetRemovedEndpoints ?? false,
    mssClamp: raw.dataplane?.mssClamp ?? false,
    keepClientAddress: raw.dataplane?.keepClientAddress ?? false,
    datagramQueueKiB: raw.dataplane?.datagramQueueKiB ?? 0,
    joinDatagrams: raw.dataplane?.joinDatagrams ?? true,
    joinWithoutChecksum: raw.dataplane?.joinWithoutChecksum ?? false,
    tunnelBundles: raw.dataplane?.tunnelBundles ?? true,
    tunnelGso: raw.dataplane?.tunnelGso ?? true,
    policyEstablished: raw.policy?.established ?? "keep",
    meshWhenAway: raw.mesh?.whenAway ?? "refuse",
    cni: cniConfig(raw, nodeName),
  };
  checkKeepClientAddress(raw, [], problems);
  checkWrittenFiles(raw, problems);
  if (raw.overlay?.flannel === true && !("kubernetes" in raw.source))
    problems.forbidden(["overlay", "flannel"], "may only be used when `source` is 'kubernetes'");
  return problems.any ? undefined : config;
}

function cniConfig({ cni }: RawAgent, nodeName: string): CniConfig | null {
  return cni === undefined
    ? null
    : { leaseFile: cni.leaseFile ?? `/var/lib/podwire/${nodeName}.leases.json` };
}

function checkWrittenFiles({ socket, source, cni }: RawAgent, problems: FieldProblems): void {
  checkWritten(["socket"], socket, problems);
  checkWritten(["cni", "leaseFile"], cni?.leaseFile, problems);
  if (!("kubernetes" in source)) return;
  checkWritten(["source", "kubernetes", "stateFile"], source.kubernetes.stateFile, problems);
}

/** What only one of the modes has is not taken with the other. */
function uplinkConfig({ uplink = {}, fabricCIDR }: RawAgent, problems: FieldProblems): AgentConfig["uplink"] {
  const { driver = "packet", mode, gateway, masqueradePorts = MASQUERADE_PORTS } = uplink;
  const own = "may only be used when `uplink.mode` is 'exclusive': otherwise the machine's routes count";
  if (mode === "shared") {
    if (gateway !== undefined) problems.forbidden(["uplink", "gateway"], own);
    if (fabricCIDR !== undefined) problems.forbidden(["fabricCIDR"], own);
    if (driver === "pcap") problems.forbidden(["uplink", "driver"], "must be packet when `mode` is 'shared'");
  } else if (mode === "exclusive") {
    if (uplink.interface === undefined) problems.required(["uplink", "interface"]);
    if (uplink.masqueradePorts !== undefined)
      problems.forbidden(["uplink", "masqueradePorts"], "may only be used when `mode` is 'shared'");
  }
  const ports = readPortRange(masqueradePorts);
  if (ports === null || ports.first < MASQUERADE_PORTS_MIN) {
    const wanted = `must be a range of ports from ${MASQUERADE_PORTS_MIN} on, (e.g. 50000-65535)`;
    problems.invalid(["uplink", "masqueradePorts"], masqueradePorts, wanted);
  }
  return {
    ...{ interface: uplink.interface ?? "", driver, ...(mode !== undefined && { mode }) },
    gateways: ipList(["uplink", "gateway"], gateway ?? "", problems),
    masqueradePorts: ports ?? { first: 0, last: 0 },
  };
}

/** What is said of a tunnel that there is not, and ports that do not fit the range, is not taken. */
export function overlayConfig(
  raw: RawOverlay = { type: "vxlan" },
  at: FieldPath,
  problems: FieldProblems,
): OverlayConfig {
  const { type, vni = 1, port = 8472, directRouting = false, sourcePortRange, sourcePorts } = raw;
  if (type === "none") {
    for (const field of Object.keys(raw).filter((name) => name !== "type" && name !== "flannel"))
      problems.forbidden([...at, field], "may only be used when `type` is 'vxlan'");
    return { type };
  }
  const range = sourcePortRange === undefined ? SOURCE_PORTS : readPortRange(sourcePortRange);
  if (range === null) {
    const wanted = "must be a range of ports, (e.g. 49152-65535)";
    problems.invalid([...at, "sourcePortRange"], sourcePortRange, wanted);
  } else if (sourcePorts !== undefined && sourcePorts > range.last - range.first + 1) {
    const most = `must be at most ${range.last - range.first + 1}, the ports of sourcePortRange`;
    problems.invalid([...at, "sourcePorts"], sourcePorts, most);
  }
  return {
    ...{ type: "vxlan", vni, port },
    ...(directRouting && { directRouting }),
    ...(sourcePortRange !== undefined && range !== null && { sourcePortRange: range }),
    ...(sourcePorts !== undefined && { sourcePorts }),
  };
}

/** Without a tunnel there is nobody to go back to; what would do nothing is not taken. */
export function checkKeepClientAddress(
  { dataplane, overlay }: { dataplane?: { keepClientAddress?: boolean }; overlay?: { type: string } },
  at: FieldPath,
  problems: FieldProblems,
): void {
  if (dataplane?.keepClientAddress !== true || overlay?.type !== "none") return;
  problems.forbidden(
    [...at, "dataplane", "keepClientAddress"],
    "may only be used when `overlay.type` is 'vxlan'",
  );
}

/** An address is a pod's or a service's. */
function rangesOf(
  { clusterCIDR, serviceCIDR }: RawAgent,
  problems: FieldProblems,
): Pick<AgentConfig, "clusterCidrs" | "serviceCidrs"> {
  const clusterCidrs = cidrList(["clusterCIDR"], clusterCIDR, problems);
  const serviceCidrs = cidrList(["serviceCIDR"], serviceCIDR, problems);
  for (const range of serviceCidrs) {
    const pods = clusterCidrs.find((each) => overlaps(each, range));
    if (pods === undefined) continue;
    problems.invalid(["serviceCIDR"], serviceCIDR, `must not overlap clusterCIDR, ${formatCidr(pods)}`);
  }
  return { clusterCidrs, serviceCidrs };
}

function cidrList(path: FieldPath, text: string, problems: FieldProblems): Cidr[] {
  if (text === "") return [];
  const list = text.split(",").map((part) => readStrictCidr(problems, path, part.trim()));
  const valid = list.filter((range): range is Cidr => range !== null);
  if (new Set(valid.map((range) => range.family)).size < valid.length) {
    problems.invalid(path, text, "may specify no more than one CIDR for each IP family");
  }
  return valid;
}

function portRange(path: FieldPath, text: string, problems: FieldProblems): PortRange | null {
  if (text === "none") return null;
  const range = readPortRange(text);
  if (range === null) problems.invalid(path, text, 'must be a range of ports, (e.g. 30000-32767), or "none"');
  return range;
}

/** "FIRST-LAST", or null. */
function readPortRange(text: string): PortRange | null {
  const [, first, last] = (/^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []).map(Number);
  return first >= 1 && first <= last && last <= PORT_MAX ? { first, last } : null;
}

function ipList(path: FieldPath, text: string, problems: FieldProblems): Ip[] {
  if (text === "") return [];
  const list = text.split(",").map((part) => parseIp(part.trim()));
  const valid = list.filter((address): address is Ip => address !== null);
  if (valid.length < list.length) {
    problems.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  }
  return valid;
}
