// What the API server fills in of ReplicaSets, StatefulSets, DaemonSets, CronJobs, Jobs and ReplicationControllers. The
// pods of their templates are filled in like all pods.
import type { CronJob, DaemonSet, Job, ReplicaSet, ReplicationController, StatefulSet } from "./objects.ts";

export const WORKLOAD_DEFAULTS: Record<string, (object: never) => void> = {
  ReplicaSet: ({ spec }: ReplicaSet) => void (spec.replicas ??= 1),
  ReplicationController: defaultReplicationController,
  StatefulSet: ({ spec }: StatefulSet) => {
    spec.replicas ??= 1;
    spec.podManagementPolicy ||= "OrderedReady";
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= "RollingUpdate";
    if (spec.updateStrategy.type !== "RollingUpdate") return;
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.partition ??= 0;
  },
  DaemonSet: ({ spec }: DaemonSet) => {
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= "RollingUpdate";
    if (spec.updateStrategy.type !== "RollingUpdate") return;
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
  },
  CronJob: ({ spec }: CronJob) => {
    spec.concurrencyPolicy ||= "Allow";
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    if (spec.jobTemplate?.spec !== undefined) defaultJob(spec.jobTemplate.spec);
  },
  Job: ({ spec }: Job) => defaultJob(spec),
};

function defaultJob(spec: Job["spec"]): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  const given = spec as typeof spec & { backoffLimitPerIndex?: number; podReplacementPolicy?: string };
  given.backoffLimit ??= given.backoffLimitPerIndex === undefined ? 6 : 0x7fffffff;
  given.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed";
  for (const { onPodConditions = [] } of rulesOf(spec))
    for (const each of onPodConditions) each.status ??= "True";
  spec.completionMode ||= "NonIndexed";
  spec.suspend ??= false;
}

/** Of podFailurePolicy, which may hold anything before it is looked at. */
function rulesOf({ podFailurePolicy }: Job["spec"]): { onPodConditions?: { status?: string }[] }[] {
  const { rules } = (podFailurePolicy ?? {}) as { rules?: unknown };
  const isRule = (rule: unknown): boolean =>
    Array.isArray((rule as { onPodConditions?: unknown[] } | null)?.onPodConditions);
  return Array.isArray(rules) ? rules.filter(isRule) : [];
}

/** Labels and selector are those of the template, where it leaves them out. */
function defaultReplicationController({ metadata, spec }: ReplicationController): void {
  spec.replicas ??= 1;
  const labels = spec.template?.metadata?.labels ?? {};
  if (Object.keys(labels).length === 0) return;
  if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
  if (Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
}
