/**
 * A stand-in for a Kubernetes API server: lists in pages, streaming lists, watches, versions that it forgets. It keeps
 * whatever it is given, and fails on demand. The protocol is the server's; what objects mean it does not know.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { resourceAt, type StoredObject } from "./resource-path.ts";

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly path: string;
  readonly object: StoredObject;
}

interface Watcher {
  readonly path: string;
  readonly response: ServerResponse;
}

interface StatusPatch {
  readonly metadata?: { readonly annotations?: Record<string, string | null> };
  readonly status?: { readonly conditions?: readonly { readonly type: string }[] };
}

export interface Tls {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
}

/** What it does to the next requests, in turn: undefined lets one pass. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export class StandIn {
  /** Events by their paths, as they are after all that was written. */
  readonly events = new Map<string, Record<string, unknown>>();
  readonly requests: { path: string; query: URLSearchParams; headers: IncomingMessage["headers"] }[] = [];
  /** Asked first; true: it has dealt with the request. */
  fault: Fault = () => false;
  /** Bearer tokens that are good; undefined: everybody's. */
  tokens: Set<string> | undefined;
  /** Without: as servers before streaming lists, 422. */
  hasStreams = true;
  pageSize = 500;
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #changes: Change[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #server: Server;
  #version = 100;
  /** Changes up to this one are forgotten. */
  #compacted = 100;
  #uids = 0;

  constructor(tls?: Tls) {
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response);
    this.#server =
      tls === undefined
        ? createServer(onRequest)
        : createTlsServer(
            { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: false },
            onRequest,
          );
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** At a socket of the machine. */
  listenAt(path: string): Promise<void> {
    return new Promise((resolve) => void this.#server.listen(path, resolve));
  }

  /** Goes away as a killed process does. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts all connections, and goes on. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  get watches(): number {
    return this.#watchers.size;
  }

  put(object: object): StoredObject {
    const given = structuredClone(object) as StoredObject;
    const { path, key } = resourceAt(given);
    const objects = this.#of(path);
    const before = objects.get(key);
    this.#version++;
    given.metadata.uid ??= before?.metadata.uid ?? `uid-${++this.#uids}`;
    given.metadata.resourceVersion = String(this.#version);
    objects.set(key, given);
    this.#tell({
      version: this.#version,
      type: before === undefined ? "ADDED" : "MODIFIED",
      path,
      object: given,
    });
    return given;
  }

  /** What it has by this collection's path and this namespace/name. */
  get(path: string, key: string): StoredObject | undefined {
    return this.#of(path).get(key);
  }

  delete(object: object): void {
    const { path, key } = resourceAt(object as StoredObject);
    const before = this.#of(path).get(key);
    if (before === undefined) return;
    this.#of(path).delete(key);
    this.#version++;
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } };
    this.#tell({ version: this.#version, type: "DELETED", path, object: last });
  }

  /** Forgets the history, as compaction does, and ends watches as a restart does. */
  compact(): void {
    this.#compacted = this.#version;
    this.#changes.length = 0;
    this.cut();
  }

  #of(path: string): Map<string, StoredObject> {
    let objects = this.#objects.get(path);
    if (objects === undefined) this.#objects.set(path, (objects = new Map()));
    return objects;
  }

  #tell(change: Change): void {
    this.#changes.push(change);
    for (const watcher of this.#watchers)
      if (watcher.path === change.path) this.#send(watcher, change.type, change.object);
  }

  #send({ response }: Watcher, type: string, object: object): void {
    response.write(`${JSON.stringify({ type, object })}\n`);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://x");
    const { pathname: path, searchParams: query } = url;
    this.requests.push({ path, query, headers: request.headers });
    if (this.fault(request, response)) return;
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1];
    if (this.tokens !== undefined && !this.tokens.has(token ?? "")) refuse(response, 401, "Unauthorized");
    else if (request.method !== "GET") this.#write(request, response, path);
    else if (query.get("watch") === "1") this.#watch(path, query, response);
    else this.#list(path, query, response);
  }

  /** A Node's status: annotations and conditions are merged by their names, as a strategic merge does it. */
  #patchStatus(response: ServerResponse, path: string, body: StatusPatch): void {
    const [, collection, name] = /^(.*)\/([^/]+)\/status$/.exec(path) ?? [];
    const before = this.#of(collection).get(`/${name}`) as (StoredObject & StatusPatch) | undefined;
    if (before === undefined) {
      refuse(response, 404, `nodes "${name}" not found`);
      return;
    }
    const own = body.status?.conditions ?? [];
    const others = (before.status?.conditions ?? []).filter(({ type }) => !own.some((c) => c.type === type));
    const both = { ...before.metadata.annotations, ...body.metadata?.annotations };
    const annotations = Object.fromEntries(Object.entries(both).filter(([, value]) => value !== null));
    const status = { ...before.status, conditions: [...others, ...own] };
    const stored = this.put({ ...before, metadata: { ...before.metadata, annotations }, status });
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(stored));
  }

  /** Events are made and counted up, Nodes' status is patched, and nothing else is written here. */
  #write(request: IncomingMessage, response: ServerResponse, path: string): void {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString("utf8"));
      if (path.endsWith("/status") && request.headers["content-type"]?.includes("strategic") === true) {
        this.#patchStatus(response, path, body);
        return;
      }
      const isMade = request.method === "POST";
      const at = isMade ? `${path}/${body.metadata.name}` : path;
      const before = this.events.get(at);
      const type = isMade ? "application/json" : "application/strategic-merge-patch+json";
      if (request.headers["content-type"] !== type) refuse(response, 415, "UnsupportedMediaType");
      else if (isMade && before !== undefined) refuse(response, 409, "AlreadyExists");
      else if (!isMade && before === undefined) refuse(response, 404, "NotFound");
      else {
        this.events.set(at, { ...before, ...body });
        response.writeHead(isMade ? 201 : 200, { "content-type": "application/json" });
        response.end(JSON.stringify(this.events.get(at)));
      }
    });
  }

  #list(path: string, query: URLSearchParams, response: ServerResponse): void {
    const all = [...this.#of(path)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    const [from, version] = (query.get("continue") ?? `0/${this.#version}`).split("/").map(Number);
    if (version < this.#compacted) {
      refuse(response, 410, "The provided continue parameter is too old");
      return;
    }
    const limit = Math.min(Number(query.get("limit") ?? Number.MAX_SAFE_INTEGER), this.pageSize);
    const isLast = from + limit >= all.length || !query.has("limit");
    const items = query.has("limit") ? all.slice(from, from + limit) : all;
    // Items of a list come without kind and version, as they do from the server.
    const bare = items.map(({ kind: _kind, apiVersion: _version, ...rest }) => rest);
    const metadata = {
      resourceVersion: String(version),
      ...(isLast ? {} : { continue: `${from + limit}/${version}` }),
    };
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ metadata, items: bare }));
  }

  #watch(path: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    const isList = query.get("sendInitialEvents") === "true";
    if (isList && !this.hasStreams) {
      refuse(response, 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch");
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    const watcher = { path, response };
    if (!isList && from < this.#compacted) {
      const status = {
        kind: "Status",
        code: 410,
        reason: "Expired",
        message: `too old resource version: ${from}`,
      };
      this.#send(watcher, "ERROR", status);
      response.end();
      return;
    }
    if (isList) {
      for (const object of this.#of(path).values()) this.#send(watcher, "ADDED", object);
      this.#send(watcher, "BOOKMARK", listEnd(this.#version));
    } else {
      for (const { version, path: at, type, object } of this.#changes)
        if (version > from && at === path) this.#send(watcher, type, object);
    }
    this.#watchers.add(watcher);
    response.flushHeaders();
    response.on("close", () => this.#watchers.delete(watcher));
  }
}

function listEnd(version: number): object {
  const annotations = { "k8s.io/initial-events-end": "true" };
  return { metadata: { resourceVersion: String(version), annotations } };
}

export function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify({ kind: "Status", status: "Failure", code, message }));
}
