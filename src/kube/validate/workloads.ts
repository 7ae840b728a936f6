// ReplicaSet, StatefulSet, DaemonSet, Job and ReplicationController, as their validation (pkg/apis/apps, batch and core)
// refuses them; and what an update may not change.

import { deepEqual } from "../../base/deep-equal.ts";
import { matchesSelector } from "../labels.ts";
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";
import type {
  DaemonSet,
  Job,
  LabelSelector,
  PodTemplate,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from "../objects.ts";
import { validateJobPolicies } from "./job-policies.ts";
import { validateLabels, validateSelector } from "./metadata.ts";
import * as names from "./names.ts";
import { validatePodSpec } from "./pod.ts";
import { validateDaemonSetRollout, validateStatefulSetRollout } from "./rolling-update.ts";
import { validateAppArmorAnnotations } from "./security-context.ts";

const UID_LABELS = ["batch.kubernetes.io/controller-uid", "controller-uid"];
const COMPLETIONS_MAX = 100_000; // of an indexed Job; beyond it only with little parallelism

export function validateReplicaSet({ spec }: ReplicaSet, problems: FieldProblems): void {
  numbers(spec, ["replicas", "minReadySeconds"], problems);
  checkSelector(spec.selector, "replicaset", problems);
  checkTemplate(spec.template, spec.selector, problems);
}

export function validateReplicationController(
  { spec }: ReplicationController,
  problems: FieldProblems,
): void {
  numbers(spec, ["replicas", "minReadySeconds"], problems);
  const selector = spec.selector ?? {};
  validateLabels(selector, ["spec", "selector"], problems);
  if (Object.keys(selector).length === 0) problems.required(["spec", "selector"]);
  checkTemplate(spec.template, { matchLabels: selector }, problems);
}

export function validateStatefulSet(set: StatefulSet, problems: FieldProblems): void {
  const { spec } = set;
  numbers(spec, ["replicas", "minReadySeconds"], problems);
  names.checkNonNegative(problems, ["spec", "ordinals", "start"], spec.ordinals?.start);
  problems.oneOf(["spec", "podManagementPolicy"], spec.podManagementPolicy, ["OrderedReady", "Parallel"]);
  const { updateStrategy } = spec;
  problems.oneOf(["spec", "updateStrategy", "type"], updateStrategy?.type, ["OnDelete", "RollingUpdate"]);
  const rolling: FieldPath = ["spec", "updateStrategy", "rollingUpdate"];
  names.checkNonNegative(problems, [...rolling, "partition"], updateStrategy?.rollingUpdate?.partition);
  if (updateStrategy?.type === "OnDelete" && updateStrategy.rollingUpdate !== undefined)
    problems.invalid(
      rolling,
      updateStrategy.rollingUpdate,
      "only allowed for updateStrategy 'RollingUpdate'",
    );
  validateStatefulSetRollout(set, problems);
  checkSelector(spec.selector, "statefulset", problems);
  const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? "");
  checkTemplate(spec.template, spec.selector, problems, { claims });
}

export function validateDaemonSet(set: DaemonSet, problems: FieldProblems): void {
  const { spec } = set;
  numbers(spec, ["minReadySeconds"], problems);
  const { updateStrategy } = spec;
  problems.oneOf(["spec", "updateStrategy", "type"], updateStrategy?.type, ["OnDelete", "RollingUpdate"]);
  validateDaemonSetRollout(set, problems);
  checkSelector(spec.selector, "daemonset", problems);
  checkTemplate(spec.template, spec.selector, problems);
}

export function validateJob({ spec }: Job, problems: FieldProblems): void {
  const counts = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "parallelism",
    "ttlSecondsAfterFinished",
  ];
  numbers(spec, counts, problems);
  problems.oneOf(["spec", "completionMode"], spec.completionMode, ["Indexed", "NonIndexed"]);
  if (spec.completionMode === "Indexed") {
    if (spec.completions === undefined)
      problems.required(["spec", "completions"], "when completion mode is Indexed");
    else if (spec.completions > COMPLETIONS_MAX)
      problems.invalid(
        ["spec", "completions"],
        spec.completions,
        `must be less than or equal to ${COMPLETIONS_MAX}`,
      );
  }
  validateJobPolicies(spec, problems);
  const { selector } = spec;
  if (selector !== undefined) validateSelector(selector, ["spec", "selector"], problems);
  const isMade = UID_LABELS.some((label) => selector?.matchLabels?.[label] !== undefined);
  if (spec.manualSelector === true && selector === undefined) problems.required(["spec", "selector"]);
  if (spec.manualSelector !== true && selector !== undefined && !isMade)
    problems.invalid(["spec", "selector"], selector, "`selector` not auto-generated");
  checkTemplate(spec.template, isMade ? undefined : selector, problems, {
    restartPolicies: ["Never", "OnFailure"],
  });
}

function numbers(spec: object, fields: readonly string[], problems: FieldProblems): void {
  for (const field of fields) {
    names.checkNonNegative(problems, ["spec", field], (spec as Record<string, number | undefined>)[field]);
  }
}

function checkSelector(selector: LabelSelector | undefined, kind: string, problems: FieldProblems): void {
  if (selector === undefined) {
    problems.required(["spec", "selector"]);
    return;
  }
  validateSelector(selector, ["spec", "selector"], problems);
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (Object.keys(matchLabels).length + matchExpressions.length === 0)
    problems.invalid(["spec", "selector"], {}, `empty selector is invalid for ${kind}`);
}

function checkTemplate(
  template: PodTemplate | undefined,
  selector: LabelSelector | undefined,
  problems: FieldProblems,
  {
    restartPolicies = ["Always"],
    claims = [],
  }: { restartPolicies?: readonly string[]; claims?: readonly string[] } = {},
): void {
  const at: FieldPath = ["spec", "template"];
  if (template === undefined) {
    problems.required(at);
    return;
  }
  const labels = template.metadata?.labels ?? {};
  validateLabels(labels, [...at, "metadata", "labels"], problems);
  if (selector !== undefined && !matchesSelector(selector, labels))
    problems.invalid([...at, "metadata", "labels"], labels, "`selector` does not match template `labels`");
  if (template.spec === undefined) {
    problems.required([...at, "spec", "containers"]);
    return;
  }
  validatePodSpec(template.spec, [...at, "spec"], problems, claims);
  validateAppArmorAnnotations(template.metadata?.annotations, template.spec, at, problems);
  const { restartPolicy = "" } = template.spec;
  if (restartPolicies.includes(restartPolicy)) return;
  const path = [...at, "spec", "restartPolicy"];
  const list = restartPolicies.map((each) => JSON.stringify(each)).reverse();
  if (restartPolicy === "Always") problems.required(path, `valid values: ${list.join(", ")}`);
  else if (["Never", "OnFailure"].includes(restartPolicy))
    problems.unsupported(path, restartPolicy, restartPolicies);
}

export function selectorIsFixed(next: ReplicaSet, old: ReplicaSet, problems: FieldProblems): void {
  fixed(["spec", "selector"], next.spec.selector, old.spec.selector, problems);
}

const STATEFUL_CHANGES = new Set(
  `minReadySeconds ordinals persistentVolumeClaimRetentionPolicy replicas revisionHistoryLimit template
   updateStrategy`.split(/\s+/),
);

export function validateStatefulSetUpdate(
  next: StatefulSet,
  old: StatefulSet,
  problems: FieldProblems,
): void {
  const rest = (spec: object): object =>
    Object.fromEntries(Object.entries(spec).filter(([field]) => !STATEFUL_CHANGES.has(field)));
  if (deepEqual(rest(next.spec), rest(old.spec))) return;
  const allowed =
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', " +
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
  problems.forbidden(["spec"], allowed);
}

export function validateJobUpdate({ spec }: Job, { spec: old }: Job, problems: FieldProblems): void {
  const selector = spec.selector ?? old.selector; // made by the API server, where the manifest has none
  fixed(["spec", "selector"], selector, old.selector, problems);
  fixed(["spec", "completionMode"], spec.completionMode, old.completionMode, problems);
  const isElastic = spec.completionMode === "Indexed" && spec.completions === spec.parallelism;
  if (!isElastic) fixed(["spec", "completions"], spec.completions, old.completions, problems);
  fixed(["spec", "template"], spec.template, old.template, problems);
  for (const field of ["podFailurePolicy", "backoffLimitPerIndex", "successPolicy", "managedBy"]) {
    const of = (from: Job["spec"]): unknown => (from as unknown as Record<string, unknown>)[field];
    fixed(["spec", field], of(spec), of(old), problems);
  }
}

function fixed(path: FieldPath, next: unknown, old: unknown, problems: FieldProblems): void {
  if (!deepEqual(next, old))
    problems.add(path, `${formatPath(path)}: Invalid value: ${JSON.stringify(next)}: field is immutable`);
}
