// Label selectors: does this selector match these labels?
import type { KubeObject, LabelSelector } from "./objects.ts";

export type Labels = Readonly<Record<string, string>>;

/** The value of a label; undefined: there is none. `constructor` and the like are keys as others are. */
export function labelValue(labels: Labels | undefined, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** A Service's selector: plain equality. The empty one matches nothing here, as Services without one have no pods. */
export function matchesLabels(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const entries = Object.entries(selector ?? {});
  return entries.length > 0 && entries.every(([key, value]) => labelValue(labels, key) === value);
}

/** On every namespace, whatever a manifest says: namespaces are selected by name with it. */
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

/** Labels of the namespace `name`. Objects of files may lie in one that no file tells of. */
export function namespaceLabels(namespaces: ReadonlyMap<string, KubeObject>, name: string): Labels {
  return { ...namespaces.get(name)?.metadata.labels, [NAMESPACE_NAME_LABEL]: name };
}

/** metav1.LabelSelector; the empty one matches everything. */
export function matchesSelector(selector: LabelSelector, labels: Labels | undefined): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
    if (labelValue(labels, key) !== value) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const has = labelValue(labels, key);
    switch (operator) {
      case "In":
        return has !== undefined && values.includes(has);
      case "NotIn":
        return has === undefined || !values.includes(has);
      case "Exists":
        return has !== undefined;
      case "DoesNotExist":
        return has === undefined;
      default:
        return false;
    }
  });
}
