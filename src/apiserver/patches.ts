// What a PATCH makes of an object, by the patch's type.
import { unsupportedType } from "./status.ts";

type Patch = (current: unknown, patch: unknown) => unknown;

const PATCHES: Readonly<Record<string, Patch>> = {
  "application/merge-patch+json": merged,
};

export const PATCH_TYPES: readonly string[] = Object.keys(PATCHES);

/** `current` is nobody else's. Throws a StatusError. */
export function patched(type: string, current: unknown, patch: unknown): unknown {
  const apply = PATCHES[type];
  if (apply === undefined) throw unsupportedType(PATCH_TYPES);
  return apply(current, patch);
}

/** RFC 7396: null takes a field away, maps are merged, everything else is replaced. */
function merged(current: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(current) ? current : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name === "__proto__") continue; // a key of the text, and no field of anything
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
