/**
 * UDP flows as nf_conntrack has them (nf_conntrack_proto_udp.c): answered or not, and a stream when a packet of an
 * answered flow comes more than two seconds after the first.
 */
import type { Conntrack } from "./conntrack.ts";

const STREAM_AFTER_MS = 2000;
const W_STREAM_FROM_MS = 0; // engine clock; of the slot's sixteen words in `track`

/** Notes when a flow began; `nowMs` wraps, and is only ever compared by difference. */
export function open(t: Conntrack, slot: number, nowMs: number): void {
  t.track[(slot << 4) + W_STREAM_FROM_MS] = (nowMs + STREAM_AFTER_MS) | 0;
}

export function isStream(t: Conntrack, slot: number, nowMs: number): boolean {
  return ((nowMs - t.track[(slot << 4) + W_STREAM_FROM_MS]) | 0) > 0;
}
