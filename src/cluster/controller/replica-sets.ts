// ReplicaSet and ReplicationController → so many pods of a template.
import type {
  KubeObject,
  LabelSelector,
  Pod,
  ReplicaSet,
  ReplicationController,
} from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { replicaFailure } from "./deployment-conditions.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import {
  freePodNames,
  inDeletionOrder,
  isActive,
  type PodActions,
  podFrom,
  WorkloadController,
} from "./workload.ts";

type Replicated = ReplicaSet | ReplicationController;

export class ReplicaSetController extends WorkloadController<Replicated> {
  constructor(kind: "ReplicaSet" | "ReplicationController", store: Store, actions: PodActions) {
    super(kind, store, actions);
  }

  protected selectorOf(object: Replicated): LabelSelector | undefined {
    if (object.kind === "ReplicaSet") return object.spec.selector;
    return object.spec.selector === undefined ? undefined : { matchLabels: object.spec.selector };
  }

  protected sync(object: Replicated, pods: readonly Pod[]): void {
    const { template, replicas = 1 } = object.spec;
    const active = pods.filter(isActive);
    // Refused by its node: another one would be refused there as well, and another, for ever.
    const refused = pods.filter(
      (pod) => !isTerminating(pod) && isFinished(pod) && pod.status.reason === "NodePorts",
    );
    let failure: string | undefined;
    const names = freePodNames(this.store, object, object.metadata.name);
    for (let i = active.length + refused.length; i < replicas && failure === undefined; i++) {
      const name = names.next().value;
      failure = this.actions.create(podFrom(object as KubeObject, template, { name }));
    }
    const surplus = Math.max(0, active.length - replicas);
    for (const pod of inDeletionOrder(active).slice(0, surplus)) this.actions.delete(pod);
    const ready = active.filter(isReady).length;
    const wanted = Object.entries(template.metadata?.labels ?? {});
    this.writeStatus(object, {
      replicas: active.length,
      fullyLabeledReplicas: active.filter(({ metadata }) =>
        wanted.every(([key, value]) => metadata.labels?.[key] === value),
      ).length,
      readyReplicas: ready,
      availableReplicas: ready,
      conditions: failure === undefined ? undefined : [replicaFailure(failure)],
    });
  }
}
