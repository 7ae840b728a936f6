// Who has to let go of an object before it is gone.
import type { KubeObject } from "./objects.ts";

/** Of controllers that a lab has not; every dump of a cluster has them, and nobody here would ever take them off. */
const CLUSTER_FINALIZERS: readonly string[] = [
  "kubernetes",
  "orphan",
  "service.kubernetes.io/load-balancer-cleanup",
  "batch.kubernetes.io/job-tracking",
  "kubernetes.io/pv-protection",
  "kubernetes.io/pvc-protection",
];

/** The object waits until what it owns is gone. */
export const FOREGROUND = "foregroundDeletion";

/** Finalizers that are waited for, that of a deletion in the foreground left out. */
export function holdersOf({ metadata }: Pick<KubeObject, "metadata">): string[] {
  return (metadata.finalizers ?? []).filter(
    (name) => name !== FOREGROUND && !CLUSTER_FINALIZERS.includes(name),
  );
}

/** It was to go, and nothing holds it any more. */
export function isFinished({ metadata }: Pick<KubeObject, "metadata">): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = metadata;
  const isOver = deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0;
  return isOver && holdersOf({ metadata }).length === 0 && finalizers?.includes(FOREGROUND) !== true;
}

/** What nothing holds back any more but its dependents or finalizers, as it is stored until then. */
export function held<T extends KubeObject>(object: T, now: string, finalizers: readonly string[]): T {
  const { deletionTimestamp = now } = object.metadata;
  const all = [...new Set([...(object.metadata.finalizers ?? []), ...finalizers])];
  const ending = { deletionTimestamp, deletionGracePeriodSeconds: 0, finalizers: all };
  return { ...object, metadata: { ...object.metadata, ...ending } };
}
