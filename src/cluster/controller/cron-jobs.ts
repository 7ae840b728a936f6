// CronJob → Jobs, at the times of its schedule: as kube-controller-manager's cronjob controller does it. Times come by
// `tick`; several that were missed make one Job, for the last of them.
import { lastTime, nextTime } from "../../kube/cron-schedule.ts";
import { type CronJob, type Job, keyOf } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { Agenda, type Clock } from "./due.ts";
import { finishOf } from "./jobs.ts";
import type { PodActions } from "./told-actions.ts";
import { controllerOf, ownerReference } from "./workload.ts";

const COMPONENT = "cronjob-controller";
const SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp";
const SUCCESSES_DEFAULT = 3;
const FAILURES_DEFAULT = 1;

type Active = { apiVersion: string; kind: string; name: string; namespace: string; uid: string };

export class CronJobController {
  readonly #store: Store;
  readonly #actions: PodActions;
  readonly #clock: Clock;
  readonly #agenda: Agenda;

  constructor(store: Store, actions: PodActions, clock: Clock) {
    this.#store = store;
    this.#actions = actions;
    this.#clock = clock;
    this.#agenda = new Agenda("CronJob", store, clock);
  }

  onEvent({ object }: StoreEvent): void {
    if (object.kind === "CronJob") this.#agenda.mark(keyOf(object));
    if (object.kind !== "Job") return;
    const owner = controllerOf(object);
    if (owner?.kind === "CronJob") this.#agenda.mark(`${object.metadata.namespace}/${owner.name}`);
  }

  settle(): void {
    this.#agenda.settle();
  }

  tick(): boolean {
    return this.#agenda.tick();
  }

  reconcile(): boolean {
    return this.#agenda.work((key) => this.#reconcileOne(key));
  }

  #reconcileOne(key: string): void {
    const cron = this.#store.get<CronJob>("CronJob", key);
    const jobs = this.#jobsOf(key);
    if (cron === undefined) {
      this.#agenda.forget(key);
      for (const job of jobs) this.#store.remove("Job", keyOf(job));
      return;
    }
    if (cron.metadata.deletionTimestamp !== undefined) return;
    this.#clearHistory(cron, jobs);
    const status = this.#statusOf(cron, jobs);
    const next = this.#start(cron, status);
    this.#write(key, next);
  }

  #jobsOf(key: string): Job[] {
    const [namespace, name] = key.split("/");
    return this.#store.list<Job>("Job", namespace).filter((job) => {
      const owner = controllerOf(job);
      return owner?.kind === "CronJob" && owner.name === name;
    });
  }

  /** Finished Jobs beyond the limits go, the oldest first. */
  #clearHistory({ spec }: CronJob, jobs: readonly Job[]): void {
    const limits = [
      ["Complete", spec.successfulJobsHistoryLimit ?? SUCCESSES_DEFAULT],
      ["Failed", spec.failedJobsHistoryLimit ?? FAILURES_DEFAULT],
    ] as const;
    for (const [type, limit] of limits) {
      const ended = jobs
        .filter((job) => finishOf(job)?.type === type)
        .sort((a, b) => startMs(a) - startMs(b));
      for (const job of ended.slice(0, Math.max(0, ended.length - limit)))
        this.#store.remove("Job", keyOf(job));
    }
  }

  /** Which Jobs run, and when one succeeded last; what has ended is told once. */
  #statusOf(cron: CronJob, jobs: readonly Job[]): CronStatus {
    const before = cron.status?.active ?? [];
    const running = jobs.filter((job) => finishOf(job) === undefined);
    for (const { uid, name } of before) {
      const job = jobs.find(({ metadata }) => metadata.uid === uid);
      const end = job === undefined ? undefined : finishOf(job);
      if (job === undefined) this.#tell(cron, "MissingJob", `Active job went missing: ${name}`);
      else if (end !== undefined)
        this.#tell(cron, "SawCompletedJob", `Saw completed job: ${name}, condition: ${end.type}`);
    }
    const ends = jobs
      .filter((job) => finishOf(job)?.type === "Complete")
      .map((job) => job.status?.completionTime ?? "");
    const [lastEnd = ""] = ends.sort().reverse();
    const { lastScheduleTime, lastSuccessfulTime = "" } = cron.status ?? {};
    const lastSuccess = lastEnd > lastSuccessfulTime ? lastEnd : lastSuccessfulTime;
    return {
      active: running.map(reference),
      ...(lastScheduleTime === undefined ? {} : { lastScheduleTime }),
      ...(lastSuccess === "" ? {} : { lastSuccessfulTime: lastSuccess }),
    };
  }

  /** The Job of the last time of the schedule, if there is one to be made. */
  #start(cron: CronJob, status: CronStatus): CronStatus {
    const { schedule, timeZone, suspend, startingDeadlineSeconds: deadline, concurrencyPolicy } = cron.spec;
    if (suspend === true) return status;
    const nowMs = this.#clock.nowMs();
    this.#agenda.markAt(keyOf(cron), nextTime(schedule, timeZone, nowMs));
    const since = Date.parse(status.lastScheduleTime ?? cron.metadata.creationTimestamp ?? "") || nowMs;
    const sinceMs = deadline === undefined ? since : Math.max(since, nowMs - deadline * 1000);
    const missed = lastTime(schedule, timeZone, { sinceMs, nowMs });
    if (missed === undefined) return status;
    if (missed.isTooMany)
      this.#tell(
        cron,
        "TooManyMissedTimes",
        "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
        "Warning",
      );
    const job = jobFor(cron, missed.atMs, this.#clock.time(missed.atMs));
    if (this.#store.get("Job", keyOf(job)) !== undefined) return status;
    if (concurrencyPolicy === "Forbid" && status.active.length > 0) {
      const why = "Not starting job because prior execution is running and concurrency policy is Forbid";
      this.#tell(cron, "JobAlreadyActive", why);
      return status;
    }
    if (concurrencyPolicy === "Replace") this.#replace(cron, status.active);
    this.#store.put(job);
    this.#tell(cron, "SuccessfulCreate", `Created job ${job.metadata.name}`);
    const made = this.#store.get<Job>("Job", keyOf(job)) as Job;
    const kept = concurrencyPolicy === "Replace" ? [] : status.active;
    return { ...status, active: [...kept, reference(made)], lastScheduleTime: this.#clock.time(missed.atMs) };
  }

  #replace(cron: CronJob, active: readonly Active[]): void {
    for (const { name, namespace } of active) {
      this.#store.remove("Job", `${namespace}/${name}`);
      this.#tell(cron, "SuccessfulDelete", `Deleted job ${name}`);
    }
  }

  #write(key: string, status: CronStatus): void {
    const stored = this.#store.get<CronJob>("CronJob", key);
    if (stored !== undefined) this.#store.put({ ...stored, status } as CronJob);
  }

  #tell(object: CronJob, reason: string, message: string, type: "Normal" | "Warning" = "Normal"): void {
    this.#actions.tell({ object, reason, message, component: COMPONENT, type });
  }
}

interface CronStatus {
  readonly active: Active[];
  readonly lastScheduleTime?: string;
  readonly lastSuccessfulTime?: string;
}

function reference({ metadata }: Job): Active {
  const { name, namespace = "", uid = "" } = metadata;
  return { apiVersion: "batch/v1", kind: "Job", name, namespace, uid };
}

/** Its name holds the minute, so that one time makes one Job. */
function jobFor(cron: CronJob, atMs: number, time: string): Job {
  const { metadata, spec } = structuredClone(cron.spec.jobTemplate);
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: `${cron.metadata.name}-${Math.floor(atMs / 60_000)}`,
      namespace: cron.metadata.namespace as string,
      ...(metadata?.labels === undefined ? {} : { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [SCHEDULED]: time },
      ownerReferences: [ownerReference(cron)],
    },
    spec: spec as Job["spec"],
  };
}

function startMs(job: Job): number {
  return Date.parse(job.status?.startTime ?? job.metadata.creationTimestamp ?? "") || 0;
}
