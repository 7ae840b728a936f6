// A client of the Kubernetes API, as the commands need it: of a lab by its socket, of a cluster by a kubeconfig. What the
// server refuses is an ApiError, its warnings are printed once.
import type { KubeObject } from "../../kube/objects.ts";
import { Lines } from "../../watch/api-server/lines.ts";
import { noteOnce } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { apiError, statusOf } from "./api-error.ts";
import { type ApiResource, noSuchKind, ResourceFinder } from "./discovery.ts";
import type { ApiRequest, ApiResponse, Transport, Upgrade } from "./transport.ts";

/** One object, or with no name all of a kind. */
export interface Place {
  readonly resource: ApiResource;
  /** Undefined: of all namespaces, or the kind has none. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface ObjectList {
  readonly items: KubeObject[];
  /** Where a watch goes on from here. */
  readonly resourceVersion: string;
}

/** A table as the server prints it, with the object of each row. */
export interface ObjectTable extends ObjectList {
  readonly columns: readonly TableColumn[];
  /** Cells of each object, as many as columns. */
  readonly cells: ReadonlyMap<KubeObject, readonly unknown[]>;
}

export interface TableColumn {
  readonly name: string;
  /** Above 0: with -o wide alone. */
  readonly priority: number;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  /** An object, a Status, or a table where one was asked for. */
  readonly object: KubeObject;
}

export interface Stream<T> {
  readonly items: AsyncIterable<T>;
  close(): void;
}

export type PatchType = "json" | "merge" | "strategic-merge" | "apply";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: string;
  readonly isDryRun?: boolean;
}

const MANAGER = "podwire";
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const PATCH_TYPES: Readonly<Record<PatchType, string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  "strategic-merge": "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
};

export class ApiClient {
  readonly label: string;
  /** Of a lab: its kinds and columns are those of this program. */
  readonly isLab: boolean;
  readonly finder: ResourceFinder;
  readonly #transport: Transport;

  constructor(transport: Transport, isLab: boolean) {
    this.#transport = transport;
    this.label = transport.label;
    this.isLab = isLab;
    this.finder = new ResourceFinder((path, accept) => this.#document(path, accept), isLab);
  }

  /** By kubectl's words for it. Throws a CliError ("UNKNOWN_KIND") where there is no such kind. */
  async resource(word: string): Promise<ApiResource> {
    const found = await this.finder.byWord(word);
    if (found === undefined) throw noSuchKind(word);
    return found;
  }

  async list(place: Place, query: Query = {}): Promise<ObjectList> {
    const list = (await this.json({ method: "GET", path: pathOf(place, query) })) as ListAnswer;
    const { apiVersion, kind } = place.resource;
    const head: object = { apiVersion, kind }; // which built-in lists leave out of their items
    const items = (list.items ?? []).map((each) => ({ ...head, ...each }));
    return { items, resourceVersion: list.metadata?.resourceVersion ?? "" };
  }

  async table(place: Place, query: Query = {}): Promise<ObjectTable> {
    const path = pathOf(place, { ...query, includeObject: "Object" });
    return tableOf((await this.json({ method: "GET", path, accept: TABLE })) as TableAnswer);
  }

  /** Throws an ApiError ("NOT_FOUND") where there is none. */
  async get<T extends KubeObject = KubeObject>(place: Place, query: Query = {}): Promise<T> {
    return (await this.json({ method: "GET", path: pathOf(place, query) })) as T;
  }

  /** Undefined where there is none. */
  async find<T extends KubeObject = KubeObject>(place: Place): Promise<T | undefined> {
    try {
      return await this.get<T>(place);
    } catch (error) {
      if ((error as { code?: string }).code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** `place` without a name, or with that of an object whose subresource is made. */
  async create(place: Place, object: object, isDryRun = false): Promise<KubeObject> {
    const path = pathOf(place, written(isDryRun));
    return (await this.json({ method: "POST", path, body: JSON.stringify(object) })) as KubeObject;
  }

  /** With the object's resourceVersion a conflict is refused. */
  async replace(place: Place, object: object, isDryRun = false): Promise<KubeObject> {
    const path = pathOf(place, written(isDryRun));
    return (await this.json({ method: "PUT", path, body: JSON.stringify(object) })) as KubeObject;
  }

  async patch(place: Place, type: PatchType, patch: object, query: Query = {}): Promise<KubeObject> {
    const path = pathOf(place, { fieldManager: MANAGER, ...query });
    const body = JSON.stringify(patch);
    return (await this.json({ method: "PATCH", path, body, contentType: PATCH_TYPES[type] })) as KubeObject;
  }

  /** One object, or all of a namespace that the query's selectors choose. */
  async delete(place: Place, options: DeleteOptions = {}, query: Query = {}): Promise<unknown> {
    const { gracePeriodSeconds, propagationPolicy = "Background", isDryRun = false } = options;
    const path = pathOf(place, { ...query, ...(isDryRun ? DRY_RUN : {}) });
    const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
    const body = JSON.stringify({ kind: "DeleteOptions", apiVersion: "v1", propagationPolicy, ...grace });
    return this.json({ method: "DELETE", path, body });
  }

  /** Changes from a list's version on; `asTable`: each event's object is a table of one row. */
  async watch(place: Place, query: Query, asTable = false): Promise<Stream<WatchEvent>> {
    const path = pathOf(place, { ...query, watch: true, ...(asTable ? { includeObject: "Object" } : {}) });
    const { body, close } = await this.open({ method: "GET", path, ...(asTable ? { accept: TABLE } : {}) });
    return { items: eventsOf(body), close };
  }

  /** What it answers, as JSON. */
  async json(request: ApiRequest): Promise<unknown> {
    const text = await textOf((await this.open(request)).body);
    try {
      return JSON.parse(text);
    } catch {
      const why = `${this.label}: what it answers is not JSON: is it a Kubernetes API?`;
      throw new CliError(why, Exit.FAILED, "CLI_STRANGE");
    }
  }

  /** Bytes as they come: a log. */
  async bytes(request: ApiRequest): Promise<Stream<Uint8Array>> {
    const { body, close } = await this.open(request);
    return { items: body, close };
  }

  /** How a WebSocket to this path and query is opened. */
  upgrade(path: string): Promise<Upgrade> {
    return this.#transport.upgrade(path);
  }

  async open(request: ApiRequest): Promise<ApiResponse> {
    const response = await this.#transport.send(request);
    noteOnce(warningsOf(response.warning).map((text) => `Warning: ${text}`));
    if (response.code < 300) return response;
    throw apiError(response.code, await textOf(response.body));
  }

  async #document(path: string, accept: string): Promise<object | undefined> {
    try {
      return (await this.json({ method: "GET", path, accept })) as object;
    } catch (error) {
      if ((error as { code?: string }).code === "NOT_FOUND") return undefined;
      throw error;
    }
  }
}

interface ListAnswer {
  readonly items?: KubeObject[];
  readonly metadata?: { readonly resourceVersion?: string };
}

interface TableAnswer {
  readonly columnDefinitions?: readonly TableColumn[] | null;
  readonly rows?: readonly { readonly cells: readonly unknown[]; readonly object: KubeObject }[];
  readonly metadata?: { readonly resourceVersion?: string };
}

export function tableOf({ columnDefinitions, rows, metadata }: TableAnswer): ObjectTable {
  const cells = new Map((rows ?? []).map((row) => [row.object, row.cells]));
  const resourceVersion = metadata?.resourceVersion ?? "";
  return { columns: columnDefinitions ?? [], cells, items: [...cells.keys()], resourceVersion };
}

const DRY_RUN = { dryRun: "All" };

function written(isDryRun: boolean): Query {
  return { fieldManager: MANAGER, ...(isDryRun ? DRY_RUN : {}) };
}

/** What asks for a rehearsal, for `patch`. */
export function dryRunQuery(isDryRun: boolean): Query {
  return isDryRun ? DRY_RUN : {};
}

/** A path with "" or ".." in it is another object's, or that of all: a deletion would take them. */
function segment(what: string, text: string): string {
  if (text === "") throw usageError(`${what} may not be empty`);
  const bad = text === "." || text === ".." ? text : /[/%]/.exec(text)?.[0];
  if (bad === undefined) return text;
  const why = bad === text ? `may not be '${bad}'` : `may not contain '${bad}'`;
  throw usageError(`invalid ${what} ${JSON.stringify(text)}: [${why}]`);
}

/** Throws a CliError where names are none. */
export function pathOf({ resource, namespace, name, subresource }: Place, query: Query = {}): string {
  const { apiVersion, group, plural, namespaced } = resource;
  const inside = namespaced && namespace !== undefined ? ["namespaces", segment("namespace", namespace)] : [];
  const named = name === undefined ? [] : [segment("resource name", name)];
  const parts = [...inside, plural, ...named].map(encodeURIComponent);
  const tail = subresource === undefined ? "" : `/${subresource}`;
  const asked = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) asked.set(key, String(value));
  const path = `${group === "" ? "/api" : "/apis"}/${apiVersion}/${parts.join("/")}${tail}`;
  return asked.size === 0 ? path : `${path}?${asked}`;
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent> {
  const lines = new Lines();
  for await (const chunk of body) {
    const whole: string[] = [];
    lines.add(chunk, (line) => whole.push(line));
    for (const line of whole) {
      const event = JSON.parse(line) as WatchEvent;
      if (event.type !== "ERROR") yield event;
      else throw apiError(statusOf(JSON.stringify(event.object))?.code ?? 500, JSON.stringify(event.object));
    }
  }
}

/** Texts of a Warning header: 299 - "text", … */
function warningsOf(header: string): string[] {
  const found = [...header.matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)];
  return found.map(([, text]) => text.replaceAll(/\\(.)/g, "$1"));
}
