// Pods of one namespace with the same labels and the same named ports are one class: whatever a policy asks, it is asked
// once of all of them.
import type { Labels } from "../../kube/labels.ts";
import type { Container, Pod } from "../../kube/objects.ts";
import { type NamedPort, namedKeyOf } from "./identities.ts";
import type { Holder, PodClass } from "./members.ts";
import { PROTOCOLS } from "./policy-rules.ts";
import type { Term, Terms } from "./terms.ts";

/** Labels of a namespace by its name. */
export type LabelsOf = (namespace: string) => Labels;

export class PodClasses {
  readonly #byKey = new Map<string, PodClass>();
  readonly #byNamespace = new Map<string, Set<PodClass>>();
  readonly #peers: Terms;
  readonly #subjects: Terms;
  readonly #labelsOf: LabelsOf;

  constructor(peers: Terms, subjects: Terms, labelsOf: LabelsOf) {
    this.#peers = peers;
    this.#subjects = subjects;
    this.#labelsOf = labelsOf;
  }

  get size(): number {
    return this.#byKey.size;
  }

  values(): Iterable<PodClass> {
    return this.#byKey.values();
  }

  in(namespace: string): Iterable<PodClass> {
    return this.#byNamespace.get(namespace) ?? [];
  }

  /** The class of a pod. A new one is told apart by all terms there are. */
  classOf(pod: Pod): PodClass {
    const { namespace = "default", labels = {} } = pod.metadata;
    const named = namedPorts(pod);
    const key = JSON.stringify([namespace, Object.entries(labels).sort(byKey), namedKeyOf(named)]);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const made: PodClass = {
      key,
      namespace,
      labels,
      named,
      pods: new Set<Holder>(),
      subjects: 0,
      peerOf: new Set<number>(),
      subjectOf: new Set<number>(),
      egress: undefined,
      ingress: undefined,
      base: undefined,
    };
    this.#byKey.set(key, made);
    const siblings = this.#byNamespace.get(namespace) ?? new Set();
    this.#byNamespace.set(namespace, siblings.add(made));
    this.ask(made, this.#peers.values(), this.#subjects.values());
    return made;
  }

  /** Forgets a class that has no pods. */
  drop(one: PodClass): void {
    this.#byKey.delete(one.key);
    const siblings = this.#byNamespace.get(one.namespace);
    siblings?.delete(one);
    if (siblings?.size === 0) this.#byNamespace.delete(one.namespace);
  }

  /** Which of these terms match? True when that is news. */
  ask(one: PodClass, peers: Iterable<Term>, subjects: Iterable<Term>): boolean {
    const { namespace, labels } = one;
    const namespaceLabels = this.#labelsOf(namespace);
    const askOne = (term: Term, marks: Set<number>): boolean => {
      const is = term.pods(namespace, namespaceLabels, labels);
      if (is === marks.has(term.id)) return false;
      if (is) marks.add(term.id);
      else marks.delete(term.id);
      return true;
    };
    let isNews = false;
    for (const term of peers) if (askOne(term, one.peerOf)) isNews = true;
    for (const term of subjects) if (askOne(term, one.subjectOf)) isNews = true;
    return isNews;
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Ports that have names: of containers, and of those that start before them and stay (sidecars). */
export function namedPorts(pod: Pod): NamedPort[] {
  const { containers = [], initContainers = [] } = pod.spec;
  const sidecars = initContainers.filter((c) => (c as { restartPolicy?: string }).restartPolicy === "Always");
  const list = [...sidecars, ...containers].flatMap(({ ports = [] }: Container) =>
    ports.flatMap(({ name, containerPort, protocol = "TCP" }): NamedPort[] => {
      const proto = PROTOCOLS[protocol];
      return name === undefined || proto === undefined ? [] : [{ name, proto, port: containerPort }];
    }),
  );
  const byText = new Map(list.map((port) => [namedKeyOf([port]), port]));
  return [...byText].sort(byKey).map(([, port]) => port);
}
