/** Records of watched packets, from the plane's words (dataplane/watch.ts) to plain objects. */
import { formatIp } from "../base/ip.ts";
import { DROP_REASON_TEXT, dropReasonName } from "../dataplane/drop-reason.ts";
import { IcmpRequest } from "../dataplane/icmp-request.ts";
import { CT_STATE_NAMES } from "../dataplane/packet.ts";
import type { RecordRing } from "../dataplane/record-ring.ts";
import { STAGE_HOOKS, STAGE_NAMES } from "../dataplane/stage-id.ts";
import { VERDICT_NAMES } from "../dataplane/verdict.ts";
import { CAPTURE_WORDS } from "../dataplane/watch.ts";

/** Addresses and ports of a packet at one moment. ICMP queries have id, type and code instead of ports. */
export interface TraceTuple {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  icmpType?: number;
  icmpCode?: number;
  icmpId?: number;
}

/** What the plane had decided about a packet when the record was written. */
export interface Decision {
  verdict: string;
  /** Stable name and text of a drop; left out when the packet was not dropped. */
  dropReason?: string;
  dropText?: string;
  ctState?: string;
  ctDirection?: "original" | "reply";
  /** Source is rewritten because of: a service rule, a hairpin, leaving the cluster, a host port of a pod here. */
  masquerade?: "service" | "hairpin" | "egress" | "hostPort";
  bridged: boolean;
  fromTunnel: boolean;
  inPort: number;
  outPort: number;
  family: 0 | 4 | 6;
  protocol: number;
  /** As received, and as it leaves (the same when nothing is translated). */
  from: TraceTuple;
  to: TraceTuple;
  translated: boolean;
}

/** One stage of one packet, as `GET /trace` sends it, one JSON object a line. */
export interface TraceRecord extends Decision {
  node: string;
  packet: number;
  stage: string;
  /** The place in Linux that does the same. */
  hook: string;
  /** Of the batch it came in, µs since 1970; 0 where nobody set the clock (offline). */
  timeUs: number;
  /** Engine clock. */
  timeMs: number;
  /** Bytes of the IP packet; a superframe's whole length. */
  length: number;
  tcpFlags: number;
  /** Payload bytes of a segment when this is a superframe, else 0. */
  gsoSize: number;
  etherType: number;
  /**
   * "namespace/name:port" of the service, or "hostPort 8088/TCP of namespace/name", that claims it, and the chosen
   * endpoint "ip:port".
   */
  service?: string;
  endpoint?: string;
  /** The route it takes, as `ip route` would print it. */
  route?: string;
  /** The ICMP error that the sender of a dropped packet is owed. */
  icmpError?: string;
  /** That sender is answered as by a port where nobody listens. */
  tcpReset?: true;
  /** Userspace mode, when what was held is sent again: which attempt, and what became of the one before. */
  attempt?: number;
  failure?: "refused" | "silent" | "unreachable";
  /** Names of the ports, filled in by the agent. */
  in?: string;
  out?: string;
}

/** What the sender of a dropped packet hears, as the end of a sentence. */
export function answerText({ icmpError, tcpReset }: TraceRecord): string {
  if (tcpReset === true) return ", the sender gets a TCP RST";
  return icmpError === undefined ? "" : `, the sender gets ICMP ${icmpError}`;
}

/** What the plane knows by number only. */
export interface PlaneNames {
  port: (id: number) => string;
  service: (id: number) => string | undefined;
  route?: (index: number) => string | undefined;
}

export interface CaptureRecord extends Decision {
  packet: number;
  direction: "in" | "out";
  timeUs: number;
  length: number;
  port: number;
  csumPartial: boolean;
  gsoType: number;
  gsoSize: number;
  /** From the Ethernet header, bytes. */
  csumStart: number;
  csumOffset: number;
  serviceId: number;
  /** A copy: the ring's memory is given back. */
  data: Uint8Array;
}

/** By IcmpRequest: "port unreachable", … */
const ICMP_ERRORS: readonly (string | undefined)[] = Object.entries(IcmpRequest).map(([name, code]) =>
  code === IcmpRequest.NONE || code === IcmpRequest.TCP_RESET
    ? undefined
    : name.toLowerCase().replaceAll("_", " "),
);
/** By pending-connections' Reason. */
const FAILURES = [undefined, "refused", "silent", "unreachable"] as const;
const MASQUERADE_NAMES = [undefined, "service", "hairpin", "egress", "hostPort"] as const;

function tupleAt(words: Int32Array, at: number): TraceTuple {
  const proto = words[at + 9] & 0xff;
  const address = (i: number): string =>
    formatIp({ w0: words[i], w1: words[i + 1], w2: words[i + 2], w3: words[i + 3] });
  const tuple: TraceTuple = { src: address(at), dst: address(at + 4) };
  const ports = words[at + 8];
  if (proto === 1 || proto === 58) {
    tuple.icmpType = (ports >>> 8) & 0xff;
    tuple.icmpCode = ports & 0xff;
    tuple.icmpId = ports >>> 16;
  } else if (proto === 6 || proto === 17 || proto === 132 || proto === 136) {
    tuple.sport = ports >>> 16;
    tuple.dport = ports & 0xffff;
  }
  return tuple;
}

function decisionAt(words: Int32Array, at: number): Decision {
  const w = words[at + 2];
  const drop = (w >>> 8) & 0xff;
  const state = (w >>> 16) & 0xf;
  const meta = words[at + 21];
  const masquerade = MASQUERADE_NAMES[(w >>> 24) & 0x7];
  const outPort = words[at + 3] & 0xffff;
  return {
    verdict: VERDICT_NAMES[w & 0xff] ?? String(w & 0xff),
    ...(drop === 0 ? {} : { dropReason: dropReasonName(drop), dropText: DROP_REASON_TEXT[drop] }),
    ...(state === 0 ? {} : { ctState: CT_STATE_NAMES[state] }),
    ...(state === 0
      ? {}
      : { ctDirection: ((w >>> 20) & 1) === 0 ? ("original" as const) : ("reply" as const) }),
    ...(masquerade === undefined ? {} : { masquerade }),
    bridged: ((w >>> 22) & 1) !== 0,
    fromTunnel: ((w >>> 23) & 1) !== 0,
    inPort: words[at + 3] >>> 16,
    outPort: outPort === 0xffff ? -1 : outPort,
    family: ((meta >> 8) & 0xff) as 0 | 4 | 6,
    protocol: meta & 0xff,
    from: tupleAt(words, at + 12),
    to: tupleAt(words, at + 22),
    translated: ((w >>> 21) & 1) !== 0,
  };
}

/** Reads the trace record whose body is at `body`. `names` turn numbers into what people know. */
export function readTraceRecord(r: RecordRing, body: number, node: string, names: PlaneNames): TraceRecord {
  const at = body >> 2;
  const w = r.words;
  const decision = decisionAt(w, at);
  const service = names.service(w[at + 8]);
  const stage = w[at + 1];
  const route = w[at + 9] >= 0 ? names.route?.(w[at + 9]) : undefined;
  const icmpError = ICMP_ERRORS[w[at + 11]];
  const attempt = (w[at + 2] >>> 27) & 7;
  const failure = FAILURES[w[at + 2] >>> 30];
  const isChosen = decision.translated && decision.ctDirection === "original" && service !== undefined;
  return {
    node,
    packet: w[at],
    stage: STAGE_NAMES[stage] ?? String(stage),
    hook: STAGE_HOOKS[stage] ?? "",
    timeUs: r.float[(body >> 3) + 16],
    timeMs: w[at + 4],
    length: w[at + 5],
    tcpFlags: w[at + 6] & 0xff,
    gsoSize: w[at + 6] >>> 16,
    etherType: w[at + 10] >>> 16,
    ...decision,
    // The tuple is left as the packet before had it when this one is no IP packet.
    family: ((w[at + 10] >>> 8) & 0xff) as 0 | 4 | 6,
    protocol: w[at + 10] & 0xff,
    ...(service === undefined ? {} : { service }),
    ...(isChosen ? { endpoint: `${decision.to.dst}:${decision.to.dport ?? ""}` } : {}),
    ...(route === undefined ? {} : { route }),
    ...(icmpError === undefined ? {} : { icmpError }),
    ...(w[at + 11] === IcmpRequest.TCP_RESET ? { tcpReset: true as const } : {}),
    ...(attempt === 0 ? {} : { attempt }),
    ...(failure === undefined ? {} : { failure }),
    in: names.port(decision.inPort),
    ...(decision.outPort < 0 ? {} : { out: names.port(decision.outPort) }),
  };
}

export function readCaptureRecord(r: RecordRing, body: number): CaptureRecord {
  const at = body >> 2;
  const w = r.words;
  const from = body + CAPTURE_WORDS * 4;
  const vnet = w[at + 8];
  return {
    ...decisionAt(w, at),
    packet: w[at],
    direction: w[at + 1] === 0 ? "in" : "out",
    timeUs: r.float[(body >> 3) + 2],
    length: w[at + 6],
    port: w[at + 32],
    serviceId: w[at + 33],
    csumPartial: (vnet & 1) !== 0,
    gsoType: (vnet >> 8) & 0x7f,
    gsoSize: w[at + 9],
    csumStart: w[at + 10],
    csumOffset: w[at + 11],
    data: r.bytes.slice(from, from + w[at + 7]),
  };
}
