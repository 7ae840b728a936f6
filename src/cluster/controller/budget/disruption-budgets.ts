// Status of PodDisruptionBudgets: how many pods there are, how many are healthy, have to be, and may be missed. As the
// disruption controller of kube-controller-manager counts them; evictions go by it.
import { matchesSelector } from "../../../kube/labels.ts";
import { type KubeObject, keyOf, type LabelSelector, type Pod } from "../../../kube/objects.ts";
import type { Store, StoreEvent } from "../../store.ts";
import { Agenda, type Clock } from "../due.ts";
import { isReady, isTerminating } from "../scheduler.ts";
import type { PodActions } from "../told-actions.ts";
import { controllerOf } from "../workload.ts";

const KIND = "PodDisruptionBudget";
const CONDITION = "DisruptionAllowed";
/** Whose number of pods says how many there are to be. */
const SCALED = new Set(["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"]);

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export type DisruptionBudget = KubeObject & {
  readonly spec?: {
    readonly selector?: LabelSelector;
    readonly minAvailable?: number | string;
    readonly maxUnavailable?: number | string;
    readonly unhealthyPodEvictionPolicy?: string;
  };
  readonly status?: {
    readonly currentHealthy: number;
    readonly desiredHealthy: number;
    readonly disruptionsAllowed: number;
    readonly expectedPods: number;
    readonly observedGeneration: number;
    readonly conditions: readonly Condition[];
  };
};

type Scaled = KubeObject & { spec?: { replicas?: number } };

export class DisruptionBudgetController {
  readonly #store: Store;
  readonly #actions: PodActions;
  readonly #clock: Clock;
  readonly #agenda: Agenda;

  constructor(store: Store, actions: PodActions, clock: Clock) {
    this.#store = store;
    this.#actions = actions;
    this.#clock = clock;
    this.#agenda = new Agenda(KIND, store, clock);
  }

  onEvent({ object, old }: StoreEvent): void {
    if (object.kind === KIND) this.#agenda.mark(keyOf(object));
    else if (object.kind === "Pod" || SCALED.has(object.kind)) this.#mark(object, old);
  }

  settle(): void {
    this.#agenda.settle();
  }

  tick(): boolean {
    return this.#agenda.tick();
  }

  reconcile(): boolean {
    return this.#agenda.work((key) => this.#count(key));
  }

  #mark(object: KubeObject, old: KubeObject | undefined): void {
    if (this.#store.count(KIND) === 0) return;
    const { namespace } = object.metadata;
    for (const budget of this.#store.values<DisruptionBudget>(KIND)) {
      if (budget.metadata.namespace !== namespace) continue;
      const isMeant =
        object.kind !== "Pod" || selects(budget, object) || (old !== undefined && selects(budget, old));
      if (isMeant) this.#agenda.mark(keyOf(budget));
    }
  }

  #count(key: string): void {
    const budget = this.#store.get<DisruptionBudget>(KIND, key);
    if (budget === undefined) {
      this.#agenda.forget(key);
      return;
    }
    const { namespace, generation = 1 } = budget.metadata;
    const pods = this.#store.list<Pod>("Pod", namespace).filter((pod) => selects(budget, pod));
    if (pods.length === 0 && budget.status?.expectedPods !== 0) {
      const told = { reason: "NoPods", message: "No matching pods found" };
      this.#actions.tell({ object: budget, component: "controllermanager", ...told });
    }
    const wanted = this.#wanted(budget, pods);
    const currentHealthy = pods.filter((pod) => isReady(pod) && !isTerminating(pod)).length;
    if (typeof wanted === "string") {
      const failed = { status: "False", reason: "SyncFailed", message: wanted };
      this.#write(budget, { ...NOTHING, ...budget.status, disruptionsAllowed: 0 }, failed);
      return;
    }
    const { expectedPods, desiredHealthy } = wanted;
    const disruptionsAllowed = expectedPods <= 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
    const isAllowed = disruptionsAllowed > 0;
    const condition = {
      status: isAllowed ? "True" : "False",
      reason: isAllowed ? "SufficientPods" : "InsufficientPods",
      message: "",
    };
    const counts = { currentHealthy, desiredHealthy, disruptionsAllowed, expectedPods };
    this.#write(budget, { ...counts, observedGeneration: generation }, condition);
  }

  #write(
    budget: DisruptionBudget,
    counts: Omit<NonNullable<DisruptionBudget["status"]>, "conditions">,
    made: Pick<Condition, "status" | "reason" | "message">,
  ): void {
    const before = budget.status?.conditions?.find(({ type }) => type === CONDITION);
    const since = before?.status === made.status ? before.lastTransitionTime : undefined;
    const condition = {
      ...{ type: CONDITION, ...made, observedGeneration: counts.observedGeneration },
      lastTransitionTime: since ?? this.#clock.time(this.#clock.nowMs()),
    };
    const others = (budget.status?.conditions ?? []).filter(({ type }) => type !== CONDITION);
    this.#store.put({
      ...budget,
      status: { ...budget.status, ...counts, conditions: [...others, condition] },
    } as KubeObject);
  }

  /** How many pods there are to be, and how many of them healthy; a text says why nobody knows. */
  #wanted({ spec = {} }: DisruptionBudget, pods: readonly Pod[]): Wanted | string {
    const { minAvailable, maxUnavailable } = spec;
    if (maxUnavailable === undefined && typeof minAvailable === "number")
      return { expectedPods: pods.length, desiredHealthy: minAvailable };
    if (maxUnavailable === undefined && minAvailable === undefined)
      return { expectedPods: 0, desiredHealthy: 0 };
    const expectedPods = this.#scaleOf(pods);
    if (typeof expectedPods === "string") return expectedPods;
    const desiredHealthy =
      maxUnavailable === undefined
        ? share(minAvailable ?? 0, expectedPods)
        : Math.max(0, expectedPods - share(maxUnavailable, expectedPods));
    return { expectedPods, desiredHealthy };
  }

  /** What the owners of the pods want together. Pods without one are not counted. */
  #scaleOf(pods: readonly Pod[]): number | string {
    const scales = new Map<string, number>();
    for (const pod of pods) {
      const owner = this.#ownerOf(pod);
      if (owner === "none") continue;
      if (owner === undefined) return `found no controllers for pod ${JSON.stringify(pod.metadata.name)}`;
      scales.set(`${owner.kind}/${keyOf(owner)}`, owner.spec?.replicas ?? 1);
    }
    return [...scales.values()].reduce((sum, count) => sum + count, 0);
  }

  #ownerOf(object: KubeObject): Scaled | "none" | undefined {
    const reference = controllerOf(object);
    if (reference === undefined) return "none";
    if (!SCALED.has(reference.kind)) return undefined;
    const owner = this.#store.get<Scaled>(reference.kind, `${object.metadata.namespace}/${reference.name}`);
    if (owner?.kind !== "ReplicaSet") return owner;
    const above = this.#ownerOf(owner);
    return above === undefined || above === "none" ? owner : above;
  }
}

interface Wanted {
  readonly expectedPods: number;
  readonly desiredHealthy: number;
}

const NOTHING = { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, observedGeneration: 0 };

/** A selector without anything in it is everybody's; none is nobody's. */
function selects({ spec }: DisruptionBudget, object: KubeObject): boolean {
  return spec?.selector !== undefined && matchesSelector(spec.selector, object.metadata.labels);
}

/** Percentages are rounded up. */
function share(value: number | string, total: number): number {
  if (typeof value === "number") return value;
  return Math.ceil((total * (Number.parseInt(value, 10) || 0)) / 100);
}

/** Those that a pod is meant by. */
export function budgetsFor(store: Store, pod: Pod): DisruptionBudget[] {
  return store.list<DisruptionBudget>(KIND, pod.metadata.namespace).filter((budget) => selects(budget, pod));
}
