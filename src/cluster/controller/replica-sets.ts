// ReplicaSet and ReplicationController → so many pods of a template.
import type {
  KubeObject,
  LabelSelector,
  Pod,
  ReplicaSet,
  ReplicationController,
} from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { replicaFailure } from "./deployment/deployment-conditions.ts";
import { HASH_LABEL } from "./deployment/deployment-sets.ts";
import { available, type Clock } from "./due.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import {
  controllerOf,
  freeNames,
  freePodNames,
  inDeletionOrder,
  isActive,
  type PodActions,
  podFrom,
  WorkloadController,
} from "./workload.ts";

type Replicated = ReplicaSet | ReplicationController;

export class ReplicaSetController extends WorkloadController<Replicated> {
  constructor(kind: "ReplicaSet" | "ReplicationController", store: Store, actions: PodActions, clock: Clock) {
    super(kind, store, actions, clock);
  }

  protected selectorOf(object: Replicated): LabelSelector | undefined {
    if (object.kind === "ReplicaSet") return object.spec.selector;
    return object.spec.selector === undefined ? undefined : { matchLabels: object.spec.selector };
  }

  protected sync(object: Replicated, pods: readonly Pod[]): void {
    const { template, replicas = 1, minReadySeconds = 0 } = object.spec;
    const active = pods.filter(isActive);
    // Refused by its node: another one would be refused there as well, and another, for ever.
    const refused = pods.filter(
      (pod) => !isTerminating(pod) && isFinished(pod) && pod.status.reason === "NodePorts",
    );
    let failure: string | undefined;
    const names = namesOf(this.store, object);
    for (let i = active.length + refused.length; i < replicas && failure === undefined; i++) {
      const name = names.next().value;
      failure = this.actions.create(podFrom(object as KubeObject, template, { name }));
    }
    const surplus = Math.max(0, active.length - replicas);
    for (const pod of inDeletionOrder(active).slice(0, surplus)) this.actions.delete(pod);
    const ready = active.filter(isReady).length;
    const lasting = available(active, minReadySeconds, this.clock.nowMs());
    this.lookAgain(object, lasting.nextMs);
    const { generation } = object.metadata;
    const wanted = Object.entries(template.metadata?.labels ?? {});
    this.writeStatus(object, {
      replicas: active.length,
      fullyLabeledReplicas: active.filter(({ metadata }) =>
        wanted.every(([key, value]) => metadata.labels?.[key] === value),
      ).length,
      readyReplicas: ready,
      availableReplicas: lasting.pods.length,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      conditions: failure === undefined ? undefined : [replicaFailure(failure)],
    });
  }
}

/** Those of a Deployment's set are the same in every lab, whatever its uid. */
function namesOf(store: Store, object: Replicated): Generator<string, never> {
  const { name, namespace, labels = {} } = object.metadata;
  const owner = controllerOf(object);
  const hash = labels[HASH_LABEL];
  if (owner?.kind !== "Deployment" || hash === undefined) return freePodNames(store, object, name);
  return freeNames(store, object, name.slice(0, 58), `${namespace}/${owner.name}/${hash}`);
}
