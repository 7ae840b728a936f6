// What Go has of an object besides what was written: structures that are no pointers are always there, and so are fields
// that have to be given. Who compares two objects as kube-apiserver does compares those, too.
import {
  isObject,
  type Json,
  type JsonObject,
  member,
  type Resolve,
  type Schema,
  type Typed,
} from "./schema.ts";

const ZEROS: Readonly<Record<string, Json>> = { string: "", integer: 0, number: 0, boolean: false };

const zeros = new WeakMap<Schema, readonly (readonly [string, Json])[]>();

/** The object with these fields; parts that lack none are its own. Custom resources have none, and are what they are. */
export function withZeroValues(object: JsonObject, typed: Typed): JsonObject {
  return filled(object, typed.schema, typed.resolve) as JsonObject;
}

function filled(value: Json, given: Schema, resolve: Resolve): Json {
  const schema = resolve(given);
  if (Array.isArray(value)) return schema.items === undefined ? value : items(value, schema.items, resolve);
  if (!isObject(value)) return value;
  const { properties, additionalProperties: more } = schema;
  let made: JsonObject | undefined;
  for (const name of Object.keys(value)) {
    const child = value[name];
    if (typeof child !== "object") continue;
    const field = member(properties, name) ?? (typeof more === "object" ? more : undefined);
    const whole = field === undefined ? child : filled(child, field, resolve);
    if (whole !== child) (made ??= { ...value })[name] = whole;
  }
  for (const [name, zero] of zerosOf(schema, resolve))
    if (!Object.hasOwn(value, name)) (made ??= { ...value })[name] = zero;
  return made ?? value;
}

function items(values: Json[], schema: Schema, resolve: Resolve): Json[] {
  let made: Json[] | undefined;
  for (let i = 0; i < values.length; i++) {
    const whole = filled(values[i], schema, resolve);
    if (whole !== values[i]) (made ??= [...values])[i] = whole;
  }
  return made ?? values;
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
