// What a version of a CustomResourceDefinition says of its objects, and why a definition is refused that could not be
// held to. Versions are converted by changing their apiVersion alone (strategy None): nobody calls webhooks here.
import { deepEqual } from "../../base/deep-equal.ts";
import type { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { isObject, type Json, type JsonObject, type Schema } from "../schema/schema.ts";
import type { TableColumn } from "../table/column.ts";
import { customColumns, type PrinterColumn, pathProblem } from "../table/custom-columns.ts";
import { hasRules, ruleProblems } from "./cel-rules.ts";
import { structuralProblems } from "./structural.ts";
import { unusable } from "./validate.ts";

export interface ScalePaths {
  /** ".spec.replicas" */
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  /** Of a text. */
  readonly labelSelectorPath?: string;
}

export interface CustomVersion {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** As the definition has it; of one without, anything goes. */
  readonly schema: Schema;
  /** In CEL (x-kubernetes-validations). */
  readonly hasRules: boolean;
  readonly scale: ScalePaths | undefined;
  /** Of its tables. */
  readonly columns: readonly TableColumn[];
  /** A warning for whoever uses it. */
  readonly deprecation: string | undefined;
  /** Of a kind that podwire knows: fills in, and reports, what the schema does not say. The types are right. */
  readonly check?: (object: JsonObject, problems: FieldProblems) => void;
}

const ANYTHING: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const PATH = /^(?:\.[A-Za-z_][A-Za-z0-9_-]*)+$/;

const objectOf = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const objectsOf = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

const invalid = (path: string, value: Json | undefined, why: string): string =>
  `${path}: Invalid value: ${JSON.stringify(value ?? "")}: ${why}`;

/** Beside those of names: each as "PATH: Word value: why". `old`: what it replaces. */
export function definitionProblems(object: JsonObject, old?: JsonObject): string[] {
  const spec = objectOf(object.spec);
  const found: string[] = [];
  const versions = objectsOf(spec.versions);
  const own = versions.map(({ name }) => textOf(name));
  const before = new Map(objectsOf(objectOf(old?.spec).versions).map((one) => [textOf(one.name), one]));
  if (new Set(own).size < own.length)
    found.push(invalid("spec.versions", own, "must contain unique version names"));
  for (const [i, version] of versions.entries())
    found.push(...versionProblems(version, `spec.versions[${i}]`, before.get(textOf(version.name))));
  const { strategy = "None" } = objectOf(spec.conversion);
  if (strategy !== "None") {
    const why = "podwire has no webhooks: make it None, which changes the apiVersion alone";
    found.push(invalid("spec.conversion.strategy", strategy, why));
  }
  if (spec.preserveUnknownFields === true) {
    found.push(
      invalid("spec.preserveUnknownFields", true, "must be false in order to use defaults in the schema"),
    );
  }
  return found;
}

function versionProblems(version: JsonObject, path: string, before: JsonObject | undefined): string[] {
  const { openAPIV3Schema: schema } = objectOf(version.schema);
  const at = `${path}.schema.openAPIV3Schema`;
  const found = isObject(schema) ? structuralProblems(schema, at) : [`${at}: Required value`];
  const why = isObject(schema) && found.length === 0 ? unusable(schema) : undefined;
  if (why !== undefined) found.push(`${at}: Invalid value: ${why}`);
  if (isObject(schema) && found.length === 0) {
    const isKept = before !== undefined && deepEqual(version.schema, before.schema);
    found.push(...ruleProblems(schema, at, isKept));
  }
  for (const [i, column] of objectsOf(version.additionalPrinterColumns).entries())
    found.push(...columnProblems(column, `${path}.additionalPrinterColumns[${i}]`));
  const { scale } = objectOf(version.subresources);
  if (!isObject(scale)) return found;
  for (const field of ["specReplicasPath", "statusReplicasPath"]) {
    const value = textOf(scale[field]);
    const part = field.startsWith("spec") ? ".spec" : ".status";
    const where = `${path}.subresources.scale.${field}`;
    if (value === "") found.push(`${where}: Required value`);
    else if (!PATH.test(value) || !value.startsWith(`${part}.`)) {
      found.push(invalid(where, value, `should be a json path under ${part}`));
    }
  }
  return found;
}

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

function columnProblems(column: JsonObject, path: string): string[] {
  const [name, type, format] = [textOf(column.name), textOf(column.type), textOf(column.format)];
  const found: string[] = [];
  if (name === "") found.push(`${path}.name: Required value`);
  const types = `must be one of ${COLUMN_TYPES.join(",")}`;
  if (type === "") found.push(`${path}.type: Required value: ${types}`);
  else if (!COLUMN_TYPES.includes(type)) found.push(invalid(`${path}.type`, type, types));
  if (format !== "" && !COLUMN_FORMATS.includes(format))
    found.push(invalid(`${path}.format`, format, `must be one of ${COLUMN_FORMATS.join(",")}`));
  const { jsonPath } = column;
  const why = pathProblem(jsonPath);
  if (textOf(jsonPath) === "") found.push(`${path}.JSONPath: Required value`);
  else if (why !== undefined) found.push(invalid(`${path}.JSONPath`, jsonPath, why));
  return found;
}

export function readVersion(version: JsonObject, group: string, kind: string): CustomVersion {
  const name = textOf(version.name);
  const { scale } = objectOf(version.subresources);
  const { openAPIV3Schema: schema } = objectOf(version.schema);
  const told = textOf(version.deprecationWarning) || `${group}/${name} ${kind} is deprecated`;
  // What came otherwise than by the API may be anything.
  const isHeldTo = isObject(schema) && structuralProblems(schema, "").length === 0;
  const heldTo = isHeldTo ? (schema as unknown as Schema) : ANYTHING;
  return {
    ...{ group, kind, version: name, schema: heldTo, hasRules: hasRules(heldTo) },
    scale: isObject(scale) ? (scale as unknown as ScalePaths) : undefined,
    columns: customColumns(objectsOf(version.additionalPrinterColumns) as unknown as PrinterColumn[]),
    deprecation: version.deprecated === true ? told : undefined,
  };
}
