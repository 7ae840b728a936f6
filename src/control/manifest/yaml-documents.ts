// Text → documents with positions. YAML as kubectl reads it: the core schema, plus the YAML 1.1 booleans (yes, no,
// on, off) and octals (0644) that its parser kept; not base 60, and dates stay text. JSON is a subset.

import type { Document, YAMLError, Node as YamlNode } from "yaml";
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type ScalarTag,
} from "yaml";
import { readBlockYaml } from "./block-yaml.ts";
import type { FieldPath } from "./field-problems.ts";
import { splitDocuments, splitJson, type TextPiece } from "./split-documents.ts";

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
  readonly problems: readonly YamlProblem[];
  /** Where a field stands; where the nearest thing around it stands if it is not there. */
  locate(path: FieldPath, atKey?: boolean): Position;
}

const TRUE = /^(?:y|Y|yes|Yes|YES|on|On|ON)$/;
const FALSE = /^(?:n|N|no|No|NO|off|Off|OFF)$/;
const booleans: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: new RegExp(`${TRUE.source}|${FALSE.source}`),
  resolve: (text) => TRUE.test(text),
};
const octals: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  format: "OCT",
  test: /^[-+]?0[0-7_]+$/,
  resolve: (text) => Number.parseInt(text.replaceAll("_", ""), 8),
};

/** All documents of a file that hold something; empty ones count for the numbering only. */
export function parseDocuments(text: string): SourceDocument[] {
  return isJson(text)
    ? parsePiece({ text, line: 0, documents: 0 })
    : splitDocuments(text).flatMap(parsePiece);
}

/** True for what is read as one document, whatever lines it has. */
export function isJson(text: string): boolean {
  return /^\s*\{/.test(text);
}

/** The documents of a piece of a file (one or none, but where a text could not be cut); positions are the file's. */
export function parsePiece(piece: TextPiece): SourceDocument[] {
  const { text, line, documents } = piece;
  const found = jsonDocument(text) ?? jsonStream(text) ?? blockDocuments(text) ?? yamlDocuments(text);
  return line === 0 && documents === 0 ? found : found.map((document) => moved(document, piece));
}

/** A document whose numbers are those of the text that it was cut from. */
function moved(document: SourceDocument, { line, documents }: TextPiece): SourceDocument {
  const down = <T extends Position>(at: T): T => ({ ...at, line: at.line + line });
  return {
    get number() {
      return document.number + documents;
    },
    value: document.value,
    problems: document.problems.map(down),
    locate: (path, atKey) => down(document.locate(path, atKey)),
  };
}

/** Block YAML, read fast; numbers and positions of its documents are found by the library when somebody needs one. */
function blockDocuments(text: string): SourceDocument[] | undefined {
  const values = readBlockYaml(text)?.filter((value) => value !== null);
  if (values === undefined) return undefined;
  let slow: SourceDocument[] | undefined;
  const documentAt = (i: number): SourceDocument => {
    slow ??= yamlDocuments(text);
    return slow[i];
  };
  return values.map((value, i) => ({
    get number() {
      return documentAt(i).number;
    },
    value,
    problems: [],
    locate: (path, atKey) => documentAt(i).locate(path, atKey),
  }));
}

/**
 * JSON is twenty times faster to read as such, which matters when programs send thousands of objects. Positions
 * are found by the YAML parser when somebody needs one.
 */
function jsonDocument(text: string): SourceDocument[] | undefined {
  if (!isJson(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  let slow: SourceDocument | undefined;
  const locate = (path: FieldPath, atKey?: boolean): Position => {
    slow ??= yamlDocuments(text)[0];
    return slow.locate(path, atKey);
  };
  return [{ number: 1, value, problems: [], locate }];
}

/** Several JSON objects one after the other. YAML knows no such thing: without this they would be one broken document. */
function jsonStream(text: string): SourceDocument[] | undefined {
  const pieces = isJson(text) ? splitJson(text) : undefined;
  if (pieces === undefined || pieces.length < 2) return undefined;
  const documents = pieces.map((piece) => {
    const [document] = jsonDocument(piece.text) ?? [];
    if (document === undefined) return undefined;
    const locate = (path: FieldPath, atKey?: boolean): Position => {
      const at = document.locate(path, atKey);
      return at.line === 1 ? { ...at, column: at.column + piece.column } : at;
    };
    return moved({ ...document, locate }, piece);
  });
  return documents.every((document) => document !== undefined) ? documents : undefined;
}

/** The same by the library alone. */
export function yamlDocuments(text: string): SourceDocument[] {
  const lines = new LineCounter();
  const options = {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    customTags: (tags: unknown[]) => [booleans, octals, ...tags],
  } as const;
  // biome-ignore lint/suspicious/noExplicitAny: the library's own type of this option leaves functions out
  const parsed = parseAllDocuments(text, options as any) as Document.Parsed[];
  if (!Array.isArray(parsed)) return [];
  const documents = parsed.map((doc, i) => sourceDocument(doc, i + 1, lines, text));
  return documents.filter((d) => d.value !== null || d.problems.length > 0);
}

function sourceDocument(
  doc: Document.Parsed,
  number: number,
  lines: LineCounter,
  text: string,
): SourceDocument {
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems = doc.errors.map((e) => ({ ...at(e.pos[0]), message: describeYamlError(e, text) }));
  let value: unknown = null;
  if (problems.length === 0) {
    try {
      value = doc.toJS({ maxAliasCount: 1000 });
    } catch (e) {
      problems.push({ ...at(doc.range[0]), message: (e as Error).message });
    }
  }
  const locate = (path: FieldPath, atKey = false): Position =>
    at(offsetOf(doc, path, atKey) ?? firstOffset(doc));
  return { number, value, problems, locate };
}

function describeYamlError(error: YAMLError, text: string): string {
  if (error.code === "DUPLICATE_KEY") {
    const key = /^["']?([^\s:"',}]*)/.exec(text.slice(error.pos[0]))?.[1] ?? "";
    return `key "${key}" already set in map`;
  }
  return error.message.replace(/\s*\n[\s\S]*$/, "");
}

/** Offset of the value at `path`, or of its last existing ancestor's key. */
function offsetOf(doc: Document.Parsed, path: FieldPath, atKey: boolean): number | undefined {
  let node: unknown = doc.contents;
  let offset = start(node);
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(doc);
    let key: unknown;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === part,
      );
      if (pair === undefined) return offset;
      key = pair.key;
      node = pair.value;
    } else if (isSeq(node) && typeof part === "number" && part < node.items.length) {
      node = node.items[part];
    } else {
      return offset;
    }
    const wantKey = key !== undefined && ((depth === path.length - 1 && atKey) || !isScalar(node));
    offset = start(wantKey ? key : node) ?? offset;
  }
  return offset;
}

function firstOffset(doc: Document.Parsed): number {
  return start(doc.contents) ?? doc.range[0];
}

function start(node: unknown): number | undefined {
  return (node as YamlNode | null)?.range?.[0];
}
