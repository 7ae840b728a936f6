// Deployment, Node and Namespace: the kinds with little to say about the network themselves.
import { parseCidr } from "../../base/ip.ts";
import { matchesSelector } from "../labels.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import type { Deployment, Node } from "../objects.ts";
import { validateLabels, validateSelector } from "./metadata.ts";
import * as names from "./names.ts";
import { validatePodSpec } from "./pod.ts";
import { validateDeploymentRollout } from "./rolling-update.ts";
import { validateAppArmorAnnotations } from "./security-context.ts";

export function validateDeployment(deployment: Deployment, problems: FieldProblems): void {
  const spec = deployment.spec;
  names.checkNonNegative(problems, ["spec", "replicas"], spec.replicas);
  names.checkNonNegative(problems, ["spec", "minReadySeconds"], spec.minReadySeconds);
  if (spec.selector === undefined) problems.required(["spec", "selector"]);
  else {
    validateSelector(spec.selector, ["spec", "selector"], problems);
    const { matchLabels = {}, matchExpressions = [] } = spec.selector;
    if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0) {
      problems.invalid(["spec", "selector"], {}, "empty selector is invalid for deployment");
    }
  }
  problems.oneOf(["spec", "strategy", "type"], spec.strategy?.type, ["Recreate", "RollingUpdate"]);
  validateDeploymentRollout(deployment, problems);
  const at: FieldPath = ["spec", "template"];
  if (spec.template === undefined) {
    problems.required(at);
    return;
  }
  const labels = spec.template.metadata?.labels ?? {};
  validateLabels(labels, [...at, "metadata", "labels"], problems);
  if (spec.selector !== undefined && !matchesSelector(spec.selector, labels)) {
    problems.invalid([...at, "metadata", "labels"], labels, "`selector` does not match template `labels`");
  }
  const podSpec = spec.template.spec;
  if (podSpec === undefined) {
    problems.required([...at, "spec", "containers"]);
    return;
  }
  validatePodSpec(podSpec, [...at, "spec"], problems);
  validateAppArmorAnnotations(spec.template.metadata?.annotations, podSpec, at, problems);
  if (podSpec.restartPolicy === "Never" || podSpec.restartPolicy === "OnFailure") {
    problems.unsupported([...at, "spec", "restartPolicy"], podSpec.restartPolicy, ["Always"]);
  }
}

export function validateNode(node: Node, problems: FieldProblems): void {
  const { podCIDR, podCIDRs = [] } = node.spec;
  const valid = podCIDRs.map((text, i) => names.checkCidr(problems, ["spec", "podCIDRs", i], text));
  if (podCIDR !== undefined && podCIDR !== "" && podCIDRs[0] !== podCIDR) {
    problems.invalid(["spec", "podCIDRs", 0], podCIDRs[0] ?? "", "must match `podCIDR`");
  }
  const families = podCIDRs.map((text) => parseCidr(text)?.family);
  if (podCIDRs.length > 2 || (valid.every(Boolean) && new Set(families).size < families.length)) {
    problems.invalid(["spec", "podCIDRs"], podCIDRs, "may specify no more than one CIDR for each IP family");
  }
  const seen = new Set<string>();
  for (const [i, { type, address }] of (node.status.addresses ?? []).entries()) {
    const at: FieldPath = ["status", "addresses", i];
    if (type === "InternalIP" || type === "ExternalIP")
      names.checkIp(problems, [...at, "address"], address ?? "");
    if (seen.has(`${type}/${address}`)) problems.duplicate(at, { type, address });
    seen.add(`${type}/${address}`);
  }
  const taints = new Set<string>();
  for (const [i, taint] of (node.spec.taints ?? []).entries()) {
    names.checkName(problems, ["spec", "taints", i, "key"], taint.key, names.qualifiedName);
    const effects = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
    problems.oneOf(["spec", "taints", i, "effect"], taint.effect, effects);
    for (const wrong of names.labelValue(taint.value ?? ""))
      problems.invalid(["spec", "taints", i, "value"], taint.value, wrong);
    const pair = `${taint.key} ${taint.effect}`;
    if (taints.has(pair)) {
      const { key, effect } = taint;
      const told = JSON.stringify({ key, effect });
      const text = `Duplicate value: ${told}: taints must be unique by key and effect pair`;
      problems.add(["spec", "taints", i], `spec.taints[${i}]: ${text}`);
    }
    taints.add(pair);
  }
}
