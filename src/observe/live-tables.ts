/** What the tables that learn hold now, as plain objects for `show`. */
import type { IpWords } from "../base/ip.ts";
import * as fdb from "../dataplane/table/fdb.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";

export interface FdbEntry {
  macHi: number;
  macLo: number;
  port: number;
  isStatic: boolean;
  expiresAtSec: number; // engine clock; means nothing for static entries
}

export interface NeighborEntry extends IpWords {
  macHi: number;
  macLo: number;
  port: number;
  state: number;
  waiting: number;
}

/** The live entries. */
export function listFdb(t: fdb.Fdb, nowSec: number): FdbEntry[] {
  const entries: FdbEntry[] = [];
  for (const [slot, expiresAtSec] of t.expiresAtSec.entries()) {
    if (expiresAtSec <= nowSec) continue;
    const isStatic = fdb.isStatic(t, slot);
    entries.push({ macHi: t.macHi[slot], macLo: t.macLo[slot], port: t.port[slot], isStatic, expiresAtSec });
  }
  return entries;
}

export function listNeighbors(t: neighbor.Neighbors): NeighborEntry[] {
  const entries: NeighborEntry[] = [];
  for (const [slot, state] of t.state.entries()) {
    if (state === neighbor.State.FREE) continue;
    entries.push({
      w0: t.addr0[slot],
      w1: t.addr1[slot],
      w2: t.addr2[slot],
      w3: t.addr3[slot],
      macHi: t.macHi[slot],
      macLo: t.macLo[slot],
      port: t.port[slot],
      state,
      waiting: t.waiting.count[slot],
    });
  }
  return entries;
}
