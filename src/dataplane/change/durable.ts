/** Memory of an earlier agent: whether it can be gone on with, and what it takes. Before the first packet. */
import {
  Durable,
  type DurableSizes,
  H_LAYOUT,
  H_MAGIC,
  H_REGIONS,
  H_SIZES,
  HEADER_LAYOUT,
  MAGIC,
  REGIONS,
  SIZES,
} from "../durable.ts";
import * as connectionRules from "../table/connection/connection-rules.ts";
import type { Conntrack } from "../table/connection/conntrack.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as expectations from "../table/connection/expectations.ts";
import * as affinity from "../table/service/affinity.ts";
import * as endpointLoad from "../table/service/endpoint-load.ts";
import type { Services } from "../table/service/services.ts";
import { rebuild } from "./conntrack.ts";
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
  return memory.byteLength < wanted ? `it has ${memory.byteLength} bytes, not ${wanted}` : "";
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
    const status = ct.status[slot];
    if ((status & COUNTED) === 0) continue;
    endpointLoad.count(s.schedule.load, ct.endpoint[slot], (status & COUNTED_ACTIVE) !== 0, 1);
  }
}
