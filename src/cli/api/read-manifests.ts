// Manifests whose objects an API is asked about. In a lab the kinds that podwire knows are checked here, those that
// somebody has defined are looked for in its API, and others are passed over. What a cluster takes, the cluster knows:
// objects are left as they were written.
import { splitApiVersion } from "../../kube/api-groups.ts";
import { type CustomDefinition, customKind } from "../../kube/custom-definition.ts";
import type { KindInfo } from "../../kube/kinds.ts";
import type { CustomKinds } from "../../kube/manifest/custom-kind.ts";
import { decodeCarried } from "../../kube/manifest/decode.ts";
import type { FieldProblems } from "../../kube/manifest/field-problems.ts";
import {
  type Manifest,
  ManifestError,
  type ManifestText,
  parseManifests,
} from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { note } from "../context.ts";
import type { ApiClient } from "./api-client.ts";
import { type ApiResource, resourceOf } from "./discovery.ts";

export interface ReadManifest {
  readonly resource: ApiResource;
  readonly manifest: Manifest;
  /** With the kind that the API has. */
  readonly object: KubeObject;
  /** Its kind's definition stands among the manifests, and is not there yet. */
  readonly isPending?: boolean;
}

/** Throws a ManifestError. `given`: the namespace of -n. */
export async function readManifests(
  api: ApiClient,
  texts: readonly ManifestText[],
  given: string | undefined,
): Promise<ReadManifest[]> {
  const options = { namespace: given ?? "default", onlyNamespace: given, carries: true };
  if (!api.isLab) return readRaw(await api.finder.all(), texts, options);
  let passed = new PassedOver();
  let manifests = parseManifests(texts, { ...options, passed });
  let resources: ApiResource[] = [];
  if (!passed.isEmpty) {
    resources = await api.finder.all();
    passed = new PassedOver();
    manifests = parseManifests(texts, { ...options, passed, customKinds: kindsOf(resources) });
  }
  for (const line of passed.notes()) note(line);
  return manifests.map((manifest) => {
    const info = { ...manifest.info, kind: ownKind(manifest.info.kind) };
    return { manifest, resource: resourceOf(info), object: { ...manifest.object, kind: info.kind } };
  });
}

interface RawOptions {
  readonly namespace: string;
  readonly onlyNamespace: string | undefined;
}

function readRaw(
  resources: readonly ApiResource[],
  texts: readonly ManifestText[],
  options: RawOptions,
): ReadManifest[] {
  const known = kindsOf(resources);
  const customKinds: CustomKinds = (apiVersion, kind) =>
    known(apiVersion, kind) ?? customKindOf(unknownResource(apiVersion, kind));
  const manifests = parseManifests(texts, { ...options, customKinds, isRaw: true });
  const definitions = manifests
    .filter(({ info }) => info.kind === customKind("CustomResourceDefinition", "apiextensions.k8s.io"))
    .map(({ object }) => object as object as CustomDefinition);
  const read = manifests.map((manifest): ReadManifest | Manifest => {
    const { apiVersion } = manifest.info;
    const kind = ownKind(manifest.info.kind);
    const found = resources.find((each) => each.kind === kind && each.apiVersion === apiVersion);
    const object = { ...manifest.object, kind };
    if (found !== undefined) return { manifest, resource: found, object };
    const own = definedIn(definitions, apiVersion, kind);
    if (own === undefined) return manifest;
    const { namespace = options.namespace, ...metadata } = object.metadata;
    const placed = { ...metadata, ...(own.namespaced ? { namespace } : {}) };
    return { manifest, resource: own, object: { ...object, metadata: placed }, isPending: true };
  });
  const unknown = read.filter((each): each is Manifest => !("resource" in each));
  if (unknown.length > 0) throw new ManifestError(unknown.map(noMatches));
  return read as ReadManifest[];
}

function noMatches({ info, problem }: Manifest) {
  const what = `no matches for kind "${ownKind(info.kind)}" in version "${info.apiVersion}"`;
  return problem(["kind"], `${what}: install its CustomResourceDefinition first`);
}

/** "HTTPRoute.gateway.networking.k8s.io" → "HTTPRoute" */
function ownKind(kind: string): string {
  return kind.split(".", 1)[0];
}

function kindsOf(resources: readonly ApiResource[]): CustomKinds {
  return (apiVersion, kind) => {
    const found = resources.find((each) => each.kind === kind && each.apiVersion === apiVersion);
    return found === undefined ? undefined : customKindOf(found);
  };
}

/** Its fields are the server's business. */
function customKindOf({
  group,
  apiVersion,
  kind: own,
  plural,
  singular,
  shortNames,
  namespaced,
}: ApiResource) {
  const kind = customKind(own, group);
  const info: KindInfo = { kind, apiVersion, plural, singular, shortNames, namespaced, stored: true };
  const read = (value: unknown, _: string, problems: FieldProblems): unknown => ({
    ...(decodeCarried(value, own, problems) as object),
    kind,
  });
  return { info, read };
}

function unknownResource(apiVersion: string, kind: string): ApiResource {
  const [group, version] = splitApiVersion(apiVersion);
  const named = { kind, plural: "", singular: "", shortNames: [], namespaced: true }; // a namespace is taken away again
  return { group, version, apiVersion, ...named };
}

function definedIn(
  definitions: readonly CustomDefinition[],
  apiVersion: string,
  kind: string,
): ApiResource | undefined {
  const [group, version] = splitApiVersion(apiVersion);
  const own = definitions.find(({ spec }) => spec.group === group && spec.names.kind === kind);
  if (own === undefined || !own.spec.versions.some(({ name }) => name === version)) return undefined;
  const { names, scope } = own.spec;
  const { plural, singular = kind.toLowerCase(), shortNames = [] } = names;
  const namespaced = scope === "Namespaced";
  return { group, version, apiVersion, kind, plural, singular, shortNames, namespaced };
}
