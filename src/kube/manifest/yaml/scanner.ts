// Text → tokens, as libyaml and go-yaml find them: YAML 1.1, and laxer than its letter. Indentation becomes tokens, and a
// key that nothing announces ("simple": `a: 1`) is found when its colon comes: what may be one holds the queue back.
import { Cursor, YamlError } from "./cursor.ts";
import { scanAnchor, scanDirective, scanTag } from "./properties.ts";
import { type ScannedScalar, scanBlock, scanPlain, scanQuoted } from "./scalars.ts";

export type TokenType =
  | "stream-end"
  | "directive"
  | "document-start"
  | "document-end"
  | "block-list"
  | "block-map"
  | "block-end"
  | "["
  | "]"
  | "{"
  | "}"
  | ","
  | "-"
  | "key"
  | "value"
  | "alias"
  | "anchor"
  | "tag"
  | "scalar";

export interface Token {
  readonly type: TokenType;
  readonly start: number;
  readonly end: number;
  /** Of a scalar its text, of an anchor or alias its name, of a tag the suffix, of a directive version or prefix. */
  readonly value: string;
  /** Of tags and %TAG. */
  readonly handle: string;
  /** A scalar without quotes. */
  readonly isPlain: boolean;
  /** The key that this may be the begin of. */
  readonly key: SimpleKey | undefined;
}

interface SimpleKey {
  isPossible: boolean;
  /** Its token waits until it is known whether it is one. */
  holds: boolean;
  /** Nothing but a key can stand here. */
  readonly isRequired: boolean;
  readonly number: number;
  readonly at: number;
  readonly line: number;
  readonly column: number;
}

const MAX_DEPTH = 10_000;
const MAX_KEY = 1024;

export class Scanner {
  /** JSON is read as such: its keys may be long and its strings have escapes that YAML 1.1 has not. */
  readonly #isJson: boolean;
  readonly #c: Cursor;
  #tokens: Token[] = [];
  #head = 0;
  /** Tokens that were taken. */
  #taken = 0;
  #indent = -1;
  readonly #indents: number[] = [];
  /** One a flow level; the first is the block's. */
  readonly #keys: (SimpleKey | undefined)[] = [undefined];
  /** The keys that open flow collections may be, which have had none within: go-yaml forgets them at their end. */
  readonly #openers: (SimpleKey | undefined)[] = [undefined];
  #keyAllowed = true;
  /** The key that begins with the token to come. */
  #begun: SimpleKey | undefined;

  constructor(text: string, isJson = false) {
    this.#c = new Cursor(text);
    this.#isJson = isJson;
    if (text.startsWith("\uFEFF")) this.#c.lineStart = ++this.#c.at;
  }

  /** The next token. */
  peek(): Token {
    while (this.#head === this.#tokens.length || this.#isUndecided(this.#tokens[this.#head])) this.#fetch();
    return this.#tokens[this.#head];
  }

  /** Takes the token that `peek` told of. */
  skip(): void {
    this.#taken++;
    if (++this.#head < this.#tokens.length) return;
    this.#tokens.length = 0;
    this.#head = 0;
  }

  get #isFlow(): boolean {
    return this.#keys.length > 1;
  }

  #isUndecided({ key }: Token): boolean {
    return key?.holds === true && this.#isStillPossible(key);
  }

  #isStillPossible(key: SimpleKey): boolean {
    if (!key.isPossible) return false;
    if (this.#isJson || (key.line === this.#c.line && !this.#isTooFar(key.at))) return true;
    this.#dropKey(key);
    return false;
  }

  #isTooFar(start: number): boolean {
    const { at, text } = this.#c;
    // Characters, of which some are two in a string.
    return at - start > MAX_KEY && [...text.slice(start, at)].length > MAX_KEY;
  }

  #dropKey(key: SimpleKey | undefined): void {
    if (key?.isPossible !== true) return;
    if (key.isRequired) throw new YamlError("could not find expected ':'", this.#c.at, key.at);
    key.isPossible = false;
  }

  /** What comes now may be a key. */
  #saveKey(): void {
    if (!this.#keyAllowed) return;
    const { at, line, column } = this.#c;
    const level = this.#keys.length - 1;
    this.#dropKey(this.#keys[level]);
    const number = this.#taken + this.#tokens.length - this.#head;
    const isRequired = level === 0 && this.#indent === column;
    this.#begun = { isPossible: true, holds: true, isRequired, number, at, line, column };
    this.#keys[level] = this.#begun;
    this.#openers[level] = undefined;
  }

  #removeKey(): void {
    const level = this.#keys.length - 1;
    this.#dropKey(this.#keys[level]);
    this.#keys[level] = undefined;
  }

  #push(type: TokenType, start: number, value = "", handle = "", isPlain = false): void {
    this.#tokens.push({ type, start, end: this.#c.at, value, handle, isPlain, key: this.#begun });
    this.#begun = undefined;
  }

  #insert(type: TokenType, start: number, number: number): void {
    const token = { type, start, end: start, value: "", handle: "", isPlain: false, key: undefined };
    const index = number < this.#taken ? this.#tokens.length : number - this.#taken + this.#head;
    this.#tokens.splice(index, 0, token);
  }

  /** A block collection begins where something stands further right than all around it. */
  #rollIndent(column: number, type: TokenType, start: number, number?: number): void {
    if (this.#isFlow || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    if (this.#indents.length > MAX_DEPTH)
      throw new YamlError(`exceeded max depth of ${MAX_DEPTH}`, this.#c.at);
    if (number === undefined) this.#push(type, start);
    else this.#insert(type, start, number);
  }

  #unrollIndent(column: number): void {
    if (this.#isFlow) return;
    while (this.#indent > column) {
      this.#push("block-end", this.#c.at);
      this.#indent = this.#indents.pop() ?? -1;
    }
  }

  /** To the next token, over blanks, comments and line breaks. */
  #skipGap(): void {
    const c = this.#c;
    for (;;) {
      while (c.code() === 32 || (c.code() === 9 && (this.#isFlow || !this.#keyAllowed || this.#isJson)))
        c.at++;
      c.skipComment();
      if (!c.isBreak()) return;
      c.readBreak();
      if (!this.#isFlow) this.#keyAllowed = true;
    }
  }

  #fetch(): void {
    this.#skipGap();
    const c = this.#c;
    const { column } = c;
    this.#unrollIndent(column);
    if (c.isEnd) this.#fetchEnd();
    else if (column === 0 && c.code() === 37) this.#fetchDirective();
    else if (c.isMarker(45)) this.#fetchMarker("document-start");
    else if (c.isMarker(46)) this.#fetchMarker("document-end");
    else this.#fetchByCharacter(c.text.charAt(c.at));
  }

  #fetchByCharacter(character: string): void {
    const isIndicator = this.#isFlow || this.#c.isGap(1);
    if (character === "[" || character === "{") this.#fetchFlowStart(character);
    else if (character === "]" || character === "}") this.#fetchFlowEnd(character);
    else if (character === ",") this.#fetchComma();
    else if (character === "-" && this.#c.isGap(1)) this.#fetchItem();
    else if (character === "?" && isIndicator) this.#fetchKey();
    else if (character === ":" && isIndicator) this.#fetchValue();
    else if (character === "*" || character === "&" || character === "!") this.#fetchProperty(character);
    else if ((character === "|" || character === ">") && !this.#isFlow) this.#fetchBlockScalar();
    else if (character === "'" || character === '"')
      this.#fetchScalar(() => scanQuoted(this.#c, this.#isJson), false);
    else if ("%@`\t|>".includes(character))
      throw new YamlError("found character that cannot start any token", this.#c.at);
    else this.#fetchScalar(() => scanPlain(this.#c, this.#indent, this.#isFlow), true);
  }

  #fetchComma(): void {
    this.#removeKey();
    this.#keyAllowed = true;
    this.#fetchIndicator(",");
  }

  #fetchIndicator(type: TokenType, length = 1): void {
    const start = this.#c.at;
    this.#c.at += length;
    this.#push(type, start);
  }

  /** What ends all that is open in a block. */
  #closeBlock(): void {
    this.#unrollIndent(-1);
    this.#removeKey();
    this.#keyAllowed = false;
  }

  #fetchEnd(): void {
    if (this.#c.column > 0) this.#c.line++; // no key goes on behind it
    this.#closeBlock();
    this.#push("stream-end", this.#c.at);
  }

  #fetchDirective(): void {
    this.#closeBlock();
    const start = this.#c.at;
    const { version, handle, prefix } = scanDirective(this.#c);
    this.#push("directive", start, handle === "" ? version : prefix, handle);
  }

  #fetchMarker(type: TokenType): void {
    this.#closeBlock();
    this.#fetchIndicator(type, 3);
  }

  #fetchFlowStart(type: "[" | "{"): void {
    this.#saveKey();
    this.#keys.push(undefined);
    this.#openers.push(this.#begun);
    if (this.#keys.length > MAX_DEPTH + 1)
      throw new YamlError(`exceeded max depth of ${MAX_DEPTH}`, this.#c.at);
    this.#keyAllowed = true;
    this.#fetchIndicator(type);
  }

  #fetchFlowEnd(type: "]" | "}"): void {
    this.#removeKey();
    if (this.#isFlow) {
      this.#keys.pop();
      const opener = this.#openers.pop();
      if (opener !== undefined) opener.holds = false;
    }
    this.#keyAllowed = false;
    this.#fetchIndicator(type);
  }

  #fetchItem(): void {
    if (!this.#isFlow) this.#beginEntry("block sequence entries", "block-list");
    this.#removeKey();
    this.#keyAllowed = true;
    this.#fetchIndicator("-");
  }

  #beginEntry(what: string, type: TokenType): void {
    const { at, column } = this.#c;
    if (!this.#keyAllowed) throw new YamlError(`${what} are not allowed in this context`, at);
    this.#rollIndent(column, type, at);
  }

  #fetchKey(): void {
    if (!this.#isFlow) this.#beginEntry("mapping keys", "block-map");
    this.#removeKey();
    this.#keyAllowed = !this.#isFlow;
    this.#fetchIndicator("key");
  }

  #fetchValue(): void {
    const level = this.#keys.length - 1;
    const key = this.#keys[level];
    if (key !== undefined && this.#isStillPossible(key)) {
      this.#insert("key", key.at, key.number);
      this.#rollIndent(key.column, "block-map", key.at, key.number);
      key.isPossible = false;
      this.#keys[level] = undefined;
      this.#keyAllowed = false;
    } else {
      if (!this.#isFlow) this.#beginEntry("mapping values", "block-map");
      this.#keyAllowed = !this.#isFlow;
    }
    this.#fetchIndicator("value");
  }

  #fetchProperty(mark: "*" | "&" | "!"): void {
    this.#saveKey();
    this.#keyAllowed = false;
    const start = this.#c.at;
    if (mark === "!") {
      const { handle, suffix } = scanTag(this.#c);
      this.#push("tag", start, suffix, handle);
    } else this.#push(mark === "*" ? "alias" : "anchor", start, scanAnchor(this.#c));
  }

  #fetchBlockScalar(): void {
    this.#removeKey();
    this.#keyAllowed = true;
    const start = this.#c.at;
    this.#push("scalar", start, scanBlock(this.#c, this.#indent).value);
  }

  #fetchScalar(scan: () => ScannedScalar, isPlain: boolean): void {
    this.#saveKey();
    this.#keyAllowed = false;
    const start = this.#c.at;
    const { value, atLineStart } = scan();
    if (atLineStart) this.#keyAllowed = true;
    this.#push("scalar", start, value, "", isPlain);
  }
}
