/**
 * Stage `send-tcp-reset` (Linux: tcp_v4_send_reset, tcp_v6_send_response). Answers a TCP segment in the name of the
 * address it was sent to: there is no connection (RFC 9293 §3.10.7.1). Fills `own` with a packet that the pipeline
 * routes like any other of the node's own. Makes none for a reset, a later fragment or a group's address.
 */

import type { Ipv4Addr, L4Port } from "../../../base/ids.ts";
import { Protocol } from "../../../base/protocols.ts";
import * as checksum from "../../../wire/bytes/checksum.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import { Event } from "../../counters.ts";
import { routeToSender } from "../../packet/kept-client.ts";
import { begin, type Packet, Way } from "../../packet/packet.ts";
import * as pool from "../../slot-pool.ts";
import * as tuple from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";

const { TCP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, META } = tuple.TupleWord;

const TTL = 64;

/** True when `own` holds a reset to send. */
export function makeTcpReset(pkt: Packet, t: Tables): boolean {
  if (pkt.proto !== TCP || pkt.fragment !== 0 || (pkt.tcpFlags & tcp.FLAG_RST) !== 0) return false;
  if (eth.isMulticast(eth.dstHi(pkt.view, pkt.off))) return false;
  tuple.invert(pkt.key, t.scratch.own.key);
  if ((pkt.tcpFlags & tcp.FLAG_ACK) !== 0) {
    if (!build(t, tcp.ack(pkt.view, pkt.l4), 0, tcp.FLAG_RST, pkt.inPort)) return false;
  } else if (!build(t, 0, nextSeq(pkt), tcp.FLAG_RST | tcp.FLAG_ACK, pkt.inPort)) return false;
  const { own } = t.scratch;
  own.traceId = pkt.traceId;
  own.watchId = pkt.watchId;
  if (pkt.fromTunnel !== 0 && tuple.zoneOf(pkt.key) !== 0) {
    own.bridged = Way.RETURN; // by the node that brought the client
    own.route = routeToSender(pkt, t);
  }
  return true;
}

/** As above, unasked: for the client of a connection, whose tuple as the client sent it is `key`. */
export function makeTcpResetFor(key: Int32Array, t: Tables, seq: number, ack: number): boolean {
  tuple.invert(key, t.scratch.own.key);
  return build(t, seq, ack, tcp.FLAG_RST | tcp.FLAG_ACK, 0);
}

/** What a segment without ACK would have acknowledged. */
function nextSeq(pkt: Packet): number {
  let len = pkt.end - pkt.l4 - tcp.headerLen(pkt.view, pkt.l4);
  if ((pkt.tcpFlags & tcp.FLAG_SYN) !== 0) len++;
  if ((pkt.tcpFlags & tcp.FLAG_FIN) !== 0) len++;
  return (tcp.seq(pkt.view, pkt.l4) + len) | 0;
}

/** The reset with the tuple that `own` has. */
function build(t: Tables, seq: number, ack: number, flags: number, inPort: number): boolean {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return false;
  const own = t.scratch.own;
  const view = own.view;
  const family = own.key[META] >>> 8;
  const isV4 = family === 4;
  const off = pool.frameOffset(slot);
  const ip = off + eth.HEADER_LEN;
  const l4 = ip + (isV4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN);
  begin(
    own,
    off,
    l4 - off + tcp.HEADER_LEN_MIN,
    t.config.router.hostPort >= 0 ? t.config.router.hostPort : inPort,
  );
  vnet.clear(view, off - vnet.HEADER_LEN);
  eth.emit(view, off, 0, 0, 0, 0, isV4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6);
  const srcPort = tuple.sourcePort(own.key) as L4Port;
  const dstPort = tuple.destinationPort(own.key) as L4Port;
  tcp.emit(view, l4, srcPort, dstPort, seq, ack, tcp.HEADER_LEN_MIN, flags, 0);
  if (isV4) finishV4(t, ip, l4);
  else finishV6(t, ip, l4);
  own.etherType = isV4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6;
  own.family = family;
  own.l3 = ip;
  own.l4 = l4;
  own.proto = TCP;
  own.ipLen = l4 - ip + tcp.HEADER_LEN_MIN;
  own.tcpFlags = tcp.flags(view, l4);
  own.slot = slot;
  t.counters.events[Event.TCP_RESETS]++;
  return true;
}

function finishV4(t: Tables, ip: number, l4: number): void {
  const { key, view } = t.scratch.own;
  const n = tcp.HEADER_LEN_MIN;
  const len = ipv4.HEADER_LEN_MIN + n;
  ipv4.emit(view, ip, 0, len, 0, ipv4.FLAG_DF, TTL, TCP, key[SRC3] as Ipv4Addr, key[DST3] as Ipv4Addr);
  const sum = checksum.sum(view, l4, n, checksum.pseudoSumV4(key[SRC3], key[DST3], TCP, n));
  tcp.setChecksum(view, l4, checksum.finish(sum));
}

function finishV6(t: Tables, ip: number, l4: number): void {
  const { key, view } = t.scratch.own;
  const n = tcp.HEADER_LEN_MIN;
  ipv6.emit(view, ip, 0, 0, n, TCP, TTL);
  ipv6.setSrc(view, ip, key[SRC0], key[SRC1], key[SRC2], key[SRC3]);
  ipv6.setDst(view, ip, key[DST0], key[DST1], key[DST2], key[DST3]);
  tcp.setChecksum(
    view,
    l4,
    checksum.finish(checksum.sum(view, l4, n, checksum.pseudoSumV6(view, ip, TCP, n))),
  );
}
