// A request of an HTTP/1.1 connection, and the way back to its client.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Ip } from "../../base/ip.ts";
import type { Header } from "../../l7/request.ts";
import { type ClientRequest, type ClientSink, UNKNOWN } from "../exchange/ends.ts";
import { reset } from "../l4/pipe.ts";
import { kept } from "../lent-socket.ts";
import { type Head, hasNoBody } from "../llhttp.ts";
import { chunkHead, headerLines, statusLine } from "./answer-head.ts";
import type { Door } from "./door.ts";
import type { OutBuffer } from "./out-buffer.ts";
import type { RequestHead } from "./request-head.ts";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const QUEUED_MAX = 65_536; // bytes of a body that nobody has asked for yet
const NO_HEADERS: readonly Header[] = [];

/** Who asks at the other end. */
export interface Peer {
  readonly ip: Ip | undefined;
  readonly text: string;
  /** "": TLS without a name; undefined: no TLS. */
  readonly sni: string | undefined;
}

/** The connection, as a request of it sees it. */
export interface Http1Way {
  readonly socket: Socket;
  readonly out: OutBuffer;
  readonly door: Door;
  readonly peer: Peer;
  deadlineMs: number;
  /** The request has had its answer, and its body is read. */
  advance(mayGoOn: boolean): void;
  /** From now on bytes belong to another protocol; those that came already. */
  release(): Buffer;
}

export class Http1Request implements ClientRequest {
  readonly #connection: Http1Way;
  readonly #head: RequestHead;
  readonly #minor: number;
  readonly method: string;
  readonly bodyLength: number;
  bodyLeft: number;
  #sink: ClientSink | undefined;
  #queued: Buffer[] = [];
  #queuedBytes = 0;
  #trailers: readonly Header[] | undefined;
  #isPaused = false;
  #isAnswering = false;
  #isChunking = false;
  #isAnswered = false;
  #isLost = false;
  #isKeptAlive: boolean;
  #needsDrain = false;

  constructor(connection: Http1Way, { method, minor }: Head, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
    this.#minor = minor;
    this.method = method;
    this.bodyLength = head.bodyLength;
    this.bodyLeft = Math.max(0, head.bodyLength);
    this.#isKeptAlive = head.isKeptAlive;
    if (head.bodyLength === 0) this.#trailers = NO_HEADERS;
  }

  get version(): ClientRequest["version"] {
    return this.#minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
  }

  get scheme(): "http" | "https" {
    return this.#connection.peer.sni === undefined ? "http" : "https";
  }

  get host(): string | undefined {
    return this.#head.host;
  }

  get target(): string {
    return this.#head.target;
  }

  get headers(): readonly Header[] {
    return this.#head.headers;
  }

  get sni(): string | undefined {
    return this.#connection.peer.sni;
  }

  get client(): Ip | undefined {
    return this.#connection.peer.ip;
  }

  get clientText(): string {
    return this.#connection.peer.text;
  }

  get upgrade(): string {
    return this.#head.upgrade;
  }

  get takesTrailers(): boolean {
    return this.#head.takesTrailers;
  }

  get isGone(): boolean {
    return this.#isLost;
  }

  /** More of its body is to come. */
  get needsBody(): boolean {
    return this.#trailers === undefined;
  }

  begin(sink: ClientSink): void {
    if (this.#isLost) {
      process.nextTick(() => sink.gone("the client has closed the connection"));
      return;
    }
    this.#sink = sink;
    const { socket, out } = this.#connection;
    if (this.needsBody) {
      if (this.#head.expects && this.#queuedBytes === 0 && !this.#isAnswering) {
        out.add(CONTINUE);
        out.flush();
      }
      this.#watch();
      if (socket.isPaused() && !this.#isPaused) socket.resume();
    }
    const queued = this.#queued;
    this.#queued = [];
    this.#queuedBytes = 0;
    for (const chunk of queued) sink.body(chunk);
    if (this.#trailers !== undefined) sink.bodyEnd(this.#trailers);
  }

  received(chunk: Buffer): void {
    if (this.bodyLength !== UNKNOWN) this.bodyLeft -= chunk.length;
    if (this.#sink !== undefined) this.#sink.body(chunk);
    else if (!this.#isAnswered) this.#queue(chunk);
    if (this.bodyLength !== UNKNOWN && this.bodyLeft === 0) this.receivedAll(NO_HEADERS);
    else if (this.#sink !== undefined) this.#watch();
  }

  receivedAll(trailers: readonly Header[]): void {
    this.#trailers = trailers;
    this.#connection.deadlineMs = 0;
    this.#sink?.bodyEnd(trailers);
    if (this.#isAnswered) this.#connection.advance(this.#isKeptAlive);
  }

  #queue(chunk: Buffer): void {
    this.#queued.push(kept(chunk));
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > QUEUED_MAX) this.#connection.socket.pause();
  }

  /** The client has so long for its next piece, or to take ours. */
  #watch(): void {
    const { door } = this.#connection;
    this.#connection.deadlineMs = performance.now() + door.limits.stallSec * 1000;
  }

  stalled(): void {
    const sink = this.#sink;
    if (this.#isPaused && !this.#needsDrain) return; // it is us who do not read
    this.#sink = undefined;
    this.#connection.socket.destroy();
    sink?.gone("the client has stopped");
  }

  broken(why: string): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#connection.socket.destroy();
    sink?.gone(why);
  }

  lost(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#isLost = true;
    if (!this.#isAnswered) sink?.gone("the client has closed the connection");
  }

  drained(): void {
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    this.#connection.deadlineMs = 0;
    this.#sink?.drained();
  }

  pause(): void {
    this.#isPaused = true;
    this.#connection.deadlineMs = 0;
    if (this.needsBody) this.#connection.socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.needsBody) return;
    this.#watch();
    this.#connection.socket.resume();
  }

  inform(status: number, headers: readonly Header[]): void {
    if (this.#minor === 0 || this.#isAnswering) return;
    this.#connection.out.add(`${statusLine(status, "")}${headerLines(headers)}\r\n`);
    this.#connection.out.flush();
  }

  respond(status: number, reason: string, headers: readonly Header[], bodyLength: number): void {
    this.#isAnswering = true;
    const { door, out } = this.#connection;
    // A body that nobody reads would be taken for the next request, or keeps its client sending.
    if (door.isDraining || (this.needsBody && this.#sink === undefined)) this.#isKeptAlive = false;
    let text = statusLine(status, reason) + headerLines(headers);
    if (!hasNoBody(status)) {
      if (bodyLength !== UNKNOWN) text += `Content-Length: ${bodyLength}\r\n`;
      else if (this.method === "HEAD") text += this.#minor === 0 ? "" : "Transfer-Encoding: chunked\r\n";
      else if (this.#minor === 0) this.#isKeptAlive = false;
      else {
        this.#isChunking = true;
        text += "Transfer-Encoding: chunked\r\n";
      }
    }
    if (!this.#isKeptAlive) text += "Connection: close\r\n";
    else if (this.#minor === 0) text += "Connection: keep-alive\r\n";
    out.add(`${text}\r\n`);
  }

  write(chunk: Buffer): boolean {
    const { out } = this.#connection;
    let hasRoom: boolean;
    if (this.#isChunking) {
      out.add(chunkHead(chunk.length));
      out.add(chunk);
      hasRoom = out.add("\r\n");
    } else hasRoom = out.add(chunk);
    if (!hasRoom) {
      this.#needsDrain = true;
      this.#watch();
    }
    return hasRoom;
  }

  end(trailers: readonly Header[]): void {
    const { out } = this.#connection;
    if (this.#isChunking) out.add(`0\r\n${headerLines(trailers)}\r\n`);
    out.flush();
    this.#isAnswered = true;
    this.#sink = undefined;
    this.#queued = [];
    if (!this.needsBody) this.#connection.advance(this.#isKeptAlive);
    else if (!this.#isKeptAlive) this.#connection.advance(false);
    else {
      this.#isPaused = false;
      this.#watch(); // the rest of it is read, and forgotten
      this.#connection.socket.resume();
    }
  }

  abort(): void {
    this.#isAnswered = true;
    this.#sink = undefined;
    reset(this.#connection.socket);
  }

  tunnel(reason: string, headers: readonly Header[]): { readonly socket: Duplex; readonly first: Buffer } {
    const { out, socket } = this.#connection;
    const text = `${statusLine(101, reason)}${headerLines(headers)}Connection: Upgrade\r\n\r\n`;
    out.add(text);
    out.flush();
    this.#isAnswered = true;
    this.#sink = undefined;
    return { socket, first: this.#connection.release() };
  }
}
