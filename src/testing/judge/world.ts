// The place where the kernel and podwire are given the same packets: node1 with four pods behind it, node2
// and two clients on the fabric, more clients behind a router. The same in both families.
//
//   pods 10.244.1.2 … .5 ── node1 ── 192.168.50.0/24 ─┬─ node2, with pods 10.244.2.2 … .4
//                                                     ├─ client 192.168.50.100
//                                                     └─ router 192.168.50.1 ── 198.51.100.0/24 and the rest
import type { IpFamily } from "../../base/ip.ts";

export interface World {
  readonly family: IpFamily;
  readonly clusterCidr: string;
  readonly podCidr: string;
  readonly remotePodCidr: string;
  readonly serviceCidr: string;
  /** Of node1: on the fabric, a second one, and the gateway of its pods. */
  readonly nodeIp: string;
  readonly secondIp: string;
  readonly gateway: string;
  readonly remoteNodeIp: string;
  readonly router: string;
  readonly fabric: string;
  readonly pods: readonly string[];
  readonly remotePods: readonly string[];
  /** Hosts on the fabric that are no nodes. */
  readonly neighbors: readonly string[];
  /** The n-th address behind the router. */
  outside(n: number): string;
  clusterIp(n: number): string;
  externalIp(n: number): string;
  loadBalancerIp(n: number): string;
  /** "address/32" or "/128". */
  host(address: string): string;
}

export const V4: World = {
  family: 4,
  clusterCidr: "10.244.0.0/16",
  podCidr: "10.244.1.0/24",
  remotePodCidr: "10.244.2.0/24",
  serviceCidr: "10.96.0.0/16",
  nodeIp: "192.168.50.11",
  secondIp: "192.168.60.11",
  gateway: "10.244.1.1",
  remoteNodeIp: "192.168.50.12",
  router: "192.168.50.1",
  fabric: "192.168.50.0/24",
  pods: ["10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.1.5"],
  remotePods: ["10.244.2.2", "10.244.2.3", "10.244.2.4"],
  neighbors: ["192.168.50.100", "192.168.50.101"],
  outside: (n) => `198.51.100.${1 + n}`,
  clusterIp: (n) => `10.96.0.${10 + n}`,
  externalIp: (n) => `203.0.113.${10 + n}`,
  loadBalancerIp: (n) => `203.0.113.${100 + n}`,
  host: (address) => `${address}/32`,
};

export const V6: World = {
  family: 6,
  clusterCidr: "fd00:10:244::/48",
  podCidr: "fd00:10:244:1::/64",
  remotePodCidr: "fd00:10:244:2::/64",
  serviceCidr: "fd00:96::/112",
  nodeIp: "fd00:50::11",
  secondIp: "fd00:60::11",
  gateway: "fd00:10:244:1::1",
  remoteNodeIp: "fd00:50::12",
  router: "fd00:50::1",
  fabric: "fd00:50::/64",
  pods: ["fd00:10:244:1::2", "fd00:10:244:1::3", "fd00:10:244:1::4", "fd00:10:244:1::5"],
  remotePods: ["fd00:10:244:2::2", "fd00:10:244:2::3", "fd00:10:244:2::4"],
  neighbors: ["fd00:50::100", "fd00:50::101"],
  outside: (n) => `2001:db8:51::${(1 + n).toString(16)}`,
  clusterIp: (n) => `fd00:96::${(16 + n).toString(16)}`,
  externalIp: (n) => `2001:db8:113::${(16 + n).toString(16)}`,
  loadBalancerIp: (n) => `2001:db8:113::${(256 + n).toString(16)}`,
  host: (address) => `${address}/128`,
};

export function otherFamily({ family }: World): World {
  return family === 4 ? V6 : V4;
}

/** Addresses of the world's family alone. */
export function ofFamily({ family }: World, addresses: readonly string[]): string[] {
  return addresses.filter((address) => address.includes(":") === (family === 6));
}
