// Terms that policies use, each once however many rules say it, with an id as long as somebody does.
import type { Labels } from "../../kube/labels.ts";
import type { TermSpec } from "./policy-rules.ts";
import { compileSelector, type Matches } from "./selectors.ts";

export interface Term {
  readonly id: number;
  readonly spec: TermSpec;
  /** Pods in a namespace with these labels: do they match? Never, of nodes and blocks. */
  readonly pods: (namespace: string, namespaceLabels: Labels, labels: Labels) => boolean;
  readonly nodes: Matches;
  refs: number;
}

export class Terms {
  readonly #byKey = new Map<string, Term>();
  readonly #freeIds: number[] = [];
  #nextId = 0;
  #unused: Term[] = [];
  /** Since `collect`. */
  readonly added = new Set<Term>();

  /** The term of a spec; one more rule uses it. */
  acquire(spec: TermSpec): Term {
    const known = this.#byKey.get(spec.key);
    if (known !== undefined) {
      known.refs++;
      return known;
    }
    const id = this.#freeIds.pop() ?? this.#nextId++;
    const term = { id, spec, pods: podsTest(spec), nodes: nodesTest(spec), refs: 1 };
    this.#byKey.set(spec.key, term);
    this.added.add(term);
    return term;
  }

  release(term: Term): void {
    term.refs--;
    if (term.refs === 0) this.#unused.push(term);
  }

  /** Forgets what nobody uses any more, and answers it: its ids may be given out again when nothing has these marks. */
  sweep(): Term[] {
    const gone = this.#unused.filter((term) => term.refs === 0);
    for (const term of gone) {
      this.#byKey.delete(term.spec.key);
      this.added.delete(term);
    }
    this.#unused = [];
    return gone;
  }

  /** Ends a change. */
  collect(gone: readonly Term[]): void {
    this.added.clear();
    for (const { id } of gone) this.#freeIds.push(id);
  }

  get size(): number {
    return this.#byKey.size;
  }

  values(): Iterable<Term> {
    return this.#byKey.values();
  }

  /** Id by key, of terms that are in use. */
  idOf(key: string): number {
    const term = this.#byKey.get(key);
    if (term === undefined) throw new RangeError(`no term ${key}`);
    return term.id;
  }
}

function podsTest(spec: TermSpec): Term["pods"] {
  if (spec.of === "pods") {
    const pods = compileSelector(spec.pods);
    return (namespace, _, labels) => namespace === spec.inNamespace && pods(labels);
  }
  if (spec.of === "podsOf") {
    const namespaces = compileSelector(spec.namespaces);
    const pods = compileSelector(spec.pods);
    return (_, namespaceLabels, labels) => namespaces(namespaceLabels) && pods(labels);
  }
  return () => false;
}

function nodesTest(spec: TermSpec): Matches {
  return spec.of === "nodes" ? compileSelector(spec.nodes) : () => false;
}
