// Job → pods that run to an end: so many successes, so many at a time, with a limit of failures, also one for each index.
// What a lab leaves out: backoffLimitPerIndex, podFailurePolicy, successPolicy, managedBy (docs/fields.md).
import { type Job, keyOf, type LabelSelector, type Pod } from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import type { Clock } from "./due.ts";
import { isReady } from "./scheduler.ts";
import { freePodNames, isActive, type PodActions, podFrom, WorkloadController } from "./workload.ts";

const UID_LABEL = "batch.kubernetes.io/controller-uid";
const NAME_LABEL = "batch.kubernetes.io/job-name";
const INDEX = "batch.kubernetes.io/job-completion-index";
const RETRY_FIRST_MS = 10_000; // doubled with each failure, as the controller of a cluster does
const RETRY_MAX_MS = 600_000;

type Status = NonNullable<Job["status"]>;

export class JobController extends WorkloadController<Job> {
  constructor(store: Store, actions: PodActions, clock: Clock) {
    super("Job", store, actions, clock);
  }

  protected selectorOf(job: Job): LabelSelector | undefined {
    return job.spec.selector ?? { matchLabels: { [UID_LABEL]: job.metadata.uid ?? "" } };
  }

  protected sync(job: Job, pods: readonly Pod[]): void {
    const { spec } = job;
    if (spec.selector === undefined) {
      this.store.put({ ...job, spec: { ...spec, selector: this.selectorOf(job) } } as Job);
      return; // and again, with what an API server would have filled in
    }
    if (finishOf(job) !== undefined) {
      this.#finished(job, pods);
      return;
    }
    const counts = count(pods);
    const started = job.status?.startTime ?? this.clock.time(this.clock.nowMs());
    const startMs = Date.parse(started);
    const ending = this.#endOf(job, pods, counts, startMs);
    if (ending !== undefined) {
      this.#tellEnd(job, ending);
      for (const pod of pods) if (isActive(pod)) this.actions.delete(pod);
    } else if (spec.suspend === true) {
      for (const pod of counts.active) this.actions.delete(pod);
    } else this.#run(job, pods, counts);
    const after = this.store.get<Job>("Job", keyOf(job));
    if (after !== undefined) this.#report(after, pods, ending, started);
  }

  #tellEnd(object: Job, { type, reason, message }: Ending): void {
    const told =
      type === "Complete"
        ? ({ reason: "Completed", message: "Job completed" } as const)
        : ({ reason, message, type: "Warning" } as const);
    this.actions.tell({ object, component: "job-controller", ...told });
  }

  #endOf(job: Job, pods: readonly Pod[], counts: Counts, startMs: number): Ending | undefined {
    const { spec } = job;
    const { backoffLimit = 6, activeDeadlineSeconds } = spec;
    const restarts = spec.template.spec?.restartPolicy === "OnFailure" ? restartsOf(counts.active) : 0;
    if (counts.failed.length + restarts > backoffLimit) {
      const message = "Job has reached the specified backoff limit";
      return { type: "Failed", reason: "BackoffLimitExceeded", message };
    }
    if (activeDeadlineSeconds !== undefined && spec.suspend !== true) {
      const end = startMs + activeDeadlineSeconds * 1000;
      const message = "Job was active longer than specified deadline";
      if (this.clock.nowMs() >= end) return { type: "Failed", reason: "DeadlineExceeded", message };
      this.lookAgain(job, end);
    }
    const done =
      spec.completions === undefined
        ? counts.succeeded.length > 0 && pods.every((pod) => !isActive(pod))
        : succeededOf(job, counts) >= spec.completions;
    if (!done) return undefined;
    return {
      type: "Complete",
      reason: "CompletionsReached",
      message: "Reached expected number of succeeded pods",
    };
  }

  #run(job: Job, pods: readonly Pod[], counts: Counts): void {
    const { completions, parallelism = 1 } = job.spec;
    const { active } = counts;
    const left = completions === undefined ? parallelism : completions - succeededOf(job, counts);
    const wanted =
      completions === undefined && counts.succeeded.length > 0 ? active.length : Math.min(parallelism, left);
    for (const pod of active.slice(wanted)) this.actions.delete(pod);
    if (active.length >= wanted || this.#backsOff(job, counts)) return;
    const indexes = job.spec.completionMode === "Indexed" ? freeIndexes(job, pods) : undefined;
    const names = freePodNames(this.store, job, job.metadata.name);
    for (let i = 0; i < wanted - active.length; i++) {
      const pod = indexes === undefined ? this.#makePod(job, names) : this.#makeIndexed(job, indexes[i]);
      if (this.actions.create(pod) !== undefined) return; // the others as well
    }
  }

  /** After a failure the next pod waits: 10 s, 20 s, 40 s … */
  #backsOff(job: Job, { failed, succeeded }: Counts): boolean {
    const ends = failed.map(endMs);
    const last = Math.max(0, ...ends);
    const inRow = failed.filter((pod) => succeeded.every((each) => endMs(each) <= endMs(pod))).length;
    if (inRow === 0 || last === 0) return false;
    const at = last + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (inRow - 1));
    if (at <= this.clock.nowMs()) return false;
    this.lookAgain(job, at);
    return true;
  }

  #makePod(job: Job, names: Generator<string, never>): Pod {
    return podFrom(job, job.spec.template, { name: names.next().value, labels: identityOf(job) });
  }

  #makeIndexed(job: Job, index: number): Pod {
    const { name } = job.metadata;
    const withIndex = { name: "JOB_COMPLETION_INDEX", value: `${index}` };
    const containers = (job.spec.template.spec?.containers ?? []).map((container) => ({
      ...container,
      env: [...(container.env ?? []), withIndex],
    }));
    return podFrom(job, job.spec.template, {
      name: freePodNames(this.store, job, `${name}-${index}`).next().value,
      labels: { ...identityOf(job), [INDEX]: `${index}` },
      annotations: { [INDEX]: `${index}` },
      spec: { containers, hostname: `${name}-${index}` },
    });
  }

  #report(job: Job, pods: readonly Pod[], ending: Ending | undefined, startTime: string): void {
    const now = this.clock.time(this.clock.nowMs());
    const { active, succeeded, failed } = count(
      pods.map((pod) => this.store.get<Pod>("Pod", keyOf(pod)) ?? pod),
    );
    const suspended = job.spec.suspend === true;
    const others = (job.status?.conditions ?? []).filter(
      ({ type }) => type !== "Suspended" && type !== ending?.type,
    );
    const wasSuspended = job.status?.conditions?.find(({ type }) => type === "Suspended");
    const change = { lastProbeTime: now, lastTransitionTime: now };
    const suspension = {
      type: "Suspended",
      status: "True",
      reason: "JobSuspended",
      message: "Job suspended",
    };
    const status: Status = {
      active: active.length,
      ready: active.filter(isReady).length,
      succeeded: succeeded.length,
      failed: failed.length,
      ...(suspended ? {} : { startTime }),
      ...(ending?.type === "Complete" ? { completionTime: now } : {}),
      ...(job.spec.completionMode === "Indexed"
        ? { completedIndexes: indexText(doneIndexes(succeeded)) }
        : {}),
      conditions: [
        ...others,
        ...(suspended ? [wasSuspended ?? { ...suspension, ...change }] : []),
        ...(ending === undefined ? [] : [{ ...ending, status: "True", ...change }]),
      ],
    };
    this.writeStatus(job, status);
  }

  #finished(job: Job, pods: readonly Pod[]): void {
    const active = pods.filter(isActive);
    for (const pod of active) this.actions.delete(pod);
    if ((job.status?.active ?? 0) !== 0) this.writeStatus(job, { active: 0, ready: 0 });
    const { ttlSecondsAfterFinished: ttl } = job.spec;
    if (ttl === undefined) return;
    const at = Date.parse(finishOf(job)?.lastTransitionTime ?? "") + ttl * 1000;
    if (at <= this.clock.nowMs()) this.store.remove("Job", keyOf(job));
    else this.lookAgain(job, at);
  }
}

interface Ending {
  readonly type: "Complete" | "Failed";
  readonly reason: string;
  readonly message: string;
}

interface Counts {
  readonly active: readonly Pod[];
  readonly succeeded: readonly Pod[];
  readonly failed: readonly Pod[];
}

/** By which its pods are known. */
function identityOf({ metadata: { name, uid = "" } }: Job): Record<string, string> {
  return { [UID_LABEL]: uid, "controller-uid": uid, [NAME_LABEL]: name, "job-name": name };
}

function count(pods: readonly Pod[]): Counts {
  return {
    active: pods.filter(isActive),
    succeeded: pods.filter(({ status }) => status.phase === "Succeeded"),
    failed: pods.filter(({ status }) => status.phase === "Failed"),
  };
}

/** The condition that says how a Job has ended. */
export function finishOf(
  job: Job,
): { type: string; lastTransitionTime?: string; reason?: string } | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => status === "True" && (type === "Complete" || type === "Failed"),
  );
}

function succeededOf(job: Job, { succeeded }: Counts): number {
  return job.spec.completionMode === "Indexed" ? doneIndexes(succeeded).length : succeeded.length;
}

function indexOf(pod: Pod): number {
  return Number(pod.metadata.annotations?.[INDEX] ?? -1);
}

function doneIndexes(succeeded: readonly Pod[]): number[] {
  return [...new Set(succeeded.map(indexOf))].filter((index) => index >= 0).sort((a, b) => a - b);
}

/** Indexes that neither succeeded nor are at work, the lowest first. */
function freeIndexes(job: Job, pods: readonly Pod[]): number[] {
  const taken = new Set(pods.filter((pod) => isActive(pod) || pod.status.phase === "Succeeded").map(indexOf));
  return Array.from({ length: job.spec.completions ?? 0 }, (_, i) => i).filter((i) => !taken.has(i));
}

/** "0-2,5", as a Job's status has it. */
function indexText(indexes: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const index of indexes) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else runs.push([index, index]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : b === a + 1 ? `${a},${b}` : `${a}-${b}`)).join(",");
}

function restartsOf(pods: readonly Pod[]): number {
  const all = pods.flatMap(({ status }) => status.containerStatuses ?? []);
  return all.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function endMs({ status }: Pod): number {
  const ends = (status.containerStatuses ?? []).map((c) => Date.parse(c.state?.terminated?.finishedAt ?? ""));
  return Math.max(0, ...ends.filter((ms) => !Number.isNaN(ms)));
}
