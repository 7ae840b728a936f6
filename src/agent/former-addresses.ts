/**
 * Addresses of this node's pods that are gone, and connections that still name them. Who gets such an address next is
 * not the pod that had it: what was allowed to that one is asked about anew (as Felix, which deletes a workload's
 * connections). Deleted only then: until somebody has the address, clients of a pod that is gone are answered by what
 * their connections remember.
 */
import type { IpWords } from "../base/ip.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as tuple from "../dataplane/table/connection/tuple.ts";

const { SRC0, DST0 } = tuple.TupleWord;

/** Of the plane's message "conntrack-delete". */
export interface Inherited {
  readonly slots: Int32Array;
  readonly tuples: Int32Array;
}

export class FormerAddresses {
  /** Address → uid of the pod that had it last. */
  readonly #owners = new Map<string, string>();

  /** A pod has these addresses no more. */
  left(uid: string, addresses: readonly IpWords[]): void {
    for (const address of addresses) this.#owners.set(nameOf(address), uid);
  }

  /** A pod gets these addresses: the connections of others at them; undefined where there are none. */
  inherited(t: conntrack.Conntrack, uid: string, addresses: readonly IpWords[]): Inherited | undefined {
    const foreign = addresses.filter((address) => {
      const owner = this.#owners.get(nameOf(address));
      this.#owners.delete(nameOf(address));
      return owner !== undefined && owner !== uid;
    });
    if (foreign.length === 0) return undefined;
    const found: { slot: number; key: Int32Array }[] = [];
    const end = conntrack.highWater(t);
    const reply = new Int32Array(tuple.TUPLE_WORDS);
    for (let slot = 0; slot < end; slot++) {
      if (t.status[slot << 4] === 0) continue;
      const key = new Int32Array(tuple.TUPLE_WORDS);
      conntrack.loadTuple(t, slot << 1, key);
      conntrack.loadTuple(t, (slot << 1) | 1, reply);
      if (foreign.some((address) => names(key, address) || names(reply, address))) found.push({ slot, key });
    }
    if (found.length === 0) return undefined;
    const tuples = new Int32Array(found.length * tuple.TUPLE_WORDS);
    for (const [i, { key }] of found.entries()) tuples.set(key, i * tuple.TUPLE_WORDS);
    return { slots: Int32Array.from(found, ({ slot }) => slot), tuples };
  }
}

function nameOf({ w0, w1, w2, w3 }: IpWords): string {
  return [w0, w1, w2, w3].join();
}

function names(key: Int32Array, { w0, w1, w2, w3 }: IpWords): boolean {
  return [SRC0, DST0].some(
    (at) => key[at + 3] === w3 && key[at + 2] === w2 && key[at + 1] === w1 && key[at] === w0,
  );
}
