// Node's own parser of HTTP/1.1, llhttp, as node:http uses it and as strict: without the streams and events that it wraps
// around each message, which cost more than all else a proxy does. It reads heads, and bodies in chunks; a body of
// a known length is not its business: after such a head it stops, and says how many bytes that was.
import { createRequire } from "node:module";
import type { Header } from "../l7/request.ts";
import { nodeParser, type Parser } from "./node-parser.ts";

const { HTTPParser, methods } = nodeParser(createRequire(import.meta.url));
const { kOnMessageBegin, kOnHeaders, kOnHeadersComplete, kOnBody, kOnMessageComplete } = HTTPParser;
const STRICT = 0; // no lenient flag
const GO_ON = 0;
const STOP = 2; // as for an upgrade: what follows the head is not llhttp's
const QUERY = 46;
const NAMED = 34; // methods that Node's list has at their number
const RESOURCE = {};
const NONE: readonly never[] = [];

export interface Head {
  /** llhttp reads 0.9 and 2.0, too. */
  readonly major: number;
  readonly minor: number;
  /** Of a request. */
  readonly method: string;
  readonly target: string;
  /** Of an answer. */
  readonly status: number;
  readonly reason: string;
  /** Flat: name, value, name, … */
  readonly raw: readonly string[];
  /** The body comes in chunks, which are read here. */
  readonly isChunked: boolean;
}

/** One message after the other: `begin`, then `read` until it is there, as long as its body is in chunks. */
export class HeadParser {
  readonly #parser: Parser = new HTTPParser();
  readonly #type: number;
  readonly #maxBytes: number;
  #raw: string[] = [];
  #target = "";
  /** Undefined: it is not whole yet. */
  head: Head | undefined;
  /** Pieces of a body in chunks that the last `read` has found. */
  readonly chunks: Buffer[] = [];
  /** Defined: the body in chunks is whole. */
  trailers: readonly string[] | undefined;
  /** The other side sent more than this message, and it is lost. */
  isOverrun = false;
  /** Whether the answer to read has no body whatever it says: one to HEAD. */
  isBodiless = false;

  constructor(type: "request" | "answer", maxBytes: number) {
    this.#type = type === "request" ? HTTPParser.REQUEST : HTTPParser.RESPONSE;
    this.#maxBytes = maxBytes;
    const parser = this.#parser;
    parser[kOnHeaders] = (headers: string[], target: string) => {
      this.#raw = this.#raw.length === 0 ? headers : [...this.#raw, ...headers];
      this.#target += target;
    };
    parser[kOnHeadersComplete] = (
      major: number,
      minor: number,
      headers: string[] | undefined,
      method: number | undefined,
      target: string | undefined,
      status: number | undefined,
      reason: string | undefined,
    ) => this.#headDone(major, minor, headers, method, target, status, reason);
    parser[kOnBody] = (bytes: Buffer) => this.chunks.push(bytes);
    this.begin();
  }

  /** A new message. */
  begin(): void {
    this.#raw = [];
    this.#target = "";
    this.head = undefined;
    this.trailers = undefined;
    this.isBodiless = false;
    this.#parser[kOnMessageBegin] = undefined;
    this.#parser[kOnMessageComplete] = undefined;
    this.#parser.initialize(this.#type, RESOURCE, this.#maxBytes, STRICT);
  }

  /** How many bytes were of this message; or llhttp's word for what is wrong with them: "HPE_HEADER_OVERFLOW". */
  read(bytes: Uint8Array): number | string {
    if (this.chunks.length > 0) this.chunks.length = 0;
    const found = this.#parser.execute(bytes);
    if (typeof found === "number") {
      // Behind a body in chunks of what asks for an upgrade llhttp stops, too.
      if (this.trailers !== undefined && found < bytes.length) this.isOverrun = true;
      // An upgrade hides what is wrong: less than all was read, and no head is there.
      return found < bytes.length && this.head === undefined ? "HPE_INTERNAL" : found;
    }
    return found?.code ?? "HPE_INTERNAL";
  }

  close(): void {
    this.#parser.close();
  }

  #headDone(
    major: number,
    minor: number,
    headers: string[] | undefined,
    method: number | undefined,
    target: string | undefined,
    status = 0,
    reason = "",
  ): number {
    if (this.head !== undefined) return STOP; // of a message that nobody waits for
    const raw = headers === undefined ? this.#raw : headers;
    const isChunked = !this.isBodiless && endsInChunks(raw) && !hasNoBody(status);
    this.#raw = [];
    const name = method === undefined ? "" : methodName(method);
    this.head = {
      major,
      minor,
      method: name,
      target: target ?? this.#target,
      status,
      reason,
      raw,
      isChunked,
    };
    if (!isChunked) return STOP;
    this.#parser[kOnMessageComplete] = () => {
      this.trailers ??= this.#raw;
    };
    this.#parser[kOnMessageBegin] = () => {
      this.isOverrun = true;
    };
    return GO_ON;
  }
}

/** llhttp's numbers have a gap, Node's list none: QUERY (from Node.js 22 on) is behind it. "": no method of HTTP. */
function methodName(number: number): string {
  if (number === QUERY) return "QUERY";
  return number < NAMED ? (methods[number] ?? "") : "";
}

/** 1xx, 204, 304 */
export function hasNoBody(status: number): boolean {
  return (status >= 100 && status < 200) || status === 204 || status === 304;
}

function endsInChunks(raw: readonly string[]): boolean {
  for (let i = 0; i < raw.length; i += 2)
    if (raw[i].length === 17 && raw[i].toLowerCase() === "transfer-encoding")
      return /(?:^|,)\s*chunked$/i.test(raw[i + 1]);
  return false;
}

export function headersOf(raw: readonly string[]): readonly Header[] {
  if (raw.length === 0) return NONE;
  const headers: Header[] = [];
  for (let i = 0; i < raw.length; i += 2) headers.push({ name: raw[i], value: raw[i + 1] });
  return headers;
}
