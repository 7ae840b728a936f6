/**
 * What policies say of a connection, each direction for itself: of what the pod behind one port sends, and of what the
 * pod behind another gets. Asked with the addresses after DNAT, before SNAT.
 *
 * A pod always reaches its own address; by way of a service it is subject to cluster policies alone: a NetworkPolicy has
 * nothing to say about a pod and itself. The node's own programs always reach its pods: probes are theirs.
 *
 * On the bridge pods have link-local addresses as well, which no policy knows: such a peer is the pod behind its port.
 * Fragments of frames for everybody come one by one, without ports: they get the strictest verdict there is.
 */
import { DropReason } from "../drop-reason.ts";
import { PortRole } from "../port.ts";
import { NO_OWNER } from "../send/port-table.ts";
import { ACTION_MASK, NO_ROW, PolicyAction } from "../spec/policy.ts";
import * as tuple from "../table/connection/tuple.ts";
import * as localAddresses from "../table/local-addresses.ts";
import * as policy from "../table/policy/policy.ts";
import type { Tables } from "../tables.ts";
import type { Packet } from "./packet.ts";

/** Verdict of what no policy has anything to say about. */
const NOTHING_SAID = 0;
/** Instead of a verdict: the pod's policies are not known yet. */
export const NOT_READY = -1;
/** Subject of what is no pod's; beside CLOSED and OPEN. */
const NO_SUBJECT = -3;
/** Instead of a port: a station of the bridge that nobody has told of. */
export const UNKNOWN = -2;

const { SRC0, SRC1, SRC2, SRC3, DST0, META } = tuple.TupleWord;
const { FAMILY } = tuple.Meta;
const { POD, HOST } = PortRole;
const NOBODY = -1; // no port of a pod
const EGRESS = 0;
const INGRESS = 1;
const LOOPBACK_NET = 127;
const LINK_LOCAL_10 = 0xfe80 >>> 6; // first ten bits of fe80::/10
const EVERY_PROTOCOL = 44; // IPv6 fragment header: what comes behind it is not known
const V4_MAPPED = 0xffff;

/** Port of the pod that sent it, or -1. What the mesh's proxy sends in others' names, their nodes have asked about. */
export function senderOf(pkt: Packet, t: Tables): number {
  if (t.ports.role[pkt.inPort] !== POD || pkt.fromTunnel !== 0) return NOBODY;
  return tuple.zoneOf(pkt.key) === 0 ? pkt.inPort : NOBODY;
}

/** Subject of the pod behind a port; what no pod's has is none. */
export function subjectBehind(t: Tables, port: number): number {
  return port < 0 || t.ports.role[port] !== POD ? NO_SUBJECT : t.ports.subject[port];
}

/** For policy-answers.ts: who gets it, and in what way, as far as verdicts depend on it. */
export function endsOf(
  t: Tables,
  sender: number,
  receiver: number,
  isDirect: boolean,
  isOwn: boolean,
): number {
  const way = (isDirect ? 1 : 0) | (isOwn ? 2 : 0) | (sender === receiver ? 4 : 0);
  if (receiver < 0) return (NO_SUBJECT << 4) | (receiver === UNKNOWN ? 8 : 0) | way;
  return (subjectBehind(t, receiver) << 4) | way;
}

/**
 * Of what the pod behind port `sender` sends to `to`, whose pod is behind port `receiver`: either may be -1.
 * `isDirect`: to that very address, by no service.
 */
export function egressVerdict(
  t: Tables,
  sender: number,
  receiver: number,
  to: Int32Array,
  isDirect: boolean,
  isPiece = false,
): number {
  if (sender < 0) return NOTHING_SAID;
  const subject = t.ports.subject[sender];
  if (subject < 0) return subject === policy.OPEN ? NOTHING_SAID : NOT_READY;
  const p = t.policy;
  if (receiver === sender) return isDirect ? NOTHING_SAID : selfVerdict(t, subject, EGRESS, to);
  const row = policy.egressRow(p, subject);
  if (row === NO_ROW) return NOTHING_SAID;
  return decide(t, row, peerAt(t, to, DST0, receiver), to, isPiece);
}

/**
 * Of a frame for everybody, as far as the pod behind port `receiver` goes. Policies allow by the address that it bears;
 * a rule that denies the pod itself denies this copy.
 */
export function egressToOne(
  t: Tables,
  sender: number,
  receiver: number,
  to: Int32Array,
  isPiece: boolean,
): number {
  const row = sender < 0 ? NO_ROW : policy.egressRow(t.policy, t.ports.subject[sender]);
  if (row === NO_ROW) return NOTHING_SAID;
  const verdict = decide(t, row, podIdentity(t, receiver), to, isPiece);
  return isOfLink(to, DST0) || reasonOf(verdict) === DropReason.POLICY_DENY_RULE ? verdict : NOTHING_SAID;
}

/** Of what the pod behind port `receiver` gets from the source of `from`; ports are those of `to`. */
export function ingressVerdict(
  t: Tables,
  sender: number,
  receiver: number,
  from: Int32Array,
  to: Int32Array,
  isDirect: boolean,
  isOwn: boolean,
  isPiece = false,
): number {
  if (receiver < 0 || t.ports.role[receiver] !== POD) return NOTHING_SAID;
  const subject = t.ports.subject[receiver];
  if (subject < 0) return subject === policy.OPEN ? NOTHING_SAID : NOT_READY;
  const p = t.policy;
  if (receiver === sender) return isDirect ? NOTHING_SAID : selfVerdict(t, subject, INGRESS, to);
  const row = policy.ingressRow(p, subject);
  if (row === NO_ROW || isOwn) return NOTHING_SAID;
  return decide(t, row, peerAt(t, from, SRC0, sender), to, isPiece);
}

function decide(t: Tables, row: number, peer: number, to: Int32Array, isPiece: boolean): number {
  const proto = tuple.protoOf(to);
  if (!isPiece) return policy.decide(t.policy, row, peer, proto, tuple.destinationPort(to));
  return policy.decideStrictly(t.policy, row, peer, proto === EVERY_PROTOCOL ? -1 : proto);
}

/** Identity of the address at `at`, or of the pod behind `port` that it is of on this link. */
function peerAt(t: Tables, k: Int32Array, at: number, port: number): number {
  if (isOfLink(k, at) && port >= 0 && t.ports.role[port] === POD) return podIdentity(t, port);
  return policy.identityOf(t.policy, k[at], k[at + 1], k[at + 2], k[at + 3]);
}

function podIdentity(t: Tables, port: number): number {
  const { owner4, owner6 } = t.ports;
  const o = port << 2;
  if (owner6[o] === NO_OWNER) return policy.identityOf(t.policy, 0, 0, V4_MAPPED, owner4[port]);
  return policy.identityOf(t.policy, owner6[o], owner6[o + 1], owner6[o + 2], owner6[o + 3]);
}

/** A link-local address. */
export function isOfLink(k: Int32Array, at: number): boolean {
  return k[at] >>> 22 === LINK_LOCAL_10;
}

/** Do verdicts depend on addresses that are of this link only? */
export function isWithinLink(from: Int32Array, to: Int32Array): boolean {
  return isOfLink(from, SRC0) || isOfLink(to, DST0);
}

function selfVerdict(t: Tables, subject: number, direction: number, to: Int32Array): number {
  return policy.decideSelf(
    t.policy,
    subject,
    direction,
    (to[META] & FAMILY) >>> 8,
    tuple.protoOf(to),
    tuple.destinationPort(to),
  );
}

/** Why a packet with this verdict is dropped; NONE: it passes. */
export function reasonOf(verdict: number): DropReason {
  if (verdict === NOT_READY) return DropReason.POLICY_NOT_READY;
  const action = verdict & ACTION_MASK;
  if (action === PolicyAction.DENY) return DropReason.POLICY_DENY;
  return action === PolicyAction.DENY_RULE ? DropReason.POLICY_DENY_RULE : DropReason.NONE;
}

/** A policy, or its rule, says no. */
export function isDenial(verdict: number): boolean {
  const action = verdict & ACTION_MASK;
  return verdict > 0 && (action === PolicyAction.DENY || action === PolicyAction.DENY_RULE);
}

/** From the node itself; what it forwards for others is not its own. */
export function isOwn(pkt: Packet, t: Tables): boolean {
  return t.ports.role[pkt.inPort] === HOST && pkt.fromTunnel === 0 && isNodes(t, pkt.key);
}

/** Is the source an address of the node? */
export function isNodes(t: Tables, k: Int32Array): boolean {
  if (localAddresses.has(t.addresses.local, k[SRC0], k[SRC1], k[SRC2], k[SRC3])) return true;
  if (k[SRC2] === V4_MAPPED) return k[SRC3] >>> 24 === LOOPBACK_NET;
  return (k[SRC0] | k[SRC1] | k[SRC2]) === 0 && k[SRC3] === 1;
}
