// A client of SPDY/3.1 for tests, as old kubectls are: written apart from src/apiserver/stream/spdy, headers by zlib.
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { createDeflate, createInflate, constants as zlib } from "node:zlib";
import { DICTIONARY } from "../apiserver/stream/spdy/dictionary.ts";

class ClientStream {
  readonly id: number;
  readonly #client: SpdyClient;
  readonly #parts: Buffer[] = [];
  isEnded = false;
  isReset = false;

  constructor(client: SpdyClient, id: number) {
    this.#client = client;
    this.id = id;
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString();
  }

  add(bytes: Buffer): void {
    this.#parts.push(bytes);
  }

  write(data: string | Buffer, isLast = false): void {
    const bytes = Buffer.from(data);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(this.id);
    head.writeUInt32BE((isLast ? 0x0100_0000 : 0) + bytes.length, 4);
    this.#client.socket.write(Buffer.concat([head, bytes]));
  }

  end(): void {
    this.write("", true);
  }

  /** All that came, once the server has ended it. */
  async whole(): Promise<string> {
    await this.#client.until(() => this.isEnded || this.isReset || this.#client.isClosed);
    return this.text;
  }
}

export class SpdyClient {
  readonly socket: Duplex;
  readonly pings: number[] = [];
  isClosed = false;
  isLeaving = false;
  replies = 0;
  readonly #deflate = createDeflate({ dictionary: DICTIONARY });
  readonly #inflate = createInflate({ dictionary: DICTIONARY });
  readonly #streams = new Map<number, ClientStream>();
  #next = 1;
  #opening: Promise<unknown> = Promise.resolve();
  #rest = Buffer.alloc(0);
  #waiters: (() => void)[] = [];

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("error", () => {});
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.isClosed = true;
        this.#changed();
      });
    }
    this.#inflate.on("error", (error) => socket.destroy(error));
  }

  /** One after another: their headers are one compressed stream. */
  open(headers: Record<string, string>): Promise<ClientStream> {
    const opened = this.#opening.then(() => this.#open(headers));
    this.#opening = opened;
    return opened;
  }

  async #open(headers: Record<string, string>): Promise<ClientStream> {
    const id = this.#next;
    this.#next += 2;
    const stream = new ClientStream(this, id);
    this.#streams.set(id, stream);
    const block = await this.#block(headers);
    this.socket.write(control(1, Buffer.concat([word(id), word(0), Buffer.alloc(2), block])));
    return stream;
  }

  async #block(headers: Record<string, string>): Promise<Buffer> {
    const pairs = Object.entries(headers).flat();
    const texts = pairs.flatMap((text) => [word(Buffer.byteLength(text)), Buffer.from(text)]);
    const parts: Buffer[] = [];
    const take = (part: Buffer): number => parts.push(part);
    this.#deflate.on("data", take);
    this.#deflate.write(Buffer.concat([word(pairs.length / 2), ...texts]));
    await new Promise<void>((resolve) => this.#deflate.flush(zlib.Z_SYNC_FLUSH, resolve));
    await new Promise((resolve) => setImmediate(resolve));
    this.#deflate.off("data", take);
    return Buffer.concat(parts);
  }

  ping(id: number): void {
    this.socket.write(control(6, word(id)));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    this.socket.destroy();
    await once(this.socket, "close");
  }

  #changed(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #received(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#rest.length < 8) break;
      const size = 8 + (this.#rest.readUInt32BE(4) & 0xff_ffff);
      if (this.#rest.length < size) break;
      this.#take(this.#rest.subarray(0, size));
      this.#rest = this.#rest.subarray(size);
    }
    this.#changed();
  }

  #take(frame: Buffer): void {
    const payload = frame.subarray(8);
    const isLast = (frame[4] & 1) === 1;
    if (frame[0] < 0x80) {
      const stream = this.#streams.get(frame.readUInt32BE(0));
      stream?.add(payload);
      if (isLast && stream !== undefined) stream.isEnded = true;
      return;
    }
    const type = frame.readUInt16BE(2);
    if (frame.readUInt16BE(0) !== 0x8003) throw new Error(`a frame of version ${frame.readUInt16BE(0)}`);
    if (type === 2) {
      this.replies++;
      this.#inflate.write(payload.subarray(4));
    } else if (type === 3) {
      const stream = this.#streams.get(payload.readUInt32BE(0));
      if (stream !== undefined) stream.isReset = true;
    } else if (type === 6) this.pings.push(payload.readUInt32BE(0));
    else if (type === 7) this.isLeaving = true;
    else throw new Error(`a frame of type ${type}, which client-go does not know`);
  }
}

function control(type: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80, 3, 0, type]), word(payload.length), payload]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
