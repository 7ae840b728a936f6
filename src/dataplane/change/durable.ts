/** Memory of an earlier agent: whether it can be gone on with, and what it takes. Before the first packet. */
import {
  alignedBytes,
  Durable,
  type DurableSizes,
  H_LAYOUT,
  H_MAGIC,
  H_REGIONS,
  H_SIZES,
  HEADER_LAYOUT,
  HEADER_WORDS,
  MAGIC,
  REGIONS,
  type Region,
  SIZES,
} from "../durable.ts";
import * as connectionRules from "../table/connection/connection-rules.ts";
import type { Conntrack } from "../table/connection/conntrack.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as expectations from "../table/connection/expectations.ts";
import * as affinity from "../table/service/affinity.ts";
import * as endpointLoad from "../table/service/endpoint-load.ts";
import type { Services } from "../table/service/services.ts";
import { findDamage, rebuild } from "./conntrack.ts";
import { inheritNames } from "./identities.ts";
import { inheritEndpoints } from "./service-endpoints.ts";

const { COUNTED, COUNTED_ACTIVE } = conntrack.Status;
const WORDS = H_REGIONS + Object.keys(REGIONS).length;

/** Why the memory is not a group of these sizes; "": it is. Zeroed memory is none yet: it only has to be large enough. */
export function mismatch(memory: ArrayBufferLike, sizes: DurableSizes): string {
  const wanted = Durable.bytesFor(sizes);
  if (memory.byteLength < WORDS * 4) return `it has ${memory.byteLength} bytes, not ${wanted}`;
  const header = new Int32Array(memory, 0, WORDS);
  if (header[H_MAGIC] !== 0) {
    if (header[H_MAGIC] !== MAGIC) return "it holds something else";
    if (header[H_LAYOUT] !== HEADER_LAYOUT) {
      return `its header has layout ${header[H_LAYOUT]}, this podwire has ${HEADER_LAYOUT}`;
    }
    for (const [i, { name, layout }] of Object.values(REGIONS).entries()) {
      const found = header[H_REGIONS + i];
      if (found !== layout) return `its ${name} have layout ${found}, this podwire's have ${layout}`;
    }
    for (const [i, name] of SIZES.entries()) {
      const found = header[H_SIZES + i];
      if (found !== sizes[name]) return `its ${name} is ${found}, now it is ${sizes[name]}`;
    }
  }
  if (memory.byteLength < wanted) return `it has ${memory.byteLength} bytes, not ${wanted}`;
  return header[H_MAGIC] === 0 ? "" : damage(memory, sizes);
}

/** Where each region begins. */
export function regionStarts(sizes: DurableSizes): Map<Region, number> {
  const starts = new Map<Region, number>();
  let at = HEADER_WORDS * 4;
  for (const region of Object.values(REGIONS)) {
    starts.set(region, at);
    at += alignedBytes(region, sizes);
  }
  return starts;
}

/** What no plane has written, wherever it was killed: a table that is none, or more in it than it has room for. */
function damage(memory: ArrayBufferLike, sizes: DurableSizes): string {
  for (const [{ name, layout, hasHeader }, at] of regionStarts(sizes)) {
    const [found] = new Int32Array(memory, at, 1);
    if (hasHeader === true && found !== layout) return `its ${name} are damaged: no table begins there`;
  }
  const at = regionStarts(sizes).get(REGIONS.conntrack) as number;
  const found = findDamage(new Int32Array(memory, at, conntrack.HEADER_WORDS), sizes.conntrackLog2);
  if (found !== "") return `its ${REGIONS.conntrack.name} are damaged: ${found}`;
  try {
    new Durable(sizes, memory); // each table checks the rest of its header
    return "";
  } catch (error) {
    return `it is damaged: ${error instanceof Error ? error.message : error}`;
  }
}

/**
 * Puts in order what an earlier plane left, which may have been killed between any two writes, and lets `services`, still
 * empty and over the same ids, know its endpoints. On a new group it does nothing.
 */
export function resume(d: Durable, s: Services): void {
  rebuild(d.conntrack);
  affinity.recount(d.affinity);
  expectations.recount(d.expectations);
  inheritNames(d.ids);
  inheritEndpoints(s);
  countLoads(d.conntrack, s);
  s.epoch[0]++; // what was decided without a service is looked at again
  const { connectionRules: rules, conntrack: ct } = d;
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) connectionRules.inherit(rules, slot);
}

function countLoads(ct: Conntrack, s: Services): void {
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    const status = ct.status[slot << 4];
    if ((status & COUNTED) === 0) continue;
    endpointLoad.count(s.schedule.load, ct.endpoint[slot << 4], (status & COUNTED_ACTIVE) !== 0, 1);
  }
}
