// The subresource eviction: a pod goes, if the PodDisruptionBudget that selects it can spare one.
import { budgetsFor, type DisruptionBudget } from "../cluster/controller/budget/disruption-budgets.ts";
import { isReady } from "../cluster/controller/scheduler.ts";
import type { Store } from "../cluster/store.ts";
import type { Pod } from "../kube/objects.ts";
import { StatusError, tooManyRequests } from "./status.ts";

const CAUSE = "DisruptionBudget";
/** Of a pod that serves nothing, or not any more. */
const PHASES: readonly (string | undefined)[] = ["Pending", "Succeeded", "Failed"];

/** Why the pod may not go; undefined: it may. */
export function evictionRefusal(store: Store, pod: Pod): StatusError | undefined {
  if (PHASES.includes(pod.status.phase) || pod.metadata.deletionTimestamp !== undefined) return undefined;
  const [budget, ...others] = budgetsFor(store, pod);
  if (budget === undefined) return undefined;
  if (others.length > 0) {
    const message =
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    return new StatusError(500, "InternalError", message);
  }
  const { currentHealthy = 0, desiredHealthy = 0, disruptionsAllowed = 0 } = budget.status ?? {};
  if (!isReady(pod)) {
    // It serves nothing: by default it may go where the others suffice.
    const isSpared = currentHealthy >= desiredHealthy && desiredHealthy > 0;
    if (isSpared || budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return undefined;
  }
  if (disruptionsAllowed > 0) return undefined;
  const message = "Cannot evict pod as it would violate the pod's disruption budget.";
  return tooManyRequests(message, { reason: CAUSE, message: whyNot(budget) });
}

/** With the condition that says why it goes. */
export function evicted(pod: Pod, now: Date): Pod {
  const condition = {
    ...{ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" },
    message: "Eviction API: evicting",
    lastTransitionTime: now.toISOString().replace(/\.\d+Z$/, "Z"),
  };
  const others = (pod.status.conditions ?? []).filter(({ type }) => type !== condition.type);
  return { ...pod, status: { ...pod.status, conditions: [...others, condition] } } as Pod;
}

function whyNot({ metadata, status }: DisruptionBudget): string {
  const { currentHealthy = 0, desiredHealthy = 0, conditions = [] } = status ?? {};
  const { name } = metadata;
  const notNow = `The disruption budget ${name} does not allow evicting pods currently`;
  const condition = conditions.find(({ type, status: is }) => type === "DisruptionAllowed" && is === "False");
  if (condition?.reason === "SyncFailed" && condition.message !== "")
    return `${notNow} because it failed sync: ${condition.message}`;
  if (currentHealthy <= desiredHealthy)
    return `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  return notNow;
}
