/**
 * Endpoints of a service port: their slots, which they keep as long as they serve. No packet finds a slot before the
 * change that names it is made.
 */
import type { EndpointPart, EndpointSpec } from "../spec/services.ts";
import * as hashIndex from "../table/hash-index.ts";
import * as endpointLoad from "../table/service/endpoint-load.ts";
import { NONE, type ServiceRecord, type Services, type StagedEndpoints } from "../table/service/services.ts";
import { endEndpointId, giveEndpointId } from "./identities.ts";

/** Takes in endpoints of a service port ahead of the update that makes them its own. */
export function addPart(t: Services, part: EndpointPart): void {
  const staged = t.staged.get(part.id) ?? newStaged(t);
  t.staged.set(part.id, staged);
  stageEndpoints(t, part.id, staged, part.endpoints);
}

export function newStaged(t: Services): StagedEndpoints {
  t.lastMark = (t.lastMark % 0x3fffffff) + 1;
  return { mark: t.lastMark, specs: [], slots: [], taken: [], isShort: false };
}

/** Finds or takes a slot for each endpoint, if there are enough; those that the service port has already stay. */
export function stageEndpoints(
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
      t.epId[slot] = giveEndpointId(t.ids, slot, id, e);
      t.epHits[slot] = 0;
      t.epNext[slot] = NONE;
    }
    t.epMark[slot] = staged.mark;
    staged.slots.push(slot);
  }
}

export function releaseStaged(t: Services, staged: StagedEndpoints): void {
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

/** Chains the endpoints of a change, each once whatever it is named; returns the first. */
export function chain(t: Services, { slots, mark }: StagedEndpoints): number {
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

export function freeUnmarked(t: Services, record: ServiceRecord, mark: number): void {
  let slot = record.firstEndpoint;
  while (slot !== NONE) {
    const next = t.epNext[slot];
    if (t.epMark[slot] !== mark) freeEndpoint(t, slot);
    slot = next;
  }
}

function endpointCellHome(t: Services, cell: number): number {
  return endpointHome(t, cell - 1);
}

export function freeEndpoint(t: Services, slot: number): void {
  const mask = t.epIndex.length - 1;
  let i = endpointHome(t, slot) & mask;
  while (t.epIndex[i] !== slot + 1) i = (i + 1) & mask;
  hashIndex.vacate(t.epIndex, i, mask, t, endpointCellHome);
  endEndpointId(t.ids, t.epId[slot]);
  t.removals = (t.removals + 1) & 0x3fffffff;
  endpointLoad.clear(t.schedule.load, slot);
  t.freeEndpoints.push(slot);
}
