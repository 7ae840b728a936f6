/** What the control side says of the mesh: compile/mesh.ts makes updates, change/mesh.ts parts of them. */
import type { IpWords } from "../../base/ip.ts";

export interface MeshUpdate {
  /** Is there a meshed namespace? */
  readonly isOn: boolean;
  /** Of this node; undefined: it has none. */
  readonly proxy: { readonly addresses: readonly IpWords[]; readonly isReady: boolean } | undefined;
  /** Addresses that pods of meshed namespaces have, or have no longer. */
  readonly set: readonly IpWords[];
  readonly remove: readonly IpWords[];
}

/** Of addresses, rows of ADDRESS_WORDS (policy.ts). */
export interface MeshParts {
  /** All of them, in shared memory; undefined: those that are there, changed. */
  readonly addresses: Int32Array | undefined;
  /** Those that are new, and without identity those that are gone. */
  readonly changes: Int32Array;
}
