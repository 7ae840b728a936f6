/**
 * What kube-proxy's work is called in each of its modes: chains, maps, sets and virtual servers, as people find them in
 * iptables-save, `nft list ruleset` and ipvsadm. Host ports are the portmap plug-in's: iptables rules, or in
 * nftables mode a table of its own.
 */

import { protocolName } from "../../observe/conntrack-entry.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";
import { formatEnd } from "./capture-comment.ts";
import { entryHook, filterHook, type Hook, refusalHook, sourceHook, wayOf } from "./hooks.ts";
import {
  endpointChain,
  hostPortChain,
  hostPortOwner,
  nftEndpointName,
  nftServiceName,
  serviceChain,
} from "./kube-chains.ts";
import { translations } from "./packet-ends.ts";

type Step = TraceRecord;
type Hookless = Omit<TraceRecord, "hook">;
export type MasqueradeReason = NonNullable<TraceRecord["masquerade"]>;

export interface ProxyWords {
  /** Where destinations are translated, packets filtered, sources translated: as hooks, and at the head of a line. */
  natHook(step: Hookless): string;
  filterHook(step: Hookless): string;
  sourceHook(step: Hookless): string;
  filterText(step: Hookless): string;
  sourceText(step: Hookless): string;
  /** What became of a new connection's first packet. */
  backend(step: Step): string;
  /** The source was rewritten, "a → b". */
  masquerade(change: string, why: MasqueradeReason): string;
}

/** The rules' way to a pod's host port. */
function hostPort(step: Step, service: string, owner: string): string {
  if (step.mode === "nftables") {
    const mark = step.masquerade === undefined ? "" : ", marked for masquerading";
    return `cni_hostport: hostports ${dnat(step)} (${service})${mark}`;
  }
  const chain = hostPortChain(owner);
  const mark = step.masquerade === undefined ? "" : ", CNI-HOSTPORT-SETMARK";
  return `nat CNI-HOSTPORT-DNAT → ${chain} ${dnat(step)} (${service})${mark}`;
}

function dnat(step: Step): string {
  return translations(step, step.from, step.to).join(", ");
}

function protocolOf(step: Step): string {
  return protocolName(step.protocol);
}

const PLAIN_REASONS = { hairpin: "the pod reaches itself", egress: "a pod leaves the cluster" } as const;

/** Reasons for which kube-proxy's rules refuse a packet, rather than the plane. */
const REFUSALS = ["SERVICE_SOURCE_RANGE", "SERVICE_NO_ENDPOINTS", "SERVICE_NO_LOCAL_ENDPOINTS"];

/** Iptables' names: of its own chains where the mode has none. */
const PLACES = {
  natHook: (step) =>
    REFUSALS.includes(step.dropReason ?? "")
      ? `${refusalHook(wayOf(step))} filter`
      : `${entryHook(wayOf(step))} nat`,
  filterHook: (step) => `${filterHook(wayOf(step))} filter`,
  sourceHook: (step) => `${sourceHook(wayOf(step))} nat`,
  filterText: (step) => `filter ${filterHook(wayOf(step))}`,
  sourceText: (step) => `nat ${sourceHook(wayOf(step))}`,
} satisfies Omit<ProxyWords, "backend" | "masquerade">;

const iptables: ProxyWords = {
  ...PLACES,
  backend(step) {
    const { service } = step;
    if (service === undefined) return "nat KUBE-SERVICES: no service claims it";
    if (step.verdict === "drop") return iptablesRefusal(step, service);
    const chains = iptablesChains(step, service).join(" → ");
    return `nat ${chains} ${dnat(step)} (${service})${step.masquerade === undefined ? "" : ", KUBE-MARK-MASQ"}`;
  },
  masquerade: (change, why) => `nat POSTROUTING MASQUERADE ${change} (${iptablesReason(why)})`,
};

function iptablesReason(why: MasqueradeReason): string {
  if (why === "service") return "KUBE-MARK-MASQ was set";
  return why === "hostPort" ? "CNI-HOSTPORT-SETMARK was set" : PLAIN_REASONS[why];
}

/** KUBE-SERVICES → (KUBE-NODEPORTS →) (KUBE-FW →) (KUBE-EXT →) KUBE-SVC or KUBE-SVL → KUBE-SEP. */
function iptablesChains(step: Step, service: string): string[] {
  const chain = (kind: "SVC" | "SVL" | "EXT" | "FW"): string => serviceChain(service, protocolOf(step), kind);
  const isExternal = step.frontend !== undefined && step.frontend !== "ClusterIP";
  return [
    "KUBE-SERVICES",
    ...(step.frontend === "node port" ? ["KUBE-NODEPORTS"] : []),
    ...(step.sourceRanges === true ? [chain("FW")] : []),
    ...(isExternal ? [chain("EXT")] : []),
    chain(step.localOnly === true ? "SVL" : "SVC"),
    endpointChain(service, protocolOf(step), formatEnd(step.to, "dst")),
  ];
}

/** What nobody serves has rules in the filter table alone. */
function iptablesRefusal(step: Step, service: string): string {
  const chain = step.frontend === "ClusterIP" ? "KUBE-SERVICES" : "KUBE-EXTERNAL-SERVICES";
  switch (step.dropReason) {
    case "SERVICE_SOURCE_RANGE":
      return `filter KUBE-PROXY-FIREWALL (${service})`;
    case "SERVICE_NO_ENDPOINTS":
    case "SERVICE_NO_LOCAL_ENDPOINTS":
      return `filter ${chain} (${service})`;
    default:
      return `nat KUBE-SERVICES (${service})`;
  }
}

const nftables: ProxyWords = {
  natHook: nftNatHook,
  filterHook: (step) => chainAt("filter", filterHook(wayOf(step))),
  sourceHook: nftSource,
  filterText: (step) => chainAt("filter", filterHook(wayOf(step))),
  sourceText: nftSource,
  backend(step) {
    const { service } = step;
    if (step.verdict === "drop") return nftablesRefusal(step, service ?? "");
    if (service === undefined) return "services: no map has this destination";
    const mark = step.masquerade === undefined ? "" : ", mark-for-masquerade";
    return `${nftablesChains(step, service).join(" → ")} ${dnat(step)} (${service})${mark}`;
  },
  masquerade: (change, why) => `nat-postrouting masquerade ${change} (${nftablesReason(why)})`,
};

/** kube-proxy's table has a base chain for each hook that it uses. */
function chainAt(what: "filter" | "nat", hook: Hook): string {
  return `${what}-${hook.toLowerCase()}`;
}

function nftNatHook(step: Hookless): string {
  const way = wayOf(step);
  switch (step.dropReason) {
    case "SERVICE_SOURCE_RANGE":
      return `${chainAt("filter", entryHook(way))}-pre-dnat`;
    case "SERVICE_NO_ENDPOINTS":
    case "SERVICE_NO_LOCAL_ENDPOINTS":
    case "SERVICE_PORT_UNKNOWN":
    case "SERVICE_IP_UNUSED":
      return chainAt("filter", refusalHook(way));
    default:
      return chainAt("nat", entryHook(way));
  }
}

/** Its table has no nat chain at INPUT: there, the kernel's own doing. */
function nftSource(step: Hookless): string {
  const hook = sourceHook(wayOf(step));
  return hook === "INPUT" ? "nat INPUT" : chainAt("nat", hook);
}

function nftablesReason(why: MasqueradeReason): string {
  if (why === "service") return "mark-for-masquerade was set";
  return why === "hostPort" ? "marked by cni_hostport" : PLAIN_REASONS[why];
}

function nftablesChains(step: Step, service: string): string[] {
  const base = nftServiceName(service, protocolOf(step));
  const isExternal = step.frontend !== undefined && step.frontend !== "ClusterIP";
  return [
    "services",
    ...(isExternal ? [`external-${base}`] : []),
    `${step.localOnly === true ? "local" : "service"}-${base}`,
    `endpoint-${nftEndpointName(service, protocolOf(step), step.to.dst, step.to.dport ?? 0)}`,
  ];
}

function nftablesRefusal(step: Step, service: string): string {
  const kind = step.frontend === "node port" ? "nodeport" : "service";
  switch (step.dropReason) {
    case "SERVICE_SOURCE_RANGE":
      return `firewall-check → firewall-${nftServiceName(service, protocolOf(step))}`;
    case "SERVICE_NO_ENDPOINTS":
      return `${kind}-endpoints-check → reject-chain (${service})`;
    case "SERVICE_NO_LOCAL_ENDPOINTS":
      return `${kind}-endpoints-check (${service})`;
    default:
      return "cluster-ips-check";
  }
}

const ipvs: ProxyWords = {
  ...PLACES,
  natHook: ipvsHook,
  backend(step) {
    const { service } = step;
    if (step.verdict === "consumed")
      return `ip_vs: ${step.from.dst} is bound to kube-ipvs0, the node answers`;
    if (step.verdict === "drop") return ipvsRefusal(step, service ?? "");
    if (service === undefined) {
      return isSeenByIpvs(step)
        ? "ip_vs: no virtual server has this destination"
        : "nat KUBE-SERVICES: no set has this destination";
    }
    const mark = step.masquerade === "service" ? ", KUBE-MARK-MASQ" : "";
    const server = `${protocolOf(step).toUpperCase()} ${formatEnd(step.from, "dst")}`;
    return `ip_vs ${server} → ${formatEnd(step.to, "dst")} Masq (${service})${mark}`;
  },
  masquerade: (change, why) => `nat POSTROUTING MASQUERADE ${change} (${ipvsReason(why)})`,
};

/** Service addresses are the node's own, so ip_vs looks at what is for the node, and at what it sends. */
function isSeenByIpvs(step: Hookless): boolean {
  const { isOwn, toNode } = wayOf(step);
  return isOwn || toNode || step.service !== undefined || step.verdict !== "next";
}

function ipvsHook(step: Hookless): string {
  if (step.dropReason === "SERVICE_SOURCE_RANGE" || step.dropReason === "SERVICE_PORT_UNKNOWN")
    return "INPUT filter";
  const isHostPort = hostPortOwner(step.service ?? "") !== undefined;
  if (isHostPort || !isSeenByIpvs(step)) return PLACES.natHook(step);
  return step.own === true ? "OUTPUT ip_vs" : "INPUT ip_vs";
}

function ipvsReason(why: MasqueradeReason): string {
  return why === "hairpin" ? "KUBE-LOOP-BACK: the pod reaches itself" : iptablesReason(why);
}

function ipvsRefusal(step: Step, service: string): string {
  switch (step.dropReason) {
    case "SERVICE_SOURCE_RANGE":
      return `filter KUBE-SOURCE-RANGES-FIREWALL (${service})`;
    case "SERVICE_PORT_UNKNOWN":
      return "filter KUBE-IPVS-FILTER";
    default: {
      const server = `${protocolOf(step).toUpperCase()} ${formatEnd(step.from, "dst")}`;
      return `ip_vs ${server} (${service})`;
    }
  }
}

const userspace: ProxyWords = {
  ...PLACES,
  natHook: (step) => `${entryHook(wayOf(step))} nat`,
  sourceHook: (step) => (wayOf(step).isRelayed ? "proxy socket" : PLACES.sourceHook(step)),
  backend(step) {
    const { service } = step;
    const place = step.source === "node" ? "HOST" : "CONTAINER";
    if (service === undefined) return `nat KUBE-PORTALS-${place}: no portal has this destination`;
    const chain = `KUBE-${step.frontend === "node port" ? "NODEPORT" : "PORTALS"}-${place}`;
    const portal = `nat ${chain} → kube-proxy (${service})`;
    return step.verdict === "drop" ? portal : `${portal} dials ${formatEnd(step.to, "dst")}`;
  },
  masquerade: (change, why) =>
    why === "egress" || why === "hostPort"
      ? iptables.masquerade(change, why)
      : `the connection is kube-proxy's own: ${change}`,
};

const MODES: Readonly<Record<string, ProxyWords>> = { iptables, nftables, ipvs, userspace };

function withHostPorts(words: ProxyWords): ProxyWords {
  return {
    ...words,
    backend(step) {
      const { service = "" } = step;
      const owner = hostPortOwner(service);
      return owner === undefined ? words.backend(step) : hostPort(step, service, owner);
    },
  };
}

const ALL = new Map(Object.entries(MODES).map(([mode, words]) => [mode, withHostPorts(words)]));
const DEFAULT = withHostPorts(iptables);

export function proxyWords(mode: string): ProxyWords {
  return ALL.get(mode) ?? DEFAULT;
}
