// What `kubectl apply` did before it applied on the server: it noted what it applied in an annotation. Who goes over to
// the server's way has no conflicts with himself.
import { isObject, type JsonObject, type Typed } from "../schema/schema.ts";
import { compare } from "./compare-values.ts";
import type { Conflict } from "./conflicts.ts";
import { below, difference, type FieldSet, has } from "./field-set.ts";
import { fieldSetOf } from "./typed-value.ts";

export const KUBECTL = "kubectl";
const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";
const ANNOTATIONS_MAX_BYTES = 256 * 1024;

const annotationsOf = (object: JsonObject): JsonObject => {
  const { metadata } = object;
  return isObject(metadata) && isObject(metadata.annotations) ? metadata.annotations : {};
};

/** Of the conflicts those that are not with what kubectl itself had applied, and that still stands. */
export function allowedByLastApplied(
  live: JsonObject,
  conflicts: readonly Conflict[],
  { typed, apiVersion }: { readonly typed: Typed; readonly apiVersion: string },
): readonly Conflict[] {
  const applied = readLastApplied(live);
  if (applied === undefined || applied.apiVersion !== apiVersion) return conflicts;
  const { added, modified, removed } = compare(applied, live, typed);
  let own = fieldSetOf(applied, typed);
  for (const set of [added, modified, removed]) own = difference(own, set);
  return conflicts.filter(({ path }) => {
    let at: FieldSet = own;
    for (const element of path.slice(0, -1)) at = below(at, element);
    return !has(at, path[path.length - 1]);
  });
}

function readLastApplied(object: JsonObject): JsonObject | undefined {
  const text = annotationsOf(object)[ANNOTATION];
  if (typeof text !== "string" || text === "") return undefined;
  try {
    const applied = JSON.parse(text);
    return isObject(applied) ? applied : undefined;
  } catch {
    return undefined;
  }
}

/** Where there is such an annotation it goes on to say what was applied last. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const annotations = annotationsOf(object);
  if (typeof annotations[ANNOTATION] !== "string" || annotations[ANNOTATION] === "") return object;
  const { [ANNOTATION]: _old, ...others } = annotationsOf(config);
  const metadata = isObject(config.metadata) ? config.metadata : {};
  const { annotations: _all, ...rest } = metadata;
  const bare = Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
  const text = `${JSON.stringify(sorted({ ...config, metadata: bare }))}\n`;
  const kept = { ...annotations, [ANNOTATION]: text };
  const size = Object.entries(kept).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(String(value)),
    0,
  );
  const { [ANNOTATION]: _large, ...without } = annotations;
  const written = size > ANNOTATIONS_MAX_BYTES ? without : kept;
  return { ...object, metadata: { ...(object.metadata as JsonObject), annotations: written } };
}

/** Go writes the names of a map in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}
