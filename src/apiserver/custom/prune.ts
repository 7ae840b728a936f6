// Custom resources: fields that the schema does not have go, and defaults come in where nothing was said.
import { TOLD_MAX } from "../schema/duplicate-fields.ts";
import { isObject, type Json, type JsonObject, member, type Schema } from "../schema/schema.ts";

const OWN = ["apiVersion", "kind", "metadata"];

export interface Pruned {
  readonly object: JsonObject;
  /** Paths of what went. */
  readonly unknown: readonly string[];
}

/** Metadata is not the schema's. */
export function prune(object: JsonObject, schema: Schema): Pruned {
  const unknown: string[] = [];
  const made = pruned(object, schema, "", true, unknown) as JsonObject;
  return { object: made, unknown };
}

const keeps = (schema: Schema): boolean => schema["x-kubernetes-preserve-unknown-fields"] === true;

function pruned(value: Json, schema: Schema, path: string, isResource: boolean, unknown: string[]): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined
      ? value
      : value.map((one, i) =>
          pruned(one, items, `${path}[${i}]`, items["x-kubernetes-embedded-resource"] === true, unknown),
        );
  }
  if (!isObject(value)) return value;
  const { properties, additionalProperties: more } = schema;
  const made: JsonObject = {};
  for (const [name, child] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    if (isResource && OWN.includes(name)) {
      made[name] = child;
      continue;
    }
    const field = member(properties, name) ?? (typeof more === "object" ? more : undefined);
    if (field !== undefined) {
      made[name] = pruned(child, field, at, field["x-kubernetes-embedded-resource"] === true, unknown);
    } else if (keeps(schema) || more === true) made[name] = child;
    else if (unknown.length < TOLD_MAX) unknown.push(at);
  }
  return made;
}

/** With what the schema says of fields that are not there. A null counts as nothing where it may not stand. */
export function withDefaults(object: JsonObject, schema: Schema): JsonObject {
  return defaulted(object, schema) as JsonObject;
}

function defaulted(value: Json, schema: Schema): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((one) => defaulted(one, items));
  }
  if (!isObject(value)) return value;
  const { properties = {}, additionalProperties: more } = schema;
  const made: JsonObject = {};
  for (const [name, child] of Object.entries(value)) {
    const field = member(properties, name) ?? (typeof more === "object" ? more : undefined);
    const isNothing = child === null && field !== undefined && field.nullable !== true;
    if (!isNothing) made[name] = field === undefined ? child : defaulted(child, field);
  }
  for (const [name, field] of Object.entries(properties)) {
    if (field.default === undefined || Object.hasOwn(made, name)) continue;
    made[name] = defaulted(structuredClone(field.default), field);
  }
  return made;
}
