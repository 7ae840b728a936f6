/**
 * Services: (address, port, protocol) → what kube-proxy's rules would do, decided beforehand by `compile`.
 *
 * A *frontend* is one address a service port is reached by: a ClusterIP, an external IP, a load balancer's,
 * or a node port (at one address, or 0.0.0.0: any LOCAL one, or 127.0.0.0 and ::1: loopback). A pod's host port
 * is one too; it is looked up apart (`HOST_PORT_META`), because it serves where no service does. One without
 * port and protocol stands for whatever else is sent to a service address. It holds one action for each class
 * of source, since that is all that KUBE-SVC, KUBE-SVL and KUBE-EXT distinguish: a pod, the node itself, the
 * outside. An action names an endpoint *set*; a pick is one random number and one array read, however many
 * services or endpoints there are.
 *
 * An *endpoint* keeps its slot and its id (identities.ts) as long as it serves; connections remember the id. So a
 * UDP flow to an endpoint that is gone is seen on its next packet, without any walk over the connection table.
 *
 * Here is what a packet asks; change/services.ts brings in what changes, one service port at a time.
 * Columns have a hard capacity and are allocated zeroed, so memory that no service uses is not resident. A
 * service port that does not fit stays as it was and stands in `refused` until it does.
 */

import { type Columns, OWN_COLUMNS } from "../../../base/columns.ts";
import {
  type EndpointSpec,
  HOST_PORT_ENDPOINT,
  Scheduler,
  type ServicePortSpec,
} from "../../spec/services.ts";
import * as growingIndex from "../growing-index.ts";
import { GrowingIndex } from "../growing-index.ts";
import * as hashIndex from "../hash-index.ts";
import { H_EPOCH, Identities } from "./identities.ts";
import * as schedule from "./schedule.ts";
import { Schedule } from "./schedule.ts";

export const CLASSES = 3;
export const NONE = -1;
export const RANGE_WORDS = 5; // address words, prefix length

/** What a service port owns in the columns. Cold: only changes read it. */
export interface ServiceRecord {
  readonly name: string;
  frontends: number[];
  /** First of its endpoints, which are chained by `epNext`; NONE: it has none. */
  firstEndpoint: number;
  members: number;
  membersSize: number;
  ranges: number;
  rangesSize: number;
  /** Maglev tables by the endpoints and weights they were dealt for. */
  maglev: Map<string, number> | null;
}

/** Endpoints of a spec with their slots. No packet finds a slot before the change is made. */
export interface StagedEndpoints {
  /** Marks the slots in `epMark`. */
  readonly mark: number;
  readonly specs: EndpointSpec[];
  readonly slots: number[];
  /** Those among the slots that the service port did not have. */
  readonly taken: number[];
  /** There was no slot left for one of them. */
  isShort: boolean;
}

/** Runs of words in one column, by size a power of two: change/runs.ts hands them out. */
export class Runs {
  next = 1; // 0 means "no run"
  readonly limit: number;
  readonly free = new Map<number, number[]>();
  constructor(limit: number) {
    this.limit = limit;
  }
}

export class Services {
  // Frontends
  readonly index: GrowingIndex; //      by address, port and protocol
  readonly addr: Int32Array; //         4 words a frontend
  readonly portProto: Int32Array; //    port << 16 | family << 8 | protocol; 0 = free
  readonly kind: Uint8Array;
  readonly service: Int32Array; //      service id
  readonly action: Uint8Array; //       3 a frontend, by SourceClass
  readonly masq: Uint8Array; //         3 a frontend
  readonly setAt: Int32Array; //        3 a frontend: first member
  readonly setCount: Int32Array; //     3 a frontend
  readonly setNo: Uint8Array; //        3 a frontend: which set of its service port that is
  readonly rangeAt: Int32Array; //      source ranges; 0 = any source
  readonly rangeCount: Int32Array;
  readonly affinitySec: Int32Array;
  readonly affinityId: Int32Array; //   whose clients are remembered together: a service id, or a number below 0
  readonly hits: Float64Array; //       new connections claimed
  // Runs
  readonly member: Int32Array; //       endpoint slots
  readonly range: Int32Array; //        RANGE_WORDS each
  // Endpoints
  readonly epAddr: Int32Array; //       4 words an endpoint
  readonly epPort: Uint16Array;
  readonly epId: Int32Array; //         what connections and remembered clients call it
  readonly epFlags: Uint8Array;
  readonly epSets: Uint8Array; //       bit per set of its service port that holds it
  readonly epService: Int32Array;
  readonly epHits: Float64Array;
  readonly epIndex: GrowingIndex; //    by service port, address and port; only changes look there
  readonly epNext: Int32Array; //       the next endpoint of its service port, or NONE
  readonly epMark: Int32Array; //       change that named it last; 0: none did, it is an earlier plane's

  readonly ids: Identities;
  readonly schedule: Schedule;

  /** Counts changes. Connections without an endpoint remember it, to notice a service that came later. */
  readonly epoch: Int32Array;
  readonly records = new Map<number, ServiceRecord>();
  readonly freeFrontends: number[] = [];
  readonly freeEndpoints: number[] = [];
  readonly members: Runs;
  readonly ranges: Runs;
  nextFrontend = 0;
  readonly hostPortCount: Int32Array; // one word
  nextEndpoint = 0;
  /** Endpoints that went so far, wrapping. */
  removals = 0;
  /** Changes refused because a column was full. */
  full = 0;
  /** By id what did not fit: the service port is what it was before, or missing. */
  readonly refused = new Map<number, ServicePortSpec>();
  /** How many of them may fit now that something went. */
  retries = 0;
  /** Next slot of the walk for endpoints that an earlier plane had and nothing names now; -1: there is none. */
  dropHand = -1;
  /** There may be some: not everything has been told yet. */
  hasInherited = false;
  readonly staged = new Map<number, StagedEndpoints>();
  lastMark = 0;

  constructor(
    frontendsLog2 = 19,
    endpointsLog2 = 19,
    ids = new Identities(frontendsLog2, endpointsLog2),
    columns: Columns = OWN_COLUMNS,
  ) {
    const f = 1 << frontendsLog2;
    const e = 1 << endpointsLog2;
    this.index = new GrowingIndex(f, columns);
    this.addr = columns.int32(f * 4);
    this.portProto = columns.int32(f);
    this.kind = columns.uint8(f);
    this.service = columns.int32(f);
    this.action = columns.uint8(f * CLASSES);
    this.masq = columns.uint8(f * CLASSES);
    this.setAt = columns.int32(f * CLASSES);
    this.setCount = columns.int32(f * CLASSES);
    this.setNo = columns.uint8(f * CLASSES);
    this.rangeAt = columns.int32(f);
    this.rangeCount = columns.int32(f);
    this.affinitySec = columns.int32(f);
    this.affinityId = columns.int32(f);
    this.hits = columns.float64(f);
    this.member = columns.int32(e * 4);
    this.range = columns.int32(f * RANGE_WORDS);
    this.epAddr = columns.int32(e * 4);
    this.epPort = columns.uint16(e);
    this.epId = columns.int32(e);
    this.epFlags = columns.uint8(e);
    this.epSets = columns.uint8(e);
    this.epService = columns.int32(e);
    this.epHits = columns.float64(e);
    this.epIndex = new GrowingIndex(e, columns);
    this.epNext = columns.int32(e);
    this.epMark = columns.int32(e);
    this.hostPortCount = columns.int32(1);
    this.ids = ids;
    this.epoch = ids.header.subarray(H_EPOCH, H_EPOCH + 1);
    this.schedule = new Schedule(f, e, ids, columns);
    this.members = new Runs(e * 4);
    this.ranges = new Runs(f * RANGE_WORDS);
  }

  /** Frontends that are host ports. */
  get hostPorts(): number {
    return this.hostPortCount[0];
  }
}

/**
 * The frontend at this address, or -1. A node port is asked for with all four words 0.
 * `meta` is protocol | family << 8, as in a packet's key.
 */
export function find(
  t: Services,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  port: number,
  meta: number,
): number {
  const want = (port << 16) | meta;
  const cells = growingIndex.cellsOf(t.index);
  const mask = cells.length - 1;
  let i = hashIndex.mixTrusted(w0 ^ want, w1, w2, w3) & mask;
  for (;;) {
    const cell = cells[i];
    if (cell === 0) return -1;
    const f = cell - 1;
    if (t.portProto[f] === want) {
      const a = f << 2;
      if (t.addr[a + 3] === w3 && t.addr[a + 2] === w2 && t.addr[a + 1] === w1 && t.addr[a] === w0) return f;
    }
    i = (i + 1) & mask;
  }
}

/** True when the frontend restricts its sources and none of its ranges holds this one. */
export function sourceRefused(t: Services, f: number, key: Int32Array): boolean {
  const at = t.rangeAt[f];
  if (at === 0) return false;
  const n = t.rangeCount[f];
  for (let i = 0; i < n; i++) {
    const r = at + i * RANGE_WORDS;
    const bits = t.range[r + 4];
    let w = 0;
    let same = true;
    for (; w < 4 && same; w++) {
      const left = bits - (w << 5);
      if (left <= 0) break;
      const mask = left >= 32 ? -1 : ~(0xffffffff >>> left);
      same = ((t.range[r + w] ^ key[w]) & mask) === 0;
    }
    if (same) return false;
  }
  return true;
}

/** True of the endpoint of a service: not of a host port's, and not of -1. */
export function isService(t: Services, endpoint: number): boolean {
  return endpoint >= 0 && (t.epFlags[endpoint] & HOST_PORT_ENDPOINT) === 0;
}

/** One of the set's endpoints, each with the same probability; `random` is any i32. -1: the set is empty. */
export function pick(t: Services, f: number, sourceClass: number, random: number): number {
  const c = f * CLASSES + sourceClass;
  const n = t.setCount[c];
  if (n === 0) return -1;
  // 23 random bits times n, over 2^23: exact in a double, no modulo bias worth speaking of.
  return t.member[t.setAt[c] + ((((random >>> 9) * n) / 0x800000) | 0)];
}

/** The endpoint for a new connection with tuple `key`, as the frontend's scheduler has it. -1: none may be had. */
export function choose(t: Services, f: number, sourceClass: number, key: Int32Array, random: number): number {
  if (t.schedule.kind[f] === Scheduler.RANDOM) return pick(t, f, sourceClass, random);
  const c = f * CLASSES + sourceClass;
  return schedule.pick(t.schedule, f, t.member, t.setAt[c], t.setCount[c], key);
}

/** True when this class of source may get the endpoint: what a remembered choice has to be asked for. */
export function mayGet(t: Services, f: number, sourceClass: number, endpoint: number): boolean {
  const c = f * CLASSES + sourceClass;
  if (t.setCount[c] === 0 || ((t.epSets[endpoint] >>> t.setNo[c]) & 1) === 0) return false;
  return t.schedule.kind[f] === Scheduler.RANDOM || t.schedule.weight[endpoint] > 0;
}

/** Of two endpoints that this class of source may get: does the one stand before the other? */
export function precedes(t: Services, f: number, sourceClass: number, one: number, other: number): boolean {
  const c = f * CLASSES + sourceClass;
  const end = t.setAt[c] + t.setCount[c];
  for (let m = t.setAt[c]; m < end && t.member[m] !== other; m++) {
    if (t.member[m] === one) return true;
  }
  return false;
}

export function actionOf(t: Services, f: number, sourceClass: number): number {
  return t.action[f * CLASSES + sourceClass];
}
export function masquerades(t: Services, f: number, sourceClass: number): boolean {
  return t.masq[f * CLASSES + sourceClass] !== 0;
}

/** Where the search for a frontend in the index begins; to be masked. */
export function homeOf(t: Services, f: number): number {
  const a = f * 4;
  return hashIndex.mixTrusted(t.addr[a] ^ t.portProto[f], t.addr[a + 1], t.addr[a + 2], t.addr[a + 3]);
}
