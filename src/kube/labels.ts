// Label selectors: does this selector match these labels?
import type { LabelSelector } from "./objects.ts";

export type Labels = Readonly<Record<string, string>>;

/** A Service's selector: plain equality. The empty one matches nothing here, as Services without one have no pods. */
export function matchesLabels(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const entries = Object.entries(selector ?? {});
  return entries.length > 0 && entries.every(([key, value]) => labels?.[key] === value);
}

/** metav1.LabelSelector; the empty one matches everything. */
export function matchesSelector(selector: LabelSelector, labels: Labels | undefined): boolean {
  const has = labels ?? {};
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (has[key] !== value) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    switch (operator) {
      case "In":
        return key in has && values.includes(has[key]);
      case "NotIn":
        return !(key in has && values.includes(has[key]));
      case "Exists":
        return key in has;
      case "DoesNotExist":
        return !(key in has);
      default:
        return false;
    }
  });
}
