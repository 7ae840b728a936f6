/**
 * Records of the plane (dataplane/watch.ts: words, no text) → plain objects with names, as `trace` sends them out and
 * `capture` comments packets with them. Names are given by the caller, who knows ports and services.
 */
import { formatIp, type IpWords } from "../base/ip.ts";
import { DROP_REASON_TEXT, dropReasonName } from "../dataplane/drop-reason.ts";
import { IcmpRequest } from "../dataplane/icmp-request.ts";
import { CT_STATE_NAMES, K_DST, K_META, K_PORTS, K_SRC } from "../dataplane/packet.ts";
import { STAGE_HOOKS, STAGE_NAMES, StageId } from "../dataplane/stage-id.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";

/** What the plane knows by number only. */
export interface PlaneNames {
  port(id: number): string | undefined;
  /** "namespace/name:port" */
  service(id: number): string | undefined;
  /** As `ip route` would print it. */
  route(index: number): string | undefined;
}

/** Addresses and ports of a packet; ICMP queries have type, code and id instead of ports. */
export interface PacketTuple {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  icmpType?: number;
  icmpCode?: number;
  icmpId?: number;
}

export type MasqueradeReason = "service" | "hairpin" | "pod-egress";

/** What the plane had decided about a packet at a moment. */
export interface PlaneDecision {
  /** The plane's number of the packet, the same in trace and capture. */
  packet: number;
  verdict: string;
  dropReason?: string;
  dropText?: string;
  inPort?: string;
  outPort?: string;
  ctState?: string;
  direction?: "original" | "reply";
  /** Stays on the pod bridge. */
  bridged: boolean;
  /** Came out of the tunnel. */
  tunnel: boolean;
  masquerade?: MasqueradeReason;
  /** tcp, udp, icmp, …; absent when it is no IP packet. */
  protocol?: string;
  service?: string;
  /** As received, and as it leaves; absent when it is no IP packet. */
  from?: PacketTuple;
  to?: PacketTuple;
}

export interface TraceStep extends PlaneDecision {
  node?: string;
  stage: string;
  /** The place in Linux that does the same. */
  hook: string;
  /** Engine clock. */
  ms: number;
  family: 0 | 4 | 6;
  etherType: number;
  /** Bytes of the IP packet. */
  length: number;
  tcpFlags?: string;
  /** Payload bytes of one segment when this is a superframe. */
  gsoSize?: number;
  route?: string;
  /** The ICMP error that the sender is owed. */
  icmpError?: string;
}

// Words of a record; dataplane/watch.ts defines them.
const W_PACKET = 0;
const W_STAGE = 1;
const W_DECISION = 2;
const W_PORTS = 3;
const W_MS = 4;
const W_LENGTH = 5;
const W_FLAGS = 6;
const W_TRACE_SERVICE = 8;
const W_ROUTE = 9;
const W_TYPE = 10;
const W_ICMP = 11;
const W_KEY = 12;
const W_TO = 22;
const PORT_NONE = 0xffff;
const TCP = 6;
const ICMP = 1;
const ICMPV6 = 58;
const TCP_FLAG_NAMES = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
const MASQUERADE_REASONS: readonly (MasqueradeReason | undefined)[] = [
  undefined,
  "service",
  "hairpin",
  "pod-egress",
];
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  33: "dccp",
  47: "gre",
  58: "icmpv6",
  132: "sctp",
  136: "udplite",
};
/** Protocols with ports where TCP has them. */
const WITH_PORTS = new Set(["tcp", "udp", "sctp", "udplite", "dccp"]);

/** Reads the trace record whose body starts at word `at`. */
export function readTraceStep(words: Int32Array, at: number, names: PlaneNames): TraceStep {
  const stage = words[at + W_STAGE];
  const family = ((words[at + W_TYPE] >>> 8) & 0xff) as 0 | 4 | 6;
  const proto = words[at + W_TYPE] & 0xff;
  const flags = words[at + W_FLAGS] & 0xff;
  const gsoSize = words[at + W_FLAGS] >>> 16;
  const icmpError = icmpRequestName(words[at + W_ICMP]);
  const route = words[at + W_ROUTE] >= 0 ? names.route(words[at + W_ROUTE]) : undefined;
  const decision = readDecision(words, at, words[at + W_TRACE_SERVICE], names, family !== 0);
  if (stage < StageId.TRACK_CONNECTION && decision.ctState === "UNTRACKED") delete decision.ctState;
  return {
    ...decision,
    stage: STAGE_NAMES[stage] ?? `stage ${stage}`,
    hook: STAGE_HOOKS[stage] ?? "",
    ms: words[at + W_MS],
    family,
    etherType: words[at + W_TYPE] >>> 16,
    length: words[at + W_LENGTH],
    ...(family !== 0 && proto === TCP && { tcpFlags: tcpFlagNames(flags) }),
    ...(gsoSize !== 0 && { gsoSize }),
    ...(route !== undefined && { route }),
    ...(icmpError !== undefined && { icmpError }),
  };
}

/** Words 0, 2, 3 and 12–31, which both kinds of record have. */
export function readDecision(
  words: Int32Array,
  at: number,
  serviceId: number,
  names: PlaneNames,
  isIp: boolean,
): PlaneDecision {
  const bits = words[at + W_DECISION];
  const reason = (bits >>> 8) & 0xff;
  const ports = words[at + W_PORTS];
  const decision: PlaneDecision = {
    packet: words[at + W_PACKET],
    verdict: VERDICT_NAMES[bits & 0xff] ?? `verdict ${bits & 0xff}`,
    bridged: ((bits >>> 22) & 1) === 1,
    tunnel: ((bits >>> 23) & 1) === 1,
  };
  if (reason !== 0) {
    decision.dropReason = dropReasonName(reason);
    decision.dropText = DROP_REASON_TEXT[reason] ?? decision.dropReason;
  }
  const inPort = names.port(ports >>> 16);
  if (inPort !== undefined) decision.inPort = inPort;
  const outPort = (ports & 0xffff) === PORT_NONE ? undefined : names.port(ports & 0xffff);
  if (outPort !== undefined) decision.outPort = outPort;
  if (!isIp) return decision;
  const ctState = (bits >>> 16) & 0x0f;
  decision.ctState = CT_STATE_NAMES[ctState] ?? `state ${ctState}`;
  decision.direction = ((bits >>> 20) & 1) === 1 ? "reply" : "original";
  const masquerade = MASQUERADE_REASONS[(bits >>> 24) & 0x0f];
  if (masquerade !== undefined) decision.masquerade = masquerade;
  const proto = words[at + W_KEY + K_META] & 0xff;
  decision.protocol = PROTOCOLS[proto] ?? String(proto);
  const service = serviceId >= 0 ? names.service(serviceId) : undefined;
  if (service !== undefined) decision.service = service;
  decision.from = readTuple(words, at + W_KEY);
  decision.to = readTuple(words, at + W_TO);
  return decision;
}

/** A tuple in the ten-word form of dataplane/packet.ts. */
export function readTuple(words: Int32Array, at: number): PacketTuple {
  const proto = words[at + K_META] & 0xff;
  const ports = words[at + K_PORTS];
  const tuple: PacketTuple = {
    src: formatIp(ipWords(words, at + K_SRC)),
    dst: formatIp(ipWords(words, at + K_DST)),
  };
  if (proto === ICMP || proto === ICMPV6) {
    return { ...tuple, icmpType: (ports >>> 8) & 0xff, icmpCode: ports & 0xff, icmpId: ports >>> 16 };
  }
  if (!WITH_PORTS.has(PROTOCOLS[proto])) return tuple;
  return { ...tuple, sport: ports >>> 16, dport: ports & 0xffff };
}

function ipWords(words: Int32Array, at: number): IpWords {
  return { w0: words[at], w1: words[at + 1], w2: words[at + 2], w3: words[at + 3] };
}

/** "10.244.1.2:41000", "[fd00::1]:80", or the address alone. */
export function formatEnd(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function tcpFlagNames(flags: number): string {
  return TCP_FLAG_NAMES.filter((_, bit) => ((flags >>> bit) & 1) === 1).join(",");
}

function icmpRequestName(code: number): string | undefined {
  if (code === 0) return undefined;
  const found = Object.entries(IcmpRequest).find(([, value]) => value === code);
  return found?.[0].toLowerCase().replaceAll("_", " ");
}
