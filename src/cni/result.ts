// What ADD answers, in the form of the version that was asked in.
import { type Cidr, formatIp, nthIp, parseIp } from "../base/ip.ts";
import type { Fields } from "./fields.ts";
import { listAt, objectAt } from "./fields.ts";
import type { Lease } from "./leases.ts";
import type { Dns } from "./network-config.ts";
import { isAtLeast } from "./versions.ts";

export interface ContainerAddress {
  /** With its prefix length, host bits kept. */
  readonly address: string;
  readonly gateway: string;
  readonly family: 4 | 6;
}

/** Addresses of a lease in their ranges. A range that the node has no more leaves an address alone. */
export function containerAddresses(ips: readonly string[], ranges: readonly Cidr[]): ContainerAddress[] {
  return ips.flatMap((text) => {
    const family = parseIp(text)?.family;
    const range = ranges.find((each) => each.family === family);
    if (range === undefined) return [];
    const gateway = formatIp(nthIp(range, 1));
    return [{ address: `${text}/${range.prefixLen}`, gateway, family: range.family }];
  });
}

function defaultRoute(family: 4 | 6): string {
  return family === 4 ? "0.0.0.0/0" : "::/0";
}

export function addResult(
  version: string,
  lease: Lease,
  mtu: number,
  addresses: readonly ContainerAddress[],
  dns: Dns,
  before: Fields = {},
): Fields {
  const interfaces = listAt(before.interfaces, "prevResult.interfaces");
  const { ifname: name, mac, netns: sandbox } = lease;
  return {
    ...before,
    cniVersion: version,
    interfaces: [...interfaces, { name, mac, ...(isAtLeast(version, "1.1.0") && { mtu }), sandbox }],
    ips: [
      ...listAt(before.ips, "prevResult.ips"),
      ...addresses.map(({ address, gateway, family }) => ({
        ...(!isAtLeast(version, "1.0.0") && { version: `${family}` }),
        ...{ address, gateway, interface: interfaces.length },
      })),
    ],
    routes: [
      ...listAt(before.routes, "prevResult.routes"),
      ...addresses.map(({ gateway, family }) => ({ dst: defaultRoute(family), gw: gateway })),
    ],
    dns: { ...objectAt(before.dns, "prevResult.dns"), ...dns },
  };
}
