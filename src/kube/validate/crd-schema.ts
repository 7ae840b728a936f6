// Custom resources, as the API server checks them: against the schema of their definition, in its words. Only what the
// definitions use that we know is here.
import { deepEqual } from "../../base/deep-equal.ts";
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";

export interface Schema {
  readonly type: "object" | "array" | "string" | "integer";
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** A list without two equal items. */
  readonly isSet?: boolean;
  readonly enum?: readonly string[];
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  /** A rule over the value's fields (x-kubernetes-validations). */
  readonly rule?: { readonly holds: (value: never) => boolean; readonly message: string };
}

/** The value's types are right. Rules come last, and only when nothing is missing and nothing too much. */
export function checkSchema(value: unknown, schema: Schema, path: FieldPath, problems: FieldProblems): void {
  const before = problems.list.length;
  checkValue(value, schema, path, problems);
  if (problems.list.length === before) checkRules(value, schema, path, problems);
}

function checkValue(value: unknown, schema: Schema, path: FieldPath, problems: FieldProblems): void {
  const invalid = (text: string): void =>
    problems.invalid(path, value, `${formatPath(path)} in body should ${text}`);
  if (schema.type === "array") checkList(value as unknown[], schema, path, problems, invalid);
  else if (schema.type === "object") checkFields(value as Fields, schema, path, problems, invalid);
  else if (schema.type === "integer") {
    const { minimum, maximum } = schema;
    if (minimum !== undefined && (value as number) < minimum)
      invalid(`be greater than or equal to ${minimum}`);
    if (maximum !== undefined && (value as number) > maximum) invalid(`be less than or equal to ${maximum}`);
  } else checkText(value as string, schema, path, problems);
}

type Fields = Readonly<Record<string, unknown>>;
type Invalid = (text: string) => void;

function checkList(
  list: readonly unknown[],
  schema: Schema,
  path: FieldPath,
  problems: FieldProblems,
  invalid: Invalid,
): void {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
  if (list.length < minItems) invalid(`have at least ${minItems} items`);
  if (list.length > maxItems) problems.tooMany(path, list.length, maxItems);
  for (const [i, item] of list.entries()) {
    if (items !== undefined) checkValue(item, items, [...path, i], problems);
    const isSecond = list.findIndex((each) => deepEqual(each, item)) < i;
    if (schema.isSet === true && isSecond) problems.duplicate([...path, i], item);
  }
}

function checkFields(
  fields: Fields,
  schema: Schema,
  path: FieldPath,
  problems: FieldProblems,
  invalid: Invalid,
): void {
  const { properties = {}, required = [], minProperties = 0, maxProperties } = schema;
  const count = Object.keys(fields).length;
  if (count < minProperties) invalid(`have at least ${minProperties} properties`);
  if (maxProperties !== undefined && count > maxProperties) problems.tooMany(path, count, maxProperties);
  for (const name of required) if (fields[name] === undefined) problems.required([...path, name]);
  for (const [name, inner] of Object.entries(properties)) {
    if (fields[name] !== undefined) checkValue(fields[name], inner, [...path, name], problems);
  }
}

function checkText(text: string, schema: Schema, path: FieldPath, problems: FieldProblems): void {
  const { maxLength } = schema;
  if (schema.enum !== undefined && !schema.enum.includes(text)) problems.unsupported(path, text, schema.enum);
  if (maxLength !== undefined && [...text].length > maxLength)
    problems.add(path, `${formatPath(path)}: Too long: may not be more than ${maxLength} bytes`);
}

function checkRules(value: unknown, schema: Schema, path: FieldPath, problems: FieldProblems): void {
  if (value === undefined) return;
  if (schema.rule?.holds(value as never) === false) problems.invalid(path, value, schema.rule.message);
  if (schema.items !== undefined) {
    for (const [i, item] of (value as unknown[]).entries())
      checkRules(item, schema.items, [...path, i], problems);
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {}))
    checkRules((value as Fields)[name], inner, [...path, name], problems);
}
