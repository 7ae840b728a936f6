// What holds for one document: the tag handles of its directives, how much its aliases may make of it, where it ends.
import { YamlError } from "./cursor.ts";
import { TAG_PREFIX } from "./resolve.ts";
import type { Scanner, Token } from "./scanner.ts";

export class TagHandles {
  readonly #prefixes = new Map<string, string>();

  /** Reads the directives and the `---` behind them. */
  read(scanner: Scanner): void {
    let hasVersion = false;
    let token = scanner.peek();
    for (; token.type === "directive"; token = scanner.peek()) {
      if (token.handle === "") {
        if (hasVersion) throw new YamlError("found duplicate %YAML directive", token.start);
        if (token.value !== "1.1") throw new YamlError("found incompatible YAML document", token.start);
        hasVersion = true;
      } else if (this.#prefixes.has(token.handle)) {
        throw new YamlError("found duplicate %TAG directive", token.start);
      } else this.#prefixes.set(token.handle, token.value);
      scanner.skip();
    }
    if (token.type !== "document-start")
      throw new YamlError("did not find expected <document start>", token.start);
    scanner.skip();
  }

  whole({ handle, value, start }: Token): string {
    if (handle === "") return value;
    const prefix = this.#prefixes.get(handle) ?? { "!": "!", "!!": TAG_PREFIX }[handle];
    if (prefix === undefined) throw new YamlError("found undefined tag handle", start);
    return prefix + value;
  }
}

// Up to LOW nodes, 99 % of them may come from aliases; from HIGH on 10 %; between them it falls evenly.
const LOW = 400_000;
const HIGH = 4_000_000;

/** Counts the nodes of a document as they are decoded, those behind an alias each time. */
export class ExpansionLimit {
  decoded = 1;
  #aliased = 0;

  count(at: number): void {
    this.decoded++;
    this.#check(at);
  }

  expand(size: number, at: number): void {
    this.decoded += size;
    this.#aliased += size;
    this.#check(at);
  }

  #check(at: number): void {
    if (this.#aliased <= 100 || this.decoded <= 1000) return;
    const above = Math.min(Math.max(this.decoded - LOW, 0), HIGH - LOW);
    const allowed = 0.99 - 0.89 * (above / (HIGH - LOW));
    if (this.#aliased / this.decoded > allowed)
      throw new YamlError("document contains excessive aliasing", at);
  }
}

/** Ends of documents, directives and comments say nothing. */
const SAYS_NOTHING = /(?:\s+|#[^\r\n]*|(?<=^|[\r\n])(?:\.\.\.(?=\s|$)|%[^\r\n]*))*/y;

/** Offset of what is said behind the `...` at `end`; -1 when nothing is. */
export function unreadBehind(text: string, end: number): number {
  SAYS_NOTHING.lastIndex = end;
  SAYS_NOTHING.test(text);
  return SAYS_NOTHING.lastIndex < text.length ? SAYS_NOTHING.lastIndex : -1;
}
