// Labels and selectors as kubectl prints them in its columns.
import type { LabelSelector } from "../../kube/objects.ts";

/** "app=web,tier in (a,b)". */
export function selectorText(s: LabelSelector | undefined): string {
  const expressions = (s?.matchExpressions ?? []).map((e) => {
    const values = (e.values ?? []).join(",");
    if (e.operator === "Exists") return e.key;
    return e.operator === "DoesNotExist" ? `!${e.key}` : `${e.key} ${e.operator.toLowerCase()} (${values})`;
  });
  return [labelText(s?.matchLabels), ...expressions].filter(Boolean).join(",");
}

export function labelText(labels: Record<string, string> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
