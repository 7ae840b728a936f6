/**
 * The memory that worker and main thread share: tables that grow with traffic, counters, and a few control words.
 * The worker writes, the main thread reads; the only word that goes the other way is a record ring's tail.
 */

import { mismatch } from "../dataplane/change/durable.ts";
import { Counters } from "../dataplane/counters.ts";
import { Durable, type DurableSizes } from "../dataplane/durable.ts";
import type { ConnectionRules } from "../dataplane/table/connection/connection-rules.ts";
import type { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import { Fdb } from "../dataplane/table/fdb.ts";
import { Fragments } from "../dataplane/table/fragments.ts";
import { Neighbors } from "../dataplane/table/neighbor.ts";
import { PolicyHits } from "../dataplane/table/policy/policy-hits.ts";
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
  READY: 7, //     1: the tables are in order, other workers may begin
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
  /** Rules of policies that are counted one by one. */
  policyRulesLog2: number;
  /** Pool slots beside the receive batch: reassembly, waiting packets, packets of the plane's own. */
  poolSlots: number;
  seed: number;
}

export interface PlaneMemory {
  control: SharedArrayBuffer;
  counters: SharedArrayBuffer;
  /** What must outlive an agent. */
  durable: SharedArrayBuffer;
  policyHits: SharedArrayBuffer;
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

/** Half as many clients are remembered, all services with session affinity together. */
const AFFINITY_LOG2 = 17;

function durableSizes(sizes: PlaneSizes): DurableSizes {
  const { conntrackLog2, frontendsLog2, endpointsLog2 } = sizes;
  return { conntrackLog2, affinityLog2: AFFINITY_LOG2, frontendsLog2, endpointsLog2 };
}

/** Why an earlier plane's durable memory cannot be gone on with; "": it can. */
export function durableMismatch(durable: SharedArrayBuffer, sizes: PlaneSizes): string {
  return mismatch(durable, durableSizes(sizes));
}

/** Of one worker. */
export function controlWords({ maxPorts }: PlaneSizes): SharedArrayBuffer {
  return new SharedArrayBuffer((Control.PORTS + maxPorts) * 4);
}

/** All of a plane's memory: new, or around what an earlier plane left. */
export function allocate(sizes: PlaneSizes, durable?: SharedArrayBuffer): PlaneMemory {
  const take = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
  return {
    control: controlWords(sizes),
    counters: take(Counters.bytesFor(sizes.maxPorts)),
    durable: durable ?? take(Durable.bytesFor(durableSizes(sizes))),
    policyHits: take(PolicyHits.bytesFor(sizes.policyRulesLog2)),
    fdb: take(Fdb.bytesFor(sizes.fdbLog2)),
    fabric: take(Neighbors.bytesFor(sizes.neighborsLog2)),
    stations: take(Neighbors.bytesFor(sizes.stationsLog2)),
    fragments: take(Fragments.bytesFor(FRAGMENTS_LOG2)),
    icmpRate: take(TokenBucket.bytesFor(ICMP_RATE_LOG2)),
  };
}

/** CLOCK_MONOTONIC of the machine, ms. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** CLOCK_MONOTONIC when the engine's clock was 0: now (`nowMs`), or when the plane began whose connections go on. */
export function beginClock({ clockMs }: Durable, nowMs: number): number {
  if (clockMs[0] === 0) clockMs[0] = nowMs;
  return clockMs[0];
}

/** The tables over the shared memory, as either side opens them. */
export interface SharedTables {
  counters: Counters;
  durable: Durable;
  /** Of `durable`: what most readers ask for. */
  conntrack: Conntrack;
  connectionRules: ConnectionRules;
  policyHits: PolicyHits;
  fdb: Fdb;
  fabric: Neighbors;
  stations: Neighbors;
  fragments: Fragments;
  icmpRate: TokenBucket;
}

export function open(memory: PlaneMemory, sizes: PlaneSizes): SharedTables {
  const durable = new Durable(durableSizes(sizes), memory.durable, sizes.seed);
  return {
    counters: new Counters(sizes.maxPorts, memory.counters),
    durable,
    conntrack: durable.conntrack,
    connectionRules: durable.connectionRules,
    policyHits: new PolicyHits(sizes.policyRulesLog2, memory.policyHits),
    fdb: new Fdb(sizes.fdbLog2, memory.fdb, sizes.seed),
    fabric: new Neighbors(sizes.neighborsLog2, memory.fabric, sizes.seed),
    stations: new Neighbors(sizes.stationsLog2, memory.stations, sizes.seed),
    fragments: new Fragments(FRAGMENTS_LOG2, memory.fragments, sizes.seed),
    icmpRate: new TokenBucket(ICMP_RATE_LOG2, memory.icmpRate, sizes.seed),
  };
}
