/** What is set of the connection table before its first connection. */
import * as conntrack from "../table/connection/conntrack.ts";

/** Sets the hash seed and the port generator; only on an empty table, since stored hashes depend on it. */
export function setSeed(t: conntrack.Conntrack, seed: number): void {
  if (conntrack.used(t) !== 0) throw new RangeError("conntrack seed set on a table in use");
  t.header[conntrack.H_SEED] = seed | 0;
  t.header[conntrack.H_RANDOM] = (seed ^ conntrack.FIRST_RANDOM) | 1;
}
