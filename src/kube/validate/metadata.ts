// ObjectMeta and label selectors, the same for every kind.
import { bandwidthProblems } from "../bandwidth.ts";
import { KEEP_CLIENT_ADDRESS } from "../keep-client-address.ts";
import type { KindInfo } from "../kinds.ts";
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";
import type { LabelSelector, Metadata } from "../objects.ts";
import { AUDIT, ENFORCEMENT, TRIED_KINDS } from "../on-trial.ts";
import { parseWeight, parseWeights, WEIGHT_ANNOTATION, WEIGHT_TEXT, WEIGHTS_ANNOTATION } from "../weight.ts";
import {
  checkName,
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  labelValue,
  pathSegment,
  qualifiedName,
} from "./names.ts";
import { validateFinalizers, validateOwners } from "./owners.ts";

const ANNOTATIONS_MAX = 256 * 1024; // bytes, all of an object together

/** How each kind's name is restricted; all others are DNS subdomains. */
const nameRules: Record<string, (text: string) => string[]> = {
  Namespace: dns1123Label,
  Service: dns1035Label,
  Role: pathSegment,
  RoleBinding: pathSegment,
  ClusterRole: pathSegment,
  ClusterRoleBinding: pathSegment,
};

export function validateMetadata(
  metadata: Metadata | undefined,
  info: KindInfo,
  problems: FieldProblems,
): void {
  const path: FieldPath = ["metadata"];
  const rule = nameRules[info.kind] ?? dns1123Subdomain;
  const { name = "", generateName = "" } = metadata ?? {};
  if (name === "" && generateName !== "") {
    // A part of a name: it may end in a dash.
    checkName(problems, [...path, "generateName"], generateName.replace(/-$/, "a"), rule);
  } else if (name === "") {
    problems.required([...path, "name"], "name or generateName is required");
  } else {
    checkName(problems, [...path, "name"], name, rule);
  }
  if (info.namespaced) checkName(problems, [...path, "namespace"], metadata?.namespace, dns1123Label);
  else if (metadata?.namespace !== undefined && metadata.namespace !== "") {
    problems.forbidden([...path, "namespace"], "not allowed on this type");
  }
  validateLabels(metadata?.labels, [...path, "labels"], problems);
  validateAnnotations(metadata?.annotations, [...path, "annotations"], problems);
  if (metadata !== undefined) {
    validateOwners(metadata, problems);
    validateFinalizers(metadata, problems);
  }
  if (info.kind === "Pod" || info.kind === "EndpointSlice") validateWeights(metadata?.annotations, problems);
  if (info.kind === "Pod") validateBandwidth(metadata?.annotations, problems);
  if (info.kind === "Node") validateKeepClientAddress(metadata?.annotations, problems);
  if (TRIED_KINDS.includes(info.kind)) validateEnforcement(metadata?.annotations, problems);
}

/** Runtimes make no sandbox for a pod whose rates they cannot read. */
function validateBandwidth(annotations: Record<string, string> | undefined, problems: FieldProblems): void {
  for (const { key, value, text } of bandwidthProblems(annotations ?? {}))
    problems.invalid(["metadata", "annotations", key], value, text);
}

/** podwire's own annotations: a weight that is silently ignored is a bad day later. */
function validateWeights(annotations: Record<string, string> | undefined, problems: FieldProblems): void {
  const at = (key: string): FieldPath => ["metadata", "annotations", key];
  const weight = annotations?.[WEIGHT_ANNOTATION];
  if (weight !== undefined && parseWeight(weight) === undefined) {
    problems.invalid(at(WEIGHT_ANNOTATION), weight, WEIGHT_TEXT);
  }
  for (const e of parseWeights(annotations?.[WEIGHTS_ANNOTATION] ?? "")) {
    if (e.address === "") {
      problems.invalid(at(WEIGHTS_ANNOTATION), e.part, 'must be "address=weight" (e.g. 10.9.8.7=3)');
    } else if (e.weight === undefined) problems.invalid(at(WEIGHTS_ANNOTATION), e.part, WEIGHT_TEXT);
  }
}

function validateKeepClientAddress(
  annotations: Record<string, string> | undefined,
  problems: FieldProblems,
): void {
  const value = annotations?.[KEEP_CLIENT_ADDRESS];
  if (value === undefined || value === "true" || value === "false") return;
  problems.invalid(["metadata", "annotations", KEEP_CLIENT_ADDRESS], value, 'must be "true" or "false"');
}

/** Another word for it would be enforced, and is not meant to be. */
function validateEnforcement(annotations: Record<string, string> | undefined, problems: FieldProblems): void {
  const value = annotations?.[ENFORCEMENT];
  if (value === undefined || value === AUDIT) return;
  const text = `must be "${AUDIT}"; without the annotation policies are enforced`;
  problems.invalid(["metadata", "annotations", ENFORCEMENT], value, text);
}

export function validateLabels(
  labels: Record<string, string> | undefined,
  path: FieldPath,
  problems: FieldProblems,
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const wrong of qualifiedName(key)) problems.invalidKey(path, key, wrong);
    for (const wrong of labelValue(value)) problems.add([...path, key], describeValue(path, value, wrong));
  }
}

function validateAnnotations(
  annotations: Record<string, string> | undefined,
  path: FieldPath,
  problems: FieldProblems,
): void {
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    for (const wrong of qualifiedName(key.toLowerCase())) problems.invalidKey(path, key, wrong);
    size += key.length + value.length;
  }
  if (size > ANNOTATIONS_MAX)
    problems.add(path, `metadata.annotations: Too long: may not be more than ${ANNOTATIONS_MAX} bytes`);
}

/** metav1.LabelSelector; the empty one selects everything and is valid here. */
export function validateSelector(
  selector: LabelSelector | undefined,
  path: FieldPath,
  problems: FieldProblems,
): void {
  validateLabels(selector?.matchLabels, [...path, "matchLabels"], problems);
  for (const [i, requirement] of (selector?.matchExpressions ?? []).entries()) {
    const at = [...path, "matchExpressions", i];
    const count = requirement.values?.length ?? 0;
    switch (requirement.operator) {
      case "In":
      case "NotIn":
        if (count === 0) {
          problems.required([...at, "values"], "must be specified when `operator` is 'In' or 'NotIn'");
        }
        break;
      case "Exists":
      case "DoesNotExist":
        if (count > 0) {
          problems.forbidden(
            [...at, "values"],
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
          );
        }
        break;
      default:
        problems.invalid([...at, "operator"], requirement.operator ?? "", "not a valid selector operator");
    }
    const { key = "" } = requirement;
    for (const wrong of qualifiedName(key)) problems.invalid([...at, "key"], key, wrong);
    for (const [n, value] of (requirement.values ?? []).entries()) {
      for (const wrong of labelValue(value)) problems.invalid([...at, "values", n], value, wrong);
    }
  }
}

function describeValue(path: FieldPath, value: string, detail: string): string {
  return `${formatPath(path)}: Invalid value: ${JSON.stringify(value)}: ${detail}`;
}
