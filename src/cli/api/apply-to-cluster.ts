// Manifests into a cluster by server-side apply: every object is rehearsed before the first one is written, and what is
// wrong is told with its place in the file. A cluster has no call for many objects: what fails in the middle all the same
// says what was done.
import { setTimeout as sleep } from "node:timers/promises";
import { type Action, alreadyExists, type Outcome, outcome } from "../../cluster/outcome.ts";
import { sameContent } from "../../cluster/store.ts";
import { fieldPathIn } from "../../kube/manifest/field-path.ts";
import type { FieldPath } from "../../kube/manifest/field-problems.ts";
import { ManifestError, type ManifestProblem, type ManifestText } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { CliError } from "../errors.ts";
import { type ApiClient, dryRunQuery } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import { type ReadManifest, readManifests } from "./read-manifests.ts";

export interface ClusterApply {
  /** Of -n. */
  readonly namespace: string | undefined;
  /** Objects that are there already are refused. */
  readonly create: boolean;
  readonly dryRun: boolean;
}

const DEFINED_MS = 10_000;
const AGAIN_MS = 200;
/** What others need comes first. */
const FIRST = ["Namespace", "CustomResourceDefinition"];

export async function applyToCluster(
  api: ApiClient,
  texts: readonly ManifestText[],
  options: ClusterApply,
): Promise<Outcome[]> {
  const all = inOrder(await readManifests(api, texts, options.namespace));
  const rehearsed = await rehearse(api, all, options);
  if (options.dryRun) return rehearsed;
  const done: Outcome[] = [];
  for (const each of all) {
    try {
      done.push(outcomeOf(each, await written(api, each, options.create)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const before =
        done.length === 0 ? "" : `: ${done.length} of ${all.length} objects were written before it`;
      throw new CliError(`${problemsOf(each, error)[0].text}${before}`, error.exitCode, error.code);
    }
  }
  return done;
}

function inOrder(all: readonly ReadManifest[]): ReadManifest[] {
  const rank = ({ resource }: ReadManifest): number => FIRST.indexOf(resource.kind) + 1 || FIRST.length + 1;
  return [...all].sort((a, b) => rank(a) - rank(b));
}

/** Throws a ManifestError with all that the server refuses. */
async function rehearse(
  api: ApiClient,
  all: readonly ReadManifest[],
  { create }: ClusterApply,
): Promise<Outcome[]> {
  const coming = new Set(
    all.filter(({ resource }) => resource.kind === "Namespace").map(({ object }) => object.metadata.name),
  );
  const outcomes: Outcome[] = [];
  const problems: ManifestProblem[] = [];
  const taken: string[] = [];
  for (const each of all) {
    if (each.isPending === true) {
      outcomes.push(outcomeOf(each, { action: "created", object: each.object }));
      continue;
    }
    try {
      outcomes.push(outcomeOf(each, await written(api, each, create, true)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { namespace = "", name } = each.object.metadata;
      const { file } = each.manifest.problem([], "");
      if (error.code === "NOT_FOUND" && error.status.details?.kind === "namespaces" && coming.has(namespace))
        outcomes.push(outcomeOf(each, { action: "created", object: each.object }));
      else if (error.code === "ALREADY_EXISTS") taken.push(alreadyExists(each.manifest.info, name, file));
      else problems.push(...problemsOf(each, error));
    }
  }
  if (problems.length > 0) throw new ManifestError(problems);
  if (taken.length > 0) throw new CliError(taken.join("\n"), 1, "ALREADY_EXISTS");
  return outcomes;
}

interface Written {
  readonly action: Action;
  readonly object: KubeObject;
}

async function written(
  api: ApiClient,
  { resource, object, isPending }: ReadManifest,
  create: boolean,
  isDryRun = false,
): Promise<Written> {
  const { namespace, name } = object.metadata;
  const place = { resource, namespace: resource.namespaced ? namespace : undefined };
  const until = Date.now() + (isPending === true ? DEFINED_MS : 0);
  for (;;) {
    try {
      if (create) return { action: "created", object: await api.create(place, object, isDryRun) };
      const before = await api.find({ ...place, name });
      const query = { force: true, fieldValidation: "Strict", ...dryRunQuery(isDryRun) };
      const after = await api.patch({ ...place, name }, "apply", object, query);
      return { action: actionOf(before, after), object: after };
    } catch (error) {
      // A definition takes a moment until its kind is served.
      if (!(error instanceof ApiError && error.isNoPath) || Date.now() > until) throw error;
    }
    await sleep(AGAIN_MS);
  }
}

function actionOf(before: KubeObject | undefined, after: KubeObject): Action {
  if (before === undefined) return "created";
  return sameContent(before, after) ? "unchanged" : "configured";
}

function outcomeOf({ resource, object: given }: ReadManifest, { action, object }: Written): Outcome {
  const { kind, apiVersion, singular, plural, shortNames, namespaced } = resource;
  const info = { kind, apiVersion, singular, plural, shortNames, namespaced, stored: true };
  return { ...outcome(info, { ...given, kind }, action), object };
}

/** One for each field that the server names. */
function problemsOf({ manifest }: ReadManifest, { status, message }: ApiError): ManifestProblem[] {
  const causes = (status.details?.causes ?? []).filter(({ field = "" }) => field !== "" && field !== "<nil>");
  if (causes.length === 0) return [manifest.problem(untypedIn(message), status.message ?? message)];
  return causes.map(({ field = "", message }) =>
    manifest.problem(fieldPathIn(field), `${field}: ${message}`),
  );
}

/** Of a field that the server does not know, or whose value is of another type: "(ns/name; …): .spec.size: …". */
function untypedIn(message: string): FieldPath {
  const [, path = ""] = /\): \.([^:\s]+): /.exec(message) ?? [];
  return fieldPathIn(path);
}
