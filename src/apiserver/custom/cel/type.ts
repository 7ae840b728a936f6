// Types of CEL expressions, and which of them fits where. Names in errors are those of cel-go.

export interface CelType {
  /** int, list, object, "A" of a type parameter … */
  readonly kind: string;
  /** As errors name it. */
  readonly name: string;
  /** list: of what; map: key and value; optional: of what. */
  readonly args: readonly CelType[];
  /** Of an object: its fields, by the names that expressions use. */
  readonly fields?: ReadonlyMap<string, CelType>;
}

const plain = (kind: string, name = kind): CelType => ({ kind, name, args: [] });

export const BOOL = plain("bool");
export const INT = plain("int");
export const STRING = plain("string");
export const DOUBLE = plain("double");
export const BYTES = plain("bytes");
export const TIMESTAMP = plain("timestamp");
export const DURATION = plain("duration");
export const DYN = plain("dyn");
export const TYPE = plain("type");
const ALL: Readonly<Record<string, CelType>> = {
  ...{ bool: BOOL, int: INT, string: STRING, double: DOUBLE, bytes: BYTES, dyn: DYN, type: TYPE },
  ...{ timestamp: TIMESTAMP, duration: DURATION, uint: plain("uint"), null: plain("null") },
  ...{ quantity: plain("quantity", "kubernetes.Quantity"), url: plain("url", "kubernetes.URL") },
  ...{ ip: plain("ip", "net.IP"), cidr: plain("cidr", "net.CIDR") },
  ...{ format: plain("format", "kubernetes.NamedFormat"), semver: plain("semver", "kubernetes.Semver") },
};
/** What a null may stand for. */
const NULLABLE = new Set([
  "null",
  "timestamp",
  "duration",
  "object",
  "quantity",
  "url",
  "ip",
  "cidr",
  "optional",
]);

export const listOf = (of: CelType): CelType => ({ kind: "list", name: `list(${of.name})`, args: [of] });
export const mapOf = (key: CelType, value: CelType): CelType => ({
  ...{ kind: "map", name: `map(${key.name}, ${value.name})`, args: [key, value] },
});
export const optionalOf = (of: CelType): CelType => ({
  ...{ kind: "optional", name: `optional_type(${of.name})`, args: [of] },
});

const isParam = ({ kind }: CelType): boolean => /^[A-Z]/.test(kind);

/** "map<string, list<A>>" */
export function typeNamed(text: string): CelType {
  const [, kind, inner] = /^(list|map|optional)<(.*)>$/.exec(text) ?? [];
  if (kind === "list") return listOf(typeNamed(inner));
  if (kind === "optional") return optionalOf(typeNamed(inner));
  if (kind === "map") {
    const comma = inner.indexOf(", ");
    return mapOf(typeNamed(inner.slice(0, comma)), typeNamed(inner.slice(comma + 2)));
  }
  return ALL[text] ?? plain(text);
}

/** What type parameters turned out to be. */
export type Bound = Map<string, CelType>;

/** Whether a value of `given` may stand where `wanted` is; binds the parameters of `wanted`. */
export function fits(wanted: CelType, given: CelType, bound: Bound): boolean {
  if (isParam(wanted)) {
    const known = bound.get(wanted.kind);
    if (known === undefined) {
      bound.set(wanted.kind, given);
      return true;
    }
    if (isParam(known) && known.kind === wanted.kind) return true;
    if (fits(known, given, bound)) return true;
    if (!fits(given, known, bound)) return false;
    bound.set(wanted.kind, given); // the wider one
    return true;
  }
  if (wanted.kind === "dyn" || given.kind === "dyn" || isParam(given)) return true;
  if (given.kind === "null") return NULLABLE.has(wanted.kind);
  if (wanted.kind !== given.kind) return false;
  if (wanted.kind === "object") return wanted.fields === given.fields;
  return wanted.args.every((arg, i) => fits(arg, given.args[i] ?? DYN, bound));
}

/** With its parameters as they are bound; of those that are not, anything. */
export function bind(type: CelType, bound: Bound): CelType {
  if (isParam(type)) return bound.get(type.kind) ?? DYN;
  const { kind, args } = type;
  if (args.length === 0) return type;
  const [first, second] = args.map((arg) => bind(arg, bound));
  if (kind === "list") return listOf(first);
  return kind === "map" ? mapOf(first, second) : optionalOf(first);
}

/** The type of both; undefined: there is none. */
export function joined(a: CelType, b: CelType): CelType | undefined {
  if (a.kind === "dyn" || b.kind === "dyn") return DYN;
  if (isEmpty(a)) return fits(a, b, new Map()) ? b : undefined;
  if (fits(a, b, new Map())) return a;
  return fits(b, a, new Map()) ? b : undefined;
}

/** Of an empty list or map: nobody has said what would be in it. */
function isEmpty({ args, ...type }: CelType): boolean {
  return isParam({ args, ...type }) || args.some(isEmpty);
}

/** "string.(int)" of a call of its own, "(string, int)" of any other. */
export function signatureOf(args: readonly CelType[], isMember: boolean): string {
  const names = args.map((arg) => bind(arg, new Map()).name);
  return isMember ? `${names[0]}.(${names.slice(1).join(", ")})` : `(${names.join(", ")})`;
}
