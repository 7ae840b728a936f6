// Field names and types of KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), for strict decoding.
import { parseTypes } from "./kubernetes-types.ts";

export const PROXY_TYPES = parseTypes(`
  KubeProxyConfiguration: apiVersion:s kind:s featureGates:{b} clientConnection:ClientConnection logging:any
      hostnameOverride:s bindAddress:s healthzBindAddress:s metricsBindAddress:s bindAddressHardFail:b
      enableProfiling:b showHiddenMetricsForVersion:s mode:s iptables:IPTables ipvs:IPVS nftables:NFTables
      winkernel:Winkernel detectLocalMode:s detectLocal:DetectLocal clusterCIDR:s nodePortAddresses:[s]
      oomScoreAdj:i conntrack:Conntrack configSyncPeriod:s portRange:s windowsRunAsService:b udpIdleTimeout:s
  ClientConnection: kubeconfig:s acceptContentTypes:s contentType:s qps:f burst:i
  IPTables: masqueradeBit:i masqueradeAll:b localhostNodePorts:b syncPeriod:s minSyncPeriod:s
  IPVS: syncPeriod:s minSyncPeriod:s scheduler:s excludeCIDRs:[s] strictARP:b tcpTimeout:s tcpFinTimeout:s
      udpTimeout:s
  NFTables: masqueradeBit:i masqueradeAll:b syncPeriod:s minSyncPeriod:s
  Winkernel: networkName:s sourceVip:s enableDSR:b rootHnsEndpointName:s forwardHealthCheckVip:b
  DetectLocal: bridgeInterface:s interfaceNamePrefix:s
  Conntrack: maxPerCore:i min:i tcpEstablishedTimeout:s tcpCloseWaitTimeout:s tcpBeLiberal:b udpTimeout:s
      udpStreamTimeout:s
`);
