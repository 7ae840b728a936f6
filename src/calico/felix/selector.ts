// Selectors in Calico's words. A set of addresses is named by the hash of such a text, so it is written as Calico's
// parser writes it: strings in double quotes, values in order, brackets around what "and" joins.
import { type Labels, labelValue } from "../../kube/labels.ts";
import type { LabelSelector } from "../../kube/objects.ts";

export interface Selector {
  readonly text: string;
  matches(labels: Labels): boolean;
}

export const ORCHESTRATOR = "projectcalico.org/orchestrator";
export const NAMESPACE = "projectcalico.org/namespace";
/** In front of a namespace's labels, which its pods inherit. */
export const NAMESPACE_PREFIX = "pcns.";

export const ALL: Selector = { text: "all()", matches: () => true };

export function equals(label: string, value: string): Selector {
  return { text: `${label} == "${value}"`, matches: (labels) => labelValue(labels, label) === value };
}

function has(label: string): Selector {
  return { text: `has(${label})`, matches: (labels) => labelValue(labels, label) !== undefined };
}

function isIn(label: string, values: readonly string[], negated: boolean): Selector {
  const sorted = [...new Set(values)].sort();
  const list = sorted.map((value) => `"${value}"`).join(", ");
  return {
    text: `${label} ${negated ? "not in" : "in"} {${list}}`,
    matches: (labels) => sorted.some((value) => value === labelValue(labels, label)) !== negated,
  };
}

function not(inner: Selector): Selector {
  return { text: `!${inner.text}`, matches: (labels) => !inner.matches(labels) };
}

export function and(parts: readonly Selector[]): Selector {
  if (parts.length === 1) return parts[0];
  return {
    text: `(${parts.map(({ text }) => text).join(" && ")})`,
    matches: (labels) => parts.every((part) => part.matches(labels)),
  };
}

/** Of pods: whoever Kubernetes runs, with these labels. */
export function podSelector(selector: LabelSelector | undefined): Selector {
  return and([equals(ORCHESTRATOR, "k8s"), ...terms(selector ?? {}, "")]);
}

/** Of namespaces, by the labels that pods have from them. */
export function namespaceSelector(selector: LabelSelector): Selector {
  const found = terms(selector, NAMESPACE_PREFIX);
  return found.length === 0 ? has(NAMESPACE) : and(found);
}

function terms({ matchLabels = {}, matchExpressions = [] }: LabelSelector, prefix: string): Selector[] {
  const labels = Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...labels.map(([key, value]) => equals(prefix + key, value)),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      if (operator === "Exists") return has(prefix + key);
      if (operator === "DoesNotExist") return not(has(prefix + key));
      return isIn(prefix + key, values, operator === "NotIn");
    }),
  ];
}
