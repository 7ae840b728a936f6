/**
 * The fast path: the stages' way for nearly every packet, in one go and without a Packet. It takes plain IPv4 packets of
 * known TCP and UDP connections (fast-frame.ts) that nothing is to be said about, and of UDP what opens one
 * (first-packet.ts), and reads the same tables as the stages do, one after the other: check-source, classify,
 * track-connection, route, translate, output. It remembers nothing, so no change of a table can be missed. Until the last
 * question is answered it writes nothing; whoever answers "no" leaves the packet to the stages, which decide everything
 * else: what is dropped, answered, watched, cut, asked for.
 *
 * What is added to a stage that concerns such packets has to be added here, or to be a reason for "no";
 * testing/fuzz/fuzz-fast.ts compares a plane that has this with one that does not, byte by byte and table by table.
 */
import { Protocol } from "../../base/protocols.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as udp from "../../wire/transport/udp.ts";
import * as admission from "../packet/admission.ts";
import { PortRole } from "../port.ts";
import * as connectionRules from "../table/connection/connection-rules.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import * as fdb from "../table/fdb.ts";
import * as localAddresses from "../table/local-addresses.ts";
import * as prefixSet from "../table/prefix-set.ts";
import * as pending from "../table/service/pending-connections.ts";
import * as vteps from "../table/vteps.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";
import { isSound } from "./fast-checksum.ts";
import { type FastFrame, L4_AT, read } from "./fast-frame.ts";
import { leave } from "./fast-output.ts";
import * as first from "./first-packet.ts";

const { UDP } = Protocol;
const { SRC3, DST3, PORTS } = TupleWord;
const { NEXT, FORWARD } = Verdict;
const { POD, UPLINK } = PortRole;
const { Status } = conntrack;
/** Connections that a helper reads, that another node brought, or that the mesh's proxy has a part in. */
const UNUSUAL = Status.HELPER | Status.VIA | Status.TO_PROXY | Status.FROM_PROXY;
const NAT = Status.SRC_NAT | Status.DST_NAT;
const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;
const FIRST_GROUP_NET = 224;
const ECN = 3;
/** From the outer frame's first byte to its VXLAN header, and to the inner frame. */
const VXLAN_AT = L4_AT + udp.HEADER_LEN;
const INNER_AT = VXLAN_AT + vxlan.HEADER_LEN;

/**
 * Takes the frame to its end, if it is one of those that need no thought. `sum` is that of its bytes from `sumFrom` on,
 * -1: there is none. NEXT: nothing has happened.
 */
export function passFast(
  t: Tables,
  off: number,
  len: number,
  inPort: number,
  nowSec: number,
  sum: number,
  sumFrom: number,
): Verdict {
  const f = t.scratch.fast;
  f.isNew = false;
  if (!f.isOn || !read(f, off, len)) return NEXT;
  begin(f, inPort);
  const role = t.ports.role[inPort];
  if (role === UPLINK && isTunnel(f, t)) {
    return comesFromFabric(f, t) && passInner(f, t, off, len, nowSec, sum, sumFrom) ? f.verdict : NEXT;
  }
  if (!isOurBusiness(f, t)) return NEXT;
  if (
    role === POD
      ? !comesFromPod(f, t, nowSec)
      : role === UPLINK
        ? !comesFromFabric(f, t)
        : !comesFromHost(f, t)
  )
    return NEXT;
  return isSound(f, t, sum, off + sumFrom, off + len) && proceed(f, t, nowSec) ? f.verdict : NEXT;
}

/**
 * The same for an inner frame of many, which decapsulate has laid out by itself; the outer header bears no mark.
 */
export function passLaidOut(t: Tables, off: number, len: number, inPort: number, nowSec: number): boolean {
  const f = t.scratch.fast;
  f.isNew = false;
  if (!f.isOn || t.config.tunnel.keepClients !== 0 || !read(f, off, len)) return false;
  if (f.view.getUint16(off - vnet.HEADER_LEN, true) !== 0) return false; // joined segments
  begin(f, inPort);
  f.fromTunnel = 1;
  f.lead = -1;
  if (!isOurBusiness(f, t) || !comesFromVtep(f, t, t.scratch.tunnelVtep) || isOurs(f, t) || !isRoutable(f))
    return false;
  return isSound(f, t, -1, 0, 0) && proceed(f, t, nowSec);
}

function begin(f: FastFrame, inPort: number): void {
  f.inPort = inPort;
  f.fromTunnel = 0;
  f.opens = 0;
  f.lead = 0;
  f.bridged = 0;
  f.station = -1;
  f.verdict = FORWARD;
}

/** check-source, learn-source and classify, for a pod whose station is known already. */
function comesFromPod(f: FastFrame, t: Tables, nowSec: number): boolean {
  const { view, off, inPort } = f;
  const p = t.ports;
  const hi = eth.srcHi(view, off);
  const lo = eth.srcLo(view, off);
  if (t.config.guard.antiSpoofing !== 0) {
    if (lo !== p.macLo[inPort] || hi !== p.macHi[inPort] || f.key[SRC3] !== p.owner4[inPort]) return false;
  }
  if (eth.isMulticast(hi)) return false;
  f.station = fdb.find(t.fdb, hi, lo, nowSec);
  if (f.station < 0 || t.fdb.port[f.station] !== inPort) return false;
  const { router } = t.config;
  const toHi = eth.dstHi(view, off);
  if (eth.isMulticast(toHi)) return false;
  if (toHi === router.macHi && eth.dstLo(view, off) === router.macLo) return isRoutable(f);
  f.bridged = 1;
  return true;
}

function comesFromFabric(f: FastFrame, t: Tables): boolean {
  const { view, off, inPort } = f;
  if (eth.dstLo(view, off) !== t.ports.macLo[inPort] || eth.dstHi(view, off) !== t.ports.macHi[inPort])
    return false;
  return !eth.isMulticast(eth.srcHi(view, off)) && !isOurs(f, t) && isRoutable(f);
}

function comesFromHost(f: FastFrame, t: Tables): boolean {
  const { view, off } = f;
  const { router } = t.config;
  if (eth.dstLo(view, off) !== router.macLo || eth.dstHi(view, off) !== router.macHi) return false;
  return !eth.isMulticast(eth.srcHi(view, off)) && isRoutable(f);
}

/** Does it claim an address that nobody beyond the uplink can have? */
function isOurs(f: FastFrame, t: Tables): boolean {
  if (t.config.guard.antiSpoofing === 0) return false;
  return prefixSet.contains(t.addresses.ownSources, 0, 0, V4_MAPPED, f.key[SRC3]);
}

/** Addresses that a router passes on without a second look. */
function isRoutable(f: FastFrame): boolean {
  const src = f.key[SRC3] >>> 24;
  const dst = f.key[DST3] >>> 24;
  if (src === 0 || src >= FIRST_GROUP_NET || src === LOOPBACK_NET) return false;
  return dst !== 0 && dst < FIRST_GROUP_NET && dst !== LOOPBACK_NET;
}

/** For our tunnel endpoint, as decapsulate has it. */
function isTunnel(f: FastFrame, t: Tables): boolean {
  const { tunnel } = t.config;
  if (f.proto !== UDP || tunnel.on === 0 || (f.key[PORTS] & 0xffff) !== tunnel.port) return false;
  return localAddresses.has(t.addresses.local, 0, 0, V4_MAPPED, f.key[DST3]);
}

/**
 * decapsulate, for one inner frame behind an outer header without a mark; then the inner one's way. It may be a
 * superframe, or one whose checksum is partial, from a neighbour without a wire between: then nobody can verify the outer
 * checksum; else there is to be none.
 */
function passInner(
  f: FastFrame,
  t: Tables,
  off: number,
  len: number,
  nowSec: number,
  sum: number,
  sumFrom: number,
): boolean {
  const { view } = f;
  const { tunnel } = t.config;
  const at = off + VXLAN_AT;
  const { end } = f;
  const mark = f.tos & ECN;
  const kind = view.getUint16(off - vnet.HEADER_LEN, true);
  const isPartial = (kind & vnet.NEEDS_CSUM) !== 0;
  if ((!isPartial && kind !== 0 && kind !== vnet.DATA_VALID) || mark === 1 || mark === ECN) return false;
  if (tunnel.keepClients !== 0 || (!isPartial && udp.checksum(view, off + L4_AT) !== 0)) return false;
  if (!vxlan.isWellFormed(view, at, end) || vxlan.vni(view, at) !== tunnel.vni) return false;
  const v = vteps.findByOuter(t.vteps, 0, 0, V4_MAPPED, f.key[SRC3]);
  if (v < 0 || !read(f, off + INNER_AT, end - off - INNER_AT)) return false;
  f.fromTunnel = 1;
  f.opens = 1;
  f.lead = isPartial ? INNER_AT : -1;
  if (!isOurBusiness(f, t) || !comesFromVtep(f, t, v) || isOurs(f, t) || !isRoutable(f)) return false;
  return isSound(f, t, sum, off + sumFrom, off + len) && proceed(f, t, nowSec);
}

function comesFromVtep(f: FastFrame, t: Tables, v: number): boolean {
  const { view, off } = f;
  const { tunnel, guard } = t.config;
  if (eth.dstHi(view, off) !== tunnel.macHi || eth.dstLo(view, off) !== tunnel.macLo) return false;
  if (guard.antiSpoofing === 0) return true;
  return eth.srcLo(view, off) === t.vteps.macLo[v] && eth.srcHi(view, off) === t.vteps.macHi[v];
}

/** Of a connection that conntrack knows, or that it may open, and the likes of it? */
function isOurBusiness(f: FastFrame, t: Tables): boolean {
  const ref = conntrack.find(t.conntrack, f.key);
  f.ref = ref;
  f.isNew = ref < 0;
  if (ref < 0) return first.mayOpen(f, t);
  return (t.conntrack.status[(ref >> 1) << 4] & UNUSUAL) === 0;
}

/** How the stages would have a packet leave that opens a connection. */
function open(f: FastFrame, t: Tables, nowSec: number): boolean {
  const { header } = t.conntrack;
  const drawn = header[conntrack.H_RANDOM];
  if (first.choose(f, t) && leave(f, t, nowSec)) return true;
  header[conntrack.H_RANDOM] = drawn;
  return false;
}

/** How track-connection would have it leave, and what of a known connection concerns policies and extensions. */
function proceed(f: FastFrame, t: Tables, nowSec: number): boolean {
  const ct = t.conntrack;
  const { key, ref } = f;
  if (ref < 0) return open(f, t, nowSec);
  const { guard, extra } = t.config;
  if (extra.resetRemoved !== 0 || pending.used(t.pending) !== 0) return false;
  if (guard.policyRecheck !== 0 && t.rulesKept !== 0 && !isAllowed(t, ref >> 1)) return false;
  if ((ct.status[(ref >> 1) << 4] & NAT) !== 0) {
    f.src = conntrack.destinationOf(ct, ref ^ 1);
    f.dst = conntrack.sourceOf(ct, ref ^ 1);
    const ports = conntrack.portsOf(ct, ref ^ 1);
    f.ports = (ports << 16) | (ports >>> 16);
  } else {
    f.src = key[SRC3];
    f.dst = key[DST3];
    f.ports = key[PORTS];
  }
  return leave(f, t, nowSec);
}

/** Where policies are asked again: they have been, and the connection may go on. */
function isAllowed(t: Tables, slot: number): boolean {
  const rules = t.connectionRules;
  if (connectionRules.epochOf(rules, slot) !== t.policy.epoch) return false;
  if (admission.isDenial(connectionRules.egressOf(rules, slot))) return false;
  return !admission.isDenial(connectionRules.ingressOf(rules, slot));
}
