// One request, one answer: what the Kubernetes API is apart from HTTP.
//
//   /api, /apis, /api/v1, /apis/GROUP[/VERSION]                 discovery
//   /api/v1/… , /apis/GROUP/VERSION/…                           objects: get, list, watch, create, update, patch, delete
//   /openapi/v2, /openapi/v3/…                                  fields of kinds
//   /version, /healthz, /livez, /readyz                         the server itself
import type { Cluster } from "../cluster/cluster.ts";
import type { KubeObject, Pod } from "../kube/objects.ts";
import { AUTOSCALERS } from "./autoscaler-versions.ts";
import { gatewayResources } from "./custom/gateway-resources.ts";
import { meshResources } from "./custom/mesh-resources.ts";
import { followDefinitions } from "./custom-resources.ts";
import { Discovery, VERSION } from "./discovery.ts";
import { EVENTS } from "./event-versions.ts";
import { evicted, evictionRefusal } from "./evictions.ts";
import { formatOf, shown } from "./format.ts";
import { Lists } from "./list.ts";
import { OpenApiDocuments } from "./openapi/documents.ts";
import { checkManager, deletion, mapOf } from "./options.ts";
import { managerName } from "./patch/apply-patch.ts";
import { isApply, patched } from "./patches.ts";
import { decodeObject, ProtobufError } from "./protobuf/decode.ts";
import {
  flagOf,
  isDryRun,
  listOptions,
  type Query,
  resourcePath,
  splitPath,
  urlOf,
  watchOptions,
} from "./request.ts";
import { type Resource, Resources } from "./resource.ts";
import { REVIEWS, reviewed, type User } from "./reviews.ts";
import { scaled, scaleOf, scaleResource } from "./scales.ts";
import { duplicateFields } from "./schema/duplicate-fields.ts";
import { nestingProblem } from "./schema/nesting.ts";
import {
  badRequest,
  conflict,
  invalidField,
  methodNotAllowed,
  noSuchPath,
  type StatusError,
  unsupportedType,
} from "./status.ts";
import { answeredTokenRequest } from "./token-request.ts";
import type { Tokens } from "./tokens.ts";
import { type Sink, Watches } from "./watches.ts";
import { type Call, type NotesOf, Writes } from "./writes.ts";

export interface ApiRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly userAgent?: string | undefined;
  readonly body: Buffer;
  readonly user: User;
}

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  /** Texts of Warning headers. */
  readonly warnings: readonly string[];
}

/** An answer without an end. */
export interface WatchAnswer {
  /** Returns the way to stop. */
  readonly watch: (sink: Sink) => () => void;
}

/** A request, taken apart. */
interface Asked {
  readonly request: ApiRequest;
  readonly query: Query;
  readonly call: Call;
  readonly subresource: string | undefined;
}

const JSON_TYPE = "application/json";
const PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf";
const PATCH_OPTIONS = { group: "meta.k8s.io", plural: "patchoptions", kind: "PatchOptions" };
const HEALTH = ["healthz", "livez", "readyz"];

export class Api {
  readonly #cluster: Cluster;
  readonly #resources = new Resources();
  readonly #discovery: Discovery;
  readonly #documents: OpenApiDocuments;
  readonly #lists: Lists;
  readonly #watches: Watches;
  readonly #writes: Writes;
  readonly #tokens: Tokens;
  readonly #unfollow: () => void;

  /** `notesOf`: for Warning headers, where an object comes to be so that there is something to say. */
  constructor(cluster: Cluster, tokens: Tokens, historyMax?: number, notesOf: NotesOf = () => []) {
    this.#cluster = cluster;
    this.#tokens = tokens;
    for (const resource of [AUTOSCALERS, EVENTS, ...REVIEWS, ...gatewayResources(), ...meshResources()])
      this.#resources.add(resource);
    this.#unfollow = followDefinitions(cluster.store, this.#resources);
    this.#discovery = new Discovery(this.#resources);
    this.#documents = new OpenApiDocuments(this.#resources);
    this.#lists = new Lists(cluster.store);
    this.#watches = new Watches(cluster.store, historyMax);
    this.#writes = new Writes(cluster, notesOf);
  }

  close(): void {
    this.#unfollow();
    this.#watches.close();
  }

  /** Resolves when those who watch are told what has changed; undefined: they are. */
  get telling(): Promise<void> | undefined {
    return this.#watches.telling;
  }

  /** Throws a StatusError. */
  answer(request: ApiRequest): Answer | WatchAnswer {
    const { pathname, searchParams: query } = urlOf(request.url);
    const parts = splitPath(pathname);
    const path = resourcePath(parts);
    if (path === undefined) return this.#document(request, parts);
    const resource = this.#resources.get(path.group, path.version, path.plural);
    if (resource === undefined) throw noSuchPath();
    if (path.namespace !== undefined && !resource.namespaced) throw noSuchPath();
    const warnings: string[] = [];
    checkManager(request.method, query.get("fieldManager") ?? "");
    const call: Call = {
      ...{ resource, namespace: path.namespace, name: path.name, user: request.user },
      isDryRun: isDryRun(query),
      fieldValidation: validationOf(query),
      manager: managerName(query.get("fieldManager"), request.userAgent),
      isForced: flagOf(query, "force"),
      warn: (text) => warnings.push(text),
      duplicates: duplicatesOf(request),
    };
    const asked = { request, query, call, subresource: path.subresource };
    if (path.subresource !== undefined) return { ...this.#subresource(asked), warnings };
    const answer = path.name === undefined ? this.#collection(asked) : this.#object(asked);
    return "watch" in answer ? answer : { ...answer, warnings };
  }

  #document({ method, accept = "" }: ApiRequest, parts: readonly string[]): Answer {
    if (method !== "GET") throw methodNotAllowed();
    if (parts.length === 0)
      return json({ paths: ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version"] });
    if (parts.length === 1 && parts[0] === "version") return json(VERSION);
    if (HEALTH.includes(parts[0])) return { code: 200, type: "text/plain", body: "ok", warnings: [] };
    if (parts[0] === "openapi") {
      const found = this.#documents.at(parts, accept);
      if (found === undefined) throw noSuchPath();
      return { code: 200, warnings: [], ...found };
    }
    const document = this.#discovery.at(parts, accept);
    if (document === undefined) throw noSuchPath();
    return { ...json(document), type: Discovery.typeOf(parts, accept) };
  }

  #collection(asked: Asked): Answer | WatchAnswer {
    const { request, query, call } = asked;
    const { resource, namespace } = call;
    if (resource.storedAs === undefined && request.method === "POST")
      return json(reviewed(resource, bodyOf(request), request.user), 201);
    if (resource.storedAs === undefined) throw methodNotAllowed();
    if (request.method === "GET") {
      if (flagOf(query, "watch")) return this.#watch(asked);
      const { items, metadata } = this.#lists.list(resource, namespace, listOptions(query));
      const format = formatOf(request.accept, resource, includeOf(query));
      return { code: 200, type: JSON_TYPE, body: format.list(items, metadata), warnings: [] };
    }
    if (resource.namespaced && namespace === undefined) throw methodNotAllowed();
    if (request.method === "POST") return this.#shown(asked, this.#writes.create(call, bodyOf(request)), 201);
    if (request.method !== "DELETE") throw methodNotAllowed();
    const { options, ...how } = deletion(bodyOf(request), query);
    const gone = this.#writes.deleteAll({ ...call, ...how }, listOptions(query), options);
    const metadata = { resourceVersion: String(this.#cluster.store.version) };
    const body = formatOf(request.accept, resource, includeOf(query)).list(gone, metadata);
    return { code: 200, type: JSON_TYPE, body, warnings: [] };
  }

  #object(asked: Asked): Answer | WatchAnswer {
    const { request, query, call } = asked;
    const { resource, namespace } = call;
    if (resource.storedAs === undefined) throw methodNotAllowed();
    if (resource.namespaced && namespace === undefined) throw noSuchPath();
    switch (request.method) {
      case "GET":
        if (flagOf(query, "watch")) return this.#watch(asked);
        return this.#shown(asked, this.#writes.find(call));
      case "PUT":
        return this.#shown(asked, this.#writes.update(call, bodyOf(request)));
      case "PATCH":
        return this.#patch(asked, "");
      case "DELETE": {
        const { options, ...how } = deletion(bodyOf(request), query);
        const left = this.#writes.delete({ ...call, ...how }, options);
        return left.kind === "Status" ? json(left) : this.#shown(asked, left as KubeObject);
      }
      default:
        throw methodNotAllowed();
    }
  }

  #patch(asked: Asked, subresource: string): Answer {
    const { request, query, call } = asked;
    const type = typeOf(request);
    const isForced = query.has("force");
    if (isApply(type) && (query.get("fieldManager") ?? "") === "")
      throw invalidField(PATCH_OPTIONS, "", "fieldManager", "Required value: is required for apply patch");
    if (!isApply(type) && isForced)
      throw invalidField(PATCH_OPTIONS, "", "force", "Forbidden: may not be specified for non-apply patch");
    const body = request.body.toString("utf8");
    const { object, isNew } = this.#writes.patch(call, { type, body, subresource });
    return this.#shown(asked, object, isNew ? 201 : 200);
  }

  #watch({ request, query, call }: Asked): WatchAnswer {
    const { resource, namespace, name } = call;
    const format = formatOf(request.accept, resource, includeOf(query));
    const target = { resource, namespace, name, format };
    const options = watchOptions(query);
    return { watch: (sink) => this.#watches.open(target, options, sink) };
  }

  #subresource(asked: Asked): Answer {
    const { request, call, subresource = "" } = asked;
    const { resource, namespace } = call;
    if (!resource.subresources.includes(subresource)) throw noSuchPath();
    if (resource.namespaced && namespace === undefined) throw noSuchPath();
    const way = `${request.method} ${subresource}`;
    switch (way) {
      case "GET status":
      case "GET approval":
        return this.#shown(asked, this.#writes.find(call));
      case "PUT status":
        return this.#shown(asked, this.#writes.update(call, bodyOf(request), "status", "status"));
      case "PUT approval":
        return this.#shown(asked, this.#writes.update(call, bodyOf(request), "status", "approval"));
      case "PATCH status":
      case "PATCH approval":
        return this.#patch(asked, subresource);
      case "GET scale":
        return this.#shown(asked, scaleOf(this.#writes.find(call), resource), 200, scaleResource(resource));
      case "PUT scale":
        return this.#scale(call, bodyOf(request));
      case "PATCH scale": {
        const now = scaleOf(this.#writes.find(call), resource);
        const patch = { type: typeOf(request), body: request.body.toString("utf8"), subresource };
        return this.#scale(call, patched(now, patch, call));
      }
      case "POST binding":
        return this.#bind(call, bodyOf(request));
      case "POST eviction":
        return this.#evict(asked);
      case "POST token": {
        const get = (kind: string, key: string): KubeObject | undefined => this.#cluster.get(kind, key);
        const account = this.#writes.find(call);
        return json(answeredTokenRequest(bodyOf(request), account, this.#tokens, get), 201);
      }
      default:
        throw methodNotAllowed();
    }
  }

  #scale(call: Call, body: unknown): Answer {
    const { resource } = call;
    const wanted = scaled(shown(this.#writes.find(call), resource), body, resource);
    return json(scaleOf(this.#writes.update(call, wanted, "whole", "scale"), resource));
  }

  #bind(call: Call, body: unknown): Answer {
    const pod = this.#writes.find(call) as Pod;
    const { name = "" } = (mapOf(body).target ?? {}) as { name?: string };
    if (name === "") throw badRequest("target.name: Required value");
    const { nodeName } = pod.spec;
    if (nodeName !== undefined) {
      const why = `pod ${pod.metadata.name} is already assigned to node ${JSON.stringify(nodeName)}`;
      throw conflict({ ...call.resource, plural: "pods/binding" }, pod.metadata.name, why);
    }
    this.#cluster.write({ ...pod, spec: { ...pod.spec, nodeName: name } } as Pod, { dryRun: call.isDryRun });
    return json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }

  #evict({ request, query, call }: Asked): Answer {
    const pod = this.#writes.find(call) as Pod;
    const { options, isDryRun } = deletion(mapOf(bodyOf(request)).deleteOptions, query);
    const refusal: StatusError | undefined = evictionRefusal(this.#cluster.store, pod);
    if (refusal !== undefined) throw refusal;
    if (!isDryRun) this.#cluster.write(evicted(pod, new Date()));
    this.#writes.delete({ ...call, isDryRun }, options);
    return json({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 }, 201);
  }

  #shown({ request, query, call }: Asked, object: KubeObject, code = 200, as?: Resource): Answer {
    const resource = as ?? call.resource;
    const body = formatOf(request.accept, resource, includeOf(query)).one(object, true);
    return { code, type: JSON_TYPE, body, warnings: [] };
  }
}

/** Of a table: what of an object goes with its row. */
function includeOf(query: Query): string | null {
  return query.get("includeObject");
}

function json(value: object, code = 200): Answer {
  return { code, type: JSON_TYPE, body: JSON.stringify(value), warnings: [] };
}

function typeOf({ contentType }: ApiRequest): string {
  return (contentType ?? JSON_TYPE).split(";")[0].trim().toLowerCase();
}

/** Of objects that are made or replaced; a patch is looked at where it is read. */
function duplicatesOf(request: ApiRequest): string[] {
  const { method, body } = request;
  const isRead = (method === "POST" || method === "PUT") && typeOf(request) === JSON_TYPE;
  try {
    return isRead ? duplicateFields(body.toString("utf8")) : [];
  } catch {
    return []; // no JSON: told when it is read
  }
}

/** Throws a StatusError for what is none of the three. */
function validationOf(query: Query): string {
  const text = query.get("fieldValidation") ?? "";
  if (text === "") return "Warn";
  if (["Ignore", "Warn", "Strict"].includes(text)) return text;
  const path = `fieldValidation: Unsupported value: ${JSON.stringify(text)}`;
  throw badRequest(`${path}: supported values: "Ignore", "Strict", "Warn"`);
}

function bodyOf(request: ApiRequest): unknown {
  const { body, method } = request;
  const type = typeOf(request);
  if (body.length === 0) return method === "DELETE" ? {} : undefined;
  if (method !== "PATCH" && type !== JSON_TYPE && type !== PROTOBUF_TYPE)
    throw unsupportedType([JSON_TYPE, PROTOBUF_TYPE]);
  const value = type === PROTOBUF_TYPE ? fromProtobuf(body) : fromJson(body);
  const why = nestingProblem(value);
  if (why !== undefined) throw badRequest(`the body of the request is not taken: ${why}`);
  return value;
}

function fromJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw badRequest(`the body of the request is no JSON: ${(error as Error).message}`);
  }
}

function fromProtobuf(body: Buffer): unknown {
  try {
    return decodeObject(body);
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    throw badRequest(`the body of the request is no object in protobuf: ${error.message}`);
  }
}
