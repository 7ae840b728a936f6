// Headers of an answer as it came by HTTP/1.1: those of its connection and framing are read and left out of what goes on.
import type { Header } from "../../l7/request.ts";
import { UNKNOWN } from "../exchange/ends.ts";
import { type Head, hasNoBody } from "../llhttp.ts";

export interface AnswerHead {
  readonly headers: readonly Header[];
  /** Of its body as it is told; of an answer to HEAD as it would be. */
  readonly bodyLength: number;
  /** Bytes that come; UNKNOWN: until the connection ends, or in chunks. */
  readonly coming: number;
  /** The connection is good for another request; so long, seconds. */
  readonly isKept: boolean;
  readonly keepSec: number;
}

/** What Connection says most often: no header has such a name that would be passed on. */
const COMMON = new Set(["", "close", "keep-alive", "upgrade"]);
const KEEP_SEC = 55; // below the 60 s that many servers wait for the next request

export function readAnswerHead({ raw, minor, status, isChunked }: Head, isHead: boolean): AnswerHead {
  const headers: Header[] = [];
  let length = UNKNOWN;
  let connection = "";
  let keepSec = KEEP_SEC;
  let hasCoding = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i];
    const value = raw[i + 1];
    switch (name.length) {
      case 7:
        if (name.toLowerCase() === "upgrade" && status !== 101) continue;
        break;
      case 10: {
        const small = name.toLowerCase();
        if (small === "connection") connection += `,${value.toLowerCase()}`;
        if (small === "keep-alive") keepSec = Math.min(keepSec, timeoutOf(value));
        if (small === "connection" || small === "keep-alive") continue;
        break;
      }
      case 14:
        if (name.toLowerCase() === "content-length") {
          length = Number(value);
          continue;
        }
        break;
      case 16:
        if (name.toLowerCase() === "proxy-connection") continue;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") {
          hasCoding = true;
          continue;
        }
        break;
    }
    headers.push({ name, value });
  }
  const tokens = connection === "" ? [] : connection.split(",").map((each) => each.trim());
  const hasOwn = tokens.some((each) => !COMMON.has(each));
  const isBodiless = isHead || hasNoBody(status);
  const coming = isBodiless ? 0 : isChunked ? UNKNOWN : length;
  const endsByClose = coming === UNKNOWN && !isChunked;
  // Some servers send what they speak of in spite of it, later: the next answer would begin with it.
  const isDoubted = isBodiless && (hasCoding || (length > 0 && status !== 304));
  return {
    headers: hasOwn ? headers.filter(({ name }) => !tokens.includes(name.toLowerCase())) : headers,
    bodyLength: isChunked ? UNKNOWN : length,
    coming,
    isKept:
      !endsByClose && !isDoubted && (minor > 0 ? !tokens.includes("close") : tokens.includes("keep-alive")),
    keepSec,
  };
}

/** A second less than the server says, for its word and our request may cross. */
function timeoutOf(value: string): number {
  const seconds = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? KEEP_SEC : Math.max(0, Number(seconds) - 1);
}
