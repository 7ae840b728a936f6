// A text of many documents cut at its `---` lines, so that each can be read for itself: in steps, again only when it
// changed, and by the slow reader only where that one needs it. A `---` in the first column always begins a document,
// also within quotes or a literal (YAML 1.2 §9.1.2), so the cut is safe; but for directives and `...`, which reach
// beyond it: such a text is one piece.

export interface TextPiece {
  readonly text: string;
  /** Lines of the whole text before it. */
  readonly line: number;
  /** Documents before it. */
  readonly documents: number;
}

const REACHES_FURTHER = /^(?:%|\.\.\.(?:\s|$))|\r|[\u0085\u2028\u2029\uFEFF]/m;
const MARKER = /^---(?=\s|$)/gm;
const SAYS_SOMETHING = /^[^\S\n]*[^\s#]/m;

/** The pieces of a text, in order, one document in each. */
export function splitDocuments(text: string): TextPiece[] {
  if (REACHES_FURTHER.test(text)) return [{ text, line: 0, documents: 0 }];
  const starts: number[] = [];
  for (const { index } of text.matchAll(MARKER)) starts.push(index);
  // What stands before the first marker is a document if it says something, else the head of the first one.
  if (starts.length === 0 || SAYS_SOMETHING.test(text.slice(0, starts[0]))) starts.unshift(0);
  else starts[0] = 0;
  const pieces: TextPiece[] = [];
  let line = 0;
  for (const [i, start] of starts.entries()) {
    const piece = text.slice(start, starts[i + 1] ?? text.length);
    pieces.push({ text: piece, line, documents: i });
    line += linesIn(piece);
  }
  return pieces;
}

/**
 * A stream of JSON objects (`{…}{…}`, with white space between them or none), as kubectl reads it: the text and place of
 * each. Undefined for what is none.
 */
export function splitJson(text: string): (TextPiece & { readonly column: number })[] | undefined {
  const pieces: (TextPiece & { readonly column: number })[] = [];
  let line = 0;
  let lineStart = 0;
  for (let at = 0; at < text.length; ) {
    const start = at + text.slice(at).search(/\S|$/);
    const between = text.slice(at, start);
    line += linesIn(between);
    if (between.includes("\n")) lineStart = at + between.lastIndexOf("\n") + 1;
    if (start === text.length) break;
    const end = endOfObject(text, start);
    if (end < 0) return undefined;
    const piece = text.slice(start, end);
    pieces.push({ text: piece, line, column: start - lineStart, documents: pieces.length });
    const inside = linesIn(piece);
    line += inside;
    if (inside > 0) lineStart = start + piece.lastIndexOf("\n") + 1;
    at = end;
  }
  return pieces;
}

/** Offset behind the object that begins at `start`; -1 when it does not end, or is none. */
function endOfObject(text: string, start: number): number {
  if (text[start] !== "{") return -1;
  let depth = 0;
  const part = /"(?:[^"\\]|\\.)*"|[{}"]/gs;
  part.lastIndex = start;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    if (match[0] === '"') return -1; // a string that does not end
    if (match[0] === "{") depth++;
    else if (match[0] === "}" && --depth === 0) return part.lastIndex;
  }
  return -1;
}

function linesIn(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
