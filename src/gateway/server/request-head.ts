// The head of an HTTP/1.1 request: what it says of its own connection and body, taken out of what goes on to others; and
// what is refused although llhttp can read it, since two readers could take it for two things (RFC 9112, RFC 9110).
import type { Header } from "../../l7/request.ts";
import { UNKNOWN } from "../exchange/ends.ts";
import type { Head } from "../llhttp.ts";

export interface RequestHead {
  readonly host: string | undefined;
  readonly target: string;
  readonly headers: readonly Header[];
  readonly bodyLength: number;
  readonly isKeptAlive: boolean;
  readonly upgrade: string;
  /** It waits for 100 before it sends its body. */
  readonly expects: boolean;
  readonly takesTrailers: boolean;
}

export interface Refusal {
  readonly status: number;
  readonly why: string;
}

const TARGET = /^[\x21-\x22\x24-\x7e]+$/; // without a fragment, spaces, letters of other alphabets
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;
const ABSOLUTE = /^(https?):\/\/([^/?#]*)([^#]*)$/i;
const DIGITS = /^\d{1,15}$/;
/** HTTP itself and TLS: whoever changed to them could ask for what no rule lets through, and nobody would see it. */
const OWN_PROTOCOL = /^(?:h2c?|http|tls)(?:\/|$)/;
const STATUS = { bad: 400, method: 405, expectation: 417, unknown: 501, version: 505 };

/** Path and query as a request may have them. */
export function isTarget(text: string): boolean {
  return TARGET.test(text);
}

/** A name or address, with or without a port. */
export function isHost(text: string): boolean {
  return HOST.test(text);
}

function refusal(status: number, why: string): Refusal {
  return { status, why };
}

class HeadReader {
  host: string | undefined;
  readonly headers: Header[] = [];
  hosts = 0;
  length = "";
  lengths = 0;
  encoding = "";
  connection = "";
  upgrade = "";
  expect = "";
  te = "";

  take(name: string, value: string): void {
    switch (name.length) {
      case 2:
        if (name.toLowerCase() === "te") {
          this.te = value;
          return;
        }
        break;
      case 4:
        if (name.toLowerCase() === "host") {
          this.hosts++;
          this.host = value;
          return;
        }
        break;
      case 6:
        if (name.toLowerCase() === "expect") {
          this.expect = value;
          return;
        }
        break;
      case 7:
        if (name.toLowerCase() === "upgrade") {
          this.upgrade += this.upgrade === "" ? value : `, ${value}`;
          return;
        }
        break;
      case 10:
        if (this.#ofConnection(name.toLowerCase(), value)) return;
        break;
      case 14:
        if (name.toLowerCase() === "content-length") {
          this.lengths++;
          this.length = value;
        } else if (name.toLowerCase() === "http2-settings") return;
        break;
      case 16:
        if (name.toLowerCase() === "proxy-connection") return;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") {
          this.encoding += this.encoding === "" ? value : `, ${value}`;
          return;
        }
        break;
    }
    this.headers.push({ name, value });
  }

  #ofConnection(name: string, value: string): boolean {
    if (name === "connection") this.connection += `${this.connection === "" ? "" : ","}${value}`;
    return name === "connection" || name === "keep-alive";
  }
}

/** `head`: as llhttp has read it. */
export function readRequestHead(head: Head): RequestHead | Refusal {
  const reader = new HeadReader();
  const { raw, minor } = head;
  for (let i = 0; i < raw.length; i += 2) reader.take(raw[i], raw[i + 1]);
  const { hosts, lengths, length, encoding, te } = reader;
  if (head.major !== 1) return refusal(STATUS.version, "a version of HTTP that is not spoken so");
  if (head.method === "") return refusal(STATUS.unknown, "a method that is not known");
  if (head.method === "CONNECT") return refusal(STATUS.method, "CONNECT: this is no forward proxy");
  if (hosts > 1) return refusal(STATUS.bad, "several Host headers");
  if (hosts === 0 && minor > 0) return refusal(STATUS.bad, "no Host header");
  if (lengths > 1) return refusal(STATUS.bad, "several Content-Length headers");
  if (lengths === 1 && !DIGITS.test(length)) return refusal(STATUS.bad, "a Content-Length that is no number");
  if (encoding !== "" && lengths > 0) return refusal(STATUS.bad, "both Content-Length and Transfer-Encoding");
  if (encoding !== "" && encoding.toLowerCase() !== "chunked")
    return refusal(STATUS.unknown, "a Transfer-Encoding other than chunked");
  if (encoding !== "" && minor === 0) return refusal(STATUS.bad, "Transfer-Encoding by HTTP/1.0");
  const expects = reader.expect !== "" && minor > 0;
  if (expects && reader.expect.toLowerCase() !== "100-continue")
    return refusal(STATUS.expectation, "an expectation other than 100-continue");
  const place = placeOf(head, reader.host);
  if ("why" in place) return place;
  const tokens = reader.connection === "" ? [] : tokensOf(reader.connection);
  const hasOwn = tokens.some((each) => each !== "close" && each !== "keep-alive" && each !== "upgrade");
  return {
    host: place.host, // one literal: of several V8 makes what lies in two places
    target: place.target,
    headers: hasOwn ? without(reader.headers, tokens) : reader.headers,
    bodyLength: encoding === "" ? (lengths === 0 ? 0 : Number(length)) : UNKNOWN,
    isKeptAlive: minor > 0 ? !tokens.includes("close") : tokens.includes("keep-alive"),
    upgrade: minor > 0 && tokens.includes("upgrade") ? otherProtocols(reader.upgrade) : "",
    expects,
    takesTrailers: te !== "" && tokensOf(te).includes("trailers"),
  };
}

/** An address in the request line counts more than Host (RFC 9112 §3.2.2). */
function placeOf(
  { target, method }: Head,
  host: string | undefined,
): { readonly host: string | undefined; readonly target: string } | Refusal {
  if (!TARGET.test(target)) return refusal(STATUS.bad, "a path with characters that no address has");
  if (host !== undefined && !HOST.test(host)) return refusal(STATUS.bad, "a Host that is none");
  if (target.charCodeAt(0) === 47) return { host, target };
  if (target === "*")
    return method === "OPTIONS" ? { host, target } : refusal(STATUS.bad, "* is for OPTIONS");
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null || absolute[2] === "" || !HOST.test(absolute[2]))
    return refusal(STATUS.bad, "a path that does not begin with a slash");
  const path = absolute[3];
  return { host: absolute[2], target: path.startsWith("/") ? path : `/${path}` };
}

function otherProtocols(list: string): string {
  return list
    .toLowerCase()
    .split(",")
    .map((each) => each.trim())
    .filter((each) => !OWN_PROTOCOL.test(each))
    .join(", ");
}

function tokensOf(list: string): string[] {
  return list
    .toLowerCase()
    .split(",")
    .map((each) => each.trim().split(";", 1)[0]);
}

/** What a connection says is its own, but for what every request is told by. */
function without(headers: readonly Header[], tokens: readonly string[]): Header[] {
  return headers.filter(({ name }) => {
    const small = name.toLowerCase();
    return small === "content-length" || !tokens.includes(small);
  });
}
