// KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1): kube-proxy's own file, so that people can bring theirs.
// Strict about fields, as kube-proxy is not: a misspelt option that is silently ignored is a bad day later. Addresses are
// read as every kube-proxy reads them, with leading zeros and bits beyond a prefix.
import { type Cidr, formatCidr, formatIp } from "../base/ip.ts";
import { readCidr, readIp } from "../base/loose-ip.ts";
import { decode } from "../kube/manifest/decode.ts";
import { type FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import { PROXY_TYPES } from "../kube/manifest/kube-proxy-types.ts";
import { parseDuration } from "./duration.ts";
import { parseHostPort } from "./host-port.ts";

const PROXY_MODES = ["iptables", "ipvs", "nftables", "userspace"] as const;
export type ProxyMode = (typeof PROXY_MODES)[number];
/** What ipvs mode can schedule by. The kernel knows more: lblc, lblcr, ovf, fo, twos. */
export const IPVS_SCHEDULERS = ["dh", "lc", "mh", "nq", "rr", "sed", "sh", "wlc", "wrr"] as const;
const DETECT_LOCAL_MODES = ["BridgeInterface", "ClusterCIDR", "InterfaceNamePrefix", "NodeCIDR"] as const;
export type DetectLocalMode = (typeof DETECT_LOCAL_MODES)[number];

/** What podwire reads of it, with kube-proxy's defaults. Durations in seconds; null = leave the kernel's default. */
export interface ProxyConfig {
  readonly mode: ProxyMode;
  readonly bindAddress: string;
  /** IP:port, or "": no such server. */
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  readonly hostnameOverride: string;
  readonly clusterCidrs: readonly Cidr[];
  readonly detectLocalMode: DetectLocalMode;
  readonly bridgeInterface: string;
  readonly interfaceNamePrefix: string;
  readonly masqueradeAll: boolean;
  readonly masqueradeBit: number;
  /** Node ports on 127.0.0.0/8; iptables mode and IPv4 only. */
  readonly localhostNodePorts: boolean;
  /** CIDRs or "primary"; empty: all addresses (nftables: the primary ones). */
  readonly nodePortAddresses: readonly string[];
  readonly syncPeriodSec: number;
  readonly minSyncPeriodSec: number;
  readonly conntrack: {
    readonly maxPerCore: number;
    readonly min: number;
    readonly tcpEstablishedSec: number | null;
    readonly tcpCloseWaitSec: number | null;
    readonly udpSec: number | null;
    readonly udpStreamSec: number | null;
    readonly tcpBeLiberal: boolean;
  };
  readonly ipvs: {
    readonly scheduler: string;
    readonly excludeCidrs: readonly Cidr[];
    readonly strictArp: boolean;
    readonly tcpSec: number | null;
    readonly tcpFinSec: number | null;
    readonly udpSec: number | null;
  };
}

interface SyncPart {
  syncPeriod?: string;
  minSyncPeriod?: string;
  masqueradeAll?: boolean;
  masqueradeBit?: number;
}

interface RawProxy {
  mode?: string;
  bindAddress?: string;
  healthzBindAddress?: string;
  metricsBindAddress?: string;
  hostnameOverride?: string;
  clusterCIDR?: string;
  detectLocalMode?: string;
  detectLocal?: { bridgeInterface?: string; interfaceNamePrefix?: string };
  nodePortAddresses?: string[];
  oomScoreAdj?: number;
  configSyncPeriod?: string;
  iptables?: SyncPart & { localhostNodePorts?: boolean };
  nftables?: SyncPart;
  ipvs?: SyncPart & {
    scheduler?: string;
    excludeCIDRs?: string[];
    strictARP?: boolean;
    tcpTimeout?: string;
    tcpFinTimeout?: string;
    udpTimeout?: string;
  };
  conntrack?: {
    maxPerCore?: number;
    min?: number;
    tcpEstablishedTimeout?: string;
    tcpCloseWaitTimeout?: string;
    udpTimeout?: string;
    udpStreamTimeout?: string;
    tcpBeLiberal?: boolean;
  };
}

const MODE_TEXT = `must be ${PROXY_MODES.join(", ")} or blank, blank means the best-available proxy [currently iptables]`;
const CIDR_TEXT = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)";
const SYNC_SEC = 30;
const MIN_SYNC_SEC = 1;

/** kube-proxy's behaviour when no file is given. `clusterCidr` stands in for an absent clusterCIDR. */
export function defaultProxyConfig(clusterCidr = ""): ProxyConfig {
  return readProxyConfig({}, new FieldProblems(), [], clusterCidr);
}

/**
 * A whole KubeProxyConfiguration or a part of one; problems are reported below `path`, and defaults stand in for what
 * is wrong. `clusterCidr`: what the cluster's pods have, where the file does not say.
 */
export function readProxyConfig(
  value: unknown,
  problems: FieldProblems,
  path: FieldPath = [],
  clusterCidr = "",
): ProxyConfig {
  const raw = (decode(value ?? {}, "KubeProxyConfiguration", problems, PROXY_TYPES, path) ?? {}) as RawProxy;
  const reader = new Reader(problems, path);
  const mode = reader.mode(raw.mode);
  const sync = (mode === "nftables" ? raw.nftables : mode === "ipvs" ? raw.ipvs : raw.iptables) ?? {};
  const marks = (mode === "nftables" ? raw.nftables : raw.iptables) ?? {};
  const { detectLocalMode = "" } = raw;
  if (detectLocalMode !== "") reader.oneOf("detectLocalMode", detectLocalMode, DETECT_LOCAL_MODES);
  reader.range("oomScoreAdj", raw.oomScoreAdj, -1000, 1000);
  for (const name of ["iptables", "nftables"] as const) {
    reader.range([name, "masqueradeBit"], raw[name]?.masqueradeBit, 0, 31);
  }
  for (const name of ["iptables", "nftables", "ipvs"] as const) reader.periods(name, raw[name] ?? {});
  const config: ProxyConfig = {
    mode,
    bindAddress: reader.ip("bindAddress", raw.bindAddress ?? "", "0.0.0.0"),
    healthzBindAddress: reader.hostPort("healthzBindAddress", raw.healthzBindAddress, "0.0.0.0:10256"),
    metricsBindAddress: reader.hostPort("metricsBindAddress", raw.metricsBindAddress, "127.0.0.1:10249"),
    hostnameOverride: raw.hostnameOverride ?? "",
    clusterCidrs: reader.clusterCidrs(raw.clusterCIDR ?? "", clusterCidr),
    detectLocalMode: (detectLocalMode || "ClusterCIDR") as DetectLocalMode,
    bridgeInterface: raw.detectLocal?.bridgeInterface ?? "",
    interfaceNamePrefix: raw.detectLocal?.interfaceNamePrefix ?? "",
    masqueradeAll: marks.masqueradeAll ?? false,
    masqueradeBit: marks.masqueradeBit ?? 14,
    localhostNodePorts: mode === "iptables" && (raw.iptables?.localhostNodePorts ?? true),
    nodePortAddresses: reader.nodePortAddresses(raw.nodePortAddresses ?? []),
    syncPeriodSec: parseDuration(sync.syncPeriod ?? "") || SYNC_SEC,
    minSyncPeriodSec: parseDuration(sync.minSyncPeriod ?? "") ?? MIN_SYNC_SEC,
    conntrack: reader.conntrack(raw.conntrack ?? {}),
    ipvs: reader.ipvs(raw.ipvs ?? {}),
  };
  reader.detector(config);
  return config;
}

/** Reads single fields, reporting what is wrong with each. */
class Reader {
  readonly #problems: FieldProblems;
  readonly #path: FieldPath;

  constructor(problems: FieldProblems, path: FieldPath) {
    this.#problems = problems;
    this.#path = path;
  }

  mode(text = ""): ProxyMode {
    if ((PROXY_MODES as readonly string[]).includes(text)) return text as ProxyMode;
    if (text !== "") this.#problems.invalid(this.#at("mode"), text, MODE_TEXT);
    return "iptables";
  }

  oneOf(field: string, text: string, supported: readonly string[]): void {
    this.#problems.oneOf(this.#at(field), text, supported);
  }

  range(field: string | FieldPath, n: number | undefined, min: number, max: number): void {
    if (n === undefined || (n >= min && n <= max)) return;
    this.#problems.invalid(this.#at(field), n, `must be within the range [${min}, ${max}]`);
  }

  ip(field: string, text: string, otherwise: string): string {
    if (text === "") return otherwise;
    const address = readIp(text);
    if (address !== null) return formatIp(address);
    this.#problems.invalid(this.#at(field), text, "not a valid textual representation of an IP address");
    return otherwise;
  }

  /** "" switches the server off. */
  hostPort(field: string, text: string | undefined, otherwise: string): string {
    if (text === undefined || text === "" || parseHostPort(text) !== null) return text ?? otherwise;
    this.#problems.invalid(this.#at(field), text, "must be IP:port");
    return otherwise;
  }

  duration(field: FieldPath, text: string | undefined, otherwise: number | null): number | null {
    if (text === undefined) return otherwise;
    const sec = parseDuration(text);
    if (sec === null) {
      this.#problems.invalid(this.#at(field), text, "must be a duration such as 30s or 1h0m0s");
    } else if (sec < 0) this.#problems.invalid(this.#at(field), text, "must be greater than or equal to 0");
    return sec === null || sec < 0 ? otherwise : sec;
  }

  periods(name: string, part: SyncPart): void {
    const sync = this.duration([name, "syncPeriod"], part.syncPeriod, SYNC_SEC) || SYNC_SEC;
    const min = this.duration([name, "minSyncPeriod"], part.minSyncPeriod, MIN_SYNC_SEC) ?? 0;
    if (min <= sync) return;
    const detail = `must be greater than or equal to ${name}.minSyncPeriod`;
    this.#problems.invalid(this.#at([name, "syncPeriod"]), part.syncPeriod ?? "30s", detail);
  }

  clusterCidrs(text: string, otherwise: string): Cidr[] {
    const list = (text || otherwise).split(",").filter((part) => part !== "");
    const parsed = list.map((part) => readCidr(part.trim()));
    if (parsed.includes(null)) this.#problems.invalid(this.#at("clusterCIDR"), text, CIDR_TEXT);
    const valid = parsed.filter((range): range is Cidr => range !== null);
    if (new Set(valid.map((range) => range.family)).size < valid.length) {
      const detail =
        "only one CIDR allowed or a valid DualStack CIDR (e.g. 10.100.0.0/16,fde4:8dba:82e1::/48)";
      this.#problems.invalid(this.#at("clusterCIDR"), text, detail);
    }
    return valid;
  }

  nodePortAddresses(list: readonly string[]): readonly string[] {
    for (const [i, text] of list.entries()) {
      if (text === "primary") {
        if (i === 0 && list.length === 1) continue;
        this.#problems.invalid(
          this.#at(["nodePortAddresses", i]),
          text,
          "can't use both 'primary' and CIDRs",
        );
      } else if (readCidr(text) === null) {
        this.#problems.invalid(this.#at(["nodePortAddresses", i]), text, "must be a valid CIDR");
      }
    }
    return list.flatMap((text) => {
      const range = readCidr(text);
      return text === "primary" ? text : range === null ? [] : formatCidr(range);
    });
  }

  conntrack(raw: NonNullable<RawProxy["conntrack"]>): ProxyConfig["conntrack"] {
    const time = (name: keyof typeof raw, otherwise: number | null): number | null =>
      this.duration(["conntrack", name], raw[name] as string | undefined, otherwise);
    for (const name of ["maxPerCore", "min"] as const) {
      if ((raw[name] ?? 0) >= 0) continue;
      this.#problems.invalid(this.#at(["conntrack", name]), raw[name], "must be greater than or equal to 0");
    }
    return {
      maxPerCore: raw.maxPerCore ?? 32768,
      min: raw.min ?? 131072,
      tcpEstablishedSec: time("tcpEstablishedTimeout", 86400) || null,
      tcpCloseWaitSec: time("tcpCloseWaitTimeout", 3600) || null,
      udpSec: time("udpTimeout", null) || null,
      udpStreamSec: time("udpStreamTimeout", null) || null,
      tcpBeLiberal: raw.tcpBeLiberal ?? false,
    };
  }

  ipvs(raw: NonNullable<RawProxy["ipvs"]>): ProxyConfig["ipvs"] {
    const time = (name: "tcpTimeout" | "tcpFinTimeout" | "udpTimeout"): number | null =>
      this.duration(["ipvs", name], raw[name], null) || null;
    const excludeCidrs = (raw.excludeCIDRs ?? []).flatMap((text, i) => {
      const range = readCidr(text);
      if (range === null)
        this.#problems.invalid(this.#at(["ipvs", "excludeCIDRs", i]), text, "must be a valid CIDR");
      return range ?? [];
    });
    const scheduler = raw.scheduler || "rr";
    if (!(IPVS_SCHEDULERS as readonly string[]).includes(scheduler)) {
      this.#problems.unsupported(this.#at(["ipvs", "scheduler"]), scheduler, IPVS_SCHEDULERS);
    }
    return {
      scheduler: (IPVS_SCHEDULERS as readonly string[]).includes(scheduler) ? scheduler : "rr",
      excludeCidrs,
      strictArp: raw.strictARP ?? false,
      tcpSec: time("tcpTimeout"),
      tcpFinSec: time("tcpFinTimeout"),
      udpSec: time("udpTimeout"),
    };
  }

  detector(config: ProxyConfig): void {
    if (config.detectLocalMode === "BridgeInterface" && config.bridgeInterface === "") {
      this.#problems.required(
        this.#at(["detectLocal", "bridgeInterface"]),
        "detectLocalMode is BridgeInterface",
      );
    }
    if (config.detectLocalMode === "InterfaceNamePrefix" && config.interfaceNamePrefix === "") {
      const detail = "detectLocalMode is InterfaceNamePrefix";
      this.#problems.required(this.#at(["detectLocal", "interfaceNamePrefix"]), detail);
    }
  }

  #at(field: string | FieldPath): FieldPath {
    return [...this.#path, ...(typeof field === "string" ? [field] : field)];
  }
}
