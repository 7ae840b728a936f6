/**
 * Changes of services, between two batches: what a service port needs is taken before anything is touched, every address
 * is let go before any is taken. A change is per service port and costs what that one holds; the endpoints of a large one
 * may be brought in parts beforehand, so that no change holds packets up for long. A service port that does not fit stays
 * as it was and stands in `refused` until it does.
 */

import {
  FrontendKind,
  type FrontendSpec,
  HOST_PORT_META,
  protocolOf,
  Scheduler,
  type ServicePortSpec,
  type ServiceUpdate,
  type SourceRange,
} from "../spec/services.ts";
import type { ServiceRecord, Services, StagedEndpoints } from "../table/service/services.ts";
import * as services from "../table/service/services.ts";
import { add, makeRoom, type Rows, remove } from "./growing-index.ts";
import { endName, noteService, virtualId } from "./identities.ts";
import { giveRun, takeRun } from "./runs.ts";
import { type Destination, freeMaglev, type OldRow, rowOf, takeMaglev, writeRow } from "./schedule.ts";
import {
  chain,
  dropInherited,
  freeUnmarked,
  newStaged,
  releaseStaged,
  stageEndpoints,
} from "./service-endpoints.ts";
import { setOf } from "./service-sets.ts";

const { CLASSES, NONE, RANGE_WORDS } = services;
const FRONTENDS: Rows<Services> = {
  homeOf: (t, cell) => services.homeOf(t, cell - 1),
  holds: (t, slot) => t.portProto[slot] !== 0,
};
const SETS_MAX = 8; // of a service port: one for each traffic policy, so two are usual

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

/** Adds or replaces service ports; whatever the change does not name stays as it is. One spec an id. */
export function update(t: Services, change: ServiceUpdate): void {
  let before = inUse(t);
  for (const { id } of change.upsert) before -= t.staged.get(id)?.taken.length ?? 0;
  for (const id of change.remove) removeService(t, id);
  const room = { frontends: t.freeFrontends.length + t.kind.length - t.nextFrontend };
  const plans: ServicePlan[] = [];
  for (const spec of change.upsert) {
    const plan = planService(t, spec, room);
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

/** Is there something to go on with, turn by turn? */
export function isUnfinished(t: Services): boolean {
  return t.retries > 0 || t.dropHand >= 0;
}

/** A piece of it. */
export function goOn(t: Services): void {
  if (t.dropHand >= 0) dropInherited(t);
  else retry(t);
}

/** Tries one of the refused service ports again. */
function retry(t: Services): void {
  t.retries--;
  for (const [id, spec] of t.refused) {
    t.refused.delete(id); // it goes to the end when it still does not fit
    update(t, { upsert: [spec], remove: [] });
    return;
  }
}

function writeSetBits(t: Services, spec: ServicePortSpec, slots: readonly number[]): void {
  if (spec.sets.length > SETS_MAX) throw new RangeError(`${spec.name}: ${spec.sets.length} endpoint sets`);
  for (const slot of slots) t.epSets[slot] = 0;
  for (const [n, set] of spec.sets.entries()) for (const i of set) t.epSets[slots[i]] |= 1 << n;
}

/** Takes the room that a service port needs; null, and nothing changed, when there is not enough. */
function planService(t: Services, spec: ServicePortSpec, room: { frontends: number }): ServicePlan | null {
  const old = t.records.get(spec.id);
  const endpoints = t.staged.get(spec.id) ?? newStaged(t);
  t.staged.delete(spec.id);
  stageEndpoints(t, spec.id, endpoints, spec.endpoints);
  const wanted = spec.frontends.filter((f) => f.sourceRanges !== null);
  const rangesSize = wanted.reduce((n, f) => n + (f.sourceRanges as SourceRange[]).length * RANGE_WORDS, 0);
  const membersSize = spec.sets.reduce((n, s) => n + s.length, 0);
  const members = membersSize === 0 ? 0 : takeRun(t.members, membersSize);
  const ranges = wanted.length === 0 ? 0 : takeRun(t.ranges, Math.max(1, rangesSize));
  const left = room.frontends + (old?.frontends.length ?? 0) - spec.frontends.length;
  if (members < 0 || ranges < 0 || left < 0 || endpoints.isShort) {
    t.full++;
    t.refused.set(spec.id, { ...spec, endpoints: endpoints.specs });
    if (members > 0) giveRun(t.members, members, membersSize);
    if (ranges > 0) giveRun(t.ranges, ranges, Math.max(1, rangesSize));
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
  const kept = new Map((old?.frontends ?? []).map((f) => [frontendKey(t, f), keptOf(t, f)]));
  return { spec, old, endpoints, record, kept };
}

function keptOf(t: Services, f: number): Kept {
  return {
    hits: t.hits[f],
    affinityId: t.affinityId[f],
    row: rowOf(t.schedule, f, () => setOf(t, f, 0)),
  };
}

function frontendKey(t: Services, f: number): string {
  return `${t.addr.subarray(f * 4, f * 4 + 4)},${t.portProto[f]}`;
}

function upsertService(t: Services, { spec, old, endpoints, record, kept }: ServicePlan): void {
  const { slots } = endpoints;
  noteService(t.ids, spec);
  if (old !== undefined) freeUnmarked(t, old, endpoints.mark);
  for (let i = 0; i < slots.length; i++) {
    t.epFlags[slots[i]] = endpoints.specs[i].flags;
    t.schedule.weight[slots[i]] = endpoints.specs[i].weight ?? 1;
  }
  record.firstEndpoint = chain(t, endpoints);
  writeSetBits(t, spec, slots);
  const setAt: number[] = [];
  let at = record.members;
  for (const set of spec.sets) {
    setAt.push(at);
    for (const i of set) t.member[at++] = slots[i];
  }
  let rangeAt = record.ranges;
  for (const f of spec.frontends) {
    const slot = addFrontend(t, spec, f, setAt, rangeAt);
    if (f.sourceRanges !== null) rangeAt += f.sourceRanges.length * RANGE_WORDS;
    if (slot < 0) continue;
    record.frontends.push(slot);
    const before = kept.size === 0 ? undefined : kept.get(frontendKey(t, slot));
    t.hits[slot] = before?.hits ?? 0;
    t.affinityId[slot] = affinityIdOf(t, spec, slot, before);
    writeSchedule(t, spec, slot, { record, old, kept: before });
  }
  endVirtualIds(t, kept, record.frontends);
  record.frontends = record.frontends.slice(); // no room to grow: less for the collector to carry
  if (old !== undefined) releaseMaglev(t, old, record);
  t.records.set(spec.id, record);
}

/** Those of frontends that went. */
function endVirtualIds(t: Services, kept: ReadonlyMap<string, Kept>, frontends: readonly number[]): void {
  const going = new Set([...kept.values()].map((k) => k.affinityId).filter((id) => id < 0));
  if (going.size === 0) return;
  for (const f of frontends) going.delete(t.affinityId[f]);
  for (const id of going) endName(t.ids, id);
}

function affinityIdOf(t: Services, spec: ServicePortSpec, f: number, kept: Kept | undefined): number {
  if (spec.ownAffinity !== true || spec.affinitySec === 0) return spec.id;
  if (kept !== undefined && kept.affinityId < 0) return kept.affinityId;
  return virtualId(t.ids, spec.id, t.addr.subarray(f * 4, f * 4 + 4), t.portProto[f]);
}

/** The frontend's row: classes of source have one set wherever it is not chance that chooses. */
function writeSchedule(
  t: Services,
  spec: ServicePortSpec,
  f: number,
  o: { record: ServiceRecord; old: ServiceRecord | undefined; kept: Kept | undefined },
): void {
  const s = t.schedule;
  const kind = spec.scheduler ?? Scheduler.RANDOM;
  const members = kind === Scheduler.RANDOM ? [] : setOf(t, f, 0);
  writeRow(s, f, kind, members, o.kept?.row);
  if (spec.sharedSchedule === true) s.row[f] = o.record.frontends[0];
  if (kind !== Scheduler.MH || members.length === 0) return;
  const weights = members.map((slot) => s.weight[slot]);
  const key = `${members}/${weights}/${members.map((slot) => t.epId[slot])}`;
  let at = o.record.maglev?.get(key) ?? o.old?.maglev?.get(key);
  if (at === undefined) {
    const set = members.map((slot) => destinationOf(t, slot));
    at = takeMaglev(s, set, weights);
    if (at < 0) return;
  }
  o.record.maglev ??= new Map();
  o.record.maglev.set(key, at);
  s.maglevAt[f] = at;
}

/** Gives back the tables that `next` does not go on with. */
function releaseMaglev(t: Services, old: ServiceRecord, next: ServiceRecord | null): void {
  if (old.maglev === null) return;
  for (const [key, at] of old.maglev) if (next?.maglev?.has(key) !== true) freeMaglev(t.schedule, at);
}

function destinationOf(t: Services, slot: number): Destination {
  const [w0, w1, w2, w3] = t.epAddr.subarray(slot * 4, slot * 4 + 4);
  return { w0, w1, w2, w3, port: t.epPort[slot] };
}

function addFrontend(
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
  if (services.find(t, f.w0, f.w1, f.w2, f.w3, f.port, meta) >= 0) return -1;
  makeRoom(t.index, t, t.nextFrontend, FRONTENDS);
  const slot = t.freeFrontends.pop() ?? t.nextFrontend++; // planService saw to it that there is one
  t.addr[slot * 4] = f.w0;
  t.addr[slot * 4 + 1] = f.w1;
  t.addr[slot * 4 + 2] = f.w2;
  t.addr[slot * 4 + 3] = f.w3;
  t.portProto[slot] = (f.port << 16) | meta;
  if (isHostPort) t.hostPortCount[0]++;
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
  add(t.index, t, slot, FRONTENDS);
  return slot;
}

function dropFrontends(t: Services, record: ServiceRecord): void {
  for (const f of record.frontends) {
    remove(t.index, t, f, FRONTENDS);
    t.portProto[f] = 0;
    if (t.kind[f] === FrontendKind.HOST_PORT) t.hostPortCount[0]--;
    t.freeFrontends.push(f);
  }
  record.frontends.length = 0;
  if (record.membersSize > 0) giveRun(t.members, record.members, record.membersSize);
  if (record.ranges > 0) giveRun(t.ranges, record.ranges, record.rangesSize);
}

/** Takes a service port away; connections that it made notice on their next packet. */
function removeService(t: Services, id: number): void {
  t.refused.delete(id);
  const staged = t.staged.get(id);
  if (staged !== undefined) releaseStaged(t, staged);
  t.staged.delete(id);
  const record = t.records.get(id);
  if (record === undefined) return;
  for (const f of record.frontends) if (t.affinityId[f] < 0) endName(t.ids, t.affinityId[f]);
  endName(t.ids, id);
  dropFrontends(t, record);
  freeUnmarked(t, record, NONE);
  releaseMaglev(t, record, null);
  t.records.delete(id);
}
