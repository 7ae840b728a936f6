// Values of CEL expressions: a string, boolean or null is JavaScript's, an int a bigint, a double a number, bytes a
// Uint8Array, a list an array, a map a Map. What else there is, is here.
import { deepEqual } from "../../../base/deep-equal.ts";
import type { Json } from "../../schema/schema.ts";

export type Value = unknown;

export const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;
export const NS = 1_000_000_000n;

/** An expression that has no value, and why. */
export class Fault extends Error {}

/** An expression that took more than it may: nothing can come to grips with it. */
export class Exhausted extends Error {}

export const noSuchOverload = (): Fault => new Fault("no such overload");

export class Uint {
  readonly value: bigint;
  constructor(value: bigint) {
    if (value < 0n || value > UINT_MAX) throw new Fault("unsigned integer overflow");
    this.value = value;
  }
}

/** Nanoseconds since 1970. */
export class Timestamp {
  readonly ns: bigint;
  constructor(ns: bigint) {
    if (ns < -62135596800n * NS || ns >= 253402300800n * NS) throw new Fault("timestamp overflow");
    this.ns = ns;
  }
}

/** Nanoseconds. */
export class Duration {
  readonly ns: bigint;
  constructor(ns: bigint) {
    if (ns < INT_MIN || ns > INT_MAX) throw new Fault("duration overflow");
    this.ns = ns;
  }
}

export class Optional {
  /** Undefined: there is none. */
  readonly value: Value | undefined;
  constructor(value: Value | undefined) {
    this.value = value;
  }
}
export const NONE = new Optional(undefined);

/** An object with fields that its schema names; those that are not there are absent. */
export class Fields {
  readonly values: ReadonlyMap<string, Value>;
  constructor(values: ReadonlyMap<string, Value>) {
    this.values = values;
  }
}

/** What no schema describes: it can be compared and nothing else. */
export class Unknown {
  readonly json: Json;
  constructor(json: Json) {
    this.json = json;
  }
}

/** Of a library: it knows itself what it is equal to. */
export interface Own {
  readonly celKind: string;
  isEqual(other: Own): boolean;
}

const isOwn = (value: Value): value is Own =>
  typeof value === "object" && value !== null && typeof (value as Partial<Own>).celKind === "string";

/** The name of a type, as a value. */
export class TypeName {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const SETS = new WeakSet<readonly Value[]>();
const KEYED = new WeakMap<readonly Value[], readonly string[]>();

/** Marks a list of a schema as one whose order means nothing. */
export function markSet(list: Value[]): Value[] {
  SETS.add(list);
  return list;
}

/** Marks a list of a schema as one whose items are told apart by these fields. */
export function markKeyed(list: Value[], keys: readonly string[]): Value[] {
  KEYED.set(list, keys);
  return list;
}

export const isSet = (list: readonly Value[]): boolean => SETS.has(list);
export const keysOf = (list: readonly Value[]): readonly string[] | undefined => KEYED.get(list);

/** What an item of a keyed list is found by. */
export function keyIn(item: Value, keys: readonly string[]): string {
  const values = item instanceof Fields ? item.values : new Map<string, Value>();
  return keys.map((key) => `${kindOf(values.get(key) ?? null)}:${String(values.get(key))}`).join("\0");
}

/** Of a type, as CelType has it. */
export function kindOf(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "double";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "map";
  if (value instanceof Fields) return "object";
  if (value instanceof Uint) return "uint";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Timestamp) return "timestamp";
  if (value instanceof Duration) return "duration";
  if (value instanceof Optional) return "optional";
  if (value instanceof TypeName) return "type";
  return isOwn(value) ? value.celKind : "unknown";
}

const NUMBERS = new Set(["int", "uint", "double"]);
const numberOf = (value: Value): bigint | number => (value instanceof Uint ? value.value : (value as bigint));

/** -1, 0 or 1; undefined: one of them is no number. */
export function compareNumbers(a: Value, b: Value): number | undefined {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return undefined;
  return x < y ? -1 : x > y ? 1 : 0; // a bigint and a number compare by what they are worth
}

export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  const [kind, other] = [kindOf(a), kindOf(b)];
  if (NUMBERS.has(kind) && NUMBERS.has(other)) return compareNumbers(a, b) === 0;
  if (kind !== other) return false;
  switch (kind) {
    case "list":
      return equalLists(a as Value[], b as Value[]);
    case "map":
      return equalMaps(a as Map<Value, Value>, b as Map<Value, Value>);
    case "object":
      return equalMaps((a as Fields).values, (b as Fields).values);
    case "bytes":
      return Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
    case "timestamp":
    case "duration":
      return (a as Duration).ns === (b as Duration).ns;
    case "optional":
      return equalOptionals(a as Optional, b as Optional);
    case "type":
      return (a as TypeName).name === (b as TypeName).name;
    case "unknown":
      return deepEqual((a as Unknown).json, (b as Unknown).json);
    default:
      return isOwn(a) && isOwn(b) && a.isEqual(b);
  }
}

function equalOptionals(a: Optional, b: Optional): boolean {
  if (a.value === undefined || b.value === undefined) return a.value === b.value;
  return equal(a.value, b.value);
}

function equalLists(a: readonly Value[], b: readonly Value[]): boolean {
  if (a.length !== b.length) return false;
  if (isSet(a)) return a.every((one) => b.some((other) => equal(one, other)));
  const keys = keysOf(a);
  if (keys === undefined) return a.every((one, i) => equal(one, b[i]));
  const byKey = new Map(b.map((one) => [keyIn(one, keys), one]));
  return a.every((one) => {
    const other = byKey.get(keyIn(one, keys));
    return other !== undefined && equal(one, other);
  });
}

function equalMaps(a: ReadonlyMap<Value, Value>, b: ReadonlyMap<Value, Value>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !equal(value, other)) return false;
  }
  return true;
}
