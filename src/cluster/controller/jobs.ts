// Job → pods that run to an end: so many successes, so many at a time, with a limit of failures, also one for each index.
import { type Job, keyOf, type LabelSelector, type Pod } from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import type { Clock } from "./due.ts";
import { meaningOf } from "./job/failure-policy.ts";
import { countIn, FAILURES, IGNORED_FAILURES, INDEX, indexOf, indexText } from "./job/indexes.ts";
import {
  type Ending,
  endMs,
  endOf,
  isIndexed,
  type Progress,
  progressOf,
  specOf,
  successesOf,
  waitsForEnd,
} from "./job/progress.ts";
import { isReady } from "./scheduler.ts";
import { freePodNames, isActive, type PodActions, podFrom, WorkloadController } from "./workload.ts";

const UID_LABEL = "batch.kubernetes.io/controller-uid";
const NAME_LABEL = "batch.kubernetes.io/job-name";
const OURS = "kubernetes.io/job-controller";
const RETRY_FIRST_MS = 10_000; // doubled with each failure, as the controller of a cluster does
const RETRY_MAX_MS = 600_000;

type Status = NonNullable<Job["status"]>;
type Condition = NonNullable<Status["conditions"]>[number];

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
    const isOurs = (specOf(job).managedBy ?? OURS) === OURS;
    if (finishOf(job) !== undefined) {
      this.#finished(job, pods, isOurs);
      return;
    }
    if (!isOurs) return; // somebody else looks after it
    const progress = progressOf(job, pods);
    const wasSuspended = job.status?.conditions?.some(
      ({ type, status }) => type === "Suspended" && status === "True",
    );
    const isResumed = wasSuspended === true && spec.suspend !== true;
    const now = this.clock.time(this.clock.nowMs());
    const started = isResumed ? now : (job.status?.startTime ?? now);
    const ending = endOf(job, progress, this.#isPastDeadline(job, Date.parse(started)));
    if (ending !== undefined || spec.suspend === true) {
      for (const pod of progress.active) this.actions.delete(pod);
    } else this.#run(job, progress);
    const after = this.store.get<Job>("Job", keyOf(job));
    if (after !== undefined) this.#report(after, pods, ending, spec.suspend === true ? undefined : started);
  }

  #isPastDeadline(job: Job, startMs: number): boolean {
    const { activeDeadlineSeconds, suspend } = job.spec;
    if (activeDeadlineSeconds === undefined || suspend === true) return false;
    const end = startMs + activeDeadlineSeconds * 1000;
    if (this.clock.nowMs() >= end) return true;
    this.lookAgain(job, end);
    return false;
  }

  #run(job: Job, progress: Progress): void {
    const { completions, parallelism = 1 } = job.spec;
    const { active, terminating } = progress;
    const done = successesOf(job, progress);
    const left = completions === undefined ? parallelism : Math.max(0, completions - done);
    const wanted = completions === undefined && done > 0 ? active.length : Math.min(parallelism, left);
    const surplus = surplusOf(job, active, wanted);
    for (const pod of surplus) this.actions.delete(pod);
    const missing = wanted - active.length - (waitsForEnd(job) ? terminating.length : 0);
    if (surplus.length > 0 || missing <= 0) return;
    const isPerIndex = specOf(job).backoffLimitPerIndex !== undefined;
    if (!isPerIndex && this.#backsOff(job, progress)) return;
    const indexes = isIndexed(job) ? this.#readyIndexes(job, progress, missing, isPerIndex) : undefined;
    const names = freePodNames(this.store, job, job.metadata.name);
    for (let i = 0; i < (indexes?.length ?? missing); i++) {
      const pod =
        indexes === undefined ? this.#makePod(job, names) : this.#makeIndexed(job, indexes[i], progress);
      if (this.actions.create(pod) !== undefined) return; // the others as well
    }
  }

  /** After a failure the next pod waits: 10 s, 20 s, 40 s … */
  #backsOff(job: Job, { allFailed, succeeded }: Progress): boolean {
    const last = Math.max(0, ...allFailed.map(endMs));
    const inRow = allFailed.filter((pod) => succeeded.every((each) => endMs(each) <= endMs(pod))).length;
    return this.#waits(job, last, inRow);
  }

  #waits(job: Job, lastMs: number, failures: number): boolean {
    if (failures === 0 || lastMs === 0) return false;
    const at = lastMs + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
    if (at <= this.clock.nowMs()) return false;
    this.lookAgain(job, at);
    return true;
  }

  /** The lowest that nobody is at, and whose turn it is. */
  #readyIndexes(job: Job, progress: Progress, count: number, isPerIndex: boolean): number[] {
    const free = freeIndexes(job, progress).slice(0, count);
    if (!isPerIndex) return free;
    return free.filter((index) => {
      const last = lastFailure(progress, index);
      if (last === undefined) return true;
      const failures = countIn(last, FAILURES) + countIn(last, IGNORED_FAILURES) + 1;
      return !this.#waits(job, endMs(last), failures);
    });
  }

  #makePod(job: Job, names: Generator<string, never>): Pod {
    return podFrom(job, job.spec.template, { name: names.next().value, labels: identityOf(job) });
  }

  #makeIndexed(job: Job, index: number, progress: Progress): Pod {
    const { name } = job.metadata;
    const { initContainers, containers = [] } = job.spec.template.spec ?? {};
    const init = initContainers === undefined ? {} : { initContainers: initContainers.map(withIndex) };
    return podFrom(job, job.spec.template, {
      name: freePodNames(this.store, job, `${name}-${index}`).next().value,
      labels: { ...identityOf(job), [INDEX]: `${index}` },
      annotations: { [INDEX]: `${index}`, ...failuresBefore(job, progress, index) },
      spec: { ...init, containers: containers.map(withIndex), hostname: `${name}-${index}` },
    });
  }

  #report(job: Job, pods: readonly Pod[], ending: Ending | undefined, startTime: string | undefined): void {
    const nowPods = pods
      .map((pod) => this.store.get<Pod>("Pod", keyOf(pod)))
      .filter((pod) => pod !== undefined);
    const progress = progressOf(job, nowPods);
    const { active, terminating, succeeded, failed, doneIndexes, failedIndexes } = progress;
    const isOver = ending !== undefined && terminating.length === 0 && active.length === 0;
    const conditions = this.#conditions(job, ending, isOver);
    const { startTime: _, ...before } = job.status ?? {};
    const isPerIndex = specOf(job).backoffLimitPerIndex !== undefined;
    const status = {
      ...before,
      active: active.length,
      ready: active.filter(isReady).length,
      terminating: terminating.length,
      succeeded: isIndexed(job) ? doneIndexes.size : succeeded.length,
      failed: failed.length,
      ...(startTime === undefined ? {} : { startTime }),
      ...(isOver && ending.type === "Complete"
        ? { completionTime: this.clock.time(this.clock.nowMs()) }
        : {}),
      ...(isIndexed(job) ? { completedIndexes: indexText(doneIndexes) } : {}),
      ...(isPerIndex ? { failedIndexes: indexText(failedIndexes) } : {}),
      conditions,
    };
    const stored = this.store.get<Job>("Job", keyOf(job));
    if (stored !== undefined) this.store.put({ ...stored, status } as Job);
    if (isOver) this.#tellEnd(job, ending);
  }

  /** What is decided is said at once, that it is over when no pod is left. */
  #conditions(job: Job, ending: Ending | undefined, isOver: boolean): Condition[] {
    const now = this.clock.time(this.clock.nowMs());
    const all = [...(job.status?.conditions ?? [])];
    const set = (type: string, status: string, reason: string, message: string): boolean => {
      const at = all.findIndex((each) => each.type === type);
      if (at < 0 && status === "False") return false;
      if (all[at]?.status === status) return false;
      const made = {
        type,
        status,
        reason,
        message,
        lastProbeTime: now,
        lastTransitionTime: now,
      } as Condition;
      if (at < 0) all.push(made);
      else all[at] = made;
      return true;
    };
    if (ending !== undefined) {
      const { type, reason, message } = ending;
      set(type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget", "True", reason, message);
      if (isOver) set(type, "True", reason, message);
      return all;
    }
    const isSuspended = job.spec.suspend === true;
    const [reason, message] = isSuspended ? ["JobSuspended", "Job suspended"] : ["JobResumed", "Job resumed"];
    if (set("Suspended", isSuspended ? "True" : "False", reason, message)) {
      const told = { reason: isSuspended ? "Suspended" : "Resumed", message };
      this.actions.tell({ object: job, component: "job-controller", ...told });
    }
    return all;
  }

  #tellEnd(object: Job, { type, reason, message }: Ending): void {
    const told =
      type === "Complete"
        ? ({ reason: "Completed", message: "Job completed" } as const)
        : ({ reason, message, type: "Warning" } as const);
    this.actions.tell({ object, component: "job-controller", ...told });
  }

  #finished(job: Job, pods: readonly Pod[], isOurs: boolean): void {
    if (isOurs) {
      for (const pod of pods) if (isActive(pod)) this.actions.delete(pod);
      if ((job.status?.active ?? 0) !== 0) this.writeStatus(job, { active: 0, ready: 0 });
    }
    const { ttlSecondsAfterFinished: ttl } = job.spec;
    if (ttl === undefined) return;
    const at = Date.parse(finishOf(job)?.lastTransitionTime ?? "") + ttl * 1000;
    if (at <= this.clock.nowMs()) this.store.remove("Job", keyOf(job));
    else this.lookAgain(job, at);
  }
}

/** By which its pods are known. */
function identityOf({ metadata: { name, uid = "" } }: Job): Record<string, string> {
  return { [UID_LABEL]: uid, "controller-uid": uid, [NAME_LABEL]: name, "job-name": name };
}

/** The condition that says how a Job has ended. */
export function finishOf(
  job: Job,
): { type: string; lastTransitionTime?: string; reason?: string } | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => status === "True" && (type === "Complete" || type === "Failed"),
  );
}

/** Pods that are one too many: of an index that has another one, or that the Job does not have. */
function surplusOf(job: Job, active: readonly Pod[], wanted: number): Pod[] {
  const { completions = 0 } = job.spec;
  const seen = new Set<number>();
  const odd = active.filter((pod) => {
    const index = indexOf(pod);
    const isOdd = isIndexed(job) && (index < 0 || index >= completions || seen.has(index));
    seen.add(index);
    return isOdd;
  });
  const rest = active.filter((pod) => !odd.includes(pod));
  return [...odd, ...rest.slice(wanted)];
}

/** Indexes that neither have ended nor are at work, the lowest first. */
function freeIndexes(job: Job, { active, terminating, doneIndexes, failedIndexes }: Progress): number[] {
  const taken = new Set([...active, ...(waitsForEnd(job) ? terminating : [])].map(indexOf));
  const all = Array.from({ length: job.spec.completions ?? 0 }, (_, i) => i);
  return all.filter((i) => !taken.has(i) && !doneIndexes.has(i) && !failedIndexes.has(i));
}

/** Of an index the failed pod with the longest history. */
function lastFailure({ allFailed }: Progress, index: number): Pod | undefined {
  const count = (pod: Pod): number => countIn(pod, FAILURES) + countIn(pod, IGNORED_FAILURES);
  const own = allFailed.filter((pod) => indexOf(pod) === index);
  return own.sort((a, b) => count(b) - count(a) || endMs(b) - endMs(a))[0];
}

/** How often its index has failed, for the next pod to know. */
function failuresBefore(job: Job, progress: Progress, index: number): Record<string, string> {
  if (specOf(job).backoffLimitPerIndex === undefined) return {};
  const last = lastFailure(progress, index);
  const isIgnored = last !== undefined && meaningOf(job, last).action === "Ignore";
  const before = last === undefined ? [0, 0] : [countIn(last, FAILURES), countIn(last, IGNORED_FAILURES)];
  const [counted, ignored] =
    last === undefined ? before : isIgnored ? [before[0], before[1] + 1] : [before[0] + 1, before[1]];
  return { [FAILURES]: `${counted}`, ...(ignored === 0 ? {} : { [IGNORED_FAILURES]: `${ignored}` }) };
}

const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";

function withIndex<T extends { env?: readonly { name: string }[] }>(container: T): T {
  const { env = [] } = container;
  if (env.some(({ name }) => name === INDEX_VARIABLE)) return container;
  const fieldPath = `metadata.labels['${INDEX}']`;
  return { ...container, env: [...env, { name: INDEX_VARIABLE, valueFrom: { fieldRef: { fieldPath } } }] };
}
