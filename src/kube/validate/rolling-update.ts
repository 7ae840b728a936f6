// How many pods may be missing, and how many too many, while a template's change is rolled out, or by what a disruption
// budget says: by number or in percent (pkg/apis/apps/validation: ValidateRollingUpdateDeployment, …DaemonSet,
// …StatefulSet; pkg/apis/policy/validation).
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { DaemonSet, Deployment, StatefulSet } from "../objects.ts";
import * as names from "./names.ts";

type Amount = number | string;
const DEFAULT = "25%"; // of both, of a Deployment
const DEADLINE_DEFAULT = 600;
const PERCENT_TEXT =
  "a valid percent string must be a numeric string followed by an ending '%' " +
  "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

export function validateDeploymentRollout({ spec }: Deployment, problems: FieldProblems): void {
  for (const field of ["revisionHistoryLimit", "progressDeadlineSeconds"] as const)
    names.checkNonNegative(problems, ["spec", field], spec[field]);
  const { minReadySeconds = 0, progressDeadlineSeconds = DEADLINE_DEFAULT } = spec;
  if (progressDeadlineSeconds <= minReadySeconds) {
    const path: FieldPath = ["spec", "progressDeadlineSeconds"];
    problems.invalid(path, progressDeadlineSeconds, "must be greater than minReadySeconds");
  }
  const at: FieldPath = ["spec", "strategy", "rollingUpdate"];
  const { type, rollingUpdate } = spec.strategy ?? {};
  if (type === "Recreate" && rollingUpdate !== undefined)
    problems.forbidden(at, "may not be specified when strategy `type` is 'Recreate'");
  if (type !== "RollingUpdate" || rollingUpdate === undefined) return;
  const { maxSurge = DEFAULT, maxUnavailable = DEFAULT } = rollingUpdate;
  checkAmount(problems, [...at, "maxUnavailable"], maxUnavailable);
  checkAmount(problems, [...at, "maxSurge"], maxSurge);
  if (amount(maxSurge) === 0 && amount(maxUnavailable) === 0)
    problems.invalid([...at, "maxUnavailable"], maxUnavailable, "may not be 0 when `maxSurge` is 0");
  checkShare(problems, [...at, "maxUnavailable"], maxUnavailable);
}

export function validateDaemonSetRollout({ spec }: DaemonSet, problems: FieldProblems): void {
  names.checkNonNegative(problems, ["spec", "revisionHistoryLimit"], spec.revisionHistoryLimit);
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  if (type !== "RollingUpdate" || rollingUpdate === undefined) return;
  const at: FieldPath = ["spec", "updateStrategy", "rollingUpdate"];
  const { maxSurge = 0, maxUnavailable = 1 } = rollingUpdate;
  for (const [field, value] of Object.entries({ maxUnavailable, maxSurge })) {
    checkAmount(problems, [...at, field], value);
    checkShare(problems, [...at, field], value);
  }
  const [surge, unavailable] = [amount(maxSurge), amount(maxUnavailable)];
  if (surge !== 0 && unavailable !== 0)
    problems.invalid([...at, "maxSurge"], maxSurge, "may not be set when `maxUnavailable` is non-zero");
  if (surge === 0 && unavailable === 0)
    problems.required([...at, "maxUnavailable"], "cannot be 0 when `maxSurge` is 0");
}

export function validateStatefulSetRollout({ spec }: StatefulSet, problems: FieldProblems): void {
  const { maxUnavailable } = spec.updateStrategy?.rollingUpdate ?? {};
  if (maxUnavailable === undefined) return;
  const path: FieldPath = ["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"];
  checkAmount(problems, path, maxUnavailable);
  if (amount(maxUnavailable) === 0) problems.invalid(path, maxUnavailable, "cannot be 0");
  checkShare(problems, path, maxUnavailable);
}

export function validateDisruptionBudget({ spec = {} }: { spec?: Budget }, problems: FieldProblems): void {
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined)
    problems.invalid(["spec"], spec, "minAvailable and maxUnavailable cannot be both set");
  for (const [field, value] of Object.entries({ minAvailable, maxUnavailable })) {
    if (value === undefined) continue;
    checkAmount(problems, ["spec", field], value);
    checkShare(problems, ["spec", field], value);
  }
  const policies = ["AlwaysAllow", "IfHealthyBudget"];
  if (policy !== undefined && !policies.includes(policy))
    problems.unsupportedOf(["spec", "unhealthyPodEvictionPolicy"], policy, policies);
}

interface Budget {
  readonly minAvailable?: Amount;
  readonly maxUnavailable?: Amount;
  readonly unhealthyPodEvictionPolicy?: string;
}

function checkAmount(problems: FieldProblems, path: FieldPath, value: Amount): void {
  if (typeof value === "number") names.checkNonNegative(problems, path, value);
  else if (!/^[0-9]+%$/.test(value)) problems.invalid(path, value, PERCENT_TEXT);
}

function checkShare(problems: FieldProblems, path: FieldPath, value: Amount): void {
  if (typeof value === "string" && amount(value) > 100)
    problems.invalid(path, value, "must not be more than 100%");
}

/** The number or the percentage; 0 of what is neither, as the API server takes it. */
function amount(value: Amount): number {
  if (typeof value === "number") return value;
  return /^[0-9]+%$/.test(value) ? Number.parseInt(value, 10) : 0;
}
