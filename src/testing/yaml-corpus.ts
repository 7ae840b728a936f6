// One document of the corpus (testdata/yaml-corpus) held against what is read here; for the test and for the fuzzer.
import { isDeepStrictEqual } from "node:util";
import { splitText } from "../kube/manifest/split-documents.ts";
import { composed, parseDocuments } from "../kube/manifest/yaml-documents.ts";
import { decodeText } from "../watch/decode-text.ts";

/** A text, and what kubectl reads in it. */
export interface CorpusEntry {
  /** Absent: the file's bytes, in base64. */
  readonly text?: string;
  readonly base64?: string;
  /** The documents that hold something. */
  readonly docs?: readonly unknown[];
  /** kubectl's words where it refuses the text, and the line that it names, if it does. */
  readonly error?: string;
  readonly line?: number;
  /** A key that a map has twice: kubectl keeps the last, here it is an error. */
  readonly twice?: string;
}

/** What is read in another way than kubectl does; undefined when all is alike. */
export function differenceOf(entry: CorpusEntry): string | undefined {
  const { base64 = "", text = textOf(base64), docs = [], error, line, twice } = entry;
  const documents = parseDocuments(text);
  const problems = documents.flatMap((document) => document.problems);
  if (problems.some((p) => !(p.line >= 1 && p.column >= 1 && p.message !== "")))
    return "a problem without a place";
  if (error === undefined && twice === undefined) {
    const values = documents.map(({ value }) => value);
    // By the fast reader where it can, and by the whole one alone.
    const slowly = splitText(text).flatMap((piece) =>
      piece.isJson ? parseDocuments(text) : composed(piece),
    );
    if (problems.length > 0) return `refused: ${problems[0].line}: ${problems[0].message}`;
    if (!isSame(values, docs)) return `read as ${JSON.stringify(values)}`;
    if (
      !isSame(
        slowly.slice(0, docs.length).map(({ value }) => value),
        docs,
      )
    )
      return "read as another by the whole reader";
    return documents.some(({ locate }) => !(locate([]).line >= 1)) ? "a document without a place" : undefined;
  }
  if (problems.length === 0) return `read, as ${JSON.stringify(documents.map(({ value }) => value))}`;
  if (
    twice !== undefined &&
    !problems.every(({ message }) => /already set in map$|^unsupported value/.test(message))
  )
    return `refused as ${problems[0].message}`;
  return line === undefined || isNear(problems[0].line, line, text)
    ? undefined
    : `refused at ${problems[0].line}`;
}

function textOf(base64: string): string {
  const decoded = decodeText(Buffer.from(base64, "base64"));
  return "text" in decoded ? decoded.text : "";
}

/**
 * go-yaml's parser (not its scanner) names the line before, and it counts a line after the last one when something does
 * not end.
 */
function isNear(own: number, named: number, text: string): boolean {
  const last = text.trimEnd().split("\n").length;
  return own === named || own === named + 1 || (own === named - 1 && own >= last);
}

/** As JSON: 0 and -0 are one, and a map has no prototype. */
function isSame(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
}
