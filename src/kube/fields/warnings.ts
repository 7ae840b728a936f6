// One line for each kind and field of a call, however many of its objects have it.
import type { KindInfo } from "../kinds.ts";
import type { KubeObject } from "../objects.ts";
import type { FieldNote } from "./fields.ts";

/** "lab": who runs pods. "node": who only reads objects to decide about packets. */
export type Audience = "lab" | "node";

interface Noted {
  readonly object: KubeObject;
  readonly info: KindInfo;
  readonly notes: readonly FieldNote[];
}

export interface Warning {
  /** The same for the same kind and field, whatever the objects. */
  readonly key: string;
  readonly line: string;
}

export function warningLines(manifests: readonly Noted[], audience: Audience): string[] {
  return warningsOf(manifests, audience).map(({ line }) => line);
}

/** `Pod "a" and 3 more: spec.initContainers: init containers are not run (docs/fields.md)`. */
export function warningsOf(manifests: readonly Noted[], audience: Audience): Warning[] {
  const found = new Map<string, { note: FieldNote; kind: string; names: Set<string> }>();
  for (const { object, info, notes } of manifests) {
    for (const note of notes) {
      if (note.scope === "lab" && audience === "node") continue;
      const key = `${info.kind} ${note.group ?? note.field}`;
      const entry = found.get(key) ?? { note, kind: info.kind, names: new Set<string>() };
      entry.names.add(`${object.metadata?.namespace ?? ""}/${object.metadata?.name ?? ""}`);
      found.set(key, entry);
    }
  }
  return [...found].map(([key, { note, kind, names }]) => {
    const [first] = names;
    const name = first.slice(first.indexOf("/") + 1);
    const who = name === "" ? kind : `${kind} ${JSON.stringify(name)}`;
    const more = names.size > 1 ? ` and ${names.size - 1} more` : "";
    return { key, line: `warning: ${who}${more}: ${note.field}: ${note.text}` };
  });
}
