// The subresource scale of custom resources: where a definition says that the numbers are.
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";
import type { ScalePaths } from "./definition.ts";

export interface CustomScale {
  readonly spec: number;
  readonly status: number;
  readonly selector: string;
}

export function customScale(object: JsonObject, paths: ScalePaths): CustomScale {
  const number = (value: Json | undefined): number => (typeof value === "number" ? value : 0);
  const selector = paths.labelSelectorPath === undefined ? "" : valueAt(object, paths.labelSelectorPath);
  return {
    spec: number(valueAt(object, paths.specReplicasPath)),
    status: number(valueAt(object, paths.statusReplicasPath)),
    selector: typeof selector === "string" ? selector : "",
  };
}

/** The object that wants so many. */
export function withReplicas(
  object: JsonObject,
  { specReplicasPath }: ScalePaths,
  replicas: number,
): JsonObject {
  return withValue(object, partsOf(specReplicasPath), replicas);
}

const partsOf = (path: string): string[] => path.split(".").slice(1);

function valueAt(object: JsonObject, path: string): Json | undefined {
  let at: Json | undefined = object;
  for (const part of partsOf(path)) at = isObject(at) && Object.hasOwn(at, part) ? at[part] : undefined;
  return at;
}

function withValue(object: JsonObject, [first, ...rest]: readonly string[], value: Json): JsonObject {
  const inner = Object.hasOwn(object, first) ? object[first] : undefined;
  return {
    ...object,
    [first]: rest.length === 0 ? value : withValue(isObject(inner) ? inner : {}, rest, value),
  };
}
