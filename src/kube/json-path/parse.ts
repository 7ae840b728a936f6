// The grammar of kubectl's JSONPath: text with {actions} in it. An action is a row of steps, each of which goes on from
// what the one before it found. It is a dialect of its own: "$" and "@" stand for nothing, quotes in brackets are single,
// and a name ends where a dot, a bracket or a space does.
import { GoNumber } from "./go-text.ts";

export type PathNode =
  | { kind: "text"; text: string }
  | { kind: "list"; nodes: readonly PathNode[] }
  | { kind: "literal"; value: number | boolean | GoNumber }
  | { kind: "word"; name: string }
  | { kind: "field"; name: string }
  | { kind: "wildcard" }
  | { kind: "recursive" }
  | { kind: "array"; from: Edge; to: Edge; step: Edge }
  | { kind: "union"; lists: readonly (readonly PathNode[])[] }
  | { kind: "filter"; left: readonly PathNode[]; operator: string; right: readonly PathNode[] };

/** undefined: left out. `derived`: the end of [n], which is one behind it. */
export interface Edge {
  value: number | undefined;
  derived?: boolean;
}

/** The root of a template: texts, and a list for each action. Throws what `fail` makes of a reason. */
export function parseNodes(text: string, fail: (why: string) => Error): PathNode[] {
  return new Parser(text, fail).template();
}

const TERMINATORS = " \t\r\n.,[]$@{}";
const DICTIONARY_KEY = /^'([^']*)'$/;
const SLICE = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/;
const COMPARISON = /^([^!<>=]+)([!<>=]+)([^\n]+)$/;
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)$/;

class Parser {
  readonly #text: string;
  readonly #fail: (why: string) => Error;
  #at = 0;

  constructor(text: string, fail: (why: string) => Error) {
    this.#text = text;
    this.#fail = fail;
  }

  template(): PathNode[] {
    const root: PathNode[] = [];
    for (;;) {
      const open = this.#text.indexOf("{", this.#at);
      const end = open < 0 ? this.#text.length : open;
      if (end > this.#at) root.push({ kind: "text", text: this.#text.slice(this.#at, end) });
      if (open < 0) return root;
      this.#at = open + 1;
      root.push({ kind: "list", nodes: this.#action() });
    }
  }

  /** Up to the brace that closes it. */
  #action(): PathNode[] {
    const nodes: PathNode[] = [];
    while (!this.#takes("}")) {
      if (this.#takes("[?(")) nodes.push(this.#filter());
      else if (this.#takes("..")) nodes.push(...this.#recursive(nodes.at(-1)));
      else nodes.push(...this.#step());
    }
    return nodes;
  }

  #step(): PathNode[] {
    const char = this.#next();
    if (char === undefined || char === "\r" || char === "\n") throw this.#fail("unclosed action");
    if (char === " " || char === "@" || char === "$") return [];
    if (char === "[") return this.#array();
    if (char === '"' || char === "'") return [this.#quoted(char)];
    if (char === ".") return [this.#field()];
    this.#at -= char.length;
    if (/[-+\p{Nd}]/u.test(char)) return [this.#number()];
    if (/[\p{L}_]/u.test(char)) return [this.#word()];
    const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    throw this.#fail(
      `unrecognized character in action: U+${code}${/\p{C}|\p{Z}/u.test(char) ? "" : ` '${char}'`}`,
    );
  }

  #word(): PathNode {
    const from = this.#at;
    while (this.#at < this.#text.length && !TERMINATORS.includes(this.#text[this.#at])) this.#at++;
    const name = this.#text.slice(from, this.#at);
    if (name === "true" || name === "false") return { kind: "literal", value: name === "true" };
    return { kind: "word", name };
  }

  #recursive(before: PathNode | undefined): PathNode[] {
    if (before?.kind === "recursive") throw this.#fail("invalid multiple recursive descent");
    const next = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0);
    return /[\p{L}\p{Nd}_]/u.test(next) ? [{ kind: "recursive" }, this.#field()] : [{ kind: "recursive" }];
  }

  #number(): PathNode {
    const text = /^[+-]?[.\p{Nd}]*/u.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += text.length;
    if (!FLOAT.test(text)) throw this.#fail(`cannot parse number ${text}`);
    const value = Number(text);
    const isInteger = !text.includes(".") && Number.isSafeInteger(value);
    return { kind: "literal", value: isInteger ? value : new GoNumber("float", value) };
  }

  #array(): PathNode[] {
    const from = this.#at;
    const end = /[\]\n]/.exec(this.#text.slice(from));
    if (end === null || end[0] === "\n") throw this.#fail("unterminated array");
    const text = this.#text.slice(from, from + end.index);
    this.#at = from + end.index + 1;
    if (text.includes(",")) {
      const lists = text.split(",").map((each) => this.#inner(`[${each.replace(/^ +| +$/g, "")}]`));
      return [{ kind: "union", lists }];
    }
    const key = DICTIONARY_KEY.exec(text);
    if (key !== null) return this.#inner(`.${key[1]}`);
    return [this.#slice(text === "*" ? ":" : text)];
  }

  #slice(text: string): PathNode {
    const match = SLICE.exec(text);
    if (match === null) throw this.#fail(`invalid array index ${text}`);
    const [first, second, third] = match.slice(1);
    const from = first === "" ? undefined : this.#index(first);
    const to: Edge =
      second === undefined
        ? { value: (from ?? 0) + 1, derived: true }
        : { value: second === ":" ? undefined : this.#index(second.slice(1)) };
    const step = third === undefined || third === ":" ? undefined : this.#index(third.slice(1));
    return { kind: "array", from: { value: from }, to, step: { value: step } };
  }

  #index(text: string): number {
    const value = Number(text);
    if (text !== "-" && Number.isSafeInteger(value)) return value;
    throw this.#fail(`array index ${text} is not a number`);
  }

  /** A quote may hold a parenthesis; there is one on the right side, or none. */
  #filter(): PathNode {
    const from = this.#at;
    let quote: string | undefined;
    let isClosed = false;
    for (;;) {
      const char = this.#next();
      if (char === undefined || char === "\n") throw this.#fail("unterminated filter");
      if (char === ")" && (quote !== undefined) === isClosed) break;
      if (char !== '"' && char !== "'") continue;
      if (quote === undefined) quote = char;
      else if (char === quote && this.#text[this.#at - 2] !== "\\") isClosed = true;
    }
    const text = this.#text.slice(from, this.#at - 1);
    if (this.#next() !== "]") throw this.#fail("unclosed array expect ]");
    const match = COMPARISON.exec(text);
    if (match === null) return { kind: "filter", left: this.#inner(text), operator: "exists", right: [] };
    const [, left, operator, right] = match;
    return { kind: "filter", left: this.#inner(left), operator, right: this.#inner(right) };
  }

  #quoted(quote: string): PathNode {
    const from = this.#at;
    for (;;) {
      const char = this.#next();
      if (char === undefined || char === "\n") throw this.#fail("unterminated quoted string");
      if (char === quote && this.#text[this.#at - 2] !== "\\") break;
    }
    const inner = this.#text.slice(from, this.#at - 1);
    const text = unquoted(inner, quote);
    if (text === undefined) throw this.#fail(`unquote string ${quote}${inner}${quote} error invalid syntax`);
    return { kind: "text", text };
  }

  #field(): PathNode {
    const from = this.#at;
    while (this.#at < this.#text.length && !TERMINATORS.includes(this.#text[this.#at]))
      this.#at += this.#text[this.#at] === "\\" ? 2 : 1;
    this.#at = Math.min(this.#at, this.#text.length);
    const name = this.#text.slice(from, this.#at);
    return name === "*" ? { kind: "wildcard" } : { kind: "field", name: name.replaceAll("\\", "") };
  }

  /** What stands in brackets is an action of its own. */
  #inner(text: string): PathNode[] {
    const [first] = new Parser(`{${text}}`, this.#fail).template();
    return first.kind === "list" ? [...first.nodes] : [];
  }

  #takes(prefix: string): boolean {
    if (!this.#text.startsWith(prefix, this.#at)) return false;
    this.#at += prefix.length;
    return true;
  }

  #next(): string | undefined {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return undefined;
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
};
const ESCAPE = /^\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|([abfnrtv\\'"]))/;

/** As Go reads a quoted text; undefined: it would not. */
function unquoted(text: string, quote: string): string | undefined {
  const bytes: Buffer[] = [];
  for (let at = 0; at < text.length; ) {
    if (text[at] !== "\\") {
      const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
      bytes.push(Buffer.from(char));
      at += char.length;
      continue;
    }
    const match = ESCAPE.exec(text.slice(at));
    if (match === null) return undefined;
    const escaped = bytesOf(match, quote);
    if (escaped === undefined) return undefined;
    bytes.push(escaped);
    at += match[0].length;
  }
  return Buffer.concat(bytes).toString("utf8");
}

function bytesOf([, hex, short, long, octal, letter]: RegExpExecArray, quote: string): Buffer | undefined {
  if (hex !== undefined) return Buffer.from([Number.parseInt(hex, 16)]);
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    return value > 255 ? undefined : Buffer.from([value]);
  }
  if (letter === "'" || letter === '"') return letter === quote ? Buffer.from(letter) : undefined;
  if (letter !== undefined) return Buffer.from(ESCAPES[letter]);
  const code = Number.parseInt(short ?? long, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
  return Buffer.from(String.fromCodePoint(code));
}
