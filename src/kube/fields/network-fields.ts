// Service, EndpointSlice, policies, ServiceCIDR: what proxies and policies read. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const NETWORK_FIELDS = parseFieldTable(`
Service
  apiVersion,kind,metadata,spec,status  served
ServiceSpec
  allocateLoadBalancerNodePorts,clusterIP,clusterIPs,externalIPs,externalName,externalTrafficPolicy  served
  healthCheckNodePort,internalTrafficPolicy,ipFamilies,ipFamilyPolicy,loadBalancerSourceRanges,ports  served
  loadBalancerClass  served  none, or podwire.dev/lab: a lab's pool gives the addresses; others are left alone
  loadBalancerIP  served  where the lab has a pool
  publishNotReadyAddresses,selector,sessionAffinity,sessionAffinityConfig,type  served
  trafficDistribution  served  as hints of the EndpointSlices that podwire makes
ServicePort
  appProtocol  served  handed on to EndpointSlices
  name,nodePort,port,protocol,targetPort  served
SessionAffinityConfig
  clientIP  served
ClientIPConfig
  timeoutSeconds  served
ServiceStatus
  conditions  kept
  loadBalancer  served
LoadBalancerStatus
  ingress  served
LoadBalancerIngress
  hostname  kept
  ip,ipMode  served
  ports  kept
Endpoints
  apiVersion,kind,metadata  served
  subsets  served  mirrored into EndpointSlices where the Service has no selector
EndpointSubset
  addresses,notReadyAddresses  served  the first 1000 of a subset
  ports  served
EndpointAddress
  hostname,ip,nodeName,targetRef  served  handed on to EndpointSlices
EndpointSlice
  addressType  served  IPv4 and IPv6; a proxy passes over FQDN
  apiVersion,endpoints,kind,metadata,ports  served
Endpoint
  addresses  served  the first, as in every proxy
  conditions,hints,hostname,nodeName,targetRef  served
  deprecatedTopology  node  proxies no longer read it: use nodeName, zone and hints
  zone  kept  hints decide
EndpointConditions
  ready,serving,terminating  served
EndpointHints
  forNodes,forZones  served
ForNode
  name  served
ForZone
  name  served
EndpointPort
  appProtocol  kept
  name,port,protocol  served
ObjectReference
  kind,name,namespace  served  names the pod behind an endpoint
  apiVersion,fieldPath,resourceVersion,uid  kept
NetworkPolicy
  apiVersion,kind,metadata,spec  served
NetworkPolicySpec
  egress,ingress,podSelector,policyTypes  served
NetworkPolicyIngressRule
  from,ports  served
NetworkPolicyEgressRule
  ports,to  served
NetworkPolicyPeer
  ipBlock,namespaceSelector,podSelector  served
IPBlock
  cidr,except  served
NetworkPolicyPort
  endPort,port,protocol  served
ClusterNetworkPolicy
  apiVersion,kind,metadata,spec  served
  status  kept
ClusterNetworkPolicySpec
  egress,ingress,priority,subject,tier  served
ClusterNetworkPolicySubject
  namespaces,pods  served
ClusterNetworkPolicyIngressRule
  action,from,name,protocols  served
ClusterNetworkPolicyEgressRule
  action,name,protocols,to  served
ClusterNetworkPolicyIngressPeer
  namespaces,pods  served
ClusterNetworkPolicyEgressPeer
  domainNames  refused  nothing here knows the addresses of names yet
  namespaces,networks,nodes,pods  served
NamespacedPod
  namespaceSelector,podSelector  served
ClusterNetworkPolicyProtocol
  destinationNamedPort,sctp,tcp,udp  served
ClusterNetworkPolicyPorts
  destinationPort  served
ClusterNetworkPolicyPort
  number,range  served
ClusterNetworkPolicyPortRange
  end,start  served
ServiceCIDR
  apiVersion,kind,metadata,spec  served
  status  kept
ServiceCIDRSpec
  cidrs  served
`);
