// Every field of a Lab and what it is for. There is none that does nothing. The notation is field-table.ts's.
import { parseFieldTable } from "./field-table.ts";

export const LAB_FIELDS = parseFieldTable(`
Lab
  apiVersion,kind  served
  metadata.name  served  the lab's name, where --lab gives none
  spec.clusterCIDR  served  pod ranges, one of each family; a /24 (IPv6: /64) of it for each node
  spec.serviceCIDR  served  ClusterIPs; of the same families
  spec.overlay.type  served  vxlan or none
  spec.overlay.vni  served  of vxlan
  spec.overlay.port  served  of vxlan
  spec.overlay.sourcePortRange  served  outer source ports: overlay.md
  spec.overlay.sourcePorts  served  how many of them are used: overlay.md; not by nodes with agent: kernel
  spec.proxy  served  a KubeProxyConfiguration, whole or in part: agent.md
  spec.policy.established  served  whether connections that policies forbid by now go on: policy.md
  spec.podSecurity  served  a PodSecurityConfiguration, whole or in part: pod-security.md
  spec.images[*].match  served  a pattern with * of images' names, with or without registry and tag: lab.md
  spec.images[*].run[*]  served  the program of this machine that runs for them, and its arguments
  spec.dns.*  served  dns.md
  spec.gateways.*  served  who serves Ingresses and Gateways: gateway.md
  spec.mesh.*  served  the proxies of namespaces with the label podwire.dev/mesh: lab.md
  spec.loadBalancer.pool  served  addresses of the node network for Services of type LoadBalancer: lab.md
  spec.conntrack.*  served  agent.md, conntrack.md
  spec.dataplane.*  served  agent.md; not for nodes with agent: kernel
  spec.nodes[*].name  served
  spec.nodes[*].address  served  all nodes and clients in one /24 (IPv6: /64), outside all other ranges
  spec.nodes[*].podCIDR  served  within spec.clusterCIDR
  spec.nodes[*].agent  served  podwire or kernel
  spec.nodes[*].labels.*  served  of the Node object
  spec.nodes[*].uplink.driver  served  packet or pcap, of podwire's agent
  spec.clients[*].name  served
  spec.clients[*].address  served  as a node's
  spec.manifests[*]  served  files and directories, beside lab.yaml
`);
