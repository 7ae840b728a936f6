// What the text of a scalar stands for: YAML 1.1 as go-yaml v2 has it (and Go's strconv, whose numbers it takes). Base 60
// is not read, and times stay text.

/** A number that was not written as an integer; as a key it is spelled in another way. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Integers are bigint where a number does not hold them. */
export type Resolved = string | boolean | null | number | bigint | Float;

export const TAG_PREFIX = "tag:yaml.org,2002:";
const CONSTANTS = new Map<string, Resolved>();
const words = (value: Resolved, list: string) => {
  for (const word of list.split(" ")) CONSTANTS.set(word, value);
};
words(true, "y Y yes Yes YES true True TRUE on On ON");
words(false, "n N no No NO false False FALSE off Off OFF");
words(null, " ~ null Null NULL");
words(new Float(Number.NaN), ".nan .NaN .NAN");
words(new Float(Number.POSITIVE_INFINITY), ".inf .Inf .INF +.inf +.Inf +.INF");
words(new Float(Number.NEGATIVE_INFINITY), "-.inf -.Inf -.INF");
/** First characters of what may be no string. */
const HINT = /^(?:$|[-+.\dyYnNtTfFoO~])/;
const SHORT_INTEGER = /^(?:0|-?[1-9]\d{0,14})$/;
const INTEGER = /^([-+]?)(?:0[xX]([\da-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/;
const SIGNED_BINARY = /^0b([-+])([01]+)$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
/** As Go's ParseFloat takes it behind a point. */
const FRACTION = /^\.\d+(?:_\d+)*(?:[eE][-+]?\d+(?:_\d+)*)?$/;
const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;

/** A plain scalar without a tag. */
export function resolvePlain(text: string): Resolved {
  if (!HINT.test(text)) return text;
  if (SHORT_INTEGER.test(text)) return Number(text);
  const constant = CONSTANTS.get(text);
  if (constant !== undefined) return constant;
  const code = text.charCodeAt(0);
  if (code === 46) return FRACTION.test(text) ? float(text.replaceAll("_", ""), text) : text;
  if (code > 57) return text;
  const plain = text.replaceAll("_", "");
  return integer(plain) ?? (FLOAT.test(plain) ? float(plain, text) : (signedBinary(plain) ?? text));
}

/** Out of range it stays what was written. */
function float(plain: string, text: string): Resolved {
  const value = Number(plain);
  return Number.isFinite(value) ? new Float(value) : text;
}

function integer(plain: string): number | bigint | undefined {
  const match = INTEGER.exec(plain);
  if (match === null) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const digits =
    hex !== undefined
      ? `0x${hex}`
      : binary !== undefined
        ? `0b${binary}`
        : octal !== undefined
          ? `0o${octal}`
          : decimal;
  return inRange(BigInt(digits), sign);
}

function signedBinary(plain: string): number | bigint | undefined {
  const match = SIGNED_BINARY.exec(plain);
  return match === null ? undefined : inRange(BigInt(`0b${match[2]}`), match[1]);
}

function inRange(size: bigint, sign: string): number | bigint | undefined {
  if (size > (sign === "-" ? MAX_INT64 + 1n : sign === "+" ? MAX_INT64 : MAX_UINT64)) return undefined;
  const value = sign === "-" ? -size : size;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

const TYPES: Record<string, (value: Resolved) => boolean> = {
  bool: (value) => typeof value === "boolean",
  null: (value) => value === null,
  int: (value) => typeof value === "number" || typeof value === "bigint",
  float: (value) => value instanceof Float || typeof value === "number" || isInt64(value),
};

function isInt64(value: Resolved): boolean {
  return typeof value === "bigint" && value <= MAX_INT64;
}

/** A scalar with a tag; undefined when it cannot be what the tag says. Tags that are not YAML's own say nothing. */
export function resolveTagged(text: string, tag: string): Resolved | undefined {
  const type = tag.startsWith(TAG_PREFIX) ? tag.slice(TAG_PREFIX.length) : "";
  if (type === "binary") return decodeBase64(text);
  if (type === "timestamp") return isTimestamp(text) ? text : undefined;
  if (!Object.hasOwn(TYPES, type)) return text;
  const value = resolvePlain(text);
  if (!TYPES[type](value)) return undefined;
  return type === "float" && !(value instanceof Float) ? new Float(Number(value)) : value;
}

function decodeBase64(text: string): string | undefined {
  const plain = text.replace(/[\r\n]/g, "");
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) return undefined;
  return decodeUtf8(Buffer.from(plain, "base64"));
}

/** Each byte that is no UTF-8 becomes a U+FFFD, as Go writes it; others take several together. */
function decodeUtf8(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    let width = 4;
    while (width > 0 && !isCharacter(bytes.subarray(at, at + width))) width--;
    text += width === 0 ? "\uFFFD" : bytes.toString("utf8", at, at + width);
    at += Math.max(width, 1);
  }
  return text;
}

function isCharacter(bytes: Buffer): boolean {
  const text = bytes.toString();
  return text.length > 0 && [...text].length === 1 && Buffer.from(text).equals(bytes);
}

const CLOCK = "(\\d\\d?):(\\d\\d?):(\\d\\d?)(?:[.,]\\d+)?";
const ZONE = "(?:Z|[-+](\\d\\d):(\\d\\d))";
const TIMESTAMP = new RegExp(`^(\\d{4})-(\\d\\d?)-(\\d\\d?)(?:[Tt]${CLOCK}${ZONE}| ${CLOCK})?$`);

function isTimestamp(text: string): boolean {
  const match = TIMESTAMP.exec(text);
  if (match === null) return false;
  const [year, month, day, ...time] = match.slice(1).map((part) => Number(part ?? 0));
  const [hour, minute, second, zoneHour, zoneMinute, hour2, minute2, second2] = time;
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return (
    day >= 1 &&
    day <= days &&
    Math.max(hour, hour2) < 24 &&
    Math.max(minute, second, minute2, second2, zoneMinute) < 60 &&
    zoneHour <= 24
  );
}

/** How a scalar is spelled as the key of a JSON object; undefined when it can be none. */
export function keyText(key: Resolved): string | undefined {
  if (typeof key === "string") return key;
  if (key === null || (typeof key === "bigint" && key > MAX_INT64)) return undefined;
  return key instanceof Float ? floatKey(key.value) : String(key);
}

/** Go's FormatFloat(value, 'g', -1, 32): the fewest digits that tell one 32-bit number from the next. */
function floatKey(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return single > 0 ? ".inf" : "-.inf";
  if (single === 0) return Object.is(single, -0) ? "-0" : "0";
  let digits = 1;
  while (Math.fround(Number(single.toExponential(digits - 1))) !== single) digits++;
  const [mantissa, exponent] = single.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return single.toFixed(Math.max(0, digits - 1 - power));
  return `${mantissa}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
