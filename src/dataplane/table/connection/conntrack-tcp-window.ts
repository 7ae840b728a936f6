/**
 * Window tracking of TCP connections as nf_conntrack does it (nf_conntrack_proto_tcp.c, tcp_in_window, after
 * "Real Stateful TCP Packet Filtering in IP Filter", Guido van Rooij). Of either direction is known how far it
 * has sent (end), how far it may send (maxEnd, told by the other side), the largest window it ever offered
 * (maxWin) and the highest acknowledgement it gave (maxAck). A segment belongs to the connection when
 *
 *   I    seq <= sender.maxEnd                     it lies not above what the receiver takes
 *   II   end >= sender.end - receiver.maxWin      nor wholly below what was acknowledged long ago
 *   III  sack <= receiver.end                     it acknowledges nothing that was not sent
 *   IV   sack >= receiver.end - the window        nor something of long ago
 *
 * A superframe stands for many segments: its end is seq + the whole payload. Sixteen words a connection, one
 * cache line, in the table's `track` column; nothing here reads a clock or touches the packet.
 */
import type { Conntrack } from "./conntrack.ts";
import { H_TCP_MAX_RETRANS, H_TCP_OPTIONS, H_TIMEOUTS, Status, Timeout } from "./conntrack.ts";
import { TcpState } from "./ct-states.ts";

/** One TCP header, read once for the slow way. A reused scratch object. */
export class Segment {
  flags = 0; //       low 8 flag bits
  seq = 0;
  ack = 0;
  sack = 0; //        highest right edge of a SACK block above ack, else ack
  end = 0; //         seq + payload, SYN and FIN counted
  win = 0; //         unscaled
  options = 0; //     option bytes
  wscale = -1; //     -1: not offered
  sackPermitted = 0;
}

// Words of a direction, at (slot << 4) + (direction << 2) …
export const W_END = 0;
export const W_MAX_END = 1;
export const W_MAX_WIN = 2;
export const W_MAX_ACK = 3;
// … and of the connection, at slot << 4: the last segment, as far as later ones are compared with it.
export const W_LAST_SEQ = 8;
export const W_LAST_ACK = 9;
export const W_LAST_END = 10;
export const W_LAST_WIN = 11; // u16 window, retransmissions << 16 (8 bits)
/** flags of both directions (8 bits each), scales << 16 (4 bits each), last row << 24, last direction << 27, STEADY */
export const W_BITS = 12;
export const W_SYN = 13; //      of a SYN that was let through unbelieved: flags, scale << 8

/** Flags of a direction, numbered as the kernel's IP_CT_TCP_FLAG_*. The last two belong to W_SYN. */
export const Flag = Object.freeze({
  WINDOW_SCALE: 0x01,
  SACK_PERM: 0x02,
  CLOSE_INIT: 0x04,
  BE_LIBERAL: 0x08,
  DATA_UNACKNOWLEDGED: 0x10,
  MAXACK_SET: 0x20,
  EXP_CHALLENGE_ACK: 0x40,
  SIMULTANEOUS_OPEN: 0x80,
} as const);
/** Bits of the header word H_TCP_OPTIONS: the sysctls nf_conntrack_tcp_*. */
export const TcpOption = Object.freeze({ BE_LIBERAL: 1, LOOSE: 2, IGNORE_INVALID_RST: 4 } as const);
/** What `check` answers: IGNORE passes and changes nothing, INVALID belongs to no connection. */
export const Window = Object.freeze({ IGNORE: 0, INVALID: 1, ACCEPT: 2 } as const);

const ACCEPT_UNLEARNED = 3; // liberal: passes as a good one, but nothing is learned from it

const { WINDOW_SCALE, SACK_PERM, BE_LIBERAL, DATA_UNACKNOWLEDGED, MAXACK_SET } = Flag;
const FAST_MASK = Status.ASSURED | Status.HELPER; // a helper may have shifted sequence numbers
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const ROW_ACK = 3; //         of conntrack-tcp.ts' table
const LAST_ROW_SHIFT = 24;
const LAST_MASK = 0xf << LAST_ROW_SHIFT;
const STEADY = 1 << 28; // established and assured, both windows known: `advance` may take it
const BOTH_UNACKNOWLEDGED = DATA_UNACKNOWLEDGED * 0x101;
const { SYN_SENT, SYN_RECV, ESTABLISHED } = TcpState;
const MAX_ACK_WINDOW = 66_000;
const MAX_SCALE = 14;
const I32_MAX = 0x7fff_ffff;

export function flagsOf(bits: number, dir: number): number {
  return (bits >>> (dir << 3)) & 0xff;
}
function scaleOf(bits: number, dir: number): number {
  return (bits >>> (16 + (dir << 2))) & 0xf;
}
export function withFlags(bits: number, dir: number, flags: number): number {
  const shift = dir << 3;
  return (bits & ~(0xff << shift)) | (flags << shift);
}
export function withScale(bits: number, dir: number, scale: number): number {
  const shift = 16 + (dir << 2);
  return (bits & ~(0xf << shift)) | (scale << shift);
}
export function lastRow(bits: number): number {
  return (bits >>> LAST_ROW_SHIFT) & 7;
}
export function lastDir(bits: number): number {
  return (bits >>> 27) & 1;
}
export function withLast(bits: number, row: number, dir: number): number {
  return (bits & ~LAST_MASK) | (row << LAST_ROW_SHIFT) | (dir << 27);
}

/**
 * The way of nearly every segment: an ACK, with or without data, without SACK, of a connection that is STEADY; nothing
 * sent again, no window closed or overrun. Takes it into account and answers true; or changes nothing and answers
 * false: then the slow way decides, which would have come to the same.
 */
export function advance(
  t: Conntrack,
  ref: number,
  seq: number,
  ack: number,
  win: number,
  end: number,
  nowSec: number,
): boolean {
  const slot = ref >> 1;
  const shift = (ref & 1) << 3;
  const c = t.track;
  const w = slot << 4;
  const s = w + (shift >> 1);
  const r = s ^ 4;
  const before = c[w + W_BITS];
  const wanted = STEADY | (MAXACK_SET << shift);
  if ((before & wanted) !== wanted || win === 0) return false;
  if (((t.expiresAtSec[slot << 4] - nowSec) | 0) <= 0) return false;
  const maxEnd = c[s + W_MAX_END];
  const ahead = (end - c[s + W_END]) | 0;
  const unacked = (c[r + W_END] - ack) | 0;
  if (ahead < 0 || ((maxEnd - end) | 0) < 0 || unacked >>> 0 > MAX_ACK_WINDOW) return false;
  let bits = (before & ~LAST_MASK) | (ROW_ACK << LAST_ROW_SHIFT) | (shift << 24);
  if (ahead > 0) {
    c[s + W_END] = end;
    bits |= DATA_UNACKNOWLEDGED << shift;
  }
  if (unacked === 0) bits &= ~(DATA_UNACKNOWLEDGED << (8 - shift));
  if (((ack - c[s + W_MAX_ACK]) | 0) > 0) c[s + W_MAX_ACK] = ack;
  const scaled = win << ((before >>> (16 + (shift >> 1))) & 0xf);
  if (c[s + W_MAX_WIN] < scaled) c[s + W_MAX_WIN] = scaled;
  if (((ack + scaled - c[r + W_MAX_END]) | 0) > 0) c[r + W_MAX_END] = (ack + scaled) | 0;
  const repeats = noteAck(c, w, lastDir(before) << 3 === shift, seq, ack, end, win);
  if (bits !== before) c[w + W_BITS] = bits;
  const h = t.header;
  let timeout = h[H_TIMEOUTS + Timeout.TCP + ESTABLISHED];
  if (repeats !== 0) timeout = timeoutFor(t, w, ESTABLISHED, false);
  else if ((bits & BOTH_UNACKNOWLEDGED) !== 0) {
    const unacknowledged = h[H_TIMEOUTS + Timeout.TCP_UNACK];
    if (unacknowledged < timeout) timeout = unacknowledged;
  }
  t.expiresAtSec[slot << 4] = (nowSec + timeout) | 0;
  return true;
}

/** Linux' after(a, b), down to what it says of two numbers half the circle apart. */
function after(a: number, b: number): boolean {
  return ((b - a) | 0) < 0;
}
/** !before(a, b + 1), the same way. */
function isAbove(a: number, b: number): boolean {
  return ((a - b - 1) | 0) >= 0;
}

function growWindow(c: Int32Array, at: number, by: number): void {
  const grown = c[at + W_MAX_WIN] + by;
  c[at + W_MAX_WIN] = grown > I32_MAX ? I32_MAX : grown;
}

/** The same ACK again and again: its sender hears nothing. Answers how often it has come again. */
function noteAck(
  c: Int32Array,
  w: number,
  sameDir: boolean,
  seq: number,
  ack: number,
  end: number,
  win: number,
): number {
  const last = c[w + W_LAST_WIN];
  if (c[w + W_LAST_END] === end && c[w + W_LAST_ACK] === ack && c[w + W_LAST_SEQ] === seq && sameDir) {
    if ((last & 0xffff) === win) {
      const again = (last + 0x1_0000) & 0xff_ffff;
      c[w + W_LAST_WIN] = again;
      return again >>> 16;
    }
  }
  c[w + W_LAST_SEQ] = seq;
  c[w + W_LAST_ACK] = ack;
  c[w + W_LAST_END] = end;
  c[w + W_LAST_WIN] = win;
  return 0;
}

/** A connection whose segments may take the fast way, or may no longer. A helper may shift sequence numbers. */
export function settleSteady(t: Conntrack, slot: number): void {
  const c = t.track;
  const w = slot << 4;
  const isSteady =
    t.state[slot << 5] === ESTABLISHED &&
    (t.status[slot << 4] & FAST_MASK) === Status.ASSURED &&
    c[w + W_MAX_WIN] !== 0 &&
    c[w + 4 + W_MAX_WIN] !== 0;
  c[w + W_BITS] = isSteady ? c[w + W_BITS] | STEADY : c[w + W_BITS] & ~STEADY;
}

/** Seconds that a connection in this state has, with what is known of its segments. */
export function timeoutFor(t: Conntrack, w: number, state: number, isReset: boolean): number {
  const h = t.header;
  const timeout = h[H_TIMEOUTS + Timeout.TCP + state];
  const last = t.track[w + W_LAST_WIN];
  const retrans = h[H_TIMEOUTS + Timeout.TCP_RETRANS];
  if (last >>> 16 >= h[H_TCP_MAX_RETRANS] && timeout > retrans) return retrans;
  if (isReset) return h[H_TIMEOUTS + Timeout.TCP + 8];
  const unacked = h[H_TIMEOUTS + Timeout.TCP_UNACK];
  if ((t.track[w + W_BITS] & BOTH_UNACKNOWLEDGED) !== 0 && timeout > unacked) return unacked;
  if ((last & 0xffff) === 0 && timeout > retrans) return retrans;
  return timeout;
}

/** Forgets what the slot knew, and takes what the first segment says of its sender. */
export function begin(t: Conntrack, slot: number, seg: Segment): void {
  const c = t.track;
  const w = slot << 4;
  for (let i = 0; i < 16; i++) c[w + i] = 0;
  c[w + W_END] = seg.end;
  c[w + W_MAX_WIN] = seg.win === 0 ? 1 : seg.win;
  c[w + W_BITS] = withLast(0, 5, 0);
  if ((seg.flags & SYN) !== 0) {
    c[w + W_MAX_END] = seg.end;
    readOptions(c, w, 0, seg);
    return;
  }
  // Picked up in the middle: what was agreed on is lost.
  c[w + W_MAX_END] = (seg.end + c[w + W_MAX_WIN]) | 0;
  c[w + W_BITS] |= (SACK_PERM | BE_LIBERAL) * 0x101;
}

/** What a SYN offers. One without any options leaves things as they were. */
function readOptions(c: Int32Array, w: number, dir: number, seg: Segment): void {
  if (seg.options === 0) return;
  let flags = flagsOf(c[w + W_BITS], dir) & BE_LIBERAL;
  flags |= offered(seg);
  c[w + W_BITS] = withScale(withFlags(c[w + W_BITS], dir, flags), dir, scaleOffered(seg));
}

export function offered(seg: Segment): number {
  return (seg.wscale >= 0 ? WINDOW_SCALE : 0) | (seg.sackPermitted !== 0 ? SACK_PERM : 0);
}

export function scaleOffered(seg: Segment): number {
  if (seg.wscale < 0) return 0;
  return seg.wscale > MAX_SCALE ? MAX_SCALE : seg.wscale;
}

/** A direction begins with this SYN or SYN+ACK, or begins again. */
function initSender(c: Int32Array, w: number, dir: number, seg: Segment): void {
  const s = w + (dir << 2);
  c[s + W_END] = seg.end;
  c[s + W_MAX_END] = seg.end;
  c[s + W_MAX_WIN] = seg.win === 0 ? 1 : seg.win;
  readOptions(c, w, dir, seg);
  // RFC 7323 §2.2: windows are scaled only when both sides said so.
  const bits = c[w + W_BITS];
  if (dir === 1 && (flagsOf(bits, 0) & flagsOf(bits, 1) & WINDOW_SCALE) === 0)
    c[w + W_BITS] = bits & ~0xff_0000;
}

/** tcp_in_window: judges a segment and, when it is accepted, learns from it. `row` is its row of the table. */
export function check(t: Conntrack, ref: number, row: number, seg: Segment): number {
  const c = t.track;
  const dir = ref & 1;
  const w = (ref >> 1) << 4;
  const s = w + (dir << 2);
  const r = s ^ 4;
  const isSyn = (seg.flags & SYN) !== 0;
  const hasAck = (seg.flags & ACK) !== 0;
  let sack = (flagsOf(c[w + W_BITS], dir ^ 1) & SACK_PERM) !== 0 ? seg.sack : seg.ack;
  const state = t.state[(ref >> 1) << 5];
  if (c[s + W_MAX_WIN] === 0) {
    if (isSyn) {
      initSender(c, w, dir, seg);
      if (!hasAck) return Window.ACCEPT; // simultaneous open
    } else pickUp(c, w, dir, seg, sack);
  } else if (isSyn && after(seg.end, c[s + W_END]) && (state === SYN_SENT || state === SYN_RECV)) {
    initSender(c, w, dir, seg);
    if (dir === 1 && !hasAck) return Window.ACCEPT;
  }
  let ack = seg.ack;
  if (!hasAck || ((seg.flags & RST) !== 0 && ack === 0)) {
    ack = c[r + W_END];
    sack = ack;
  }
  let { seq, end } = seg;
  // A reset that answers a SYN has no sequence number to go by.
  if ((seg.flags & RST) !== 0 && seq === 0 && state === SYN_SENT) {
    seq = c[s + W_END];
    end = seq;
  }
  const verdict = judge(t, w, dir, seq, end, sack);
  if (verdict === Window.ACCEPT) learn(c, w, dir, row, seg, seq, end, ack, sack);
  return verdict === ACCEPT_UNLEARNED ? Window.ACCEPT : verdict;
}

/** A direction that has said nothing yet, of a connection that is older than we know. */
function pickUp(c: Int32Array, w: number, dir: number, seg: Segment, sack: number): void {
  const s = w + (dir << 2);
  const r = s ^ 4;
  const win = seg.win << scaleOf(c[w + W_BITS], dir);
  c[s + W_END] = seg.end;
  c[s + W_MAX_WIN] = win === 0 ? 1 : win;
  c[s + W_MAX_END] = (seg.end + c[s + W_MAX_WIN]) | 0;
  if (c[r + W_MAX_WIN] === 0) {
    c[r + W_END] = sack;
    c[r + W_MAX_END] = sack;
  } else if (sack === ((c[r + W_END] + 1) | 0)) c[r + W_END] = sack; // most likely answers a keep-alive
}

function judge(t: Conntrack, w: number, dir: number, seq: number, end: number, sack: number): number {
  const c = t.track;
  const s = w + (dir << 2);
  const r = s ^ 4;
  const senderWin = c[s + W_MAX_WIN];
  const receiverWin = c[r + W_MAX_WIN];
  const ackable = c[r + W_END];
  const isKnown = !isAbove(sack, ackable);
  const isRecent = after(sack, (ackable - (senderWin > MAX_ACK_WINDOW ? senderWin : MAX_ACK_WINDOW) - 1) | 0);
  const endOk = after(end, (c[s + W_END] - receiverWin - 1) | 0);
  let verdict: number = Window.ACCEPT;
  if (isAbove(seq, c[s + W_MAX_END])) {
    verdict = Window.INVALID;
    const overshot = (end - c[s + W_MAX_END] + 1) >>> 0;
    if (receiverWin !== 0 && endOk && isRecent && overshot <= receiverWin && isKnown) {
      // More than the receiver takes. Should it acknowledge that, its acknowledgement must be good.
      c[s + W_END] = end;
      c[w + W_BITS] |= DATA_UNACKNOWLEDGED << (dir << 3);
      verdict = Window.IGNORE;
    }
  } else if (!isKnown) verdict = Window.INVALID;
  else if ((receiverWin !== 0 && !endOk) || !isRecent) verdict = Window.IGNORE;
  if (verdict === Window.ACCEPT) return verdict;
  const isLiberal = (flagsOf(c[w + W_BITS], dir) & BE_LIBERAL) !== 0;
  return isLiberal || (t.header[H_TCP_OPTIONS] & TcpOption.BE_LIBERAL) !== 0 ? ACCEPT_UNLEARNED : verdict;
}

function learn(
  c: Int32Array,
  w: number,
  dir: number,
  row: number,
  seg: Segment,
  seq: number,
  end: number,
  ack: number,
  sack: number,
): void {
  const s = w + (dir << 2);
  const r = s ^ 4;
  let bits = c[w + W_BITS];
  const shift = dir << 3;
  const win = (seg.flags & SYN) !== 0 ? seg.win : seg.win << scaleOf(bits, dir);
  const reach = win + ((sack - ack) | 0);
  if (c[s + W_MAX_WIN] < reach) c[s + W_MAX_WIN] = reach > I32_MAX ? I32_MAX : reach;
  if (after(end, c[s + W_END])) {
    c[s + W_END] = end;
    bits |= DATA_UNACKNOWLEDGED << shift;
  }
  if ((seg.flags & ACK) !== 0) {
    if ((bits & (MAXACK_SET << shift)) === 0 || after(ack, c[s + W_MAX_ACK])) c[s + W_MAX_ACK] = ack;
    bits |= MAXACK_SET << shift;
  }
  const maxEnd = c[s + W_MAX_END];
  if (c[r + W_MAX_WIN] !== 0 && after(end, maxEnd)) growWindow(c, r, (end - maxEnd) | 0);
  const room = (sack + win) | 0;
  if (!after(c[r + W_MAX_END], room)) c[r + W_MAX_END] = win === 0 ? (room + 1) | 0 : room;
  if (ack === c[r + W_END]) bits &= ~(DATA_UNACKNOWLEDGED << (8 - shift));
  c[w + W_BITS] = bits;
  if (row === ROW_ACK) noteAck(c, w, lastDir(bits) === dir, seq, ack, end, seg.win);
}
