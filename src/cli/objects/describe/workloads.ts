// What makes pods.

import { formatAge } from "../../../apiserver/table/age.ts";
import type {
  DaemonSet,
  Deployment,
  Job,
  KubeObject,
  Pod,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from "../../../kube/objects.ts";
import { controlledBy, head, mapText, marks, selectorText, timeText } from "./parts.ts";
import { templateLines } from "./pod.ts";
import type { TabWriter } from "./tabs.ts";

type Counts = Readonly<Record<string, number | undefined>>;
interface Condition {
  type: string;
  status: string;
  reason?: string;
}

function countsOf(object: KubeObject): Counts {
  return (object as { status?: Counts }).status ?? {};
}

/** `ReplicaSets` stand for the pods of each template: name, and how many. */
export function deploymentLines(
  w: TabWriter,
  object: Deployment,
  sets: { old: string; new: string } | undefined,
): void {
  const { spec, metadata } = object;
  const {
    updatedReplicas = 0,
    replicas = 0,
    availableReplicas = 0,
    unavailableReplicas = 0,
  } = countsOf(object);
  head(w, object);
  w.line(0, `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`);
  marks(w, object);
  w.line(0, `Selector:\t${selectorText(spec.selector)}`);
  const now = `${updatedReplicas} updated | ${replicas} total | ${availableReplicas} available`;
  w.line(0, `Replicas:\t${spec.replicas ?? 1} desired | ${now} | ${unavailableReplicas} unavailable`);
  const type = spec.strategy?.type ?? "RollingUpdate";
  w.line(0, `StrategyType:\t${type}`);
  w.line(0, `MinReadySeconds:\t${spec.minReadySeconds ?? 0}`);
  if (type === "RollingUpdate") {
    const { maxUnavailable = "25%", maxSurge = "25%" } = spec.strategy?.rollingUpdate ?? {};
    w.line(0, `RollingUpdateStrategy:\t${maxUnavailable} max unavailable, ${maxSurge} max surge`);
  }
  templateLines(w, spec.template);
  conditionLines(w, object);
  if (sets === undefined) return;
  w.line(0, `OldReplicaSets:\t${sets.old}`);
  w.line(0, `NewReplicaSet:\t${sets.new}`);
}

export function replicaSetLines(
  w: TabWriter,
  object: ReplicaSet | ReplicationController,
  pods: readonly Pod[],
): void {
  const isSet = object.kind === "ReplicaSet";
  head(w, object);
  w.line(
    0,
    `Selector:\t${isSet ? selectorText(object.spec.selector) || "<none>" : mapText(object.spec.selector)}`,
  );
  marks(w, object);
  if (isSet) controlledBy(w, object);
  w.line(0, `Replicas:\t${countsOf(object).replicas ?? 0} current / ${object.spec.replicas ?? 1} desired`);
  w.line(0, `Pods Status:\t${phasesText(object, pods)}`);
  templateLines(w, object.spec.template);
  conditionLines(w, object);
}

export function statefulSetLines(w: TabWriter, object: StatefulSet, pods: readonly Pod[]): void {
  const { spec, metadata } = object;
  head(w, object);
  w.line(0, `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`);
  w.line(0, `Selector:\t${selectorText(spec.selector)}`);
  marks(w, object);
  w.line(0, `Replicas:\t${spec.replicas ?? 1} desired | ${countsOf(object).replicas ?? 0} total`);
  const { type = "RollingUpdate", rollingUpdate } = spec.updateStrategy ?? {};
  w.line(0, `Update Strategy:\t${type}`);
  if (rollingUpdate?.partition !== undefined) w.line(1, `Partition:\t${rollingUpdate.partition}`);
  w.line(0, `Pods Status:\t${phasesText(object, pods)}`);
  templateLines(w, spec.template);
  w.line(0, `Volume Claims:\t${(spec.volumeClaimTemplates ?? []).length === 0 ? "<none>" : ""}`);
  for (const { metadata: claim } of spec.volumeClaimTemplates ?? []) w.line(1, `Name:\t${claim?.name}`);
}

export function daemonSetLines(w: TabWriter, object: DaemonSet, pods: readonly Pod[]): void {
  const { spec } = object;
  const status = countsOf(object);
  w.line(0, `Name:\t${object.metadata.name}`); // and, as kubectl has it, no namespace
  w.line(0, `Selector:\t${selectorText(spec.selector)}`);
  w.line(0, `Node-Selector:\t${mapText(spec.template.spec?.nodeSelector)}`);
  marks(w, object);
  const numbers = [
    ["Desired Number of Nodes Scheduled", status.desiredNumberScheduled],
    ["Current Number of Nodes Scheduled", status.currentNumberScheduled],
    ["Number of Nodes Scheduled with Up-to-date Pods", status.updatedNumberScheduled],
    ["Number of Nodes Scheduled with Available Pods", status.numberAvailable],
    ["Number of Nodes Misscheduled", status.numberMisscheduled],
  ] as const;
  for (const [title, number = 0] of numbers) w.line(0, `${title}: ${number}`);
  w.line(0, `Pods Status:\t${phasesText(object, pods)}`);
  templateLines(w, spec.template);
}

export function jobLines(w: TabWriter, object: Job): void {
  const { spec, status } = object;
  head(w, object);
  w.line(0, `Selector:\t${selectorText(spec.selector)}`);
  marks(w, object);
  controlledBy(w, object);
  w.line(0, `Parallelism:\t${spec.parallelism ?? 1}`);
  w.line(0, `Completions:\t${spec.completions ?? "<unset>"}`);
  w.line(0, `Completion Mode:\t${spec.completionMode ?? "NonIndexed"}`);
  w.line(0, `Suspend:\t${spec.suspend ?? false}`);
  w.line(0, `Backoff Limit:\t${spec.backoffLimit ?? 6}`);
  const { ttlSecondsAfterFinished: ttl, activeDeadlineSeconds: deadline } = spec;
  if (ttl !== undefined) w.line(0, `TTL Seconds After Finished:\t${ttl}`);
  const { startTime, completionTime } = status ?? {};
  if (startTime !== undefined) w.line(0, `Start Time:\t${timeText(startTime)}`);
  if (completionTime !== undefined) w.line(0, `Completed At:\t${timeText(completionTime)}`);
  if (startTime !== undefined && completionTime !== undefined)
    w.line(0, `Duration:\t${formatAge(Date.parse(completionTime) - Date.parse(startTime))}`);
  if (deadline !== undefined) w.line(0, `Active Deadline Seconds:\t${deadline}s`);
  const {
    active = 0,
    ready,
    succeeded = 0,
    failed = 0,
    completedIndexes = "",
  } = (status ?? {}) as Record<string, never>;
  const readyText = ready === undefined ? "" : ` (${ready} Ready)`;
  w.line(0, `Pods Statuses:\t${active} Active${readyText} / ${succeeded} Succeeded / ${failed} Failed`);
  if (spec.completionMode === "Indexed") w.line(0, `Completed Indexes:\t${completedIndexes || "<none>"}`);
  templateLines(w, spec.template);
}

interface CronJob extends KubeObject {
  spec: {
    schedule: string;
    concurrencyPolicy?: string;
    suspend?: boolean;
    timeZone?: string;
    successfulJobsHistoryLimit?: number;
    failedJobsHistoryLimit?: number;
    startingDeadlineSeconds?: number;
    jobTemplate: { spec?: Partial<Job["spec"]> };
  };
  status?: { lastScheduleTime?: string; active?: { name?: string }[] };
}

const UNSET = "<unset>";

export function cronJobLines(w: TabWriter, object: KubeObject): void {
  const { spec, status } = object as CronJob;
  const deadline = spec.startingDeadlineSeconds;
  head(w, object);
  marks(w, object);
  w.line(0, `Schedule:\t${spec.schedule}`);
  w.line(0, `Concurrency Policy:\t${spec.concurrencyPolicy ?? "Allow"}`);
  w.line(0, `Suspend:\t${spec.suspend === true ? "True" : spec.suspend === false ? "False" : UNSET}`);
  w.line(0, `Time Zone:\t${spec.timeZone ?? UNSET}`);
  w.line(0, `Successful Job History Limit:\t${spec.successfulJobsHistoryLimit ?? UNSET}`);
  w.line(0, `Failed Job History Limit:\t${spec.failedJobsHistoryLimit ?? UNSET}`);
  w.line(0, `Starting Deadline Seconds:\t${deadline === undefined ? UNSET : `${deadline}s`}`);
  const job = spec.jobTemplate.spec ?? {};
  w.line(0, `Selector:\t${job.selector === undefined ? UNSET : selectorText(job.selector)}`);
  w.line(0, `Parallelism:\t${job.parallelism ?? UNSET}`);
  w.line(0, `Completions:\t${job.completions ?? UNSET}`);
  if (job.activeDeadlineSeconds !== undefined)
    w.line(0, `Active Deadline Seconds:\t${job.activeDeadlineSeconds}s`);
  templateLines(w, job.template);
  const { lastScheduleTime, active = [] } = status ?? {};
  w.line(0, `Last Schedule Time:\t${lastScheduleTime === undefined ? UNSET : timeText(lastScheduleTime)}`);
  w.line(0, `Active Jobs:\t${active.map(({ name }) => name).join(", ") || "<none>"}`);
}

function conditionLines(w: TabWriter, object: KubeObject): void {
  const { conditions = [] } = (object as { status?: { conditions?: Condition[] } }).status ?? {};
  if (conditions.length === 0) return;
  w.line(0, "Conditions:\n  Type\tStatus\tReason");
  w.line(1, "----\t------\t------");
  for (const { type, status, reason } of conditions) w.line(1, `${type} \t${status}\t${reason ?? ""}`);
}

function phasesText({ metadata }: KubeObject, pods: readonly Pod[]): string {
  const own = pods.filter((pod) =>
    pod.metadata.ownerReferences?.some((each) => each.controller === true && each.uid === metadata.uid),
  );
  const count = (phase: string): number =>
    own.filter(({ status }) => (status.phase ?? "Pending") === phase).length;
  const [running, waiting, succeeded, failed] = ["Running", "Pending", "Succeeded", "Failed"].map(count);
  return `${running} Running / ${waiting} Waiting / ${succeeded} Succeeded / ${failed} Failed`;
}
