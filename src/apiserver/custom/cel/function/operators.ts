// Operators, size and optional values.
import type { Run } from "../run.ts";
import {
  compareNumbers,
  Duration,
  equal,
  Fault,
  Fields,
  INT_MAX,
  INT_MIN,
  isSet,
  keyIn,
  keysOf,
  kindOf,
  markKeyed,
  markSet,
  NONE,
  Optional,
  Timestamp,
  Uint,
  type Value,
} from "../value.ts";

export function int(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new Fault("integer overflow");
  return value;
}

const ARITHMETIC: Readonly<Record<string, Run>> = {
  "_+_(int, int): int": (a: bigint, b: bigint) => int(a + b),
  "_-_(int, int): int": (a: bigint, b: bigint) => int(a - b),
  "_*_(int, int): int": (a: bigint, b: bigint) => int(a * b),
  "_/_(int, int): int": (a: bigint, b: bigint) => int(a / divisor(b, "division")),
  "_%_(int, int): int": (a: bigint, b: bigint) => a % divisor(b, "modulus"),
  "_+_(uint, uint): uint": (a: Uint, b: Uint) => new Uint(a.value + b.value),
  "_-_(uint, uint): uint": (a: Uint, b: Uint) => new Uint(a.value - b.value),
  "_*_(uint, uint): uint": (a: Uint, b: Uint) => new Uint(a.value * b.value),
  "_/_(uint, uint): uint": (a: Uint, b: Uint) => new Uint(a.value / divisor(b.value, "division")),
  "_%_(uint, uint): uint": (a: Uint, b: Uint) => new Uint(a.value % divisor(b.value, "modulus")),
  "_+_(double, double): double": (a: number, b: number) => a + b,
  "_-_(double, double): double": (a: number, b: number) => a - b,
  "_*_(double, double): double": (a: number, b: number) => a * b,
  "_/_(double, double): double": (a: number, b: number) => a / b,
  "-_(int): int": (a: bigint) => int(-a),
  "-_(double): double": (a: number) => -a,
  "!_(bool): bool": (a: boolean) => !a,
  "_+_(string, string): string": (a: string, b: string) => a + b,
  "_+_(bytes, bytes): bytes": (a: Uint8Array, b: Uint8Array) => new Uint8Array([...a, ...b]),
  "_+_(list<A>, list<A>): list<A>": added,
  "_+_(duration, duration): duration": (a: Duration, b: Duration) => new Duration(a.ns + b.ns),
  "_-_(duration, duration): duration": (a: Duration, b: Duration) => new Duration(a.ns - b.ns),
  "_+_(timestamp, duration): timestamp": (a: Timestamp, b: Duration) => new Timestamp(a.ns + b.ns),
  "_+_(duration, timestamp): timestamp": (a: Duration, b: Timestamp) => new Timestamp(a.ns + b.ns),
  "_-_(timestamp, duration): timestamp": (a: Timestamp, b: Duration) => new Timestamp(a.ns - b.ns),
  "_-_(timestamp, timestamp): duration": (a: Timestamp, b: Timestamp) => new Duration(a.ns - b.ns),
};

function divisor(value: bigint, of: string): bigint {
  if (value === 0n) throw new Fault(`${of} by zero`);
  return value;
}

/** Of sets and keyed lists: what is in both is there once, as the second has it. */
function added(a: readonly Value[], b: readonly Value[]): Value {
  if (isSet(a)) return markSet([...a, ...b.filter((one) => !a.some((other) => equal(one, other)))]);
  const keys = keysOf(a);
  if (keys === undefined) return [...a, ...b];
  const merged = new Map(a.map((one) => [keyIn(one, keys), one]));
  for (const one of b) merged.set(keyIn(one, keys), one);
  return markKeyed([...merged.values()], keys);
}

const NUMBERS = ["int", "uint", "double"];
const TESTS: Readonly<Record<string, (order: number) => boolean>> = {
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

function orders(): Record<string, Run> {
  const made: Record<string, Run> = {};
  for (const [sign, test] of Object.entries(TESTS)) {
    const by = (order: (a: never, b: never) => number | undefined) => (a: never, b: never) => {
      const found = order(a, b);
      return found !== undefined && test(found);
    };
    for (const a of NUMBERS)
      for (const b of NUMBERS) made[`_${sign}_(${a}, ${b}): bool`] = by(compareNumbers);
    for (const type of ["string", "bool", "timestamp", "duration", "bytes"])
      made[`_${sign}_(${type}, ${type}): bool`] = by(compare);
  }
  return made;
}

/** Of two values of one type that has an order. */
export function compare(a: Value, b: Value): number {
  const kind = kindOf(a);
  if (kind === "int" || kind === "uint" || kind === "double") return compareNumbers(a, b) ?? 1;
  if (kind === "timestamp" || kind === "duration")
    return compareNumbers((a as Duration).ns, (b as Duration).ns) ?? 0;
  if (kind === "bool") return Number(a) - Number(b);
  const bytes = (value: Value): Uint8Array =>
    typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
  return Buffer.compare(bytes(a), bytes(b));
}

const absent = (key: Value): Fault => new Fault(`no such key: ${String(key)}`);

function found(map: Map<Value, Value>, key: Value): Value | undefined {
  const own = map.get(key);
  if (own !== undefined || typeof key === "string") return own;
  for (const [each, value] of map) if (equal(each, key)) return value;
  return undefined;
}

function position(index: Value): number {
  const number =
    typeof index === "bigint" || typeof index === "number" ? Number(index) : Number((index as Uint).value);
  if (!Number.isInteger(number)) throw new Fault(`unsupported index value type ${kindOf(index)} in list`);
  return number;
}

function at(list: readonly Value[], index: Value): Value {
  const place = position(index);
  if (place < 0 || place >= list.length) throw new Fault(`index out of bounds: ${place}`);
  return list[place];
}

const optional = (value: Value | undefined): Optional => (value === undefined ? NONE : new Optional(value));

function entry(map: Map<Value, Value>, key: Value): Value {
  const value = found(map, key);
  if (value === undefined) throw absent(key);
  return value;
}

/** Of a value that nobody knew the type of. */
function fieldOf(object: Fields, name: string): Value {
  const value = object.values.get(name);
  if (value === undefined) throw absent(name);
  return value;
}

const LOOK: Readonly<Record<string, Run>> = {
  "_==_(A, A): bool": equal as Run,
  "_!=_(A, A): bool": (a: never, b: never) => !equal(a, b),
  "@in(A, list<A>): bool": (a: Value, list: readonly Value[]) => list.some((one) => equal(one, a)),
  "@in(A, map<A, B>): bool": (a: Value, map: Map<Value, Value>) => found(map, a) !== undefined,
  "_[_](list<A>, int): A": at as Run,
  "_[_](list<A>, uint): A": at as Run,
  "_[_](list<A>, double): A": at as Run,
  "_[_](map<A, B>, A): B": entry as Run,
  "_[_](object, string): dyn": fieldOf as Run,
  "_[_](optional<list<A>>, int): optional<A>": (list: Optional, index: bigint) =>
    list.value === undefined ? NONE : optional((list.value as Value[])[Number(index)]),
  "_[_](optional<map<A, B>>, A): optional<B>": (map: Optional, key: Value) =>
    map.value === undefined ? NONE : optional(found(map.value as Map<Value, Value>, key)),
  "_[?_](list<A>, int): optional<A>": (list: Value[], index: bigint) => optional(list[Number(index)]),
  "_[?_](map<A, B>, A): optional<B>": (map: Map<Value, Value>, key: Value) => optional(found(map, key)),
  "_[?_](optional<list<A>>, int): optional<A>": (list: Optional, index: bigint) =>
    list.value === undefined ? NONE : optional((list.value as Value[])[Number(index)]),
  "_[?_](optional<map<A, B>>, A): optional<B>": (map: Optional, key: Value) =>
    map.value === undefined ? NONE : optional(found(map.value as Map<Value, Value>, key)),
};

const sizeOf = (value: readonly Value[] | Uint8Array): bigint => BigInt(value.length);
const SIZES: Readonly<Record<string, Run>> = Object.fromEntries(
  ["size(T): int", "T.size(): int"].flatMap((form) => [
    [form.replace("T", "string"), (text: string) => BigInt([...text].length)],
    [form.replace("T", "bytes"), sizeOf],
    [form.replace("T", "list<A>"), sizeOf],
    [form.replace("T", "map<A, B>"), (map: Map<Value, Value>) => BigInt(map.size)],
  ]),
);

function isZero(value: Value): boolean {
  if (value === null || value === false || value === "" || value === 0 || value === 0n) return true;
  if (value instanceof Map) return value.size === 0;
  if (value instanceof Fields) return value.values.size === 0;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  return value instanceof Duration ? value.ns === 0n : value instanceof Uint && value.value === 0n;
}

const OPTIONALS: Readonly<Record<string, Run>> = {
  "'optional.of'(A): optional<A>": (value: Value) => new Optional(value),
  "'optional.none'(): optional<A>": () => NONE,
  "'optional.ofNonZeroValue'(A): optional<A>": (value: Value) => (isZero(value) ? NONE : new Optional(value)),
  "optional<A>.hasValue(): bool": ({ value }: Optional) => value !== undefined,
  "optional<A>.value(): A": ({ value }: Optional) => {
    if (value === undefined) throw new Fault("optional.none() dereference");
    return value;
  },
  "optional<A>.or(optional<A>): optional<A>": (a: Optional, b: Optional) => (a.value === undefined ? b : a),
  "optional<A>.orValue(A): A": ({ value }: Optional, other: Value) => value ?? other,
};

export const OPERATORS: Readonly<Record<string, Run>> = {
  ...ARITHMETIC,
  ...orders(),
  ...LOOK,
  ...SIZES,
  ...OPTIONALS,
};
