// A request to a backend as a stream of HTTP/2.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Header } from "../../l7/request.ts";
import { type Call, type CallHead, type CallSink, UNKNOWN } from "../exchange/ends.ts";
import { kept } from "../lent-socket.ts";
import { hasNoBody } from "../llhttp.ts";
import { octets } from "../octets.ts";

const NO_HEADERS: readonly Header[] = [];
/** Of a connection, which HTTP/2 has no headers for: node:http2 throws where it is given one. */
const OF_CONNECTION = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "te",
  "host",
]);

export interface Http2CallOptions {
  readonly head: CallHead;
  readonly sink: CallSink;
  readonly text: string;
  readonly isTls: boolean;
  isConnected(): boolean;
  /** Nobody waits for it any more. */
  cancelled(): void;
  /** The stream is gone. */
  done(): void;
}

export class Http2Call implements Call {
  readonly #options: Http2CallOptions;
  readonly #stream: ClientHttp2Stream;
  #sink: CallSink | undefined;
  #trailers: readonly Header[] = NO_HEADERS;
  #sent: readonly Header[] = NO_HEADERS;
  #hasAnswer = false;
  /** Bytes of the answer that are still to come; UNKNOWN: nobody said how many. */
  #owed = UNKNOWN;

  constructor(session: ClientHttp2Session, options: Http2CallOptions) {
    this.#options = options;
    this.#sink = options.sink;
    const { head } = options;
    const hasBody = head.bodyLength !== 0;
    const stream = session.request(requestHeaders(options), {
      endStream: !hasBody,
      waitForTrailers: hasBody,
    } as object);
    this.#stream = stream;
    if (!options.isConnected()) session.once("connect", () => this.#sink?.connected());
    stream.on("headers", (headers) => {
      const status = Number(headers[":status"]);
      if (status !== 100) this.#sink?.informed(status, headersFrom(headers));
    });
    stream.on("response", (headers) => this.#answered(headers));
    stream.on("data", (chunk: Buffer) => {
      if (this.#owed !== UNKNOWN) this.#owed -= chunk.length;
      this.#sink?.answerBody(chunk);
    });
    stream.on("trailers", (headers) => {
      this.#trailers = headersFrom(headers);
    });
    stream.on("end", () => this.#ended());
    stream.on("drain", () => this.#sink?.callDrained());
    stream.on("wantTrailers", () => stream.sendTrailers(outgoing(this.#sent)));
    stream.on("error", (error: NodeJS.ErrnoException) => this.#fail(error));
    stream.on("close", () => {
      this.#fail(undefined);
      options.done();
    });
  }

  get isConnected(): boolean {
    return this.#options.isConnected();
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(kept(chunk));
  }

  end(trailers: readonly Header[]): void {
    if (this.#options.head.bodyLength === 0) return;
    this.#sent = trailers;
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  cancel(): void {
    this.#sink = undefined;
    this.#options.cancelled();
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #answered(headers: IncomingHttpHeaders): void {
    this.#hasAnswer = true;
    const length = headers["content-length"];
    const isHead = this.#options.head.method === "HEAD";
    const bodyLength =
      length !== undefined ? Number(length) : isHead || !this.#stream.readableEnded ? UNKNOWN : 0;
    if (!isHead && !hasNoBody(Number(headers[":status"]))) this.#owed = bodyLength;
    this.#sink?.answered(Number(headers[":status"]), "", headersFrom(headers), bodyLength);
  }

  #ended(): void {
    const sink = this.#sink;
    if (!this.#hasAnswer || this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) return; // "close" says why
    if (this.#owed > 0) return; // reset as if nothing were wrong, before it was whole
    this.#sink = undefined;
    sink?.answerEnd(this.#trailers);
  }

  #fail(error: NodeJS.ErrnoException | undefined): void {
    const sink = this.#sink;
    this.#sink = undefined;
    if (sink === undefined) return;
    const { text, isConnected } = this.#options;
    const { rstCode } = this.#stream;
    const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM;
    const isReached = isConnected();
    const why = isReached
      ? `ended the stream ${this.#hasAnswer ? "within its answer" : "without an answer"} (code ${rstCode})`
      : `cannot be reached: ${error?.code ?? error?.message ?? "closed"}`;
    sink.failed({
      ...{ what: isReached ? "reset" : "connect", text: `${text} ${why}` },
      ...{ isSent: isReached && !isRefused, isStale: false },
    });
  }
}

function requestHeaders({ head, isTls }: Http2CallOptions): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ":method": head.method,
    ":scheme": isTls ? "https" : "http",
    ":path": head.target,
    ...(head.host !== "" && { ":authority": head.host }),
    ...outgoing(head.headers),
  };
  if (head.bodyLength > 0) headers["content-length"] = head.bodyLength;
  else delete headers["content-length"];
  if (head.takesTrailers) headers.te = "trailers";
  return headers;
}

/** Several of one name as HTTP joins them. */
export function outgoing(headers: readonly Header[]): OutgoingHttpHeaders {
  const all: OutgoingHttpHeaders = Object.create(null); // a header may be called "constructor"
  for (const { name, value: text } of headers) {
    const small = name.toLowerCase();
    if (OF_CONNECTION.has(small) || /[\r\n\0]/.test(text)) continue;
    const before = all[small];
    const value = octets(text);
    if (small === "set-cookie") all[small] = [...((before as string[] | undefined) ?? []), value];
    else all[small] = before === undefined ? value : `${before}${small === "cookie" ? "; " : ", "}${value}`;
  }
  return all;
}

/** Without those of HTTP/2 itself, and the length, which is told apart. */
export function headersFrom(headers: IncomingHttpHeaders): Header[] {
  const list: Header[] = [];
  for (const name of Object.keys(headers)) {
    if (name.startsWith(":") || name === "content-length") continue;
    const value = headers[name];
    if (Array.isArray(value)) for (const each of value) list.push({ name, value: each });
    else if (value !== undefined) list.push({ name, value });
  }
  return list;
}
