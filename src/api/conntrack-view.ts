/** Live connections as plain objects: reads the shared table while the worker writes it. */

import { formatIp } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import { Protocol } from "../base/protocols.ts";
import * as connectionRules from "../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { SCTP_STATE_NAMES, TCP_STATE_NAMES } from "../dataplane/table/connection/ct-states.ts";
import * as tuple from "../dataplane/table/connection/tuple.ts";
import type {
  ConntrackEntry,
  ConntrackPolicy,
  ConntrackStatus,
  ConntrackTuple,
} from "../observe/conntrack-entry.ts";
import type { RuleOfConnection } from "./connection-rule.ts";

const { GRE, SCTP, TCP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, META } = tuple.TupleWord;
const { FAMILY, V6 } = tuple.Meta;

const { Status } = conntrack;
const STATUS_NAMES: [number, ConntrackStatus][] = [
  [Status.SEEN_REPLY, "SEEN_REPLY"],
  [Status.ASSURED, "ASSURED"],
  [Status.CONFIRMED, "CONFIRMED"],
  [Status.SRC_NAT, "SRC_NAT"],
  [Status.DST_NAT, "DST_NAT"],
  [Status.DYING, "DYING"],
];

/** Tunnel address of the node whose VTEP has this MAC; the MAC where nobody knows. */
export type NodeOfVtep = (macHi: number, macLo: number) => string;

interface Names {
  readonly node: string;
  readonly ruleOf: RuleOfConnection;
  readonly viaOf: NodeOfVtep;
}

/** An entry with where it lies, so that it can be deleted. */
export interface LiveConnection {
  slot: number;
  key: Int32Array;
  entry: ConntrackEntry;
}

/** Every connection that has not expired. An entry that changes while it is read is read again, then left out. */
export function* liveConnections(
  t: conntrack.Conntrack,
  node: string,
  ruleOf: RuleOfConnection = noRule,
  viaOf: NodeOfVtep = formatMac,
): Generator<LiveConnection> {
  const end = conntrack.highWater(t);
  for (let slot = 0; slot < end; slot++) {
    const live = readStable(t, slot, { node, ruleOf, viaOf });
    if (live !== null) yield live;
  }
}

/** For tables of which nobody knows the policies. */
const noRule: RuleOfConnection = () => undefined;

function readStable(t: conntrack.Conntrack, slot: number, names: Names): LiveConnection | null {
  for (let attempt = 0; attempt < 3; attempt++) {
    const status = t.status[slot << 4];
    if (status === 0) return null;
    const key = new Int32Array(tuple.TUPLE_WORDS);
    const reply = new Int32Array(tuple.TUPLE_WORDS);
    conntrack.loadTuple(t, slot << 1, key);
    conntrack.loadTuple(t, (slot << 1) | 1, reply);
    const startSec = t.startSec[slot << 1];
    const left = (t.expiresAtSec[slot << 4] - conntrack.clockSec(t)) | 0;
    const entry = entryOf(t, slot, status, key, reply, left, names);
    const again = new Int32Array(tuple.TUPLE_WORDS);
    conntrack.loadTuple(t, slot << 1, again);
    const unchanged = t.startSec[slot << 1] === startSec && key.every((word, i) => word === again[i]);
    if (t.status[slot << 4] !== 0 && unchanged) return left <= 0 ? null : { slot, key, entry };
  }
  return null;
}

/** An entry as the table's columns have it at this moment. */
export function entryAt(
  t: conntrack.Conntrack,
  slot: number,
  node: string,
  ruleOf: RuleOfConnection = noRule,
  viaOf: NodeOfVtep = formatMac,
): ConntrackEntry {
  const key = new Int32Array(tuple.TUPLE_WORDS);
  const reply = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTuple(t, slot << 1, key);
  conntrack.loadTuple(t, (slot << 1) | 1, reply);
  const left = (t.expiresAtSec[slot << 4] - conntrack.clockSec(t)) | 0;
  return entryOf(t, slot, t.status[slot << 4], key, reply, left, { node, ruleOf, viaOf });
}

function policyOf(
  t: conntrack.Conntrack,
  slot: number,
  ruleOf: RuleOfConnection,
): { policy: ConntrackPolicy } | undefined {
  const epoch = connectionRules.epochOf(t.rules, slot);
  const egress = ruleOf(connectionRules.egressOf(t.rules, slot), epoch);
  const ingress = ruleOf(connectionRules.ingressOf(t.rules, slot), epoch);
  if (egress === undefined && ingress === undefined) return undefined;
  return { policy: { ...(egress && { egress }), ...(ingress && { ingress }) } };
}

function entryOf(
  t: conntrack.Conntrack,
  slot: number,
  status: number,
  key: Int32Array,
  reply: Int32Array,
  timeoutSec: number,
  { node, ruleOf, viaOf }: Names,
): ConntrackEntry {
  const proto = tuple.protoOf(key);
  const startedAgo = (conntrack.clockSec(t) - t.startSec[slot << 1]) | 0;
  return {
    family: (key[META] & FAMILY) === V6 ? "ipv6" : "ipv4",
    proto,
    ...(proto === TCP ? { state: TCP_STATE_NAMES[t.state[slot << 5]] } : {}),
    ...(proto === SCTP ? { state: SCTP_STATE_NAMES[t.state[slot << 5]] } : {}),
    timeoutSec,
    orig: tupleOf(t, slot << 1, key),
    reply: tupleOf(t, (slot << 1) | 1, reply),
    status: STATUS_NAMES.filter(([bit]) => (status & bit) !== 0).map(([, name]) => name),
    mark: 0,
    use: 1,
    id: slot,
    deltaTimeSec: startedAgo,
    startMs: Date.now() - startedAgo * 1000,
    ...policyOf(t, slot, ruleOf),
    ...viaWords(t, slot, status, key, viaOf),
    ...meshWords(status, key),
    node,
  };
}

/** Of a client that another node brought. */
function viaWords(
  t: conntrack.Conntrack,
  slot: number,
  status: number,
  key: Int32Array,
  viaOf: NodeOfVtep,
): { via: string; origZone: number } | undefined {
  if ((status & Status.VIA) === 0) return undefined;
  return { via: viaOf(t.via[slot << 1], t.via[(slot << 1) | 1]), origZone: tuple.zoneOf(key) >>> 16 };
}

function meshWords(
  status: number,
  key: Int32Array,
): { mesh: "to-proxy" } | { mesh: "from-proxy"; origZone: number } | undefined {
  if ((status & Status.TO_PROXY) !== 0) return { mesh: "to-proxy" };
  if ((status & Status.FROM_PROXY) === 0) return undefined;
  return { mesh: "from-proxy", origZone: tuple.zoneOf(key) >>> 16 };
}

function tupleOf(t: conntrack.Conntrack, ref: number, k: Int32Array): ConntrackTuple {
  const proto = tuple.protoOf(k);
  const read: ConntrackTuple = {
    src: formatIp({ w0: k[SRC0], w1: k[SRC1], w2: k[SRC2], w3: k[SRC3] }),
    dst: formatIp({ w0: k[DST0], w1: k[DST1], w2: k[DST2], w3: k[DST3] }),
    packets: conntrack.packetsOf(t, ref),
    bytes: conntrack.octetsOf(t, ref),
  };
  if (proto === 1 || proto === 58) {
    read.icmpType = tuple.icmpType(k);
    read.icmpCode = tuple.icmpCode(k);
    read.icmpId = tuple.icmpId(k);
  } else if (proto === GRE) {
    read.srcKey = tuple.sourcePort(k);
    read.dstKey = tuple.destinationPort(k);
  } else if (proto === TCP || proto === 17 || proto === SCTP || proto === 136) {
    read.sport = tuple.sourcePort(k);
    read.dport = tuple.destinationPort(k);
  }
  return read;
}
