// Custom resources, as the API server checks them: against the schema of their definition, in its words. Only what the
// definitions use that we know is here.
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";

export interface Schema {
  readonly type: "object" | "array" | "string" | "integer";
  readonly properties?: Readonly<Record<string, Schema>>;
  /** Of a map whose keys are anybody's. */
  readonly values?: Schema;
  readonly required?: readonly string[];
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** A list of texts without two equal ones. */
  readonly isSet?: boolean;
  readonly enum?: readonly string[];
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** A rule over the value's fields (x-kubernetes-validations). */
  readonly rule?: { readonly holds: (value: never) => boolean; readonly message: string };
}

type Fields = Readonly<Record<string, unknown>>;

/** Rules come last, and only where nothing of this value's is wrong that would make them say more of the same. */
export function checkSchema(value: unknown, schema: Schema, path: FieldPath, problems: FieldProblems): void {
  const check = new SchemaCheck(problems);
  check.value(value, schema, path);
  if (!check.isBlocked) check.rules(value, schema, path);
}

class SchemaCheck {
  /** A value is missing, too much, or of another type than it has to be. */
  isBlocked: boolean;
  readonly #problems: FieldProblems;

  /** With the problems of the object's metadata. */
  constructor(problems: FieldProblems) {
    this.#problems = problems;
    this.isBlocked = problems.list.some(({ message }) => /: (?:Required value|Too long)/.test(message));
  }

  value(value: unknown, schema: Schema, path: FieldPath): void {
    const type = typeName(value);
    if (type !== schema.type) {
      this.isBlocked = true;
      this.#invalid(path, type, `must be of type ${schema.type}: "${type}"`);
      if (schema.enum !== undefined) this.#problems.unsupportedOf(path, value, schema.enum);
    } else if (schema.type === "array") this.#list(value as unknown[], schema, path);
    else if (schema.type === "object") this.#fields(value as Fields, schema, path);
    else if (schema.type === "integer") this.#integer(value as number, schema, path);
    else this.#text(value as string, schema, path);
  }

  #invalid(path: FieldPath, value: unknown, text: string): void {
    this.#problems.invalid(path, value, `${formatPath(path)} in body ${text}`);
  }

  #list(list: readonly unknown[], schema: Schema, path: FieldPath): void {
    const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
    if (list.length < minItems) this.#invalid(path, list.length, `should have at least ${minItems} items`);
    if (list.length > maxItems) {
      this.isBlocked = true;
      this.#problems.tooMany(path, list.length, maxItems);
    }
    if (schema.isSet === true) this.#repeated(list, path);
    for (const [i, item] of list.entries()) {
      if (items !== undefined) this.value(item, items, [...path, i]);
    }
  }

  /** However often a value comes, it is told once. */
  #repeated(list: readonly unknown[], path: FieldPath): void {
    const texts = list.map((item) => JSON.stringify(item));
    for (const text of new Set(texts)) {
      const second = texts.indexOf(text, texts.indexOf(text) + 1);
      if (second >= 0) this.#problems.duplicate([...path, second], list[second]);
    }
  }

  #fields(fields: Fields, schema: Schema, path: FieldPath): void {
    const { properties = {}, values, required = [], minProperties = 0, maxProperties } = schema;
    const count = Object.keys(fields).length;
    if (count < minProperties) this.#invalid(path, count, `should have at least ${minProperties} properties`);
    if (maxProperties !== undefined && count > maxProperties) {
      this.isBlocked = true;
      this.#problems.tooMany(path, count, maxProperties);
    }
    for (const name of required.filter((each) => fields[each] === undefined)) {
      this.isBlocked = true;
      this.#problems.required([...path, name]);
    }
    for (const [name, value] of Object.entries(fields)) {
      const inner = values ?? properties[name];
      if (inner !== undefined) this.value(value, inner, [...path, name]);
    }
  }

  #integer(value: number, { minimum, maximum }: Schema, path: FieldPath): void {
    if (minimum !== undefined && value < minimum)
      this.#invalid(path, value, `should be greater than or equal to ${minimum}`);
    if (maximum !== undefined && value > maximum)
      this.#invalid(path, value, `should be less than or equal to ${maximum}`);
  }

  #text(text: string, schema: Schema, path: FieldPath): void {
    const { maxLength, pattern } = schema;
    if (schema.enum !== undefined && !schema.enum.includes(text)) {
      this.isBlocked = true;
      this.#problems.unsupportedOf(path, text, schema.enum);
    }
    if (maxLength !== undefined && [...text].length > maxLength) {
      this.isBlocked = true;
      this.#problems.add(path, `${formatPath(path)}: Too long: may not be more than ${maxLength} bytes`);
    }
    if (pattern !== undefined && !new RegExp(pattern).test(text))
      this.#invalid(path, text, `should match '${pattern}'`);
  }

  rules(value: unknown, schema: Schema, path: FieldPath): void {
    if (value === undefined) return;
    if (schema.rule?.holds(value as never) === false) {
      if (typeof value === "object") this.#problems.invalidWhole(path, schema.rule.message);
      else this.#problems.invalid(path, value, schema.rule.message);
    }
    if (schema.items !== undefined)
      for (const [i, item] of (value as unknown[]).entries()) this.rules(item, schema.items, [...path, i]);
    for (const [name, inner] of Object.entries(schema.properties ?? {}))
      this.rules((value as Fields)[name], inner, [...path, name]);
  }
}

/** JSON's types, as the API server calls them. */
function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
