// What changes objects: create, update, patch, delete. A request is checked as the store's own manifests are, and what
// is wrong with it is answered as a Status.
import { jsonCopy } from "../base/deep-equal.ts";
import { PodwireError } from "../base/errors.ts";
import { fieldOf } from "../cluster/admission.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { timeText } from "../cluster/event-recorder.ts";
import { NEEDED_NAMESPACES } from "../cluster/outcome.ts";
import { nameSuffix } from "../kube/hash.ts";
import { NAMESPACE_NAME_LABEL } from "../kube/labels.ts";
import { FieldProblems, formatPath } from "../kube/manifest/field-problems.ts";
import type { KubeObject, Pod } from "../kube/objects.ts";
import { validatePodStatus } from "../kube/validate/pod-status.ts";
import { validateUpdate } from "../kube/validate/update.ts";
import { shown } from "./format.ts";
import { keyFor, objectsOf } from "./list.ts";
import { type Author, checkPatch, isApply, type Patch, patched, withManagers } from "./patches.ts";
import { checkObject, readObject } from "./read-object.ts";
import type { Selectors } from "./request.ts";
import type { Resource } from "./resource.ts";
import type { User } from "./reviews.ts";
import { isObject } from "./schema/schema.ts";
import { matcherOf } from "./selectors.ts";
import { asked, checkAsked, checkDecided, decided } from "./signing/requests.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  notFound,
  type Status,
  success,
} from "./status.ts";

/** What of an object its author should know: a line each, none of which names the object. */
export type NotesOf = (object: KubeObject) => readonly string[];

/** What a call is about, and how it is to be done. */
export interface Call extends Author {
  /** Fields that the request's body has twice. */
  readonly duplicates?: readonly string[];
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly isDryRun: boolean;
  readonly user: User;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly dryRun?: readonly string[];
}

type WithStatus = KubeObject & { status?: unknown };
type Part = "whole" | "status";

interface How {
  readonly part: Part;
  /** By server-side apply, which has said already who has what. */
  readonly isApplied: boolean;
  readonly subresource: string;
}

const NAMESPACES = { group: "", plural: "namespaces", kind: "Namespace" };
/** Of an object: its server's, whatever a request says. */
const SERVERS = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
] as const;
/** What changes an object's status alone. */
const STATUSES: readonly string[] = ["approval", "status"];
const BASE_MAX = 58; // with five letters a label

export class Writes {
  readonly #cluster: Cluster;
  readonly #notesOf: NotesOf;
  #made = 0;

  constructor(cluster: Cluster, notesOf: NotesOf) {
    this.#cluster = cluster;
    this.#notesOf = notesOf;
  }

  /** The object that a call names. Throws a StatusError. */
  find({ resource, namespace, name = "" }: Call): KubeObject {
    const object = this.#get(resource, namespace, name);
    if (object === undefined) throw notFound(resource, name);
    return object;
  }

  create(call: Call, body: unknown): KubeObject {
    const { resource } = call;
    return this.#create(call, readObject(body, resource, { ...call, name: undefined }), false);
  }

  #create(call: Call, object: KubeObject, isApplied: boolean): KubeObject {
    const { resource, namespace } = call;
    if (namespace !== undefined && this.#cluster.get("Namespace", namespace) === undefined)
      throw notFound(NAMESPACES, namespace);
    const given = object.metadata as unknown as Record<string, unknown>;
    for (const field of [...SERVERS, "resourceVersion"]) delete given[field];
    if (hasStatus(resource)) delete (object as WithStatus).status;
    asked(object, call.user);
    this.#nameIt(object, resource);
    checkObject(withEmptyStatus(object), resource, call);
    checkAsked(object, resource);
    const { name } = object.metadata;
    if (this.#get(resource, namespace, name) !== undefined) throw alreadyExists(resource, name);
    return this.#store(isApplied ? object : withManagers(undefined, object, call, ""), undefined, call);
  }

  /** `part`: what the call may change. */
  update(call: Call, body: unknown, part: Part = "whole", subresource = ""): KubeObject {
    const old = this.find(call);
    const next = readObject(body, call.resource, { ...call, name: call.name });
    return this.#replace(call, old, next, { part, isApplied: false, subresource });
  }

  /** What is applied may be new. */
  patch(call: Call, patch: Patch): { readonly object: KubeObject; readonly isNew: boolean } {
    const { resource, namespace, name = "" } = call;
    const part = STATUSES.includes(patch.subresource) ? "status" : "whole";
    const isApplied = isApply(patch.type);
    checkPatch(patch.type, resource);
    const old = this.#get(resource, namespace, name);
    if (old === undefined && (!isApplied || part === "status")) throw notFound(resource, name);
    const changed = patched(old === undefined ? old : shown(old, resource), patch, call);
    const next = readObject(ownCopy(changed), resource, { ...call, name, fieldValidation: "Ignore" });
    if (old === undefined) return { object: this.#create(call, next, true), isNew: true };
    const how = { part, isApplied, subresource: patch.subresource } as const;
    return { object: this.#replace(call, old, next, how), isNew: false };
  }

  /** What is left of the object, or that it is gone. */
  delete(call: Call, options: DeleteOptions): KubeObject | Status {
    return this.#delete(call, this.find(call), options);
  }

  /** Returns those that were there. */
  deleteAll(call: Call, selectors: Selectors, options: DeleteOptions): KubeObject[] {
    const { resource, namespace } = call;
    const matches = matcherOf(resource, selectors);
    const found = objectsOf(this.#cluster.store, resource, namespace).filter(
      (each) => matches?.(each) ?? true,
    );
    for (const object of found) this.#delete({ ...call, name: object.metadata.name }, object, options);
    return found;
  }

  #delete(call: Call, object: KubeObject, options: DeleteOptions): KubeObject | Status {
    const { resource, isDryRun } = call;
    const { metadata } = object;
    checkPreconditions(resource, object, options.preconditions);
    if (object.kind === "Namespace" && NEEDED_NAMESPACES.includes(metadata.name))
      throw forbidden(resource, metadata.name, "this namespace may not be deleted");
    const { gracePeriodSeconds } = options;
    const how = { graceSeconds: gracePeriodSeconds, propagation: propagationOf(options), dryRun: isDryRun };
    const left = this.#cluster.delete(object, how);
    return left ?? success(resource, metadata.name, metadata.uid);
  }

  #replace(call: Call, old: KubeObject, next: KubeObject, { part, isApplied, subresource }: How): KubeObject {
    const { resource } = call;
    checkPreconditions(resource, old, { ...next.metadata, isUpdate: true });
    const whole = part === "status" ? withStatusOf(next, old) : next;
    const given = withServersPart(whole, old, part === "whole" && hasStatus(resource));
    const object = decided(given, old, subresource, timeText(Date.now()));
    checkObject(withEmptyStatus(object), resource, { old, warn: (text) => call.warn(text) });
    const found = new FieldProblems();
    if (part === "whole") validateUpdate(object, old, found);
    else if (old.kind === "Pod") validatePodStatus(object as Pod, old as Pod, found);
    checkDecided(object, old, subresource, found);
    if (found.any) throw invalid(resource, old.metadata.name, found.list);
    return this.#store(isApplied ? object : withManagers(old, object, call, subresource), old, call);
  }

  #store(given: KubeObject, old: KubeObject | undefined, call: Call): KubeObject {
    const { resource, isDryRun, warn } = call;
    const object = old === undefined ? this.#cluster.completed(given) : given;
    const { name } = object.metadata;
    const judged = this.#cluster.judge(object);
    for (const text of judged.warnings) warn(text);
    const notes = this.#notesOf(object);
    const told = old === undefined || notes.length === 0 ? [] : this.#notesOf(old);
    for (const text of notes) if (!told.includes(text)) warn(text);
    const [problem] = judged.problems;
    if (problem !== undefined && / is forbidden: /.test(problem.message))
      throw forbidden(resource, name, problem.message.replace(/^.*? is forbidden: /, ""));
    if (problem !== undefined)
      throw invalid(
        resource,
        name,
        judged.problems.map((each) => ({ ...each, atKey: false })),
      );
    try {
      const written = this.#cluster.write(object, { dryRun: isDryRun });
      return isDryRun ? withVersionOf(written, old) : written;
    } catch (error) {
      if (!(error instanceof PodwireError)) throw error;
      const path = fieldOf(error, object);
      const message = error.message.includes(": ")
        ? error.message
        : `${formatPath(path)}: Invalid value: ${error.message}`;
      throw invalid(resource, name || (old?.metadata.name ?? ""), [{ path, message, atKey: false }]);
    }
  }

  #get(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined {
    const { storedAs } = resource;
    return storedAs === undefined
      ? undefined
      : this.#cluster.get(storedAs, keyFor(resource, namespace, name));
  }

  /** metadata.generateName, and the label by which namespaces are selected. */
  #nameIt(object: KubeObject, resource: Resource): void {
    const { metadata } = object;
    const { generateName = "" } = metadata;
    if ((metadata.name ?? "") === "" && generateName !== "") {
      const base = generateName.slice(0, BASE_MAX);
      do {
        metadata.name = `${base}${nameSuffix(`${resource.kind}/${base}/${this.#cluster.store.version}/${this.#made++}`)}`;
      } while (this.#get(resource, metadata.namespace, metadata.name) !== undefined);
    }
    if (object.kind === "Namespace" && (metadata.name ?? "") !== "")
      metadata.labels = { ...metadata.labels, [NAMESPACE_NAME_LABEL]: metadata.name };
  }
}

/** To be changed. Who has which field is the part that nobody changes, and is known again by its place in memory. */
function ownCopy(changed: unknown): unknown {
  if (!isObject(changed) || !isObject(changed.metadata)) return jsonCopy(changed);
  const { managedFields, ...metadata } = changed.metadata;
  const copy = jsonCopy({ ...changed, metadata });
  return managedFields === undefined ? copy : { ...copy, metadata: { ...copy.metadata, managedFields } };
}

const POLICIES = ["Background", "Foreground", "Orphan"] as const;

function propagationOf({ propagationPolicy, orphanDependents }: DeleteOptions): (typeof POLICIES)[number] {
  if (propagationPolicy === undefined || propagationPolicy === "")
    return orphanDependents === true ? "Orphan" : "Background";
  const known = POLICIES.find((each) => each === propagationPolicy);
  if (known !== undefined) return known;
  const text = `propagationPolicy: Unsupported value: ${JSON.stringify(propagationPolicy)}`;
  throw badRequest(`${text}: supported values: ${POLICIES.map((each) => JSON.stringify(each)).join(", ")}`);
}

/** A rehearsal makes no version. */
function withVersionOf(written: KubeObject, old: KubeObject | undefined): KubeObject {
  const { resourceVersion: _, ...metadata } = written.metadata;
  const version = old?.metadata.resourceVersion;
  return {
    ...written,
    metadata: version === undefined ? metadata : { ...metadata, resourceVersion: version },
  };
}

function hasStatus({ subresources }: Resource): boolean {
  return subresources.includes("status");
}

/** Of a Node labels and annotations come with it, too: so its agent says what it is, in clusters and here. */
function withStatusOf(next: KubeObject, old: KubeObject): KubeObject {
  const {
    managedFields,
    labels = old.metadata.labels,
    annotations = old.metadata.annotations,
  } = next.metadata;
  const metadata = {
    ...old.metadata,
    ...(managedFields && { managedFields }),
    ...(old.kind === "Node" && labels && { labels }),
    ...(old.kind === "Node" && annotations && { annotations }),
  };
  return { ...old, metadata, status: (next as WithStatus).status } as KubeObject;
}

/** Validation and admission look for a status in kinds that have one. */
function withEmptyStatus(object: KubeObject): KubeObject {
  const { kind } = object;
  if (["Node", "Pod", "Service"].includes(kind)) (object as WithStatus).status ??= {};
  return object;
}

function withServersPart(next: KubeObject, old: KubeObject, keepsStatus: boolean): KubeObject {
  const metadata: Record<string, unknown> = { ...next.metadata };
  for (const field of SERVERS) {
    const value = old.metadata[field];
    if (value === undefined) delete metadata[field];
    else metadata[field] = value;
  }
  metadata.resourceVersion = old.metadata.resourceVersion;
  if (next.kind === "Namespace")
    metadata.labels = { ...next.metadata.labels, [NAMESPACE_NAME_LABEL]: old.metadata.name };
  const { status: _, ...rest } = next as WithStatus;
  const status = keepsStatus ? (old as WithStatus).status : (next as WithStatus).status;
  return { ...rest, metadata, ...(status === undefined ? {} : { status }) } as unknown as KubeObject;
}

const CHANGED = "the object has been modified; please apply your changes to the latest version and try again";

interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly isUpdate?: boolean;
}

function checkPreconditions(resource: Resource, { metadata }: KubeObject, wanted: Preconditions = {}): void {
  const { name } = metadata;
  const { uid, resourceVersion, isUpdate = false } = wanted;
  if (uid !== undefined && uid !== "" && uid !== metadata.uid) {
    const what = `UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(resource, name, `Precondition failed: ${what}`);
  }
  if (resourceVersion === undefined || resourceVersion === "" || resourceVersion === "0") return;
  if (isUpdate && !/^\d+$/.test(resourceVersion))
    throw badRequest(`metadata.resourceVersion: Invalid value: ${JSON.stringify(resourceVersion)}`);
  if (resourceVersion === metadata.resourceVersion) return;
  const is = `ResourceVersion in object meta: ${metadata.resourceVersion}`;
  const what = `ResourceVersion in precondition: ${resourceVersion}, ${is}`;
  throw conflict(resource, name, isUpdate ? CHANGED : `Precondition failed: ${what}`);
}
