// The two ends of an exchange, whichever protocol they speak: a request as it came from a client, with the way back, and
// a call to a backend. Bytes are pushed, with a word when there are too many: streams of Node's own cost a proxy more
// than all else that it does with a small answer.
import type { Duplex } from "node:stream";
import type { Ip } from "../../base/ip.ts";
import type { Header } from "../../l7/request.ts";

/** Length of a body that nobody knows before its end. */
export const UNKNOWN = -1;

/** Told what a client sends behind its head. */
export interface ClientSink {
  body(chunk: Buffer): void;
  bodyEnd(trailers: readonly Header[]): void;
  /** More of the answer may be written. */
  drained(): void;
  /** The client is gone, or its request has turned out to be none; nothing is heard of it any more. */
  gone(why: string): void;
}

/** A request as it came, and the way back. */
export interface ClientRequest {
  readonly version: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Undefined: none, as HTTP/1.0 allows. */
  readonly host: string | undefined;
  /** Path and query. */
  readonly target: string;
  /** Without those of the connection, which are nobody else's; names in small letters by HTTP/2. */
  readonly headers: readonly Header[];
  /** What the name of TLS was; "": none was said, undefined: no TLS. */
  readonly sni: string | undefined;
  readonly client: Ip | undefined;
  readonly clientText: string;
  /** Bytes; 0: it has no body, UNKNOWN: it has one. */
  readonly bodyLength: number;
  /** The protocol that it wants to change to, in small letters; "": none. */
  readonly upgrade: string;
  /** It says that it takes trailers. */
  readonly takesTrailers: boolean;
  /** Nobody is there any more who could be answered; `sink` is told of it as well. */
  readonly isGone: boolean;

  /** The body is told from now on, and the end of the client. */
  begin(sink: ClientSink): void;
  pause(): void;
  resume(): void;
  /** 1xx, but for 101. */
  inform(status: number, headers: readonly Header[]): void;
  respond(status: number, reason: string, headers: readonly Header[], bodyLength: number): void;
  /** False: wait for `drained`. */
  write(chunk: Buffer): boolean;
  end(trailers: readonly Header[]): void;
  /** The answer cannot be finished: the client must see that it is not whole. */
  abort(): void;
  /** 101, or 200 by HTTP/2: from now on bytes go both ways. `first`: what the client has sent already. */
  tunnel(reason: string, headers: readonly Header[]): { readonly socket: Duplex; readonly first: Buffer };
}

/** A request as a backend gets it. */
export interface CallHead {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** Without those of a connection; Host is among them. */
  readonly headers: readonly Header[];
  readonly bodyLength: number;
  readonly upgrade: string;
  readonly takesTrailers: boolean;
}

/** Told what a backend answers. `isSent`: it may have got the request. */
export interface CallSink {
  /** A connection is there; the head is on its way. */
  connected(): void;
  informed(status: number, headers: readonly Header[]): void;
  answered(status: number, reason: string, headers: readonly Header[], bodyLength: number): void;
  answerBody(chunk: Buffer): void;
  answerEnd(trailers: readonly Header[]): void;
  /** It has changed to the protocol that it was asked for. */
  switched(reason: string, headers: readonly Header[], socket: Duplex, first: Buffer): void;
  failed(failure: CallFailure): void;
  /** More of the request may be written. */
  callDrained(): void;
}

export interface CallFailure {
  /** One sentence without an end: "10.0.0.1:80 refused the connection". */
  readonly text: string;
  readonly what: "connect" | "timeout" | "reset" | "protocol" | "busy";
  /** The backend may have got the request, and acted on it. */
  readonly isSent: boolean;
  /** The connection had served others, and ended before the first byte of an answer: most likely as this was sent. */
  readonly isStale: boolean;
}

/** A request under way to a backend. */
export interface Call {
  /** The backend is reached: `connected` was told, or is not going to be. */
  readonly isConnected: boolean;
  /** False: wait for `callDrained`. */
  write(chunk: Buffer): boolean;
  end(trailers: readonly Header[]): void;
  pause(): void;
  resume(): void;
  /** Nobody wants its answer any more; nothing is told from now on. */
  cancel(): void;
}
