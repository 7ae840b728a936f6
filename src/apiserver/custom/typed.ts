// The type of a custom resource: its schema, and what every object has besides.
import { resolveBuiltIn } from "../schema/definitions.ts";
import type { Schema, Typed } from "../schema/schema.ts";

const META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** As it is published, and as patches merge by it. */
export function customSchema(schema: Schema, kind: { group: string; version: string; kind: string }): Schema {
  const properties = {
    ...schema.properties,
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { $ref: META },
  };
  const { group, version } = kind;
  return {
    ...schema,
    ...{ properties, "x-kubernetes-group-version-kind": [{ group, version, kind: kind.kind }] },
  };
}

export const customTyped = (schema: Schema): Typed => ({ schema, resolve: resolveBuiltIn });
