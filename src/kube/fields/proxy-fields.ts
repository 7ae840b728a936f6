// KubeProxyConfiguration, alone or in a Lab or AgentConfiguration. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const PROXY_FIELDS = parseFieldTable(`
KubeProxyConfiguration
  apiVersion,kind  served
  bindAddress,clusterCIDR,conntrack,detectLocal,detectLocalMode,healthzBindAddress,hostnameOverride  served
  bindAddressHardFail  lab [false]  an agent ends when it cannot listen, whatever it says
  clientConnection  lab  there is no API server to connect to; nothing is said of it
  configSyncPeriod  lab [15m0s|15m|0s]  objects are heard of at once
  enableProfiling  lab [false]  there is no profiling server
  featureGates  node  no gate changes anything
  iptables,ipvs,metricsBindAddress,mode,nftables,nodePortAddresses  served
  logging  lab  there is one form of log
  oomScoreAdj  lab [-999]  the agent's own is left as it is
  portRange  node  of userspace mode, whose ports are no ports of the node here
  showHiddenMetricsForVersion  lab  no metric is hidden
  udpIdleTimeout  node [250ms|0s]  use conntrack.udpTimeout
  windowsRunAsService  lab [false]  there is no Windows here
  winkernel  node  there is no Windows here
IPTables
  localhostNodePorts,masqueradeAll,masqueradeBit,syncPeriod  served
  minSyncPeriod  lab [1s|0s]  changes are applied as they come
NFTables
  masqueradeAll,masqueradeBit,syncPeriod  served
  minSyncPeriod  lab [1s|0s]  changes are applied as they come
IPVS
  excludeCIDRs,scheduler,strictARP,syncPeriod,tcpFinTimeout,tcpTimeout,udpTimeout  served
  minSyncPeriod  lab [1s|0s]  changes are applied as they come
DetectLocal
  bridgeInterface,interfaceNamePrefix  served
Conntrack
  maxPerCore  lab [32768|0]  the table's size is conntrack.max of the agent
  min  lab [131072|0]  the table's size is conntrack.max of the agent
  tcpBeLiberal,tcpCloseWaitTimeout,tcpEstablishedTimeout,udpStreamTimeout,udpTimeout  served
`);
