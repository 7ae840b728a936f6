/**
 * Stage `choose-backend` (Linux: nat PREROUTING and OUTPUT, KUBE-SERVICES …). For a NEW packet only: is its
 * destination a service, what do the rules say for this class of source, and which endpoint gets it. Reads
 * services and the tuple, writes the packet's `to` and, for services with session affinity, who got what. Drops what
 * kube-proxy would drop or reject. What no service translates may be for a pod's host port (CNI-HOSTPORT-DNAT).
 */

import { Protocol } from "../../../base/protocols.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { findFrontend, findHostPort, isFromVip } from "../../packet/find-frontend.ts";
import { IcmpRequest, requestIcmp, requestPortUnreachable } from "../../packet/icmp-request.ts";
import { CtState, Masquerade, type Packet } from "../../packet/packet.ts";
import { sourceClassOf } from "../../packet/source-class.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import { Action, FrontendKind, SourceClass } from "../../spec/services.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as localAddresses from "../../table/local-addresses.ts";
import * as prefixSet from "../../table/prefix-set.ts";
import * as routes from "../../table/routes.ts";
import * as affinity from "../../table/service/affinity.ts";
import * as identities from "../../table/service/identities.ts";
import * as services from "../../table/service/services.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = tuple.TupleWord;
const { FAMILY } = tuple.Meta;

const { CONSUMED, NEXT } = Verdict;
const V4_MAPPED = 0xffff;
const LOOPBACK_ADDRESS = 0x7f000001;

export function chooseBackend(pkt: Packet, t: Tables, nowMs: number): Verdict {
  pkt.stage = StageId.CHOOSE_BACKEND;
  if (pkt.ctState !== CtState.NEW || pkt.ctSlot >= 0) return NEXT;
  const s = t.services;
  const key = pkt.key;
  const to = pkt.to;
  tuple.copy(key, to);
  const f = hasPorts(pkt.proto) ? findFrontend(t, key) : -1;
  if (f >= 0) {
    pkt.frontend = f;
    pkt.sourceClass = sourceClassOf(t, pkt.key, pkt.inPort, pkt.fromTunnel);
  }
  const isRefused = f >= 0 && services.sourceRefused(s, f, key);
  // nftables' firewall-check is asked before any DNAT, iptables' KUBE-PROXY-FIREWALL after portmap's.
  if (isRefused && t.config.proxy.rangesFirst !== 0) return drop(pkt, t, DropReason.SERVICE_SOURCE_RANGE);
  if (s.hostPorts !== 0 && hasPorts(pkt.proto) && (isRefused || !isTranslated(pkt, s, f))) {
    const h = findHostPort(t, key);
    if (h >= 0) return toHostPort(pkt, t, h);
  }
  if (f < 0) return guardAddress(pkt, t);
  if (isRefused) return drop(pkt, t, DropReason.SERVICE_SOURCE_RANGE);
  const sourceClass = pkt.sourceClass;
  const action = actionOf(pkt, t, f);
  if (action === Action.NONE) {
    pkt.frontend = -1;
    return guardAddress(pkt, t);
  }
  if (action === Action.DROP) return drop(pkt, t, DropReason.SERVICE_NO_LOCAL_ENDPOINTS);
  const endpoint = action === Action.REJECT ? -1 : pickEndpoint(pkt, t, nowMs);
  if (endpoint < 0) return refuse(pkt, t);
  const hairpin = sendTo(pkt, s, f, endpoint);
  if (services.masquerades(s, f, sourceClass) || isFromVip(t, pkt.key)) pkt.masquerade = Masquerade.SERVICE;
  else if (hairpin) pkt.masquerade = Masquerade.HAIRPIN;
  return NEXT;
}

/** Writes the endpoint as destination. True when it is the sender itself. */
function sendTo(pkt: Packet, s: services.Services, f: number, endpoint: number): boolean {
  const { key, to } = pkt;
  const e = endpoint << 2;
  let hairpin = true;
  for (let i = 0; i < 4; i++) {
    to[DST0 + i] = s.epAddr[e + i];
    if (s.epAddr[e + i] !== key[i]) hairpin = false;
  }
  to[PORTS] = (key[PORTS] & ~0xffff) | s.epPort[endpoint];
  pkt.nat = 1;
  pkt.endpoint = endpoint;
  s.hits[f]++;
  s.epHits[endpoint]++;
  return hairpin;
}

/** Would the nat table's rules of a service take the packet, so that those of host ports do not see it? */
function isTranslated(pkt: Packet, s: services.Services, f: number): boolean {
  return f >= 0 && services.actionOf(s, f, pkt.sourceClass) === Action.DNAT;
}

/**
 * portmap's rules mark for masquerading what comes from the pod's own network, which is the bridge's, and from 127.0.0.1
 * (CNI-HOSTPORT-SETMARK). Everybody else is seen as who he is.
 */
function toHostPort(pkt: Packet, t: Tables, f: number): Verdict {
  const s = t.services;
  const { key } = pkt;
  const endpoint = services.pick(s, f, SourceClass.OUTSIDE, 0);
  if (endpoint < 0) return NEXT;
  pkt.frontend = f;
  pkt.sourceClass = sourceClassOf(t, pkt.key, pkt.inPort, pkt.fromTunnel);
  const isSelf = sendTo(pkt, s, f, endpoint);
  const r = routes.lookup(t.routes, key[SRC0], key[SRC1], key[SRC2], key[SRC3]);
  const isNeighbour = r >= 0 && t.routes.kind[r] === RouteKind.PODS;
  const isLoopback = key[SRC2] === V4_MAPPED && key[SRC3] === LOOPBACK_ADDRESS;
  if (isSelf || isNeighbour || isLoopback) pkt.masquerade = Masquerade.HOST_PORT;
  return NEXT;
}

/**
 * Nobody serves. kube-proxy's own socket (userspace) took a connection and closed it, and kept quiet about datagrams; its
 * rules refuse both with an ICMP error.
 */
function refuse(pkt: Packet, t: Tables): Verdict {
  if (t.config.proxy.userspace === 0) requestPortUnreachable(pkt);
  else if (pkt.proto === TCP) requestIcmp(pkt, IcmpRequest.TCP_RESET);
  return drop(pkt, t, DropReason.SERVICE_NO_ENDPOINTS);
}

/**
 * Who has no endpoint is refused where packets come in (KUBE-EXTERNAL-SERVICES is no part of OUTPUT): what the node
 * itself sends meets that only where it is for the node, even if its source is taken for a pod's, or nobody's.
 */
function actionOf(pkt: Packet, t: Tables, f: number): number {
  const s = t.services;
  const action = services.actionOf(s, f, pkt.sourceClass);
  if (action < Action.REJECT || t.ports.role[pkt.inPort] !== PortRole.HOST) return action;
  if (action === Action.REJECT) return services.actionOf(s, f, SourceClass.NODE);
  const kind = s.kind[f];
  const isExternal = kind === FrontendKind.EXTERNAL_IP || kind === FrontendKind.LOAD_BALANCER;
  // With source ranges whatever nobody translated is dropped (KUBE-PROXY-FIREWALL), in OUTPUT as well.
  if (!isExternal || t.config.proxy.refusesOutput !== 0 || s.rangeAt[f] !== 0) return action;
  const k = pkt.key;
  return localAddresses.has(t.addresses.local, k[DST0], k[DST1], k[DST2], k[DST3]) ? action : Action.NONE;
}

function hasPorts(proto: number): boolean {
  return proto === TCP || proto === UDP || proto === SCTP;
}

/**
 * The endpoint that the service's scheduler names; for services with affinity the one that the client had, as long as it
 * may still get it. A client may have two: where policies send it to all endpoints by one way and to the node's own by
 * another, the second choice does not end the first. Of two that fit, kube-proxy's rules find the one that stands first.
 */
function pickEndpoint(pkt: Packet, t: Tables, nowMs: number): number {
  const s = t.services;
  const f = pkt.frontend;
  const timeoutSec = s.affinitySec[f];
  if (timeoutSec === 0) return services.choose(s, f, pkt.sourceClass, pkt.key, conntrack.random(t.conntrack));
  let record = s.affinityId[f] << 1;
  const first = rememberedEndpoint(pkt, t, record, nowMs);
  const second = rememberedEndpoint(pkt, t, record | 1, nowMs);
  const fits = first >= 0 && services.mayGet(s, f, pkt.sourceClass, first);
  let endpoint = first;
  if (second >= 0 && services.mayGet(s, f, pkt.sourceClass, second)) {
    if (!fits || services.precedes(s, f, pkt.sourceClass, second, first)) {
      endpoint = second;
      record |= 1;
    }
  } else if (!fits) {
    endpoint = services.choose(s, f, pkt.sourceClass, pkt.key, conntrack.random(t.conntrack));
    if (first >= 0) record |= 1;
  }
  if (endpoint < 0) return -1;
  // kube-proxy's own balancer wants less than the time-out to have passed; netfilter's rules, no more.
  const lastsMs = timeoutSec * 1000 - t.config.proxy.userspace;
  affinity.remember(t.affinity, record, pkt.key, s.epId[endpoint], lastsMs, nowMs);
  return endpoint;
}

/** The endpoint of a client's record, or -1 when there is no record or the endpoint is gone. */
function rememberedEndpoint(pkt: Packet, t: Tables, record: number, nowMs: number): number {
  if (pkt.attempt !== 0) return -1; // it has just failed
  const a = t.affinity;
  const slot = affinity.find(a, record, pkt.key, nowMs);
  return slot < 0 ? -1 : identities.slotOf(t.services.ids, a.endpoint[slot]);
}

/**
 * A packet that no service port claims, to an address that only services have: nftables and ipvs modes refuse it, and
 * nftables drops what is sent to service addresses that nobody has. Neither has entries in iptables mode.
 */
function guardAddress(pkt: Packet, t: Tables): Verdict {
  const s = t.services;
  const key = pkt.key;
  const f = services.find(s, key[DST0], key[DST1], key[DST2], key[DST3], 0, key[META] & FAMILY);
  if (f >= 0 && (s.kind[f] === FrontendKind.UNSERVED || !isIcmp(pkt.proto))) {
    pkt.frontend = f;
    requestPortUnreachable(pkt);
    return drop(pkt, t, DropReason.SERVICE_PORT_UNKNOWN);
  }
  if (f >= 0) return answerPing(pkt, f);
  if (prefixSet.contains(t.addresses.serviceRanges, key[DST0], key[DST1], key[DST2], key[DST3])) {
    return drop(pkt, t, DropReason.SERVICE_IP_UNUSED);
  }
  return NEXT;
}

/** An address that ipvs mode binds to the node: it answers pings, and takes in whatever else ICMP brings. */
function answerPing(pkt: Packet, f: number): Verdict {
  pkt.frontend = f;
  const type = tuple.icmpType(pkt.key);
  const isPing = type === (pkt.family === 4 ? icmpv4.TYPE_ECHO_REQUEST : icmpv6.TYPE_ECHO_REQUEST);
  if (isPing) requestIcmp(pkt, IcmpRequest.ECHO_REPLY);
  return CONSUMED;
}

function isIcmp(proto: number): boolean {
  return proto === ICMP || proto === ICMPV6;
}
