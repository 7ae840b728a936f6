// The lab's API: HTTP with JSON on a unix socket. The command line and the agents are its clients.
//
//   GET  /status                        LabStatus
//   GET  /topology                      the plan
//   GET  /objects/KIND[?namespace&name] {"kind","namespaced","items"}; without namespace all of them
//   GET  /watch?node=NAME[&kinds=A,B]   JSON lines: {"type":"ADDED"|"MODIFIED"|"DELETED","object"}, {"type":"BOOKMARK"}
//   GET  /logs?namespace&pod&container[&offset]  text, from that byte on
//   GET  /log-times?namespace&pod&container  {"starts":[byte],"times":[[byte,ms]]}
//   POST /apply    {"manifests":[{"file","text"}],"namespace"?,"create"?} {"items":[Outcome],"notes":[line]}
//   POST /delete   {"manifests":[…]} or {"kind","namespace","names":[…]}  {"items":[Outcome],"notes":[line]}
//                  both: "dryRun": everything but storing
//   POST /scale    {"kind","name","namespace","replicas","current"?}      {"object"}
//   POST /metadata {"kind","name","namespace","field","set","remove","overwrite"?,"dryRun"?}
//                  {"before","object","warnings":[text]}
//   POST /restart  {"kind","name","namespace"}                           {"object","warnings":[text]}
//   POST /repair   {"made":[namespaces that had to be made again]}
//   POST /down     {"graceMs"}
//
// Errors: {"error","code","exitCode"} with status 4xx; several problems of manifests are several lines of "error".
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Change } from "../cluster/cluster-options.ts";
import { externalIpWarnings } from "../kube/external-ips.ts";
import { warningLines } from "../kube/fields/warnings.ts";
import { type ManifestText, parseManifests } from "../kube/manifest/manifest.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { idleNotes, PassedOver } from "../kube/passed-over.ts";
import { LabError, messageOf } from "./errors.ts";
import type { Lab } from "./lab.ts";
import { imageNotes } from "./pod/image/image-notes.ts";
import { kernelNodeWarnings } from "./policy-kernel-nodes.ts";
import { type ScaleBody, scale } from "./scale.ts";
import { type MetadataBody, restart, setMetadata } from "./set-metadata.ts";

/** Kinds that a node's agent is told of, in the order in which they are best read. */
const WATCHED = [
  "Namespace",
  "Node",
  "ServiceCIDR",
  "Service",
  "EndpointSlice",
  "NetworkPolicy",
  "ClusterNetworkPolicy",
  "Pod",
];
const BODY_MAX_BYTES = 64 << 20;
const WATCH_BACKLOG_BYTES = 64 << 20;

export interface LabServer {
  server: Server;
  close(): void;
}

export function serveLab(
  lab: Lab,
  socketPath: string,
  onDown: (graceMs: number) => Promise<void>,
): Promise<LabServer> {
  const watchers: Watchers = new Map();
  lab.cluster.onChange((change) => {
    let line = "";
    for (const [watcher, kinds] of watchers) {
      if (!kinds.includes(change.object.kind)) continue;
      line ||= `${JSON.stringify(change)}\n`;
      // One that does not read is cut off: it comes back, and begins with a list of what is then.
      if (watcher.writableLength > WATCH_BACKLOG_BYTES) watcher.destroy();
      else watcher.write(line);
    }
  });
  const server = createServer((request, response) => {
    route(lab, watchers, onDown, request, response).catch((error: unknown) => answerError(response, error));
  });
  server.requestTimeout = 0; // a watch lasts as long as its agent
  server.keepAliveTimeout = 1000;
  rmSync(socketPath, { force: true });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(socketPath, () => {
      chmodSync(socketPath, 0o600);
      const close = (): void => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ server, close });
    });
  });
}

/** Who listens, and to which kinds. */
type Watchers = Map<ServerResponse, readonly string[]>;

async function route(
  lab: Lab,
  watchers: Watchers,
  onDown: (graceMs: number) => Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://lab");
  const query = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const path = url.pathname;
  const call = `${request.method} ${path.startsWith("/objects/") ? "/objects" : path}`;
  switch (call) {
    case "GET /status":
      return answer(response, lab.status());
    case "GET /topology":
      return answer(response, lab.topology);
    case "GET /objects":
      return answer(
        response,
        objects(lab, decodeURIComponent(path.slice(9)), query("namespace"), query("name")),
      );
    case "GET /watch":
      return watch(lab, watchers, response, query("kinds"));
    case "GET /logs":
      return logs(
        lab,
        response,
        query("namespace") ?? "default",
        query("pod") ?? "",
        query("container") ?? "",
        Number(query("offset") ?? 0),
      );
    case "GET /log-times":
      return answer(response, lab.logTimes(query("namespace"), query("pod"), query("container")));
    case "POST /apply":
      return answer(response, apply(lab, (await readJsonBody(request)) as ManifestBody));
    case "POST /delete":
      return answer(response, remove(lab, (await readJsonBody(request)) as DeleteBody));
    case "POST /scale":
      return answer(response, { object: scale(lab.cluster, (await readJsonBody(request)) as ScaleBody) });
    case "POST /metadata":
      return answer(response, setMetadata(lab.cluster, (await readJsonBody(request)) as MetadataBody));
    case "POST /restart":
      return answer(response, restart(lab.cluster, (await readJsonBody(request)) as ScaleBody));
    case "POST /repair": {
      const body = (await readJsonBody(request)) as { made?: string[] };
      await lab.repair(body.made ?? []);
      return answer(response, {});
    }
    case "POST /down": {
      const body = (await readJsonBody(request)) as { graceMs?: number };
      await onDown(body.graceMs ?? 1000);
      return answer(response, {});
    }
    default:
      response.statusCode = 404;
      return answer(response, { error: `lab: ${request.method} ${path}: no such call`, exitCode: 1 });
  }
}

interface ManifestBody {
  manifests: ManifestText[];
  /** Of objects that name none. */
  namespace?: string;
  /** No object may name another one. */
  isNamespaceFixed?: boolean;
  /** Objects that are there already refuse the call. */
  create?: boolean;
  dryRun?: boolean;
}

function namespaceOptions(
  { namespace = "default", isNamespaceFixed }: Omit<ManifestBody, "manifests">,
  passed: PassedOver,
) {
  const onlyNamespace = isNamespaceFixed === true ? namespace : undefined;
  return { namespace, passed, onlyNamespace, carries: true };
}

function apply(lab: Lab, body: ManifestBody): unknown {
  const passed = new PassedOver();
  const { create = false, dryRun = false } = body;
  const isTaken = ({ kind, metadata }: KubeObject, name: string): boolean =>
    create && lab.cluster.get(kind, keyOf({ metadata: { ...metadata, name } })) !== undefined;
  const manifests = parseManifests(body.manifests, { ...namespaceOptions(body, passed), isTaken });
  const warned = new Set<string>();
  const items = lab.cluster.applyManifests(manifests, { create, dryRun, warn: (text) => warned.add(text) });
  const objects = manifests.map(({ object }) => object);
  const warnings = externalIpWarnings(objects, lab.cluster.list("Node"));
  return {
    items,
    notes: [
      ...passed.notes(),
      ...idleNotes(manifests),
      ...[...warned].map((text) => `Warning: ${text}`),
      ...warningLines([...manifests, ...imageNotes(manifests, lab.topology.images ?? [])], "lab"),
      ...warnings,
      ...kernelNodeWarnings(objects, lab.topology.nodes),
    ],
  };
}

interface DeleteBody extends Partial<ManifestBody> {
  kind?: string;
  names?: string[];
  graceSeconds?: number;
}

function remove(lab: Lab, body: DeleteBody): unknown {
  const { manifests, kind = "", namespace = "default", names = [], graceSeconds, dryRun = false } = body;
  const passed = new PassedOver();
  const items =
    manifests === undefined
      ? lab.cluster.deleteNamed(kind, namespace, names, graceSeconds, { dryRun })
      : lab.cluster.deleteManifests(manifests, graceSeconds, { ...namespaceOptions(body, passed), dryRun });
  return { items, notes: passed.notes() };
}

function objects(lab: Lab, word: string, namespace: string | undefined, name: string | undefined): unknown {
  const info = lab.cluster.kindOf(word);
  const items = lab.cluster
    .list(info.kind)
    .filter((each) => !info.namespaced || namespace === undefined || each.metadata.namespace === namespace)
    .filter((each) => name === undefined || each.metadata.name === name)
    .sort(byNamespaceAndName);
  if (name !== undefined && items.length === 0) {
    throw new LabError("NOT_FOUND", `${info.plural} "${name}" not found`);
  }
  return { ...info, items };
}

interface Named {
  metadata: { namespace?: string; name: string };
}

function byNamespaceAndName(a: Named, b: Named): number {
  const [x, y] = [a, b].map((each) => `${each.metadata.namespace ?? ""}/${each.metadata.name}`);
  return x < y ? -1 : x > y ? 1 : 0;
}

function watch(lab: Lab, watchers: Watchers, response: ServerResponse, words: string | undefined): void {
  const kinds = words === undefined ? WATCHED : words.split(",").map((word) => lab.cluster.kindOf(word).kind);
  response.writeHead(200, { "content-type": "application/jsonlines" });
  for (const kind of kinds) {
    for (const object of lab.cluster.list(kind)) {
      response.write(`${JSON.stringify({ type: "ADDED", object } satisfies Change)}\n`);
    }
  }
  response.write('{"type":"BOOKMARK"}\n');
  watchers.set(response, kinds);
  response.on("close", () => watchers.delete(response));
  response.on("error", () => watchers.delete(response));
}

function logs(
  lab: Lab,
  response: ServerResponse,
  namespace: string,
  pod: string,
  container: string,
  offset: number,
): void {
  let text: Uint8Array = new Uint8Array(0);
  try {
    text = lab.containerLog(namespace, pod, container, offset);
  } catch {
    // it has printed nothing yet, or has no program
  }
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.end(text);
}

async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES)
      throw new LabError("LAB_TOO_LARGE", "lab: more than 64 MiB of manifests in one call");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? {} : JSON.parse(text);
}

function answer(response: ServerResponse, data: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(data));
}

function answerError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, exitCode } = error as { code?: string; exitCode?: number };
  response.statusCode = code === "NOT_FOUND" ? 404 : 400;
  answer(response, { error: messageOf(error), code: code ?? "LAB_INTERNAL", exitCode: exitCode ?? 1 });
}
