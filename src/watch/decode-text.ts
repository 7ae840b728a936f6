// Bytes of a file → text, as kubectl reads files (golang.org/x/text): UTF-8, or UTF-16 of either order where a byte order
// mark says so. What is damaged is refused and its line named; kubectl would put U+FFFD there without a word.
import { isUtf8 } from "node:buffer";

/** The text, its byte order mark included; or what is wrong with it. */
export type Decoded = { readonly text: string } | { readonly problem: string };

export function decodeText(bytes: Buffer): Decoded {
  const mark = bytes.toString("latin1", 0, 2);
  if (mark === "\xff\xfe") return decodeUtf16(bytes);
  if (mark === "\xfe\xff")
    return decodeUtf16(Buffer.from(bytes.subarray(0, bytes.length & ~1)).swap16(), bytes);
  if (isUtf8(bytes)) return { text: bytes.toString("utf8") };
  return { problem: `line ${badLine(bytes)} is not UTF-8 text` };
}

/** `little` has the low byte first; `whole` may have a byte more. */
function decodeUtf16(little: Buffer, whole = little): Decoded {
  const text = little.toString("utf16le", 0, little.length & ~1);
  const bad = text.search(/\p{Surrogate}/u);
  if (bad < 0 && (whole.length & 1) === 0) return { text };
  const line = text.slice(0, bad < 0 ? text.length : bad).split("\n").length;
  return { problem: `line ${line} is not UTF-16 text` };
}

/** The first line that is no UTF-8. */
function badLine(bytes: Buffer): number {
  for (let start = 0, line = 1; ; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}
