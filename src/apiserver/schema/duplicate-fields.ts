// Names that a JSON object has twice. JSON.parse takes the last one and says nothing; a request that is read strictly is
// refused for it.
import { DEPTH_MAX, PATH_MAX } from "./nesting.ts";

/** `spec.replicas`, each once, in order; of very many the first ones. The text is JSON. */
export function duplicateFields(text: string): string[] {
  return new Scanner(text).run();
}

/** So many are told, as an API server does. */
export const TOLD_MAX = 100;
const COLON = /\s*:/y;

interface Frame {
  /** Of an object; undefined for an array. */
  readonly names: Set<string> | undefined;
  path: string;
  index: number;
}

class Scanner {
  readonly #text: string;
  readonly #found = new Set<string>();
  readonly #frames: Frame[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): string[] {
    // A stack of its own: a text may be nested deeper than functions may call each other; then it is refused anyway.
    for (; this.#at < this.#text.length && this.#frames.length <= DEPTH_MAX; this.#at++) {
      switch (this.#text[this.#at]) {
        case "{":
          this.#enter(new Set());
          break;
        case "[":
          this.#enter(undefined);
          break;
        case "}":
        case "]":
          this.#frames.pop();
          break;
        case ",":
          this.#next();
          break;
        case '"':
          this.#string();
          break;
      }
    }
    return [...this.#found];
  }

  get #top(): Frame | undefined {
    return this.#frames[this.#frames.length - 1];
  }

  #enter(names: Set<string> | undefined): void {
    const parent = this.#top;
    const path =
      parent === undefined
        ? ""
        : parent.names === undefined
          ? `${parent.path}[${parent.index}]`
          : parent.path;
    this.#frames.push({ names, path, index: 0 });
    this.#base[this.#frames.length - 1] = path;
  }

  /** Where the object or array of each frame lies; a frame's own path is that of the member which is being read. */
  readonly #base: string[] = [];

  #next(): void {
    const top = this.#top;
    if (top === undefined) return;
    top.index++;
    if (top.names !== undefined) top.path = this.#base[this.#frames.length - 1];
  }

  #string(): void {
    const from = this.#at;
    for (this.#at++; this.#text[this.#at] !== '"' && this.#at < this.#text.length; this.#at++) {
      if (this.#text[this.#at] === "\\") this.#at++;
    }
    const top = this.#top;
    const base = this.#base[this.#frames.length - 1];
    // A name is the first string of a member: the path is still the object's own.
    COLON.lastIndex = this.#at + 1;
    if (top?.names === undefined || !COLON.test(this.#text)) return;
    const name = JSON.parse(this.#text.slice(from, this.#at + 1)) as string;
    top.path = base === "" ? name : `${base}.${name}`;
    const isTold = top.path.length <= PATH_MAX && this.#found.size < TOLD_MAX;
    if (isTold && top.names.has(name)) this.#found.add(top.path);
    top.names.add(name);
  }
}
