// CronJob, as ValidateCronJob (pkg/apis/batch/validation) refuses it.
import { isTimeZone, scheduleProblem } from "../cron-schedule.ts";
import { FieldProblems } from "../manifest/field-problems.ts";
import type { CronJob, Job } from "../objects.ts";
import * as names from "./names.ts";
import { validateJob } from "./workloads.ts";

const NAME_MAX = 52; // the Job's name gets the time behind it

export function validateCronJob(cron: CronJob, problems: FieldProblems): void {
  const { metadata, spec } = cron;
  if (metadata.name.length > NAME_MAX)
    problems.invalid(["metadata", "name"], metadata.name, `must be no more than ${NAME_MAX} characters`);
  validateSchedule(spec, problems);
  names.checkNonNegative(problems, ["spec", "startingDeadlineSeconds"], spec.startingDeadlineSeconds);
  names.checkNonNegative(problems, ["spec", "successfulJobsHistoryLimit"], spec.successfulJobsHistoryLimit);
  names.checkNonNegative(problems, ["spec", "failedJobsHistoryLimit"], spec.failedJobsHistoryLimit);
  const policies = ["Allow", "Forbid", "Replace"];
  problems.oneOf(["spec", "concurrencyPolicy"], spec.concurrencyPolicy, policies);
  const inner = new FieldProblems();
  if (spec.jobTemplate?.spec === undefined) problems.required(["spec", "jobTemplate", "spec"]);
  else validateJob({ ...cron, kind: "Job", spec: spec.jobTemplate.spec } as unknown as Job, inner);
  for (const { path, message, atKey } of inner.list)
    problems.add(
      ["spec", "jobTemplate", ...path],
      message.replace(/^spec\b/, "spec.jobTemplate.spec"),
      atKey,
    );
}

function validateSchedule({ schedule, timeZone }: CronJob["spec"], problems: FieldProblems): void {
  if (schedule === undefined || schedule === "") {
    problems.required(["spec", "schedule"]);
    return;
  }
  if (schedule.includes("TZ")) {
    const detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    problems.invalid(["spec", "schedule"], schedule, detail);
    return;
  }
  const problem = scheduleProblem(schedule);
  if (problem !== undefined) problems.invalid(["spec", "schedule"], schedule, problem);
  if (timeZone === undefined) return;
  const path = ["spec", "timeZone"];
  if (timeZone === "") problems.invalid(path, timeZone, "timeZone must be nil or non-empty string");
  else if (timeZone.toLowerCase() === "local")
    problems.invalid(
      path,
      timeZone,
      "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
    );
  else if (!isTimeZone(timeZone)) problems.invalid(path, timeZone, `unknown time zone ${timeZone}`);
}
