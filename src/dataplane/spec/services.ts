/**
 * What the control side says of services: the rows that `compile` makes of objects, and changes of them. Messages that
 * cross to the plane's thread are made of these; change/services.ts brings them into the columns.
 */

/** What a frontend does with a new connection. */
export const Action = Object.freeze({ DNAT: 0, REJECT: 1, DROP: 2, NONE: 3 } as const);
export const FrontendKind = Object.freeze({
  CLUSTER_IP: 0,
  EXTERNAL_IP: 1,
  LOAD_BALANCER: 2,
  NODE_PORT: 3,
  UNSERVED: 4, //       a service address and every port and protocol that no other frontend has
  UNSERVED_PORTS: 5, // the same, ICMP excepted
  HOST_PORT: 6, //      of a pod, at one address or where node ports may be
} as const);
/** How the next endpoint is chosen. RANDOM is kube-proxy's iptables and nftables: every endpoint has the same chance. */
export const Scheduler = Object.freeze({
  RANDOM: 0,
  RR: 1,
  WRR: 2,
  LC: 3,
  WLC: 4,
  SH: 5,
  DH: 6,
  SED: 7,
  NQ: 8,
  MH: 9,
} as const);
/** As ipvsadm and KubeProxyConfiguration name them, indexed by Scheduler. */
export const SCHEDULER_NAMES: readonly string[] = [
  "random",
  "rr",
  "wrr",
  "lc",
  "wlc",
  "sh",
  "dh",
  "sed",
  "nq",
  "mh",
];
/** In a key's last word, beside family and protocol: asks for host ports. */
export const HOST_PORT_META = 0x8000;
/** In an endpoint's flags: a pod's host port leads to it, no service. */
export const HOST_PORT_ENDPOINT = 16;
/** Who sent the packet, as the rules tell sources apart. */
export const SourceClass = Object.freeze({ POD: 0, NODE: 1, OUTSIDE: 2 } as const);

export interface EndpointSpec {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  port: number;
  /** Bit 0 local, 1 ready, 2 serving, 3 terminating, 4 of a host port. */
  flags: number;
  /** Of schedulers that know weights; 1 when left out, 0: no new connections. */
  weight?: number;
}
export interface ClassAction {
  action: number;
  set: number;
  masquerade: boolean;
}
export interface SourceRange {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  /** Of 128; an IPv4 range counts its 96 mapped bits. */
  prefixLen: number;
}
export interface FrontendSpec {
  kind: number;
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  family: 4 | 6;
  port: number;
  sourceRanges: SourceRange[] | null;
  byClass: [ClassAction, ClassAction, ClassAction];
}
export interface ServicePortSpec {
  id: number;
  /** namespace/name:portName */
  name: string;
  /** Four words by which an agent that starts anew knows the service port, to give it the id that it had. */
  digest?: readonly number[];
  protocol: number;
  affinitySec: number;
  /** Each frontend remembers its clients for itself (a virtual server of IPVS); else the service port does for all. */
  ownAffinity?: boolean;
  /** Scheduler; chance when left out. */
  scheduler?: number;
  /** All frontends take turns together, where otherwise each has its own (a virtual server of IPVS). */
  sharedSchedule?: boolean;
  endpoints: EndpointSpec[];
  sets: number[][];
  frontends: FrontendSpec[];
}
export interface ServiceUpdate {
  upsert: ServicePortSpec[];
  remove: number[];
  /** Those that hand addresses to each other, for whoever splits the change. */
  together?: number[];
}
/** Endpoints of a service port whose spec comes later and leaves them out. */
export interface EndpointPart {
  id: number;
  endpoints: EndpointSpec[];
}

/** Protocol by which a frontend is found: its service port's, or 0 when it stands for all of them. */
export function protocolOf(f: FrontendSpec, protocol: number): number {
  return f.kind === FrontendKind.UNSERVED || f.kind === FrontendKind.UNSERVED_PORTS ? 0 : protocol;
}
