// A text cut into its documents as kubectl cuts it (apimachinery's YAMLOrJSONDecoder): at every line that begins with
// `---`, wherever it stands; a text that begins with `{` is JSON values one after the other, and YAML from where they
// end. Each piece can be read for itself: in steps, and again only when it changed.

export interface TextPiece {
  readonly text: string;
  /** Lines of the whole text before it. */
  readonly line: number;
  /** Characters before it in the line where it begins. */
  readonly column: number;
  /** Documents before it. */
  readonly documents: number;
  /** JSON values, one or several: how many is not looked at before they are read. */
  readonly isJson: boolean;
  /** What is wrong with it, whatever it says. */
  readonly problem?: string | undefined;
}

const SEPARATOR = /(?<=^|\n)---([^\n]*)(?:\n|$)/g;
const SAYS_SOMETHING = /(?<=^|\n)[^\S\n]*[^\s#]/;
/** Go's unicode.IsSpace. */
const SPACE = /[^\S\uFEFF]|\x85/y;
const EDGES = /^(?:[^\S\uFEFF]|\x85)+|(?:[^\S\uFEFF]|\x85)+$/g;
const JSON_START = /^(?:[^\S\uFEFF]|\x85)*\{/;

/** The pieces of a text, in order; one piece is one document, but for JSON. */
export function splitText(whole: string): TextPiece[] {
  const text = whole.startsWith("\uFEFF") ? whole.slice(1) : whole; // a byte order mark
  return JSON_START.test(text)
    ? [{ text, line: 0, column: 0, documents: 0, isJson: true }]
    : splitDocuments({ text, line: 0, column: 0, documents: 0 });
}

/** The documents of a text that is YAML. A `---` right behind another one belongs to what follows it. */
export function splitDocuments(whole: Omit<TextPiece, "isJson">): TextPiece[] {
  const { text } = whole;
  const pieces: TextPiece[] = [];
  let { line, column, documents } = whole;
  let from = 0;
  const cut = (to: number, next: number, problem?: string): void => {
    const piece = text.slice(from, to);
    pieces.push({ text: piece, line, column, documents, isJson: false, problem });
    line += linesIn(text.slice(from, next));
    column = 0;
    // What stands before the first `---` is a document if it says something, else the head of the first one.
    if (documents > whole.documents || SAYS_SOMETHING.test(piece)) documents++;
    from = next;
  };
  for (const match of text.matchAll(SEPARATOR)) {
    const rest = match[1].replace(EDGES, "");
    const end = match.index + match[0].length;
    if (rest !== "" && !rest.startsWith("#")) {
      if (match.index > from) cut(match.index, match.index);
      cut(end, end, `invalid Yaml document separator: ${rest}`);
    } else if (match.index > from) cut(match.index, end);
  }
  if (from < text.length) cut(text.length, text.length);
  return pieces;
}

/** A JSON value at the begin of a text, and what is behind it. */
export interface JsonCut {
  readonly values: readonly TextPiece[];
  /** What is not JSON any more; undefined when nothing is left. */
  readonly rest: TextPiece | undefined;
}

/** A stream of JSON values (`{…}{…}`, with white space between them or none). */
export function splitJson(piece: TextPiece): JsonCut {
  const { text } = piece;
  const values: TextPiece[] = [];
  const place = new Walk(piece);
  let at = 0;
  for (;;) {
    const start = at + text.slice(at).search(/[^ \t\r\n]|$/);
    if (start === text.length) return { values, rest: undefined };
    const end = endOfValue(text, start);
    if (end < 0 || !isJsonText(text.slice(start, end))) break;
    values.push(place.cut(start, end, piece.documents + values.length, true));
    at = end;
  }
  const documents = piece.documents + values.length;
  const start = startOfYaml(text, at);
  // After two values it is JSON for good.
  if (values.length < 2 && start >= 0)
    return { values, rest: place.cut(start, text.length, documents, false) };
  const wrong = at + text.slice(at).search(/[^ \t\r\n]|$/);
  const found = JSON.stringify(text.charAt(wrong)).slice(1, -1);
  const problem = `invalid character '${found}' looking for beginning of value`;
  return { values, rest: { ...place.cut(wrong, text.length, documents, true), problem } };
}

/** Parts of a piece, in order, and where they stand. */
class Walk {
  readonly #piece: TextPiece;
  #at = 0;
  #line: number;
  #column: number;

  constructor(piece: TextPiece) {
    this.#piece = piece;
    this.#line = piece.line;
    this.#column = piece.column;
  }

  cut(start: number, end: number, documents: number, isJson: boolean): TextPiece {
    const between = this.#piece.text.slice(this.#at, start);
    this.#line += linesIn(between);
    this.#column = between.includes("\n")
      ? between.length - between.lastIndexOf("\n") - 1
      : this.#column + between.length;
    this.#at = start;
    const text = this.#piece.text.slice(start, end);
    return { text, line: this.#line, column: this.#column, documents, isJson };
  }
}

/** Where YAML begins in what is no JSON: behind a first line of blanks only. -1 when it is too short to be looked at. */
function startOfYaml(text: string, from: number): number {
  for (let at = from; text.length - at >= 4 || Buffer.byteLength(text.slice(at)) >= 4; at++) {
    if (text[at] === "\uFFFD") return -1;
    SPACE.lastIndex = at;
    if (!SPACE.test(text)) return at;
    if (text[at] === "\n") return at + 1;
  }
  return -1;
}

/** Offset behind the JSON value that begins at `start`; -1 when it does not end, or is none. */
function endOfValue(text: string, start: number): number {
  if (text[start] !== "{" && text[start] !== "[") {
    const scalar = /"(?:[^"\\]|\\.)*"|true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
    scalar.lastIndex = start;
    const isWhole =
      scalar.test(text) && !/^\d[.eE]/.test(text.slice(scalar.lastIndex - 1, scalar.lastIndex + 1));
    return isWhole ? scalar.lastIndex : -1;
  }
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at = endOfString(text, at);
      if (at < 0) return -1;
    } else if (code === 123 || code === 91) depth++;
    else if ((code === 125 || code === 93) && --depth === 0) return at + 1;
  }
  return -1;
}

/** Offset of the quote that ends the string at `start`; -1 when there is none. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end;
  }
  return -1;
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function linesIn(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
