// The controllers that make pods and slices of objects, in the order in which they are told and asked.
import type { AddressSpan } from "../../base/address-span.ts";
import { ServiceAccountController } from "../account/service-accounts.ts";
import type { Store, StoreEvent } from "../store.ts";
import { DisruptionBudgetController } from "./budget/disruption-budgets.ts";
import { CronJobController } from "./cron-jobs.ts";
import { CustomDefinitionController } from "./custom-definitions.ts";
import { DaemonSetController } from "./daemon-sets.ts";
import { DeploymentController } from "./deployments.ts";
import type { Clock } from "./due.ts";
import { EndpointSliceController } from "./endpoint-slices.ts";
import { EndpointsMirrorController } from "./endpoints-mirror.ts";
import { JobController } from "./jobs.ts";
import { LoadBalancerController } from "./load-balancer/load-balancers.ts";
import { ReplicaSetController } from "./replica-sets.ts";
import { StatefulSetController } from "./stateful-sets.ts";
import { VolumeController } from "./storage/volumes.ts";
import type { PodActions } from "./workload.ts";

/** Follows the store's events, and is asked again until it has nothing to do. */
export interface Controller {
  onEvent(event: StoreEvent): void;
  reconcile(): boolean;
  /** Forgets what it had to do. */
  settle(): void;
  /** Marks what time alone has made due; true when there was something. */
  tick?(): boolean;
}

interface ControllerOptions extends Clock {
  /** What is made for clients of an API as well. */
  readonly hasApi?: boolean | undefined;
  readonly loadBalancer?: readonly AddressSpan[] | undefined;
}

export function makeControllers(store: Store, pods: PodActions, options: ControllerOptions): Controller[] {
  const clock: Clock = options;
  const { loadBalancer: pool, hasApi = false } = options;
  return [
    ...(hasApi ? [new ServiceAccountController(store)] : []),
    new DeploymentController(store, pods, clock),
    new ReplicaSetController("ReplicaSet", store, pods, clock),
    new ReplicaSetController("ReplicationController", store, pods, clock),
    new StatefulSetController(store, pods, clock),
    new DaemonSetController(store, pods, clock),
    new CronJobController(store, pods, clock),
    new JobController(store, pods, clock),
    new DisruptionBudgetController(store, pods, clock),
    new VolumeController(store, pods, clock),
    new EndpointSliceController(store, hasApi),
    new EndpointsMirrorController(store),
    ...(pool === undefined ? [] : [new LoadBalancerController(store, pool, pods.tell)]),
    new CustomDefinitionController(store, () => clock.time(clock.nowMs())),
  ];
}
