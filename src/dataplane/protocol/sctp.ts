/**
 * SCTP (nf_conntrack_proto_sctp.c). A packet begins an association by what its chunks are, remembered are its state and
 * its verification tags, and each chunk of a further packet moves them. Here is the walk over the chunks; what one does
 * says table/connection/conntrack-sctp.ts. A damaged packet does not come here: its CRC was checked before.
 */
import * as sctp from "../../wire/transport/sctp.ts";
import type { Packet } from "../packet/packet.ts";
import * as ctSctp from "../table/connection/conntrack-sctp.ts";
import { Track } from "../table/connection/ct-states.ts";
import type { Tables } from "../tables.ts";

const { Chunk, CHUNK_TYPES } = ctSctp;
const { OK, INVALID } = Track;
const INIT_HEADER = 16; // bytes of an INIT behind its chunk header: RFC 9260 §3.3.2
const ALONE = (1 << Chunk.INIT) | (1 << Chunk.INIT_ACK) | (1 << Chunk.SHUTDOWN_COMPLETE);
const FIRST = (1 << Chunk.COOKIE_ECHO) | (1 << Chunk.COOKIE_ACK);

/** True when the packet may begin an association; leaves that one's record in `sctpRecord`. */
export function mayBegin(pkt: Packet, t: Tables): boolean {
  const record = t.scratch.sctpRecord;
  ctSctp.reset(record);
  const seen = survey(pkt);
  if (seen < 0 || !ctSctp.mayBegin(seen) || !beginAll(pkt, record)) return false;
  return walk(pkt, record, 0, seen, 0);
}

/** Stores the record that `mayBegin` has just left: nothing else is tracked between the two. */
export function begin(t: Tables, slot: number, nowSec: number): void {
  t.scratch.sctpRecord[ctSctp.R_FROZEN] = 0;
  ctSctp.store(t.conntrack, slot, t.scratch.sctpRecord, nowSec);
}

/** A packet that is refused still leaves what its first chunks did. */
export function advance(pkt: Packet, t: Tables, ref: number, nowSec: number): number {
  const ct = t.conntrack;
  const record = t.scratch.sctpRecord;
  const seen = survey(pkt);
  if (seen < 0) return INVALID;
  ctSctp.load(ct, ref >> 1, record);
  if (!walk(pkt, record, ref & 1, seen, 1)) {
    ctSctp.keep(ct, ref >> 1, record);
    return INVALID;
  }
  ctSctp.store(ct, ref >> 1, record, nowSec);
  return OK;
}

/**
 * The set of chunk types as bits, or -1: no chunk, a chunk without a length, or chunks in a packet that
 * must not be there together (do_basic_checks).
 */
function survey(pkt: Packet): number {
  const view = pkt.view;
  const end = pkt.end;
  let seen = 0;
  let count = 0;
  for (let at = pkt.l4 + sctp.HEADER_LEN; at + sctp.CHUNK_HEADER_LEN <= end; at = after(view, at)) {
    const type = sctp.chunkType(view, at);
    const bit = type < CHUNK_TYPES ? 1 << type : 0;
    seen |= bit;
    if (sctp.chunkLen(view, at) === 0) return -1;
    if (count !== 0 && ((seen & ALONE) !== 0 || (bit & FIRST) !== 0)) return -1;
    count++;
  }
  return count === 0 ? -1 : seen;
}

function after(view: DataView, at: number): number {
  return at + ((sctp.chunkLen(view, at) + 3) & ~3);
}

/** An INIT or INIT ACK chunk that is cut short names no tag. */
function isCutShort(type: number, at: number, end: number): boolean {
  return (type === Chunk.INIT || type === Chunk.INIT_ACK) && at + sctp.CHUNK_HEADER_LEN + INIT_HEADER > end;
}

function beginAll(pkt: Packet, record: Int32Array): boolean {
  const view = pkt.view;
  const vtag = sctp.vtag(view, pkt.l4);
  for (let at = pkt.l4 + sctp.HEADER_LEN; at + sctp.CHUNK_HEADER_LEN <= pkt.end; at = after(view, at)) {
    const type = sctp.chunkType(view, at);
    if (isCutShort(type, at, pkt.end)) return false;
    if (!ctSctp.begin(record, type, vtag, type === Chunk.INIT ? sctp.initTag(view, at) : 0)) return false;
  }
  return true;
}

function walk(pkt: Packet, record: Int32Array, dir: number, seen: number, confirmed: number): boolean {
  const view = pkt.view;
  const vtag = sctp.vtag(view, pkt.l4);
  if (!ctSctp.tagFits(record, dir, seen, vtag)) return false;
  for (let at = pkt.l4 + sctp.HEADER_LEN; at + sctp.CHUNK_HEADER_LEN <= pkt.end; at = after(view, at)) {
    const type = sctp.chunkType(view, at);
    if (isCutShort(type, at, pkt.end)) return false;
    const tag = type === Chunk.INIT || type === Chunk.INIT_ACK ? sctp.initTag(view, at) : 0;
    if (!ctSctp.step(record, dir, type, sctp.chunkFlags(view, at), seen, vtag, tag, confirmed)) return false;
  }
  return true;
}
