// Strict decoding, as `kubectl apply` asks the API server for it (--validate=strict): a field nobody knows and a
// value of the wrong type are errors with a path. The result is a copy without nulls (null means "not set").
import { type FieldPath, type FieldProblems, formatPath } from "./field-problems.ts";
import { KUBERNETES_TYPES } from "./kubernetes-types.ts";

type Types = ReadonlyMap<string, ReadonlyMap<string, string>>;

interface Context {
  readonly types: Types;
  readonly problems: FieldProblems;
}

// Fields that are int64 in the API; all other integers are int32.
const INT64 = new Set(
  `generation observedGeneration sizeBytes runAsUser runAsGroup fsGroup supplementalGroups
   terminationGracePeriodSeconds deletionGracePeriodSeconds activeDeadlineSeconds tolerationSeconds
   expirationSeconds`.split(/\s+/),
);
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
  return decodeValue(value, typeName, path, { types, problems });
}

function decodeValue(value: unknown, type: string, path: FieldPath, c: Context): unknown {
  if (value === null || value === undefined) return undefined;
  if (type === "any") return value;
  if (type.startsWith("[")) return decodeList(value, type.slice(1, -1), path, c);
  if (type.startsWith("{")) return decodeMap(value, type.slice(1, -1), path, c);
  const fields = c.types.get(type);
  if (fields !== undefined) return decodeStruct(value, type, fields, path, c);
  return decodeScalar(value, type, path, c);
}

function decodeStruct(
  value: unknown,
  type: string,
  fields: ReadonlyMap<string, string>,
  path: FieldPath,
  c: Context,
): unknown {
  if (!isMap(value)) return mismatch(value, goType(type, c.types), path, c);
  const out: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    const itemPath = [...path, name];
    const fieldType = fields.get(name);
    if (fieldType === undefined) {
      c.problems.add(itemPath, `unknown field ${JSON.stringify(formatPath(itemPath))}`, true);
      continue;
    }
    const decoded = decodeValue(item, fieldType, itemPath, c);
    if (decoded !== undefined) out[name] = decoded;
  }
  return out;
}

function decodeList(value: unknown, type: string, path: FieldPath, c: Context): unknown {
  if (!Array.isArray(value)) return mismatch(value, `[]${goType(type, c.types)}`, path, c);
  return value.map((item, i) => {
    const decoded = decodeValue(item, type, [...path, i], c);
    return decoded === undefined && c.types.has(type) ? {} : (decoded ?? "");
  });
}

function decodeMap(value: unknown, type: string, path: FieldPath, c: Context): unknown {
  if (!isMap(value)) return mismatch(value, `map[string]${goType(type, c.types)}`, path, c);
  const entries = Object.entries(value).map(([name, item]): [string, unknown] => [
    name,
    decodeValue(item, type, [...path, name], c) ?? "",
  ]);
  return Object.fromEntries(entries);
}

function decodeScalar(value: unknown, type: string, path: FieldPath, c: Context): unknown {
  switch (type) {
    case "s":
      return typeof value === "string" ? value : mismatch(value, "string", path, c);
    case "b":
      return typeof value === "boolean" ? value : mismatch(value, "bool", path, c);
    case "f":
      return typeof value === "number" ? value : mismatch(value, "float64", path, c);
    case "i":
      return decodeInteger(value, path, c);
    case "x":
      return typeof value === "string" ? value : decodeInteger(value, path, c);
    case "q":
      return decodeQuantity(value, path, c);
    case "t":
      return decodeTime(value, path, c);
    default:
      throw new TypeError(`field ${formatPath(path)} is of type ${type}, which is not defined`);
  }
}

function decodeInteger(value: unknown, path: FieldPath, c: Context): unknown {
  const name = [...path].reverse().find((part) => typeof part === "string");
  const wide = INT64.has(String(name));
  const fits =
    typeof value === "number" &&
    Number.isSafeInteger(value) &&
    (wide || (value | 0) === value || value === 0);
  return fits ? value : mismatch(value, wide ? "int64" : "int32", path, c);
}

function decodeQuantity(value: unknown, path: FieldPath, c: Context): unknown {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return mismatch(value, "resource.Quantity", path, c);
  if (!QUANTITY.test(text)) {
    const expected = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    c.problems.add(path, `${formatPath(path)}: quantities must match the regular expression ${expected}`);
  }
  return text;
}

function decodeTime(value: unknown, path: FieldPath, c: Context): unknown {
  if (typeof value !== "string") return mismatch(value, "Time", path, c);
  if (!RFC3339.test(value)) {
    const detail = `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse`;
    c.problems.add(path, `${formatPath(path)}: ${detail}`);
  }
  return value;
}

function mismatch(value: unknown, wanted: string, path: FieldPath, c: Context): undefined {
  const where = path.length === 0 ? "" : `${formatPath(path)}: `;
  c.problems.add(path, `${where}cannot unmarshal ${describe(value)} into a field of type ${wanted}`);
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
