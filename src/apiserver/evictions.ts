// The subresource eviction: a pod goes, if the PodDisruptionBudgets that select it can spare one.
import type { Store } from "../cluster/store.ts";
import { matchesSelector } from "../kube/labels.ts";
import type { KubeObject, LabelSelector, Pod } from "../kube/objects.ts";
import { type StatusError, tooManyRequests } from "./status.ts";

type Budget = KubeObject & {
  spec?: {
    selector?: LabelSelector;
    minAvailable?: number | string;
    maxUnavailable?: number | string;
    unhealthyPodEvictionPolicy?: string;
  };
};

const CAUSE = "DisruptionBudget";
/** Of a pod that serves nothing, or not any more. */
const PHASES: readonly (string | undefined)[] = ["Pending", "Succeeded", "Failed"];

/** Why the pod may not go; undefined: it may. */
export function evictionRefusal(store: Store, pod: Pod): StatusError | undefined {
  if (PHASES.includes(pod.status.phase) || pod.metadata.deletionTimestamp !== undefined) return undefined;
  for (const budget of store.list<Budget>("PodDisruptionBudget", pod.metadata.namespace)) {
    const selector = budget.spec?.selector;
    if (selector === undefined || !matchesSelector(selector, pod.metadata.labels)) continue;
    const pods = store
      .list<Pod>("Pod", pod.metadata.namespace)
      .filter((each) => matchesSelector(selector, each.metadata.labels));
    const healthy = pods.filter(isHealthy).length;
    const needed = neededOf(budget, pods.length);
    // One that is not ready takes nothing away; by default it may go where the others suffice.
    const isSpared =
      budget.spec?.unhealthyPodEvictionPolicy === "AlwaysAllow" || (needed > 0 && healthy >= needed);
    if (healthy > needed || (isSpared && !isHealthy(pod))) continue;
    const { name } = budget.metadata;
    const message = `The disruption budget ${name} needs ${needed} healthy pods and has ${healthy} currently`;
    return tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", {
      reason: CAUSE,
      message,
    });
  }
  return undefined;
}

function neededOf({ spec = {} }: Budget, total: number): number {
  if (spec.maxUnavailable !== undefined) return total - share(spec.maxUnavailable, total);
  return spec.minAvailable === undefined ? 0 : share(spec.minAvailable, total);
}

/** Percentages are rounded up. */
function share(value: number | string, total: number): number {
  if (typeof value === "number") return value;
  return value.endsWith("%") ? Math.ceil((total * Number(value.slice(0, -1))) / 100) : Number(value);
}

function isHealthy({ metadata, status }: Pod): boolean {
  const isReady =
    status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
  return isReady && metadata.deletionTimestamp === undefined;
}
