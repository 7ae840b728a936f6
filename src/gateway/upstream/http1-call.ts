// A connection to a backend by HTTP/1.1: one request at a time, and back into its pool when the answer is whole.
import type { Socket } from "node:net";
import type { Header } from "../../l7/request.ts";
import { type Call, type CallFailure, type CallHead, type CallSink, UNKNOWN } from "../exchange/ends.ts";
import { asStream, kept, takeFrom } from "../lent-socket.ts";
import { HeadParser, headersOf } from "../llhttp.ts";
import { chunkHead, headerLines } from "../server/answer-head.ts";
import { OutBuffer } from "../server/out-buffer.ts";
import type { Timed } from "../sweep.ts";
import { type AnswerHead, readAnswerHead } from "./answer-headers.ts";

const HEAD_MAX = 65_536; // bytes of an answer's head
const NO_HEADERS: readonly Header[] = [];

/** Where a connection goes when it has nothing to do. */
export interface Http1Keeper {
  readonly text: string;
  free(connection: Http1Connection): void;
  closed(connection: Http1Connection): void;
}

export class Http1Connection implements Call, Timed {
  readonly #socket: Socket;
  readonly #out: OutBuffer;
  readonly #keeper: Http1Keeper;
  readonly #parser = new HeadParser("answer", HEAD_MAX);
  #sink: CallSink | undefined;
  #head: CallHead | undefined;
  #answer: AnswerHead | undefined;
  #left = 0;
  /** Bytes of the request's body that are still to be sent, where it is known how many it has. */
  #owed = 0;
  #isRequestDone = false;
  #isChunking = false;
  #isReused = false;
  #hasHeard = false;
  #isPaused = false;
  #error = "";
  isConnected = false;
  isGone = false;
  deadlineMs = 0;
  sweepAt = -1;

  constructor(socket: Socket, connectEvent: "connect" | "secureConnect", keeper: Http1Keeper) {
    this.#socket = socket;
    this.#out = new OutBuffer(socket);
    this.#keeper = keeper;
    socket.on(connectEvent, () => this.#connected());
    takeFrom(socket, (bytes) => this.#data(bytes));
    socket.on("drain", () => this.#sink?.callDrained());
    socket.on("end", () => this.#ended());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#error = textOf(error);
    });
    socket.on("close", () => this.#closed());
  }

  /** The connection is `isReused`: then `connected` is not told again. */
  ask(head: CallHead, sink: CallSink, isReused: boolean): void {
    this.#head = head;
    this.#sink = sink;
    this.#answer = undefined;
    this.#isReused = isReused;
    this.#hasHeard = false;
    this.deadlineMs = 0;
    this.#isRequestDone = head.bodyLength === 0 && head.upgrade === "";
    this.#isChunking = head.bodyLength === UNKNOWN;
    this.#owed = Math.max(0, head.bodyLength);
    if (isReused) this.#parser.begin();
    this.#parser.isBodiless = head.method === "HEAD";
    let text = `${head.method} ${head.target} HTTP/1.1\r\n${headerLines(head.headers)}`;
    if (head.host === "") text += "Host: \r\n"; // of HTTP/1.0; who has no name says so (RFC 9112 §3.2)
    if (this.#isChunking) text += "Transfer-Encoding: chunked\r\n";
    else if (head.bodyLength > 0 || mayHaveBody(head.method))
      text += `Content-Length: ${head.bodyLength}\r\n`;
    if (head.upgrade !== "") text += `Connection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n`;
    else if (head.takesTrailers) text += "Connection: TE\r\nTE: trailers\r\n";
    this.#out.add(`${text}\r\n`);
    if (this.#isRequestDone) this.#out.flush();
  }

  write(chunk: Buffer): boolean {
    this.#owed -= chunk.length;
    if (!this.#isChunking) return this.#out.add(chunk);
    this.#out.add(chunkHead(chunk.length));
    this.#out.add(chunk);
    return this.#out.add("\r\n");
  }

  end(trailers: readonly Header[]): void {
    if (this.#isRequestDone) return;
    if (this.#isChunking) this.#out.add(`0\r\n${headerLines(trailers)}\r\n`);
    this.#out.flush();
    this.#isRequestDone = this.#isChunking || this.#owed === 0;
    if (!this.#isRequestDone) this.#socket.destroy(); // the next request would be taken for the rest of this one
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  cancel(): void {
    this.#sink = undefined;
    this.#socket.destroy();
  }

  expired(): void {
    if (this.#sink === undefined) this.#socket.destroy();
  }

  #connected(): void {
    this.isConnected = true;
    this.#sink?.connected();
  }

  #data(bytes: Buffer): void {
    if (this.#sink === undefined) {
      this.#socket.destroy(); // nobody has asked
      return;
    }
    this.#hasHeard = true;
    if (this.#answer === undefined) this.#readHead(bytes);
    else this.#readBody(bytes);
  }

  #readHead(given: Buffer): void {
    let bytes = given;
    const parser = this.#parser;
    for (;;) {
      const read = parser.read(bytes);
      if (typeof read === "string") {
        this.#fail("protocol", `answered what is no HTTP: ${read}`);
        return;
      }
      const { head } = parser;
      if (head === undefined) return;
      const { status, major } = head;
      if (major !== 1 || status < 100) {
        this.#fail("protocol", "answered what is no HTTP: of another version, or with a status that is none");
        return;
      }
      if (status === 101 || status >= 200) {
        this.#take(head, read < bytes.length ? bytes.subarray(read) : undefined);
        return;
      }
      if (status !== 100) this.#sink?.informed(status, readAnswerHead(head, false).headers);
      parser.begin();
      parser.isBodiless = this.#head?.method === "HEAD";
      if (read >= bytes.length) return;
      bytes = bytes.subarray(read);
    }
  }

  #take(head: NonNullable<HeadParser["head"]>, rest: Buffer | undefined): void {
    const answer = readAnswerHead(head, this.#head?.method === "HEAD");
    const sink = this.#sink;
    if (sink === undefined) return;
    if (head.status === 101) {
      if (this.#head?.upgrade === "") this.#fail("protocol", "changed to another protocol unasked");
      else this.#switch(sink, head.reason, answer.headers, kept(rest ?? Buffer.alloc(0)));
      return;
    }
    this.#answer = answer;
    this.#left = answer.coming;
    sink.answered(head.status, head.reason, answer.headers, answer.bodyLength);
    if (head.isChunked) this.#takeChunks();
    else if (this.#left === 0) this.#whole(NO_HEADERS, rest !== undefined);
    else if (rest !== undefined) this.#readBody(rest);
  }

  #readBody(bytes: Buffer): void {
    if (this.#parser.head?.isChunked === true) {
      const read = this.#parser.read(bytes);
      if (typeof read === "string") this.#fail("protocol", `sent a body that is not in chunks: ${read}`);
      else this.#takeChunks();
      return;
    }
    if (this.#left === UNKNOWN) {
      this.#sink?.answerBody(bytes);
      return;
    }
    const isMore = bytes.length > this.#left;
    const own = isMore ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= own.length;
    this.#sink?.answerBody(own);
    if (this.#left === 0) this.#whole(NO_HEADERS, isMore);
  }

  #takeChunks(): void {
    const { chunks, trailers, isOverrun } = this.#parser;
    for (const chunk of chunks) this.#sink?.answerBody(chunk);
    if (trailers !== undefined) this.#whole(headersOf(trailers), isOverrun);
  }

  /** The answer is whole. `isMore`: something came behind it, so that nothing is to be believed of this connection. */
  #whole(trailers: readonly Header[], isMore: boolean): void {
    const sink = this.#sink;
    if (sink === undefined) return; // whoever asked has gone with one of the pieces
    this.#sink = undefined;
    const { isKept = false, keepSec = 0 } = this.#answer ?? {};
    if (isKept && !isMore && this.#isRequestDone && keepSec > 0 && !this.#socket.destroyed) {
      this.deadlineMs = performance.now() + keepSec * 1000;
      if (this.#isPaused) this.resume();
      this.#keeper.free(this);
    } else this.#socket.destroy();
    sink.answerEnd(trailers);
  }

  #switch(sink: CallSink, reason: string, headers: readonly Header[], first: Buffer): void {
    this.#sink = undefined;
    this.#out.flush(); // before what the client sends from now on
    asStream(this.#socket);
    for (const event of ["drain", "end"]) this.#socket.removeAllListeners(event);
    sink.switched(reason, headers, this.#socket, first);
  }

  #ended(): void {
    if (this.#sink !== undefined && this.#answer !== undefined && this.#left === UNKNOWN)
      if (this.#parser.head?.isChunked !== true) this.#whole(NO_HEADERS, true);
    this.#socket.destroy();
  }

  #fail(what: CallFailure["what"], text: string): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#socket.destroy();
    sink?.failed({ what, text: `${this.#keeper.text} ${text}`, isSent: true, isStale: false });
  }

  #closed(): void {
    this.isGone = true;
    this.#parser.close();
    this.#keeper.closed(this);
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink === undefined) return;
    const { text } = this.#keeper;
    if (!this.isConnected)
      sink.failed({
        what: "connect",
        text: `${text} ${this.#error || "closed"}`,
        isSent: false,
        isStale: false,
      });
    else
      sink.failed({
        what: "reset",
        text: `${text} closed the connection ${this.#answer === undefined ? "without an answer" : "within its answer"}`,
        isSent: true,
        isStale: this.#isReused && !this.#hasHeard,
      });
  }
}

/** Servers want to be told that there is none. */
function mayHaveBody(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH" || method === "QUERY";
}

function textOf({ code = "", message }: NodeJS.ErrnoException): string {
  if (code === "ECONNREFUSED") return "refused the connection";
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "cannot be reached";
  return code === "ETIMEDOUT"
    ? "did not answer"
    : `failed: ${code === "" ? message : `${code}: ${message}`}`.split("\n", 1)[0];
}
