// Deployment → pods. The ReplicaSet in between is left out: a pod's name holds its template's hash, as it would.
// Suffixes come from the pod's number instead of chance, so the same manifest makes the same names in every lab.
// A changed template rolls over with maxSurge and maxUnavailable, driven by the pods' readiness.
import { type Deployment, keyOf, type Pod } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { deploymentConditions, replicaFailure, rolloutLimits } from "./deployment-conditions.ts";
import { DeploymentScales, HASH_LABEL, templateHash } from "./deployment-scales.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import type { PodActions } from "./told-actions.ts";
import { freeNames, podFrom } from "./workload.ts";

export class DeploymentController {
  readonly #store: Store;
  readonly #actions: PodActions;
  readonly #dirty = new Set<string>();
  /** Deployment → keys of its pods. */
  readonly #pods = new Map<string, Set<string>>();
  readonly #scales: DeploymentScales;

  constructor(store: Store, actions: PodActions) {
    this.#store = store;
    this.#actions = actions;
    this.#scales = new DeploymentScales(actions);
  }

  onEvent({ type, object, old }: StoreEvent): void {
    if (object.kind === "Deployment") this.#dirty.add(keyOf(object));
    if (object.kind === "Namespace") this.#markInside(object.metadata.name);
    if (object.kind !== "Pod") return;
    const owner = ownerOf(object as Pod);
    const before = old === undefined ? undefined : ownerOf(old as Pod);
    if (before !== undefined && before !== owner) this.#pods.get(before)?.delete(keyOf(object));
    if (owner === undefined) return;
    const pods = this.#pods.get(owner) ?? new Set();
    this.#pods.set(owner, pods);
    if (type === "DELETED") pods.delete(keyOf(object));
    else pods.add(keyOf(object));
    this.#dirty.add(owner);
  }

  /** What was refused there may be admitted now. */
  #markInside(namespace: string): void {
    for (const object of this.#store.values("Deployment"))
      if (object.metadata.namespace === namespace) this.#dirty.add(keyOf(object));
  }

  /** Forgets what is marked: after a replay of objects that were reconciled before. */
  settle(): void {
    this.#dirty.clear();
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) this.#reconcileOne(key);
    return keys.length > 0;
  }

  #reconcileOne(key: string): void {
    const deployment = this.#store.get<Deployment>("Deployment", key);
    const all = [...(this.#pods.get(key) ?? [])]
      .map((podKey) => this.#store.get<Pod>("Pod", podKey))
      .filter((pod): pod is Pod => pod !== undefined && !isFinished(pod))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const pods = all.filter((pod) => !isTerminating(pod));
    if (deployment === undefined) {
      for (const pod of pods) this.#actions.delete(pod);
      if (this.#pods.get(key)?.size === 0) this.#pods.delete(key);
      this.#scales.forget(key);
      return;
    }
    if (deployment.metadata.deletionTimestamp !== undefined) return; // it goes when its pods are gone
    const hash = templateHash(deployment);
    const current = pods.filter((pod) => pod.metadata.labels?.[HASH_LABEL] === hash);
    const outdated = pods.filter((pod) => pod.metadata.labels?.[HASH_LABEL] !== hash);
    const ending = all.filter((pod) => isTerminating(pod) && pod.metadata.labels?.[HASH_LABEL] !== hash);
    const waits = deployment.spec.strategy?.type === "Recreate" && ending.length > 0;
    const plan = waits ? { create: 0, remove: outdated } : planRollout(deployment, current, outdated);
    for (const pod of plan.remove) this.#actions.delete(pod);
    const made: Pod[] = [];
    let failure: string | undefined;
    const {
      metadata: { name },
      spec: { template },
    } = deployment;
    const names = freeNames(this.#store, deployment, `${name}-${hash}`, `${key}/${hash}`);
    while (made.length < plan.create && failure === undefined) {
      const details = { name: names.next().value, labels: { [HASH_LABEL]: hash } };
      const pod = podFrom(deployment, template, details);
      failure = this.#actions.create(pod);
      if (failure === undefined) made.push(pod);
    }
    this.#scales.changed(deployment, hash, pods, { wanted: plan.create, made, removed: plan.remove });
    this.#writeStatus(deployment, pods, current, failure);
  }

  #writeStatus(
    deployment: Deployment,
    pods: readonly Pod[],
    current: readonly Pod[],
    failure: string | undefined,
  ): void {
    const stored = this.#store.get<Deployment>("Deployment", keyOf(deployment));
    if (stored === undefined) return;
    const ready = pods.filter(isReady).length;
    const numbers = { total: pods.length, updated: current.length, available: ready };
    const status = {
      replicas: pods.length,
      updatedReplicas: current.length,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: Math.max(0, (deployment.spec.replicas ?? 1) - ready),
      conditions: [
        ...deploymentConditions(deployment, numbers),
        ...(failure === undefined ? [] : [replicaFailure(failure)]),
      ],
    };
    const { generation: observedGeneration } = stored.metadata;
    const seen = observedGeneration === undefined ? {} : { observedGeneration };
    this.#store.put({ ...stored, status: { ...status, ...seen } } as Deployment);
  }
}

interface Rollout {
  readonly create: number;
  readonly remove: readonly Pod[];
}

/** How many pods of the current template to make now, and which pods to take away. */
function planRollout(deployment: Deployment, current: readonly Pod[], outdated: readonly Pod[]): Rollout {
  const replicas = deployment.spec.replicas ?? 1;
  const surplus = unreadyFirst(current).slice(0, Math.max(0, current.length - replicas));
  const missing = Math.max(0, replicas - current.length);
  if (outdated.length === 0) return { create: missing, remove: surplus };
  if (deployment.spec.strategy?.type === "Recreate") {
    return { create: 0, remove: [...surplus, ...outdated] };
  }
  const { surge, unavailable } = rolloutLimits(deployment);
  const ready = [...current, ...outdated].filter(isReady).length;
  const removable = Math.max(0, ready - (replicas - unavailable));
  const readyOutdated = outdated.filter(isReady);
  const remove = [...outdated.filter((pod) => !isReady(pod)), ...readyOutdated.slice(0, removable)];
  const room = Math.max(0, replicas + surge - current.length - (outdated.length - remove.length));
  return { create: Math.min(missing, room), remove: [...surplus, ...remove] };
}

function unreadyFirst(pods: readonly Pod[]): Pod[] {
  return [...pods.filter((pod) => !isReady(pod)), ...pods.filter(isReady).reverse()];
}

function ownerOf(pod: Pod): string | undefined {
  const owner = pod.metadata.ownerReferences?.find((o) => o.kind === "Deployment" && o.controller === true);
  return owner === undefined ? undefined : `${pod.metadata.namespace}/${owner.name}`;
}
