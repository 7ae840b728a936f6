/** Who gets which id (table/service/identities.ts), and when it ends; what an earlier plane had keeps its own. */

import { Header } from "../../base/columns.ts";
import type { EndpointSpec, ServicePortSpec } from "../spec/services.ts";
import type { Identities } from "../table/service/identities.ts";
import * as identities from "../table/service/identities.ts";

const { H_LAST_ENDPOINT, H_LAST_SERVICE, H_LAST_VIRTUAL } = identities;
const ENDPOINT_MAX = 0x7fffffff;
const VIRTUAL_MIN = -0x3fffffff; // half of what a word holds: affinity records have a second one beside each

/** The id of an endpoint that begins to serve at `slot`. There are twice as many places as endpoints. */
export function giveEndpointId(t: Identities, slot: number, service: number, e: EndpointSpec): number {
  let id = t.header[H_LAST_ENDPOINT];
  do id = id === ENDPOINT_MAX ? 1 : id + 1;
  while (t.endpointId[id & t.mask] !== 0);
  t.header[H_LAST_ENDPOINT] = id;
  const place = id & t.mask;
  t.endpointService[place] = service;
  t.endpointAddr.set([e.w0, e.w1, e.w2, e.w3], place * 4);
  t.endpointPort[place] = e.port;
  t.endpointId[place] = id;
  t.slot[place] = slot + 1;
  t.header[Header.USED]++;
  return id;
}

export function endEndpointId(t: Identities, id: number): void {
  const place = id & t.mask;
  t.endpointId[place] = 0;
  t.slot[place] = 0;
  t.header[Header.USED]--;
}

/** Notes whose id this is, for an agent that comes later. */
export function noteService(t: Identities, { id, digest }: ServicePortSpec): void {
  t.unclaimed.delete(id);
  if (id > t.header[H_LAST_SERVICE]) t.header[H_LAST_SERVICE] = id;
  if (digest !== undefined && !t.rows.has(id)) writeName(t, id, 0, digest, 0);
}

/** The id of a virtual server that clients shall be remembered by. */
export function virtualId(
  t: Identities,
  service: number,
  address: ArrayLike<number>,
  portProto: number,
): number {
  const key = virtualKey(service, address, portProto);
  const former = t.virtualIds.get(key);
  if (former !== undefined) {
    t.virtualIds.delete(key);
    t.unclaimed.delete(former);
    return former;
  }
  let id = t.header[H_LAST_VIRTUAL];
  do id = id === VIRTUAL_MIN ? -1 : id - 1;
  while (t.rows.has(id));
  t.header[H_LAST_VIRTUAL] = id;
  writeName(t, id, service, address, portProto);
  return id;
}

function virtualKey(service: number, address: ArrayLike<number>, portProto: number): string {
  return `${service} ${Array.from(address)} ${portProto}`;
}

/** Without a row left, the id is as good while the plane runs. */
function writeName(
  t: Identities,
  id: number,
  service: number,
  words: ArrayLike<number>,
  portProto: number,
): void {
  const row = t.freeRows.pop() ?? (t.nextRow < t.nameId.length ? t.nextRow++ : -1);
  if (row < 0) return;
  t.nameService[row] = service;
  t.nameWords.set(words, row * 4);
  t.namePort[row] = portProto;
  t.nameId[row] = id;
  t.rows.set(id, row);
}

/** Ends the id of a service port or virtual server. */
export function endName(t: Identities, id: number): void {
  const row = t.rows.get(id);
  if (row === undefined) return;
  t.nameId[row] = 0;
  t.rows.delete(id);
  t.freeRows.push(row);
}

/** Takes over the names that an earlier plane left in the memory. */
export function inheritNames(t: Identities): void {
  for (let row = t.nameId.length - 1; row >= 0; row--) {
    const id = t.nameId[row];
    if (id === 0) {
      if (row < t.nextRow) t.freeRows.push(row);
      continue;
    }
    if (t.nextRow <= row) t.nextRow = row + 1;
    t.rows.set(id, row);
    t.unclaimed.add(id);
    if (id > 0) continue;
    const address = t.nameWords.subarray(row * 4, row * 4 + 4);
    t.virtualIds.set(virtualKey(t.nameService[row], address, t.namePort[row]), id);
  }
}

/** Everything that there is has been told: other names of the earlier plane are nobody's. */
export function dropUnclaimedNames(t: Identities): void {
  for (const id of t.unclaimed) endName(t, id);
  t.unclaimed.clear();
  t.virtualIds.clear();
}
