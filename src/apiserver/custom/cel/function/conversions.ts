// One type made of another.
import type { Run } from "../run.ts";
import { Duration, Fault, kindOf, NS, Timestamp, TypeName, Uint, type Value } from "../value.ts";
import { int } from "./operators.ts";
import { durationText, parseDuration, parseTimestamp, timestampText } from "./times.ts";

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

function whole(text: string, of: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new Fault(`type conversion error from 'string' to '${of}'`);
  return BigInt(text);
}

function intOf(value: number): bigint {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 63) throw new Fault("integer overflow");
  return BigInt(Math.trunc(value));
}

function bool(text: string): boolean {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new Fault("type conversion error from 'string' to 'bool'");
}

function double(text: string): number {
  const special = /^([+-]?)(?:inf|infinity)$/i.exec(text);
  if (special !== null) return special[1] === "-" ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text))
    throw new Fault("type conversion error from 'string' to 'double'");
  return Number(text);
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault("invalid UTF-8 in bytes, cannot convert to string");
  }
}

export function doubleText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  // As Go's shortest %g: with an exponent, of two digits, below 1e-4 and from 1e6 on.
  const shown = size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential() : String(value);
  return shown.replace(/e([+-])(\d)$/, "e$10$2");
}

const NAMES: Readonly<Record<string, string>> = {
  ...{ null: "null_type", timestamp: "google.protobuf.Timestamp", duration: "google.protobuf.Duration" },
  ...{ optional: "optional_type", quantity: "kubernetes.Quantity", url: "kubernetes.URL" },
  ...{ ip: "net.IP", cidr: "net.CIDR", semver: "kubernetes.Semver", format: "kubernetes.NamedFormat" },
};

const same = (value: Value): Value => value;

export const CONVERSIONS: Readonly<Record<string, Run>> = {
  "int(int): int": same as Run,
  "int(uint): int": ({ value }: Uint) => int(value),
  "int(double): int": intOf,
  "int(string): int": (value: string) => int(whole(value, "int")),
  "int(timestamp): int": ({ ns }: Timestamp) => (ns - (((ns % NS) + NS) % NS)) / NS,
  "int(duration): int": ({ ns }: Duration) => ns,
  "uint(uint): uint": same as Run,
  "uint(int): uint": (value: bigint) => new Uint(value),
  "uint(double): uint": (value: number) => new Uint(intOf(value)),
  "uint(string): uint": (value: string) => new Uint(whole(value, "uint")),
  "double(double): double": same as Run,
  "double(int): double": (value: bigint) => Number(value),
  "double(uint): double": ({ value }: Uint) => Number(value),
  "double(string): double": double,
  "bool(bool): bool": same as Run,
  "bool(string): bool": bool,
  "bytes(bytes): bytes": same as Run,
  "bytes(string): bytes": (value: string) => new Uint8Array(Buffer.from(value)),
  "string(string): string": same as Run,
  "string(bool): string": String as Run,
  "string(int): string": String as Run,
  "string(uint): string": ({ value }: Uint) => String(value),
  "string(double): string": doubleText,
  "string(bytes): string": text,
  "string(timestamp): string": ({ ns }: Timestamp) => timestampText(ns),
  "string(duration): string": ({ ns }: Duration) => durationText(ns),
  "timestamp(timestamp): timestamp": same as Run,
  "timestamp(int): timestamp": (seconds: bigint) => new Timestamp(seconds * NS),
  "timestamp(string): timestamp": parseTimestamp,
  "duration(duration): duration": same as Run,
  "duration(int): duration": (ns: bigint) => new Duration(ns),
  "duration(string): duration": parseDuration,
  "dyn(A): dyn": same as Run,
  "type(A): type": (value: Value) => {
    const kind = kindOf(value);
    return new TypeName(NAMES[kind] ?? kind);
  },
};
