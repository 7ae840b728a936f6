// What the proxy rules of one node depend on besides Services and slices: its configuration and its own addresses.

import {
  type Cidr,
  cidr,
  contains,
  formatIp,
  type Ip,
  type IpFamily,
  isLoopback,
  nthIp,
  parseIp,
} from "../base/ip.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { ProxyConfig, ProxyMode } from "../config/proxy.ts";
import { SCHEDULER_NAMES, Scheduler } from "../dataplane/spec/services.ts";
import type { Node } from "../watch/desired-state.ts";

const ZONE_LABEL = "topology.kubernetes.io/zone";

export interface ProxySettings {
  readonly mode: ProxyMode;
  readonly nodeName: string;
  /** "" when the node has none. */
  readonly zone: string;
  readonly masqueradeAll: boolean;
  /** Whether pod sources can be told from others, by family. Without that nobody is a pod. */
  readonly detector: { readonly 4: boolean; readonly 6: boolean };
  /** Pod sources by address; empty when they are told by the port they come in at. */
  readonly podSources: readonly Cidr[];
  /** Pod sources are what comes in at a pod's port (BridgeInterface, InterfaceNamePrefix). */
  readonly podsByPort: boolean;
  /** The primary address of each family: what kube-proxy calls nodeIP. */
  readonly nodeIps: readonly Ip[];
  /** All addresses of type LOCAL, loopback included. */
  readonly localIps: readonly Ip[];
  /** Addresses that serve node ports; null: every LOCAL one of the family. */
  readonly nodePortIps: { readonly 4: readonly Ip[] | null; readonly 6: readonly Ip[] | null };
  /** Whether 127.0.0.0/8 is among "every LOCAL one". */
  readonly localhostNodePorts: boolean;
  /** Scheduler: how a new connection's endpoint is chosen. */
  readonly scheduler: number;
  /** All TCP endpoints that slices name are kept: one that may not be used is not one that is gone. */
  readonly keepsUnused: boolean;
}

export interface SettingsInput {
  readonly config: ProxyConfig;
  readonly nodeName: string;
  readonly node: Node | undefined;
  /** Addresses of type LOCAL that the Node object does not tell: gateway, VTEP, --local-ip. */
  readonly localIps?: readonly Ip[];
  /** What kube-proxy does not do. */
  readonly extensions?: Extensions;
}

export type Extensions = Pick<AgentConfig, "leastConnections" | "resetRemovedEndpoints">;
const NO_EXTENSIONS: Extensions = { leastConnections: false, resetRemovedEndpoints: false };

export function proxySettings({
  config,
  nodeName,
  node,
  localIps = [],
  extensions = NO_EXTENSIONS,
}: SettingsInput): ProxySettings {
  const own = nodeAddresses(node);
  const all = distinct([cidrIp("127.0.0.1/32"), cidrIp("::1/128"), ...own, ...localIps]);
  const podSources = podSourcesOf(config, node);
  const podsByPort =
    (config.detectLocalMode === "BridgeInterface" && config.bridgeInterface !== "") ||
    (config.detectLocalMode === "InterfaceNamePrefix" && config.interfaceNamePrefix !== "");
  const detects = (family: IpFamily): boolean => podsByPort || podSources.some((r) => r.family === family);
  const bind = parseIp(config.bindAddress);
  const bound = bind === null || isUnspecified(bind) ? [] : [bind];
  // Without a Node object: what is on its interfaces.
  const nodeIps = primaryOf([
    ...bound,
    ...(node === undefined ? localIps.filter((a) => !isLoopback(a)) : own),
  ]);
  const ports = (family: IpFamily): Ip[] | null => nodePortIps(config, family, nodeIps, all);
  return {
    mode: config.mode,
    nodeName: config.hostnameOverride.trim().toLowerCase() || nodeName,
    zone: node?.metadata.labels?.[ZONE_LABEL] ?? "",
    masqueradeAll: config.masqueradeAll,
    detector: { 4: detects(4), 6: detects(6) },
    podSources,
    podsByPort,
    nodeIps,
    localIps: all,
    nodePortIps: { 4: ports(4), 6: ports(6) },
    localhostNodePorts: config.localhostNodePorts,
    scheduler: schedulerOf(config, extensions),
    keepsUnused: extensions.resetRemovedEndpoints,
  };
}

function schedulerOf({ mode, ipvs }: ProxyConfig, { leastConnections }: Extensions): number {
  if (mode === "userspace") return Scheduler.RR; // its retries need turns
  if (leastConnections) return Scheduler.WLC;
  return mode === "ipvs" ? SCHEDULER_NAMES.indexOf(ipvs.scheduler) : Scheduler.RANDOM;
}

function isUnspecified(a: Ip): boolean {
  return a.family === 4 ? a.w3 === 0 : (a.w0 | a.w1 | a.w2 | a.w3) === 0;
}

/** InternalIP before ExternalIP, as the Node lists them. */
export function nodeAddresses(node: Node | undefined): Ip[] {
  const list = node?.status.addresses ?? [];
  const ofType = (type: string): Ip[] =>
    list.filter((a) => a.type === type).flatMap((a) => parseIp(a.address) ?? []);
  return distinct([...ofType("InternalIP"), ...ofType("ExternalIP")]);
}

export function primaryOf(addresses: readonly Ip[]): Ip[] {
  return ([4, 6] as const).flatMap((family) => addresses.find((a) => a.family === family) ?? []);
}

function podSourcesOf(config: ProxyConfig, node: Node | undefined): readonly Cidr[] {
  if (config.detectLocalMode === "ClusterCIDR") return config.clusterCidrs;
  if (config.detectLocalMode === "NodeCIDR") return (node?.spec.podCIDRs ?? []).map(cidr);
  return [];
}

function nodePortIps(
  config: ProxyConfig,
  family: IpFamily,
  primary: readonly Ip[],
  all: readonly Ip[],
): Ip[] | null {
  if (config.mode === "userspace") return null; // it never learnt to read nodePortAddresses
  const wantsPrimary =
    config.nodePortAddresses[0] === "primary" ||
    (config.mode === "nftables" && config.nodePortAddresses.length === 0);
  if (wantsPrimary) return primary.filter((a) => a.family === family);
  const ranges = config.nodePortAddresses.map(cidr).filter((range) => range.family === family);
  if (ranges.length === 0) return null; // a list for the other family only, or none: every one
  if (ranges.some((range) => range.prefixLen === 0)) return null; // 0.0.0.0/0 is "every one" again
  return all.filter(
    (a) =>
      a.family === family &&
      ranges.some((range) => contains(range, a)) &&
      (!isLoopback(a) || (family === 4 && config.localhostNodePorts)),
  );
}

function cidrIp(text: string): Ip {
  return nthIp(cidr(text), 0);
}

/** Without repetitions, in the order of first appearance. */
export function distinct(addresses: readonly Ip[]): Ip[] {
  return [...new Map(addresses.map((a) => [formatIp(a), a])).values()];
}
