// What an update may not change (ValidatePodUpdate, ValidateServiceUpdate …). `next` is the new object before
// allocation; it may leave out what was allocated.

import { deepEqual } from "../../base/deep-equal.ts";
import type { FieldProblems } from "../manifest/field-problems.ts";
import { type FieldPath, formatPath } from "../manifest/field-problems.ts";
import type { Deployment, EndpointSlice, KubeObject, Node, Pod, PodSpec, Service } from "../objects.ts";
import { validateDataUpdate } from "./config-data.ts";
import { selectorIsFixed, validateJobUpdate, validateStatefulSetUpdate } from "./workloads.ts";

const POD_TEXT =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
  "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

const rules: Record<string, (next: never, old: never, problems: FieldProblems) => void> = {
  Pod: validatePodUpdate,
  Service: validateServiceUpdate,
  Deployment: validateDeploymentUpdate,
  ReplicaSet: selectorIsFixed,
  DaemonSet: selectorIsFixed,
  StatefulSet: validateStatefulSetUpdate,
  Job: validateJobUpdate,
  EndpointSlice: validateEndpointSliceUpdate,
  Node: validateNodeUpdate,
  ConfigMap: validateDataUpdate,
  Secret: validateDataUpdate,
};

export function validateUpdate(next: KubeObject, old: KubeObject, problems: FieldProblems): void {
  const rule = rules[next.kind] as ((n: KubeObject, o: KubeObject, p: FieldProblems) => void) | undefined;
  rule?.(next, old, problems);
}

function validatePodUpdate(next: Pod, old: Pod, problems: FieldProblems): void {
  const nodeName = next.spec.nodeName ?? old.spec.nodeName;
  const a = fixedPart({ ...next.spec, ...(nodeName === undefined ? {} : { nodeName }) });
  const b = fixedPart(old.spec);
  if (!deepEqual(a, b)) problems.forbidden(["spec"], POD_TEXT);
}

function fixedPart(spec: PodSpec): unknown {
  const { activeDeadlineSeconds, tolerations, terminationGracePeriodSeconds, ...rest } = spec;
  const withoutImage = (list: PodSpec["containers"] | undefined): unknown =>
    list?.map(({ image, ...container }) => container);
  return {
    ...rest,
    securityContext: spec.securityContext ?? {}, // filled in by now, and not in labs of older versions
    containers: withoutImage(spec.containers),
    initContainers: withoutImage(spec.initContainers),
  };
}

function validateServiceUpdate(next: Service, old: Service, problems: FieldProblems): void {
  const before = old.spec.clusterIPs ?? [];
  const after = next.spec.clusterIPs ?? [];
  if (next.spec.type === "ExternalName" || old.spec.type === "ExternalName") return;
  if (before.length === 0 || after.length === 0) return;
  for (let i = 0; i < Math.min(before.length, after.length); i++) {
    if (before[i] !== after[i]) problems.invalid(["spec", "clusterIPs", i], after, "may not change once set");
  }
}

function validateDeploymentUpdate(next: Deployment, old: Deployment, problems: FieldProblems): void {
  immutable(["spec", "selector"], next.spec.selector, old.spec.selector, problems);
}

function validateEndpointSliceUpdate(next: EndpointSlice, old: EndpointSlice, problems: FieldProblems): void {
  immutable(["addressType"], next.addressType, old.addressType, problems);
}

function validateNodeUpdate(next: Node, old: Node, problems: FieldProblems): void {
  const after = next.spec.podCIDRs ?? [];
  if (after.length === 0 || (old.spec.podCIDRs ?? []).length === 0) return;
  if (deepEqual(after, old.spec.podCIDRs)) return;
  problems.forbidden(["spec", "podCIDRs"], 'node updates may not change podCIDR except from "" to valid');
}

function immutable(path: FieldPath, next: unknown, old: unknown, problems: FieldProblems): void {
  if (deepEqual(next, old)) return;
  problems.add(path, `${formatPath(path)}: Invalid value: ${JSON.stringify(next)}: field is immutable`);
}
