// Labels and selectors as kubectl prints them in its columns.
import type { LabelSelector } from "../../kube/objects.ts";

/** "app=web,tier in (a,b)", by key; "" for a selector that selects all, or is not there. */
export function selectorText(s: LabelSelector | undefined): string {
  const labels = Object.entries(s?.matchLabels ?? {}).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  const expressions = (s?.matchExpressions ?? []).map(({ key, operator, values }) => {
    if (operator === "Exists") return { key, text: key };
    if (operator === "DoesNotExist") return { key, text: `!${key}` };
    return { key, text: `${key} ${operator.toLowerCase()} (${[...(values ?? [])].sort().join(",")})` };
  });
  return [...labels, ...expressions]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ text }) => text)
    .join(",");
}

/** "app=web,tier=a", in order; "" where there are none. */
export function labelText(labels: Record<string, string> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}
