// Manifests: text → checked, defaulted objects that know where they were written. What a real API server would
// refuse is refused, every problem of a call at once, each with file, line, column, document, object and field.
import { PodwireError } from "../../base/errors.ts";
import { applyDefaults } from "../defaults.ts";
import { standardizeAddresses } from "../fields/addresses.ts";
import { type FieldNote, notDone } from "../fields/fields.ts";
import { serviceNotes } from "../fields/service-notes.ts";
import { NameMaker } from "../generate-name.ts";
import { judgeKind, listProblem } from "../judge-kind.ts";
import type { KindInfo } from "../kinds.ts";
import type { KubeObject } from "../objects.ts";
import type { PassedOver } from "../passed-over.ts";
import { validateObject } from "../validate/object.ts";
import type { CustomKinds } from "./custom-kind.ts";
import { decode, decodeCarried, decodeCustom, decodeOwn, isTyped } from "./decode.ts";
import { type FieldPath, type FieldProblem, FieldProblems } from "./field-problems.ts";
import { configurationProblem, withoutKind } from "./no-objects.ts";
import { splitText, type TextPiece } from "./split-documents.ts";
import { parsePiece, type SourceDocument } from "./yaml-documents.ts";

export interface ManifestText {
  /** As the user named it; "-" is standard input. */
  readonly file: string;
  readonly text: string;
}

/** An object and where it was written. */
export interface Manifest {
  readonly object: KubeObject;
  readonly info: KindInfo;
  /** What the user should know of it although it is taken: fields that do nothing here, addresses written oddly. */
  readonly notes: readonly FieldNote[];
  /** One line about a problem of this object, found later (an address that is taken …). */
  problem(path: FieldPath, message: string): ManifestProblem;
}

export interface ManifestProblem {
  readonly file: string;
  readonly document: number;
  readonly line: number;
  readonly column: number;
  /** `Service "api"`, or "" when it did not come that far. */
  readonly object: string;
  readonly message: string;
  /** All of it on one line: `demo.yaml:12:17: document 2: Service "api": spec.ports[0].port: Invalid value: …`. */
  readonly text: string;
}

/** Everything that is wrong with one call's manifests; nothing of the call was applied. */
export class ManifestError extends PodwireError {
  readonly problems: readonly ManifestProblem[];

  constructor(problems: readonly ManifestProblem[]) {
    super(problems.map((p) => p.text).join("\n"), { code: "MANIFEST_INVALID", problems });
    this.problems = problems;
  }
}

/** Reports what is wrong with an object of a configuration kind. */
export type ConfigurationRules = (kind: string, value: unknown, problems: FieldProblems) => void;

export interface ParseOptions {
  /**
   * How configuration is judged, where it is looked for (config/check.ts). Without it configuration is refused, as an API
   * server refuses it; "pass over": it may lie beside objects, and is somebody else's.
   */
  readonly configuration?: ConfigurationRules | "pass over";
  /** Namespace of namespaced objects that name none. */
  readonly namespace?: string;
  /** The only namespace that objects may name: that of `-n`, where it was given. */
  readonly onlyNamespace?: string | undefined;
  /** Whether an object has this name already: `generateName` then makes another one. */
  readonly isTaken?: (object: KubeObject, name: string) => boolean;
  /** Told of objects that are passed over since their kinds are not the network's business. */
  readonly passed?: PassedOver;
  /** For a lab: kinds of the API that are not the network's are read as well, where a store can hold them. */
  readonly carries?: boolean;
  /** Kinds that somebody has defined. */
  readonly customKinds?: CustomKinds | undefined;
  /** All kinds are: whoever is asked about the objects knows them. */
  readonly isRaw?: boolean;
}

/** Checks and defaults all objects of all texts, in order; throws a ManifestError that lists every problem. */
export function parseManifests(texts: readonly ManifestText[], options: ParseOptions = {}): Manifest[] {
  const steps = parseSteps(texts, options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** What was read of each piece of text, for who reads much the same again: a piece that did not change is not read. */
export type Readings = Map<string, readonly Reading[]>;

/** An object that a piece of text holds, and where in it; or the kind of one that was passed over. */
type Reading = ObjectReading | string;

interface ObjectReading {
  readonly object: KubeObject;
  readonly info: KindInfo;
  readonly notes: readonly FieldNote[];
  /** Which of the piece's documents, from 0, and where in that. */
  readonly document: number;
  readonly prefix: FieldPath;
}

/**
 * As `parseManifests`, object by object, for a caller who has other things to do in between. `before` are the readings
 * of an earlier call with the same options; `after` is filled with this one's.
 */
export function* parseSteps(
  texts: readonly ManifestText[],
  options: ParseOptions = {},
  before?: Readings,
  after?: Readings,
): Generator<void, Manifest[]> {
  const problems: ManifestProblem[] = [];
  const manifests: Manifest[] = [];
  const names = new NameMaker(options.isTaken);
  for (const { file, text } of texts) {
    for (const piece of splitText(text)) {
      const known = before?.get(piece.text);
      const source = new Source(file, known === undefined && after !== undefined ? owned(piece) : piece);
      const readings = known ?? (yield* readPiece(source, options, problems));
      yield;
      for (const reading of readings ?? []) {
        if (typeof reading === "string") options.passed?.add(reading);
        else manifests.push(manifestFrom({ ...reading, object: names.named(reading.object) }, source));
      }
      if (readings !== undefined) after?.set(piece.text, readings);
    }
  }
  checkDuplicates(manifests, problems);
  if (problems.length > 0) throw new ManifestError(problems);
  return manifests;
}

/**
 * The same with a text of its own. A part of a string holds the whole of it, so objects that are kept from one version of
 * a file to the next would each keep the version they came with.
 */
function owned(piece: TextPiece): TextPiece {
  return { ...piece, text: Buffer.from(piece.text).toString() };
}

/** A piece of a file. Its documents are read when somebody asks for them: of a piece that is known, hardly ever. */
class Source {
  readonly file: string;
  readonly #piece: TextPiece;
  #documents: readonly SourceDocument[] | undefined;

  constructor(file: string, piece: TextPiece) {
    this.file = file;
    this.#piece = piece;
  }

  get documents(): readonly SourceDocument[] {
    this.#documents ??= parsePiece(this.#piece);
    return this.#documents;
  }
}

/** The objects of a piece; undefined when something is wrong with it. */
function* readPiece(
  source: Source,
  options: ParseOptions,
  problems: ManifestProblem[],
): Generator<void, readonly Reading[] | undefined> {
  const readings: Reading[] = [];
  const before = problems.length;
  for (const [document, doc] of source.documents.entries()) {
    for (const p of doc.problems) {
      const message = `error converting YAML to JSON: yaml: ${p.message}`;
      problems.push(describeProblem(source.file, doc.number, p, "", message));
    }
    if (doc.problems.length > 0) continue;
    const from = readings.length;
    yield* readItems(new Origin(source, document, []), doc.value, options, readings, problems);
    if (doc.unread !== undefined) noteUnread(readings, from, doc.unread);
  }
  return problems.length === before ? readings : undefined;
}

const SHOWN_MAX = 40;

/** The last object of a document is told what stands behind the document's end. */
function noteUnread(readings: Reading[], from: number, line: string): void {
  const last = readings.findLastIndex((each, at) => at >= from && typeof each !== "string");
  if (last < 0) return;
  const reading = readings[last] as ObjectReading;
  const shown = line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX)}…` : line;
  const what = `${JSON.stringify(shown)} is behind the document's end and not read, nor is it by kubectl`;
  const text = `${what}: put --- between documents`;
  readings[last] = { ...reading, notes: [...reading.notes, { field: "...", text, scope: "node" }] };
}

function manifestFrom({ object, info, notes, document, prefix }: ObjectReading, source: Source): Manifest {
  const problem = (path: FieldPath, message: string): ManifestProblem =>
    new Origin(source, document, prefix).problem(titleOf(object, info.kind.split(".", 1)[0]), {
      path,
      message,
      atKey: false,
    });
  return { object, info, notes, problem };
}

/** A manifest for an object that no file holds: made by a program, or received as JSON. */
export function manifestOf(value: unknown, file: string, options: ParseOptions = {}): Manifest {
  return parseManifests([{ file, text: JSON.stringify(value) }], options)[0];
}

/** Where an object stands: a document, or an item of a List in it. */
class Origin {
  readonly source: Source;
  readonly document: number;
  readonly prefix: FieldPath;

  constructor(source: Source, document: number, prefix: FieldPath) {
    this.source = source;
    this.document = document;
    this.prefix = prefix;
  }

  get doc(): SourceDocument {
    return this.source.documents[this.document];
  }

  problem(object: string, { path, message, atKey }: FieldProblem): ManifestProblem {
    const at = this.doc.locate([...this.prefix, ...writtenAt(path, this)], atKey);
    return describeProblem(this.source.file, this.doc.number, at, object, message);
  }

  has(path: FieldPath): boolean {
    return this.doc.has([...this.prefix, ...path]);
  }
}

// Fields that defaulting copied from another place, where the user wrote them.
const COPIED: readonly (readonly [string, FieldPath])[] = [
  ["spec.clusterIPs", ["spec", "clusterIP"]],
  ["spec.podCIDRs", ["spec", "podCIDR"]],
  ["status.podIPs", ["status", "podIP"]],
];

function writtenAt(path: FieldPath, origin: Origin): FieldPath {
  const head = path.slice(0, 2);
  const copy = COPIED.find(([field]) => field === head.join("."));
  return copy !== undefined && !origin.has(head) && origin.has(copy[1]) ? copy[1] : path;
}

function* readItems(
  origin: Origin,
  value: unknown,
  options: ParseOptions,
  readings: Reading[],
  problems: ManifestProblem[],
): Generator<void, void> {
  const list = value as { kind?: unknown; apiVersion?: unknown; items?: unknown };
  if (typeof list?.kind === "string" && list.kind.endsWith("List") && Array.isArray(list.items)) {
    const wrong = listProblem(list, origin.prefix.length / 2);
    if (wrong !== undefined) {
      problems.push(origin.problem("", { ...wrong, atKey: false }));
      return;
    }
    for (const [i, item] of list.items.entries()) {
      const inner = new Origin(origin.source, origin.document, [...origin.prefix, "items", i]);
      yield* readItems(inner, withListKind(item, list as ListHead), options, readings, problems);
    }
    return;
  }
  const reading = readObject(origin, value, options, problems);
  if (reading !== undefined) readings.push(reading);
  yield;
}

interface ListHead {
  readonly kind: string;
  readonly apiVersion?: string;
}

/** Items of a typed list (PodList) may leave kind and version out. */
function withListKind(item: unknown, list: ListHead): unknown {
  if (list.kind === "List" || typeof item !== "object" || item === null) return item;
  return { apiVersion: list.apiVersion, kind: list.kind.slice(0, -"List".length), ...item };
}

function readObject(
  origin: Origin,
  value: unknown,
  options: ParseOptions,
  problems: ManifestProblem[],
): Reading | undefined {
  const fail = (path: FieldPath, message: string): undefined => {
    problems.push(origin.problem("", { path, message, atKey: false }));
    return undefined;
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return fail([], "a manifest is a map with apiVersion, kind and metadata");
  }
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown };
  if (typeof kind !== "string" || kind === "") {
    return fail(["kind"], `error validating data: kind not set${withoutKind(value)}`);
  }
  if (typeof apiVersion !== "string" || apiVersion === "") {
    return fail(["apiVersion"], "error validating data: apiVersion not set");
  }
  const verdict = options.isRaw === true ? FOREIGN : judgeKind(apiVersion, kind);
  if (verdict.what === "refused") return fail(["kind"], verdict.message);
  const custom = verdict.what === "foreign" ? options.customKinds?.(apiVersion, kind) : undefined;
  if (
    verdict.what === "foreign" &&
    custom === undefined &&
    (options.carries !== true || verdict.info === undefined)
  )
    return verdict.title;
  const { info } = custom ?? (verdict as { info: KindInfo });
  const { configuration } = options;
  if (!info.stored && configuration === undefined) return fail(["kind"], configurationProblem(info));
  if (!info.stored && configuration === "pass over") return kind;
  const found = new FieldProblems();
  const read = custom?.read ?? readerOf(info, origin.doc.isTree);
  const object = info.stored ? (read(value, kind, found) as KubeObject) : (value as KubeObject);
  if (info.stored) object.apiVersion = info.apiVersion;
  if (!info.stored && typeof configuration === "function") configuration(kind, value, found);
  const notes: FieldNote[] = [];
  if (!found.any) notDone(object, object.kind, (note) => notes.push(note));
  if (!found.any && info.stored) {
    standardizeAddresses(object, (field, text) => notes.push(addressNote(field, text)));
    serviceNotes(object, (field, text) => notes.push({ field, text, scope: "node" }));
    applyDefaults(object, info.namespaced, options.namespace ?? "default");
    if (info.namespaced) checkNamespace(object.metadata.namespace, options.onlyNamespace, found);
    validateObject(object, info, found);
  }
  const name = titleOf(object, kind);
  for (const problem of found.list) problems.push(origin.problem(name, problem));
  if (found.any) return undefined;
  return { object, info, notes, document: origin.document, prefix: origin.prefix };
}

const FOREIGN = { what: "foreign", title: "", info: undefined } as const;

function readerOf(info: KindInfo, isTree: boolean): typeof decodeOwn {
  if (info.carried === true && !isTyped(info.kind)) return decodeCarried;
  if (info.custom === true) return decodeCustom;
  return isTree ? decodeOwn : decode;
}

/** All addresses of one field are one matter. */
/** A range that can mean two things is told each time, a spelling once for its field. */
function addressNote(field: string, text: string): FieldNote {
  const range = text.includes(" is ambiguous ") ? `: ${text}` : "";
  return { field, text, group: `${field.replaceAll(/\[\d+\]/g, "")} address${range}`, scope: "node" };
}

/** kubectl's own check, in its words. */
function checkNamespace(named: string | undefined, only: string | undefined, problems: FieldProblems): void {
  if (only === undefined || named === only) return;
  const what = `the namespace from the provided object "${named}" does not match the namespace "${only}"`;
  const way = `You must pass '--namespace=${named}' to perform this operation.`;
  problems.add(["metadata", "namespace"], `${what}. ${way}`);
}

function checkDuplicates(manifests: readonly Manifest[], problems: ManifestProblem[]): void {
  const seen = new Set<string>();
  for (const { object, problem } of manifests) {
    const { namespace = "", name } = object.metadata ?? {};
    const key = `${object.kind}/${namespace}/${name}`;
    if (seen.has(key))
      problems.push(problem(["metadata", "name"], `metadata.name: Duplicate value: "${name}"`));
    seen.add(key);
  }
}

function titleOf(object: KubeObject | undefined, kind: string): string {
  const name = object?.metadata?.name;
  return typeof name === "string" && name !== "" ? `${kind} "${name}"` : kind;
}

/** A problem with the line that tells it. */
export function describeProblem(
  file: string,
  document: number,
  at: { line: number; column: number },
  object: string,
  message: string,
): ManifestProblem {
  const { line, column } = at;
  const who = object === "" ? "" : `${object}: `;
  const text = `${file}:${line}:${column}: document ${document}: ${who}${message}`;
  return { file, document, line, column, object, message, text };
}
