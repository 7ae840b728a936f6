/** Messages in a stream: each has its length in front, 16 bits (RFC 1035 §4.2.2). */

const LENGTH = 2;

export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Octets of a message that has begun. */
  get pending(): number {
    return this.#rest.length;
  }

  /** The messages that are whole with this chunk. */
  take(chunk: Buffer): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    let at = 0;
    while (bytes.length - at >= LENGTH) {
      const end = at + LENGTH + bytes.readUInt16BE(at);
      if (end > bytes.length) break;
      messages.push(bytes.subarray(at + LENGTH, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return messages;
  }
}

export function framed(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH + message.length);
  bytes.writeUInt16BE(message.length, 0);
  message.copy(bytes, LENGTH);
  return bytes;
}
