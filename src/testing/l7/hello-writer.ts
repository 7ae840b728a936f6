// ClientHellos of TLS by hand (RFC 8446 §4.1.2), in whatever records.

export interface Written {
  readonly sni?: string;
  readonly alpn?: readonly string[];
  readonly extensions?: readonly (readonly [type: number, data: Buffer])[];
}

export const u8 = (n: number): Buffer => Buffer.from([n]);
const u16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255]);
const vec8 = (data: Buffer): Buffer => Buffer.concat([u8(data.length), data]);
export const vec16 = (data: Buffer): Buffer => Buffer.concat([u16(data.length), data]);
export const nameList = (name: string): Buffer =>
  vec16(Buffer.concat([u8(0), vec16(Buffer.from(name, "latin1"))]));

/** The message without records. */
export function written({ sni, alpn, extensions = [] }: Written): Buffer {
  const all: (readonly [number, Buffer])[] = [
    [0x0a0a, Buffer.alloc(0)], // GREASE
    ...(sni === undefined ? [] : [[0, nameList(sni)] as const]),
    ...(alpn === undefined
      ? []
      : [[16, vec16(Buffer.concat(alpn.map((each) => vec8(Buffer.from(each, "latin1")))))] as const]),
    [43, vec8(Buffer.concat([u16(0x5a5a), u16(0x0304), u16(0x0303)]))],
    ...extensions,
    [0x3a3a, u8(0)],
  ];
  const body = Buffer.concat([
    ...[
      u16(0x0303),
      Buffer.alloc(32, 7),
      vec8(Buffer.alloc(32, 9)),
      vec16(Buffer.concat([u16(0x1a1a), u16(0x1301)])),
    ],
    ...[
      vec8(u8(0)),
      vec16(Buffer.concat(all.map(([type, data]) => Buffer.concat([u16(type), vec16(data)])))),
    ],
  ]);
  return Buffer.concat([u8(1), u8(0), u16(body.length), body]);
}

export function record(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([22, 3, 1]), vec16(data)]);
}

/** In records of these lengths, then a last one of what is left. */
export function records(message: Buffer, lengths: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at + length >= message.length) break;
    parts.push(record(message.subarray(at, at + length)));
    at += length;
  }
  return Buffer.concat([...parts, record(message.subarray(at))]);
}
