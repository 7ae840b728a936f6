/** Ids of policies' rules as an agent gives them that may have come after another one: which rule had an id keeps it. */
import type { LastingIds } from "../compile/policy/rule-names.ts";
import { DIGEST_WORDS, type RuleIds } from "../dataplane/table/policy/rule-ids.ts";

export class LastingRuleIds implements LastingIds {
  readonly #digests: Int32Array;
  /** By the digest as text. */
  readonly #former = new Map<string, number>();

  /** `ids` as an earlier agent left them. */
  constructor({ digests }: RuleIds) {
    this.#digests = digests;
    for (let id = 1; id * DIGEST_WORDS < digests.length; id++) {
      const at = id * DIGEST_WORDS;
      if (digests[at] === 0 && digests[at + 1] === 0) continue;
      this.#former.set(digests.subarray(at, at + DIGEST_WORDS).join(), id);
    }
  }

  former(): Iterable<number> {
    return this.#former.values();
  }

  formerOf(key: string): number | undefined {
    return this.#former.get(digestOf(key).join());
  }

  note(id: number, key: string): void {
    this.#digests.set(digestOf(key), id * DIGEST_WORDS);
  }
}

/** 64 bits, never all zero: two times FNV-1a, each over the other's parts. */
function digestOf(text: string): Int32Array {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code ^ (a >>> 15), 0x85ebca6b);
  }
  return Int32Array.of(a ^ (b >>> 13), b | 1);
}
