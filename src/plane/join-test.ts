/**
 * Does this kernel cut a superframe of UDP datagrams as it should? Before any pod gets one, one goes through a real TAP
 * to a UDP socket in a namespace of its own, which must read byte for byte what went in. A few milliseconds, at start.
 */

import { IoKind } from "../base/addon.ts";
import type { Ipv4Addr, L4Port } from "../base/ids.ts";
import { Protocol } from "../base/protocols.ts";
import { Counters } from "../dataplane/counters.ts";
import { Packet } from "../dataplane/packet/packet.ts";
import { enqueueDatagram } from "../dataplane/send/join.ts";
import { PortTable } from "../dataplane/send/port-table.ts";
import { flush, TxQueue } from "../dataplane/send/tx-queue.ts";
import { SlotPool } from "../dataplane/slot-pool.ts";
import { errnoName, type Native } from "../native/binding.ts";
import * as checksum from "../wire/bytes/checksum.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as eth from "../wire/link/ethernet.ts";
import * as udp from "../wire/transport/udp.ts";

const PORT = 9 as L4Port; // discard
const FROM = 0xc0000202 as Ipv4Addr; // 192.0.2.2
const TO = 0xc0000201 as Ipv4Addr;
const STRIDE = 2048;
/** Payload bytes: of equal length but for the last. */
const SIZES = [1000, 1000, 1000, 1000, 1000, 1000, 1000, 33];
const HEADERS = eth.HEADER_LEN + ipv4.HEADER_LEN_MIN + udp.HEADER_LEN;
const HEADROOM = 16;

/** "": it does. Else why superframes of datagrams are not to be used. */
export function testJoining(
  native: Pick<Native, "openProbe" | "closeFd" | "transmit" | "receive" | "pin">,
): string {
  const probe = new Int32Array(4);
  const opened = native.openProbe(PORT, probe);
  if (opened < 0) return `cannot be tried out (${errnoName(opened)})`;
  const [tap, socket, macHi, macLo] = probe;
  try {
    const sent = send(native, tap, macHi, macLo);
    if (sent < 0) return `the kernel refused a superframe (${errnoName(sent)})`;
    return compare(native, socket);
  } finally {
    native.closeFd(tap);
    native.closeFd(socket);
  }
}

/** All datagrams in one superframe, joined as the plane joins them. Returns 0 or -errno. */
function send(
  native: Pick<Native, "transmit" | "receive" | "pin">,
  fd: number,
  hi: number,
  lo: number,
): number {
  const arena = new Uint8Array(SIZES.length * STRIDE);
  const ports = new PortTable(1);
  ports.fd[0] = fd;
  ports.ioKind[0] = IoKind.TAP_VNET;
  const q = new TxQueue(arena, new SlotPool(0, 0), ports, new Counters(1), native);
  const pkt = new Packet(arena);
  SIZES.forEach((size, i) => {
    pkt.off = i * STRIDE + HEADROOM;
    pkt.l3 = pkt.off + eth.HEADER_LEN;
    pkt.l4 = pkt.l3 + ipv4.HEADER_LEN_MIN;
    pkt.end = pkt.off + HEADERS + size;
    pkt.family = 4;
    emit(pkt, hi, lo, i);
    enqueueDatagram(q, pkt, 0, -1, true);
  });
  const pieces = q.flows.pieces[0];
  flush(q);
  if (pieces !== SIZES.length) throw new Error(`the test's ${SIZES.length} datagrams were not joined`);
  return q.results[0];
}

function emit(pkt: Packet, hi: number, lo: number, index: number): void {
  const { view, off, l3, l4, end } = pkt;
  const len = end - l4;
  eth.setDst(view, off, hi, lo);
  eth.setSrc(view, off, 0x0200, 1);
  eth.setEtherType(view, off, eth.ETHERTYPE_IPV4);
  ipv4.emit(view, l3, 0, end - l3, 0, ipv4.FLAG_DF, 64, Protocol.UDP, FROM, TO);
  udp.emit(view, l4, 40_000 as L4Port, PORT, len);
  for (let at = l4 + udp.HEADER_LEN; at < end; at++)
    view.setUint8(at, byteAt(index, at - l4 - udp.HEADER_LEN));
  udp.setChecksum(
    view,
    l4,
    checksum.finish(checksum.sum(view, l4, len, checksum.pseudoSumV4(FROM, TO, 17, len))),
  );
}

function byteAt(index: number, at: number): number {
  return (at * 7 + index * 31 + (at >> 8)) & 0xff;
}

/** What the socket reads must be each datagram as it was, and nothing else. */
function compare(native: Pick<Native, "receive">, fd: number): string {
  const arena = new Uint8Array((SIZES.length + 1) * STRIDE);
  const offs = Int32Array.from({ length: SIZES.length + 1 }, (_, i) => i * STRIDE + HEADROOM);
  const lens = new Int32Array(offs.length);
  const room = STRIDE - HEADROOM;
  const got = native.receive(
    fd,
    IoKind.TAP,
    arena,
    offs,
    lens,
    0,
    offs.length,
    room,
    arena.length,
    lens.slice(),
    -1,
  );
  if (got !== SIZES.length) return `the kernel made ${Math.max(got, 0)} datagrams of ${SIZES.length}`;
  for (let i = 0; i < got; i++) {
    if (lens[i] !== SIZES[i]) return `the kernel made ${lens[i]} bytes of a datagram of ${SIZES[i]}`;
    for (let at = 0; at < lens[i]; at++) {
      if (arena[offs[i] + at] !== byteAt(i, at)) return `the kernel changed byte ${at} of datagram ${i + 1}`;
    }
  }
  return "";
}
