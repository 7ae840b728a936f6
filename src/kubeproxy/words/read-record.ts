/** Records of watched packets, from the plane's words (dataplane/trace/layout.ts) to plain objects. */
import { formatIp } from "../../base/ip.ts";
import { DROP_REASON_TEXT, dropReasonName } from "../../dataplane/drop-reason.ts";
import { IcmpRequest, WITHHELD } from "../../dataplane/packet/icmp-request.ts";
import { CT_STATE_NAMES, Masquerade } from "../../dataplane/packet/packet.ts";
import { ACTION_BITS, ACTION_MASK } from "../../dataplane/spec/policy.ts";
import { Meta, TupleWord } from "../../dataplane/table/connection/tuple.ts";
import {
  CAPTURE_WORDS,
  CaptureWord,
  DETAIL_WORDS,
  Flag,
  TraceWord,
  Word,
} from "../../dataplane/trace/layout.ts";
import type { RecordRing } from "../../dataplane/trace/record-ring.ts";
import { VERDICT_NAMES } from "../../dataplane/verdict.ts";
import type {
  CaptureRecord,
  Decision,
  PlaneNames,
  PolicyVerdict,
  RuleOf,
  TraceRecord,
  TraceTuple,
} from "../../observe/trace-record.ts";
import { FRONTENDS } from "./explanation.ts";
import { hookOf, stageEntry } from "./stage-table.ts";

/** By IcmpRequest: "port unreachable", … What is no error has no name. */
const ICMP_ERRORS: readonly (string | undefined)[] = Object.entries(IcmpRequest).map(([name, code]) =>
  code === IcmpRequest.NONE || code === IcmpRequest.TCP_RESET || code === IcmpRequest.ECHO_REPLY
    ? undefined
    : name.toLowerCase().replaceAll("_", " "),
);
/** Those that ICMPv6 has other names for (RFC 4443). */
const ICMPV6_ERRORS: Readonly<Record<number, string>> = {
  [IcmpRequest.NET_UNREACHABLE]: "no route to destination",
  [IcmpRequest.HOST_UNREACHABLE]: "address unreachable",
  [IcmpRequest.FRAGMENTATION_NEEDED]: "packet too big",
  [IcmpRequest.TTL_EXCEEDED]: "hop limit exceeded",
};
/** By pending-connections' Reason. */
const FAILURES = [undefined, "refused", "silent", "unreachable"] as const;
const MASQUERADE_NAMES = [undefined, "service", "hairpin", "egress", "hostPort"] as const;
const SOURCES = ["pod", "node", "outside"] as const;
const { SRC0, DST0, PORTS, META } = TupleWord;
const { PROTO, ZONE, MESH_ZONE } = Meta;
const NO_TUPLE: TraceTuple = { src: "", dst: "" };

function tupleAt(words: Int32Array, at: number): TraceTuple {
  const proto = words[at + META] & PROTO;
  const address = (i: number): string =>
    formatIp({ w0: words[i], w1: words[i + 1], w2: words[i + 2], w3: words[i + 3] });
  const tuple: TraceTuple = { src: address(at + SRC0), dst: address(at + DST0) };
  const ports = words[at + PORTS];
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

const ACTIONS = ["allow", "deny", "deny", "audit"] as const; // by PolicyAction

/** A verdict of the plane, in words. */
export function policyVerdict(verdict: number, rule: RuleOf | undefined): PolicyVerdict {
  const id = verdict >>> ACTION_BITS;
  const { rule: text = `rule ${id}`, policies = [] } = rule?.(id) ?? {};
  return { action: ACTIONS[verdict & ACTION_MASK], rule: text, policies };
}

function decisionAt(words: Int32Array, at: number, rule: RuleOf | undefined): Decision {
  const verdict = words[at + Word.VERDICT];
  const drop = words[at + Word.REASON];
  const state = words[at + Word.CT_STATE];
  const flags = words[at + Word.FLAGS];
  const masquerade = MASQUERADE_NAMES[words[at + Word.MASQUERADE]];
  const family = words[at + Word.FAMILY] as 0 | 4 | 6;
  // Field by field, in the order in which they are printed: spreads of what may be missing take most of a replay's time.
  const d = { verdict: VERDICT_NAMES[verdict] ?? String(verdict) } as Decision;
  if (drop !== 0) {
    d.dropReason = dropReasonName(drop);
    d.dropText = DROP_REASON_TEXT[drop];
  }
  if (state !== 0) {
    d.ctState = CT_STATE_NAMES[state];
    d.ctDirection = (flags & Flag.REPLY) === 0 ? "original" : "reply";
  }
  if (masquerade !== undefined) d.masquerade = masquerade;
  if (words[at + Word.MASQUERADE] === Masquerade.KEPT) d.clientKept = true;
  if ((flags & Flag.RETURN) !== 0) d.returns = true;
  if ((flags & Flag.TO_PROXY) !== 0) d.toProxy = true;
  if (family !== 0 && (words[at + Word.KEY + META] & ZONE) === MESH_ZONE) d.fromProxy = true;
  if (words[at + Word.EGRESS] > 0) d.egress = policyVerdict(words[at + Word.EGRESS], rule);
  if (words[at + Word.INGRESS] > 0) d.ingress = policyVerdict(words[at + Word.INGRESS], rule);
  d.bridged = (flags & Flag.BRIDGED) !== 0;
  d.fromTunnel = (flags & Flag.FROM_TUNNEL) !== 0;
  d.inPort = words[at + Word.IN_PORT];
  d.outPort = words[at + Word.OUT_PORT];
  d.family = family;
  d.protocol = words[at + Word.PROTOCOL];
  d.from = family === 0 ? NO_TUPLE : tupleAt(words, at + Word.KEY);
  d.to = family === 0 ? NO_TUPLE : tupleAt(words, at + Word.TO);
  d.translated = (flags & Flag.NAT) !== 0;
  return d;
}

/** Is the trace record at `body` of a packet out of the tunnel? */
export function isFromTunnel(r: RecordRing, body: number): boolean {
  return (r.words[(body >> 2) + Word.FLAGS] & Flag.FROM_TUNNEL) !== 0;
}

/** Reads the trace record whose body is at `body`. `names` turn numbers into what people know. */
export function readTraceRecord(r: RecordRing, body: number, node: string, names: PlaneNames): TraceRecord {
  const at = body >> 2;
  const w = r.words;
  const decision = decisionAt(w, at, names.rule);
  const entry = stageEntry(w[at + TraceWord.STAGE]);
  const words = Array.from(w.subarray(at + TraceWord.DETAIL, at + TraceWord.DETAIL + DETAIL_WORDS));
  const detail = words.some((word) => word !== 0) ? entry.detail?.(words) : undefined;
  const flags = w[at + Word.FLAGS];
  const [attempt, failure] = [w[at + TraceWord.ATTEMPT], FAILURES[w[at + TraceWord.FAILURE]]];
  const record: TraceRecord = {
    node,
    packet: w[at + Word.PACKET],
    stage: entry.name,
    hook: "",
    mode: names.mode,
    timeUs: r.float[(body >> 3) + (Word.TIME_US >> 1)],
    timeMs: w[at + TraceWord.TIME_MS],
    length: w[at + Word.LENGTH],
    tcpFlags: w[at + TraceWord.TCP_FLAGS],
    gsoSize: w[at + TraceWord.GSO_SIZE],
    etherType: w[at + TraceWord.ETHER_TYPE],
    ...decision,
    ...serviceAt(w, at, decision, names),
    ...answerAt(w, at, names),
    ...(attempt !== 0 && { attempt }),
    ...(failure !== undefined && { failure }),
    ...((flags & Flag.OWN) !== 0 && { own: true as const }),
    ...((flags & Flag.TO_NODE) !== 0 && { toNode: true as const }),
    ...((flags & Flag.WAITS) !== 0 && { waits: true as const }),
    ...((flags & Flag.LATE) !== 0 && { late: true as const }),
    ...(detail !== undefined && { detail }),
    ...(decision.inPort >= 0 && { in: names.port(decision.inPort) }),
    ...(decision.outPort >= 0 && { out: names.port(decision.outPort) }),
  };
  record.hook = hookOf(entry, record);
  return record;
}

/** Who claims the packet, and which endpoint it got. */
function serviceAt(w: Int32Array, at: number, d: Decision, names: PlaneNames): Partial<TraceRecord> {
  const service = names.service(w[at + Word.SERVICE]);
  if (service === undefined) return {};
  const isChosen = d.translated && d.ctDirection === "original";
  const endpoint = isChosen ? { endpoint: `${d.to.dst}:${d.to.dport ?? ""}` } : {};
  const frontend = FRONTENDS[w[at + TraceWord.FRONTEND]];
  if (frontend === undefined) return { service, ...endpoint };
  const source = SOURCES[w[at + TraceWord.SOURCE_CLASS]];
  const policy = names.policy?.(service);
  const isLocal = frontend === "ClusterIP" ? policy?.internalLocal : policy?.externalLocal;
  return {
    service,
    ...endpoint,
    frontend,
    source,
    ...(isLocal === true &&
      (frontend === "ClusterIP" || source === "outside") && { localOnly: true as const }),
    ...((w[at + Word.FLAGS] & Flag.RANGES) !== 0 && { sourceRanges: true as const }),
  };
}

/** Where it goes, or what its sender hears. */
function answerAt(w: Int32Array, at: number, names: PlaneNames): Partial<TraceRecord> {
  const index = w[at + TraceWord.ROUTE];
  const route = index >= 0 ? names.route?.(index) : undefined;
  const word = w[at + TraceWord.ICMP_REQUEST];
  const request = word & ~WITHHELD;
  const icmpError = (w[at + Word.FAMILY] === 6 ? ICMPV6_ERRORS[request] : undefined) ?? ICMP_ERRORS[request];
  return {
    ...(route !== undefined && { route }),
    ...(icmpError !== undefined && { icmpError }),
    ...(word !== request && { icmpWithheld: true as const }),
    ...(request === IcmpRequest.TCP_RESET && { tcpReset: true as const }),
  };
}

export function readCaptureRecord(r: RecordRing, body: number, rule?: RuleOf): CaptureRecord {
  const at = body >> 2;
  const w = r.words;
  const from = body + CAPTURE_WORDS * 4;
  return {
    ...decisionAt(w, at, rule),
    packet: w[at + Word.PACKET],
    direction: w[at + CaptureWord.DIRECTION] === 0 ? "in" : "out",
    timeUs: r.float[(body >> 3) + (Word.TIME_US >> 1)],
    length: w[at + Word.LENGTH],
    port: w[at + CaptureWord.PORT],
    serviceId: w[at + Word.SERVICE],
    csumPartial: (w[at + CaptureWord.VNET_FLAGS] & 1) !== 0,
    gsoType: w[at + CaptureWord.GSO_TYPE] & 0x7f,
    gsoSize: w[at + CaptureWord.GSO_SIZE],
    csumStart: w[at + CaptureWord.CSUM_START],
    csumOffset: w[at + CaptureWord.CSUM_OFFSET],
    data: r.bytes.slice(from, from + w[at + CaptureWord.KEPT]),
  };
}
