// SPDY/3.1 frames (the draft's section 2.2 and 2.6): bytes to frames and back. A control frame is taken when it is whole
// and no longer than 64 KiB; a data frame is handed on as its bytes come, and nothing is kept of it, however long it is.
//
//   control: 1 | version (15) | type (16) | flags (8) | length (24) | payload
//   data:    0 | stream (31)              | flags (8) | length (24) | bytes          all big-endian

const HEADER = 8; // bytes
const VERSION = 3;
const CONTROL_MAX = 65_536; // bytes
/** What a data frame of ours holds at most. */
const DATA_MAX = 1 << 20;
const FIN = 1; // nothing follows in this direction
const STREAM_MASK = 0x7fff_ffff;

const Type = Object.freeze({
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
} as const);

/** Why a stream was reset. */
export const Reset = Object.freeze({ PROTOCOL_ERROR: 1, REFUSED_STREAM: 3, CANCEL: 5 } as const);

export type Frame =
  | { readonly type: "data"; readonly stream: number; readonly bytes: Buffer; readonly fin: boolean }
  /** block: headers, compressed. */
  | { readonly type: "open"; readonly stream: number; readonly block: Buffer; readonly fin: boolean }
  /** Headers of a reply, or more of them: nobody reads them, but they are part of the compressed stream. */
  | { readonly type: "headers"; readonly stream: number; readonly block: Buffer; readonly fin: boolean }
  | { readonly type: "reset"; readonly stream: number }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "goaway" };

export class FrameReader {
  /** Why nothing more is read: what came is no SPDY. */
  failure: string | undefined;
  readonly #head = Buffer.alloc(HEADER);
  #headBytes = 0;
  /** Of a control frame; undefined: its head is not whole, or it is a data frame. */
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  /** What is still to come of a data frame. */
  #left = 0;
  #stream = 0;
  #fin = false;

  /** Frames that `chunk` ends, in order; of a data frame what of it has come. */
  read(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    let at = 0;
    while (at < chunk.length && this.failure === undefined) {
      const rest = chunk.subarray(at);
      if (this.#left > 0) at += this.#takeData(rest, frames);
      else if (this.#payload !== undefined) at += this.#takePayload(this.#payload, rest, frames);
      else at += this.#takeHead(rest, frames);
    }
    return frames;
  }

  #takeData(rest: Buffer, frames: Frame[]): number {
    const bytes = rest.subarray(0, this.#left);
    this.#left -= bytes.length;
    frames.push({ type: "data", stream: this.#stream, bytes, fin: this.#fin && this.#left === 0 });
    return bytes.length;
  }

  #takePayload(payload: Buffer, rest: Buffer, frames: Frame[]): number {
    const taken = rest.copy(payload, this.#payloadBytes);
    this.#payloadBytes += taken;
    if (this.#payloadBytes === payload.length) this.#endControl(payload, frames);
    return taken;
  }

  #takeHead(rest: Buffer, frames: Frame[]): number {
    const taken = rest.copy(this.#head, this.#headBytes);
    this.#headBytes += taken;
    if (this.#headBytes < HEADER) return taken;
    this.#headBytes = 0;
    const length = this.#head.readUIntBE(5, 3);
    if ((this.#head[0] & 0x80) === 0) this.#beginData(length, frames);
    else if (length > CONTROL_MAX) this.failure = `a control frame of ${length} bytes`;
    else if ((this.#head.readUInt16BE(0) & 0x7fff) !== VERSION) this.failure = "frames of another version";
    else {
      this.#payload = Buffer.alloc(length);
      this.#payloadBytes = 0;
      if (length === 0) this.#endControl(this.#payload, frames);
    }
    return taken;
  }

  #beginData(length: number, frames: Frame[]): void {
    this.#stream = this.#head.readUInt32BE(0);
    this.#fin = (this.#head[4] & FIN) !== 0;
    this.#left = length;
    if (length === 0)
      frames.push({ type: "data", stream: this.#stream, bytes: Buffer.alloc(0), fin: this.#fin });
  }

  #endControl(payload: Buffer, frames: Frame[]): void {
    this.#payload = undefined;
    const type = this.#head.readUInt16BE(2);
    const least = LEAST[type];
    if (least !== undefined && payload.length < least) {
      this.failure = `a control frame of type ${type} with ${payload.length} bytes`;
      return;
    }
    const fin = (this.#head[4] & FIN) !== 0;
    const stream = payload.length < 4 ? 0 : payload.readUInt32BE(0) & STREAM_MASK;
    if (type === Type.SYN_STREAM) frames.push({ type: "open", stream, block: payload.subarray(10), fin });
    else if (type === Type.SYN_REPLY || type === Type.HEADERS)
      frames.push({ type: "headers", stream, block: payload.subarray(4), fin });
    else if (type === Type.RST_STREAM) frames.push({ type: "reset", stream });
    else if (type === Type.PING) frames.push({ type: "ping", id: payload.readUInt32BE(0) });
    else if (type === Type.GOAWAY) frames.push({ type: "goaway" });
    // SETTINGS and WINDOW_UPDATE speak of windows: session.ts. Others are to be passed over.
  }
}

/** Bytes that a control frame has at least. */
const LEAST: Readonly<Record<number, number>> = {
  [Type.SYN_STREAM]: 10,
  [Type.SYN_REPLY]: 4,
  [Type.RST_STREAM]: 8,
  [Type.SETTINGS]: 4,
  [Type.PING]: 4,
  [Type.GOAWAY]: 8,
  [Type.HEADERS]: 4,
  [Type.WINDOW_UPDATE]: 8,
};

function control(type: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(HEADER + payload.length);
  frame.writeUInt16BE(0x8000 | VERSION, 0);
  frame.writeUInt16BE(type, 2);
  frame.writeUIntBE(payload.length, 5, 3);
  payload.copy(frame, HEADER);
  return frame;
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i);
  return bytes;
}

/** `block`: headers, compressed. Of the highest priority, and beside no other stream. */
export function openFrame(stream: number, block: Buffer): Buffer {
  return control(Type.SYN_STREAM, Buffer.concat([words(stream, 0), Buffer.alloc(2), block]));
}

/** `block`: headers, compressed. */
export function replyFrame(stream: number, block: Buffer): Buffer {
  return control(Type.SYN_REPLY, Buffer.concat([words(stream), block]));
}

export function resetFrame(stream: number, reason: number): Buffer {
  return control(Type.RST_STREAM, words(stream, reason));
}

export function pingFrame(id: number): Buffer {
  return control(Type.PING, words(id));
}

/** No stream after this one is taken any more; nothing went wrong. */
export function goAwayFrame(lastStream: number): Buffer {
  return control(Type.GOAWAY, words(lastStream, 0));
}

/** One or more frames. */
export function dataFrames(stream: number, bytes: Buffer, fin: boolean): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += DATA_MAX) {
    const part = bytes.subarray(at, at + DATA_MAX);
    const isLast = at + DATA_MAX >= bytes.length;
    const head = Buffer.alloc(HEADER);
    head.writeUInt32BE(stream, 0);
    head[4] = fin && isLast ? FIN : 0;
    head.writeUIntBE(part.length, 5, 3);
    frames.push(head, part);
  }
  return frames;
}
