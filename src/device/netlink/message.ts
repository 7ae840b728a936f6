// Netlink's messages and attributes (linux/netlink.h), written and read. Numbers of headers are in the machine's byte
// order, which is little-endian on every machine that podwire runs on; nftables' attributes are big-endian.

const HEADER_BYTES = 16; // length (4), type (2), flags (2), sequence (4), port (4)
const ATTRIBUTE_BYTES = 4; //      length (2), type (2)
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** nlmsg_flags. */
export const Flag = Object.freeze({
  REQUEST: 1,
  ACK: 4,
  DUMP_INTERRUPTED: 0x10,
  DUMP: 0x300,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const);
/** Message types of netlink itself. */
export const Control = Object.freeze({ ERROR: 2, DONE: 3, OVERRUN: 4 } as const);

export type Attributes = ReadonlyMap<number, Uint8Array>;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Behind the header: the family's own header, and attributes. */
  readonly body: Uint8Array;
}

const align = (bytes: number): number => (bytes + 3) & ~3;

/** Messages one behind the other, as one datagram. */
export class Writer {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  #message = -1;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }

  /** Begins a message; `header`: what its family puts before attributes. */
  message(type: number, flags: number, sequence: number, header: readonly number[]): this {
    this.#reserve(HEADER_BYTES + align(header.length));
    this.#message = this.#end;
    this.#view.setUint16(this.#end + 4, type, true);
    this.#view.setUint16(this.#end + 6, flags, true);
    this.#view.setUint32(this.#end + 8, sequence, true);
    this.#bytes.set(header, this.#end + HEADER_BYTES);
    this.#advance(HEADER_BYTES + align(header.length));
    return this;
  }

  attribute(type: number, value: ArrayLike<number>): this {
    this.#reserve(ATTRIBUTE_BYTES + align(value.length));
    this.#view.setUint16(this.#end, ATTRIBUTE_BYTES + value.length, true);
    this.#view.setUint16(this.#end + 2, type, true);
    this.#bytes.set(value, this.#end + ATTRIBUTE_BYTES);
    this.#advance(ATTRIBUTE_BYTES + align(value.length));
    return this;
  }

  text(type: number, text: string): this {
    return this.attribute(type, Buffer.from(`${text}\0`));
  }

  /** 32 bits, big-endian. */
  word(type: number, value: number): this {
    return this.attribute(type, wordBytes(value));
  }

  nested(type: number, content: () => void): this {
    this.#reserve(ATTRIBUTE_BYTES);
    const at = this.#end;
    this.#view.setUint16(at + 2, type | NESTED, true);
    this.#advance(ATTRIBUTE_BYTES);
    content();
    this.#view.setUint16(at, this.#end - at, true);
    return this;
  }

  #advance(bytes: number): void {
    this.#end += bytes;
    this.#view.setUint32(this.#message, this.#end - this.#message, true);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#end + bytes));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

export function wordBytes(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

/** The messages of a datagram; what is cut off at its end is left out. */
export function messagesOf(bytes: Uint8Array): Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list: Message[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > bytes.length) break;
    list.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.slice(at + HEADER_BYTES, at + length),
    });
    at += align(length);
  }
  return list;
}

/** Attributes by type, from `at` on; of one that comes twice the last. */
export function attributesOf(bytes: Uint8Array, at = 0): Attributes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  while (at + ATTRIBUTE_BYTES <= bytes.length) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_BYTES || at + length > bytes.length) break;
    found.set(view.getUint16(at + 2, true) & TYPE_MASK, bytes.subarray(at + ATTRIBUTE_BYTES, at + length));
    at += align(length);
  }
  return found;
}

/** 32 bits in the machine's order; undefined where there is no such attribute. */
export function wordOf(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || value.length < 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
}

export function textOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? [])
    .toString("utf8")
    .replace(/\0.*$/s, "");
}

/** errno of an error message, negated as the kernel has it; 0: an acknowledgement. */
export function errorOf({ body }: Message): number {
  return new DataView(body.buffer, body.byteOffset, body.byteLength).getInt32(0, true);
}
