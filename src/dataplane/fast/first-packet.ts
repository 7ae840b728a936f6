/**
 * The fast path's way of a packet that opens a connection: choose-backend, enforce-policy, masquerade and
 * enter-connection for plain UDP datagrams that are translated by a service whose endpoints are drawn, or by nobody, and
 * that policies, if there are any, let pass by an answer they gave lately. Nothing is written until the last question is
 * answered; but a number was drawn for the endpoint then, which is taken back where the packet is left to the stages
 * after all.
 */
import { Protocol } from "../../base/protocols.ts";
import { Event } from "../counters.ts";
import { DropReason } from "../drop-reason.ts";
import * as admission from "../packet/admission.ts";
import { findFrontend, findHostPort, isFromVip } from "../packet/find-frontend.ts";
import { sourceClassOf } from "../packet/source-class.ts";
import { PortRole } from "../port.ts";
import * as udpTracker from "../protocol/udp.ts";
import { Action, Scheduler } from "../spec/services.ts";
import * as connectionRules from "../table/connection/connection-rules.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { EventType } from "../table/connection/event-ring.ts";
import * as expectations from "../table/connection/expectations.ts";
import { Meta, TupleWord } from "../table/connection/tuple.ts";
import * as answers from "../table/policy/policy-answers.ts";
import * as prefixSet from "../table/prefix-set.ts";
import * as services from "../table/service/services.ts";
import type { Tables } from "../tables.ts";
import type { FastFrame } from "./fast-frame.ts";

const { UDP } = Protocol;
const { SRC3, DST0, DST1, DST2, DST3, PORTS, META } = TupleWord;
const { FAMILY } = Meta;
const { HOST, POD, UPLINK } = PortRole;
const { DST_NAT, SERVED } = conntrack.Status;
const V4_MAPPED = 0xffff;
const LOOPBACK_NET = 127;
/** Instead of a row of answers: there are no policies, or none of them has answered. */
const NOBODY_ASKED = -1;
const UNANSWERED = -2;

/** May the frame, whose tuple conntrack does not know, open a connection here? */
export function mayOpen(f: FastFrame, t: Tables): boolean {
  if (f.proto !== UDP || f.key[SRC3] >>> 24 === LOOPBACK_NET) return false;
  return expectations.used(t.expectations) === 0 && conntrack.hasRoom(t.conntrack);
}

/** How choose-backend would have it leave. False: by a service that has more to think about, or not at all. */
export function choose(f: FastFrame, t: Tables): boolean {
  const { key } = f;
  const s = t.services;
  const { tunnel } = t.config;
  f.src = key[SRC3];
  f.dst = key[DST3];
  f.ports = key[PORTS];
  f.endpoint = -1;
  const at = findFrontend(t, key);
  f.frontend = at;
  if (at < 0) {
    if (isGuarded(t, key)) return false;
  } else {
    if (!isSimple(f, t, at)) return false;
    const endpoint = services.pick(s, at, f.sourceClass, conntrack.random(t.conntrack));
    if (endpoint < 0) return false;
    const e = endpoint << 2;
    const { epAddr } = s;
    f.dst = epAddr[e + 3];
    if (f.dst === f.src || epAddr[e + 2] !== V4_MAPPED || (epAddr[e] | epAddr[e + 1]) !== 0) return false;
    f.ports = (f.ports & ~0xffff) | s.epPort[endpoint];
    f.endpoint = endpoint;
  }
  return tunnel.on === 0 || (f.ports & 0xffff) !== tunnel.port;
}

/** A service that draws from all its endpoints, for anybody, and lets them see who asks. */
function isSimple(f: FastFrame, t: Tables, at: number): boolean {
  const s = t.services;
  if (s.rangeAt[at] !== 0 || s.affinitySec[at] !== 0 || s.schedule.kind[at] !== Scheduler.RANDOM)
    return false;
  if (t.config.proxy.retry !== 0) return false;
  const of = sourceClassOf(t, f.key, f.inPort, f.fromTunnel);
  f.sourceClass = of;
  return (
    services.actionOf(s, at, of) === Action.DNAT && !services.masquerades(s, at, of) && !isFromVip(t, f.key)
  );
}

/** Is there anything else about its destination: a host port, a service's address, one that none has? */
function isGuarded(t: Tables, key: Int32Array): boolean {
  const s = t.services;
  if (s.hostPorts !== 0 && findHostPort(t, key) >= 0) return true;
  if (services.find(s, key[DST0], key[DST1], key[DST2], key[DST3], 0, key[META] & FAMILY) >= 0) return true;
  return prefixSet.contains(t.addresses.serviceRanges, key[DST0], key[DST1], key[DST2], key[DST3]);
}

/**
 * masquerade, of what is for the node itself: what it sent to a service of its own gets another source, and so does what
 * came to one by an uplink that is the kernel's, too.
 */
export function returnsToSender(f: FastFrame, t: Tables): boolean {
  if (f.endpoint < 0 || f.fromTunnel !== 0) return false;
  const role = t.ports.role[f.inPort];
  return role === HOST || (role === UPLINK && t.config.router.shared !== 0);
}

/** masquerade, of what goes onto the fabric. */
export function isMasked(f: FastFrame, t: Tables): boolean {
  return isPodEgress(f, t) || losesAnswers(f, t);
}

/** What the node sent to a service, where answers to its own port are the kernel's. */
function losesAnswers(f: FastFrame, t: Tables): boolean {
  if (t.config.router.shared === 0 || f.endpoint < 0) return false;
  return t.ports.role[f.inPort] === HOST && f.fromTunnel === 0;
}

/** A pod's packets leave the cluster as the node's. */
function isPodEgress(f: FastFrame, t: Tables): boolean {
  if (t.config.snat.egress === 0) return false;
  if (!prefixSet.contains(t.addresses.masqueradeSources, 0, 0, V4_MAPPED, f.src)) return false;
  return !prefixSet.contains(t.addresses.masqueradeExempt, 0, 0, V4_MAPPED, f.dst);
}

/**
 * The last questions: do policies let it pass, and is the answers' tuple free? If so it is entered. `receiver` is the
 * port of the pod that gets it, or -1.
 */
export function enter(f: FastFrame, t: Tables, receiver: number, nowSec: number): boolean {
  const ct = t.conntrack;
  const { key, reply, src, dst, ports } = f;
  const row = t.policy.active === 0 ? NOBODY_ASKED : answerFor(f, t, receiver);
  if (row === UNANSWERED) return false;
  reply[SRC3] = dst;
  reply[DST3] = src;
  reply[PORTS] = (ports << 16) | (ports >>> 16);
  reply[META] = key[META];
  if (conntrack.find(ct, reply) >= 0) return false;
  const slot = conntrack.insert(ct, key, reply, nowSec);
  f.isNew = false; // what comes next may be its second packet
  note(f, t, slot, row);
  udpTracker.begin(t, slot, nowSec);
  conntrack.account(ct, slot << 1, f.ipLen);
  if (ct.header[conntrack.H_EVENT_READERS] !== 0) conntrack.tell(ct, EventType.NEW, slot);
  t.counters.events[Event.CT_CREATED]++;
  return true;
}

/** What enter-connection notes of the decision, and choose-backend and enforce-policy count. */
function note(f: FastFrame, t: Tables, slot: number, row: number): void {
  const ct = t.conntrack;
  const s = t.services;
  const { key, endpoint, frontend } = f;
  if (frontend < 0) ct.endpoint[slot << 4] = conntrack.withoutEndpoint(s.epoch[0]);
  else {
    const isSame = f.dst === key[DST3] && f.ports === key[PORTS];
    ct.status[slot << 4] |= isSame ? SERVED : SERVED | DST_NAT;
    ct.endpoint[slot << 4] = s.epId[endpoint];
    ct.service[slot << 1] = s.service[frontend];
    s.hits[frontend]++;
    s.epHits[endpoint]++;
  }
  const { policyAnswers } = t;
  if (row >= 0) answers.note(policyAnswers, row, f.ipLen);
  if (t.rulesKept === 0) return;
  const egress = row < 0 ? 0 : answers.egressAt(policyAnswers, row);
  const ingress = row < 0 ? 0 : answers.ingressAt(policyAnswers, row);
  connectionRules.set(t.connectionRules, slot, egress, ingress, t.policy.epoch);
}

/** Row by which policies let it pass, where they were asked the same lately. */
function answerFor(f: FastFrame, t: Tables, receiver: number): number {
  const { key, to } = f;
  const isOfPort = f.fromTunnel === 0;
  const role = t.ports.role[f.inPort];
  const sender = isOfPort && role === POD ? f.inPort : -1;
  const isOwn = isOfPort && role === HOST && admission.isNodes(t, key);
  to[SRC3] = f.src;
  to[DST3] = f.dst;
  to[PORTS] = f.ports;
  to[META] = key[META];
  const a = t.policyAnswers;
  const at = answers.place(key, to);
  const from = admission.subjectBehind(t, sender);
  const ends = admission.endsOf(t, sender, receiver, f.endpoint < 0, isOwn);
  if (!answers.has(a, at, key, to, from, ends)) return UNANSWERED;
  return answers.reasonAt(a, at) === DropReason.NONE ? at : UNANSWERED;
}
