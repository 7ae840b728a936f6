// Strict decoding, as `kubectl apply` asks the API server for it (--validate=strict): a field nobody knows and a
// value of the wrong type are errors with a path. The result is a copy without nulls (null means "not set").
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
}

// Fields that are int64 in the API; all other integers are int32.
const INT64 = new Set(
  `generation observedGeneration sizeBytes runAsUser runAsGroup fsGroup supplementalGroups
   terminationGracePeriodSeconds deletionGracePeriodSeconds activeDeadlineSeconds tolerationSeconds
   expirationSeconds`.split(/\s+/),
);
const ITEM_TYPES = new Map<string, string>();
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
  return decodeValue(value, typeName, { types, problems, path: [...path], custom: false });
}

/** The same of a custom resource: of its own fields only the names are looked at. */
export function decodeCustom(value: unknown, typeName: string, problems: FieldProblems): unknown {
  return decodeValue(value, typeName, { types: KUBERNETES_TYPES, problems, path: [], custom: true });
}

function isSchemas({ custom, path }: Context): boolean {
  return custom && path.length > 0 && path[0] !== "metadata";
}

function decodeValue(value: unknown, type: string, c: Context): unknown {
  if (value === null || value === undefined) return undefined;
  if (type === "any") return value;
  if (type[0] === "[") return decodeList(value, itemType(type), c);
  if (type[0] === "{") return decodeMap(value, itemType(type), c);
  const fields = c.types.get(type);
  if (fields !== undefined) return decodeStruct(value, type, fields, c);
  return decodeScalar(value, type, c);
}

/** "[s]" → "s". Remembered, so that the same few strings are looked up again and again. */
function itemType(type: string): string {
  let item = ITEM_TYPES.get(type);
  if (item === undefined) {
    item = type.slice(1, -1);
    ITEM_TYPES.set(type, item);
  }
  return item;
}

/** Decodes what stands at `part` of the value at hand. */
function decodeAt(part: string | number, value: unknown, type: string, c: Context): unknown {
  c.path.push(part);
  const decoded = decodeValue(value, type, c);
  c.path.pop();
  return decoded;
}

function decodeStruct(
  value: unknown,
  type: string,
  fields: ReadonlyMap<string, string>,
  c: Context,
): unknown {
  if (!isMap(value)) return mismatch(value, goType(type, c.types), c);
  const out: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const fieldType = fields.get(name);
    if (fieldType === undefined) {
      const path = [...c.path, name];
      c.problems.add(path, `unknown field ${JSON.stringify(formatPath(path))}`, true);
      continue;
    }
    const decoded = decodeAt(name, value[name], fieldType, c);
    if (decoded !== undefined) out[name] = decoded;
  }
  return out;
}

function decodeList(value: unknown, type: string, c: Context): unknown {
  if (!Array.isArray(value)) return mismatch(value, `[]${goType(type, c.types)}`, c);
  return value.map((item, i) => {
    if (item === null && isSchemas(c)) return item;
    const decoded = decodeAt(i, item, type, c);
    return decoded === undefined && c.types.has(type) ? {} : (decoded ?? "");
  });
}

function decodeMap(value: unknown, type: string, c: Context): unknown {
  if (!isMap(value)) return mismatch(value, `map[string]${goType(type, c.types)}`, c);
  const given = Object.entries(value).filter(([, item]) => item !== null || !isSchemas(c));
  const entries = given.map(([name, item]): [string, unknown] => [name, decodeAt(name, item, type, c) ?? ""]);
  return Object.fromEntries(entries);
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

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
