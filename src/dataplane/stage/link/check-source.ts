/**
 * Stage `check-source` (Linux: rp_filter and martian sources; libvirt's no-mac-spoofing, no-ip-spoofing and
 * no-arp-spoofing as ebtables rules). Is the sender who he says he is? A pod speaks from its own MAC and from its own
 * addresses, and names in ARP and neighbour discovery no station but itself; router advertisements and redirects are
 * not for pods to make. Nobody beyond the uplink has an address of this node or its pods, and what comes out of the
 * tunnel bears the MAC of the VTEP that sent it. The node's own stack is believed.
 * The mesh's proxy alone speaks for others, where these are its connections' ends (packet/mesh.ts).
 * Reads the port's owner columns, `stations` where these do not say it, ARP and ND bodies. Drops what is claimed
 * falsely. `antiSpoofing: false` takes all of it away.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as ndp from "../../../wire/ip/ndp.ts";
import * as arp from "../../../wire/link/arp.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { isLinkLocalOf } from "../../packet/link-local.ts";
import * as mesh from "../../packet/mesh.ts";
import type { Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as neighbor from "../../table/neighbor.ts";
import * as prefixSet from "../../table/prefix-set.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMPV6 } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0 } = tuple.TupleWord;

const { NEXT } = Verdict;
const { POD, UPLINK } = PortRole;
const V4_MAPPED = 0xffff;
const LINK_LOCAL = 0xfe800000 | 0; // first word of fe80::/64
const TYPE_REDIRECT = 137;
const MLD_REPORT = 131;
const MLD_DONE = 132;
const MLDV2_REPORT = 143;

export function checkSource(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.CHECK_SOURCE;
  if (t.config.guard.antiSpoofing === 0) {
    mesh.admit(pkt, t); // its connections have their zone all the same
    return NEXT;
  }
  const p = t.ports;
  const port = pkt.inPort;
  if (p.role[port] !== POD || pkt.fromTunnel !== 0) return checkFabric(pkt, t);
  const view = pkt.view;
  if (eth.srcLo(view, pkt.off) !== p.macLo[port] || eth.srcHi(view, pkt.off) !== p.macHi[port]) {
    return drop(pkt, t, DropReason.SPOOFED_MAC);
  }
  const k = pkt.key;
  if (pkt.family === 4) {
    if (k[SRC3] === p.owner4[port] || isStationOf(t, port, 0, 0, V4_MAPPED, k[SRC3])) return NEXT;
    return mesh.admit(pkt, t) ? NEXT : drop(pkt, t, DropReason.SPOOFED_SOURCE);
  }
  if (pkt.family === 6) return checkV6(pkt, t);
  if (pkt.l3 - pkt.off !== eth.HEADER_LEN) return drop(pkt, t, DropReason.TAGGED_FRAME); // nobody reads behind a tag
  return pkt.etherType === eth.ETHERTYPE_ARP ? checkArp(pkt, t) : NEXT;
}

/** Of all the addresses that the port's pod has; the owner columns hold the first of each family. */
function isStationOf(t: Tables, port: number, w0: number, w1: number, w2: number, w3: number): boolean {
  const slot = neighbor.find(t.stations, w0, w1, w2, w3);
  return slot >= 0 && t.stations.port[slot] === port;
}

/** As fib_validate_source: an address of ours can only be here. And whoever tunnels does so from his own VTEP. */
function checkFabric(pkt: Packet, t: Tables): Verdict {
  if (pkt.fromTunnel !== 0) {
    const v = t.scratch.tunnelVtep;
    const view = pkt.view;
    if (
      v >= 0 &&
      (eth.srcLo(view, pkt.off) !== t.vteps.macLo[v] || eth.srcHi(view, pkt.off) !== t.vteps.macHi[v])
    ) {
      return drop(pkt, t, DropReason.SPOOFED_MAC);
    }
  } else if (t.ports.role[pkt.inPort] !== UPLINK) return NEXT;
  if (pkt.family === 0) return NEXT;
  const k = pkt.key;
  if (!prefixSet.contains(t.addresses.ownSources, k[SRC0], k[SRC1], k[SRC2], k[SRC3])) return NEXT;
  return drop(pkt, t, DropReason.MARTIAN_SOURCE);
}

function checkV6(pkt: Packet, t: Tables): Verdict {
  const p = t.ports;
  const port = pkt.inPort;
  const k = pkt.key;
  const o = port << 2;
  const owns =
    k[SRC3] === p.owner6[o + 3] &&
    k[SRC2] === p.owner6[o + 2] &&
    k[SRC1] === p.owner6[o + 1] &&
    k[SRC0] === p.owner6[o];
  if (!owns && !isOwn(t, port, k[SRC0], k[SRC1], k[SRC2], k[SRC3]) && !mayBeNobody(pkt)) {
    return mesh.admit(pkt, t) ? NEXT : drop(pkt, t, DropReason.SPOOFED_SOURCE);
  }
  if (pkt.proto === ICMPV6) return checkDiscovery(pkt, t);
  if (pkt.fragment !== 0 && hidesDiscovery(pkt)) return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
  return NEXT;
}

/** An address of the port's pod, or the link-local one that its MAC makes (RFC 4291, appendix A). */
function isOwn(t: Tables, port: number, w0: number, w1: number, w2: number, w3: number): boolean {
  if (w0 !== LINK_LOCAL) return isStationOf(t, port, w0, w1, w2, w3);
  return isLinkLocalOf(t.ports.macHi[port], t.ports.macLo[port], w0, w1, w2, w3);
}

/** Who has no address yet may look for duplicates and routers and join groups (RFC 4862 §5.4, RFC 3590), no more. */
function mayBeNobody(pkt: Packet): boolean {
  const k = pkt.key;
  if ((k[SRC0] | k[SRC1] | k[SRC2] | k[SRC3]) !== 0 || pkt.proto !== ICMPV6) return false;
  const type = tuple.icmpType(k);
  return (
    type === icmpv6.TYPE_NEIGHBOR_SOLICITATION ||
    type === icmpv6.TYPE_ROUTER_SOLICITATION ||
    type === MLD_REPORT ||
    type === MLD_DONE ||
    type === MLDV2_REPORT
  );
}

/** RFC 6980: neighbour discovery never comes in pieces. What is for a group would reach its hearers unread. */
function hidesDiscovery(pkt: Packet): boolean {
  if (pkt.key[DST0] >>> 24 !== 0xff) return false;
  const next = ipv6.fragNextHeader(pkt.view, pkt.l4);
  return next === ICMPV6 || ipv6.isExtension(next);
}

function checkArp(pkt: Packet, t: Tables): Verdict {
  const view = pkt.view;
  const at = pkt.l3;
  if (!arp.isWellFormed(view, at, pkt.end)) return NEXT; // answer-arp says so
  const p = t.ports;
  const port = pkt.inPort;
  const sender = arp.senderIp(view, at);
  const isProbe = sender === 0 && arp.op(view, at) === arp.OP_REQUEST; // RFC 5227: asks, claims nothing
  if (
    arp.senderLo(view, at) === p.macLo[port] &&
    arp.senderHi(view, at) === p.macHi[port] &&
    (sender === p.owner4[port] || isProbe || isStationOf(t, port, 0, 0, V4_MAPPED, sender))
  ) {
    return NEXT;
  }
  return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
}

function checkDiscovery(pkt: Packet, t: Tables): Verdict {
  const type = tuple.icmpType(pkt.key);
  if (type < icmpv6.TYPE_ROUTER_SOLICITATION || type > TYPE_REDIRECT) return NEXT;
  if (type === icmpv6.TYPE_ROUTER_ADVERTISEMENT || type === TYPE_REDIRECT) {
    return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
  }
  if (!namesOnlyItself(pkt, t)) return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
  if (type === icmpv6.TYPE_ROUTER_SOLICITATION) return NEXT;
  if (pkt.end - pkt.l4 < ndp.SOLICITATION_LEN) return drop(pkt, t, DropReason.MALFORMED_ND);
  // Anybody may be asked for; who probes for an address that is not his is seen to by answer-nd.
  if (type === icmpv6.TYPE_NEIGHBOR_SOLICITATION) return NEXT;
  const view = pkt.view;
  const w0 = ndp.targetWord(view, pkt.l4, 0);
  const w1 = ndp.targetWord(view, pkt.l4, 1);
  const w2 = ndp.targetWord(view, pkt.l4, 2);
  const w3 = ndp.targetWord(view, pkt.l4, 3);
  if (isOwn(t, pkt.inPort, w0, w1, w2, w3)) return NEXT;
  return drop(pkt, t, DropReason.SPOOFED_NEIGHBOR);
}

/** Every link-layer address that the message offers is the port's own. Which of two counts, receivers disagree on. */
function namesOnlyItself(pkt: Packet, t: Tables): boolean {
  const view = pkt.view;
  const p = t.ports;
  let at = ndp.optionsOffset(view, pkt.l4);
  while (at + 8 <= pkt.end) {
    const len = ndp.optionLen(view, at);
    if (len === 0) return true; // malformed: nobody reads on
    const kind = view.getUint8(at);
    if (kind === ndp.OPTION_SOURCE_LINK || kind === ndp.OPTION_TARGET_LINK) {
      if (ndp.linkLo(view, at) !== p.macLo[pkt.inPort]) return false;
      if (ndp.linkHi(view, at) !== p.macHi[pkt.inPort]) return false;
    }
    at += len;
  }
  return true;
}
