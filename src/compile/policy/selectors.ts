// Label selectors, read once: what a policy asks of thousands of label sets is asked by comparing, not by taking its
// text apart again.
import type { Labels } from "../../kube/labels.ts";
import type { LabelSelector } from "../../kube/objects.ts";

export type Matches = (labels: Labels) => boolean;

/** The key of a namespace's name, which every namespace has as a label, whether somebody wrote it down or not. */
const NAME_LABEL = "kubernetes.io/metadata.name";

/** Absent and empty selectors match everything. */
export function compileSelector(selector: LabelSelector | undefined): Matches {
  const tests: Matches[] = [];
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    tests.push((labels) => Object.hasOwn(labels, key) && labels[key] === value);
  }
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    tests.push(compileExpression(key, operator, new Set(values)));
  }
  if (tests.length === 1) return tests[0];
  return (labels) => tests.every((test) => test(labels));
}

function compileExpression(key: string, operator: string, values: ReadonlySet<string>): Matches {
  const has = (labels: Labels): boolean => Object.hasOwn(labels, key);
  switch (operator) {
    case "In":
      return (labels) => has(labels) && values.has(labels[key]);
    case "NotIn":
      return (labels) => !has(labels) || !values.has(labels[key]);
    case "Exists":
      return has;
    case "DoesNotExist":
      return (labels) => !has(labels);
    default:
      return () => false;
  }
}

/** The same text for selectors that say the same, in whatever order. */
export function selectorKey(selector: LabelSelector | undefined): string {
  const labels = Object.entries(selector?.matchLabels ?? {}).map((entry) => entry.join("="));
  const expressions = (selector?.matchExpressions ?? []).map(
    ({ key, operator, values = [] }) => `${key} ${operator} ${[...values].sort().join()}`,
  );
  return JSON.stringify([labels.sort(), expressions.sort()]);
}

/** A namespace's labels, of a namespace without an object too. */
export function namespaceLabels(name: string, labels: Labels | undefined): Labels {
  return { ...labels, [NAME_LABEL]: name };
}
