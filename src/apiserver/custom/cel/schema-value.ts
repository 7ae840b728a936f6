// What a schema says of values, for expressions: their types, and objects as they see them. Fields that have no type, and
// so could be anything, are not there for them.
import { isObject, type Json, type JsonObject, type Schema } from "../../schema/schema.ts";
import { parseDuration, parseTimestamp } from "./function/times.ts";
import {
  BOOL,
  BYTES,
  type CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  STRING,
  TIMESTAMP,
} from "./type.ts";
import { Fault, Fields, markKeyed, markSet, Unknown, type Value } from "./value.ts";

const RESERVED = new Set([
  ...[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
  ],
  ...["let", "loop", "package", "namespace", "return", "var", "void", "while"],
]);
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ __: "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__" },
};

/** The name by which an expression has a field; undefined: it cannot name it. */
export function escapedName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_./-][A-Za-z0-9_./-]*$/.test(name)) return undefined;
  return name.replace(/__|[-./]/g, (part) => ESCAPES[part]);
}

const META: Schema = {
  type: "object",
  properties: { name: { type: "string" }, generateName: { type: "string" } },
};
const HEAD = { apiVersion: { type: "string" }, kind: { type: "string" }, metadata: META } as const;

/** Of an object of the API: its head is there whether the schema speaks of it or not. */
function withHead(schema: Schema): Schema {
  return { ...schema, type: "object", properties: { ...schema.properties, ...HEAD } };
}

export const isEmbedded = (schema: Schema): boolean => schema["x-kubernetes-embedded-resource"] === true;

/** Undefined: values of it cannot be spoken of. `isRoot`: of a whole object. */
export function typeOf(given: Schema, isRoot = isEmbedded(given)): CelType | undefined {
  if (given["x-kubernetes-int-or-string"] === true) return DYN;
  const schema = isRoot ? withHead(given) : given;
  switch (schema.type) {
    case "array": {
      const items = schema.items === undefined ? undefined : typeOf(schema.items);
      return items === undefined ? undefined : listOf(items);
    }
    case "object":
      return objectType(schema);
    case "string":
      return textType(schema.format);
    case "boolean":
      return BOOL;
    case "number":
      return DOUBLE;
    case "integer":
      return INT;
    default:
      return undefined;
  }
}

function objectType(schema: Schema): CelType | undefined {
  const { additionalProperties: more, properties = {} } = schema;
  if (typeof more === "object") {
    const values = typeOf(more);
    return values === undefined ? undefined : mapOf(STRING, values);
  }
  const fields = new Map<string, CelType>();
  for (const [name, field] of Object.entries(properties)) {
    const [type, escaped] = [typeOf(field), escapedName(name)];
    if (type !== undefined && escaped !== undefined) fields.set(escaped, type);
  }
  return { kind: "object", name: "object", args: [], fields };
}

function textType(format: string | undefined): CelType {
  if (format === "byte") return BYTES;
  if (format === "duration") return DURATION;
  return format === "date" || format === "date-time" ? TIMESTAMP : STRING;
}

/** Throws a Fault where the value is none of its schema. */
export function celValue(json: Json, given: Schema, isRoot = isEmbedded(given)): Value {
  if (json === null) {
    if (given.nullable === true) return null;
    throw new Fault("invalid data, got null for schema with nullable=false");
  }
  if (given["x-kubernetes-int-or-string"] === true) return typeof json === "number" ? BigInt(json) : json;
  const schema = isRoot ? withHead(given) : given;
  if (schema.type === "object" && isObject(json)) return objectValue(json, schema);
  if (schema.type === "array" && Array.isArray(json)) return listValue(json, schema);
  if (schema.type === "string" && typeof json === "string") return textValue(json, schema.format);
  if (schema.type === "integer" && typeof json === "number") return BigInt(json);
  if (schema.type === "number" || schema.type === "boolean") return json;
  return new Unknown(json);
}

function objectValue(json: JsonObject, schema: Schema): Value {
  const { additionalProperties: more, properties = {} } = schema;
  if (typeof more === "object")
    return new Map(Object.entries(json).map(([name, child]) => [name, celValue(child, more)]));
  const fields = new Map<string, Value>();
  for (const [name, child] of Object.entries(json)) {
    if (child === null) continue; // as if it were not there
    const field = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const escaped = escapedName(name);
    if (field !== undefined) fields.set(escaped ?? `\0${name}`, celValue(child, field));
    else fields.set(`\0${name}`, new Unknown(child)); // no expression can name it
  }
  return new Fields(fields);
}

function listValue(json: readonly Json[], schema: Schema): Value {
  const { items } = schema;
  const list = json.map((one) => (items === undefined ? new Unknown(one) : celValue(one, items)));
  if (schema["x-kubernetes-list-type"] === "set") return markSet(list);
  if (schema["x-kubernetes-list-type"] !== "map") return list;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  return markKeyed(
    list,
    keys.map((key) => escapedName(key) ?? key),
  );
}

function textValue(text: string, format: string | undefined): Value {
  switch (textType(format)) {
    case BYTES:
      return new Uint8Array(Buffer.from(text, "base64"));
    case DURATION:
      return parseDuration(text);
    case TIMESTAMP:
      return parseTimestamp(format === "date" ? `${text}T00:00:00Z` : text);
    default:
      return text;
  }
}
