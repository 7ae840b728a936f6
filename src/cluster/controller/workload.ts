// What the controllers of workloads have in common: a workload owns the pods that its selector matches. Pods without an
// owner are adopted, those that no longer match are let go, all of them end with the workload.
import { nameSuffix } from "../../kube/hash.ts";
import { matchesSelector } from "../../kube/labels.ts";
import {
  type KubeObject,
  keyOf,
  type LabelSelector,
  type Pod,
  type PodTemplate,
} from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { Agenda, type Clock } from "./due.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import type { PodActions } from "./told-actions.ts";

export type { PodActions } from "./told-actions.ts";

export const REVISION_LABEL = "controller-revision-hash";
const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

export abstract class WorkloadController<T extends KubeObject> {
  protected readonly store: Store;
  protected readonly actions: PodActions;
  readonly #kind: string;
  readonly #agenda: Agenda;
  /** Workload → keys of its pods. */
  readonly #pods = new Map<string, Set<string>>();
  /** Pods that nobody owns. */
  readonly #orphans = new Set<string>();
  protected readonly clock: Clock;

  constructor(kind: string, store: Store, actions: PodActions, clock: Clock) {
    this.#kind = kind;
    this.store = store;
    this.actions = actions;
    this.clock = clock;
    this.#agenda = new Agenda(kind, store, clock);
  }

  onEvent(event: StoreEvent): void {
    const { object } = event;
    if (object.kind === this.#kind) this.markDirty(keyOf(object));
    else if (object.kind === "Namespace") this.#markInside(object.metadata.name);
    else if (object.kind === "ServiceAccount") this.#markInside(object.metadata.namespace ?? "");
    else if (object.kind === "Pod") this.#podChanged(event);
    else this.otherChanged(event);
  }

  settle(): void {
    this.#agenda.settle();
  }

  /** Marks what time alone has made due; true when there was something. */
  tick(): boolean {
    return this.#agenda.tick();
  }

  /** The object is to be looked at then, whatever happens. */
  protected lookAgain(object: KubeObject, atMs: number | undefined): void {
    this.#agenda.markAt(keyOf(object), atMs);
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    return this.#agenda.work((key) => this.#reconcileOne(key));
  }

  protected markDirty(key: string): void {
    this.#agenda.mark(key);
  }

  /** What was refused there may be admitted now. */
  #markInside(namespace: string): void {
    for (const object of this.store.values(this.#kind))
      if (object.metadata.namespace === namespace) this.markDirty(keyOf(object));
  }

  protected markAll(): void {
    for (const object of this.store.values(this.#kind)) this.markDirty(keyOf(object));
  }

  protected otherChanged(_event: StoreEvent): void {}

  /** The object is there no more. */
  protected gone(_key: string): void {}

  protected abstract selectorOf(object: T): LabelSelector | undefined;

  /** Brings the object's pods to what it asks for. `pods`: all of its pods, by name, ending and finished ones too. */
  protected abstract sync(object: T, pods: readonly Pod[]): void;

  protected writeStatus(object: T, status: object): void {
    const stored = this.store.get<T>(this.#kind, keyOf(object));
    if (stored === undefined) return;
    const before = (stored as { status?: object }).status;
    const { generation: observedGeneration } = stored.metadata;
    const seen = observedGeneration === undefined || this.#kind === "Job" ? {} : { observedGeneration };
    this.store.put({ ...stored, status: { ...before, ...status, ...seen } } as T);
  }

  #podChanged({ type, object, old }: StoreEvent): void {
    const key = keyOf(object);
    const owner = this.#ownerOf(object);
    const before = old === undefined ? undefined : this.#ownerOf(old);
    if (before !== undefined && before !== owner) {
      this.#pods.get(before)?.delete(key);
      this.markDirty(before);
    }
    const isOrphan = type !== "DELETED" && controllerOf(object) === undefined;
    if (isOrphan) this.#orphans.add(key);
    else this.#orphans.delete(key);
    if (isOrphan) {
      for (const each of this.store.list<T>(this.#kind, object.metadata.namespace))
        if (this.#selects(each, object)) this.markDirty(keyOf(each));
    }
    if (owner === undefined) return;
    const pods = this.#pods.get(owner) ?? new Set();
    this.#pods.set(owner, pods);
    if (type === "DELETED") pods.delete(key);
    else pods.add(key);
    this.markDirty(owner);
  }

  #reconcileOne(key: string): void {
    const object = this.store.get<T>(this.#kind, key);
    if (object?.metadata.deletionTimestamp !== undefined) return; // it goes when its pods are gone
    if (object !== undefined) this.#adopt(object);
    const pods = [...(this.#pods.get(key) ?? [])]
      .sort()
      .map((podKey) => this.store.get<Pod>("Pod", podKey))
      .filter((pod): pod is Pod => pod !== undefined);
    if (object === undefined) {
      for (const pod of pods) this.actions.delete(pod);
      this.#agenda.forget(key);
      this.gone(key);
      if (this.#pods.get(key)?.size === 0) this.#pods.delete(key);
      return;
    }
    const own = pods.filter((pod) => this.#selects(object, pod) || this.#letGo(pod));
    this.sync(object, own);
  }

  #adopt(object: T): void {
    for (const key of [...this.#orphans].sort()) {
      const pod = this.store.get<Pod>("Pod", key);
      if (pod === undefined || pod.metadata.namespace !== object.metadata.namespace) continue;
      if (isTerminating(pod) || isFinished(pod) || !this.#selects(object, pod)) continue;
      const ownerReferences = [...(pod.metadata.ownerReferences ?? []), ownerReference(object)];
      this.store.put({ ...pod, metadata: { ...pod.metadata, ownerReferences } });
    }
  }

  /** Takes the reference to its owner away from a pod whose labels were changed. */
  #letGo(pod: Pod): false {
    const ownerReferences = (pod.metadata.ownerReferences ?? []).filter((each) => each.controller !== true);
    if (!isTerminating(pod)) this.store.put({ ...pod, metadata: { ...pod.metadata, ownerReferences } });
    return false;
  }

  #selects(object: T, pod: KubeObject): boolean {
    return selects(this.selectorOf(object), pod);
  }

  #ownerOf(pod: KubeObject): string | undefined {
    const owner = controllerOf(pod);
    return owner?.kind === this.#kind ? `${pod.metadata.namespace}/${owner.name}` : undefined;
  }
}

export function selects(selector: LabelSelector | undefined, object: KubeObject): boolean {
  return selector !== undefined && matchesSelector(selector, object.metadata.labels);
}

export function controllerOf(object: KubeObject): { kind: string; name: string } | undefined {
  return object.metadata.ownerReferences?.find((each) => each.controller === true);
}

export function ownerReference({ apiVersion, kind, metadata: { name, uid } }: KubeObject) {
  return { apiVersion, kind, name, uid: uid ?? "", controller: true, blockOwnerDeletion: true };
}

export interface PodDetails {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Partial<Pod["spec"]>;
}

/** A pod of a template, owned by `owner`. */
export function podFrom(owner: KubeObject, template: PodTemplate, details: PodDetails): Pod {
  const annotations = { ...template.metadata?.annotations, ...details.annotations };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: details.name,
      namespace: owner.metadata.namespace as string,
      labels: { ...template.metadata?.labels, ...details.labels },
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      ownerReferences: [ownerReference(owner)],
    },
    spec: { ...(structuredClone(template.spec) as Pod["spec"]), ...details.spec },
    status: {},
  };
}

/**
 * `base-xxxxx`, as an API server makes names, but the same ones in every lab; those that no pod has, one after the other:
 * thousands of replicas would each look for theirs from the start.
 */
export function freePodNames(store: Store, owner: KubeObject, base: string): Generator<string, never> {
  return freeNames(store, owner, base.slice(0, 58), `${owner.kind}/${keyOf(owner)}/${base}`); // a label at most
}

/** `head-xxxxx`, the suffix made of `seed` and a number: those that no pod of the owner's namespace has. */
export function* freeNames(
  store: Store,
  { metadata: { namespace } }: KubeObject,
  head: string,
  seed: string,
): Generator<string, never> {
  for (let i = 0; ; i++) {
    const name = `${head}-${nameSuffix(`${seed}/${i}`)}`;
    if (store.get("Pod", `${namespace}/${name}`) === undefined) yield name;
  }
}

export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && !isTerminating(pod);
}

/** A template's fingerprint: the same however its fields are ordered. */
export function templateRevision(template: PodTemplate): string {
  return nameSuffix(JSON.stringify(sorted(template)), 10);
}

/** Keys in order, so that a template written differently is the same template. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** Number or percentage of `of`. */
export function share(value: number | string, of: number, round: (n: number) => number): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) / 100) * of);
}

/** Whom a smaller number of replicas takes away first (ActivePodsWithRanks of kube-controller-manager). */
export function inDeletionOrder(pods: readonly Pod[]): Pod[] {
  const onNode = new Map<string, number>();
  for (const { spec } of pods) onNode.set(spec.nodeName ?? "", (onNode.get(spec.nodeName ?? "") ?? 0) + 1);
  const rank = (pod: Pod): (number | string)[] => [
    pod.spec.nodeName === undefined ? 0 : 1,
    ["Pending", "Unknown", "Running"].indexOf(pod.status.phase ?? "Pending"),
    isReady(pod) ? 1 : 0,
    Number(pod.metadata.annotations?.[DELETION_COST] ?? 0) || 0,
    -(onNode.get(pod.spec.nodeName ?? "") ?? 0),
  ];
  const late = (pod: Pod): (number | string)[] => [
    pod.status.conditions?.find((c) => c.type === "Ready")?.lastTransitionTime ?? "",
    (pod.status.containerStatuses ?? []).reduce((sum, c) => sum + c.restartCount, 0),
    pod.metadata.creationTimestamp ?? "",
    pod.metadata.name,
  ];
  return [...pods].sort((a, b) => compare(rank(a), rank(b)) || compare(late(b), late(a)));
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const i = a.findIndex((value, n) => value !== b[n]);
  return i < 0 ? 0 : a[i] < b[i] ? -1 : 1;
}
