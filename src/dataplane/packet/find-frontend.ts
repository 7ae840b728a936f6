/**
 * Which service claims a packet (Linux: KUBE-SERVICES, then KUBE-NODEPORTS for what is addressed to the
 * node), shared by stages. Answers a frontend of `services`, or -1. Node ports are looked up under the
 * address itself, where only certain addresses serve them; else under 0.0.0.0 for every LOCAL address, under
 * 127.0.0.0 or ::1 for loopback.
 */
import { FrontendKind, HOST_PORT_META } from "../spec/services.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as localAddresses from "../table/local-addresses.ts";
import * as services from "../table/service/services.ts";
import type { Tables } from "../tables.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = tuple.TupleWord;
const { FAMILY, V6 } = tuple.Meta;

const LOOPBACK_NET = 127 << 24;

export function findFrontend(t: Tables, key: Int32Array): number {
  const port = key[PORTS] & 0xffff;
  const f = services.find(t.services, key[DST0], key[DST1], key[DST2], key[DST3], port, key[META]);
  if (f >= 0) return f;
  if (isLoopback(key)) {
    const net = key[DST2] === 0xffff ? LOOPBACK_NET : key[DST3];
    return services.find(t.services, 0, 0, key[DST2], net, port, key[META]);
  }
  if (!localAddresses.has(t.addresses.local, key[DST0], key[DST1], key[DST2], key[DST3])) return -1;
  return services.find(t.services, 0, 0, 0, 0, port, key[META]);
}

/**
 * Whose host port a packet is for (Linux: CNI-HOSTPORT-DNAT, which comes after KUBE-SERVICES). A pod may have it at one
 * address of the node's, or at all of them; of loopback, at IPv4's.
 */
export function findHostPort(t: Tables, key: Int32Array): number {
  const s = t.services;
  if (s.hostPorts === 0) return -1;
  const port = key[PORTS] & 0xffff;
  const meta = key[META] | HOST_PORT_META;
  const loopback = isLoopback(key);
  if (!loopback && !localAddresses.has(t.addresses.local, key[DST0], key[DST1], key[DST2], key[DST3]))
    return -1;
  const f = services.find(s, key[DST0], key[DST1], key[DST2], key[DST3], port, meta);
  if (f >= 0) return f;
  if (!loopback) return services.find(s, 0, 0, 0, 0, port, meta);
  return key[DST2] === 0xffff ? services.find(s, 0, 0, key[DST2], LOOPBACK_NET, port, meta) : -1;
}

/**
 * Is the source a ClusterIP that serves the destination's port? In ipvs mode the kernel speaks to a ClusterIP from one,
 * since kube-ipvs0 has them all. `--match-set KUBE-CLUSTER-IP src,dst` masquerades that where no detector tells pods.
 */
export function isFromVip(t: Tables, key: Int32Array): boolean {
  const isV6 = (key[META] & FAMILY) === V6;
  if ((t.config.proxy.masqueradeVips & (isV6 ? 2 : 1)) === 0) return false;
  const f = services.find(
    t.services,
    key[SRC0],
    key[SRC1],
    key[SRC2],
    key[SRC3],
    key[PORTS] & 0xffff,
    key[META],
  );
  return f >= 0 && t.services.kind[f] === FrontendKind.CLUSTER_IP;
}

/** Destination 127.0.0.0/8 or ::1. */
function isLoopback(key: Int32Array): boolean {
  if ((key[DST0] | key[DST1]) !== 0) return false;
  return key[DST2] === 0xffff ? key[DST3] >>> 24 === 127 : (key[DST2] | (key[DST3] ^ 1)) === 0;
}
