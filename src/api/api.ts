/** The agent's HTTP API on its unix socket: what the CLI asks. JSON in and out; captures and traces are streams. */

import { mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { type BpfInstruction, decodeBpf } from "../base/bpf-program.ts";
import { PodwireError } from "../base/errors.ts";
import { formatIp } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { TUPLE_WORDS } from "../dataplane/table/connection/tuple.ts";
import { ConntrackFilterError, createConntrackFilter } from "../observe/conntrack-filter.ts";
import type { Plane } from "../plane/plane.ts";
import { createRuleOf, type RuleOfConnection } from "./connection-rule.ts";
import { createEventFilter, streamConntrackEvents } from "./conntrack-events.ts";
import { type LiveConnection, liveConnections, type NodeOfVtep } from "./conntrack-view.ts";
import { type MeshOrigin, meshEnds, meshOrigin } from "./mesh-origin.ts";
import { type ShowSources, show } from "./show.ts";
import { SHOW_TABLES } from "./show-tables.ts";
import { type StreamNames, streamCapture, streamTrace } from "./stream-capture.ts";
import type { Watching } from "./watching.ts";

export interface ApiContext {
  node: string;
  plane: Plane;
  watching: Watching;
  sources: ShowSources;
  names: StreamNames;
  status: () => Record<string, unknown>;
  /** The configuration as it was read: file and text. */
  config: () => unknown;
  /** Objects of a kind; null: of every namespace. */
  objects: (word: string, namespace: string | null) => unknown;
  /** Do the other nodes answer? By family. */
  peers: () => Promise<unknown>;
  /** Sends a packet as the node or one of its pods, and tells what came back. */
  probe: (wish: object) => Promise<unknown>;
  /** What podwire-cni hands over and prints; undefined: this agent serves no CNI. gone: it does not wait any more. */
  cni: ((request: Buffer, gone: AbortSignal) => Promise<{ ok: boolean; text: string }>) | undefined;
}

/** Of the plug-in: what it takes from its environment and its standard input. */
const CNI_REQUEST_MAX = 2 ** 20 + 2 ** 16;
const WISH_MAX = 2 ** 16;

export class ApiError extends PodwireError {
  readonly status: number;
  constructor(status: number, message: string, code = "API") {
    super(message, { code });
    this.status = status;
  }
}

export function startApi(context: ApiContext, socket: string): Promise<Server> {
  mkdirSync(dirname(socket), { recursive: true });
  rmSync(socket, { force: true });
  const server = createServer((request, response) => {
    handle(context, request, response).catch((error: unknown) => answerError(response, error));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, () => resolve(server));
  });
}

function answerError(response: ServerResponse, error: unknown): void {
  const isOurs = error instanceof ApiError;
  const isFilter = error instanceof ConntrackFilterError;
  const status = isOurs ? error.status : isFilter ? 400 : 500;
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  json(response, { error: message, ...(isOurs && { code: error.code }) }, status);
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function handle(
  context: ApiContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://agent");
  const { pathname, searchParams } = url;
  const route = `${request.method} ${pathname}`;
  if (route === "GET /status") return json(response, context.status());
  if (route === "POST /cni") return answerPlugin(context, request, response);
  if (route === "GET /peers") return json(response, await context.peers());
  if (route === "POST /probe") return json(response, await context.probe(await readWish(request)));
  if (route === "GET /config") return json(response, context.config());
  if (route === "GET /mesh/origin") return json(response, originOf(context, searchParams));
  if (route.startsWith("GET /objects/")) {
    const word = decodeURIComponent(pathname.slice("/objects/".length));
    return json(response, context.objects(word, searchParams.get("namespace")));
  }
  if (route === "GET /conntrack/count") {
    const t = context.plane.tables.conntrack;
    return json(response, { count: conntrack.used(t), max: t.capacity });
  }
  if (route === "GET /conntrack/events") {
    const types = searchParams.get("types") ?? "";
    searchParams.delete("types");
    const wants = createEventFilter(types, createConntrackFilter(searchParams));
    const { node } = context;
    const source = {
      table: context.plane.tables.conntrack,
      node,
      ruleOf: () => rulesOf(context),
      viaOf: () => vtepsOf(context),
    };
    return streamConntrackEvents(source, wants, response);
  }
  if (route === "GET /conntrack") return json(response, { items: listConnections(context, searchParams) });
  if (route === "DELETE /conntrack") {
    return json(response, { items: await deleteConnections(context, searchParams) });
  }
  if (route === "GET /capture") {
    return streamCapture(context.watching, context.names, captureQuery(searchParams), response);
  }
  if (route === "GET /trace") {
    const count = numberOf(searchParams, "count", -1);
    const program = programOf(searchParams);
    return streamTrace(context.watching, context.names, { count, program }, response);
  }
  const table = /^GET \/show\/([a-z]+)$/.exec(route)?.[1];
  if (table !== undefined) {
    const items = show(table, context.sources);
    if (items === null) throw new ApiError(404, `no table "${table}": one of ${SHOW_TABLES.join(", ")}`);
    return json(response, { kind: table, items });
  }
  throw new ApiError(404, `${route}: no such call`);
}

async function readWish(request: IncomingMessage): Promise<object> {
  const text = (await readBody(request, WISH_MAX)).toString("utf8");
  try {
    const wish: unknown = JSON.parse(text);
    if (typeof wish === "object" && wish !== null) return wish;
  } catch {} // told below
  throw new ApiError(400, "a probe is one JSON object");
}

async function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) throw new ApiError(413, `more than ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** 200: what goes to standard output; 422: an error that does. */
async function answerPlugin(
  { cni }: ApiContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (cni === undefined) throw new ApiError(404, "this agent serves no CNI: its configuration has no `cni`");
  const body = await readBody(request, CNI_REQUEST_MAX);
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  if (request.socket.destroyed) gone.abort(); // it was killed meanwhile
  const { ok, text } = await cni(body, gone.signal);
  response.writeHead(ok ? 200 : 422, { "content-type": "application/json", connection: "close" });
  response.end(text);
}

function originOf({ plane, names }: ApiContext, parameters: URLSearchParams): MeshOrigin {
  const ends = meshEnds(parameters);
  if (typeof ends === "string") throw new ApiError(400, ends);
  const origin = meshOrigin(plane.tables.conntrack, ends, names.service);
  if (origin === undefined) throw new ApiError(404, "the mesh proxy was given no such connection");
  return origin;
}

function listConnections(context: ApiContext, parameters: URLSearchParams): unknown[] {
  const wants = createConntrackFilter(parameters);
  const items: unknown[] = [];
  for (const { entry } of connectionsOf(context)) if (wants(entry)) items.push(entry);
  return items;
}

function connectionsOf(context: ApiContext): Iterable<LiveConnection> {
  return liveConnections(context.plane.tables.conntrack, context.node, rulesOf(context), vtepsOf(context));
}

function rulesOf({ sources }: ApiContext): RuleOfConnection {
  return createRuleOf(sources.policies());
}

function vtepsOf({ sources }: ApiContext): NodeOfVtep {
  const vteps = sources.vteps();
  return (macHi, macLo) => {
    const found = vteps.find((vtep) => vtep.macHi === macHi && vtep.macLo === macLo);
    return found === undefined ? formatMac(macHi, macLo) : formatIp(found);
  };
}

async function deleteConnections(context: ApiContext, parameters: URLSearchParams): Promise<unknown[]> {
  const wants = createConntrackFilter(parameters);
  const found = [...connectionsOf(context)].filter((c) => wants(c.entry));
  const slots = Int32Array.from(found, (c) => c.slot);
  const tuples = new Int32Array(found.length * TUPLE_WORDS);
  found.forEach((c, i) => {
    tuples.set(c.key, i * TUPLE_WORDS);
  });
  await context.plane.apply({ type: "conntrack-delete", slots, tuples });
  return found.map((c) => c.entry);
}

function captureQuery(parameters: URLSearchParams): Parameters<typeof streamCapture>[2] {
  const ports = parameters.get("ports");
  return {
    ports: ports === null ? null : new Set(ports.split(",").map(Number)),
    program: programOf(parameters),
    snapLen: numberOf(parameters, "snaplen", 0),
  };
}

/** A classic BPF program, base64url; null = every packet. */
function programOf(parameters: URLSearchParams): BpfInstruction[] | null {
  const text = parameters.get("filter");
  if (text === null || text === "") return null;
  try {
    return decodeBpf(Buffer.from(text, "base64url"));
  } catch (error) {
    throw new ApiError(400, `filter: ${(error as Error).message}`);
  }
}

function numberOf(parameters: URLSearchParams, name: string, missing: number): number {
  const text = parameters.get(name);
  if (text === null) return missing;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new ApiError(400, `${name}: "${text}" is no number`);
  return value;
}
