// What host0 is given on a node that shares its uplink: the gateway's and the tunnel's addresses, and the ways of the
// node's own programs to pods and services. Pure: text for ip(8).
//
//   own podCIDR    on host0              as the gateway
//   all pods       by the agent          as the VTEP, or the gateway where there is no tunnel
//   all services   by the agent          as the node; the gateway while the machine does not have the node's address
import { type Cidr, formatCidr, formatIp, type Ip, type IpFamily, sameIp } from "../base/ip.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { NodeTopology } from "./node.ts";

/** The next hop that host0 is given: nobody's address. */
const NEXT_HOP: Readonly<Record<IpFamily, string>> = { 4: "169.254.1.1", 6: "fe80::1" };
const HOST_BITS = { 4: 32, 6: 128 } as const;

export interface HostDevice {
  /** "10.244.1.1/32" */
  readonly addresses: readonly string[];
  /** By destination: "10.96.0.0/12" → "via 169.254.1.1 dev host0 onlink src 192.168.50.11 mtu 1450" */
  readonly routes: ReadonlyMap<string, string>;
}

type Settings = Pick<AgentConfig, "clusterCidrs" | "serviceCidrs" | "host">;

/** `usable`: the machine's own addresses that a route may have as its source; the node's is one only where that is. */
export function hostDevice(
  config: Settings,
  { own, routes }: NodeTopology,
  usable: readonly Ip[],
): HostDevice {
  const addresses = [...own.gateways, ...own.vtepAddresses];
  const mtu = Math.min(...routes.map((route) => route.mtu));
  const ways = new Map<string, string>();
  const dev = `dev ${config.host.interface}`;
  const first = (list: readonly Ip[], family: IpFamily): Ip | undefined =>
    list.find((address) => address.family === family);
  for (const family of [4, 6] as const) {
    const gateway = first(own.gateways, family);
    if (gateway === undefined) continue;
    const hop = `via ${NEXT_HOP[family]} ${dev}${family === 4 ? " onlink" : ""}`;
    const add = (range: Cidr, way: string, source: Ip): void => {
      if (!ways.has(formatCidr(range)))
        ways.set(formatCidr(range), `${way} src ${formatIp(source)} mtu ${mtu}`);
    };
    const node = first(own.addresses, family);
    const isThere = node !== undefined && usable.some((address) => sameIp(address, node));
    const ofFamily = (list: readonly Cidr[]): Cidr[] => list.filter((range) => range.family === family);
    if (family === 4) ways.set(`${NEXT_HOP[4]}/32`, `${dev} scope link`);
    for (const range of ofFamily(own.podCidrs)) add(range, family === 4 ? `${dev} scope link` : dev, gateway);
    for (const range of ofFamily(config.clusterCidrs))
      add(range, hop, first(own.vtepAddresses, family) ?? gateway);
    for (const range of ofFamily(config.serviceCidrs)) add(range, hop, isThere ? node : gateway);
  }
  return {
    addresses: addresses.map((address) => `${formatIp(address)}/${HOST_BITS[address.family]}`),
    routes: ways,
  };
}

/** The lines that make `wanted` of what host0 has. */
export function hostDeviceLines(
  name: string,
  wanted: HostDevice,
  there: { readonly addresses: readonly (Ip & { prefixLen: number })[]; readonly routes: readonly Cidr[] },
): string[] {
  const addresses = there.addresses.map((each) => `${formatIp(each)}/${each.prefixLen}`);
  const nodad = (address: string): string => (address.includes(":") ? " nodad" : "");
  return [
    ...addresses
      .filter((address) => !wanted.addresses.includes(address))
      .map((address) => `addr del ${address} dev ${name}`),
    ...wanted.addresses.map((address) => `addr replace ${address} dev ${name}${nodad(address)}`),
    ...there.routes
      .map(formatCidr)
      .filter((range) => !wanted.routes.has(range))
      .map((range) => `route del ${range} dev ${name}`),
    ...[...wanted.routes].map(([range, way]) => `route replace ${range} ${way}`),
  ];
}
