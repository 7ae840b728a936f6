/**
 * What must outlive an agent: everything by which packets of connections that stand go on as before, in one piece of flat
 * memory with a header that says what it is. Whoever has such memory of an earlier agent opens it again, when it fits
 * (`mismatch` of change/durable.ts), and has it put in order (`resume`); zeroed memory becomes an empty group.
 *
 * What is not in it comes again by itself: addresses of neighbours and stations (a question, a frame, the objects),
 * fragments (their packet slots are gone; senders repeat), connections of mode userspace that wait for an endpoint
 * (clients repeat their SYN; the held copies are packet slots, too), places in turns of rr and wrr, counters and hits
 * (counters of a process begin at zero, as Prometheus expects), whatever is compiled from objects.
 */

import { ConnectionRules } from "./table/connection/connection-rules.ts";
import { Conntrack } from "./table/connection/conntrack.ts";
import { SeqAdj } from "./table/connection/conntrack-seqadj.ts";
import { Expectations } from "./table/connection/expectations.ts";
import { RuleIds } from "./table/policy/rule-ids.ts";
import { Affinity } from "./table/service/affinity.ts";
import { Identities } from "./table/service/identities.ts";

export interface DurableSizes {
  readonly conntrackLog2: number;
  readonly affinityLog2: number;
  readonly frontendsLog2: number;
  readonly endpointsLog2: number;
}

/** A part of the memory. */
export interface Region {
  readonly name: string;
  /** Number of its layout: memory of another one is not read. */
  readonly layout: number;
  readonly bytes: (sizes: DurableSizes) => number;
  /** It begins with its layout (base/columns.ts). */
  readonly hasHeader?: true;
}

/** In their order in memory. */
export const REGIONS = Object.freeze({
  /**
   * Tuples are the translation itself; states, windows and time-outs decide what passes. Its header has the seed of the
   * hash and the port generator's state (a peer shall not learn by a restart which ports come), and the settings. The
   * index and the list of free slots are made anew from the columns: an agent may be killed between two writes. The
   * events in it are of no use without their readers, who went with the agent.
   */
  conntrack: {
    name: "connections",
    layout: Conntrack.LAYOUT,
    bytes: (s) => Conntrack.bytesFor(s.conntrackLog2),
  },
  /** Services with session affinity promise a client the same endpoint for hours. */
  affinity: {
    name: "remembered clients",
    layout: Affinity.LAYOUT,
    bytes: (s) => Affinity.bytesFor(s.affinityLog2),
    hasHeader: true,
  },
  /**
   * What connections and remembered clients mean by the ids they hold: without it every UDP flow to a service would be
   * stale and every client forgotten. Endpoint loads are not kept: they are counted from the connections.
   */
  ids: {
    name: "ids",
    layout: Identities.LAYOUT,
    bytes: (s) => Identities.bytesFor(s.frontendsLog2, s.endpointsLog2),
    hasHeader: true,
  },
  /** A data connection of FTP may come minutes after it was announced, and nobody announces it twice. */
  expectations: {
    name: "expected connections",
    layout: Expectations.LAYOUT,
    bytes: () => Expectations.bytesFor(),
    hasHeader: true,
  },
  /** By how much sequence numbers are shifted: a control connection without it is broken for good. */
  seqadj: {
    name: "sequence adjustments",
    layout: SeqAdj.LAYOUT,
    bytes: () => SeqAdj.bytesFor(),
    hasHeader: true,
  },
  /** Which rules of policies let a connection in: it is not asked about again. */
  connectionRules: {
    name: "rules of connections",
    layout: ConnectionRules.LAYOUT,
    bytes: (s) => ConnectionRules.bytesFor(s.conntrackLog2),
  },
  /** What these mean by their ids. */
  ruleIds: { name: "ids of rules", layout: RuleIds.LAYOUT, bytes: () => RuleIds.bytesFor() },
} satisfies Record<string, Region>);

export const MAGIC = 0x70774475; // "pwDu"
/** Of this header. Each region's layout has a number of its own, and a word here. */
export const HEADER_LAYOUT = 1;
export const HEADER_WORDS = 64;
/** Words of the header; the last thing that is written of a new group is its magic. */
export const H_MAGIC = 0;
export const H_LAYOUT = 1;
export const H_SIZES = 2; //  a word for each size, in the order of SIZES
const H_CLOCK = 8; //  f64: CLOCK_MONOTONIC in ms when the engine's clock was 0, 0: not set yet
export const H_REGIONS = 16; // a word for each region: its layout
export const SIZES = Object.freeze([
  "conntrackLog2",
  "affinityLog2",
  "frontendsLog2",
  "endpointsLog2",
] as const);
const ALIGN = 64; // a cache line
const IN_ORDER: readonly Region[] = Object.values(REGIONS);

export class Durable {
  readonly memory: ArrayBufferLike;
  readonly header: Int32Array;
  /** One word, H_CLOCK: times in the tables are of a clock that goes on. Who turns the engine's clock sets it. */
  readonly clockMs: Float64Array;
  readonly conntrack: Conntrack;
  readonly affinity: Affinity;
  readonly ids: Identities;
  readonly expectations: Expectations;
  readonly seqadj: SeqAdj;
  readonly connectionRules: ConnectionRules;
  readonly ruleIds: RuleIds;

  /** `seed`, of hashes, counts for a new group alone. Memory that does not fit makes a RangeError. */
  constructor(
    sizes: DurableSizes,
    memory: ArrayBufferLike = new ArrayBuffer(Durable.bytesFor(sizes)),
    seed = 0,
  ) {
    this.memory = memory;
    this.header = new Int32Array(memory, 0, HEADER_WORDS);
    this.clockMs = new Float64Array(memory, H_CLOCK * 4, 1);
    let at = HEADER_WORDS * 4;
    const take = (region: Region): number => {
      const from = at;
      at += alignedBytes(region, sizes);
      return from;
    };
    this.conntrack = new Conntrack(sizes.conntrackLog2, memory, take(REGIONS.conntrack), seed);
    this.affinity = new Affinity(sizes.affinityLog2, memory, seed, take(REGIONS.affinity));
    this.ids = new Identities(sizes.frontendsLog2, sizes.endpointsLog2, memory, take(REGIONS.ids));
    this.expectations = new Expectations(memory, take(REGIONS.expectations));
    this.seqadj = new SeqAdj(memory, take(REGIONS.seqadj));
    this.connectionRules = new ConnectionRules(sizes.conntrackLog2, memory, take(REGIONS.connectionRules));
    this.conntrack.rules = this.connectionRules;
    this.ruleIds = new RuleIds(memory, take(REGIONS.ruleIds));
    if (this.header[H_MAGIC] === 0) this.#format(sizes);
  }

  #format(sizes: DurableSizes): void {
    this.header[H_LAYOUT] = HEADER_LAYOUT;
    for (let i = 0; i < SIZES.length; i++) this.header[H_SIZES + i] = sizes[SIZES[i]];
    for (let i = 0; i < IN_ORDER.length; i++) this.header[H_REGIONS + i] = IN_ORDER[i].layout;
    this.header[H_MAGIC] = MAGIC;
  }

  static bytesFor(sizes: DurableSizes): number {
    let sum = HEADER_WORDS * 4;
    for (let i = 0; i < IN_ORDER.length; i++) sum += alignedBytes(IN_ORDER[i], sizes);
    return sum;
  }
}

export function alignedBytes({ bytes }: Region, sizes: DurableSizes): number {
  return Math.ceil(bytes(sizes) / ALIGN) * ALIGN;
}
