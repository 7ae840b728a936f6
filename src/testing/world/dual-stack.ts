// IPv6 for a test node: node n has fd00:192:168:50::1n, podCIDR fd00:10:244:n::/64, gateway ::1, VTEP ::, and its
// pods get ::2 and ::3 beside their IPv4 addresses. As the agent would compile it.

import { createPrefixSet } from "../../dataplane/change/prefix-set.ts";
import { createVteps } from "../../dataplane/change/vteps.ts";
import { addOwner } from "../../dataplane/send/port-table.ts";
import { RouteKind } from "../../dataplane/spec/routes.ts";
import { LocalAddresses } from "../../dataplane/table/local-addresses.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import {
  CLUSTER_CIDR,
  localAddresses,
  macOf,
  macWords,
  nodeRoutes,
  peersOf,
  prefix,
  route,
  uplinkMacOf,
  vtepMacWords,
  words,
} from "./test-cluster.ts";
import { CLIENT_MAC, type Path, ROUTER_MAC } from "./test-fabric.ts";
import type { TestNode } from "./test-node.ts";

const CLUSTER6 = "fd00:10:244::/56";
export const CLIENT6 = "fd00:192:168:50::100";
export const ROUTER6 = "fd00:192:168:50::1";
const FABRIC6 = "fd00:192:168:50::/64";
/** Next hop of host0, and our source towards the node's stack. */
export const HOST_HOP6 = "fe80::1";
const HOSTS = [2, 3];
const NODES = 2;

export function node6(index: number): string {
  return `fd00:192:168:50::1${index}`;
}

export function pod6(index: number, host: number): string {
  return `fd00:10:244:${index}::${host}`;
}

export function gateway6(index: number): string {
  return pod6(index, 1);
}

export function vtep6(index: number): string {
  return `fd00:10:244:${index}::`;
}

/** Gives the node its second family. `outer` 6: its tunnels run over IPv6, as where nodes have nothing else. */
export function makeDualStack(node: TestNode, outer: 4 | 6 = 4): TestNode {
  const t = node.tables;
  const i = node.index;
  const own = words(node6(i));
  Object.assign(t.config.router, { v60: own.w0, v61: own.w1, v62: own.w2, v63: own.w3 });
  const local = [node6(i), gateway6(i), vtep6(i)];
  t.addresses.local = new LocalAddresses(
    [...localAddresses(i, t.config.tunnel.on === 1), ...local].map(words),
  );
  const cluster = createPrefixSet([prefix(CLUSTER_CIDR), prefix(CLUSTER6)]);
  t.addresses.podSources = t.addresses.masqueradeSources = t.addresses.masqueradeExempt = cluster;
  t.addresses.ownSources = createPrefixSet([
    prefix(`${node.vtep}/24`),
    prefix(`${node.address}/32`),
    prefix(`${vtep6(i)}/64`),
    prefix(`${node6(i)}/128`),
  ]);
  const mtu = outer === 4 ? 1450 : 1430;
  const peers = peersOf(i, NODES);
  if (outer === 6) t.vteps = createVteps(peers.map((p) => ({ ...words(node6(p)), ...vtepMacWords(p) })));
  node.setRoutes([
    ...nodeRoutes(i, NODES, true),
    ...local.map((address) => route(`${address}/128`, RouteKind.LOCAL, { src: HOST_HOP6 })),
    route(`${vtep6(i)}/64`, RouteKind.PODS, { src: gateway6(i), mtu }),
    route(FABRIC6, RouteKind.ONLINK, { src: node6(i) }),
    route("2001:db8::/32", RouteKind.GATEWAY, { gw: ROUTER6, src: node6(i) }),
    ...peers.map((p, vtep) => route(`${vtep6(p)}/64`, RouteKind.VTEP, { vtep, src: vtep6(i), mtu })),
  ]);
  for (const host of HOSTS) {
    const { w0, w1, w2, w3 } = words(pod6(i, host));
    const [hi, lo] = macWords(podMac6(i, host));
    neighbor.addPermanent(t.stations, w0, w1, w2, w3, hi, lo, node.portId(`pod${host}`));
    addOwner(t.ports, node.portId(`pod${host}`), w0, w1, w2, w3);
  }
  return node;
}

/** A pod's MAC comes from its IPv4 address. */
export function podMac6(index: number, host: number): string {
  return macOf(`10.244.${index}.${host}`);
}

/** Addresses of both layers for a packet that `src` puts on its link towards `node`. */
export function pathTo6(node: TestNode, src: string, dst: string): Path {
  const i = node.index;
  const dstMac = node.gatewayMac;
  for (const host of HOSTS) {
    const peer = HOSTS.find((other) => dst === pod6(i, other));
    if (src === pod6(i, host)) {
      return { src, dst, srcMac: podMac6(i, host), dstMac: peer === undefined ? dstMac : podMac6(i, peer) };
    }
  }
  if ([node6(i), gateway6(i), vtep6(i)].includes(src)) return { src, dst, srcMac: node.uplinkMac, dstMac };
  const peer = peersOf(i, NODES).find((p) => src === node6(p));
  const srcMac = peer !== undefined ? uplinkMacOf(peer) : src === CLIENT6 ? CLIENT_MAC : ROUTER_MAC;
  return { src, dst, srcMac, dstMac: node.uplinkMac };
}

/** Cuts an IPv6 frame as its sender would (RFC 8200 §4.5), each piece with at most `payload` bytes, a multiple of 8. */
export function fragmentsOf6(datagram: Uint8Array, payload: number, id: number): Uint8Array[] {
  const head = 14 + 40;
  const body = datagram.subarray(head);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += payload) {
    const part = body.subarray(at, at + payload);
    const frame = new Uint8Array(head + 8 + part.length);
    const view = new DataView(frame.buffer);
    frame.set(datagram.subarray(0, head));
    frame.set(part, head + 8);
    view.setUint16(14 + 4, 8 + part.length);
    frame[14 + 6] = 44;
    frame[head] = datagram[14 + 6];
    view.setUint16(head + 2, at | (at + part.length < body.length ? 1 : 0));
    view.setInt32(head + 4, id);
    pieces.push(frame);
  }
  return pieces;
}

/** The datagram of which these are the fragments, in order. */
export function joinFragments6(frames: readonly Uint8Array[]): Uint8Array {
  const head = 14 + 40;
  const bodies = frames.map((frame) => frame.subarray(head + 8));
  const length = bodies.reduce((sum, body) => sum + body.length, 0);
  const datagram = new Uint8Array(head + length);
  datagram.set(frames[0].subarray(0, head));
  datagram[14 + 6] = frames[0][head];
  new DataView(datagram.buffer).setUint16(14 + 4, length);
  let at = head;
  for (const [i, body] of bodies.entries()) {
    const view = new DataView(frames[i].buffer, frames[i].byteOffset);
    const offset = view.getUint16(head + 2);
    if ((offset & 0xfff8) !== at - head) throw new Error(`fragment ${i} begins at ${offset & 0xfff8}`);
    if ((offset & 1) !== (i === frames.length - 1 ? 0 : 1)) throw new Error(`fragment ${i}: wrong M`);
    datagram.set(body, at);
    at += body.length;
  }
  return datagram;
}
