// A client's connection by HTTP/1.1: one request at a time, in their order. What it sends before its turn waits in the
// kernel. llhttp reads heads and chunks, strictly; whatever it does not take ends the connection.
import type { Socket } from "node:net";
import { UNKNOWN } from "../exchange/ends.ts";
import { asStream, kept, takeFrom } from "../lent-socket.ts";
import { type Head, HeadParser, headersOf } from "../llhttp.ts";
import type { Timed } from "../sweep.ts";
import { statusLine } from "./answer-head.ts";
import type { Door, Port } from "./door.ts";
import { Http1Request, type Http1Way, type Peer } from "./http1-request.ts";
import { OutBuffer } from "./out-buffer.ts";
import { type RequestHead, readRequestHead } from "./request-head.ts";

const LINGER_MS = 2000; // for a client that still sends what nobody takes, so that it sees its answer
const STATUS = { bad: 400, timeout: 408, tooLarge: 431 };
const EMPTY = Buffer.alloc(0);

export class Http1Connection implements Timed, Http1Way {
  readonly socket: Socket;
  readonly out: OutBuffer;
  readonly door: Door;
  readonly port: Port;
  readonly peer: Peer;
  readonly #parser: HeadParser;
  /** Undefined: a head is waited for. */
  #current: Http1Request | undefined;
  /** What came behind the request that is being answered. */
  #next: Buffer = EMPTY;
  #hasBegun = false;
  #isEnding = false;
  #isAdvancing = false;
  /** Its client asks, and does not read what is answered: nothing more is read of it until it does. */
  #isFull = false;
  /** Its client has sent its last byte, and this many had been written to it when it was looked at. */
  #hasEnded = false;
  #written = 0;
  deadlineMs: number;
  sweepAt = -1;

  constructor(socket: Socket, peer: Peer, port: Port, door: Door) {
    this.socket = socket;
    this.out = new OutBuffer(socket);
    this.door = door;
    this.port = port;
    this.peer = peer;
    this.#parser = new HeadParser("request", door.limits.headerBytes);
    this.deadlineMs = performance.now() + door.limits.headerSec * 1000;
    door.sweep.add(this);
    takeFrom(socket, (bytes) => this.#data(bytes));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#clientEnd());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#closed());
  }

  /** No more requests: it ends at once where none is being answered. */
  drain(): void {
    if (this.#current === undefined && !this.#hasBegun) this.#end();
  }

  /** What was read of it before somebody else looked at it. */
  push(bytes: Buffer): void {
    this.#data(bytes);
  }

  expired(): void {
    if (this.#current !== undefined && this.#hasEnded && this.socket.bytesWritten > this.#written)
      this.#watchEnded();
    else if (this.#current !== undefined) this.#current.stalled();
    else if (this.#hasBegun) this.#refuse(STATUS.timeout, "the head of a request took too long");
    else this.socket.destroy();
  }

  /** The request has had its answer, and its body is read. */
  advance(mayGoOn: boolean): void {
    this.#current = undefined;
    this.#hasBegun = false;
    if (this.#isEnding) return;
    const isLast = this.#hasEnded && this.#next.length === 0;
    if (!mayGoOn || isLast || this.#parser.isOverrun || this.door.isDraining) {
      this.#end();
      return;
    }
    this.#parser.begin();
    const { idleSec, stallSec } = this.door.limits;
    this.#isFull = this.socket.writableNeedDrain;
    this.deadlineMs = performance.now() + (this.#isFull ? stallSec : idleSec) * 1000;
    if (this.#isFull) this.socket.pause();
    else if (!this.#isAdvancing) this.#readNext(); // otherwise whoever called is in its loop
  }

  #readNext(): void {
    this.#isAdvancing = true;
    while (this.#next.length > 0 && this.#current === undefined && !this.#isEnding && !this.#isFull) {
      const bytes = this.#next;
      this.#next = EMPTY;
      this.#readHead(bytes);
    }
    this.#isAdvancing = false;
    if (this.#current === undefined && !this.#isFull && this.socket.isPaused()) this.socket.resume();
  }

  #drained(): void {
    if (this.#isFull) {
      this.#isFull = false;
      this.deadlineMs = performance.now() + this.door.limits.idleSec * 1000;
      this.#readNext();
      return;
    }
    this.#current?.drained();
    if (this.#current !== undefined && this.#hasEnded) this.#watchEnded();
  }

  /** From now on bytes belong to another protocol. */
  release(): Buffer {
    const rest = this.#next;
    this.#next = EMPTY;
    this.deadlineMs = 0;
    this.door.sweep.delete(this);
    asStream(this.socket);
    this.socket.removeAllListeners("drain");
    this.socket.removeAllListeners("end");
    return rest;
  }

  #data(bytes: Buffer): void {
    if (this.#isEnding) return; // read so that the client sees the answer, and forgotten
    const current = this.#current;
    if (current === undefined && !this.#isFull) this.#readHead(bytes);
    else if (current?.needsBody === true) this.#readBody(current, bytes);
    else this.#wait(bytes);
  }

  #wait(bytes: Buffer): void {
    this.#next = this.#next.length === 0 ? kept(bytes) : Buffer.concat([this.#next, bytes]);
    this.socket.pause();
  }

  #readHead(bytes: Buffer): void {
    const parser = this.#parser;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.deadlineMs = performance.now() + this.door.limits.headerSec * 1000;
    }
    const read = parser.read(bytes);
    if (typeof read === "string") {
      const isLong = read === "HPE_HEADER_OVERFLOW";
      this.#refuse(
        isLong ? STATUS.tooLarge : STATUS.bad,
        isLong ? "a head that is too long" : `no request: ${read}`,
      );
      return;
    }
    const { head } = parser;
    if (head === undefined) return;
    const found = readRequestHead(head);
    if ("why" in found) this.#refuse(found.status, found.why);
    else if (head.raw.length > this.door.limits.headers * 2)
      this.#refuse(STATUS.tooLarge, `more than ${this.door.limits.headers} headers`);
    else this.#take(head, found, read < bytes.length ? bytes.subarray(read) : EMPTY);
  }

  #take(head: Head, found: RequestHead, rest: Buffer): void {
    const request = new Http1Request(this, head, found);
    this.#current = request;
    this.deadlineMs = 0;
    if (head.isChunked) this.#chunksOf(request);
    else if (rest.length > 0) this.#readBody(request, rest);
    this.door.taken(request, this.port);
  }

  #readBody(request: Http1Request, bytes: Buffer): void {
    if (request.bodyLength !== UNKNOWN) {
      const left = request.bodyLeft;
      request.received(bytes.length <= left ? bytes : bytes.subarray(0, left));
      if (bytes.length > left) this.#wait(bytes.subarray(left));
      return;
    }
    const read = this.#parser.read(bytes);
    if (typeof read === "string") request.broken(`a body that is not in chunks: ${read}`);
    else this.#chunksOf(request);
  }

  #chunksOf(request: Http1Request): void {
    const { chunks, trailers } = this.#parser;
    for (const chunk of chunks) request.received(chunk);
    if (trailers !== undefined) request.receivedAll(headersOf(trailers));
  }

  #refuse(status: number, why: string): void {
    const text = `${statusLine(status, "")}Connection: close\r\nContent-Length: 0\r\n\r\n`;
    this.door.refused({ status, why, client: this.peer.text, port: this.port.number }, this.port);
    this.out.add(text);
    this.#end();
  }

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#next = EMPTY;
    this.out.flush();
    this.deadlineMs = performance.now() + this.door.limits.stallSec * 1000; // to take what is still held here
    this.socket.end(() => (this.deadlineMs = performance.now() + LINGER_MS));
    this.socket.resume();
    this.#current = undefined;
    this.#hasBegun = false;
  }

  /** A client that has sent its last byte may still read; one that is gone looks the same until it is written to. */
  #clientEnd(): void {
    if (this.#current === undefined) this.socket.end();
    else if (this.#current.needsBody) this.#current.broken("the connection ended within the body");
    else {
      this.#hasEnded = true;
      this.#watchEnded();
    }
  }

  #watchEnded(): void {
    this.#written = this.socket.bytesWritten;
    this.deadlineMs = performance.now() + this.door.limits.stallSec * 1000;
  }

  #closed(): void {
    this.door.sweep.delete(this);
    this.#parser.close();
    const current = this.#current;
    this.#current = undefined;
    this.#isEnding = true;
    current?.lost();
  }
}
