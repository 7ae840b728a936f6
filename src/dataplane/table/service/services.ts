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
 * An *endpoint* keeps its slot as long as it serves; its generation changes when it goes, and connections
 * remember the generation they were made with. So a UDP flow to an endpoint that is gone is seen on its next
 * packet, without any walk over the connection table.
 *
 * Change is per service port (`upsert`, `removeService`) and costs what that service port holds. The endpoints of a
 * large one may be brought in parts beforehand (`createPart`), so that no change holds packets up for long.
 * Columns have a hard capacity and are allocated zeroed, so memory that no service uses is not resident. A
 * service port that does not fit stays as it was and stands in `refused` until it does.
 */

import * as hashIndex from "../hash-index.ts";
import {
  createMaglev,
  createMaglevRoom,
  createOldRow,
  createRow,
  type Destination,
  type OldRow,
} from "./create-schedule.ts";
import * as endpointLoad from "./endpoint-load.ts";
import * as schedule from "./schedule.ts";
import { Schedule, Scheduler } from "./schedule.ts";

/** What a frontend does with a new connection. */
export const Action = Object.freeze({ DNAT: 0, REJECT: 1, DROP: 2, NONE: 3 } as const);
export const FrontendKind = Object.freeze({
  CLUSTER_IP: 0,
  EXTERNAL_IP: 1,
  LOAD_BALANCER: 2,
  NODE_PORT: 3,
  UNSERVED: 4, //       a service address and every port and protocol that no other frontend has
  UNSERVED_PORTS: 5, // the same, ICMP excepted
  HOST_PORT: 6, //      of a pod, at one address or where node ports may be
} as const);
/** In a key's last word, beside family and protocol: asks for host ports. */
export const HOST_PORT_META = 0x8000;
/** In an endpoint's flags: a pod's host port leads to it, no service. */
export const HOST_PORT_ENDPOINT = 16;
/** Who sent the packet, as the rules tell sources apart. */
export const SourceClass = Object.freeze({ POD: 0, NODE: 1, OUTSIDE: 2 } as const);

export interface EndpointSpec {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  port: number;
  /** Bit 0 local, 1 ready, 2 serving, 3 terminating, 4 of a host port. */
  flags: number;
  /** Of schedulers that know weights; 1 when left out, 0: no new connections. */
  weight?: number;
}
export interface ClassAction {
  action: number;
  set: number;
  masquerade: boolean;
}
export interface SourceRange {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  /** Of 128; an IPv4 range counts its 96 mapped bits. */
  prefixLen: number;
}
export interface FrontendSpec {
  kind: number;
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  family: 4 | 6;
  port: number;
  sourceRanges: SourceRange[] | null;
  byClass: [ClassAction, ClassAction, ClassAction];
}
export interface ServicePortSpec {
  id: number;
  /** namespace/name:portName */
  name: string;
  protocol: number;
  affinitySec: number;
  /** Each frontend remembers its clients for itself (a virtual server of IPVS); else the service port does for all. */
  ownAffinity?: boolean;
  /** Scheduler; chance when left out. */
  scheduler?: number;
  /** All frontends take turns together, where otherwise each has its own (a virtual server of IPVS). */
  sharedSchedule?: boolean;
  endpoints: EndpointSpec[];
  sets: number[][];
  frontends: FrontendSpec[];
}
export interface ServiceUpdate {
  upsert: ServicePortSpec[];
  remove: number[];
  /** Those that hand addresses to each other, for whoever splits the change. */
  together?: number[];
}
/** Endpoints of a service port whose spec comes later and leaves them out. */
export interface EndpointPart {
  id: number;
  endpoints: EndpointSpec[];
}

const CLASSES = 3;
const NONE = -1;
const SETS_MAX = 8; // of a service port: one for each traffic policy, so two are usual
const RANGE_WORDS = 5; // address words, prefix length

/** What a service port owns in the columns. Cold: only changes read it. */
interface ServiceRecord {
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

/** What a frontend keeps over a change of its service port, as long as its address stays. */
interface Kept {
  readonly hits: number;
  readonly affinityId: number;
  readonly row: OldRow | undefined;
}

/** A change of one service port for which room has been taken. */
interface ServicePlan {
  readonly spec: ServicePortSpec;
  readonly old: ServiceRecord | undefined;
  readonly endpoints: StagedEndpoints;
  readonly record: ServiceRecord;
  /** By frontend. */
  readonly kept: ReadonlyMap<string, Kept>;
}

/** Endpoints of a spec with their slots. No packet finds a slot before the change is made. */
interface StagedEndpoints {
  /** Marks the slots in `epMark`. */
  readonly mark: number;
  readonly specs: EndpointSpec[];
  readonly slots: number[];
  /** Those among the slots that the service port did not have. */
  readonly taken: number[];
  /** There was no slot left for one of them. */
  isShort: boolean;
}

/** Runs of words in one column: a free list per power of two. */
class RunAllocator {
  next = 1; // 0 means "no run"
  readonly limit: number;
  readonly free = new Map<number, number[]>();
  constructor(limit: number) {
    this.limit = limit;
  }
  static roundUp(n: number): number {
    return n <= 1 ? 1 : 2 ** Math.ceil(Math.log2(n));
  }
  take(n: number): number {
    const size = RunAllocator.roundUp(n);
    const reused = this.free.get(size)?.pop();
    if (reused !== undefined) return reused;
    if (this.next + size > this.limit) return -1;
    const at = this.next;
    this.next += size;
    return at;
  }
  give(at: number, n: number): void {
    const size = RunAllocator.roundUp(n);
    const list = this.free.get(size);
    if (list === undefined) this.free.set(size, [at]);
    else list.push(at);
  }
}

export class Services {
  // Frontends
  readonly index: Int32Array; //        frontend + 1; 0 = empty; open addressing, at most half full
  readonly mask: number;
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
  readonly epGeneration: Int32Array; // changes when the endpoint goes
  readonly epFlags: Uint8Array;
  readonly epSets: Uint8Array; //       bit per set of its service port that holds it
  readonly epService: Int32Array;
  readonly epHits: Float64Array;
  readonly epIndex: Int32Array; //      endpoint + 1, by service port, address and port; only changes look there
  readonly epNext: Int32Array; //       the next endpoint of its service port, or NONE
  readonly epMark: Int32Array; //       change that named it last

  readonly schedule: Schedule;

  /** Counts changes. Connections without an endpoint remember it, to notice a service that came later. */
  readonly epoch = new Int32Array(1);
  readonly records = new Map<number, ServiceRecord>();
  readonly freeFrontends: number[] = [];
  readonly freeEndpoints: number[] = [];
  readonly members: RunAllocator;
  readonly ranges: RunAllocator;
  nextFrontend = 0;
  /** Frontends that are host ports. */
  hostPorts = 0;
  nextEndpoint = 0;
  lastOwnAffinity = 0;
  /** Endpoints that went so far, wrapping. */
  removals = 0;
  /** Changes refused because a column was full. */
  full = 0;
  /** By id what did not fit: the service port is what it was before, or missing. */
  readonly refused = new Map<number, ServicePortSpec>();
  /** How many of them may fit now that something went. */
  retries = 0;
  readonly staged = new Map<number, StagedEndpoints>();
  lastMark = 0;

  constructor(frontendsLog2 = 19, endpointsLog2 = 19) {
    const f = 1 << frontendsLog2;
    const e = 1 << endpointsLog2;
    this.index = new Int32Array(f * 2);
    this.mask = f * 2 - 1;
    this.addr = new Int32Array(f * 4);
    this.portProto = new Int32Array(f);
    this.kind = new Uint8Array(f);
    this.service = new Int32Array(f);
    this.action = new Uint8Array(f * CLASSES);
    this.masq = new Uint8Array(f * CLASSES);
    this.setAt = new Int32Array(f * CLASSES);
    this.setCount = new Int32Array(f * CLASSES);
    this.setNo = new Uint8Array(f * CLASSES);
    this.rangeAt = new Int32Array(f);
    this.rangeCount = new Int32Array(f);
    this.affinitySec = new Int32Array(f);
    this.affinityId = new Int32Array(f);
    this.hits = new Float64Array(f);
    this.member = new Int32Array(e * 4);
    this.range = new Int32Array(f * RANGE_WORDS);
    this.epAddr = new Int32Array(e * 4);
    this.epPort = new Uint16Array(e);
    this.epGeneration = new Int32Array(e);
    this.epFlags = new Uint8Array(e);
    this.epSets = new Uint8Array(e);
    this.epService = new Int32Array(e);
    this.epHits = new Float64Array(e);
    this.epIndex = new Int32Array(e * 2);
    this.epNext = new Int32Array(e);
    this.epMark = new Int32Array(e);
    this.schedule = new Schedule(f, this.epGeneration);
    this.members = new RunAllocator(e * 4);
    this.ranges = new RunAllocator(f * RANGE_WORDS);
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
  let i = hashIndex.mixTrusted(w0 ^ want, w1, w2, w3) & t.mask;
  for (;;) {
    const cell = t.index[i];
    if (cell === 0) return -1;
    const f = cell - 1;
    if (t.portProto[f] === want) {
      const a = f << 2;
      if (t.addr[a + 3] === w3 && t.addr[a + 2] === w2 && t.addr[a + 1] === w1 && t.addr[a] === w0) return f;
    }
    i = (i + 1) & t.mask;
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

/** Adds or replaces service ports; whatever the change does not name stays as it is. One spec an id. */
export function createUpdate(t: Services, update: ServiceUpdate): void {
  let before = inUse(t);
  for (const { id } of update.upsert) before -= t.staged.get(id)?.taken.length ?? 0;
  for (const id of update.remove) removeService(t, id);
  const room = { frontends: t.freeFrontends.length + t.kind.length - t.nextFrontend };
  const plans: ServicePlan[] = [];
  for (const spec of update.upsert) {
    const plan = createPlan(t, spec, room);
    if (plan !== null) plans.push(plan);
  }
  // Every address is let go before any is taken: one may pass from one service port to another.
  for (const { old } of plans) if (old !== undefined) dropFrontends(t, old);
  for (const plan of plans) upsertService(t, plan);
  if (inUse(t) < before) t.retries = t.refused.size;
  t.epoch[0]++;
}

function inUse(t: Services): number {
  return t.nextEndpoint - t.freeEndpoints.length + t.nextFrontend - t.freeFrontends.length;
}

/** Tries one of the refused service ports again; for the caller to call while `retries` is not 0. */
export function createRetry(t: Services): void {
  t.retries--;
  for (const [id, spec] of t.refused) {
    t.refused.delete(id); // it goes to the end when it still does not fit
    createUpdate(t, { upsert: [spec], remove: [] });
    return;
  }
}

/** Takes in endpoints of a service port ahead of the update that makes them its own. */
export function createPart(t: Services, part: EndpointPart): void {
  const staged = t.staged.get(part.id) ?? createStaged(t);
  t.staged.set(part.id, staged);
  stageEndpoints(t, part.id, staged, part.endpoints);
}

function createStaged(t: Services): StagedEndpoints {
  t.lastMark = (t.lastMark % 0x3fffffff) + 1;
  return { mark: t.lastMark, specs: [], slots: [], taken: [], isShort: false };
}

/** Finds or takes a slot for each endpoint, if there are enough; those that the service port has already stay. */
function stageEndpoints(
  t: Services,
  id: number,
  staged: StagedEndpoints,
  endpoints: readonly EndpointSpec[],
): void {
  for (const e of endpoints) {
    staged.specs.push(e);
    if (staged.isShort) continue;
    const cell = endpointCell(t, id, e);
    let slot = t.epIndex[cell] - 1;
    if (slot < 0) {
      slot = t.freeEndpoints.pop() ?? (t.nextEndpoint < t.epPort.length ? t.nextEndpoint++ : -1);
      if (slot < 0) {
        staged.isShort = true;
        continue;
      }
      t.epIndex[cell] = slot + 1;
      staged.taken.push(slot);
      const a = slot * 4;
      t.epAddr[a] = e.w0;
      t.epAddr[a + 1] = e.w1;
      t.epAddr[a + 2] = e.w2;
      t.epAddr[a + 3] = e.w3;
      t.epPort[slot] = e.port;
      t.epService[slot] = id;
      t.epHits[slot] = 0;
      t.epNext[slot] = NONE;
    }
    t.epMark[slot] = staged.mark;
    staged.slots.push(slot);
  }
}

function releaseStaged(t: Services, staged: StagedEndpoints): void {
  for (const slot of staged.taken) freeEndpoint(t, slot);
}

/** Where the index has this endpoint of a service port, or where it would go. */
function endpointCell(t: Services, id: number, e: EndpointSpec): number {
  const mask = t.epIndex.length - 1;
  let i = endpointHash(id, e.w0, e.w1, e.w2, e.w3, e.port) & mask;
  for (;;) {
    const slot = t.epIndex[i] - 1;
    if (slot < 0) return i;
    const a = slot << 2;
    if (
      t.epAddr[a + 3] === e.w3 &&
      t.epService[slot] === id &&
      t.epPort[slot] === e.port &&
      t.epAddr[a + 2] === e.w2 &&
      t.epAddr[a + 1] === e.w1 &&
      t.epAddr[a] === e.w0
    )
      return i;
    i = (i + 1) & mask;
  }
}

function endpointHash(id: number, w0: number, w1: number, w2: number, w3: number, port: number): number {
  return hashIndex.mixTrusted(w0 ^ id, w1 ^ port, w2, w3);
}

function endpointHome(t: Services, slot: number): number {
  const a = slot << 2;
  return endpointHash(
    t.epService[slot],
    t.epAddr[a],
    t.epAddr[a + 1],
    t.epAddr[a + 2],
    t.epAddr[a + 3],
    t.epPort[slot],
  );
}

function createSetBits(t: Services, spec: ServicePortSpec, slots: readonly number[]): void {
  if (spec.sets.length > SETS_MAX) throw new RangeError(`${spec.name}: ${spec.sets.length} endpoint sets`);
  for (const slot of slots) t.epSets[slot] = 0;
  for (const [n, set] of spec.sets.entries()) for (const i of set) t.epSets[slots[i]] |= 1 << n;
}

/** Takes the room that a service port needs; null, and nothing changed, when there is not enough. */
function createPlan(t: Services, spec: ServicePortSpec, room: { frontends: number }): ServicePlan | null {
  const old = t.records.get(spec.id);
  const endpoints = t.staged.get(spec.id) ?? createStaged(t);
  t.staged.delete(spec.id);
  stageEndpoints(t, spec.id, endpoints, spec.endpoints);
  const wanted = spec.frontends.filter((f) => f.sourceRanges !== null);
  const rangesSize = wanted.reduce((n, f) => n + (f.sourceRanges as SourceRange[]).length * RANGE_WORDS, 0);
  const membersSize = spec.sets.reduce((n, s) => n + s.length, 0);
  const members = membersSize === 0 ? 0 : t.members.take(membersSize);
  const ranges = wanted.length === 0 ? 0 : t.ranges.take(Math.max(1, rangesSize));
  const left = room.frontends + (old?.frontends.length ?? 0) - spec.frontends.length;
  if (members < 0 || ranges < 0 || left < 0 || endpoints.isShort) {
    t.full++;
    t.refused.set(spec.id, { ...spec, endpoints: endpoints.specs });
    if (members > 0) t.members.give(members, membersSize);
    if (ranges > 0) t.ranges.give(ranges, Math.max(1, rangesSize));
    releaseStaged(t, endpoints);
    return null;
  }
  room.frontends = left;
  t.refused.delete(spec.id);
  const record: ServiceRecord = {
    name: spec.name,
    frontends: [],
    firstEndpoint: NONE,
    members,
    membersSize,
    ranges,
    rangesSize: Math.max(1, rangesSize),
    maglev: null,
  };
  const kept = new Map((old?.frontends ?? []).map((f) => [createFrontendKey(t, f), createKept(t, f)]));
  return { spec, old, endpoints, record, kept };
}

function createKept(t: Services, f: number): Kept {
  return {
    hits: t.hits[f],
    affinityId: t.affinityId[f],
    row: createOldRow(t.schedule, f, () => describeSet(t, f, 0)),
  };
}

function createFrontendKey(t: Services, f: number): string {
  return `${t.addr.subarray(f * 4, f * 4 + 4)},${t.portProto[f]}`;
}

function upsertService(t: Services, { spec, old, endpoints, record, kept }: ServicePlan): void {
  const { slots } = endpoints;
  if (old !== undefined) freeUnmarked(t, old, endpoints.mark);
  for (let i = 0; i < slots.length; i++) {
    t.epFlags[slots[i]] = endpoints.specs[i].flags;
    t.schedule.weight[slots[i]] = endpoints.specs[i].weight ?? 1;
  }
  record.firstEndpoint = chain(t, endpoints);
  createSetBits(t, spec, slots);
  const setAt: number[] = [];
  let at = record.members;
  for (const set of spec.sets) {
    setAt.push(at);
    for (const i of set) t.member[at++] = slots[i];
  }
  let rangeAt = record.ranges;
  for (const f of spec.frontends) {
    const slot = createFrontend(t, spec, f, setAt, rangeAt);
    if (f.sourceRanges !== null) rangeAt += f.sourceRanges.length * RANGE_WORDS;
    if (slot < 0) continue;
    record.frontends.push(slot);
    const before = kept.size === 0 ? undefined : kept.get(createFrontendKey(t, slot));
    t.hits[slot] = before?.hits ?? 0;
    t.affinityId[slot] = createAffinityId(t, spec, before);
    createSchedule(t, spec, slot, { record, old, kept: before });
  }
  record.frontends = record.frontends.slice(); // no room to grow: less for the collector to carry
  if (old !== undefined) releaseMaglev(t, old, record);
  t.records.set(spec.id, record);
}

function createAffinityId(t: Services, spec: ServicePortSpec, kept: Kept | undefined): number {
  if (spec.ownAffinity !== true || spec.affinitySec === 0) return spec.id;
  if (kept !== undefined && kept.affinityId < 0) return kept.affinityId;
  t.lastOwnAffinity = (t.lastOwnAffinity - 1) % 0x3fffffff;
  return t.lastOwnAffinity;
}

/** The frontend's row: classes of source have one set wherever it is not chance that chooses. */
function createSchedule(
  t: Services,
  spec: ServicePortSpec,
  f: number,
  o: { record: ServiceRecord; old: ServiceRecord | undefined; kept: Kept | undefined },
): void {
  const s = t.schedule;
  const kind = spec.scheduler ?? Scheduler.RANDOM;
  const members = kind === Scheduler.RANDOM ? [] : describeSet(t, f, 0);
  createRow(s, f, kind, members, o.kept?.row);
  if (spec.sharedSchedule === true) s.row[f] = o.record.frontends[0];
  if (kind !== Scheduler.MH || members.length === 0) return;
  const weights = members.map((slot) => s.weight[slot]);
  const key = `${members}/${weights}/${members.map((slot) => t.epGeneration[slot])}`;
  let at = o.record.maglev?.get(key) ?? o.old?.maglev?.get(key);
  if (at === undefined) {
    const set = members.map((slot) => createDestination(t, slot));
    at = createMaglev(s, set, weights);
    if (at < 0) return;
  }
  o.record.maglev ??= new Map();
  o.record.maglev.set(key, at);
  s.maglevAt[f] = at;
}

/** Gives back the tables that `next` does not go on with. */
function releaseMaglev(t: Services, old: ServiceRecord, next: ServiceRecord | null): void {
  if (old.maglev === null) return;
  for (const [key, at] of old.maglev) if (next?.maglev?.has(key) !== true) createMaglevRoom(t.schedule, at);
}

function createDestination(t: Services, slot: number): Destination {
  const [w0, w1, w2, w3] = t.epAddr.subarray(slot * 4, slot * 4 + 4);
  return { w0, w1, w2, w3, port: t.epPort[slot] };
}

function createFrontend(
  t: Services,
  spec: ServicePortSpec,
  f: FrontendSpec,
  setAt: number[],
  rangeAt: number,
): number {
  const protocol = protocolOf(f, spec.protocol);
  const isHostPort = f.kind === FrontendKind.HOST_PORT;
  const meta = (f.family << 8) | protocol | (isHostPort ? HOST_PORT_META : 0);
  // Two services on one address and port: `compile` gives it to one of them. Here the first keeps it.
  if (find(t, f.w0, f.w1, f.w2, f.w3, f.port, meta) >= 0) return -1;
  const slot = t.freeFrontends.pop() ?? t.nextFrontend++; // createPlan saw to it that there is one
  t.addr[slot * 4] = f.w0;
  t.addr[slot * 4 + 1] = f.w1;
  t.addr[slot * 4 + 2] = f.w2;
  t.addr[slot * 4 + 3] = f.w3;
  t.portProto[slot] = (f.port << 16) | meta;
  if (isHostPort) t.hostPorts++;
  t.kind[slot] = f.kind;
  t.service[slot] = spec.id;
  t.affinitySec[slot] = spec.affinitySec;
  for (let c = 0; c < CLASSES; c++) {
    const a = f.byClass[c];
    const set = spec.sets[a.set];
    t.action[slot * CLASSES + c] = a.action;
    t.masq[slot * CLASSES + c] = a.masquerade ? 1 : 0;
    t.setAt[slot * CLASSES + c] = set === undefined ? 0 : setAt[a.set];
    t.setCount[slot * CLASSES + c] = set === undefined ? 0 : set.length;
    t.setNo[slot * CLASSES + c] = set === undefined ? 0 : a.set;
  }
  t.rangeAt[slot] = f.sourceRanges === null ? 0 : rangeAt;
  t.rangeCount[slot] = f.sourceRanges === null ? 0 : f.sourceRanges.length;
  if (f.sourceRanges !== null) {
    f.sourceRanges.forEach((r, i) => {
      t.range.set([r.w0, r.w1, r.w2, r.w3, r.prefixLen], rangeAt + i * RANGE_WORDS);
    });
  }
  let i = hashIndex.mixTrusted(f.w0 ^ ((f.port << 16) | meta), f.w1, f.w2, f.w3) & t.mask;
  while (t.index[i] !== 0) i = (i + 1) & t.mask;
  t.index[i] = slot + 1;
  return slot;
}

/** Protocol by which a frontend is found: its service port's, or 0 when it stands for all of them. */
export function protocolOf(f: FrontendSpec, protocol: number): number {
  return f.kind === FrontendKind.UNSERVED || f.kind === FrontendKind.UNSERVED_PORTS ? 0 : protocol;
}

function homeOf(t: Services, f: number): number {
  const a = f * 4;
  return (
    hashIndex.mixTrusted(t.addr[a] ^ t.portProto[f], t.addr[a + 1], t.addr[a + 2], t.addr[a + 3]) & t.mask
  );
}

/** Cells hold slot + 1. */
function frontendCellHome(t: Services, cell: number): number {
  return homeOf(t, cell - 1);
}

function endpointCellHome(t: Services, cell: number): number {
  return endpointHome(t, cell - 1);
}

function dropFrontends(t: Services, record: ServiceRecord): void {
  for (const f of record.frontends) {
    let i = homeOf(t, f);
    while (t.index[i] !== f + 1) i = (i + 1) & t.mask;
    hashIndex.vacate(t.index, i, t.mask, t, frontendCellHome);
    t.portProto[f] = 0;
    if (t.kind[f] === FrontendKind.HOST_PORT) t.hostPorts--;
    t.freeFrontends.push(f);
  }
  record.frontends.length = 0;
  if (record.membersSize > 0) t.members.give(record.members, record.membersSize);
  if (record.ranges > 0) t.ranges.give(record.ranges, record.rangesSize);
}

/** Chains the endpoints of a change, each once whatever it is named; returns the first. */
function chain(t: Services, { slots, mark }: StagedEndpoints): number {
  let first = NONE;
  for (let i = slots.length - 1; i >= 0; i--) {
    const slot = slots[i];
    if (t.epMark[slot] !== mark) continue;
    t.epMark[slot] = ~mark;
    t.epNext[slot] = first;
    first = slot;
  }
  return first;
}

function freeUnmarked(t: Services, record: ServiceRecord, mark: number): void {
  let slot = record.firstEndpoint;
  while (slot !== NONE) {
    const next = t.epNext[slot];
    if (t.epMark[slot] !== mark) freeEndpoint(t, slot);
    slot = next;
  }
}

function freeEndpoint(t: Services, slot: number): void {
  const mask = t.epIndex.length - 1;
  let i = endpointHome(t, slot) & mask;
  while (t.epIndex[i] !== slot + 1) i = (i + 1) & mask;
  hashIndex.vacate(t.epIndex, i, mask, t, endpointCellHome);
  t.epGeneration[slot] = (t.epGeneration[slot] + 1) | 0;
  t.removals = (t.removals + 1) & 0x3fffffff;
  endpointLoad.createEmpty(t.schedule.load, slot);
  t.freeEndpoints.push(slot);
}

/** Takes a service port away; connections that it made notice on their next packet. */
export function removeService(t: Services, id: number): void {
  t.refused.delete(id);
  const staged = t.staged.get(id);
  if (staged !== undefined) releaseStaged(t, staged);
  t.staged.delete(id);
  const record = t.records.get(id);
  if (record === undefined) return;
  dropFrontends(t, record);
  freeUnmarked(t, record, NONE);
  releaseMaglev(t, record, null);
  t.records.delete(id);
}

/** "namespace/name:port" of a frontend, for people; "" when it is gone. */
export function describeFrontend(t: Services, f: number): string {
  return f < 0 ? "" : (t.records.get(t.service[f])?.name ?? "");
}

/** Slots of the endpoints that a new connection of this class may get. */
export function describeSet(t: Services, f: number, sourceClass: number): number[] {
  const c = f * CLASSES + sourceClass;
  return Array.from({ length: t.setCount[c] }, (_, i) => t.member[t.setAt[c] + i]);
}

/** Those of them that the scheduler gives any: with a weight of 0 an endpoint gets none. */
export function describeChoice(t: Services, f: number, sourceClass: number): number[] {
  const set = describeSet(t, f, sourceClass);
  return t.schedule.kind[f] === Scheduler.RANDOM ? set : set.filter((slot) => t.schedule.weight[slot] > 0);
}
