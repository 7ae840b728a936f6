/** What is done to the connection table before its first packet. */
import * as conntrack from "../table/connection/conntrack.ts";

/** Sets the hash seed and the port generator; only on an empty table, since stored hashes depend on it. */
export function setSeed(t: conntrack.Conntrack, seed: number): void {
  if (conntrack.used(t) !== 0) throw new RangeError("conntrack seed set on a table in use");
  t.header[conntrack.H_SEED] = seed | 0;
  t.memo.fill(0); // hashes by another one
  t.header[conntrack.H_RANDOM] = (seed ^ conntrack.FIRST_RANDOM) | 1;
}

/** What is wrong with the header of a table that was in use; "": nothing. Its entries are put in order by `rebuild`. */
export function findDamage(header: Int32Array, capacityLog2: number): string {
  const capacity = 2 ** capacityLog2;
  if (header[conntrack.H_MAGIC] !== conntrack.MAGIC) return "no table begins there";
  for (const word of [conntrack.H_NEVER_USED, conntrack.H_SWEEP, conntrack.H_EVICT]) {
    if (header[word] < 0 || header[word] > capacity) return `slot ${header[word]} of ${capacity}`;
  }
  return "";
}

/** Makes the index, the list of free slots and the count anew from the entries; their readers of events are gone. */
export function rebuild(t: conntrack.Conntrack): void {
  const { header } = t;
  const end = conntrack.highWater(t);
  header[conntrack.H_EVENT_READERS] = 0;
  header[conntrack.H_FREE] = 0;
  header[conntrack.H_USED] = 0;
  if (end === 0) return;
  t.index.fill(0);
  for (let slot = end - 1; slot >= 0; slot--) {
    if (t.status[slot << 4] === 0) {
      t.endpoint[slot << 4] = header[conntrack.H_FREE];
      header[conntrack.H_FREE] = slot + 1;
    } else {
      conntrack.indexAdd(t, slot << 1);
      conntrack.indexAdd(t, (slot << 1) | 1);
      header[conntrack.H_USED]++;
    }
  }
}
