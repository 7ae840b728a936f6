/**
 * SCTP associations as nf_conntrack has them (nf_conntrack_proto_sctp.c): state and verification tags, chunk by chunk.
 * The stage walks the chunks; here is what one does. A record is the association's part of an entry, loaded before
 * the walk and stored after it, so that a first packet can be tried before there is an entry.
 *
 * Deliberately missing, as there: multi-homing beyond HEARTBEAT on a new path, INIT in the reply direction of a closed
 * association.
 */
import * as conntrack from "./conntrack.ts";
import { type Conntrack, Status, Timeout } from "./conntrack.ts";
import { SctpState } from "./ct-states.ts";

/** Chunk types that move the state (RFC 9260 §3.2). */
export const Chunk = Object.freeze({
  DATA: 0,
  INIT: 1,
  INIT_ACK: 2,
  HEARTBEAT: 4,
  HEARTBEAT_ACK: 5,
  ABORT: 6,
  SHUTDOWN: 7,
  SHUTDOWN_ACK: 8,
  ERROR: 9,
  COOKIE_ECHO: 10,
  COOKIE_ACK: 11,
  SHUTDOWN_COMPLETE: 14,
} as const);
/** Chunks of this type and above move nothing. */
export const CHUNK_TYPES = 15;
const FLAG_T = 1; // "the tag is your own": ABORT and SHUTDOWN COMPLETE of who knows no association

/** Words of a record. */
const R_STATE = 0;
const R_TAG = 1; //    tag that packets of a direction bear: [original, reply]
const R_FLAGS = 3;
export const R_FROZEN = 4; // 1: this packet does not renew the time-out
const R_ASSURED = 5; // 1: a chunk made it ESTABLISHED
export const RECORD_WORDS = 6;
const INIT_SEEN = 1; // << direction
const HEARTBEAT_FAILED = 4;
const HEARTBEAT_DIR = 3; // bit number: direction of the last HEARTBEAT with a foreign tag

const {
  CLOSED: CL,
  COOKIE_WAIT: CW,
  COOKIE_ECHOED: CE,
  ESTABLISHED: ES,
  SHUTDOWN_SENT: SS,
  SHUTDOWN_RECD: SR,
  SHUTDOWN_ACK_SENT: SA,
  HEARTBEAT_SENT: HS,
} = SctpState;
const IV = 9; // invalid
const STATES = 9;
const ROWS = 11;
/** Row of the table by chunk type; -1: the state stays. */
const ROW = new Int8Array([-1, 0, 1, -1, 9, 10, 2, 3, 4, 5, 6, 7, -1, -1, 8]);
// Rows: INIT, INIT ACK, ABORT, SHUTDOWN, SHUTDOWN ACK, ERROR, COOKIE ECHO, COOKIE ACK, SHUTDOWN COMPLETE, HEARTBEAT,
// HEARTBEAT ACK. Columns: the state before, in SctpState's order.
const NEXT_STATE = new Uint8Array([
  // original direction
  ...[CL, CL, CW, CE, ES, CL, CL, SA, CW],
  ...[CL, CL, CW, CE, ES, SS, SR, SA, CL],
  ...[CL, CL, CL, CL, CL, CL, CL, CL, CL],
  ...[CL, CL, CW, CE, SS, SS, SR, SA, CL],
  ...[SA, CL, CW, CE, ES, SA, SA, SA, SA],
  ...[CL, CL, CW, CE, ES, SS, SR, SA, CL],
  ...[CL, CL, CE, CE, ES, SS, SR, SA, CL],
  ...[CL, CL, CW, ES, ES, SS, SR, SA, CL],
  ...[CL, CL, CW, CE, ES, SS, SR, CL, CL],
  ...[HS, CL, CW, CE, ES, SS, SR, SA, HS],
  ...[CL, CL, CW, CE, ES, SS, SR, SA, HS],
  // reply direction
  ...[IV, CL, CW, CE, ES, SS, SR, SA, IV],
  ...[IV, CW, CW, CE, ES, SS, SR, SA, IV],
  ...[IV, CL, CL, CL, CL, CL, CL, CL, IV],
  ...[IV, CL, CW, CE, SR, SS, SR, SA, IV],
  ...[IV, CL, CW, CE, ES, SA, SA, SA, IV],
  ...[IV, CL, CW, CL, ES, SS, SR, SA, IV],
  ...[IV, CL, CE, CE, ES, SS, SR, SA, IV],
  ...[IV, CL, CW, ES, ES, SS, SR, SA, IV],
  ...[IV, CL, CW, CE, ES, SS, SR, CL, IV],
  ...[IV, CL, CW, CE, ES, SS, SR, SA, HS],
  ...[IV, CL, CW, CE, ES, SS, SR, SA, ES],
]);

const OUT_OF_THE_BLUE = (1 << Chunk.ABORT) | (1 << Chunk.SHUTDOWN_COMPLETE) | (1 << Chunk.COOKIE_ACK);
/** A packet with one of these has its tag looked at chunk by chunk. */
const OWN_TAG_RULE =
  (1 << Chunk.INIT) |
  (1 << Chunk.SHUTDOWN_COMPLETE) |
  (1 << Chunk.COOKIE_ECHO) |
  (1 << Chunk.ABORT) |
  (1 << Chunk.SHUTDOWN_ACK) |
  (1 << Chunk.HEARTBEAT) |
  (1 << Chunk.HEARTBEAT_ACK);

export function reset(record: Int32Array): void {
  for (let i = 0; i < RECORD_WORDS; i++) record[i] = 0;
}

export function load(t: Conntrack, slot: number, record: Int32Array): void {
  const word = t.track[(slot << 4) + 2];
  record[R_STATE] = t.state[slot << 5];
  record[R_TAG] = t.track[slot << 4];
  record[R_TAG + 1] = t.track[(slot << 4) + 1];
  record[R_FLAGS] = word;
  record[R_FROZEN] = 0;
  record[R_ASSURED] = 0;
}

/** Stores the record of a packet that was taken, and renews the entry's time-out. */
export function store(t: Conntrack, slot: number, record: Int32Array, nowSec: number): void {
  const state = record[R_STATE];
  keep(t, slot, record);
  if (record[R_FROZEN] === 0)
    t.expiresAtSec[slot << 4] = (nowSec + conntrack.timeoutOf(t, Timeout.SCTP + state)) | 0;
}

/** Stores the record of a packet that was refused: what its first chunks did stays done, as in the kernel. */
export function keep(t: Conntrack, slot: number, record: Int32Array): void {
  if (record[R_ASSURED] !== 0) t.status[slot << 4] |= Status.ASSURED;
  t.state[slot << 5] = record[R_STATE];
  if ((t.status[slot << 4] & Status.COUNTED) !== 0) conntrack.setActive(t, slot, record[R_STATE] === ES);
  t.track[slot << 4] = record[R_TAG];
  t.track[(slot << 4) + 1] = record[R_TAG + 1];
  t.track[(slot << 4) + 2] = record[R_FLAGS];
}

/** May a packet that holds the chunk types of the bit set `seen` begin an association? (RFC 9260 §8.4) */
export function mayBegin(seen: number): boolean {
  return (seen & OUT_OF_THE_BLUE) === 0;
}

/**
 * A chunk of a packet that belongs to no association yet: notes the tag that answers, or a new path's own packets,
 * will bear. False when no association begins with it: DATA, SACK and the like.
 */
export function begin(record: Int32Array, type: number, vtag: number, initTag: number): boolean {
  if (type >= CHUNK_TYPES || ROW[type] < 0) return false;
  if (type === Chunk.INIT) {
    if (vtag !== 0) return false;
    record[R_TAG + 1] = initTag;
  } else if (type === Chunk.HEARTBEAT) record[R_TAG] = vtag;
  else if (type === Chunk.SHUTDOWN_ACK) record[R_TAG + 1] = vtag; // it is answered with its own tag
  return true;
}

/** The rule for packets without chunks that have a rule of their own (RFC 9260 §8.5). */
export function tagFits(record: Int32Array, dir: number, seen: number, vtag: number): boolean {
  return (seen & OWN_TAG_RULE) !== 0 || vtag === record[R_TAG + dir];
}

/** One chunk of direction `dir`. False: the packet is INVALID. `confirmed`: 0 while there is no entry. */
export function step(
  record: Int32Array,
  dir: number,
  type: number,
  chunkFlags: number,
  seen: number,
  vtag: number,
  initTag: number,
  confirmed: number,
): boolean {
  const before = record[R_STATE];
  if (type === Chunk.HEARTBEAT || type === Chunk.HEARTBEAT_ACK) {
    const answer = heartbeat(record, dir, type, seen, vtag);
    if (answer !== MOVE) return answer === STAY;
  } else if (!chunkTagFits(record, dir, type, chunkFlags, vtag)) return false;
  if (type === Chunk.COOKIE_ACK) record[R_FLAGS] &= ~(INIT_SEEN | (INIT_SEEN << 1));
  const row = type < CHUNK_TYPES ? ROW[type] : -1;
  const next = row < 0 ? before : NEXT_STATE[(dir * ROWS + row) * STATES + before];
  if (next === IV) return false;
  if (type === Chunk.INIT) {
    // A repeated or belated one begins nothing: an INIT ACK to it must not bring a new tag.
    if (before === 0 || record[R_TAG + (dir ^ 1)] !== initTag) noteInit(record, dir, initTag);
    // A client that tries again and again from one port keeps no entry alive, nor where that led.
    if (before === CL && next === CL && confirmed !== 0) record[R_FROZEN] = 1;
  } else if (type === Chunk.INIT_ACK && !noteInitAck(record, dir, initTag)) return false;
  if (next === ES && before !== ES) record[R_ASSURED] = 1;
  record[R_STATE] = next;
  return true;
}

/** RFC 9260 §8.5.1 A to D. */
function chunkTagFits(
  record: Int32Array,
  dir: number,
  type: number,
  chunkFlags: number,
  vtag: number,
): boolean {
  if (type === Chunk.INIT) return vtag === 0;
  if (type === Chunk.ABORT || type === Chunk.SHUTDOWN_COMPLETE) {
    return vtag === record[R_TAG + ((chunkFlags & FLAG_T) !== 0 ? dir ^ 1 : dir)];
  }
  if (type === Chunk.COOKIE_ECHO) return vtag === record[R_TAG + dir];
  return true;
}

const REFUSE = 0;
const STAY = 1;
const MOVE = 2;

/**
 * HEARTBEAT teaches the tag of a path that was not there at INIT. One with a foreign tag passes, since it may come
 * from a path whose association restarted: if it is answered, the answer's tag is taken.
 */
function heartbeat(record: Int32Array, dir: number, type: number, seen: number, vtag: number): number {
  const known = record[R_TAG + dir];
  if (known === 0) {
    record[R_TAG + dir] = vtag;
    return MOVE;
  }
  if (vtag === known) {
    record[R_FLAGS] &= ~HEARTBEAT_FAILED;
    return MOVE;
  }
  if ((seen & (1 << Chunk.DATA)) !== 0 || record[R_FROZEN] !== 0) return REFUSE;
  if (type === Chunk.HEARTBEAT) {
    record[R_FLAGS] = (record[R_FLAGS] & ~(1 << HEARTBEAT_DIR)) | HEARTBEAT_FAILED | (dir << HEARTBEAT_DIR);
    record[R_FROZEN] = 1;
    return STAY;
  }
  if ((record[R_FLAGS] & HEARTBEAT_FAILED) === 0 || record[R_FLAGS] >> HEARTBEAT_DIR === dir) return REFUSE;
  record[R_FLAGS] &= ~HEARTBEAT_FAILED;
  record[R_TAG + dir] = vtag;
  record[R_TAG + (dir ^ 1)] = 0;
  return MOVE;
}

function noteInit(record: Int32Array, dir: number, initTag: number): void {
  const mine = INIT_SEEN << dir;
  const theirs = INIT_SEEN << (dir ^ 1);
  if ((record[R_FLAGS] & mine) !== 0) record[R_FLAGS] &= ~theirs;
  record[R_FLAGS] |= mine;
  record[R_TAG + (dir ^ 1)] = initTag;
}

/** False for an INIT ACK with another tag than the one that is known, but where both ends sent INIT at once. */
function noteInitAck(record: Int32Array, dir: number, initTag: number): boolean {
  const mine = (record[R_FLAGS] & (INIT_SEEN << dir)) !== 0;
  const theirs = (record[R_FLAGS] & (INIT_SEEN << (dir ^ 1))) !== 0;
  const known = record[R_TAG + (dir ^ 1)];
  if (!theirs && known !== 0 && known !== initTag) return false;
  if (mine && theirs && known !== initTag) return false;
  record[R_TAG + (dir ^ 1)] = initTag;
  return true;
}
