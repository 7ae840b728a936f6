// How far a Job is: its pods by what became of them, its indexes, and whether that is its end. As the job controller of
// kube-controller-manager judges it, but that pods count as long as they are there: nobody keeps count of others.
import type { Job, Pod } from "../../../kube/objects.ts";
import { isFinished, isTerminating } from "../scheduler.ts";
import { meaningOf } from "./failure-policy.ts";
import { countIn, FAILURES, indexesIn, indexOf } from "./indexes.ts";

export interface Ending {
  readonly type: "Complete" | "Failed";
  readonly reason: string;
  readonly message: string;
}

export interface Progress {
  readonly active: readonly Pod[];
  readonly terminating: readonly Pod[];
  readonly succeeded: readonly Pod[];
  /** Those that count. */
  readonly failed: readonly Pod[];
  /** All that have failed, those that do not count too. */
  readonly allFailed: readonly Pod[];
  /** Of an indexed Job. */
  readonly doneIndexes: ReadonlySet<number>;
  readonly failedIndexes: ReadonlySet<number>;
}

type Spec = Job["spec"] & {
  backoffLimitPerIndex?: number;
  maxFailedIndexes?: number;
  podReplacementPolicy?: string;
  managedBy?: string;
  successPolicy?: { rules?: readonly { succeededIndexes?: string; succeededCount?: number }[] };
};

export const specOf = ({ spec }: Job): Spec => spec as Spec;
export const isIndexed = ({ spec }: Job): boolean => spec.completionMode === "Indexed";
/** Pods are made anew when they have failed, not when they are about to end. */
export const waitsForEnd = (job: Job): boolean =>
  (specOf(job).podReplacementPolicy ?? (job.spec.podFailurePolicy === undefined ? "" : "Failed")) ===
  "Failed";

export function progressOf(job: Job, pods: readonly Pod[]): Progress {
  const succeeded = pods.filter(({ status }) => status.phase === "Succeeded");
  const allFailed = pods.filter(({ status }) => status.phase === "Failed");
  const failed = allFailed.filter((pod) => meaningOf(job, pod).action !== "Ignore");
  const { completions = 0 } = job.spec;
  const within = (of: readonly Pod[]): number[] => of.map(indexOf).filter((i) => i >= 0 && i < completions);
  const status = (job.status ?? {}) as { failedIndexes?: string };
  const failing = allFailed.filter((pod) => endsIndex(job, pod));
  const failedIndexes = new Set([...indexesIn(status.failedIndexes ?? "", completions), ...within(failing)]);
  return {
    active: pods.filter((pod) => !isFinished(pod) && !isTerminating(pod)),
    terminating: pods.filter((pod) => !isFinished(pod) && isTerminating(pod)),
    ...{ succeeded, failed, allFailed, failedIndexes },
    doneIndexes: new Set(within(succeeded)),
  };
}

function endsIndex(job: Job, pod: Pod): boolean {
  const { backoffLimitPerIndex: limit } = specOf(job);
  if (limit === undefined) return false;
  const { action } = meaningOf(job, pod);
  return action === "FailIndex" || (action !== "Ignore" && countIn(pod, FAILURES) >= limit);
}

/** So many have come to a good end. */
export function successesOf(job: Job, { succeeded, doneIndexes }: Progress): number {
  return isIndexed(job) ? doneIndexes.size : succeeded.length;
}

/** Undefined: it goes on. */
export function endOf(job: Job, progress: Progress, isPastDeadline: boolean): Ending | undefined {
  return before(job) ?? failureOf(job, progress, isPastDeadline) ?? successOf(job, progress);
}

/** What was decided already, while pods were still there. */
function before({ status }: Job): Ending | undefined {
  const was = (type: string) =>
    status?.conditions?.find((each) => each.type === type && each.status === "True");
  const met = was("SuccessCriteriaMet");
  const target = was("FailureTarget");
  if (met !== undefined) return ending("Complete", met.reason, met.message);
  return target === undefined ? undefined : ending("Failed", target.reason, target.message);
}

const ending = (type: Ending["type"], reason = "", message = ""): Ending => ({ type, reason, message });

function failureOf(job: Job, progress: Progress, isPastDeadline: boolean): Ending | undefined {
  const { backoffLimit = 6, template } = job.spec;
  const { backoffLimitPerIndex, maxFailedIndexes, completions = 0 } = specOf(job);
  const { failed, allFailed, failedIndexes, doneIndexes } = progress;
  const message = allFailed.map((pod) => meaningOf(job, pod).message).find((text) => text !== undefined);
  if (message !== undefined) return ending("Failed", "PodFailurePolicy", message);
  const restarts = template.spec?.restartPolicy === "OnFailure" ? restartsOf(progress.active) : 0;
  const isBeyond = failed.length > backoffLimit || (restarts > 0 && restarts >= backoffLimit);
  if (isBeyond)
    return ending("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
  if (isPastDeadline)
    return ending("Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
  if (backoffLimitPerIndex === undefined || !isIndexed(job)) return undefined;
  if (maxFailedIndexes !== undefined && failedIndexes.size > maxFailedIndexes) {
    const what = "Job has exceeded the specified maximal number of failed indexes";
    return ending("Failed", "MaxFailedIndexesExceeded", what);
  }
  const isOver = failedIndexes.size > 0 && failedIndexes.size + doneIndexes.size >= completions;
  return isOver ? ending("Failed", "FailedIndexes", "Job has failed indexes") : undefined;
}

function successOf(job: Job, progress: Progress): Ending | undefined {
  const { completions, successPolicy } = specOf(job);
  const { doneIndexes, succeeded, active } = progress;
  for (const [i, rule] of isIndexed(job) ? (successPolicy?.rules ?? []).entries() : []) {
    const { succeededIndexes, succeededCount } = rule;
    const wanted = succeededIndexes === undefined ? undefined : indexesIn(succeededIndexes, completions ?? 0);
    const done = [...doneIndexes].filter((index) => wanted?.has(index) ?? true).length;
    const isMet =
      done >= Math.min(succeededCount ?? Number.POSITIVE_INFINITY, wanted?.size ?? Number.POSITIVE_INFINITY);
    if (done > 0 && isMet) return ending("Complete", "SuccessPolicy", `Matched rules at index ${i}`);
  }
  const isDone =
    completions === undefined
      ? succeeded.length > 0 && active.length === 0
      : successesOf(job, progress) >= completions && active.length === 0;
  if (!isDone) return undefined;
  return ending("Complete", "CompletionsReached", "Reached expected number of succeeded pods");
}

function restartsOf(pods: readonly Pod[]): number {
  const all = pods.flatMap(({ status }) => [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []),
  ]);
  return all.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

/** When its last container ended; 0: nobody knows. */
export function endMs({ status }: Pod): number {
  const ends = (status.containerStatuses ?? []).map((c) => Date.parse(c.state?.terminated?.finishedAt ?? ""));
  return Math.max(0, ...ends.filter((ms) => !Number.isNaN(ms)));
}
