/**
 * The memory that worker and main thread share: tables that grow with traffic, counters, and a few control words.
 * The worker writes, the main thread reads; the only word that goes the other way is a record ring's tail.
 */
import { Counters } from "../dataplane/counters.ts";
import { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import { Fdb } from "../dataplane/table/fdb.ts";
import { Fragments } from "../dataplane/table/fragments.ts";
import { Neighbors } from "../dataplane/table/neighbor.ts";
import { TokenBucket } from "../dataplane/table/token-bucket.ts";

/** Words of `control`. */
export const Control = Object.freeze({
  APPLIED: 0, //   number of the last message applied
  RUNNING: 1, //   1 while the loop runs
  ERRORS: 2, //    exceptions caught in the plane
  HELD_US: 3, //   longest time that a turn was held by changes, µs
  HELD_CPU_US: 6, // the same in processor time, which other programs do not lengthen
  REFUSED: 4, //   service ports that did not fit the tables
  REFUSED_ID: 5, // one of them
  PORTS: 16, //    from here one word a port: 1 = its device failed under us
} as const);

/** What differs from host to host; all else has one size everywhere. */
export interface PlaneSizes {
  conntrackLog2: number;
  maxPorts: number;
  fdbLog2: number;
  neighborsLog2: number;
  stationsLog2: number;
  frontendsLog2: number;
  endpointsLog2: number;
  /** Pool slots beside the receive batch: reassembly, waiting packets, packets of the plane's own. */
  poolSlots: number;
  seed: number;
}

export interface PlaneMemory {
  control: SharedArrayBuffer;
  counters: SharedArrayBuffer;
  conntrack: SharedArrayBuffer;
  fdb: SharedArrayBuffer;
  fabric: SharedArrayBuffer;
  stations: SharedArrayBuffer;
  fragments: SharedArrayBuffer;
  icmpRate: SharedArrayBuffer;
}

const FRAGMENTS_LOG2 = 6;
const ICMP_RATE_LOG2 = 8;

/** Of a table with room for so many connections. */
export function conntrackLog2(max: number): number {
  return max > 1024 ? Math.ceil(Math.log2(max)) : 10;
}

export function allocate(sizes: PlaneSizes): PlaneMemory {
  const take = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
  return {
    control: take((Control.PORTS + sizes.maxPorts) * 4),
    counters: take(Counters.bytesFor(sizes.maxPorts)),
    conntrack: take(Conntrack.bytesFor(sizes.conntrackLog2)),
    fdb: take(Fdb.bytesFor(sizes.fdbLog2)),
    fabric: take(Neighbors.bytesFor(sizes.neighborsLog2)),
    stations: take(Neighbors.bytesFor(sizes.stationsLog2)),
    fragments: take(Fragments.bytesFor(FRAGMENTS_LOG2)),
    icmpRate: take(TokenBucket.bytesFor(ICMP_RATE_LOG2)),
  };
}

/** The tables over the shared memory, as either side opens them. */
export interface SharedTables {
  counters: Counters;
  conntrack: Conntrack;
  fdb: Fdb;
  fabric: Neighbors;
  stations: Neighbors;
  fragments: Fragments;
  icmpRate: TokenBucket;
}

export function open(memory: PlaneMemory, sizes: PlaneSizes): SharedTables {
  return {
    counters: new Counters(sizes.maxPorts, memory.counters),
    conntrack: new Conntrack(sizes.conntrackLog2, memory.conntrack),
    fdb: new Fdb(sizes.fdbLog2, memory.fdb, sizes.seed),
    fabric: new Neighbors(sizes.neighborsLog2, memory.fabric, sizes.seed),
    stations: new Neighbors(sizes.stationsLog2, memory.stations, sizes.seed),
    fragments: new Fragments(FRAGMENTS_LOG2, memory.fragments, sizes.seed),
    icmpRate: new TokenBucket(ICMP_RATE_LOG2, memory.icmpRate, sizes.seed),
  };
}
