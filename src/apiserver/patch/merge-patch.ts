// JSON merge patch (RFC 7386): null takes a field away, an object goes on below it, anything else takes its place.
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";

export function applyMergePatch(object: JsonObject, patch: JsonObject): JsonObject {
  const made: JsonObject = { ...object };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete made[name];
    else {
      const old = Object.hasOwn(made, name) ? made[name] : undefined;
      set(made, name, isObject(value) ? applyMergePatch(isObject(old) ? old : {}, value) : value);
    }
  }
  return made;
}

/** Of its own, whatever its name is. */
export function set(object: JsonObject, name: string, value: Json): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Fields that are null are not there, once a structure has been read. Items of lists stay. */
export function withoutNulls(value: Json): Json {
  if (Array.isArray(value))
    return value.every((item) => withoutNulls(item) === item) ? value : value.map(withoutNulls);
  if (!isObject(value)) return value;
  const names = Object.keys(value);
  if (names.every((name) => value[name] !== null && withoutNulls(value[name]) === value[name])) return value;
  const kept = names.filter((name) => value[name] !== null);
  return Object.fromEntries(kept.map((name) => [name, withoutNulls(value[name])]));
}
