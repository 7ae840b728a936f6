// Names that a JSON object has twice. JSON.parse takes the last one and says nothing; a request that is read strictly is
// refused for it. Every request's text is gone through, up to three megabytes of it: by codes, and from one quotation
// mark to the next.
import { DEPTH_MAX, PATH_MAX } from "./nesting.ts";

/** `spec.replicas`, each once, in order; of very many the first ones. The text is JSON. */
export function duplicateFields(text: string): string[] {
  return new Scanner(text).run();
}

/** So many are told, as an API server does. */
export const TOLD_MAX = 100;
/** Of an object with few names a list is looked through faster than a set is made. */
const FEW = 8;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_MAP = 0x7b;
const CLOSE_MAP = 0x7d;
const BLANK = 0x20; // and what lies below it: between tokens JSON has nothing else there

/** An object or a list that is being read. */
interface Frame {
  /** Of an object; undefined for a list. */
  readonly few: string[] | undefined;
  many: Set<string> | undefined;
  /** Where it lies. */
  readonly base: string;
  /** Of the member that is being read. */
  path: string;
  index: number;
}

class Scanner {
  readonly #text: string;
  readonly #found = new Set<string>();
  readonly #frames: Frame[] = [];
  #top: Frame | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  run(): string[] {
    const text = this.#text;
    // A stack of its own: a text may be nested deeper than functions may call each other; then it is refused anyway.
    for (let at = 0; at < text.length && this.#frames.length <= DEPTH_MAX; at++) {
      switch (text.charCodeAt(at)) {
        case OPEN_MAP:
          this.#enter(true);
          break;
        case OPEN_LIST:
          this.#enter(false);
          break;
        case CLOSE_MAP:
        case CLOSE_LIST:
          this.#frames.pop();
          this.#top = this.#frames[this.#frames.length - 1];
          break;
        case COMMA:
          if (this.#top !== undefined) this.#top.index++;
          break;
        case QUOTE:
          at = this.#string(at);
          break;
      }
    }
    return [...this.#found];
  }

  #enter(isMap: boolean): void {
    const parent = this.#top;
    let base = parent?.path ?? "";
    if (parent !== undefined && parent.few === undefined) base = `${parent.path}[${parent.index}]`;
    this.#top = { few: isMap ? [] : undefined, many: undefined, base, path: base, index: 0 };
    this.#frames.push(this.#top);
  }

  /** Where the string ends that begins here. */
  #string(from: number): number {
    const text = this.#text;
    let end = text.indexOf('"', from + 1);
    let hasEscapes = false;
    while (end >= 0 && text.charCodeAt(end - 1) === BACKSLASH) {
      hasEscapes = true;
      if (!isEscaped(text, end)) break;
      end = text.indexOf('"', end + 1);
    }
    if (end < 0) return text.length;
    const top = this.#top;
    if (top?.few === undefined) return end;
    let next = end + 1;
    while (text.charCodeAt(next) <= BLANK) next++;
    if (text.charCodeAt(next) !== COLON) return end;
    const written = text.slice(from + 1, end);
    const isPlain = !hasEscapes && !written.includes("\\");
    this.#name(top, isPlain ? written : (JSON.parse(`"${written}"`) as string));
    return next;
  }

  #name(top: Frame, name: string): void {
    top.path = top.base === "" ? name : `${top.base}.${name}`;
    const isTold = top.path.length <= PATH_MAX && this.#found.size < TOLD_MAX;
    if (hadBefore(top, name) && isTold) this.#found.add(top.path);
  }
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

function hadBefore(top: Frame, name: string): boolean {
  const few = top.few as string[];
  if (top.many !== undefined) {
    if (top.many.has(name)) return true;
    top.many.add(name);
    return false;
  }
  if (few.includes(name)) return true;
  few.push(name);
  if (few.length > FEW) top.many = new Set(few);
  return false;
}
