// A request as a stream of HTTP/2, and the way back to its client. One by extended CONNECT (RFC 8441) is told as what it
// would be by HTTP/1.1: GET with an upgrade to WebSocket, whose change of protocol is 200 here.
import { randomBytes } from "node:crypto";
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Ip } from "../../base/ip.ts";
import type { Header } from "../../l7/request.ts";
import { type ClientRequest, type ClientSink, UNKNOWN } from "../exchange/ends.ts";
import { kept } from "../lent-socket.ts";
import { hasNoBody } from "../llhttp.ts";
import { headersFrom, outgoing } from "../upstream/http2-call.ts";
import type { Door } from "./door.ts";
import type { Peer } from "./http1-request.ts";
import { isHost, isTarget, type Refusal } from "./request-head.ts";

const NO_HEADERS: readonly Header[] = [];
const EMPTY = Buffer.alloc(0);
const STATUS = {
  goOn: 100,
  changed: 200,
  bad: 400,
  method: 405,
  resetContent: 205,
  unknown: 501,
  failed: 502,
};
const HEAD_BYTES = 2048; // of use, whatever it has
const WEB_SOCKET = "websocket";
const KEY = "sec-websocket-key";
/** Of an answer that changes the protocol, and of HTTP/1.1 alone. */
const OF_CHANGE = new Set(["upgrade", "sec-websocket-accept"]);

/** Bytes of requests and answers that a connection has carried. */
export interface Traffic {
  bytes: number;
}

export class Http2Request implements ClientRequest {
  readonly version = "HTTP/2";
  readonly upgrade: string;
  readonly method: string;
  readonly target: string;
  readonly host: string | undefined;
  readonly headers: readonly Header[];
  readonly bodyLength: number;
  readonly takesTrailers: boolean;
  /** Why it is none that is carried out. */
  readonly refusal: Refusal | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #peer: Peer;
  /** It sends its body when it has heard that it may. */
  readonly #expects: boolean;
  readonly #traffic: Traffic;
  #isRead = false;
  #sink: ClientSink | undefined;
  #received: readonly Header[] = NO_HEADERS;
  #trailers: readonly Header[] = NO_HEADERS;
  #isAnswered = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: Peer,
    { door, traffic }: { readonly door: Door; readonly traffic: Traffic },
  ) {
    this.#stream = stream;
    this.#peer = peer;
    this.#traffic = traffic;
    traffic.bytes += HEAD_BYTES;
    const protocol = headers[":protocol"];
    this.upgrade = protocol === WEB_SOCKET ? protocol : "";
    this.method = this.upgrade === "" ? (headers[":method"] ?? "") : "GET";
    this.target = headers[":path"] ?? "";
    this.host = headers[":authority"] ?? headers.host;
    const length = headers["content-length"];
    const own = headersFrom(headers).filter(
      ({ name }) => name !== "host" && name !== "te" && name !== "expect",
    );
    if (this.upgrade !== "") this.headers = withKey(own);
    else this.headers = length === undefined ? own : [...own, { name: "content-length", value: length }];
    const isBare = stream.readableEnded || stream.endAfterHeaders || this.upgrade !== "";
    this.bodyLength = isBare ? 0 : length === undefined ? UNKNOWN : Number(length);
    this.takesTrailers = headers.te === "trailers";
    this.#expects = headers.expect?.toLowerCase() === "100-continue";
    this.refusal = refusalOf(this, headers.host, protocol);
    stream.on("trailers", (trailers) => {
      this.#received = headersFrom(trailers);
    });
    stream.on("drain", () => this.#sink?.drained());
    stream.on("wantTrailers", () => {
      if (this.#isOpen) stream.sendTrailers(outgoing(this.#trailers));
    });
    stream.setTimeout(door.limits.stallSec * 1000);
    stream.on("timeout", () => {
      const isReading =
        this.#sink !== undefined && this.bodyLength !== 0 && !stream.readableEnded && !stream.isPaused();
      // What is answered and still open is an answer that its client does not take, or a body that does not end.
      if (isReading || this.#isAnswered || stream.writableNeedDrain) stream.close(constants.NGHTTP2_CANCEL);
    });
  }

  /** Node throws where something is said on a stream that its client has reset, which may be in the same packet. */
  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed;
  }

  get isGone(): boolean {
    return !this.#isOpen;
  }

  get scheme(): "http" | "https" {
    return this.#peer.sni === undefined ? "http" : "https";
  }

  get sni(): string | undefined {
    return this.#peer.sni;
  }

  get client(): Ip | undefined {
    return this.#peer.ip;
  }

  get clientText(): string {
    return this.#peer.text;
  }

  begin(sink: ClientSink): void {
    this.#sink = sink;
    const stream = this.#stream;
    if (stream.destroyed) {
      process.nextTick(() => this.closed());
      return;
    }
    if (this.bodyLength === 0) {
      if (this.upgrade === "") stream.resume(); // otherwise what comes is of the other protocol
      sink.bodyEnd(NO_HEADERS);
      return;
    }
    if (this.#expects) this.inform(STATUS.goOn, NO_HEADERS);
    this.#read();
    stream.on("end", () => {
      if (!stream.closed) this.#sink?.bodyEnd(this.#received); // otherwise it was reset: "close" says so
    });
  }

  /** A body that nobody wants any more is read, too, or its client would wait with it. */
  #read(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.#stream.on("data", (chunk: Buffer) => {
      this.#traffic.bytes += chunk.length;
      this.#sink?.body(chunk);
    });
  }

  /** The stream is gone. True: before its answer was. */
  closed(): boolean {
    const sink = this.#sink;
    this.#sink = undefined;
    if (this.#isAnswered) return false;
    sink?.gone("the client has reset the stream");
    return true;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  inform(status: number, headers: readonly Header[]): void {
    if (!this.#stream.headersSent && this.#isOpen)
      this.#stream.additionalHeaders({ ":status": status, ...outgoing(headers) });
  }

  respond(given: number, _: string, headers: readonly Header[], bodyLength: number): void {
    if (!this.#isOpen) return;
    const status = given < 200 || given > 599 ? STATUS.failed : given; // Node's HTTP/2 has no others
    const all = outgoing(headers);
    const isBare = hasNoBody(status) || status === STATUS.resetContent;
    if (bodyLength !== UNKNOWN && !isBare) all["content-length"] = bodyLength;
    const endStream = this.method === "HEAD" || isBare;
    this.#stream.respond({ ...all, ":status": status }, { endStream, waitForTrailers: !endStream });
  }

  write(chunk: Buffer): boolean {
    this.#traffic.bytes += chunk.length;
    return this.#stream.destroyed || this.#stream.writableEnded || this.#stream.write(kept(chunk));
  }

  end(trailers: readonly Header[]): void {
    this.#isAnswered = true;
    this.#sink = undefined;
    this.#trailers = trailers;
    if (this.#stream.destroyed) return;
    this.#stream.end();
    this.#read();
    this.#stream.resume();
  }

  abort(): void {
    this.#isAnswered = true;
    this.#sink = undefined;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  tunnel(_: string, headers: readonly Header[]): { readonly socket: Duplex; readonly first: Buffer } {
    const stream = this.#stream;
    this.#isAnswered = true;
    this.#sink = undefined;
    stream.setTimeout(0);
    stream.removeAllListeners("timeout"); // whoever carries it has a time of its own
    const own = outgoing(headers.filter(({ name }) => !OF_CHANGE.has(name.toLowerCase())));
    if (this.#isOpen) stream.respond({ ...own, ":status": STATUS.changed });
    this.#read();
    return { socket: stream, first: EMPTY };
  }
}

/** As a server of HTTP/1.1 wants it; whether it has understood nobody asks by HTTP/2. */
function withKey(headers: readonly Header[]): Header[] {
  const key = { name: KEY, value: randomBytes(16).toString("base64") };
  return [...headers.filter(({ name }) => name !== KEY), key];
}

function refusalOf(
  { method, target, host, upgrade }: Http2Request,
  hostHeader: string | undefined,
  protocol: string | readonly string[] | undefined,
): Refusal | undefined {
  const refuse = (why: string, status = STATUS.bad): Refusal => ({ status, why });
  if (protocol !== undefined && upgrade === "")
    return refuse("CONNECT to another protocol than WebSocket", STATUS.unknown);
  if (method === "CONNECT") return refuse("CONNECT: this is no forward proxy", STATUS.method);
  if (!isTarget(target) || !(target.startsWith("/") || (target === "*" && method === "OPTIONS")))
    return refuse("a path that does not begin with a slash");
  if (host === undefined || !isHost(host)) return refuse("a Host that is none");
  if (hostHeader !== undefined && hostHeader !== host) return refuse("two names in :authority and Host");
  return undefined;
}
