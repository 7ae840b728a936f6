// Lists of custom resources that are sets or maps: an item may be there once.
import { isObject, type Json, type JsonObject, member, type Schema } from "../schema/schema.ts";

/** Each as "PATH: Duplicate value: …". */
export function listProblems(object: JsonObject, schema: Schema): string[] {
  const found: string[] = [];
  walk(object, schema, "", found);
  return found;
}

function walk(value: Json, schema: Schema, path: string, found: string[]): void {
  if (Array.isArray(value)) {
    duplicates(value, schema, path, found);
    const { items } = schema;
    if (items === undefined) return;
    for (const [i, one] of value.entries()) walk(one, items, `${path}[${i}]`, found);
  } else if (isObject(value)) {
    const { properties, additionalProperties: more } = schema;
    for (const [name, child] of Object.entries(value)) {
      const field = member(properties, name) ?? (typeof more === "object" ? more : undefined);
      if (field !== undefined) walk(child, field, path === "" ? name : `${path}.${name}`, found);
    }
  }
}

function duplicates(items: readonly Json[], schema: Schema, path: string, found: string[]): void {
  const type = schema["x-kubernetes-list-type"];
  if (type !== "set" && type !== "map") return;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const identity = (item: Json): Json => {
    if (type === "set" || !isObject(item)) return item;
    const fields = schema.items?.properties;
    const named = keys.map((key) => [key, member(item, key) ?? member(fields, key)?.default] as const);
    return Object.fromEntries(named.filter(([, value]) => value !== undefined)) as JsonObject;
  };
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    const text = JSON.stringify(identity(item));
    if (seen.has(text)) found.push(`${path}[${i}]: Duplicate value: ${text}`);
    seen.add(text);
  }
}
