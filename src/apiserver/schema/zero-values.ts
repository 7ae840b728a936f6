// What Go has of an object besides what was written: structures that are no pointers are always there, and so are fields
// that have to be given. Who compares two objects as kube-apiserver does compares those, too.
import { isObject, type Json, type JsonObject, type Resolve, type Schema, type Typed } from "./schema.ts";

const ZEROS: Readonly<Record<string, Json>> = { string: "", integer: 0, number: 0, boolean: false };

const zeros = new WeakMap<Schema, readonly (readonly [string, Json])[]>();

/** The object with these fields. Custom resources have none, and are what they are. */
export function withZeroValues(object: JsonObject, typed: Typed): JsonObject {
  return filled(object, typed.schema, typed.resolve) as JsonObject;
}

function filled(value: Json, given: Schema, resolve: Resolve): Json {
  const schema = resolve(given);
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => filled(item, items, resolve));
  }
  if (!isObject(value)) return value;
  const { properties, additionalProperties: more } = schema;
  const made: JsonObject = {};
  for (const [name, child] of Object.entries(value)) {
    const field =
      properties !== undefined && Object.hasOwn(properties, name)
        ? properties[name]
        : typeof more === "object"
          ? more
          : undefined;
    made[name] = field === undefined ? child : filled(child, field, resolve);
  }
  for (const [name, zero] of zerosOf(schema, resolve)) if (!Object.hasOwn(made, name)) made[name] = zero;
  return made;
}

/** Found out once for each structure: what is always there is the same for all of them. */
function zerosOf(schema: Schema, resolve: Resolve): readonly (readonly [string, Json])[] {
  const known = zeros.get(schema);
  if (known !== undefined) return known;
  const found: (readonly [string, Json])[] = [];
  zeros.set(schema, found);
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (isObject(field.default)) found.push([name, filled({}, field, resolve)]);
    else if (schema.required?.includes(name)) found.push([name, ZEROS[resolve(field).type ?? ""] ?? null]);
  }
  return found;
}
