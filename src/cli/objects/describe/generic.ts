// Kinds without a form of their own: all fields, by name.
import type { Event, KubeObject } from "../../../kube/objects.ts";
import { eventLines, head, marks } from "./parts.ts";
import { TabWriter } from "./tabs.ts";

const SKIPPED = new Set(
  ["name", "namespace", "labels", "annotations", "managedFields"].map((f) => `.metadata.${f}`),
);
const ACRONYMS = new Set(["API", "URL", "UID", "OSB", "GUID"]);

export function genericText(object: KubeObject, events: readonly Event[] | undefined, nowMs: number): string {
  const w = new TabWriter();
  head(w, object);
  marks(w, object);
  fieldLines(w, 0, object as object as Record<string, unknown>, "");
  if (events !== undefined) eventLines(w, events, nowMs);
  return w.toString();
}

function fieldLines(w: TabWriter, depth: number, content: Record<string, unknown>, path: string): void {
  for (const [field, value] of Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const here = `${path}.${field}`;
    if (SKIPPED.has(here) || value === undefined) continue;
    if (typeof value !== "object" || value === null) {
      w.line(depth, `${labelOf(field)}:\t${value === null ? "<nil>" : String(value)}`);
      continue;
    }
    w.line(depth, `${labelOf(field)}:`);
    if (!Array.isArray(value)) fieldLines(w, depth + 1, value as Record<string, unknown>, here);
    else for (const each of value) itemLines(w, depth + 1, each, here);
  }
}

function itemLines(w: TabWriter, depth: number, item: unknown, path: string): void {
  if (typeof item === "object" && item !== null) fieldLines(w, depth, item as Record<string, unknown>, path);
  else w.line(depth, String(item));
}

/** resourceVersion → Resource Version */
function labelOf(field: string): string {
  if (/[^A-Za-z-]/.test(field)) return field;
  return field
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .split(" ")
    .map((word) =>
      ACRONYMS.has(word.toUpperCase()) ? word.toUpperCase() : word[0].toUpperCase() + word.slice(1),
    )
    .join(" ");
}
