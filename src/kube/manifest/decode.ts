// Strict decoding, as `kubectl apply` asks the API server for it (--validate=strict): a field nobody knows and a
// value of the wrong type are errors with a path. The result is a copy without nulls (null means "not set").
import { isMap } from "../../base/is-map.ts";
import { type FieldPath, type FieldProblems, formatPath } from "./field-problems.ts";
import { KUBERNETES_TYPES } from "./kubernetes-types.ts";

type Types = ReadonlyMap<string, ReadonlyMap<string, string>>;

interface Context {
  readonly types: Types;
  readonly problems: FieldProblems;
  /** Where we are: one array for the whole object, since hardly any field has a problem that keeps its path. */
  readonly path: (string | number)[];
  /** A custom resource: the schema of its definition judges what is no metadata, values of the wrong type included. */
  readonly custom: boolean;
  /** The value is nobody else's, and may become the result. */
  readonly inPlace: boolean;
}

/** A type, taken apart. */
interface Shape {
  readonly type: string;
  readonly what: "any" | "list" | "map" | "struct" | "scalar";
  /** Of a list or a map. */
  readonly item: Shape | undefined;
  /** Of a struct, those that were met so far: types may hold themselves. */
  readonly fields: Map<string, Shape>;
}

// Fields that are int64 in the API; all other integers are int32.
const INT64 = new Set(
  `generation observedGeneration sizeBytes runAsUser runAsGroup fsGroup supplementalGroups
   terminationGracePeriodSeconds deletionGracePeriodSeconds activeDeadlineSeconds tolerationSeconds
   expirationSeconds startingDeadlineSeconds`.split(/\s+/),
);
const SHAPES = new WeakMap<Types, Map<string, Shape>>();
const QUANTITY = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** Decodes `value` as the type `typeName`; problems are reported, and what could be read is returned. */
export function decode(
  value: unknown,
  typeName: string,
  problems: FieldProblems,
  types: Types = KUBERNETES_TYPES,
  path: FieldPath = [],
): unknown {
  const c = { types, problems, path: [...path], custom: false, inPlace: false };
  return decodeValue(value, shapeOf(types, typeName), c);
}

/** The same of a value that nobody else has: it is changed, and is the result. No part of it may stand in two places. */
export function decodeOwn(value: unknown, typeName: string, problems: FieldProblems): unknown {
  const c = { types: KUBERNETES_TYPES, problems, path: [], custom: false, inPlace: true };
  return decodeValue(value, shapeOf(KUBERNETES_TYPES, typeName), c);
}

/** The same of a custom resource: of its own fields only the names are looked at. */
export function decodeCustom(value: unknown, typeName: string, problems: FieldProblems): unknown {
  const c = { types: KUBERNETES_TYPES, problems, path: [], custom: true, inPlace: false };
  return decodeValue(value, shapeOf(KUBERNETES_TYPES, typeName), c);
}

/** Whether the fields of a kind are known. */
export function isTyped(kind: string): boolean {
  return KUBERNETES_TYPES.get(kind)?.has("apiVersion") === true; // and not of a field's type of that name
}

/** Of a kind that is only stored, metadata is looked at; the rest stays as it is, without nulls (but in a schema). */
export function decodeCarried(value: unknown, kind: string, problems: FieldProblems): unknown {
  const { metadata, ...rest } = value as Record<string, unknown>;
  const own = kind === "CustomResourceDefinition" ? rest : withoutNulls(rest);
  const c = { types: KUBERNETES_TYPES, problems, path: ["metadata"], custom: false, inPlace: false };
  return { ...(own as object), metadata: decodeValue(metadata, shapeOf(KUBERNETES_TYPES, "ObjectMeta"), c) };
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isMap(value)) return value;
  const given = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(given.map(([name, each]) => [name, withoutNulls(each)]));
}

function isSchemas({ custom, path }: Context): boolean {
  return custom && path.length > 0 && path[0] !== "metadata";
}

/** Remembered: the same few types are met again and again. */
function shapeOf(types: Types, type: string): Shape {
  let shapes = SHAPES.get(types);
  if (shapes === undefined) {
    shapes = new Map();
    SHAPES.set(types, shapes);
  }
  let shape = shapes.get(type);
  if (shape !== undefined) return shape;
  const item = type[0] === "[" || type[0] === "{" ? shapeOf(types, type.slice(1, -1)) : undefined;
  shape = { type, what: whatOf(types, type), item, fields: new Map() };
  shapes.set(type, shape);
  return shape;
}

function whatOf(types: Types, type: string): Shape["what"] {
  if (type === "any") return "any";
  if (type[0] === "[") return "list";
  if (type[0] === "{") return "map";
  return types.has(type) ? "struct" : "scalar";
}

/** Undefined: the type has no such field. */
function fieldOf({ type, fields }: Shape, name: string, types: Types): Shape | undefined {
  const known = fields.get(name);
  if (known !== undefined) return known;
  const fieldType = types.get(type)?.get(name);
  if (fieldType === undefined) return undefined;
  const shape = shapeOf(types, fieldType);
  fields.set(name, shape);
  return shape;
}

function decodeValue(value: unknown, shape: Shape, c: Context): unknown {
  if (value === null || value === undefined) return undefined;
  switch (shape.what) {
    case "any":
      return value;
    case "list":
      return decodeList(value, shape.item as Shape, c);
    case "map":
      return decodeMap(value, shape.item as Shape, c);
    case "struct":
      return decodeStruct(value, shape, c);
    case "scalar":
      if (shape.type === "s" && typeof value === "string") return value;
      return decodeScalar(value, shape.type, c);
  }
}

/** Decodes what stands at `part` of the value at hand. */
function decodeAt(part: string | number, value: unknown, shape: Shape, c: Context): unknown {
  c.path.push(part);
  const decoded = decodeValue(value, shape, c);
  c.path.pop();
  return decoded;
}

function decodeStruct(value: unknown, shape: Shape, c: Context): unknown {
  if (!isMap(value)) return mismatch(value, goType(shape.type, c.types), c);
  const out: Record<string, unknown> = c.inPlace ? value : {};
  let isLess = false;
  for (const name of Object.keys(value)) {
    const field = fieldOf(shape, name, c.types);
    if (field === undefined) {
      const path = [...c.path, name];
      c.problems.add(path, `unknown field ${JSON.stringify(formatPath(path))}`, true);
      isLess = true;
      continue;
    }
    const item = value[name];
    const decoded = decodeAt(name, item, field, c);
    if (decoded === undefined) isLess = true;
    if (out !== value) {
      if (decoded !== undefined) out[name] = decoded;
    } else if (decoded !== item) out[name] = decoded;
  }
  return out === value && isLess ? withoutUnset(value) : out;
}

/** A copy, so that it keeps the shape of an object whose fields are found fast. */
function withoutUnset(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function decodeList(value: unknown, item: Shape, c: Context): unknown {
  if (!Array.isArray(value)) return mismatch(value, `[]${goType(item.type, c.types)}`, c);
  const out: unknown[] = c.inPlace ? value : new Array(value.length);
  for (let i = 0; i < value.length; i++) {
    const each = value[i];
    if (each === null && isSchemas(c)) out[i] = each;
    else out[i] = decodeAt(i, each, item, c) ?? (item.what === "struct" ? {} : "");
  }
  return out;
}

function decodeMap(value: unknown, item: Shape, c: Context): unknown {
  if (!isMap(value)) return mismatch(value, `map[string]${goType(item.type, c.types)}`, c);
  if (c.inPlace && item.type === "s" && hasOnlyTexts(value)) return value; // labels
  const given = Object.entries(value).filter(([, each]) => each !== null || !isSchemas(c));
  const entries = given.map(([name, each]): [string, unknown] => [name, decodeAt(name, each, item, c) ?? ""]);
  return Object.fromEntries(entries);
}

function hasOnlyTexts(value: Record<string, unknown>): boolean {
  for (const name of Object.keys(value)) if (typeof value[name] !== "string") return false;
  return true;
}

function decodeScalar(value: unknown, type: string, c: Context): unknown {
  switch (type) {
    case "s":
      return typeof value === "string" ? value : mismatch(value, "string", c);
    case "b":
      return typeof value === "boolean" ? value : mismatch(value, "bool", c);
    case "f":
      return typeof value === "number" ? value : mismatch(value, "float64", c);
    case "i":
      return decodeInteger(value, c);
    case "x":
      return typeof value === "string" ? value : decodeInteger(value, c);
    case "q":
      return decodeQuantity(value, c);
    case "t":
      return decodeTime(value, c);
    default:
      throw new TypeError(`field ${formatPath(c.path)} is of type ${type}, which is not defined`);
  }
}

function decodeInteger(value: unknown, c: Context): unknown {
  const name = c.path.findLast((part) => typeof part === "string");
  const wide = INT64.has(String(name));
  const fits =
    typeof value === "number" &&
    Number.isSafeInteger(value) &&
    (wide || (value | 0) === value || value === 0);
  return fits ? value : mismatch(value, wide ? "int64" : "int32", c);
}

function decodeQuantity(value: unknown, c: Context): unknown {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return mismatch(value, "resource.Quantity", c);
  if (!QUANTITY.test(text)) {
    const expected = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    c.problems.add(
      [...c.path],
      `${formatPath(c.path)}: quantities must match the regular expression ${expected}`,
    );
  }
  return text;
}

function decodeTime(value: unknown, c: Context): unknown {
  if (typeof value !== "string") return mismatch(value, "Time", c);
  if (!RFC3339.test(value)) {
    const detail = `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse`;
    c.problems.add([...c.path], `${formatPath(c.path)}: ${detail}`);
  }
  return value;
}

function mismatch(value: unknown, wanted: string, c: Context): unknown {
  if (isSchemas(c)) return value;
  const where = c.path.length === 0 ? "" : `${formatPath(c.path)}: `;
  c.problems.add([...c.path], `${where}cannot unmarshal ${describe(value)} into a field of type ${wanted}`);
  return undefined;
}

/** The JSON type as Go's decoder calls it. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return `number ${value}`;
  return typeof value;
}

function goType(type: string, types: Types): string {
  const scalars: Record<string, string> = {
    s: "string",
    i: "int32",
    b: "bool",
    q: "resource.Quantity",
    t: "Time",
  };
  return types.has(type) ? `v1.${type}` : (scalars[type] ?? type);
}
