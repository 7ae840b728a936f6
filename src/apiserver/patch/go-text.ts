// Values as Go prints them in messages.
import { isObject, type Json } from "../schema/schema.ts";

/** `map[a:1 b:[x y]]`: near enough to know the value again. */
export function goText(value: Json | readonly Json[]): string {
  if (Array.isArray(value)) return `[${(value as Json[]).map(goText).join(" ")}]`;
  if (!isObject(value)) return value === null ? "<nil>" : String(value);
  const names = Object.keys(value).sort();
  return `map[${names.map((name) => `${name}:${goText(value[name])}`).join(" ")}]`;
}
