/**
 * TCP connection states as nf_conntrack has them (nf_conntrack_proto_tcp.c, tcp_conntracks[2][6][10]).
 * Windows are not checked here yet: every packet of a known connection is in window, as with
 * nf_conntrack_tcp_be_liberal=1.
 */
import * as conntrack from "./conntrack.ts";
import { type Conntrack, Status, Timeout } from "./conntrack.ts";

export const TcpState = Object.freeze({
  NONE: 0,
  SYN_SENT: 1,
  SYN_RECV: 2,
  ESTABLISHED: 3,
  FIN_WAIT: 4,
  CLOSE_WAIT: 5,
  LAST_ACK: 6,
  TIME_WAIT: 7,
  CLOSE: 8,
  SYN_SENT2: 9,
} as const);
/** As conntrack(8) prints them, indexed by TcpState. */
export const TCP_STATE_NAMES: readonly string[] = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
];

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const SFRA = 0x17; // the flags that move the state
const URG_PSH_ECE_CWR = 0xe8;

const { ESTABLISHED, SYN_RECV, SYN_SENT, TIME_WAIT } = TcpState;
const { ASSURED, SEEN_REPLY } = Status;

const NO = 0;
const SS = 1;
const SR = 2;
const ES = 3;
const FW = 4;
const CW = 5;
const LA = 6;
const TW = 7;
const CL = 8;
const S2 = 9;
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

/** What `update` answers. */
export const Track = Object.freeze({ OK: 0, INVALID: 1, REPEAT: 2 } as const);

function rowOf(flags: number): number {
  if ((flags & RST) !== 0) return ROW_RST;
  if ((flags & SYN) !== 0) return (flags & ACK) !== 0 ? ROW_SYNACK : ROW_SYN;
  if ((flags & FIN) !== 0) return ROW_FIN;
  return (flags & ACK) !== 0 ? ROW_ACK : ROW_NONE;
}

/** Flag sets that no honest stack sends (tcp_valid_flags): SYN+FIN, SYN+RST, FIN without ACK, none at all. */
export function flagsValid(flags: number): boolean {
  const f = flags & ~URG_PSH_ECE_CWR;
  return f === SYN || f === (SYN | ACK) || f === RST || f === (RST | ACK) || f === (FIN | ACK) || f === ACK;
}

/** State of a connection whose first packet carries `flags`, or -1 when such a packet starts none. */
export function firstState(flags: number, loose: boolean): number {
  const s = NEXT_STATE[rowOf(flags) * STATES + NO];
  if (s >= IV) return -1;
  if (s !== SS && !loose) return -1;
  return s;
}

/**
 * Takes a packet of a known connection into account. REPEAT: the old connection was over and has been removed,
 * the packet (a SYN) begins a new one. INVALID: no such packet belongs here.
 */
export function update(t: Conntrack, ref: number, flags: number, nowSec: number): number {
  const slot = ref >> 1;
  const dir = ref & 1;
  if (conntrack.isExpired(t, slot, nowSec)) {
    conntrack.remove(t, slot);
    return Track.REPEAT;
  }
  const old = t.state[slot];
  // Nearly every packet: an ACK of a connection that stands. It only lives on.
  if (old === ESTABLISHED && (flags & SFRA) === ACK && (t.status[slot] & ASSURED) !== 0) {
    t.expiresAtSec[slot] = (nowSec + conntrack.timeoutOf(t, Timeout.TCP + ESTABLISHED)) | 0;
    return Track.OK;
  }
  const row = rowOf(flags);
  const next = NEXT_STATE[(dir * ROWS + row) * STATES + old];
  if (next === IV) return Track.INVALID;
  if (next === IG) return Track.OK;
  if (next === SYN_SENT && old >= TIME_WAIT && row === ROW_SYN) {
    conntrack.remove(t, slot);
    return Track.REPEAT;
  }
  t.state[slot] = next;
  let timeout = conntrack.timeoutOf(t, Timeout.TCP + next);
  const status = t.status[slot];
  if ((status & SEEN_REPLY) === 0 && dir === 0) {
    if (row === ROW_RST) timeout = conntrack.timeoutOf(t, Timeout.TCP + CL);
    // A connection picked up in the middle, or one whose peer never answered: no five days for it.
    else if (next === ESTABLISHED && timeout > conntrack.timeoutOf(t, Timeout.TCP_UNACK)) {
      timeout = conntrack.timeoutOf(t, Timeout.TCP_UNACK);
    }
  } else if ((status & ASSURED) === 0 && (old === SYN_RECV || old === ESTABLISHED) && next === ESTABLISHED) {
    t.status[slot] = status | ASSURED;
  }
  t.expiresAtSec[slot] = (nowSec + timeout) | 0;
  return Track.OK;
}
