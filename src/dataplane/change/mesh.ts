/**
 * The mesh's addresses on their way into the plane, as those of policies (policy.ts): laid out by the thread that
 * compiles; between two batches few are written into the table that is there, or a new one takes its place.
 */
import type { MeshParts, MeshUpdate } from "../spec/mesh.ts";
import { MeshMembers } from "../table/mesh-members.ts";
import type { Tables } from "../tables.ts";
import { changesOf, sharedCopy } from "./policy.ts";
import { apply, createAddresses, hasRoom, put, putAll, take } from "./policy-addresses.ts";

/** Addresses that are written between two batches, at most. */
const FEW = 256;
/** How much larger a table is made than it has to be. */
const SPARE = 1.25;
const NO_CHANGES = new Int32Array(0);
const MEMBER = { identity: 0, subject: -1 };

export class MeshLayout {
  /** As the plane has them. */
  #addresses = createAddresses(0);
  #count = 0;
  #isTold = false;

  parts({ set, remove }: MeshUpdate): MeshParts {
    for (const address of remove) if (take(this.#addresses, address)) this.#count--;
    const fits = hasRoom(this.#addresses, this.#count + set.length);
    if (!fits) {
      const wider = createAddresses(SPARE * (this.#count + set.length));
      putAll(this.#addresses, wider);
      this.#addresses = wider;
    }
    const members = set.map(({ w0, w1, w2, w3 }) => ({ w0, w1, w2, w3, ...MEMBER }));
    for (const address of members) if (put(this.#addresses, address)) this.#count++;
    const isFew = this.#isTold && fits && set.length + remove.length <= FEW;
    this.#isTold = true;
    if (!isFew) return { addresses: sharedCopy(this.#addresses), changes: NO_CHANGES };
    return { addresses: undefined, changes: changesOf({ set: members, remove }) };
  }
}

/** `isKeeper`: the table is common to several engines, and one of them changes it. */
export function putMembersInForce(t: Tables, { addresses, changes }: MeshParts, isKeeper: boolean): void {
  if (addresses !== undefined) t.meshMembers = new MeshMembers(addresses);
  if (isKeeper) apply(t.meshMembers.words, changes);
}
