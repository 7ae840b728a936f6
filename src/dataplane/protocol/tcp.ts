/**
 * TCP (nf_conntrack_proto_tcp.c). A segment with flags that an honest stack sends begins a connection: a SYN, or another
 * one where connections are picked up in the middle. Remembered are states (table/connection/conntrack-tcp.ts) and the
 * windows of both ends (conntrack-tcp-window.ts), which say of a further segment whether it belongs there.
 */
import * as header from "../../wire/transport/tcp.ts";
import type { Packet } from "../packet/packet.ts";
import { readSegment } from "../packet/tcp-segment.ts";
import { type Conntrack, Status } from "../table/connection/conntrack.ts";
import * as seqadj from "../table/connection/conntrack-seqadj.ts";
import * as ctTcp from "../table/connection/conntrack-tcp.ts";
import * as tcpWindow from "../table/connection/conntrack-tcp-window.ts";
import { Track } from "../table/connection/ct-states.ts";
import type { Tables } from "../tables.ts";

const { HELPER } = Status;
const { OK, INVALID } = Track;
/** Flags that may move a connection's state: anything but a lone ACK takes the long way. */
const MOVING = header.FLAG_FIN | header.FLAG_SYN | header.FLAG_RST | header.FLAG_ACK;

export function mayBegin(pkt: Packet, t: Tables): boolean {
  return ctTcp.flagsValid(pkt.tcpFlags) && ctTcp.firstState(t.conntrack, pkt.tcpFlags) >= 0;
}

export function begin(pkt: Packet, t: Tables, slot: number, nowSec: number): void {
  readSegment(pkt, t.scratch.tcpSegment);
  ctTcp.open(t.conntrack, slot, t.scratch.tcpSegment, nowSec);
}

export function advance(pkt: Packet, t: Tables, ref: number, nowSec: number): number {
  return isSteady(pkt, t.conntrack, ref, nowSec) ? OK : update(pkt, t, ref, nowSec);
}

/** Nearly every segment: an ACK without SACK, in window, of a connection that stands. False: look closer. */
function isSteady(pkt: Packet, ct: Conntrack, ref: number, nowSec: number): boolean {
  const view = pkt.view;
  const l4 = pkt.l4;
  if ((pkt.tcpFlags & MOVING) !== header.FLAG_ACK) return false;
  const len = header.headerLen(view, l4);
  if (len !== header.HEADER_LEN_MIN && !header.hasTimestampsOnly(view, l4)) return false;
  const seq = header.seq(view, l4);
  const end = (seq + pkt.end - l4 - len) | 0;
  return tcpWindow.advance(ct, ref, seq, header.ack(view, l4), header.window(view, l4), end, nowSec);
}

function update(pkt: Packet, t: Tables, ref: number, nowSec: number): number {
  if (!ctTcp.flagsValid(pkt.tcpFlags)) return INVALID;
  const seg = t.scratch.tcpSegment;
  readSegment(pkt, seg);
  if ((t.conntrack.status[(ref >> 1) << 4] & HELPER) !== 0) unshift(t, ref, seg);
  return ctTcp.update(t.conntrack, ref, seg, nowSec);
}

/** Where a helper shifted what the other side sent, it is acknowledged in shifted numbers; we count as it does. */
function unshift(t: Tables, ref: number, seg: tcpWindow.Segment): void {
  const at = seqadj.find(t.seqadj, ref >> 1);
  if (at < 0) return;
  const offset = seqadj.ackOffsetOf(t.seqadj, 2 * at + ((ref & 1) ^ 1), seg.ack);
  seg.ack = (seg.ack - offset) | 0;
  seg.sack = (seg.sack - offset) | 0;
}
