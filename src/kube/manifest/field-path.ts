// A field's path as an API server writes it, taken apart again.
import type { FieldPath } from "./field-problems.ts";

/** Of "spec.ports[0].name", or of that before ": why"; empty where it is none. */
export function fieldPathIn(text: string): FieldPath {
  const [path] = text.split(": ", 1);
  if (!/^[A-Za-z_$][\w$-]*(?:\.[\w$-]+|\[[^\]]*\])*$/.test(path)) return [];
  return [...path.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([part, inside]) =>
    inside === undefined ? part : /^\d+$/.test(inside) ? Number(inside) : inside,
  );
}
