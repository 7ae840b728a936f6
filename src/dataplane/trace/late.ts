/**
 * Traced packets that are kept or queued: a tag goes with their bytes, and by the tag it is written what became of them
 * when the pipeline has long been at others.
 */
import { type Counters, Event } from "../counters.ts";
import type { Packet } from "../packet/packet.ts";
import { Flag, RecordType, TRACE_WORDS, TraceWord, Word } from "./layout.ts";
import * as ring from "./record-ring.ts";
import { WATCHERS_MAX, type Watchers } from "./watchers.ts";

const ID_BITS = 24;
/** Numbers of packets go round; more than half the way back is ahead. */
export const ID_MASK = (1 << ID_BITS) - 1;
const HALF = 1 << (ID_BITS - 1);

/** A traced packet in one word, to go with its bytes while they are kept or queued; 0: nobody traces it. */
export function tagOf(pkt: Packet): number {
  return pkt.traceId === 0 ? 0 : (pkt.traceId << ID_BITS) | pkt.watchId;
}

/** Makes `pkt`, read anew from bytes that had been kept, the packet that it was. */
export function adopt(pkt: Packet, tag: number): void {
  pkt.traceId = tag >>> ID_BITS;
  pkt.watchId = tag & ID_MASK;
}

/** The end of a packet that had been kept or queued, of which no more is known than its tag. */
export function endedLate(
  w: Watchers,
  c: Counters,
  tag: number,
  stage: number,
  verdict: number,
  reason: number,
  outPort: number,
): void {
  for (let i = 0; i < WATCHERS_MAX; i++) {
    const body = open(w, c, i, tag >>> ID_BITS, tag & ID_MASK);
    if (body < 0) continue;
    const r = w.list[i].ring as ring.RecordRing;
    const at = body >> 2;
    const words = r.words;
    for (let word = 0; word < TRACE_WORDS; word++) words[at + word] = 0;
    words[at + Word.PACKET] = tag & ID_MASK;
    words[at + Word.VERDICT] = verdict;
    words[at + Word.REASON] = reason;
    words[at + Word.FLAGS] = Flag.LATE;
    words[at + Word.IN_PORT] = -1;
    words[at + Word.OUT_PORT] = outPort;
    words[at + Word.SERVICE] = -1;
    r.float[(body >> 3) + (Word.TIME_US >> 1)] = w.clockUs[0];
    words[at + TraceWord.STAGE] = stage;
    words[at + TraceWord.TIME_MS] = w.nowMs;
    words[at + TraceWord.FRONTEND] = -1;
    words[at + TraceWord.ROUTE] = -1;
    ring.commit(r);
  }
}

/** Room for a record in the ring of watcher `i`, if it traces the packet; -1: it does not, or its ring is full. */
export function open(w: Watchers, c: Counters, i: number, traceId: number, watchId: number): number {
  if (((traceId >>> i) & 1) === 0) return -1;
  const one = w.list[i];
  // Kept packets may outlive who wanted to know of them; whoever has that place now did not choose them.
  if (one.ring === null || ((watchId - one.firstId) & ID_MASK) >= HALF) return -1;
  const body = ring.begin(one.ring, RecordType.TRACE, TRACE_WORDS * 4);
  if (body < 0) c.events[Event.TRACE_LOST]++;
  return body;
}
