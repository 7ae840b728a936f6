// A place in a YAML text, and what stands there. Line breaks are YAML 1.1's: LF, CR, CR LF, NEL, LS and PS. The text ends
// with a NUL, which can stand nowhere else in it.

/** What is wrong with a text, and where. */
export class YamlError extends Error {
  readonly at: number;
  /** Where the thing begins that it is wrong with. */
  readonly since: number | undefined;

  constructor(message: string, at: number, since?: number) {
    super(message);
    this.at = at;
    this.since = since;
  }
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;

/** True for the characters of anchors, tag handles and directives. */
export function isWordCharacter(code: number): boolean {
  return (
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    code === 45 ||
    code === 95
  );
}

export class Cursor {
  readonly text: string;
  at = 0;
  /** Of the text, from 0. */
  line = 0;
  lineStart = 0;

  constructor(text: string) {
    this.text = `${text}\0`;
  }

  get column(): number {
    return this.at - this.lineStart;
  }

  /** The code at hand, or further on; 0 is the end. */
  code(ahead = 0): number {
    return this.text.charCodeAt(this.at + ahead) || 0;
  }

  get isEnd(): boolean {
    return this.at >= this.text.length - 1;
  }

  isBlank(): boolean {
    const code = this.code();
    return code === SPACE || code === TAB;
  }

  isBreak(ahead = 0): boolean {
    return isBreakCode(this.code(ahead));
  }

  /** A blank, a line break or the end. */
  isGap(ahead = 0): boolean {
    const code = this.code(ahead);
    return code <= SPACE ? isGapCode(code) : isBreakCode(code);
  }

  /** `---` or `...` in the first column, with a gap behind it. */
  isMarker(code: number): boolean {
    return (
      this.at === this.lineStart &&
      this.code() === code &&
      this.code(1) === code &&
      this.code(2) === code &&
      this.isGap(3)
    );
  }

  skipBlanks(): void {
    while (this.isBlank()) this.at++;
  }

  /** From a `#` to the end of its line. */
  skipComment(): void {
    if (this.code() !== 35) return;
    while (!this.isEnd && !this.isBreak()) this.at++;
  }

  /** Goes over a line break and returns what it means in a text. */
  readBreak(): string {
    const code = this.code();
    // A CR before a line's end is cut off with it, and one more CR makes a line break with what is left.
    if (code === CR && this.code(1) === LF) this.at += 2;
    else if (code === CR && this.code(1) === CR && this.code(2) === LF) this.at += 3;
    else this.at++;
    this.line++;
    this.lineStart = this.at;
    return code === 0x2028 ? "\u2028" : code === 0x2029 ? "\u2029" : "\n";
  }
}

function isGapCode(code: number): boolean {
  return code === SPACE || code === LF || code === TAB || code === CR || code === 0;
}

function isBreakCode(code: number): boolean {
  return code === LF || code === CR || code === 0x85 || code === 0x2028 || code === 0x2029;
}

/** Offset behind the word of a plain scalar at `at`: it ends at a gap, at `: ` and, in flow, at its indicators. */
export function endOfWord(text: string, at: number, inFlow: boolean): number {
  for (let end = at; ; end++) {
    const code = text.charCodeAt(end);
    if (code <= SPACE) {
      if (isGapCode(code)) return end;
    } else if (code === 58) {
      const next = text.charCodeAt(end + 1);
      if (next <= SPACE ? isGapCode(next) : isBreakCode(next)) return end;
    } else if (code >= 0x85) {
      if (isBreakCode(code)) return end;
    } else if (inFlow && isFlowIndicator(code)) return end;
  }
}

/** One of `,?[]{}`. */
function isFlowIndicator(code: number): boolean {
  return code === 44 || code === 63 || code === 91 || code === 93 || code === 123 || code === 125;
}
