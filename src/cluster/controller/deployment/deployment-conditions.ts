// What a Deployment's status says of itself: `wait --for=condition=Available` and `rollout status` look for it.
import type { Deployment, ReplicaSet } from "../../../kube/objects.ts";
import type { Clock } from "../due.ts";
import { share } from "../workload.ts";

const DEFAULT_SHARE = "25%"; // of maxSurge and maxUnavailable
const DEADLINE_DEFAULT_SEC = 600;
const COMPLETE = "NewReplicaSetAvailable";
const TIMED_OUT = "ProgressDeadlineExceeded";

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastUpdateTime?: string;
  readonly lastTransitionTime?: string;
}

export interface Numbers {
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
}

interface Around {
  /** Of the Deployment's template. */
  readonly set: ReplicaSet | undefined;
  readonly sets: readonly ReplicaSet[];
  /** Name of the set if it was made just now. */
  readonly made: string | undefined;
  readonly clock: Clock;
}

/** How many may be missing and how many too many, of `replicas`. */
export function rolloutLimits({ spec }: Deployment): { surge: number; unavailable: number } {
  const { replicas = 1, strategy } = spec;
  if (strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const surge = share(strategy?.rollingUpdate?.maxSurge ?? DEFAULT_SHARE, replicas, Math.ceil);
  const unavailable = share(strategy?.rollingUpdate?.maxUnavailable ?? DEFAULT_SHARE, replicas, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/** Pods were refused, and why. */
export function replicaFailure(message: string): Omit<Condition, "lastUpdateTime"> {
  return { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message };
}

export function deploymentConditions(deployment: Deployment, numbers: Numbers, around: Around): Condition[] {
  const before = (deployment.status?.conditions ?? []) as Condition[];
  const told = (condition: Condition | undefined): Condition[] =>
    condition === undefined ? [] : [withTimes(condition, before, around.clock)];
  const failure = around.sets
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  return [
    ...told(availability(deployment, numbers)),
    ...told(
      progress(
        deployment,
        numbers,
        around,
        before.find(({ type }) => type === "Progressing"),
      ),
    ),
    ...told(failure === undefined ? undefined : replicaFailure(failure.message ?? "")),
  ];
}

function availability(deployment: Deployment, { availableReplicas }: Numbers): Condition {
  const { replicas = 1 } = deployment.spec;
  const least = replicas - Math.min(replicas, rolloutLimits(deployment).unavailable);
  const isThere = availableReplicas >= least;
  return {
    type: "Available",
    status: isThere ? "True" : "False",
    reason: isThere ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    message: isThere
      ? "Deployment has minimum availability."
      : "Deployment does not have minimum availability.",
  };
}

function progress(
  deployment: Deployment,
  numbers: Numbers,
  { set, made, clock }: Around,
  before: Condition | undefined,
): Condition | undefined {
  const { replicas: wanted = 1, paused = false } = deployment.spec;
  const type = "Progressing";
  const named = `ReplicaSet "${set?.metadata.name ?? deployment.metadata.name}"`;
  const isTrue = (reason: string, message: string): Condition => ({ type, status: "True", reason, message });
  const unknown = (reason: string, message: string): Condition => ({
    type,
    status: "Unknown",
    reason,
    message,
  });
  if (paused) return unknown("DeploymentPaused", "Deployment is paused");
  if (made !== undefined) return isTrue("NewReplicaSetCreated", `Created new replica set "${made}"`);
  const { replicas, updatedReplicas: updated, availableReplicas: available } = numbers;
  if (updated === wanted && replicas === wanted && available === wanted)
    return isTrue(COMPLETE, `${named} has successfully progressed.`);
  if (before?.reason === COMPLETE && replicas === updated) return before; // a pod was lost: no rollout
  if (before?.reason === "DeploymentPaused") return unknown("DeploymentResumed", "Deployment is resumed");
  if (before === undefined || isFurther(deployment, numbers))
    return isTrue("ReplicaSetUpdated", `${named} is progressing.`);
  const due = progressDueMs(deployment, [before]);
  if (due === undefined || due > clock.nowMs() || before.reason === TIMED_OUT) return before;
  return { type, status: "False", reason: TIMED_OUT, message: `${named} has timed out progressing.` };
}

function isFurther({ status }: Deployment, numbers: Numbers): boolean {
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {};
  const old = replicas - updatedReplicas;
  return (
    numbers.updatedReplicas > updatedReplicas ||
    numbers.replicas - numbers.updatedReplicas < old ||
    numbers.readyReplicas > readyReplicas ||
    numbers.availableReplicas > availableReplicas
  );
}

/** When a rollout that goes on has had its time; undefined: it is done, or has all the time there is. */
export function progressDueMs({ spec }: Deployment, conditions: readonly Condition[]): number | undefined {
  const found = conditions.find(({ type }) => type === "Progressing");
  if (found === undefined || found.reason === COMPLETE || found.reason === "DeploymentPaused")
    return undefined;
  const seconds = spec.progressDeadlineSeconds ?? DEADLINE_DEFAULT_SEC;
  const since = Date.parse(found.lastUpdateTime ?? "");
  return Number.isNaN(since) ? undefined : since + seconds * 1000;
}

export function isTimedOut(conditions: readonly Condition[]): boolean {
  return conditions.some(({ reason }) => reason === TIMED_OUT);
}

/** The times of before, where nothing is new. */
function withTimes(condition: Condition, all: readonly Condition[], clock: Clock): Condition {
  const before = all.find(({ type }) => type === condition.type);
  if (before === condition) return condition;
  const now = clock.time(clock.nowMs());
  const isProgress = condition.reason === "ReplicaSetUpdated";
  const isSame = before?.reason === condition.reason && before.message === condition.message && !isProgress;
  return {
    ...condition,
    lastUpdateTime: isSame ? (before.lastUpdateTime ?? now) : now,
    lastTransitionTime: before?.status === condition.status ? (before.lastTransitionTime ?? now) : now,
  };
}
