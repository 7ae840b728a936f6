// The timers of the neighbour table: what Linux's neigh_timer_handler does when a state's time is over, and
// its periodic collection of entries nobody uses. One walk over the table per due time, a slice per call.
import { Header } from "../../base/columns.ts";
import * as neighbor from "./neighbor.ts";

const RETRANS_MS = 1_000;
const MULTICAST_SOLICIT = 3;
const UNICAST_SOLICIT = 3;
const GC_THRESH = 128; // as gc_thresh1: below this many entries nothing is collected
const IDLE_RECHECK_MS = 1 << 30; // no timer set: look again before the ms clock has gone half round
const SCAN_MAX = 256; //          slots one pollTimers call looks at

/** What `pollTimers` asks for. */
export const Event = Object.freeze({ PROBE_MULTICAST: 1, PROBE_UNICAST: 2, FAILED: 3 } as const);

const { INCOMPLETE, REACHABLE, DELAY, PROBE, FAILED } = neighbor.State;
const { DELAY_FIRST_PROBE_MS, GC_STALE_MS, H_NEXT_DUE, H_SCAN } = neighbor;

/**
 * Fires what is due: writes (slot, Event) pairs into `out` and returns how many pairs. Costs one comparison
 * while nothing is due; else looks at 256 slots at most and goes on in the next call, also when `out` is
 * full.
 */
export function pollTimers(t: neighbor.Neighbors, nowMs: number, out: Int32Array): number {
  if (t.header[H_SCAN] === 0) {
    if (((nowMs - t.header[H_NEXT_DUE]) | 0) < 0) return 0;
    // A walk begins: find the next due time anew. Whoever sets a timer meanwhile lowers it.
    t.header[H_NEXT_DUE] = (nowMs + IDLE_RECHECK_MS) | 0;
    t.header[H_SCAN] = 1;
  }
  const eventsMax = out.length >> 1;
  let events = 0;
  let slot = t.header[H_SCAN] - 1;
  const end = Math.min(slot + SCAN_MAX, t.mask + 1);
  for (; slot < end; slot++) {
    if (t.timed[slot] === 0) continue;
    const dueMs = t.dueMs[slot];
    if (((dueMs - nowMs) | 0) > 0) {
      neighbor.lowerNextDue(t, dueMs);
      continue;
    }
    if (events === eventsMax) break;
    const event = fire(t, slot, nowMs);
    if (event === 0) continue;
    out[events << 1] = slot;
    out[(events << 1) + 1] = event;
    events++;
  }
  t.header[H_SCAN] = slot > t.mask ? 0 : slot + 1;
  return events;
}

/**
 * True when the neighbour has not been asked for yet and is to be asked now: whoever made it need not wait for the walk
 * (Linux probes at once, too). Counts as the first probe.
 */
export function startProbing(t: neighbor.Neighbors, slot: number, nowMs: number): boolean {
  if (t.state[slot] !== INCOMPLETE || t.probes[slot] !== 0) return false;
  return probe(t, slot, nowMs, MULTICAST_SOLICIT, Event.PROBE_MULTICAST) === Event.PROBE_MULTICAST;
}

/** How long the engine may sleep as far as this table cares; 0: something is due. */
export function msUntilDue(t: neighbor.Neighbors, nowMs: number): number {
  if (t.header[H_SCAN] !== 0) return 0;
  const leftMs = (t.header[H_NEXT_DUE] - nowMs) | 0;
  return leftMs > 0 ? leftMs : 0;
}

/** A state's time is over: moves on. Returns what the caller has to do, 0 for nothing. */
function fire(t: neighbor.Neighbors, slot: number, nowMs: number): number {
  const state = t.state[slot];
  const unusedMs = (nowMs - t.usedMs[slot]) | 0;
  if (state === INCOMPLETE) return probe(t, slot, nowMs, MULTICAST_SOLICIT, Event.PROBE_MULTICAST);
  if (state === PROBE) return probe(t, slot, nowMs, UNICAST_SOLICIT, Event.PROBE_UNICAST);
  if (state === DELAY) {
    t.state[slot] = PROBE;
    t.probes[slot] = 0;
    return probe(t, slot, nowMs, UNICAST_SOLICIT, Event.PROBE_UNICAST);
  }
  if (state === REACHABLE) {
    if (unusedMs > DELAY_FIRST_PROBE_MS) {
      neighbor.becomeStale(t, slot, nowMs);
    } else {
      t.state[slot] = DELAY; // in use: ask before trusting it further
      neighbor.schedule(t, slot, (nowMs + DELAY_FIRST_PROBE_MS) | 0);
    }
    return 0;
  }
  // STALE or FAILED. Linux keeps both below gc_thresh1; a failed one tells nobody anything after a minute.
  const collect = state === FAILED || t.header[Header.USED] > GC_THRESH;
  if (collect && unusedMs >= GC_STALE_MS && t.waiting.count[slot] === 0) neighbor.remove(t, slot);
  else neighbor.schedule(t, slot, (nowMs + GC_STALE_MS) | 0);
  return 0;
}

function probe(t: neighbor.Neighbors, slot: number, nowMs: number, probesMax: number, event: number): number {
  if (t.probes[slot] >= probesMax) {
    t.state[slot] = FAILED;
    t.counters[neighbor.Counter.FAILED] += 1;
    neighbor.schedule(t, slot, (nowMs + GC_STALE_MS) | 0);
    return Event.FAILED;
  }
  t.probes[slot] += 1;
  t.counters[neighbor.Counter.PROBES] += 1;
  neighbor.schedule(t, slot, (nowMs + RETRANS_MS) | 0);
  return event;
}
