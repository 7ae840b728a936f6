/**
 * Endpoints of a service port: their slots, which they keep as long as they serve. No packet finds a slot before the
 * change that names it is made.
 */

import { Header } from "../../base/columns.ts";
import type { EndpointPart, EndpointSpec } from "../spec/services.ts";
import * as growingIndex from "../table/growing-index.ts";
import * as hashIndex from "../table/hash-index.ts";
import * as endpointLoad from "../table/service/endpoint-load.ts";
import { H_LAST_ENDPOINT } from "../table/service/identities.ts";
import { NONE, type ServiceRecord, type Services, type StagedEndpoints } from "../table/service/services.ts";
import { add, makeRoom, type Rows, remove } from "./growing-index.ts";
import { dropUnclaimedNames, endEndpointId, giveEndpointId } from "./identities.ts";

type EndpointKey = Pick<EndpointSpec, "w0" | "w1" | "w2" | "w3" | "port">;

/** Mark of an endpoint that no change has named yet: marks of changes are above. */
const INHERITED = 0;
const GONE = -1;
const ENDPOINTS: Rows<Services> = {
  homeOf: (t, cell) => endpointHome(t, cell - 1),
  holds: (t, slot) => t.epMark[slot] !== GONE,
};
/** Slots that one step of a walk looks at. */
const DROP_SLICE = 1024;

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
    let slot = findEndpoint(t, id, e);
    if (slot < 0) {
      slot = takeEndpoint(t, id, e);
      if (slot < 0) {
        staged.isShort = true;
        continue;
      }
      t.epId[slot] = giveEndpointId(t.ids, slot, id, e);
      staged.taken.push(slot);
    } else if (t.epMark[slot] === INHERITED) staged.taken.push(slot);
    t.epMark[slot] = staged.mark;
    staged.slots.push(slot);
  }
}

/** A slot for an endpoint, which is found from now on; -1: there is none left. */
function takeEndpoint(t: Services, id: number, e: EndpointKey): number {
  makeRoom(t.epIndex, t, t.nextEndpoint, ENDPOINTS);
  const slot = t.freeEndpoints.pop() ?? (t.nextEndpoint < t.epPort.length ? t.nextEndpoint++ : -1);
  if (slot < 0) return -1;
  const a = slot * 4;
  t.epAddr[a] = e.w0;
  t.epAddr[a + 1] = e.w1;
  t.epAddr[a + 2] = e.w2;
  t.epAddr[a + 3] = e.w3;
  t.epPort[slot] = e.port;
  t.epService[slot] = id;
  t.epHits[slot] = 0;
  t.epNext[slot] = NONE;
  add(t.epIndex, t, slot, ENDPOINTS);
  return slot;
}

/** Takes over the endpoints of an earlier plane, under their ids: they serve until everything has been told. */
export function inheritEndpoints(t: Services): void {
  const { ids } = t;
  ids.header[Header.USED] = 0;
  if (ids.header[H_LAST_ENDPOINT] === 0) return;
  for (let place = 0; place <= ids.mask; place++) {
    const id = ids.endpointId[place];
    if (id === 0) continue;
    const [w0, w1, w2, w3] = ids.endpointAddr.subarray(place * 4, place * 4 + 4);
    const service = ids.endpointService[place];
    const e = { w0, w1, w2, w3, port: ids.endpointPort[place] };
    const slot = findEndpoint(t, service, e) < 0 ? takeEndpoint(t, service, e) : NONE;
    if (slot < 0) {
      ids.endpointId[place] = 0;
      continue;
    }
    t.epId[slot] = id;
    t.epMark[slot] = INHERITED;
    ids.slot[place] = slot + 1;
    ids.header[Header.USED]++;
  }
  t.hasInherited = true;
}

/** Everything that there is has been told: what nothing named of what an earlier plane had is gone, step by step. */
export function beginDrop(t: Services): void {
  dropUnclaimedNames(t.ids);
  if (t.hasInherited) t.dropHand = 0;
  t.hasInherited = false;
}

/** A step of that, while `dropHand` is not NONE. */
export function dropInherited(t: Services): void {
  const end = Math.min(t.nextEndpoint, t.dropHand + DROP_SLICE);
  for (let slot = t.dropHand; slot < end; slot++) {
    if (t.epMark[slot] !== INHERITED) continue;
    freeEndpoint(t, slot);
    t.retries = t.refused.size;
  }
  t.dropHand = end < t.nextEndpoint ? end : NONE;
}

export function releaseStaged(t: Services, staged: StagedEndpoints): void {
  for (const slot of staged.taken) freeEndpoint(t, slot);
}

/** The slot of this endpoint of a service port, or -1. */
function findEndpoint(t: Services, id: number, e: EndpointKey): number {
  const cells = growingIndex.cellsOf(t.epIndex);
  const mask = cells.length - 1;
  let i = endpointHash(id, e.w0, e.w1, e.w2, e.w3, e.port) & mask;
  for (;;) {
    const slot = cells[i] - 1;
    if (slot < 0) return -1;
    const a = slot << 2;
    if (
      t.epAddr[a + 3] === e.w3 &&
      t.epService[slot] === id &&
      t.epPort[slot] === e.port &&
      t.epAddr[a + 2] === e.w2 &&
      t.epAddr[a + 1] === e.w1 &&
      t.epAddr[a] === e.w0
    )
      return slot;
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

function freeEndpoint(t: Services, slot: number): void {
  remove(t.epIndex, t, slot, ENDPOINTS);
  endEndpointId(t.ids, t.epId[slot]);
  t.epMark[slot] = GONE;
  t.removals = (t.removals + 1) & 0x3fffffff;
  endpointLoad.clear(t.schedule.load, slot);
  t.freeEndpoints.push(slot);
}
