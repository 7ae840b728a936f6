/**
 * Ids of service ports as an agent gives them that may have come after another one: who had an id keeps it. Names are
 * known again by a digest, which the plane keeps with the id in memory that outlives an agent.
 */
import { createHash } from "node:crypto";
import type { ServiceIds } from "../compile/services.ts";
import { H_LAST_SERVICE, type Identities } from "../dataplane/table/service/identities.ts";

const DIGEST_WORDS = 4;
const ID_MAX = 0x3fffffff; // records of remembered clients have a bit beside

export class LastingServiceIds implements ServiceIds {
  #last: number;
  /** By the digest as text. */
  readonly #former = new Map<string, number>();
  readonly #taken = new Set<number>();

  /** `ids` as an earlier agent left them, before its plane's successor changes them. */
  constructor(ids: Identities) {
    this.#last = ids.header[H_LAST_SERVICE];
    if (this.#last === 0) return; // nobody ever had one: a million rows of new memory are not touched
    for (let row = 0; row < ids.nameId.length; row++) {
      const id = ids.nameId[row];
      if (id <= 0) continue;
      this.#former.set(String(ids.nameWords.subarray(row * DIGEST_WORDS, (row + 1) * DIGEST_WORDS)), id);
      this.#taken.add(id);
    }
  }

  take(key: string): { id: number; digest: readonly number[] } {
    const hash = createHash("sha256").update(key).digest();
    const digest = Array.from({ length: DIGEST_WORDS }, (_, i) => hash.readInt32LE(4 * i));
    const former = this.#former.get(String(digest));
    this.#former.delete(String(digest)); // should it go and come back, it is another one
    if (former !== undefined) return { id: former, digest };
    do this.#last = this.#last === ID_MAX ? 1 : this.#last + 1;
    while (this.#taken.has(this.#last));
    this.#taken.add(this.#last);
    return { id: this.#last, digest };
  }

  release(id: number): void {
    this.#taken.delete(id);
  }
}
