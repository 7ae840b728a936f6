/**
 * One tracked connection as a plain object: what an agent answers to GET /conntrack and what `-o json`
 * prints.
 */

import type { PolicyVerdict } from "./trace-record.ts";

export interface ConntrackTuple {
  src: string;
  dst: string;
  /** TCP, UDP, SCTP, DCCP. */
  sport?: number;
  dport?: number;
  /** GRE: the call of PPTP, else 0. */
  srcKey?: number;
  dstKey?: number;
  /** ICMP and ICMPv6 queries. */
  icmpType?: number;
  icmpCode?: number;
  icmpId?: number;
  /** Seen in this direction; left out when not counted. */
  packets?: number;
  bytes?: number;
}

/** The kernel's IPS_ bits, of which a plane need only know some. */
export const CONNTRACK_STATUS = [
  "EXPECTED",
  "SEEN_REPLY",
  "ASSURED",
  "CONFIRMED",
  "SRC_NAT",
  "DST_NAT",
  "SRC_NAT_DONE",
  "DST_NAT_DONE",
  "DYING",
  "FIXED_TIMEOUT",
  "OFFLOAD",
  "HW_OFFLOAD",
] as const;
export type ConntrackStatus = (typeof CONNTRACK_STATUS)[number];

export interface ConntrackEntry {
  family: "ipv4" | "ipv6";
  /** IP protocol number. */
  proto: number;
  /** nf_conntrack's word for TCP and SCTP; left out for protocols without states. */
  state?: string;
  /** Seconds until the entry expires. */
  timeoutSec?: number;
  orig: ConntrackTuple;
  reply: ConntrackTuple;
  status: ConntrackStatus[];
  mark: number;
  /** Of iptables' CT target, where not 0; podwire itself has one for clients that others bring, `via` and `mesh`. */
  zone?: number;
  origZone?: number;
  replyZone?: number;
  /** SELinux' mark, where not 0. */
  secmark?: number;
  /** Names of /etc/xtables/connlabel.conf; a plane sets none. */
  labels?: string[];
  id?: number;
  use?: number;
  /**
   * Seconds since the connection was first seen, and when that was (ms since 1970), where the plane knows.
   */
  deltaTimeSec?: number;
  startMs?: number;
  /** What policies of this node said when it was let in: of its sender, where that is a pod here, and of its receiver. */
  policy?: ConntrackPolicy;
  /** Tunnel address of the node that brought its client, and gets the answers (dataplane.keepClientAddress). */
  via?: string;
  /** What the node's mesh proxy does with it: it gets what the client sends, or opened it in the client's name. */
  mesh?: "to-proxy" | "from-proxy";
  /** The node whose table holds it. */
  node?: string;
}

export interface ConntrackPolicy {
  egress?: ConntrackRule;
  ingress?: ConntrackRule;
}

export interface ConntrackRule extends PolicyVerdict {
  /** With action "audit": the rule that lets it pass. Left out: none is needed. */
  allowedBy?: string;
  /** What became of the rule since: another one has its place, or none. Left out: it stands. */
  since?: "changed" | "removed";
}

/** `default/allow-db-access ingress[0].from[1].ports[0] (rule since removed)` */
export function conntrackRuleText({ action, rule, allowedBy, since }: ConntrackRule): string {
  const became = since === undefined ? "" : ` (rule since ${since})`;
  if (action !== "audit") return `${rule}${became}`;
  const trial = `AUDIT, would be denied: ${rule}`;
  return allowedBy === undefined ? `${trial}${became}` : `${allowedBy}${became}; ${trial}`;
}

/** What an agent tells of a connection that came, changed or went. */
export interface ConntrackEvent extends ConntrackEntry {
  type: ConntrackEventType;
  /** When the agent read it, ms since 1970. */
  timeMs: number;
}

export const CONNTRACK_EVENTS = ["NEW", "UPDATE", "DESTROY"] as const;
export type ConntrackEventType = (typeof CONNTRACK_EVENTS)[number];

/** Names as /etc/protocols and libnetfilter_conntrack spell them. */
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  33: "dccp",
  47: "gre",
  58: "icmpv6",
  132: "sctp",
  136: "udplite",
};

export function protocolName(proto: number): string {
  return PROTOCOL_NAMES[proto] ?? "unknown";
}

/** A name or a number → IP protocol number; undefined when it is neither. */
export function protocolNumber(text: string): number | undefined {
  const wanted = text.toLowerCase() === "ipv6-icmp" ? "icmpv6" : text.toLowerCase();
  for (const [number, name] of Object.entries(PROTOCOL_NAMES)) if (name === wanted) return Number(number);
  const number = numberOf(text);
  return number !== undefined && number <= 255 ? number : undefined;
}

/**
 * A number as conntrack(8) reads keys, marks, zones, ids and protocols (strtoul with base 0): decimal, 0x and hexadecimal
 * digits, 0 and octal ones. Ports, ICMP types, codes and ids are decimal there. Undefined for anything else.
 */
export function numberOf(text: string): number | undefined {
  if (/^(0x[0-9a-f]+|[1-9]\d*|0)$/i.test(text)) return Number(text);
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
