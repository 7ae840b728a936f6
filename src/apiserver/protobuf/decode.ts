// Objects in protobuf, as typed clients of Kubernetes send them: the envelope runtime.Unknown around a message. What
// comes out is the object as JSON would have brought it; answers are JSON, which every such client takes.
import { type Fields, messageOf } from "./message.ts";

export class ProtobufError extends Error {}

type Values = Record<string, unknown>;

const MAGIC = Buffer.from("k8s\0");
const WIRE = Object.freeze({ VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const);
const { VARINT, FIXED64, BYTES, FIXED32 } = WIRE;
const DEPTH_MAX = 64; // schemas of custom resources may hold themselves

const ENVELOPE: Fields = new Map([
  [1, { name: "typeMeta", type: "TYPE", isZeroSaid: false }],
  [2, { name: "raw", type: "raw", isZeroSaid: false }],
]);
const TYPE: Fields = new Map([
  [1, { name: "apiVersion", type: "s", isZeroSaid: false }],
  [2, { name: "kind", type: "s", isZeroSaid: false }],
]);

/** Throws a ProtobufError for what is no object, or one of a type that is not known. */
export function decodeObject(bytes: Buffer): Values {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new ProtobufError("it does not begin with k8s\\0");
  const { typeMeta = {}, raw = Buffer.alloc(0) } = read(
    new Reader(bytes.subarray(MAGIC.length)),
    ENVELOPE,
    0,
  ) as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: Buffer;
  };
  const { apiVersion = "", kind = "" } = typeMeta;
  const group = apiVersion.includes("/") ? apiVersion.split(/[./]/)[0] : "";
  const fields = messageOf(`${kind}.${group}`) ?? messageOf(kind);
  if (fields === undefined) throw new ProtobufError(`no message is known for kind ${kind} of ${apiVersion}`);
  return { apiVersion, kind, ...read(new Reader(raw), fields, 0) };
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(1)[0];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new ProtobufError("a number is too long");
  }

  bytes(): Buffer {
    return this.take(this.varint());
  }

  take(count: number): Buffer {
    if (count < 0 || count > this.#bytes.length - this.#at) throw new ProtobufError("it ends too early");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.take(8);
    else if (wire === BYTES) this.bytes();
    else if (wire === FIXED32) this.take(4);
    else throw new ProtobufError(`wire type ${wire} is not used`);
  }
}

function read(reader: Reader, fields: Fields, depth: number): Values {
  if (depth > DEPTH_MAX) throw new ProtobufError("messages lie too deep in one another");
  const values: Values = {};
  while (!reader.isOver) {
    const tag = reader.varint();
    const field = fields.get(tag >>> 3);
    if (field === undefined) {
      reader.skip(tag & 7);
      continue;
    }
    const { name, type, isZeroSaid } = field;
    const value = one(
      reader,
      tag & 7,
      type.replace(/^[[{](.*)[\]}]$/, type[0] === "{" ? "{$1" : "$1"),
      depth,
    );
    if (name === "") Object.assign(values, value);
    else if (type[0] === "[")
      values[name] = [...((values[name] as unknown[] | undefined) ?? []), value].flat();
    else if (type[0] === "{")
      values[name] = { ...(values[name] as object | undefined), ...(value as object) };
    else if (isZeroSaid ? value !== undefined : !isZero(value)) values[name] = value;
  }
  return values;
}

function one(reader: Reader, wire: number, type: string, depth: number): unknown {
  if (wire === VARINT) {
    const number = reader.varint();
    return type === "b" ? number !== 0 : number;
  }
  if (wire === FIXED64) return reader.take(8).readDoubleLE();
  if (wire !== BYTES) throw new ProtobufError(`wire type ${wire} is not used`);
  const bytes = reader.bytes();
  const inner = new Reader(bytes);
  switch (type) {
    case "s":
      return bytes.toString("utf8");
    case "y":
      return bytes.toString("base64");
    case "raw":
      return bytes;
    case "i":
      return integers(inner);
    case "TYPE":
      return read(inner, TYPE, depth + 1);
    case "T":
    case "M":
      return time(read(inner, TIME, depth + 1), type);
    case "Q":
      return read(inner, QUANTITY, depth + 1).string ?? "0";
    case "X":
      return numberOrText(read(inner, INT_OR_STRING, depth + 1));
    case "R":
      return json(read(inner, RAW, depth + 1).raw);
    case "L":
      return read(inner, ITEMS, depth + 1).items ?? [];
  }
  if (type[0] === "{") return entry(inner, type.slice(1), depth);
  const fields = messageOf(type);
  if (fields === undefined) throw new ProtobufError(`text where ${type} is meant`);
  return read(inner, fields, depth + 1);
}

const field = (name: string, type: string, isZeroSaid = false) => ({ name, type, isZeroSaid });
const TIME: Fields = new Map([
  [1, field("seconds", "i")],
  [2, field("nanos", "i")],
]);
const QUANTITY: Fields = new Map([[1, field("string", "s")]]);
const INT_OR_STRING: Fields = new Map([
  [1, field("type", "i")],
  [2, field("number", "i")],
  [3, field("text", "s")],
]);
const RAW: Fields = new Map([[1, field("raw", "raw")]]);
const ITEMS: Fields = new Map([[1, field("items", "[s]")]]);

/** Of a packed list. */
function integers(reader: Reader): number[] {
  const numbers: number[] = [];
  while (!reader.isOver) numbers.push(reader.varint());
  return numbers;
}

function entry(reader: Reader, type: string, depth: number): Values {
  const fields: Fields = new Map([
    [1, field("key", "s", true)],
    [2, field("value", type, true)],
  ]);
  const { key = "", value = type === "s" || type === "y" ? "" : {} } = read(reader, fields, depth + 1);
  return { [String(key)]: value };
}

/** The zero time is none. */
function time(
  { seconds = 0, nanos = 0 }: { seconds?: unknown; nanos?: unknown },
  type: string,
): string | undefined {
  const [s, n] = [Number(seconds), Number(nanos)];
  if (s === 0 && n === 0) return undefined;
  if (!(Math.abs(s) < 8.64e12)) throw new ProtobufError("a time is out of range");
  const text = new Date(s * 1000).toISOString().replace(/\.\d+Z$/, "");
  const micros = String(Math.floor(n / 1000)).padStart(6, "0");
  return type === "M" ? `${text}.${micros}Z` : `${text}Z`;
}

function numberOrText({ type = 0, number = 0, text = "" }: Values): unknown {
  return type === 1 ? text : number;
}

function json(raw: unknown): unknown {
  if (raw === undefined) return undefined;
  try {
    return JSON.parse((raw as Buffer).toString("utf8"));
  } catch {
    throw new ProtobufError("what should be JSON is none");
  }
}

function isZero(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === "" || value === 0 || value === false;
}
