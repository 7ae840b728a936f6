// An end of a SPDY/3.1 connection: streams that the client opens, each two ways. The server's end is that of a lab's API,
// the client's that of our own commands. Windows are left out on purpose: what speaks SPDY to Kubernetes (client-go's
// spdystream) knows none, and ends a connection that tells of them; so the transport's own flow control holds whoever
// sends too fast, for all streams of a connection.
import { Duplex } from "node:stream";
import {
  dataFrames,
  type Frame,
  FrameReader,
  goAwayFrame,
  openFrame,
  pingFrame,
  Reset,
  replyFrame,
  resetFrame,
} from "./frame.ts";
import { emptyBlock, HeaderReader, type Headers, headerBlock } from "./header-block.ts";

/** What a stream keeps of what nobody has read: then the transport waits. */
const BACKLOG = 256 << 10; // bytes
const STREAMS_MAX = 1000;
/** Answers to pings and streams that a client has not read: one that asks and never reads is cut off. */
const ANSWERS_MAX = 10_000;

export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: Headers;
  readonly #session: SpdySession;

  constructor(session: SpdySession, id: number, headers: Headers) {
    super({ readableHighWaterMark: BACKLOG, allowHalfOpen: true, emitClose: true });
    this.#session = session;
    this.id = id;
    this.headers = headers;
    this.on("error", () => {}); // a stream that was cut: whoever uses it sees that it is closed
  }

  /** The client has sent these. */
  receive(bytes: Buffer, fin: boolean): void {
    if (bytes.length > 0 && !this.push(bytes)) this.#session.hold(this);
    if (fin) this.push(null);
  }

  override _read(): void {
    this.#session.release(this);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#session.send(dataFrames(this.id, chunk, false), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#session.send(dataFrames(this.id, Buffer.alloc(0), true), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isOver = this.readableEnded && this.writableFinished;
    this.#session.forget(this, isOver ? undefined : Reset.CANCEL);
    done(error);
  }
}

export class SpdySession {
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #reader = new FrameReader();
  readonly #headers = new HeaderReader();
  readonly #streams = new Map<number, SpdyStream>();
  /** Streams that have more than they should. */
  readonly #full = new Set<SpdyStream>();
  /** Headers are being inflated: frames wait for them. */
  #isBusy = false;
  #waiting: Frame[] = [];
  #lastStream = 0;
  /** Nothing was said of headers yet. */
  #isFirst = true;
  #isClient = false;
  #isClosed = false;
  #answers = 0;

  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    transport.on("data", (chunk: Buffer) => this.#received(chunk));
    transport.on("error", () => this.destroy());
    transport.on("end", () => this.destroy());
    transport.on("close", () => this.destroy());
  }

  /** The client's: with headers of lower-case names. Whether the server takes the stream is not waited for. */
  open(headers: Readonly<Record<string, string>>): SpdyStream {
    const id = this.#isClient ? this.#lastStream + 2 : 1;
    this.#isClient = true;
    this.#lastStream = id;
    const stream = new SpdyStream(this, id, new Map(Object.entries(headers)));
    this.#streams.set(id, stream);
    this.send([openFrame(id, headerBlock(headers, this.#isFirst))], () => {});
    this.#isFirst = false;
    return stream;
  }

  /** When everything is over. */
  onClose(call: () => void): void {
    this.#transport.once("close", call);
    if (this.#transport.destroyed) call();
  }

  /** No more streams: what was sent arrives, the client closes the connection; `afterMs` later it is cut. */
  end(afterMs: number): void {
    if (this.#isClosed) return;
    this.#transport.write(goAwayFrame(this.#lastStream));
    const cut = setTimeout(() => this.destroy(), afterMs).unref();
    this.onClose(() => clearTimeout(cut));
    this.#transport.end();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#headers.close();
    for (const stream of [...this.#streams.values()]) stream.destroy();
    this.#transport.destroy();
  }

  /** `done`: when the transport has taken them. */
  send(frames: Buffer[], done: (error?: Error | null) => void): void {
    if (this.#isClosed || this.#transport.writableEnded) {
      done(new Error("the connection is closed"));
      return;
    }
    for (const frame of frames.slice(0, -1)) this.#transport.write(frame);
    this.#transport.write(frames[frames.length - 1], (error) => done(error));
  }

  hold(stream: SpdyStream): void {
    this.#full.add(stream);
    this.#transport.pause();
  }

  release(stream: SpdyStream): void {
    if (this.#full.delete(stream)) this.#resume();
  }

  forget(stream: SpdyStream, reason: number | undefined): void {
    if (this.#streams.delete(stream.id) && reason !== undefined) this.#answer(resetFrame(stream.id, reason));
    this.release(stream);
  }

  #answer(frame: Buffer): void {
    if (++this.#answers > ANSWERS_MAX) this.destroy();
    else this.send([frame], () => this.#answers--);
  }

  #resume(): void {
    if (this.#full.size === 0 && !this.#isBusy) this.#transport.resume();
  }

  #received(chunk: Buffer): void {
    this.#waiting.push(...this.#reader.read(chunk));
    void this.#work();
  }

  /** Frames in their order, one after another: headers lean on those before them. */
  async #work(): Promise<void> {
    if (this.#isBusy) return;
    for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
      if (this.#isClosed) return;
      if (frame.type !== "open" && frame.type !== "headers") this.#take(frame);
      else {
        this.#isBusy = true;
        this.#transport.pause();
        const headers = await this.#headers.read(frame.block);
        this.#isBusy = false;
        if (typeof headers === "string") return this.destroy();
        if (frame.type === "open") this.#open(frame.stream, headers, frame.fin);
      }
    }
    if (this.#reader.failure !== undefined) return this.destroy();
    this.#resume();
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case "data":
        this.#streams.get(frame.stream)?.receive(frame.bytes, frame.fin);
        break;
      case "reset":
        this.#reset(frame.stream);
        break;
      case "ping":
        // Odd ones are the client's. One of our own kind is an answer to ours, and there are none.
        if ((frame.id % 2 === 1) !== this.#isClient) this.#answer(pingFrame(frame.id));
        break;
      default: // goaway: the client opens no more; it closes the connection when it has done
        break;
    }
  }

  #open(id: number, headers: Headers, fin: boolean): void {
    const isNext = !this.#isClient && id % 2 === 1 && id > this.#lastStream;
    if (!isNext || this.#streams.size >= STREAMS_MAX) {
      this.#answer(resetFrame(id, isNext ? Reset.REFUSED_STREAM : Reset.PROTOCOL_ERROR));
      return;
    }
    this.#lastStream = id;
    const stream = new SpdyStream(this, id, headers);
    this.#streams.set(id, stream);
    this.#answer(replyFrame(id, emptyBlock(this.#isFirst)));
    this.#isFirst = false;
    if (fin) stream.receive(Buffer.alloc(0), true);
    this.#onStream(stream);
  }

  #reset(id: number): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.destroy();
  }
}
