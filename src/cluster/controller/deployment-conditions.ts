// What a Deployment's status says of itself: `wait --for=condition=Available` looks for it. Times are left out: a
// controller reads no clock.
import type { Deployment } from "../../kube/objects.ts";
import { share } from "./workload.ts";

const DEFAULT_SHARE = "25%"; // of maxSurge and maxUnavailable

/** How many may be missing and how many too many, of `replicas`. */
export function rolloutLimits({ spec }: Deployment): { surge: number; unavailable: number } {
  const { replicas = 1, strategy } = spec;
  if (strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const surge = share(strategy?.rollingUpdate?.maxSurge ?? DEFAULT_SHARE, replicas, Math.ceil);
  const unavailable = share(strategy?.rollingUpdate?.maxUnavailable ?? DEFAULT_SHARE, replicas, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** Pods were refused, and why. */
export function replicaFailure(message: string): object {
  return { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
}

export function deploymentConditions(
  deployment: Deployment,
  { total, updated, available }: { total: number; updated: number; available: number },
): object[] {
  const { replicas = 1 } = deployment.spec;
  const least = replicas - Math.min(replicas, rolloutLimits(deployment).unavailable);
  const isThere = available >= least;
  const isDone = updated === replicas && total === replicas && available === replicas;
  return [
    {
      type: "Available",
      status: isThere ? "True" : "False",
      reason: isThere ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
      message: isThere
        ? "Deployment has minimum availability."
        : "Deployment does not have minimum availability.",
    },
    {
      type: "Progressing",
      status: "True",
      reason: isDone ? "NewReplicaSetAvailable" : "ReplicaSetUpdated",
      message: `ReplicaSet of the pods' template ${isDone ? "has successfully progressed" : "is progressing"}.`,
    },
  ];
}
