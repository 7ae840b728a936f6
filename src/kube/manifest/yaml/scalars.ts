// The text of scalars: plain, in quotes, and in blocks (`|`, `>`), as YAML 1.1 folds and unfolds them.
import { type Cursor, endOfWord, YamlError } from "./cursor.ts";

const TAB = 9;
const DASH = 45;
const DOT = 46;
const HASH = 35;
const APOSTROPHE = 39;
const QUOTE = 34;
const BACKSLASH = 92;

export interface ScannedScalar {
  readonly value: string;
  readonly end: number;
  /** A plain one that went on to the start of a line, where a key may stand. */
  readonly atLineStart: boolean;
}

/** Line breaks between two words: the first is a blank, those after it stand for themselves. */
function folded(first: string, others: string): string {
  if (first !== "\n") return first + others;
  return others === "" ? " " : others;
}

export function scanPlain(c: Cursor, parentIndent: number, inFlow: boolean): ScannedScalar {
  const { text } = c;
  const start = c.at;
  let value = "";
  let from = start; // what of the line at hand belongs to it: from … end
  let end = start;
  let first = "";
  let others = "";
  let atLineStart = false;
  while (!c.isMarker(DASH) && !c.isMarker(DOT) && c.code() !== HASH) {
    const wordEnd = endOfWord(text, c.at, inFlow);
    if (wordEnd > c.at) {
      if (atLineStart) {
        value += text.slice(from, end) + folded(first, others);
        from = c.at;
        first = others = "";
        atLineStart = false;
      }
      c.at = end = wordEnd;
    }
    if (!c.isBlank() && !c.isBreak()) break;
    while (c.isBlank() || c.isBreak()) {
      if (c.isBlank()) {
        if (atLineStart && c.code() === TAB && c.column <= parentIndent)
          throw new YamlError("found a tab character that violates indentation", c.at, start);
        c.at++;
      } else if (atLineStart) others += c.readBreak();
      else {
        first = c.readBreak();
        atLineStart = true;
      }
    }
    if (!inFlow && c.column <= parentIndent) break;
  }
  return { value: value + text.slice(from, end), end, atLineStart };
}

/** What a backslash and this character stand for. */
const ESCAPES = new Map<string, string>(
  Object.entries({
    "0": "\0",
    a: "\x07",
    b: "\b",
    t: "\t",
    "\t": "\t",
    n: "\n",
    v: "\v",
    f: "\f",
    r: "\r",
    e: "\x1b",
    " ": " ",
    '"': '"',
    "'": "'",
    "\\": "\\",
    N: "\x85",
    _: "\xa0",
    L: "\u2028",
    P: "\u2029",
  }),
);
const CODE_LENGTH: Record<string, number> = { x: 2, u: 4, U: 8 };

/** Single or double quoted; `isJson` allows what JSON has and YAML 1.1 has not. */
export function scanQuoted(c: Cursor, isJson: boolean): ScannedScalar {
  const start = c.at;
  const quote = c.code();
  let value = "";
  for (c.at++; ; ) {
    if (c.isMarker(DASH) || c.isMarker(DOT))
      throw new YamlError("found unexpected document indicator", c.at, start);
    if (c.isEnd) throw new YamlError("found unexpected end of stream", c.at, start);
    let isEscapedBreak = false;
    let from = c.at;
    while (!c.isGap()) {
      const code = c.code();
      if (code === quote) {
        if (quote !== APOSTROPHE || c.code(1) !== APOSTROPHE) break;
        value += c.text.slice(from, c.at + 1);
        c.at += 2;
      } else if (code === BACKSLASH && quote === QUOTE) {
        value += c.text.slice(from, c.at);
        isEscapedBreak = c.isBreak(1);
        if (isEscapedBreak) break;
        value += scanEscape(c, start, isJson);
      } else {
        c.at++;
        continue;
      }
      from = c.at;
    }
    if (isEscapedBreak) {
      c.at++;
      c.readBreak();
    } else value += c.text.slice(from, c.at);
    if (!isEscapedBreak && c.code() === quote) break;
    value += scanGap(c, isEscapedBreak);
  }
  c.at++;
  return { value, end: c.at, atLineStart: false };
}

/** Blanks and line breaks within quotes. */
function scanGap(c: Cursor, isAfterEscapedBreak: boolean): string {
  const from = c.at;
  let isFolding = isAfterEscapedBreak;
  let first = "";
  let others = "";
  let blanksEnd = from;
  for (;;) {
    if (c.isBlank()) {
      c.at++;
      if (!isFolding) blanksEnd = c.at;
    } else if (!c.isBreak()) break;
    else if (isFolding) others += c.readBreak();
    else {
      first = c.readBreak();
      isFolding = true;
    }
  }
  return isFolding ? folded(first, others) : c.text.slice(from, blanksEnd);
}

function scanEscape(c: Cursor, start: number, isJson: boolean): string {
  const at = c.at;
  const letter = c.text.charAt(at + 1);
  c.at += 2;
  const plain = ESCAPES.get(letter);
  if (plain !== undefined) return plain;
  if (isJson && letter === "/") return "/";
  const length = CODE_LENGTH[letter];
  if (length === undefined) throw new YamlError("found unknown escape character", at, start);
  const digits = c.text.slice(c.at, c.at + length);
  if (digits.length < length || /[^\da-fA-F]/.test(digits))
    throw new YamlError("did not find expected hexdecimal number", c.at, start);
  const code = Number.parseInt(digits, 16);
  if ((code >= 0xd800 && code <= 0xdfff && !isJson) || code > 0x10ffff)
    throw new YamlError("found invalid Unicode character escape code", at, start);
  c.at += length;
  return String.fromCodePoint(code);
}

interface Header {
  /** As written; 0 when it is not. */
  readonly indent: number;
  readonly chomping: "clip" | "keep" | "strip";
}

/** `|` or `>`, with its indicators in either order and a comment behind them. */
function scanHeader(c: Cursor, start: number): Header {
  let chomping: Header["chomping"] = "clip";
  let indent = 0;
  c.at++;
  for (const order of ["first", "second"]) {
    const code = c.code();
    if (chomping === "clip" && (code === 43 || code === 45)) chomping = code === 43 ? "keep" : "strip";
    else if (indent === 0 && code >= 48 && code <= 57) indent = code - 48;
    else if (order === "first") break;
    else continue;
    if (code === 48) throw new YamlError("found an indentation indicator equal to 0", c.at, start);
    c.at++;
  }
  c.skipBlanks();
  c.skipComment();
  if (!c.isEnd && !c.isBreak())
    throw new YamlError("did not find expected comment or line break", c.at, start);
  if (c.isBreak()) c.readBreak();
  return { indent, chomping };
}

export function scanBlock(c: Cursor, parentIndent: number): ScannedScalar {
  const start = c.at;
  const isLiteral = c.code() === 124;
  const header = scanHeader(c, start);
  const written = header.indent === 0 ? 0 : Math.max(parentIndent, 0) + header.indent;
  let { indent, breaks } = scanIndentation(c, written, parentIndent, start);
  let end = c.at;
  let value = "";
  let pending = ""; // the line break behind the line before
  let wasBlank = false;
  while (c.column === indent && !c.isEnd) {
    const isBlank = c.isBlank();
    const isFolded = !isLiteral && pending === "\n" && !wasBlank && !isBlank;
    value += isFolded ? (breaks === "" ? " " : "") : pending;
    value += breaks;
    wasBlank = isBlank;
    const from = c.at;
    while (!c.isEnd && !c.isBreak()) c.at++;
    value += c.text.slice(from, c.at);
    end = c.at;
    pending = c.isEnd ? "" : c.readBreak();
    breaks = scanIndentation(c, indent, parentIndent, start).breaks;
  }
  if (header.chomping !== "strip") value += pending;
  if (header.chomping === "keep") value += breaks;
  return { value, end, atLineStart: false };
}

/** Empty lines and the indentation of the next line that is none; it says how far the block stands in, if nothing did. */
function scanIndentation(
  c: Cursor,
  known: number,
  parentIndent: number,
  start: number,
): { indent: number; breaks: string } {
  let breaks = "";
  let widest = 0;
  for (;;) {
    while ((known === 0 || c.column < known) && c.code() === 32) c.at++;
    widest = Math.max(widest, c.column);
    if ((known === 0 || c.column < known) && c.code() === TAB)
      throw new YamlError("found a tab character where an indentation space is expected", c.at, start);
    if (!c.isBreak()) break;
    breaks += c.readBreak();
  }
  return { indent: known === 0 ? Math.max(widest, parentIndent + 1, 1) : known, breaks };
}
