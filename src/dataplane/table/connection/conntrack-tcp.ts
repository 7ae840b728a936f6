/**
 * TCP connection states as nf_conntrack has them (nf_conntrack_proto_tcp.c, tcp_conntracks[2][6][10]). Whether
 * a segment is in window is the business of conntrack-tcp-window.ts, which also takes nearly all of them, off
 * this file's long way.
 */
import * as conntrack from "./conntrack.ts";
import { type Conntrack, H_TCP_OPTIONS, Status, Timeout } from "./conntrack.ts";
import * as tcpWindow from "./conntrack-tcp-window.ts";
import {
  Flag,
  type Segment,
  TcpOption,
  W_BITS,
  W_END,
  W_LAST_ACK,
  W_LAST_END,
  W_LAST_SEQ,
  W_LAST_WIN,
  W_MAX_ACK,
  W_MAX_END,
  W_MAX_WIN,
  W_SYN,
  Window,
} from "./conntrack-tcp-window.ts";
import { TcpState, Track } from "./ct-states.ts";
import { EventType } from "./event-ring.ts";

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const URG = 0x20;
const PSH_ECE_CWR = 0xc8;
const SHORTEN_FROM_SEC = 120;

const { ASSURED, COUNTED, SEEN_REPLY } = Status;

const {
  NONE: NO,
  SYN_SENT: SS,
  SYN_RECV: SR,
  ESTABLISHED: ES,
  FIN_WAIT: FW,
  CLOSE_WAIT: CW,
  LAST_ACK: LA,
  TIME_WAIT: TW,
  CLOSE: CL,
  SYN_SENT2: S2,
} = TcpState;
const IV = 10; // invalid
const IG = 11; // ignore: passes, the state stays

const STATES = 10;
// Rows: SYN, SYN+ACK, FIN, ACK, RST, none. Columns: the state before, in TcpState's order.
const NEXT_STATE = new Uint8Array([
  // original direction
  ...[SS, SS, IG, IG, IG, IG, IG, SS, SS, S2],
  ...[IV, IV, SR, IV, IV, IV, IV, IV, IV, SR],
  ...[IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
  ...[ES, IV, ES, ES, CW, CW, TW, TW, CL, IV],
  ...[IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
  ...[IV, IV, IV, IV, IV, IV, IV, IV, IV, IV],
  // reply direction
  ...[IV, S2, IV, IV, IV, IV, IV, SS, IV, S2],
  ...[IV, SR, IG, IG, IG, IG, IG, IG, IG, SR],
  ...[IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
  ...[IV, IG, SR, ES, CW, CW, TW, TW, CL, IG],
  ...[IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
  ...[IV, IV, IV, IV, IV, IV, IV, IV, IV, IV],
]);
const ROW_SYN = 0;
const ROW_SYNACK = 1;
const ROW_FIN = 2;
const ROW_ACK = 3;
const ROW_RST = 4;
const ROW_NONE = 5;
const ROWS = 6;

/** Until its first FIN or RST, as IPVS counts a server's active connections. */
export function isActive(state: number): boolean {
  return (state >= SS && state <= ES) || state === S2;
}

function rowOf(flags: number): number {
  if ((flags & RST) !== 0) return ROW_RST;
  if ((flags & SYN) !== 0) return (flags & ACK) !== 0 ? ROW_SYNACK : ROW_SYN;
  if ((flags & FIN) !== 0) return ROW_FIN;
  return (flags & ACK) !== 0 ? ROW_ACK : ROW_NONE;
}

/** Flag sets that an honest stack sends (tcp_valid_flags): not SYN+FIN, SYN+RST, FIN without ACK, none at all. */
export function flagsValid(flags: number): boolean {
  const f = flags & ~PSH_ECE_CWR;
  if (f === ACK || f === (SYN | ACK) || f === RST || f === (RST | ACK)) return true;
  const g = f & ~URG;
  return g === SYN || g === (FIN | ACK) || g === ACK;
}

/** State of a connection whose first packet carries `flags`, or -1 when such a packet starts none. */
export function firstState(t: Conntrack, flags: number): number {
  const s = NEXT_STATE[rowOf(flags) * STATES + NO];
  if (s >= IV) return -1;
  if (s !== SS && (t.header[H_TCP_OPTIONS] & TcpOption.LOOSE) === 0) return -1;
  return s;
}

/** Takes the first packet of a connection that was just inserted into account: one that `firstState` allowed. */
export function open(t: Conntrack, slot: number, seg: Segment, nowSec: number): void {
  tcpWindow.begin(t, slot, seg);
  const row = rowOf(seg.flags);
  t.state[slot << 5] = NO;
  tcpWindow.check(t, slot << 1, row, seg);
  settle(t, slot << 1, row, NEXT_STATE[row * STATES + NO], NO, nowSec);
}

/**
 * Takes a packet of a known connection into account (nf_conntrack_tcp_packet). REPEAT: the old connection was over
 * and has been removed, the packet begins a new one. INVALID: no such packet belongs here.
 */
export function update(t: Conntrack, ref: number, seg: Segment, nowSec: number): number {
  const slot = ref >> 1;
  const dir = ref & 1;
  if (conntrack.isExpired(t, slot, nowSec)) {
    conntrack.remove(t, slot);
    return Track.REPEAT;
  }
  const row = rowOf(seg.flags);
  let old: number = t.state[slot << 5];
  let next = NEXT_STATE[(dir * ROWS + row) * STATES + old];
  if (next === IV) return Track.INVALID;
  if (next === IG || (next === SS && old >= TW)) {
    if (next === SS && isOver(t, slot, dir)) {
      conntrack.remove(t, slot);
      return Track.REPEAT;
    }
    if (!resync(t, slot, dir, row, seg)) {
      annotate(t, slot, dir, row, seg, old);
      return Track.PASS;
    }
    old = SS;
    next = SR;
  }
  if (next === CL && row === ROW_RST) {
    const fate = judgeReset(t, ref, seg, old);
    if (fate === Reset.INVALID) return Track.INVALID;
    if (fate === Reset.CLOSES) return settle(t, ref, row, CL, old, nowSec);
    if (fate === Reset.DOUBTFUL) next = old;
  } else {
    if (next === TW && old === LA && isChallengeAck(t, slot, dir, row)) return Track.PASS;
    next = simultaneous(t, slot, dir, row, next);
  }
  const verdict = tcpWindow.check(t, ref, row, seg);
  if (verdict === Window.IGNORE) return Track.PASS;
  if (verdict === Window.INVALID) {
    shorten(t, slot, dir, row, nowSec);
    return Track.INVALID;
  }
  return settle(t, ref, row, next, old, nowSec);
}

/** May a SYN have the place of this closed connection? Its FIN was seen, or its sender had reset it. */
function isOver(t: Conntrack, slot: number, dir: number): boolean {
  const bits = t.track[(slot << 4) + W_BITS];
  const flags = tcpWindow.flagsOf(bits, 0) | tcpWindow.flagsOf(bits, 1);
  return (
    (flags & Flag.CLOSE_INIT) !== 0 ||
    (tcpWindow.lastDir(bits) === dir && tcpWindow.lastRow(bits) === ROW_RST)
  );
}

/**
 * A SYN+ACK that acknowledges a SYN we let through without believing it: client and server agree, we did not. True
 * when so; then the connection is as if that SYN had just been seen.
 */
function resync(t: Conntrack, slot: number, dir: number, row: number, seg: Segment): boolean {
  const c = t.track;
  const w = slot << 4;
  let bits = c[w + W_BITS];
  if (row !== ROW_SYNACK || tcpWindow.lastRow(bits) !== ROW_SYN) return false;
  if (tcpWindow.lastDir(bits) === dir || seg.ack !== c[w + W_LAST_END]) return false;
  const other = dir ^ 1;
  const s = w + (other << 2);
  c[s + W_END] = c[w + W_LAST_END];
  c[s + W_MAX_END] = c[w + W_LAST_END];
  const win = c[w + W_LAST_WIN] & 0xffff;
  c[s + W_MAX_WIN] = win === 0 ? 1 : win;
  c[w + W_SYN] &= ~Flag.EXP_CHALLENGE_ACK;
  bits = tcpWindow.withScale(bits, other, c[w + W_SYN] >>> 8);
  bits = tcpWindow.withFlags(bits, other, c[w + W_SYN] & 0xff);
  const r = s ^ 4;
  for (let i = 0; i < 4; i++) c[r + i] = 0; // until it speaks, nothing is steady
  bits = tcpWindow.withScale(bits, dir, 0);
  bits = tcpWindow.withFlags(bits, dir, tcpWindow.flagsOf(bits, dir) & Flag.BE_LIBERAL);
  c[w + W_BITS] = bits;
  tcpWindow.settleSteady(t, slot);
  return true;
}

/** A packet that passes unbelieved: what it said is kept, its answer tells whether it was right. */
function annotate(t: Conntrack, slot: number, dir: number, row: number, seg: Segment, old: number): void {
  const c = t.track;
  const w = slot << 4;
  c[w + W_BITS] = tcpWindow.withLast(c[w + W_BITS], row, dir);
  c[w + W_LAST_SEQ] = seg.seq;
  c[w + W_LAST_END] = seg.end;
  c[w + W_LAST_WIN] = (c[w + W_LAST_WIN] & ~0xffff) | seg.win;
  if (row === ROW_SYN && dir === 0) {
    const challenge = old === LA ? Flag.EXP_CHALLENGE_ACK : 0; // RFC 5961: its ACK acknowledges no FIN
    c[w + W_SYN] = tcpWindow.offered(seg) | challenge | (tcpWindow.scaleOffered(seg) << 8);
  }
  if (old === SS && row === ROW_ACK && dir === 1) c[w + W_LAST_ACK] = seg.ack;
}

function isChallengeAck(t: Conntrack, slot: number, dir: number, row: number): boolean {
  const c = t.track;
  const w = slot << 4;
  const bits = c[w + W_BITS];
  if (row !== ROW_ACK || tcpWindow.lastDir(bits) === dir || tcpWindow.lastRow(bits) !== ROW_SYN) return false;
  if ((c[w + W_SYN] & Flag.EXP_CHALLENGE_ACK) === 0) return false;
  c[w + W_SYN] &= ~Flag.EXP_CHALLENGE_ACK;
  return true;
}

/** Two SYNs that cross: the table alone does not know where their SYN+ACKs lead. */
function simultaneous(t: Conntrack, slot: number, dir: number, row: number, next: number): number {
  const at = (slot << 4) + W_SYN;
  if (next === S2) t.track[at] |= Flag.SIMULTANEOUS_OPEN;
  else if (next === SR && dir === 1 && row === ROW_ACK && (t.track[at] & Flag.SIMULTANEOUS_OPEN) !== 0) {
    return ES;
  }
  return next;
}

/** What becomes of a reset. CLOSES: without a look at its window. DOUBTFUL: the state stays, if it is in window. */
const Reset = Object.freeze({ IN_WINDOW: 0, CLOSES: 1, DOUBTFUL: 2, INVALID: 3 } as const);

function judgeReset(t: Conntrack, ref: number, seg: Segment, old: number): number {
  if (isClosing(old)) return Reset.CLOSES; // the tuple may be another's by now
  const c = t.track;
  const dir = ref & 1;
  const w = (ref >> 1) << 4;
  const bits = c[w + W_BITS];
  const row = tcpWindow.lastRow(bits);
  const sameDir = tcpWindow.lastDir(bits) === dir;
  const status = t.status[(ref >> 1) << 4];
  const established = old === ES && (status & ASSURED) !== 0;
  let fate: number = Reset.IN_WINDOW;
  if ((tcpWindow.flagsOf(bits, dir ^ 1) & Flag.MAXACK_SET) !== 0 && row !== ROW_SYN) {
    const above = (seg.seq - c[w + ((dir ^ 1) << 2) + W_MAX_ACK]) | 0;
    if (seg.seq === 0 && !established) return Reset.IN_WINDOW; // answers a SYN that we let through
    if (above < 0 && (t.header[H_TCP_OPTIONS] & TcpOption.IGNORE_INVALID_RST) === 0) return Reset.INVALID;
    if (!established || above === 0) return Reset.IN_WINDOW;
    if (row === ROW_ACK && sameDir && seg.seq === c[w + W_LAST_END]) return Reset.IN_WINDOW; // right behind its data
    fate = Reset.DOUBTFUL; // RFC 5961: the receiver will ask
  }
  const answersIgnored =
    ((status & SEEN_REPLY) !== 0 && row === ROW_SYN) || ((status & ASSURED) === 0 && row === ROW_ACK);
  if (answersIgnored && !sameDir && seg.ack === c[w + W_LAST_END]) return Reset.CLOSES;
  const challenged = old === SS && row === ROW_ACK && tcpWindow.lastDir(bits) === 1;
  return challenged && seg.seq === c[w + W_LAST_ACK] ? Reset.CLOSES : fate;
}

/** States of a connection that is on its way out: the first to go when the table is full, assured or not. */
function isClosing(state: number): boolean {
  return state >= FW && state <= CL;
}

/** Enters an in-window packet: its state, how long that lasts, whether the connection is now assured. */
function settle(t: Conntrack, ref: number, row: number, next: number, old: number, nowSec: number): number {
  const slot = ref >> 1;
  const dir = ref & 1;
  const w = slot << 4;
  let bits = tcpWindow.withLast(t.track[w + W_BITS], row, dir);
  if (old !== next && next === FW) bits |= Flag.CLOSE_INIT << (dir << 3);
  t.track[w + W_BITS] = bits;
  t.state[slot << 5] = next;
  if ((t.status[slot << 4] & COUNTED) !== 0) conntrack.setActive(t, slot, isActive(next));
  let timeout = tcpWindow.timeoutFor(t, w, next, row === ROW_RST);
  const status = t.status[slot << 4];
  if ((status & SEEN_REPLY) === 0) {
    if (row === ROW_RST) {
      t.expiresAtSec[slot << 4] = nowSec; // answered by a reset alone: gone at once
      return Track.OK;
    }
    if (row === ROW_SYN && old === SS) return Track.PASS; // else who asks for ever would hold its translation
    const unacked = conntrack.timeoutOf(t, Timeout.TCP_UNACK);
    if (next === ES && timeout > unacked) timeout = unacked;
  } else if ((status & ASSURED) === 0 && (old === SR || old === ES) && next === ES) {
    t.status[slot << 4] = status | ASSURED;
  }
  tcpWindow.settleSteady(t, slot);
  t.expiresAtSec[slot << 4] = (nowSec + timeout) | 0;
  return Track.OK;
}

/** The connection is over, whatever its ends may say yet. */
export function close(t: Conntrack, slot: number, nowSec: number): void {
  const isNews = t.state[slot << 5] !== CL;
  t.state[slot << 5] = CL;
  t.track[(slot << 4) + W_BITS] |= Flag.CLOSE_INIT; // so that a SYN may have its place
  if ((t.status[slot << 4] & COUNTED) !== 0) conntrack.setActive(t, slot, false);
  t.expiresAtSec[slot << 4] = (nowSec + conntrack.timeoutOf(t, Timeout.TCP + CL)) | 0;
  if (isNews && t.header[conntrack.H_EVENT_READERS] !== 0) conntrack.tell(t, EventType.UPDATE, slot);
}

/** Sequence number behind the last byte that a direction has sent. */
export function endOf(t: Conntrack, slot: number, dir: number): number {
  return t.track[(slot << 4) + (dir << 2) + W_END];
}

/** FIN or RST out of window from both sides: we have lost track, five days would be too long for that. */
function shorten(t: Conntrack, slot: number, dir: number, row: number, nowSec: number): void {
  if ((t.status[slot << 4] & ASSURED) === 0 || (row !== ROW_RST && row !== ROW_FIN)) return;
  const at = (slot << 4) + W_BITS;
  const last = tcpWindow.lastRow(t.track[at]);
  if (tcpWindow.lastDir(t.track[at]) === dir || (last !== ROW_FIN && last !== ROW_RST)) {
    t.track[at] = tcpWindow.withLast(t.track[at], row, dir);
    return;
  }
  const left = (t.expiresAtSec[slot << 4] - nowSec) | 0;
  const unacked = conntrack.timeoutOf(t, Timeout.TCP_UNACK);
  if (left >= SHORTEN_FROM_SEC && left > unacked) t.expiresAtSec[slot << 4] = (nowSec + unacked) | 0;
}
