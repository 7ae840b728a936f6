/** GET /configz: the configuration in force, as a KubeProxyConfiguration, under the key that kube-proxy uses. */
import { formatCidr } from "../base/ip.ts";
import type { ProxyConfig } from "../config/proxy.ts";

export function configz(config: ProxyConfig): Record<string, unknown> {
  const sync = {
    syncPeriod: formatDuration(config.syncPeriodSec),
    minSyncPeriod: formatDuration(config.minSyncPeriodSec),
  };
  const marks = { masqueradeBit: config.masqueradeBit, masqueradeAll: config.masqueradeAll };
  const { conntrack, ipvs, mode } = config;
  return {
    "kubeproxy.config.k8s.io": {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      mode,
      bindAddress: config.bindAddress,
      healthzBindAddress: config.healthzBindAddress,
      metricsBindAddress: config.metricsBindAddress,
      hostnameOverride: config.hostnameOverride,
      clusterCIDR: config.clusterCidrs.map(formatCidr).join(","),
      detectLocalMode: config.detectLocalMode,
      detectLocal: {
        bridgeInterface: config.bridgeInterface,
        interfaceNamePrefix: config.interfaceNamePrefix,
      },
      nodePortAddresses: config.nodePortAddresses,
      ...(mode === "nftables" ? { nftables: { ...marks, ...sync } } : {}),
      ...(mode === "iptables" || mode === "userspace"
        ? { iptables: { ...marks, localhostNodePorts: config.localhostNodePorts, ...sync } }
        : {}),
      ...(mode === "ipvs" ? { iptables: marks, ipvs: { ...ipvsPart(ipvs), ...sync } } : {}),
      conntrack: {
        maxPerCore: conntrack.maxPerCore,
        min: conntrack.min,
        tcpEstablishedTimeout: formatDuration(conntrack.tcpEstablishedSec),
        tcpCloseWaitTimeout: formatDuration(conntrack.tcpCloseWaitSec),
        tcpBeLiberal: conntrack.tcpBeLiberal,
        udpTimeout: formatDuration(conntrack.udpSec),
        udpStreamTimeout: formatDuration(conntrack.udpStreamSec),
      },
    },
  };
}

function ipvsPart(ipvs: ProxyConfig["ipvs"]): Record<string, unknown> {
  return {
    scheduler: ipvs.scheduler,
    excludeCIDRs: ipvs.excludeCidrs.map(formatCidr),
    strictARP: ipvs.strictArp,
    tcpTimeout: formatDuration(ipvs.tcpSec),
    tcpFinTimeout: formatDuration(ipvs.tcpFinSec),
    udpTimeout: formatDuration(ipvs.udpSec),
  };
}

/** As Go prints durations: "1h0m0s", "1.5s", "250ms". Null is 0s, kube-proxy's word for "leave it". */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || seconds === 0) return "0s";
  if (seconds < 1) return `${Number((seconds * 1000).toFixed(6))}ms`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${Number((seconds % 60).toFixed(9))}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
