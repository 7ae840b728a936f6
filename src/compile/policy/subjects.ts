// Subjects: pods that are decided for in the same way. One has the rows of both directions, and what it may send to
// itself by way of a service.
import { NO_ROW, S_EGRESS, S_INGRESS, S_SELF, SUBJECT_WORDS } from "../../dataplane/spec/policy.ts";
import { shared } from "./arena.ts";
import type { Row } from "./rows.ts";

export interface Subject {
  readonly index: number;
  readonly key: string;
  readonly words: readonly number[];
  refs: number;
}

export class Subjects {
  readonly #byKey = new Map<string, Subject>();
  readonly #list: (Subject | undefined)[] = [];
  readonly #free: number[] = [];
  #isChanged = false;
  words = shared(0);

  /** `self`: cells for IPv4 egress, ingress, IPv6 egress, ingress. One more holds it. */
  acquire(egress: Row | undefined, ingress: Row | undefined, self: readonly number[]): Subject {
    const words = new Array<number>(SUBJECT_WORDS).fill(0);
    words[S_EGRESS] = egress?.index ?? NO_ROW;
    words[S_INGRESS] = ingress?.index ?? NO_ROW;
    for (const [i, cell] of self.entries()) words[S_SELF + i] = cell;
    const key = words.join();
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.refs++;
      return known;
    }
    const index = this.#free.pop() ?? this.#list.length;
    const subject = { index, key, words, refs: 1 };
    this.#byKey.set(key, subject);
    this.#list[index] = subject;
    this.#isChanged = true;
    return subject;
  }

  release(subject: Subject): void {
    subject.refs--;
    if (subject.refs > 0) return;
    this.#byKey.delete(subject.key);
    this.#list[subject.index] = undefined;
    this.#free.push(subject.index);
  }

  /** Brings what changed into new words. */
  flush(): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    this.words = shared(this.#list.length * SUBJECT_WORDS);
    for (const [index, subject] of this.#list.entries()) {
      if (subject !== undefined) this.words.set(subject.words, index * SUBJECT_WORDS);
    }
  }
}
