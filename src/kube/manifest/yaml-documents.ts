// Text → documents with positions, as kubectl reads them (sigs.k8s.io/yaml over go-yaml v2: YAML 1.1, and laxer). The
// corpus in testdata/yaml-corpus holds what kubectl's own parser makes of some hundred documents. A key that comes twice
// in a map is an error, as it is for the API server; kubectl would keep the last.
import { readBlockYaml } from "./block-yaml.ts";
import type { FieldPath } from "./field-problems.ts";
import { endOfString, splitDocuments, splitJson, splitText, type TextPiece } from "./split-documents.ts";
import { type Composed, compose } from "./yaml/compose.ts";
import { YamlError } from "./yaml/cursor.ts";

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface YamlProblem extends Position {
  readonly message: string;
}

export interface SourceDocument {
  /** From 1, as written between the `---` lines. */
  readonly number: number;
  readonly value: unknown;
  /** Every part of `value` stands in one place only: whoever reads it may make it his. */
  readonly isTree: boolean;
  readonly problems: readonly YamlProblem[];
  /** The first line of what stands behind the document's end (`...`) and is not read. */
  readonly unread?: string;
  /** Where a field stands; where the nearest thing around it stands if it is not there. */
  locate(path: FieldPath, atKey?: boolean): Position;
  /** Was anything but null written there? `value` may have changed since. */
  has(path: FieldPath): boolean;
}

/** What YAML has no place for: control characters, half of a surrogate pair, what is no character. */
const FORBIDDEN = /[^\t\n\r\x20-\x7E\x85\xA0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/** All documents of a file that hold something; empty ones count for the numbering only. */
export function parseDocuments(text: string): SourceDocument[] {
  return splitText(text).flatMap(parsePiece);
}

/** The documents of a piece of a file: one or none, but for JSON. */
export function parsePiece(piece: TextPiece): SourceDocument[] {
  if (piece.problem !== undefined) return [broken(piece, new YamlError(piece.problem, 0))];
  return piece.isJson ? jsonDocuments(piece) : yamlDocuments(piece);
}

function yamlDocuments(piece: TextPiece): SourceDocument[] {
  const value = readBlockYaml(piece.text);
  if (value === null) return [];
  return value === undefined ? composed(piece) : [documentOf(piece, value, [])];
}

/** The same without the fast reader. */
export function composed(piece: TextPiece): SourceDocument[] {
  let found: Composed;
  try {
    found = composePiece(piece, false);
  } catch (error) {
    if (error instanceof YamlError) return [broken(piece, error)];
    throw error;
  }
  if (found.value === null && found.twice.length === 0) return [];
  const document = documentOf(piece, found.value, found.twice);
  if (found.unread === undefined) return [document];
  return [{ ...document, unread: /.*/.exec(piece.text.slice(found.unread))?.[0].trimEnd() ?? "" }];
}

function composePiece({ text, isJson }: TextPiece, withPlaces: boolean): Composed {
  const forbidden = isJson ? -1 : text.search(FORBIDDEN);
  if (forbidden < 0) return compose(text.endsWith("\n") ? text : `${text}\n`, { isJson, withPlaces });
  const error = new YamlError("control characters are not allowed", forbidden);
  try {
    compose(text.slice(0, forbidden));
  } catch (earlier) {
    if (earlier instanceof YamlError && earlier.at < forbidden) throw earlier;
  }
  throw error;
}

function jsonDocuments(piece: TextPiece): SourceDocument[] {
  const value = jsonValue(piece.text);
  if (value !== undefined) return jsonDocument(piece, value);
  const { values, rest } = splitJson(piece);
  const documents = values.flatMap((each) => jsonDocument(each, jsonValue(each.text)));
  if (rest === undefined) return documents;
  return [...documents, ...(rest.isJson ? parsePiece(rest) : splitDocuments(rest).flatMap(parsePiece))];
}

function jsonDocument(piece: TextPiece, value: unknown): SourceDocument[] {
  if (value === null) return [];
  if (keysIn(piece.text) === membersOf(value)) return [{ ...documentOf(piece, value, []), isTree: true }];
  return composed(piece); // a key comes twice
}

/** Undefined when the text is not one JSON value. */
function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Keys as JSON text has them. */
function keysIn(text: string): number {
  let keys = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) {
    at = endOfString(text, at);
    let behind = at + 1;
    while (text.charCodeAt(behind) <= 32) behind++;
    if (text[behind] === ":") keys++;
  }
  return keys;
}

/** Members of all objects in a value. */
function membersOf(value: unknown): number {
  let members = 0;
  for (const open = [value]; open.length > 0; ) {
    const each = open.pop();
    if (Array.isArray(each)) {
      for (const item of each) if (typeof item === "object") open.push(item);
    } else if (typeof each === "object" && each !== null) {
      const map = each as Record<string, unknown>;
      for (const key in map) {
        members++;
        if (typeof map[key] === "object") open.push(map[key]);
      }
    }
  }
  return members;
}

function broken(piece: TextPiece, error: YamlError): SourceDocument {
  const lines = new Lines(piece);
  const problems = [lines.problem(error)];
  const place = { locate: () => problems[0], has: () => false };
  return { number: piece.documents + 1, value: null, isTree: false, problems, ...place };
}

/** A document that could be read. Where its fields stand is found when somebody asks for it. */
function documentOf(piece: TextPiece, value: unknown, twice: readonly YamlError[]): SourceDocument {
  const lines = new Lines(piece);
  let placed: Composed | undefined;
  const places = (): Composed => {
    placed ??= composePiece(piece, true);
    return placed;
  };
  return {
    number: piece.documents + 1,
    value,
    isTree: false,
    problems: twice.map((error) => lines.problem(error)),
    locate: (path, atKey = false) => lines.at(offsetOf(places(), path, atKey)),
    has: (path) => {
      let at: unknown = places().value;
      for (const part of path) at = (at as Record<string, unknown> | null | undefined)?.[part];
      return at !== undefined && at !== null;
    },
  };
}

/** Offset of the value at `path`, or of its last existing ancestor's key. */
function offsetOf({ value, start, places }: Composed, path: FieldPath, atKey: boolean): number {
  let offset = start;
  let node: unknown = value;
  for (const [depth, part] of path.entries()) {
    if (typeof node !== "object" || node === null) return offset;
    const place = places.get(node)?.get(part);
    if (place === undefined) return offset;
    node = (node as Record<string | number, unknown>)[part];
    offset = atKey && depth === path.length - 1 ? place.key : place.value;
  }
  return offset;
}

/** Offsets of a piece as lines and columns of the file. */
class Lines {
  readonly #piece: TextPiece;
  #starts: number[] | undefined;

  constructor(piece: TextPiece) {
    this.#piece = piece;
  }

  at(offset: number): Position {
    const { text, line, column } = this.#piece;
    this.#starts ??= [
      0,
      ...[...text.matchAll(this.#breaks)].map(({ index, 0: { length } }) => index + length),
    ];
    const end = Math.min(offset, text.length);
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle] <= end) low = middle;
      else high = middle - 1;
    }
    return { line: line + low + 1, column: end - this.#starts[low] + 1 + (low === 0 ? column : 0) };
  }

  problem({ message, at, since }: YamlError): YamlProblem {
    const place = this.at(at);
    const begin = since === undefined ? place : this.at(since);
    const where =
      begin.line === place.line ? "" : `, in what begins at line ${begin.line}, column ${begin.column}`;
    return { ...place, message: message + where };
  }

  get #breaks(): RegExp {
    return this.#piece.isJson ? /\r?\n|\r/g : /\r?\r\n|[\r\n\x85\u2028\u2029]/g;
  }
}
