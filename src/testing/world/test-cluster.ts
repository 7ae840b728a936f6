// Addresses, routes and services of the little cluster that test-node.ts builds nodes of, as the agent would
// compile them.

import { parseIp } from "../../base/ip.ts";
import { formatMac } from "../../base/mac.ts";
import { RouteKind, type RouteSpec } from "../../dataplane/spec/routes.ts";
import {
  Action,
  FrontendKind,
  type FrontendSpec,
  type ServicePortSpec,
} from "../../dataplane/spec/services.ts";

export const CLUSTER_CIDR = "10.244.0.0/16";
/** Next hop of host0: nobody's address, and our own towards the node's stack. */
const LINK_LOCAL_GATEWAY = "169.254.1.1";
export const FABRIC_ROUTER = "192.168.50.1";
const OVERLAY_MTU = 1450;
export const FABRIC_MTU = 1500;
export const VXLAN_PORT = 8472;

export function nodeAddress(index: number): string {
  return `192.168.50.${10 + index}`;
}

export function uplinkMacOf(index: number): string {
  return `02:00:00:00:00:${(0x10 + index).toString(16)}`;
}

/** As a CNI bridge derives it from an IPv4 address. */
export function macOf(address: string): string {
  return formatMac(0x0a58, words(address).w3);
}

export function vtepMacOf(index: number): string {
  return formatMac(0x0e01, words(nodeAddress(index)).w3);
}

export function vtepMacWords(index: number): { macHi: number; macLo: number } {
  const [macHi, macLo] = macWords(vtepMacOf(index));
  return { macHi, macLo };
}

export interface Words {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
}

export function words(address: string): Words {
  const found = parseIp(address);
  if (found === null) throw new RangeError(`not an address: ${address}`);
  const { w0, w1, w2, w3 } = found;
  return { w0, w1, w2, w3 };
}

/** Address and prefix length of 128, as PrefixSet and source ranges want it. */
export function prefix(cidr: string): Words & { bits: number } {
  const [address, length] = cidr.split("/");
  return { ...words(address), bits: Number(length) + (address.includes(":") ? 0 : 96) };
}

export interface RouteOptions {
  readonly gw?: string;
  readonly src?: string;
  readonly mtu?: number;
  readonly vtep?: number;
}

export function route(cidr: string, kind: number, o: RouteOptions = {}): RouteSpec {
  const [address, length] = cidr.split("/");
  const gw = o.gw === undefined ? { w0: 0, w1: 0, w2: 0, w3: 0 } : words(o.gw);
  const src = o.src === undefined ? { w0: 0, w1: 0, w2: 0, w3: 0 } : words(o.src);
  return {
    family: address.includes(":") ? 6 : 4,
    ...words(address),
    prefixLen: Number(length),
    kind,
    gw0: gw.w0,
    gw1: gw.w1,
    gw2: gw.w2,
    gw3: gw.w3,
    vtep: o.vtep ?? -1,
    mtu: o.mtu ?? FABRIC_MTU,
    port: -1,
    src0: src.w0,
    src1: src.w1,
    src2: src.w2,
    src3: src.w3,
  };
}

export interface ServiceOptions {
  readonly name: string;
  readonly protocol?: number;
  readonly clusterIp?: string;
  readonly port?: number;
  readonly nodePort?: number;
  readonly externalIp?: string;
  readonly sourceRanges?: readonly string[];
  /** "10.244.1.2:8080", "[fd00:10:244:1::2]:8080" */
  readonly endpoints: readonly string[];
  /** Session affinity by client address, seconds. */
  readonly affinitySec?: number;
  readonly ownAffinity?: boolean;
  /** Scheduler; chance when left out. */
  readonly scheduler?: number;
  /** Of the endpoints, in their order; 1 each when left out. */
  readonly weights?: readonly number[];
  /** Pods, too, are masqueraded at the ClusterIP. */
  readonly masqueradeAll?: boolean;
  /** Nobody is masqueraded, at node ports either. */
  readonly masqueradeNone?: boolean;
  /** As in ipvs mode: the ClusterIP is the node's, and refuses what is no port of the service. */
  readonly isBound?: boolean;
  /** Overrides what happens to every class of source. */
  readonly action?: number;
}

const { DNAT, REJECT } = Action;

/**
 * A service port as compile would give it: sources outside the cluster are masqueraded, node ports always.
 */
export function serviceSpec(id: number, o: ServiceOptions): ServicePortSpec {
  const action = o.action ?? (o.endpoints.length === 0 ? REJECT : DNAT);
  const always = { action, set: 0, masquerade: o.masqueradeNone !== true };
  const never = { action, set: 0, masquerade: o.masqueradeAll ?? false };
  const refused = { action: REJECT, set: -1, masquerade: false };
  const { CLUSTER_IP, EXTERNAL_IP, NODE_PORT, UNSERVED_PORTS } = FrontendKind;
  const frontend = (
    kind: number,
    address: string,
    port: number,
    byClass: FrontendSpec["byClass"],
  ): FrontendSpec => {
    const at = address === "" ? { w0: 0, w1: 0, w2: 0, w3: 0 } : words(address);
    return { kind, ...at, family: address.includes(":") ? 6 : 4, port, sourceRanges: null, byClass };
  };
  const frontends: FrontendSpec[] = [];
  const port = o.port ?? 80;
  if (o.clusterIp !== undefined)
    frontends.push(frontend(CLUSTER_IP, o.clusterIp, port, [never, always, always]));
  if (o.isBound === true && o.clusterIp !== undefined)
    frontends.push(frontend(UNSERVED_PORTS, o.clusterIp, 0, [refused, refused, refused]));
  if (o.externalIp !== undefined) {
    const external = frontend(EXTERNAL_IP, o.externalIp, port, [always, always, always]);
    const ranges = o.sourceRanges?.map(prefix).map(({ bits, ...w }) => ({ ...w, prefixLen: bits }));
    frontends.push({ ...external, sourceRanges: ranges ?? null });
  }
  if (o.nodePort !== undefined) frontends.push(frontend(NODE_PORT, "", o.nodePort, [always, always, always]));
  return {
    id,
    name: o.name,
    protocol: o.protocol ?? 6,
    affinitySec: o.affinitySec ?? 0,
    ...(o.ownAffinity === undefined ? {} : { ownAffinity: o.ownAffinity }),
    ...(o.scheduler === undefined ? {} : { scheduler: o.scheduler }),
    endpoints: o.endpoints.map((text, i) => {
      const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
      return { ...words(address), port: Number(port), flags: 0b0110, weight: o.weights?.[i] ?? 1 };
    }),
    sets: [o.endpoints.map((_, i) => i)],
    frontends,
  };
}

export function macWords(mac: string): [hi: number, lo: number] {
  const bytes = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const [a, b, c, d, e, f] = bytes;
  return [(a << 8) | b, (c << 24) | (d << 16) | (e << 8) | f];
}

/**
 * Routes of node `index` of `nodes`: what LOCAL addresses, pods, peers and the fabric need, and one of each
 * refusal.
 */
export function nodeRoutes(index: number, nodes: number, vxlan: boolean): RouteSpec[] {
  const specs = localAddresses(index, vxlan).map((address) =>
    route(`${address}/32`, RouteKind.LOCAL, { src: LINK_LOCAL_GATEWAY }),
  );
  const src = nodeAddress(index);
  specs.push(
    route(`10.244.${index}.0/24`, RouteKind.PODS, { src: `10.244.${index}.1`, mtu: podMtu(vxlan) }),
    route("192.168.50.0/24", RouteKind.ONLINK, { src }),
    route("203.0.113.0/24", RouteKind.GATEWAY, { gw: FABRIC_ROUTER, src }),
    route("198.18.0.0/16", RouteKind.UNREACHABLE),
    route("198.19.0.0/16", RouteKind.BLACKHOLE),
    route("198.20.0.0/16", RouteKind.PROHIBIT),
  );
  for (const [vtep, peer] of peersOf(index, nodes).entries()) {
    const pods = `10.244.${peer}.0/24`;
    if (vxlan) specs.push(route(pods, RouteKind.VTEP, { vtep, src: `10.244.${index}.0`, mtu: OVERLAY_MTU }));
    else specs.push(route(pods, RouteKind.GATEWAY, { gw: nodeAddress(peer), src }));
  }
  return specs;
}

export function podMtu(vxlan: boolean): number {
  return vxlan ? OVERLAY_MTU : FABRIC_MTU;
}

/** The node's own: node address, gateway, and the VTEP's. */
export function localAddresses(index: number, vxlan: boolean): string[] {
  const local = [nodeAddress(index), `10.244.${index}.1`];
  return vxlan ? [...local, `10.244.${index}.0`] : local;
}

export function peersOf(index: number, nodes: number): number[] {
  return Array.from({ length: nodes }, (_, i) => i + 1).filter((peer) => peer !== index);
}
