// What a schema says of how large values may be: how many items a list has at most, how long a text is, how few letters
// an object needs. Where it does not say, a request's size is what bounds it.
import { type Json, type JsonObject, member, type Schema } from "../../../schema/schema.ts";
import { escapedName, isEmbedded } from "../schema-value.ts";

/** Bytes of a request. */
const REQUEST_MAX = 3 * 1024 * 1024;
const NAME_MAX = 253;
/** A letter is four bytes at most. */
const LETTER = 4;

export interface Declared {
  /** Of a list or map its items, of a text its bytes; nothing else has any. */
  readonly most: number;
  /** In JSON, in bytes. */
  readonly least: number;
  readonly items?: Declared;
  /** Of a map. */
  readonly keys?: Declared;
  /** By the names that expressions use. */
  readonly fields?: ReadonlyMap<string, Declared>;
}

interface Limits {
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly maxProperties?: number;
  readonly enum?: readonly Json[];
  readonly default?: Json;
}

const TEXT: Declared = { most: 0, least: 2 };

const limitsOf = (schema: Schema): Limits => schema as unknown as Limits;
const atLeastNone = (limit: number): number => Math.max(0, limit);

/** How often values of such a size could stand in one request. */
export function mostOften({ least }: Declared): number {
  return Math.floor(REQUEST_MAX / (least + 1));
}

/** Undefined: expressions cannot speak of it. `isRoot`: of a whole object. */
export function declaredBy(given: Schema, isRoot = isEmbedded(given)): Declared | undefined {
  const { maxLength } = limitsOf(given);
  if (given["x-kubernetes-int-or-string"] === true)
    return { most: maxLength === undefined ? REQUEST_MAX - 2 : atLeastNone(maxLength) * LETTER, least: 1 };
  const schema = isRoot ? withHead(given) : given;
  switch (schema.type) {
    case "array":
      return listOf(schema);
    case "object":
      return typeof schema.additionalProperties === "object"
        ? mapOf(schema, schema.additionalProperties)
        : structOf(schema);
    case "string":
      return textOf(schema);
    case "boolean":
      return { most: 0, least: 4 };
    case "number":
    case "integer":
      return { most: 0, least: 1 };
    default:
      return undefined;
  }
}

function listOf(schema: Schema): Declared | undefined {
  const items = schema.items === undefined ? undefined : declaredBy(schema.items);
  if (items === undefined) return undefined;
  const { maxItems } = limitsOf(schema);
  const most =
    maxItems === undefined ? Math.floor((REQUEST_MAX - 2) / (items.least + 1)) : atLeastNone(maxItems);
  return { most, least: 2, items };
}

function mapOf(schema: Schema, values: Schema): Declared | undefined {
  const items = declaredBy(values);
  if (items === undefined) return undefined;
  const { maxProperties } = limitsOf(schema);
  const most =
    maxProperties === undefined
      ? Math.floor((REQUEST_MAX - 2) / (items.least + 6))
      : atLeastNone(maxProperties);
  return { most, least: 2, keys: TEXT, items };
}

function structOf({ properties = {}, required = [] }: Schema): Declared {
  const fields = new Map<string, Declared>();
  let least = 2;
  for (const [name, field] of Object.entries(properties)) {
    const declared = declaredBy(field);
    if (declared === undefined) continue;
    const escaped = escapedName(name);
    if (escaped !== undefined) fields.set(escaped, declared);
    const isDefaulted = (limitsOf(field).default ?? null) !== null;
    if (required.includes(name) && !isDefaulted) least += Buffer.byteLength(name) + declared.least + 4;
  }
  return { most: 0, least, fields };
}

/** Of points in time and durations what is written of them. */
const FORMATS: Readonly<Record<string, Declared>> = {
  duration: { most: 32, least: 3 },
  date: { most: 12, least: 12 },
  "date-time": { most: 32, least: 21 },
};

function textOf(schema: Schema): Declared {
  const { format = "" } = schema;
  if (Object.hasOwn(FORMATS, format)) return FORMATS[format];
  const { maxLength, enum: values = [] } = limitsOf(schema);
  if (maxLength !== undefined)
    return { most: atLeastNone(maxLength) * (format === "byte" ? 1 : LETTER), least: 2 };
  const isChosen = format !== "byte" && values.length > 0;
  const lengths = values.map((value) => (typeof value === "string" ? Buffer.byteLength(value) : 0));
  return { most: isChosen ? Math.max(...lengths) : REQUEST_MAX - 2, least: 2 };
}

/** Its name is never longer than a name may be. */
function withHead(schema: Schema): Schema {
  const { properties = {} } = schema;
  const meta = member(properties, "metadata");
  const isText = (one: Schema | undefined): boolean => one?.type === "string";
  const name = member(meta?.properties, "name");
  const generateName = member(meta?.properties, "generateName");
  const head = ["kind", "apiVersion"].every((field) => isText(member(properties, field)));
  if (head && meta?.type === "object" && isText(name) && isText(generateName)) return schema;
  const capped = (one: Schema | undefined, most: number): Schema => {
    const { maxLength = most } = limitsOf(one ?? ({} as Schema));
    return { type: "string", maxLength: Math.min(maxLength, most) } as JsonObject as unknown as Schema;
  };
  const metadata: Schema = {
    type: "object",
    properties: { name: capped(name, NAME_MAX), generateName: capped(generateName, NAME_MAX - 1) },
  };
  const own = { ...properties, kind: { type: "string" }, apiVersion: { type: "string" }, metadata };
  return { ...schema, type: "object", properties: own };
}
