// Custom resources against the schema of their definition: a library checks, the words are those of an API server.
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { RE2JS } from "re2js";
import { TOLD_MAX } from "../schema/duplicate-fields.ts";
import { isObject, type Json, type JsonObject, type Schema } from "../schema/schema.ts";
import { FORMATS } from "./formats.ts";
import { listProblems } from "./lists.ts";
import { isPattern } from "./structural.ts";

const VERBATIM = ["required", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "multipleOf"];
const MORE = ["minProperties", "maxProperties", "enum"];
const known = new WeakMap<Schema, ValidateFunction>();

/** Each as "PATH: Word value: why"; of very many the first ones. */
export function schemaProblems(object: JsonObject, schema: Schema): string[] {
  let validate = known.get(schema);
  if (validate === undefined) {
    try {
      validate = makeAjv().compile(translated(schema as unknown as JsonObject));
    } catch {
      return []; // what came otherwise than by the API may be anything
    }
    known.set(schema, validate);
  }
  validate(object);
  const errors = (validate.errors ?? []).filter(isOutside).slice(0, TOLD_MAX);
  const found = errors.map((error) => problemOf(error, object)).filter((text) => text !== undefined);
  return [...new Set([...found, ...listProblems(object, schema).slice(0, TOLD_MAX)])];
}

/** Why objects cannot be held to a schema; undefined: they can. Makes no code of it, which takes long for a large one. */
export function unusable(schema: JsonObject): string | undefined {
  const ajv = (judge ??= makeAjv());
  try {
    return ajv.validateSchema(translated(schema)) === true ? undefined : ajv.errorsText(ajv.errors);
  } catch (error) {
    return (error as Error).message; // null for a schema
  }
}

let judge: Ajv | undefined;

function makeAjv(): Ajv {
  return new Ajv({
    ...{ allErrors: true, verbose: true, strict: false, logger: false },
    formats: FORMATS,
    code: { regExp: linear },
  });
}

/** Go's expressions: no pattern and no text makes one take longer than the text is long. */
const linear = Object.assign((pattern: string) => RE2JS.compile(pattern) as { test(text: string): boolean }, {
  code: "linear",
});

/** What goes wrong inside of an alternative is told by the alternative. */
const isOutside = ({ schemaPath }: ErrorObject): boolean =>
  !/(?<!properties)\/(?:(?:oneOf|anyOf)\/\d|not\/)/.test(schemaPath);

/** From OpenAPI's dialect, with Kubernetes' extensions, to JSON schema. */
function translated(schema: JsonObject): JsonObject {
  const made: JsonObject = {};
  for (const name of [...VERBATIM, ...MORE]) if (schema[name] !== undefined) made[name] = schema[name];
  for (const name of ["required", "enum"]) {
    // JSON schema has them without duplicates, and no empty enumeration.
    const all = made[name];
    if (Array.isArray(all)) made[name] = distinct(all);
    if (name === "enum" && (all as Json[] | undefined)?.length === 0) delete made[name];
  }
  const { type, nullable, format, pattern } = schema;
  if (schema["x-kubernetes-int-or-string"] === true) made.type = ["integer", "string"];
  else if (typeof type === "string" && type !== "") made.type = type;
  if (nullable === true && made.type !== undefined) made.type = [made.type].flat().concat("null");
  if (nullable === true && Array.isArray(made.enum)) made.enum = [...made.enum, null];
  if (typeof format === "string" && Object.hasOwn(FORMATS, format)) made.format = format;
  if (typeof pattern === "string" && isPattern(pattern)) made.pattern = pattern;
  bounds(schema, made, "minimum", "exclusiveMinimum");
  bounds(schema, made, "maximum", "exclusiveMaximum");
  for (const name of ["items", "not", "additionalProperties"]) {
    const one = schema[name];
    if (isObject(one)) made[name] = translated(one);
  }
  for (const name of ["allOf", "anyOf", "oneOf"]) {
    const all = schema[name];
    if (Array.isArray(all) && all.length > 0) made[name] = all.map((one) => translated(one as JsonObject));
  }
  if (isObject(schema.properties)) {
    const all = Object.entries(schema.properties);
    made.properties = Object.fromEntries(all.map(([name, one]) => [name, translated(one as JsonObject)]));
  }
  if (schema["x-kubernetes-embedded-resource"] === true) {
    made.required = [...new Set([...((schema.required ?? []) as string[]), "apiVersion", "kind"])];
  }
  return made;
}

const distinct = (all: readonly Json[]): Json[] => [
  ...new Map(all.map((one) => [JSON.stringify(one), one])).values(),
];

/** OpenAPI says beside a bound whether it belongs to the range. */
function bounds(schema: JsonObject, made: JsonObject, name: string, exclusive: string): void {
  const value = schema[name];
  if (typeof value === "number") made[schema[exclusive] === true ? exclusive : name] = value;
}

/** ".spec.ports[0]" by the object that it leads into: a map may have numbers for names. */
function pathOf(pointer: string, object: JsonObject): string {
  let at: Json | undefined = object;
  let path = "";
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) {
      path += `[${name}]`;
      at = at[Number(name)];
    } else {
      path += path === "" ? name : `.${name}`;
      at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
    }
  }
  return path;
}

const shown = (value: unknown): string => JSON.stringify(value);

function problemOf(error: ErrorObject, object: JsonObject): string | undefined {
  const { keyword, params, instancePath } = error;
  const data = error.data as Json;
  const path = pathOf(instancePath, object);
  const at = path === "" ? "<nil>" : path;
  const invalid = (value: unknown, why: string): string =>
    `${at}: Invalid value: ${shown(value)}: ${path} in body ${why}`;
  switch (keyword) {
    case "required":
      return `${path === "" ? "" : `${path}.`}${params.missingProperty}: Required value`;
    case "type":
      return invalid(typeOf(data), `must be of type ${wanted(params.type)}: ${shown(typeOf(data))}`);
    case "enum": {
      const values = (params.allowedValues as Json[]).filter((one) => one !== null);
      const texts = values.map((one) => shown(typeof one === "string" ? one : shown(one)));
      return `${at}: Unsupported value: ${shown(data)}: supported values: ${texts.join(", ")}`;
    }
    case "maxLength":
      return `${at}: Too long: may not be more than ${params.limit} bytes`;
    case "maxItems":
      return `${at}: Too many: ${(data as Json[]).length}: must have at most ${items(params.limit)}`;
    case "maxProperties":
      return `${at}: Too many: ${Object.keys(data as JsonObject).length}: must have at most ${items(params.limit)}`;
    case "minLength":
      return invalid(data, `should be at least ${params.limit} chars long`);
    case "minItems":
      return invalid((data as Json[]).length, `should have at least ${params.limit} items`);
    case "minProperties":
      return invalid(
        Object.keys(data as JsonObject).length,
        `should have at least ${params.limit} properties`,
      );
    case "uniqueItems":
      return invalid(data, "shouldn't contain duplicates");
    case "pattern":
      return invalid(data, `should match '${params.pattern}'`);
    case "format":
      return invalid(data, `must be of type ${params.format}: ${shown(data)}`);
    case "multipleOf":
      return invalid(data, `should be a multiple of ${params.multipleOf}`);
    case "minimum":
      return invalid(data, `should be greater than or equal to ${params.limit}`);
    case "exclusiveMinimum":
      return invalid(data, `should be greater than ${params.limit}`);
    case "maximum":
      return invalid(data, `should be less than or equal to ${params.limit}`);
    case "exclusiveMaximum":
      return invalid(data, `should be less than ${params.limit}`);
    case "anyOf":
      return `${at}: Invalid value: "": ${shown(path)} must validate at least one schema (anyOf)`;
    case "oneOf":
      return `${at}: Invalid value: "": ${shown(path)} must validate one and only one schema (oneOf). ${
        params.passingSchemas === null ? "Found none valid" : "Found 2 valid alternatives"
      }`;
    case "not":
      return `${at}: Invalid value: "": ${shown(path)} must not validate the schema (not)`;
    default:
      return undefined;
  }
}

const items = (limit: number): string => `${limit} ${limit === 1 ? "item" : "items"}`;
const typeOf = (value: Json): string => {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return Number.isInteger(value) ? "integer" : typeof value;
};
const wanted = (type: string | string[]): string =>
  [type]
    .flat()
    .filter((one) => one !== "null")
    .join(",");
