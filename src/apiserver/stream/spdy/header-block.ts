// Headers of SPDY/3.1 streams: names and values with their lengths before them, as one zlib stream for each direction
// that begins with a dictionary known to both (draft, section 2.6.10). What is received is inflated; what is sent, which
// is next to nothing, goes in blocks that are not compressed at all.
import { createInflate, type Inflate } from "node:zlib";
import { DICTIONARY } from "./dictionary.ts";

/** Its Adler-32, by which zlib's head names it. */
const DICTIONARY_ID = 0xe3c6a7c2;
/** Headers of one stream, inflated: a block that is longer is an attack. */
const INFLATED_MAX = 65_536; // bytes

export type Headers = ReadonlyMap<string, string>;

/** Inflates the blocks of a session, one after another: each leans on those before it. */
export class HeaderReader {
  readonly #inflate: Inflate = createInflate({ dictionary: DICTIONARY });
  #parts: Buffer[] = [];
  #size = 0;
  #failure: string | undefined;
  #waiting: (() => void) | undefined;

  constructor() {
    this.#inflate.on("data", (part: Buffer) => {
      this.#parts.push(part);
      this.#size += part.length;
      if (this.#size > INFLATED_MAX) this.#fail(`headers of more than ${INFLATED_MAX} bytes`);
    });
    this.#inflate.on("error", (error) => this.#fail(`headers: ${error.message}`));
    this.#inflate.on("end", () => this.#fail("headers that end"));
  }

  /** The block's headers, names in lower case; text: why there are none, and will be none any more. */
  async read(block: Buffer): Promise<Headers | string> {
    this.#parts = [];
    this.#size = 0;
    if (this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        this.#inflate.write(block, () => setImmediate(resolve)); // its output comes by events of this turn
      });
    }
    return this.#failure ?? parseHeaders(Buffer.concat(this.#parts));
  }

  close(): void {
    this.#fail("closed");
  }

  #fail(why: string): void {
    this.#failure ??= why;
    this.#inflate.destroy();
    this.#waiting?.();
  }
}

/** Text: what is wrong with it. */
function parseHeaders(bytes: Buffer): Headers | string {
  const headers = new Map<string, string>();
  let at = 4;
  const text = (): string | undefined => {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : bytes.length;
    at += 4 + length;
    return at <= bytes.length ? bytes.toString("utf8", at - length, at) : undefined;
  };
  const count = bytes.length < 4 ? -1 : bytes.readUInt32BE(0);
  if (count < 0) return "headers without a number";
  for (let i = 0; i < count; i++) {
    const [name, value] = [text(), text()];
    if (name === undefined || value === undefined) return "headers that are cut off";
    headers.set(name.toLowerCase(), value);
  }
  return headers;
}

// Behind each block an empty one, as a flush ends: Go's zlib hands on what it has when it sees that.
const FLUSH = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** A block without headers, which is all that an answer needs; before the first comes zlib's head. */
export function emptyBlock(isFirst: boolean): Buffer {
  return headerBlock({}, isFirst);
}

/** Names in lower case; all together less than 64 KiB. */
export function headerBlock(headers: Readonly<Record<string, string>>, isFirst: boolean): Buffer {
  const texts = Object.entries(headers).flat();
  const bytes = Buffer.concat([
    word(texts.length / 2),
    ...texts.flatMap((text) => [word(Buffer.byteLength(text)), Buffer.from(text)]),
  ]);
  // A stored block, not the last one: how long it is, and the same with each bit another one (RFC 1951, 3.2.4).
  const head = Buffer.alloc(5);
  head.writeUInt16LE(bytes.length, 1);
  head.writeUInt16LE(bytes.length ^ 0xffff, 3);
  return Buffer.concat([isFirst ? zlibHead() : Buffer.alloc(0), head, bytes, FLUSH]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** RFC 1950: deflate with a window of 32 KiB, a dictionary follows; the two bytes are a multiple of 31. */
function zlibHead(): Buffer {
  const head = Buffer.from([0x78, 0x20, 0, 0, 0, 0]);
  head[1] += 31 - (head.readUInt16BE(0) % 31);
  head.writeUInt32BE(DICTIONARY_ID, 2);
  return head;
}
