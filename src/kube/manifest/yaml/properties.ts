// Anchors, aliases, tags and directives.
import { type Cursor, isWordCharacter, YamlError } from "./cursor.ts";

const EXCLAMATION = 33;
const PERCENT = 37;
const AFTER_ANCHOR = "?:,]}%@`";
const URI = /[\w\-;/?:@&=+$,.!~*'()[\]%]/;

export interface Tag {
  /** Empty when the suffix is all of the tag. */
  readonly handle: string;
  readonly suffix: string;
}

/** The name behind `&` or `*`. */
export function scanAnchor(c: Cursor): string {
  const start = c.at++;
  const name = scanWord(c);
  if (name === "" || !(c.isGap() || AFTER_ANCHOR.includes(c.text.charAt(c.at))))
    throw new YamlError("did not find expected alphabetic or numeric character", c.at, start);
  return name;
}

export function scanTag(c: Cursor): Tag {
  const start = c.at;
  let tag: Tag;
  if (c.code(1) === 60) {
    c.at += 2;
    tag = { handle: "", suffix: scanUri(c, "", start) };
    if (c.code() !== 62) throw new YamlError("did not find the expected '>'", c.at, start);
    c.at++;
  } else {
    const head = scanHandle(c, start);
    if (head.length > 1 && head.endsWith("!")) tag = { handle: head, suffix: scanUri(c, "", start) };
    else {
      const suffix = scanUri(c, head, start);
      tag = suffix === "" ? { handle: "", suffix: "!" } : { handle: "!", suffix };
    }
  }
  if (!c.isGap()) throw new YamlError("did not find expected whitespace or line break", c.at, start);
  return tag;
}

function scanWord(c: Cursor): string {
  const from = c.at;
  while (isWordCharacter(c.code())) c.at++;
  return c.text.slice(from, c.at);
}

/** `!`, `!!`, `!name!`; or `!name`, which is no handle but the head of a tag. */
function scanHandle(c: Cursor, start: number): string {
  if (c.code() !== EXCLAMATION) throw new YamlError("did not find expected '!'", c.at, start);
  const from = c.at++;
  scanWord(c);
  if (c.code() === EXCLAMATION) c.at++;
  return c.text.slice(from, c.at);
}

function scanUri(c: Cursor, head: string, start: number): string {
  let uri = head.slice(1);
  const from = c.at;
  while (URI.test(c.text.charAt(c.at))) {
    if (c.code() === PERCENT) uri += scanUriEscape(c, start);
    else uri += c.text.charAt(c.at++);
  }
  if (head === "" && c.at === from) throw new YamlError("did not find expected tag URI", c.at, start);
  return uri;
}

/** The octets of one character, `%` before each. */
function scanUriEscape(c: Cursor, start: number): string {
  const octets: number[] = [];
  let width = 1;
  for (let i = 0; i < width; i++) {
    const digits = /^%([\da-fA-F]{2})$/.exec(c.text.slice(c.at, c.at + 3))?.[1];
    if (digits === undefined) throw new YamlError("did not find URI escaped octet", c.at, start);
    const octet = Number.parseInt(digits, 16);
    if (i > 0 && (octet & 0xc0) !== 0x80)
      throw new YamlError("found an incorrect trailing UTF-8 octet", c.at, start);
    if (i === 0) {
      width =
        octet < 0x80 ? 1 : octet < 0xc0 ? 0 : octet < 0xe0 ? 2 : octet < 0xf0 ? 3 : octet < 0xf8 ? 4 : 0;
      if (width === 0) throw new YamlError("found an incorrect leading UTF-8 octet", c.at, start);
    }
    octets.push(octet);
    c.at += 3;
  }
  return Buffer.from(octets).toString();
}

export interface Directive {
  readonly name: "YAML" | "TAG";
  readonly version: string;
  readonly handle: string;
  readonly prefix: string;
}

/** A line that begins with `%`. */
export function scanDirective(c: Cursor): Directive {
  const start = c.at++;
  const name = scanWord(c);
  if (name === "") throw new YamlError("could not find expected directive name", c.at, start);
  if (!c.isGap()) throw new YamlError("found unexpected non-alphabetical character", c.at, start);
  if (name !== "YAML" && name !== "TAG") throw new YamlError("found unknown directive name", c.at, start);
  c.skipBlanks();
  const directive = { name, version: "", handle: "", prefix: "" } as const;
  const found =
    name === "YAML"
      ? { ...directive, version: scanVersion(c, start) }
      : { ...directive, ...scanTagDirective(c, start) };
  c.skipBlanks();
  c.skipComment();
  if (!c.isEnd && !c.isBreak())
    throw new YamlError("did not find expected comment or line break", c.at, start);
  if (c.isBreak()) c.readBreak();
  return found;
}

function scanVersion(c: Cursor, start: number): string {
  const numbers = [0, 1].map((i) => {
    if (i === 1 && c.code() !== 46)
      throw new YamlError("did not find expected digit or '.' character", c.at, start);
    if (i === 1) c.at++;
    const from = c.at;
    while (c.code() >= 48 && c.code() <= 57) c.at++;
    if (c.at === from) throw new YamlError("did not find expected version number", c.at, start);
    if (c.at - from > 2) throw new YamlError("found extremely long version number", c.at, start);
    return Number(c.text.slice(from, c.at));
  });
  return numbers.join(".");
}

function scanTagDirective(c: Cursor, start: number): { handle: string; prefix: string } {
  const handle = scanHandle(c, start);
  if (!handle.endsWith("!")) throw new YamlError("did not find expected '!'", c.at, start);
  if (!c.isBlank()) throw new YamlError("did not find expected whitespace", c.at, start);
  c.skipBlanks();
  const prefix = scanUri(c, "", start);
  if (!c.isGap()) throw new YamlError("did not find expected whitespace or line break", c.at, start);
  return { handle, prefix };
}
