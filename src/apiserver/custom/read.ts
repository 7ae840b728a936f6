// A custom resource as a request brings it: fields that its schema does not have go, and defaults come in.
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { checkFields } from "../schema/check-fields.ts";
import { resolveBuiltIn } from "../schema/definitions.ts";
import type { JsonObject, Schema, Typed } from "../schema/schema.ts";
import type { CustomVersion } from "./definition.ts";
import { prune, withDefaults } from "./prune.ts";
import { schemaProblems } from "./validate.ts";

const META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const ONLY_METADATA: Typed = {
  schema: { type: "object", properties: { metadata: { $ref: META } } },
  resolve: resolveBuiltIn,
};
const types = new WeakMap<Schema, Typed>();

export interface ReadCustom {
  readonly object: JsonObject;
  /** Paths of fields that are not kept. */
  readonly unknown: readonly string[];
  readonly wrong: string | undefined;
}

export function readCustom(given: JsonObject, { schema, check }: CustomVersion): ReadCustom {
  const { metadata = {} } = given;
  const meta = checkFields({ metadata }, ONLY_METADATA);
  const pruned = prune({ ...given, ...meta.known }, schema);
  const object = withDefaults(pruned.object, schema);
  // What is refused is told later, of the whole object.
  if (check !== undefined && schemaProblems(object, schema).length === 0) check(object, new FieldProblems());
  return {
    object,
    unknown: [...meta.unknown, ...pruned.unknown],
    wrong: meta.wrong,
  };
}

/** What its kind's check says beyond its schema, a line each; nothing where the schema is not held to. */
export function checkProblems(object: JsonObject, { check }: CustomVersion): string[] {
  const found = new FieldProblems();
  check?.(structuredClone(object), found);
  return found.list.map(({ message }) => message);
}

/** As patches merge by it, and as it is published: its schema, and what every object has besides. */
export function customTyped({ schema, group, version, kind }: CustomVersion): Typed {
  let typed = types.get(schema);
  if (typed === undefined) {
    const { metadata: _own, ...fields } = schema.properties ?? {};
    const every = { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: { $ref: META } };
    const whole = { ...schema, properties: { ...fields, ...every } };
    const kinds = { "x-kubernetes-group-version-kind": [{ group, version, kind }] };
    typed = { schema: { ...whole, ...kinds }, resolve: resolveBuiltIn };
    types.set(schema, typed);
  }
  return typed;
}
