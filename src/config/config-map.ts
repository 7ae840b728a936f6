// kubeadm and its kin keep kube-proxy's configuration in a ConfigMap, as a text among others: data["config.conf"].
// What is wrong in that text is told where it stands in the ConfigMap's file.
import type { FieldPath } from "../kube/manifest/field-problems.ts";
import {
  describeProblem,
  type Manifest,
  ManifestError,
  type ManifestProblem,
  type ManifestText,
  parseManifests,
} from "../kube/manifest/manifest.ts";
import { parseDocuments, type SourceDocument } from "../kube/manifest/yaml-documents.ts";
import { checkConfiguration } from "./check.ts";

const USUAL_KEY = "config.conf";

/** A text of a ConfigMap and where it is written. */
interface Entry {
  readonly file: string;
  readonly document: SourceDocument;
  readonly path: FieldPath;
  readonly title: string;
  readonly key: string;
  readonly text: string;
}

/** The objects of `kind` in the ConfigMaps of a file. A ManifestError where one of them is wrong. */
export function manifestsInConfigMaps(source: ManifestText, kind: string): Manifest[] {
  return parseDocuments(source.text)
    .flatMap((document) => entriesOf(source.file, document, document.value, []))
    .filter(({ key, text }) => key === USUAL_KEY || holdsKind(text, kind))
    .flatMap((entry) => parseEntry(entry, source.text))
    .filter(({ object }) => object.kind === kind);
}

function holdsKind(text: string, kind: string): boolean {
  return new RegExp(`(^|[\\s{,])["']?kind["']?\\s*:\\s*["']?${kind}\\b`).test(text);
}

interface RawConfigMap {
  readonly kind?: unknown;
  readonly metadata?: { readonly name?: unknown };
  readonly data?: unknown;
  readonly items?: unknown;
}

function entriesOf(file: string, document: SourceDocument, value: unknown, prefix: FieldPath): Entry[] {
  if (typeof value !== "object" || value === null) return [];
  const { kind, metadata, data, items } = value as RawConfigMap;
  if (kind === "List" || kind === "ConfigMapList") {
    const list = Array.isArray(items) ? items : [];
    return list.flatMap((item, i) => {
      const typed = kind === "List" ? item : { kind: "ConfigMap", ...item };
      return entriesOf(file, document, typed, [...prefix, "items", i]);
    });
  }
  if (kind !== "ConfigMap" || typeof data !== "object" || data === null) return [];
  const title = typeof metadata?.name === "string" ? `ConfigMap "${metadata.name}"` : "ConfigMap";
  return Object.entries(data).flatMap(([key, text]) =>
    typeof text === "string" ? [{ file, document, path: [...prefix, "data", key], title, key, text }] : [],
  );
}

function parseEntry(entry: Entry, source: string): Manifest[] {
  try {
    return parseManifests([{ file: entry.file, text: entry.text }], { configuration: checkConfiguration });
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const place = placeOf(entry, source);
    throw new ManifestError(error.problems.map((problem) => moved(problem, entry, place)));
  }
}

/** Where the text's first character stands, in a literal block; undefined: its lines are not lines of the file. */
function placeOf(
  { document, path, text }: Entry,
  source: string,
): { line: number; indent: number } | undefined {
  const { line, column } = document.locate(path);
  const lines = source.split(/\r?\n/);
  if (lines[line - 1]?.[column - 1] !== "|") return undefined;
  const first = text.split("\n").findIndex((each) => each.trim() !== "");
  if (first < 0) return undefined;
  const indent = lines[line + first].length - text.split("\n")[first].length;
  return { line, indent: Math.max(0, indent) };
}

function moved(problem: ManifestProblem, entry: Entry, place: ReturnType<typeof placeOf>): ManifestProblem {
  const { document, file, title, key, path } = entry;
  const inner = problem.object === "" ? "" : `${problem.object}: `;
  if (place !== undefined) {
    const at = { line: problem.line + place.line, column: problem.column + place.indent };
    return describeProblem(file, document.number, at, title, `data[${key}]: ${inner}${problem.message}`);
  }
  const where = `data[${key}]: line ${problem.line}, column ${problem.column}: `;
  return describeProblem(
    file,
    document.number,
    document.locate(path),
    title,
    `${where}${inner}${problem.message}`,
  );
}
