// Deployment → ReplicaSets → pods. A changed template gets a ReplicaSet of its own, and pods go over to it with maxSurge
// and maxUnavailable, as they become available; old sets stay for going back (kubectl rollout undo).
// A set's name holds its template's hash, which is the same in every lab.
import { type Deployment, keyOf, type Pod, type ReplicaSet } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import {
  deploymentConditions,
  isTimedOut,
  progressDueMs,
  rolloutLimits,
} from "./deployment/deployment-conditions.ts";
import {
  isRescaled,
  recreateStep,
  rescaleStep,
  rollingStep,
  type Step,
} from "./deployment/deployment-rollout.ts";
import {
  byAge,
  isTemplateOf,
  newSet,
  REVISION,
  replicasOf,
  revisionOf,
  scaledSet,
  statusOf,
  surplus,
  updatedSet,
} from "./deployment/deployment-sets.ts";
import { Agenda, type Clock } from "./due.ts";
import { isFinished } from "./scheduler.ts";
import type { PodActions } from "./told-actions.ts";
import { controllerOf, ownerReference, selects } from "./workload.ts";

const COMPONENT = "deployment-controller";

export class DeploymentController {
  readonly #store: Store;
  readonly #actions: PodActions;
  readonly #clock: Clock;
  readonly #agenda: Agenda;
  /** Deployment → keys of its ReplicaSets. */
  readonly #sets = new Map<string, Set<string>>();
  /** ReplicaSets that nobody owns. */
  readonly #orphans = new Set<string>();

  constructor(store: Store, actions: PodActions, clock: Clock) {
    this.#store = store;
    this.#actions = actions;
    this.#clock = clock;
    this.#agenda = new Agenda("Deployment", store, clock);
  }

  onEvent(event: StoreEvent): void {
    const { type, object } = event;
    if (object.kind === "Deployment") this.#agenda.mark(keyOf(object));
    else if (object.kind === "ReplicaSet") this.#setChanged(event);
    else if (object.kind === "Pod" && (type === "DELETED" || isFinished(object as Pod))) {
      const owner = controllerOf(object);
      if (owner?.kind !== "ReplicaSet") return;
      const set = this.#store.get<ReplicaSet>("ReplicaSet", `${object.metadata.namespace}/${owner.name}`);
      const deployment = set === undefined ? undefined : ownerOf(set);
      if (deployment !== undefined) this.#agenda.mark(deployment); // Recreate waits for it
    }
  }

  #setChanged({ type, object, old }: StoreEvent): void {
    const key = keyOf(object);
    const owner = ownerOf(object as ReplicaSet);
    const before = old === undefined ? undefined : ownerOf(old as ReplicaSet);
    if (before !== undefined && (before !== owner || type === "DELETED")) {
      this.#sets.get(before)?.delete(key);
      this.#agenda.mark(before);
    }
    const isOrphan = type !== "DELETED" && controllerOf(object) === undefined;
    if (isOrphan) this.#orphans.add(key);
    else this.#orphans.delete(key);
    if (isOrphan)
      for (const each of this.#store.list<Deployment>("Deployment", object.metadata.namespace))
        if (selects(each.spec.selector, object)) this.#agenda.mark(keyOf(each));
    if (owner === undefined || type === "DELETED") return;
    const sets = this.#sets.get(owner) ?? new Set();
    this.#sets.set(owner, sets.add(key));
    this.#agenda.mark(owner);
  }

  settle(): void {
    this.#agenda.settle();
  }

  tick(): boolean {
    return this.#agenda.tick();
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    return this.#agenda.work((key) => this.#reconcileOne(key));
  }

  #reconcileOne(key: string): void {
    const deployment = this.#store.get<Deployment>("Deployment", key);
    const sets = [...(this.#sets.get(key) ?? [])].map((each) =>
      this.#store.get<ReplicaSet>("ReplicaSet", each),
    );
    const own = sets.filter((set): set is ReplicaSet => set !== undefined);
    if (deployment === undefined) {
      for (const set of own) this.#store.remove("ReplicaSet", keyOf(set));
      this.#sets.delete(key);
      this.#agenda.forget(key);
      return;
    }
    if (deployment.metadata.deletionTimestamp !== undefined) return; // it goes when its sets are gone
    this.#adopt(deployment);
    this.#sync(deployment, byAge(own));
  }

  #adopt(deployment: Deployment): void {
    for (const key of [...this.#orphans].sort()) {
      const set = this.#store.get<ReplicaSet>("ReplicaSet", key);
      if (set === undefined || set.metadata.namespace !== deployment.metadata.namespace) continue;
      if (!selects(deployment.spec.selector, set)) continue;
      const ownerReferences = [...(set.metadata.ownerReferences ?? []), ownerReference(deployment)];
      this.#store.put({ ...set, metadata: { ...set.metadata, ownerReferences } });
    }
  }

  #sync(deployment: Deployment, sets: readonly ReplicaSet[]): void {
    const { paused = false, strategy } = deployment.spec;
    const known = sets.find((set) => isTemplateOf(deployment, set));
    const others = sets.filter((set) => set !== known);
    let made: string | undefined;
    let current = known;
    if (paused || isRescaled(deployment, sets)) {
      if (isRescaled(deployment, sets)) this.#scale(deployment, sets, rescaleStep(deployment, known, others));
    } else {
      current = this.#currentSet(deployment, known, others);
      if (current === undefined) return; // somebody else has its name
      if (known === undefined) made = current.metadata.name;
      const step =
        strategy?.type === "Recreate"
          ? recreateStep(deployment, current, others, this.#hasPods(others))
          : rollingStep(deployment, current, others);
      this.#scale(deployment, [...others, current], step);
      for (const set of surplus(deployment, others)) this.#store.remove("ReplicaSet", keyOf(set));
    }
    this.#writeStatus(keyOf(deployment), { current: current?.metadata.name, made });
  }

  /** The set of the template, made where there is none, with the highest revision; the Deployment says which that is. */
  #currentSet(
    deployment: Deployment,
    known: ReplicaSet | undefined,
    others: readonly ReplicaSet[],
  ): ReplicaSet | undefined {
    const highest = Math.max(0, ...others.map(revisionOf));
    const revision = known === undefined ? highest + 1 : Math.max(highest + 1, revisionOf(known));
    const wanted =
      known === undefined ? newSet(deployment, revision) : updatedSet(deployment, known, revision);
    if (known === undefined && this.#store.get("ReplicaSet", keyOf(wanted)) !== undefined) return undefined;
    this.#store.put(wanted);
    const stored = this.#store.get<Deployment>("Deployment", keyOf(deployment));
    if (stored !== undefined && stored.metadata.annotations?.[REVISION] !== `${revision}`) {
      const annotations = { ...stored.metadata.annotations, [REVISION]: `${revision}` };
      this.#store.put({ ...stored, metadata: { ...stored.metadata, annotations } });
    }
    return this.#store.get<ReplicaSet>("ReplicaSet", keyOf(wanted));
  }

  #hasPods(sets: readonly ReplicaSet[]): boolean {
    const uids = new Set(sets.map(({ metadata }) => metadata.uid));
    const [set] = sets;
    if (set === undefined) return false;
    return this.#store
      .list<Pod>("Pod", set.metadata.namespace)
      .some(
        (pod) => !isFinished(pod) && pod.metadata.ownerReferences?.some(({ uid }) => uids.has(uid)) === true,
      );
  }

  #scale(deployment: Deployment, sets: readonly ReplicaSet[], step: Step): void {
    const { replicas = 1 } = deployment.spec;
    const { surge } = rolloutLimits(deployment);
    for (const set of sets) {
      const from = replicasOf(set);
      const to = step.get(keyOf(set)) ?? from;
      const stored = this.#store.get<ReplicaSet>("ReplicaSet", keyOf(set));
      if (stored === undefined) continue;
      if (to > 0 || from > 0) this.#store.put(scaledSet(stored, to, replicas, surge));
      if (to === from) continue;
      const message = `Scaled ${to > from ? "up" : "down"} replica set ${set.metadata.name} from ${from} to ${to}`;
      this.#actions.tell({ object: deployment, reason: "ScalingReplicaSet", message, component: COMPONENT });
    }
  }

  #writeStatus(
    key: string,
    { current, made }: { current: string | undefined; made: string | undefined },
  ): void {
    const stored = this.#store.get<Deployment>("Deployment", key);
    if (stored === undefined) return;
    const namespace = stored.metadata.namespace as string;
    const sets = [...(this.#sets.get(key) ?? [])]
      .map((each) => this.#store.get<ReplicaSet>("ReplicaSet", each))
      .filter((set): set is ReplicaSet => set !== undefined);
    const newest = this.#store.get<ReplicaSet>("ReplicaSet", `${namespace}/${current}`);
    const total = { replicas: 0, ready: 0, available: 0 };
    for (const set of sets) {
      const { replicas, ready, available } = statusOf(set);
      total.replicas += replicas;
      total.ready += ready;
      total.available += available;
    }
    const { generation } = stored.metadata;
    const numbers = {
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      replicas: total.replicas,
      updatedReplicas: newest === undefined ? 0 : statusOf(newest).replicas,
      readyReplicas: total.ready,
      availableReplicas: total.available,
      unavailableReplicas: Math.max(0, (stored.spec.replicas ?? 1) - total.available),
    };
    const conditions = deploymentConditions(stored, numbers, { set: newest, sets, made, clock: this.#clock });
    this.#store.put({ ...stored, status: { ...stored.status, ...numbers, conditions } } as Deployment);
    const due = progressDueMs(stored, conditions);
    if (due !== undefined && !isTimedOut(conditions)) this.#agenda.markAt(key, due);
  }
}

function ownerOf(set: ReplicaSet): string | undefined {
  const owner = controllerOf(set);
  return owner?.kind === "Deployment" ? `${set.metadata.namespace}/${owner.name}` : undefined;
}
