// "%s is %d".format([a, b]): cel-go's extension of strings.
import { Duration, Fault, kindOf, Timestamp, TypeName, Uint, type Value } from "../value.ts";
import { doubleText } from "./conversions.ts";
import { durationText, timestampText } from "./times.ts";

const CLAUSE = /%(?:%|(?:\.(\d+))?(.)?)/gsu;

export function formatText(text: string, args: readonly Value[]): string {
  let used = 0;
  const made = text.replace(CLAUSE, (clause, precision: string | undefined, verb: string | undefined) => {
    if (clause === "%%") return "%";
    if (verb === undefined) throw new Fault("could not parse formatting clause: unexpected end of string");
    if (used >= args.length) throw new Fault(`index ${used} out of range`);
    return formatted(verb, args[used++], precision === undefined ? 6 : Number(precision));
  });
  return made;
}

function formatted(verb: string, value: Value, precision: number): string {
  switch (verb) {
    case "s":
      return shown(value);
    case "d":
      return whole(value, verb).toString();
    case "f":
      return special(value) ?? grouped(double(value, verb), precision);
    case "e":
      return special(value) ?? scientific(double(value, verb));
    case "b":
      return typeof value === "boolean" ? String(Number(value)) : whole(value, verb).toString(2);
    case "o":
      return whole(value, verb).toString(8);
    case "x":
      return hex(value, verb);
    case "X":
      return hex(value, verb).toUpperCase();
    default:
      throw new Fault(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

const wrong = (verb: string, value: Value): Fault =>
  new Fault(`error during formatting: %${verb} clause cannot be used on ${kindOf(value)}`);

function whole(value: Value, verb: string): bigint {
  if (typeof value === "bigint") return value;
  if (value instanceof Uint) return value.value;
  throw wrong(verb, value);
}

const NAMED = ["NaN", "Infinity", "-Infinity"];

function double(value: Value, verb: string): number {
  if (typeof value === "number") return value;
  if (typeof value === "string" && NAMED.includes(value)) return Number(value);
  throw wrong(verb, value);
}

/** As English has it: 12,345.68. */
function grouped(value: number, precision: number): string {
  const digits = Math.min(precision, DIGITS_MAX);
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 1.234500×10⁰³: whatever precision is asked for, as cel-go has it. */
function scientific(value: number): string {
  const [, mantissa, sign, exponent] = /^(.*)e([+-])(\d+)$/.exec(value.toExponential(6)) ?? [];
  const raised = [...exponent.padStart(2, "0")].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
  return `${mantissa}×10${sign === "-" ? "⁻" : ""}${raised}`;
}

const DIGITS_MAX = 100;

function special(value: Value): string | undefined {
  const number = typeof value === "string" && NAMED.includes(value) ? Number(value) : value;
  if (typeof number !== "number" || Number.isFinite(number)) return undefined;
  return Number.isNaN(number) ? "NaN" : number > 0 ? "∞" : "-∞";
}

function hex(value: Value, verb: string): string {
  if (typeof value === "string") return Buffer.from(value).toString("hex");
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return whole(value, verb).toString(16);
}

/** Of any value. */
function shown(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "number") return doubleText(value);
  if (Array.isArray(value)) return `[${value.map(within).join(", ")}]`;
  if (value instanceof Map) {
    const texts = [...value].map(([key, each]) => [within(key), within(each)] as const);
    const sorted = texts.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${sorted.map((pair) => pair.join(":")).join(", ")}}`;
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  if (value instanceof Timestamp) return timestampText(value.ns);
  if (value instanceof Duration) return durationText(value.ns);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof TypeName) return value.name;
  if (["string", "bigint", "boolean"].includes(typeof value)) return String(value);
  const kinds = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps";
  throw new Fault(
    `error during formatting: string clause can only be used on ${kinds}, was given ${kindOf(value)}`,
  );
}

/** In a list or a map: as an expression would have it. */
function within(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number")
    return Number.isFinite(value) ? value.toFixed(6) : JSON.stringify(doubleText(value));
  if (value instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(value).toString("utf8"))}`;
  if (value instanceof Timestamp) return `timestamp("${timestampText(value.ns)}")`;
  if (value instanceof Duration) return `duration("${durationText(value.ns)}")`;
  return shown(value);
}
