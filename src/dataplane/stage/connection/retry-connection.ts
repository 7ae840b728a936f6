/**
 * Stage `retry-connection` (userspace mode; kube-proxy: the end of a dial). Looks at packets of connections whose
 * endpoint has not answered yet: an answer ends the waiting; a refusal (RST, ICMP unreachable) is taken from the way to
 * the client, and the engine sends what was held to the next endpoint in the same turn. Reads and writes
 * pending-connections.
 */
import { Protocol } from "../../../base/protocols.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import type { Packet } from "../../packet/packet.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as tuple from "../../table/connection/tuple.ts";
import * as pending from "../../table/service/pending-connections.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { ICMP, ICMPV6, TCP } = Protocol;

const { NEXT, CONSUMED } = Verdict;
const { NONE, REFUSED, UNREACHABLE } = pending.Reason;
const FLAGS = tcp.FLAG_SYN | tcp.FLAG_ACK | tcp.FLAG_RST | tcp.FLAG_FIN;

export function retryConnection(pkt: Packet, t: Tables, nowMs: number): Verdict {
  pkt.stage = StageId.RETRY_CONNECTION;
  const p = t.pending;
  const e = pending.entryOf(p, pkt.ctSlot);
  if (e < 0) return NEXT;
  conntrack.loadTuple(t.conntrack, pkt.ctSlot << 1, t.scratch.keyB);
  if (!pending.isKey(p, e, t.scratch.keyB)) {
    pending.close(p, e);
    return NEXT;
  }
  if (pkt.ctDir === 0) return fromClient(pkt, t, e);
  const isError = pkt.proto === ICMP || pkt.proto === ICMPV6;
  const reason = isError ? errorReason(pkt, t, e) : resetReason(pkt, t, e);
  if (reason === NONE) {
    const isReset = pkt.proto === TCP && (pkt.tcpFlags & tcp.FLAG_RST) !== 0;
    if (!isError && !isReset) pending.close(p, e); // an answer
    return NEXT;
  }
  if (!pending.isTcp(p, e) && p.attempt[e] >= pending.ATTEMPTS) {
    pending.close(p, e); // the client may as well hear it from the last endpoint
    return NEXT;
  }
  p.reason[e] = reason;
  pending.schedule(p, e, pending.AT_ONCE, nowMs);
  return CONSUMED;
}

/** A SYN again changes nothing, further datagrams are held as well; anything else ends what was begun. */
function fromClient(pkt: Packet, t: Tables, e: number): Verdict {
  const p = t.pending;
  if (pkt.attempt !== 0 || pkt.proto === ICMP || pkt.proto === ICMPV6) return NEXT;
  if (pkt.proto === TCP) {
    if ((pkt.tcpFlags & FLAGS) !== tcp.FLAG_SYN) pending.close(p, e);
  } else if (pkt.gsoSize === 0 && pkt.fragMax === 0) {
    const from = pkt.off - vnet.HEADER_LEN;
    pending.append(p, e, pkt.bytes, from, pkt.end - from);
  }
  return NEXT;
}

/** RFC 9293 §3.10.7.3: a reset counts when it acknowledges the SYN. */
function resetReason(pkt: Packet, t: Tables, e: number): number {
  if (pkt.proto !== TCP || (pkt.tcpFlags & FLAGS) !== (tcp.FLAG_RST | tcp.FLAG_ACK)) return NONE;
  const ack = tcp.ack(pkt.view, pkt.l4);
  const p = t.pending;
  return ((ack - p.seq[e]) | 0) > 0 && ((ack - p.seqEnd[e]) | 0) <= 0 ? REFUSED : NONE;
}

/** What ends a connect (Linux: tcp_v4_err, tcp_v6_err in SYN_SENT), or says that nobody takes the datagram. */
function errorReason(pkt: Packet, t: Tables, e: number): number {
  if (pending.isTcp(t.pending, e) && quotedSequence(pkt) !== t.pending.seq[e]) return NONE;
  const type = tuple.icmpType(pkt.key);
  const code = tuple.icmpCode(pkt.key);
  if (pkt.family === 4) {
    if (type === icmpv4.TYPE_UNREACHABLE) {
      if (code === icmpv4.CODE_FRAGMENTATION_NEEDED) return NONE;
      return code === icmpv4.CODE_PORT_UNREACHABLE ? REFUSED : UNREACHABLE;
    }
    return type === icmpv4.TYPE_TIME_EXCEEDED ? UNREACHABLE : NONE;
  }
  if (type === icmpv6.TYPE_UNREACHABLE) {
    return code === icmpv6.CODE_PORT_UNREACHABLE ? REFUSED : UNREACHABLE;
  }
  return type === icmpv6.TYPE_TIME_EXCEEDED ? UNREACHABLE : NONE;
}

/** Of the TCP header that the error quotes: eight bytes of it are always there. */
function quotedSequence(pkt: Packet): number {
  const at = pkt.l4 + 8;
  if (pkt.family === 4) return tcp.seq(pkt.view, at + ipv4.headerLen(pkt.view, at));
  return tcp.seq(pkt.view, ipv6.upperLayerOffset(at, ipv6.findUpperLayer(pkt.view, at, pkt.end)));
}
