// The schema of a definition, from the table of types by which files are read (kubernetes-types.ts has its notation):
// both know the same fields.
import type { Schema } from "../schema/schema.ts";

export type Types = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** "Type.field" of lists whose items are known by one of their fields → that field. Other lists are one value. */
export type ListKeys = Readonly<Record<string, string>>;

const ANYTHING: Schema = { "x-kubernetes-preserve-unknown-fields": true };

const SCALARS: Readonly<Record<string, Schema>> = {
  s: { type: "string" },
  i: { type: "integer", format: "int32" },
  b: { type: "boolean" },
  t: { type: "string", format: "date-time" },
  x: { "x-kubernetes-int-or-string": true },
  any: ANYTHING,
};
/** int64 in the API. */
const WIDE: Schema = { type: "integer", format: "int64" };
/** A server has them without being told. */
const EVERYBODYS = ["apiVersion", "kind", "metadata"];

/** Of the objects of a kind. Types may not hold themselves. */
export function schemaOfKind(kind: string, types: Types, keys: ListKeys): Schema {
  return structOf(kind, EVERYBODYS, types, keys);
}

function structOf(type: string, without: readonly string[], types: Types, keys: ListKeys): Schema {
  const properties: Record<string, Schema> = {};
  for (const [name, text] of types.get(type) ?? [])
    if (!without.includes(name)) properties[name] = schemaOf(text, `${type}.${name}`, types, keys);
  return { type: "object", properties };
}

function schemaOf(text: string, place: string, types: Types, keys: ListKeys): Schema {
  if (text.startsWith("[")) {
    const items = schemaOf(text.slice(1, -1), place, types, keys);
    const key = keys[place] ?? keys[place.replace(/^.*\./, "*.")];
    if (key === undefined) return { type: "array", items, "x-kubernetes-list-type": "atomic" };
    const map = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] };
    return { type: "array", items: { ...items, required: [key] }, ...map };
  }
  if (text.startsWith("{"))
    return { type: "object", additionalProperties: schemaOf(text.slice(1, -1), place, types, keys) };
  if (types.has(text)) return structOf(text, [], types, keys);
  return text === "i" && place.endsWith(".observedGeneration") ? WIDE : SCALARS[text];
}
