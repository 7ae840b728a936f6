// What the kernel of a machine knows of its network: devices, addresses, routes. Read by src/device/netlink; what of it
// concerns the data plane is decided in src/compile.
import type { Cidr, Ip, IpFamily } from "./ip.ts";

export interface KernelLink {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** "02:00:00:00:00:01"; "": it has none. */
  readonly mac: string;
}

export interface KernelAddress {
  readonly link: number;
  readonly address: Ip;
  readonly prefixLen: number;
  /** Only of this link, or of this host. */
  readonly isGlobal: boolean;
  /** A route may have it as its source. Of IPv6 not while the kernel looks whether another host has it, or found one. */
  readonly isUsable: boolean;
}

export const KernelRouteType = Object.freeze({
  UNICAST: 1,
  LOCAL: 2,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
} as const);

/** A route of a table. Of one with several next hops each is one. */
export interface KernelRoute {
  readonly family: IpFamily;
  readonly to: Cidr;
  readonly type: number;
  /** 0: it goes nowhere. */
  readonly link: number;
  readonly gateway: Ip | undefined;
  readonly source: Ip | undefined;
  readonly metric: number;
  /** 0: the link's. */
  readonly mtu: number;
}

/** A rule of policy routing. */
export interface KernelRule {
  readonly family: IpFamily;
  readonly table: number;
  readonly priority: number;
  /** Of what comes in by that device; "": of all. */
  readonly from: string;
}

export interface KernelNetwork {
  readonly links: readonly KernelLink[];
  readonly addresses: readonly KernelAddress[];
  /** Of the main table. */
  readonly routes: readonly KernelRoute[];
}

export interface KernelNeighbor {
  readonly link: number;
  readonly address: Ip;
  readonly macHi: number;
  readonly macLo: number;
  /** Somebody set it: nobody is to ask. */
  readonly isStatic: boolean;
}
