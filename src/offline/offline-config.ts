/** The configuration of a node without an agent: nothing of a machine, only what decisions about packets need. */
import type { Cidr } from "../base/ip.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { ProxyConfig } from "../config/proxy.ts";

export function offlineConfig(
  nodeName: string,
  proxy: ProxyConfig,
  clusterCidrs: readonly Cidr[],
): AgentConfig {
  return {
    nodeName,
    clusterCidrs,
    serviceCidrs: [], // ServiceCIDR objects tell
    fabricCidrs: [],
    overlay: { type: "vxlan", vni: 1, port: 8472 },
    flannelAnnotations: false,
    netns: "",
    uplink: {
      interface: "",
      driver: "packet",
      gateways: [],
      masqueradePorts: { first: 50_000, last: 65_535 },
    },
    host: { interface: "" },
    nodePortRange: null,
    socket: "",
    source: { files: [] },
    proxy,
    conntrackMax: 0,
    conntrackSysctls: {},
    ftpHelper: false,
    workers: 1,
    spinMicroseconds: 0,
    pauseMicroseconds: 0,
    cpuLatencyMicroseconds: null,
    nice: 0,
    // A packet is asked about, or replayed, at whatever port it is said to have come by.
    antiSpoofing: false,
    leastConnections: false,
    resetRemovedEndpoints: false,
    mssClamp: false,
    tunnelBundles: false,
    keepClientAddress: false, // the annotation of its Node tells
    datagramQueueKiB: 0,
    joinDatagrams: false,
    joinWithoutChecksum: false,
    tunnelGso: false,
    policyEstablished: "keep",
    meshWhenAway: "refuse",
    cni: null,
  };
}
