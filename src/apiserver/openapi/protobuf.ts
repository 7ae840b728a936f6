// Messages of protocol buffers, as far as they are written here: text, numbers, truth values and other messages.
// https://protobuf.dev/programming-guides/encoding/

const VARINT = 0;
const I64 = 1;
const LEN = 2;

/** A message; fields that are undefined, empty or false are left out, as proto3 has it. */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  text(field: number, value: string | undefined): this {
    return value === undefined || value === "" ? this : this.bytes(field, Buffer.from(value));
  }

  texts(field: number, values: readonly string[] | undefined): this {
    for (const value of values ?? []) this.bytes(field, Buffer.from(value));
    return this;
  }

  flag(field: number, value: boolean | undefined): this {
    return value === true ? this.#add(varint(field * 8 + VARINT), varint(1)) : this;
  }

  integer(field: number, value: number | undefined): this {
    if (value === undefined || value === 0) return this;
    return this.#add(varint(field * 8 + VARINT), varint(value));
  }

  double(field: number, value: number | undefined): this {
    if (value === undefined || value === 0) return this;
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return this.#add(varint(field * 8 + I64), bytes);
  }

  /** A message that is empty is there all the same; one that is undefined is not. */
  message(field: number, value: Message | undefined): this {
    return value === undefined ? this : this.bytes(field, value.done());
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#add(varint(field * 8 + LEN), varint(value.length), value);
  }

  done(): Uint8Array {
    return Buffer.concat(this.#parts, this.#length);
  }

  #add(...parts: readonly Uint8Array[]): this {
    for (const part of parts) {
      this.#parts.push(part);
      this.#length += part.length;
    }
    return this;
  }
}

/** Seven bits a byte, the lowest first; negative numbers are not written here. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
