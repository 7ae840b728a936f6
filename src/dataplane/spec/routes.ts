/**
 * What the control side says of routes and of the VTEPs that they point to: the rows that `compile` makes of nodes and
 * pod networks. change/routes.ts and change/vteps.ts make tables of them.
 */

export const RouteKind = Object.freeze({
  LOCAL: 0, //       deliver to the node's own stack
  PODS: 1, //        connected pod subnet
  ONLINK: 2, //      on the fabric, resolve the destination itself
  GATEWAY: 3, //     on the fabric, resolve the gateway
  VTEP: 4, //        through the overlay
  UNREACHABLE: 5, // drop, ICMP host unreachable
  BLACKHOLE: 6, //   drop silently
  PROHIBIT: 7, //    drop, ICMP administratively prohibited
} as const);
export type RouteKind = (typeof RouteKind)[keyof typeof RouteKind];

/** One route as the compiler gives it; addresses are v4-mapped words. */
export interface RouteSpec {
  readonly family: 4 | 6;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly prefixLen: number; // 0–32 or 0–128, by family
  readonly kind: number; //      RouteKind
  readonly gw0: number;
  readonly gw1: number;
  readonly gw2: number;
  readonly gw3: number;
  readonly vtep: number; //      index in the VTEP table, -1: none
  readonly mtu: number; //       bytes of the largest IP packet
  readonly port: number; //      PortId to leave by, -1: none
  readonly src0: number; //      our address towards there: masquerade and ICMP source
  readonly src1: number;
  readonly src2: number;
  readonly src3: number;
}

/** A node that is reached through the tunnel; a route names it by its place in the list. */
export interface VtepSpec {
  readonly w0: number; // outer address, v4-mapped for IPv4
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly macHi: number; // VTEP MAC, bytes 0–1
  readonly macLo: number; // bytes 2–5
  /** The node may bring clients under their own addresses, and takes them (packet/kept-client.ts). */
  readonly keepsClients?: boolean;
}
