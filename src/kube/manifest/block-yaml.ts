// A fast reader for the YAML that programs write: block maps and lists of plain and simply quoted scalars. It reads a
// subset, and whatever is not plainly in it (flow collections, anchors, tags, folded or multi-line text, escapes,
// comments behind values, keys that come twice …) makes it give up: then the whole parser reads the text
// (yaml/compose.ts), and says what is wrong if anything is. The test compares the two on manifests and on damaged ones.
import { Float, resolvePlain } from "./yaml/resolve.ts";

/** Thrown and caught in this file only. */
class GiveUp extends Error {}

const GIVE_UP = new GiveUp();
const MAX_DEPTH = 200;
const KEY = /^([^\s'"&*!|>%@`{}[\],?#:-][^\s'"#]*?|'[^'\\]*'|"[^"\\]*"):(?: +(\S.*))?$/;
const PLAIN_START = /^[^\s'"&*!|>%@`{}[\],?#:-]|^[-:?][^\s]/;
/** The document of a text, or undefined when the text is not of this kind. */
export function readBlockYaml(text: string): unknown {
  if (/[^\n -~]/.test(text)) return undefined;
  try {
    return new Reader(text.split("\n")).document();
  } catch (error) {
    if (error instanceof GiveUp) return undefined;
    throw error;
  }
}

class Reader {
  readonly #lines: string[];
  #at = 0;
  #depth = 0;
  /** Of the line at hand: its indentation and what stands behind. */
  #indent = -1;
  #text = "";

  constructor(lines: string[]) {
    this.#lines = lines;
  }

  document(): unknown {
    this.#look();
    if (this.#isMarker) this.#next();
    if (this.#at === this.#lines.length) return null;
    if (this.#indent !== 0) throw GIVE_UP;
    const value = this.#node(0);
    if (this.#at < this.#lines.length) throw GIVE_UP;
    return value;
  }

  /** At a `---` in the first column; further right it is text. */
  get #isMarker(): boolean {
    return this.#indent < 0 && this.#text === "---";
  }

  #next(): void {
    this.#at++;
    this.#look();
  }

  /** Goes to the next line that says something. */
  #look(): void {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at];
      const indent = line.search(/\S/);
      if (indent < 0 || line[indent] === "#") continue;
      this.#indent = indent;
      this.#text = line.slice(indent).trimEnd();
      const isMarker = indent === 0 && /^(?:---|\.\.\.|%)/.test(this.#text);
      if (isMarker && this.#text !== "---") throw GIVE_UP;
      if (isMarker) this.#indent = -1;
      return;
    }
    this.#indent = -1;
    this.#text = "";
  }

  #node(indent: number): unknown {
    if (++this.#depth > MAX_DEPTH) throw GIVE_UP;
    const node = isItem(this.#text) ? this.#list(indent) : this.#map(indent);
    this.#depth--;
    return node;
  }

  #map(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    while (this.#indent === indent && !isItem(this.#text)) {
      const match = KEY.exec(this.#text);
      if (match === null || match[1].length > 1000) throw GIVE_UP;
      const key = scalar(match[1]);
      if (typeof key !== "string" || key === "<<" || key === "__proto__" || Object.hasOwn(map, key))
        throw GIVE_UP;
      map[key] = match[2] === undefined ? this.#below(indent) : this.#value(match[2], indent);
    }
    if (this.#indent > indent) throw GIVE_UP;
    return map;
  }

  #list(indent: number): unknown[] {
    const list: unknown[] = [];
    while (this.#indent === indent && isItem(this.#text)) {
      const rest = this.#text.slice(1).trimStart();
      if (rest === "") {
        this.#next();
        list.push(this.#indent > indent ? this.#node(this.#indent) : null);
      } else if (isItem(rest) || KEY.test(rest)) {
        // What follows the dash is as if it stood on a line of its own, that far to the right.
        this.#indent = indent + this.#text.length - rest.length;
        this.#text = rest;
        list.push(this.#node(this.#indent));
      } else list.push(this.#value(rest, indent));
    }
    if (this.#indent > indent) throw GIVE_UP;
    return list;
  }

  /** The value of a key with nothing behind it: what is further right, or a list as far left as the key. */
  #below(indent: number): unknown {
    this.#next();
    if (this.#indent > indent) return this.#node(this.#indent);
    return this.#indent === indent && isItem(this.#text) ? this.#list(indent) : null;
  }

  #value(text: string, indent: number): unknown {
    if (text === "|" || text === "|-") return this.#literal(indent, text === "|" ? "\n" : "");
    const value = scalar(text);
    this.#next();
    if (this.#indent > indent) throw GIVE_UP; // the text goes on
    return value;
  }

  /** Lines as they are, without their common indentation. */
  #literal(indent: number, end: string): string {
    const body: string[] = [];
    let width = -1;
    for (this.#at++; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at];
      const own = line.search(/\S/);
      if (own < 0 && line !== "") throw GIVE_UP; // blanks that may count
      if (own < 0) {
        body.push("");
        continue;
      }
      if (own <= indent) break;
      if (width < 0) width = own;
      if (own < width || body[0] === "") throw GIVE_UP;
      body.push(line.slice(width));
    }
    while (body.at(-1) === "") body.pop();
    if (body.length === 0) throw GIVE_UP;
    this.#look();
    return body.join("\n") + end;
  }
}

function isItem(text: string): boolean {
  return text === "-" || text.startsWith("- ");
}

function scalar(text: string): unknown {
  const quote = text[0];
  if (quote === "'" || quote === '"') {
    const inner = text.slice(1, -1);
    if (text.length < 2 || !text.endsWith(quote) || inner.includes(quote) || inner.includes("\\"))
      throw GIVE_UP;
    return inner;
  }
  if (text === "{}") return {};
  if (text === "[]") return [];
  if (!PLAIN_START.test(text) || / #|: |:$/.test(text)) throw GIVE_UP;
  const value = resolvePlain(text);
  if (typeof value === "bigint" || value instanceof Float) throw GIVE_UP;
  return value;
}
