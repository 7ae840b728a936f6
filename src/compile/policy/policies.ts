// The policies that there are, with the terms they use, and which of them select a pod.
import { deepEqual } from "../../base/deep-equal.ts";
import type { Direction, PolicySpec, Tier } from "./policy-rules.ts";
import type { RowPolicy } from "./rows.ts";
import { isolationText } from "./rule-text.ts";
import { createSteps } from "./steps.ts";
import { type Term, Terms } from "./terms.ts";

interface InForce {
  readonly spec: PolicySpec;
  readonly audit: boolean;
  readonly subject: Term;
  readonly peers: readonly Term[];
  /** Undefined where it does not speak about the direction. */
  readonly egress: RowPolicy | undefined;
  readonly ingress: RowPolicy | undefined;
}

const TIERS: readonly Tier[] = ["Admin", "Default", "Baseline"];

export class Policies {
  /** Whom policies select, and whom their rules name: two sets of terms, each with ids of its own. */
  readonly subjects = new Terms();
  readonly peers = new Terms();
  readonly #byKey = new Map<string, InForce>();
  readonly #bySubject = new Map<number, Set<InForce>>();
  /** Names of ports in egress rules, and by how many they are used. */
  readonly #egressNames = new Map<string, number>();
  #revisions = 0;

  get size(): number {
    return this.#byKey.size;
  }

  /** What is known of a policy; the key tells kinds apart. */
  specOf(key: string): PolicySpec | undefined {
    return this.#byKey.get(key)?.spec;
  }

  *specs(): Iterable<{ readonly spec: PolicySpec; readonly audit: boolean }> {
    yield* this.#byKey.values();
  }

  /** Puts a policy in the place of what had its key. Answers the subjects of both; none when nothing changed. */
  set(key: string, spec: PolicySpec | undefined, audit: boolean): Term[] {
    const before = this.#byKey.get(key);
    if (before === undefined && spec === undefined) return [];
    if (before !== undefined && before.audit === audit && deepEqual(before.spec, spec)) return [];
    const touched: Term[] = [];
    const after = spec === undefined ? undefined : this.#enter(spec, audit);
    if (before !== undefined) {
      touched.push(before.subject);
      this.#leave(before);
    }
    if (after === undefined) this.#byKey.delete(key);
    else {
      touched.push(after.subject);
      this.#byKey.set(key, after);
    }
    return touched;
  }

  #enter(spec: PolicySpec, audit: boolean): InForce {
    const rules = [...(spec.egress ?? []), ...(spec.ingress ?? [])];
    const peers = rules.flatMap((rule) => (rule.peers ?? []).map(({ term }) => this.peers.acquire(term)));
    const subject = this.subjects.acquire(spec.subject);
    this.#countNames(spec, 1);
    const entry: InForce = {
      ...{ spec, audit, subject, peers },
      egress: this.#rowPolicy(spec, "egress", audit),
      ingress: this.#rowPolicy(spec, "ingress", audit),
    };
    const siblings = this.#bySubject.get(subject.id) ?? new Set();
    this.#bySubject.set(subject.id, siblings.add(entry));
    return entry;
  }

  #rowPolicy(spec: PolicySpec, direction: Direction, audit: boolean): RowPolicy | undefined {
    if (spec[direction] === undefined) return undefined;
    const steps = createSteps(spec, direction, audit, (key) => this.peers.idOf(key));
    const isolation = isolationText(spec);
    return { revision: ++this.#revisions, key: spec.key, tier: spec.tier, audit, isolation, steps };
  }

  #leave(entry: InForce): void {
    for (const term of entry.peers) this.peers.release(term);
    this.subjects.release(entry.subject);
    this.#countNames(entry.spec, -1);
    const siblings = this.#bySubject.get(entry.subject.id);
    siblings?.delete(entry);
    if (siblings?.size === 0) this.#bySubject.delete(entry.subject.id);
  }

  #countNames({ egress = [] }: PolicySpec, by: number): void {
    for (const { ports = [] } of egress) {
      for (const { name } of ports) {
        if (name === "") continue;
        const count = (this.#egressNames.get(name) ?? 0) + by;
        if (count === 0) this.#egressNames.delete(name);
        else this.#egressNames.set(name, count);
      }
    }
  }

  /** Does a rule for what pods send ask for a port by this name? */
  asksFor(name: string): boolean {
    return this.#egressNames.has(name);
  }

  /** The names that it asks for, as a text that changes with them. */
  get askedNames(): string {
    return [...this.#egressNames.keys()].sort().join();
  }

  /** The policies that have these subjects, in the order in which they are asked. */
  selecting(subjects: Iterable<number>, direction: Direction): RowPolicy[] {
    const list: InForce[] = [];
    for (const id of subjects) {
      for (const entry of this.#bySubject.get(id) ?? []) if (entry[direction] !== undefined) list.push(entry);
    }
    list.sort(byOrder);
    return list.map((entry) => entry[direction] as RowPolicy);
  }
}

function byOrder({ spec: a }: InForce, { spec: b }: InForce): number {
  if (a.tier !== b.tier) return TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier);
  if (a.priority !== b.priority) return a.priority - b.priority;
  return a.key < b.key ? -1 : 1;
}
