// nodeAffinity.required…: the terms are alternatives, the requirements of a term all hold.
import type { Node, Pod } from "../../kube/objects.ts";

type Affinity = NonNullable<NonNullable<Pod["spec"]["affinity"]>["nodeAffinity"]>;
type Term = NonNullable<
  Affinity["requiredDuringSchedulingIgnoredDuringExecution"]
>["nodeSelectorTerms"][number];
type Requirement = NonNullable<Term["matchExpressions"]>[number];

/** Whether the pod may run on the node, as far as its node affinity goes. */
export function fitsAffinity(pod: Pod, node: Node): boolean {
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  const fields = { "metadata.name": node.metadata.name };
  return required.nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false; // an empty term matches nothing
    return (
      matchExpressions.every((each) => holds(each, node.metadata.labels ?? {})) &&
      matchFields.every((each) => holds(each, fields))
    );
  });
}

function holds(
  { key, operator, values = [] }: Requirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number.parseInt(value, 10) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number.parseInt(value, 10) < Number(values[0]);
    default:
      return false;
  }
}
