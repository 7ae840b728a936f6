// Frames of HTTP/2 by hand, for clients that mean harm (RFC 9113 §4.1, RFC 7541 §6.2).

export const FrameType = Object.freeze({
  ...{ DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PING: 6, WINDOW_UPDATE: 8 },
  CONTINUATION: 9,
});
export const END_STREAM = 1;
export const END_HEADERS = 4;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field that is in no table, without Huffman's code; name and value have at most 126 bytes. */
export function field(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)];
  const lengths = [Buffer.from([0, nameBytes.length]), Buffer.from([valueBytes.length])];
  return Buffer.concat([lengths[0], nameBytes, lengths[1], valueBytes]);
}

/** With a client's first SETTINGS. */
export const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(FrameType.SETTINGS, 0, 0),
]);

export function headersFrame(fields: Readonly<Record<string, string>>, flags: number, stream = 1): Buffer {
  const list = Object.entries(fields).map(([name, value]) => field(name, value));
  return frame(FrameType.HEADERS, flags, stream, Buffer.concat(list));
}
