/**
 * What a helper keeps of a connection whose payload it reads and may lengthen (netfilter: nf_conn_seqadj and
 * nf_ct_ftp_master): where lines begin, and how far each direction's sequence numbers are shifted, before and behind
 * the last place that changed. Keyed by conntrack slot; an entry is anybody's once its connection is gone or no longer
 * marked. Full: the connection passes without a helper.
 */
import { ColumnCarver, claimHeader, HEADER_BYTES } from "../../../base/columns.ts";
import { type Conntrack, Status } from "./conntrack.ts";

const LAYOUT = 0x53514101; // "SQA", version 1
const CAPACITY_LOG2 = 10;
const CAPACITY = 1 << CAPACITY_LOG2;
const PROBES = 32;

export class SeqAdj {
  static readonly LAYOUT = LAYOUT;
  readonly slot: Int32Array; //          conntrack slot + 1, 0: free
  /** Two a connection, by direction: sequence numbers in the sender's own count. */
  readonly correctionPos: Int32Array;
  readonly offsetBefore: Int32Array;
  readonly offsetAfter: Int32Array;
  /** Four a connection: the last two beginnings of a line in each direction, and how many there are. */
  readonly lineAt: Int32Array;
  readonly lines: Uint8Array;

  constructor(memory: ArrayBufferLike = new ArrayBuffer(SeqAdj.bytesFor()), offset = 0) {
    const carve = new ColumnCarver(memory, offset);
    claimHeader(carve.header(), LAYOUT, CAPACITY_LOG2, 0);
    carve.counters();
    this.slot = carve.int32(CAPACITY);
    this.correctionPos = carve.int32(2 * CAPACITY);
    this.offsetBefore = carve.int32(2 * CAPACITY);
    this.offsetAfter = carve.int32(2 * CAPACITY);
    this.lineAt = carve.int32(4 * CAPACITY);
    this.lines = carve.uint8(2 * CAPACITY);
  }

  static bytesFor(): number {
    return HEADER_BYTES + CAPACITY * (11 * 4 + 2);
  }
}

/** Index of a connection, or -1. */
export function find(s: SeqAdj, slot: number): number {
  for (let n = 0; n < PROBES; n++) {
    const i = (slot + n) & (CAPACITY - 1);
    if (s.slot[i] === slot + 1) return i;
  }
  return -1;
}

/** Begins to keep things of a connection that has just been made. False: there is no room. */
export function add(s: SeqAdj, ct: Conntrack, slot: number): boolean {
  let at = find(s, slot);
  for (let n = 0; n < PROBES && at < 0; n++) {
    const i = (slot + n) & (CAPACITY - 1);
    if (s.slot[i] === 0 || (ct.status[(s.slot[i] - 1) << 4] & Status.HELPER) === 0) at = i;
  }
  if (at < 0) return false;
  s.slot[at] = slot + 1;
  for (let d = 2 * at; d < 2 * at + 2; d++) {
    s.correctionPos[d] = 0;
    s.offsetBefore[d] = 0;
    s.offsetAfter[d] = 0;
    s.lines[d] = 0;
  }
  return true;
}

/** Does a line begin at `seq` in direction `d` (2 * index + direction), as far as is known? */
export function isLineStart(s: SeqAdj, d: number, seq: number): boolean {
  const n = s.lines[d];
  return (n > 0 && s.lineAt[2 * d] === seq) || (n > 1 && s.lineAt[2 * d + 1] === seq);
}

/** A line ended before `seq`: the next one begins there. Two are remembered, for what is sent again. */
export function endLine(s: SeqAdj, d: number, seq: number): void {
  if (isLineStart(s, d, seq)) return;
  const n = s.lines[d];
  if (n < 2) {
    s.lineAt[2 * d + n] = seq;
    s.lines[d] = n + 1;
    return;
  }
  const older = ((s.lineAt[2 * d] - s.lineAt[2 * d + 1]) | 0) < 0 ? 2 * d : 2 * d + 1;
  if (((seq - s.lineAt[older]) | 0) > 0) s.lineAt[older] = seq;
}

/** Payload of direction `d` grew by `bytes` (may be negative) in the segment at `seq`. */
export function shift(s: SeqAdj, d: number, seq: number, bytes: number): void {
  const isNew = s.offsetBefore[d] === s.offsetAfter[d] || ((s.correctionPos[d] - seq) | 0) < 0;
  if (!isNew) return; // the same segment once more
  s.correctionPos[d] = seq;
  s.offsetBefore[d] = s.offsetAfter[d];
  s.offsetAfter[d] = (s.offsetAfter[d] + bytes) | 0;
}

/** What to add to a sequence number that the sender of direction `d` wrote. */
export function offsetOf(s: SeqAdj, d: number, seq: number): number {
  return ((seq - s.correctionPos[d]) | 0) > 0 ? s.offsetAfter[d] : s.offsetBefore[d];
}

/** What to take from an acknowledgement of direction `d`'s bytes, as its receiver counts them. */
export function ackOffsetOf(s: SeqAdj, d: number, ack: number): number {
  const before = s.offsetBefore[d];
  return ((ack - before - s.correctionPos[d]) | 0) > 0 ? s.offsetAfter[d] : before;
}
