// Connections of a table as conntrack would list them, for tests: "tcp ESTABLISHED 10.244.1.2:41000>… <…".
import { formatIp, formatIpPort } from "../../base/ip.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import { SCTP_STATE_NAMES, TCP_STATE_NAMES } from "../../dataplane/table/connection/ct-states.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";

const { SRC0, DST0 } = tuple.TupleWord;

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  47: "gre",
  132: "sctp",
  136: "udplite",
};

export function connectionText(ct: conntrack.Conntrack, slot: number): string {
  const status = ct.status[slot << 4];
  const proto = conntrack.protoOf(ct, slot);
  const parts = [PROTOCOLS[proto] ?? `${proto}`];
  if (proto === 6) parts.push(TCP_STATE_NAMES[ct.state[slot << 5]]);
  if (proto === 132) parts.push(SCTP_STATE_NAMES[ct.state[slot << 5]]);
  parts.push(tupleText(ct, slot << 1), tupleText(ct, (slot << 1) | 1));
  if ((status & conntrack.Status.SEEN_REPLY) === 0) parts.push("[UNREPLIED]");
  if ((status & conntrack.Status.ASSURED) !== 0) parts.push("[ASSURED]");
  return parts.join(" ");
}

function tupleText(ct: conntrack.Conntrack, ref: number): string {
  const key = new Int32Array(tuple.TUPLE_WORDS);
  conntrack.loadTuple(ct, ref, key);
  const [src, dst] = [SRC0, DST0].map((at) => ({
    w0: key[at],
    w1: key[at + 1],
    w2: key[at + 2],
    w3: key[at + 3],
  }));
  const proto = tuple.protoOf(key);
  if (proto === 1 || proto === 58) {
    return `${formatIp(src)}>${formatIp(dst)}(${tuple.icmpType(key)}/${tuple.icmpCode(key)} id ${tuple.icmpId(key)})`;
  }
  return `${formatIpPort(src, tuple.sourcePort(key))}>${formatIpPort(dst, tuple.destinationPort(key))}`;
}
