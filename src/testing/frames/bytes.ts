// Byte literals for tests: hex in, hex out, one planted byte.

/** "45 00 0014" → bytes; white space is free. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new RangeError(`not hexadecimal bytes: ${text}`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** A view of exactly these bytes, wherever they lie in their buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A copy with `patch` written at `at`: for planting one wrong field. */
export function patched(bytes: Uint8Array, at: number, ...patch: readonly number[]): Uint8Array {
  const copied = bytes.slice();
  copied.set(patch, at);
  return copied;
}

/** `len` bytes of 0xa5, so that a byte no setter wrote shows. */
export function dirty(len: number): Uint8Array {
  return new Uint8Array(len).fill(0xa5);
}
