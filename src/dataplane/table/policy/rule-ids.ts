/**
 * By what rules of policies are known again: a digest of each rule's name, by the id that connections remember it by. An
 * agent that starts anew compiles its policies in another order, and gives each rule the id that it had. The thread that
 * compiles reads and writes it; packets never ask.
 */
import { RULES_MAX } from "../../spec/policy.ts";

export const DIGEST_WORDS = 2;

export class RuleIds {
  static readonly LAYOUT = 1;
  readonly digests: Int32Array; // DIGEST_WORDS each; all zero: nobody has the id

  constructor(memory: ArrayBufferLike = new ArrayBuffer(RuleIds.bytesFor()), offset = 0) {
    this.digests = new Int32Array(memory, offset, RULES_MAX * DIGEST_WORDS);
  }

  static bytesFor(): number {
    return RULES_MAX * DIGEST_WORDS * 4;
  }
}
