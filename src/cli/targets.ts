// Which objects a command line names: KIND NAME…, KIND/NAME…, KIND,KIND…, "all", or the manifests of -f.
import { qualifiedPlural } from "../kube/kinds.ts";
import { type ManifestText, parseManifests } from "../kube/manifest/manifest.ts";
import { PassedOver } from "../kube/passed-over.ts";
import type { ApiClient } from "./api/api-client.ts";
import { readManifests } from "./api/read-manifests.ts";
import { note } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { readAll } from "./objects/manifests.ts";

export interface Target {
  word: string;
  names: string[];
  /** Of an object that a manifest names. */
  namespace?: string | undefined;
  /** Kinds that this lab may not know. */
  optional: boolean;
}

/** kubectl's "all", as far as these kinds are here, in its order. */
const ALL = "pods,replicationcontrollers,services,daemonsets,deployments,replicasets,statefulsets,jobs".split(
  ",",
);

export function wordTargets(verb: string, kinds: string, names: string[]): Target[] {
  const words = [kinds, ...names];
  if (words.some((word) => word.includes("/"))) {
    return words.map((word) => {
      const [kind, name, more] = word.split("/");
      if (!kind || !name || more !== undefined) throw usageError(`${verb} ${word}: write KIND/NAME for each`);
      return { word: kind, names: [name], optional: false };
    });
  }
  return kinds.split(",").flatMap((word): Target[] => {
    if (word === "") throw usageError(`${verb} ${kinds}: a kind is missing`);
    if (word !== "all") return [{ word, names, optional: false }];
    return ALL.map((each) => ({ word: each, names, optional: true }));
  });
}

/** The objects that manifests name. Without an API kinds that somebody has defined are passed over. */
export async function manifestTargets(
  verb: string,
  files: readonly string[],
  onlyNamespace: string | undefined,
  api: ApiClient | undefined,
): Promise<Target[]> {
  const texts = readAll(files);
  const named = api === undefined ? parsed(texts, onlyNamespace) : await asked(api, texts, onlyNamespace);
  if (named.length === 0) throw new CliError(`${verb}: no objects in ${files.join(", ")}`);
  return named.map(({ kind, metadata: { name, namespace } }) => {
    return { word: qualifiedPlural(kind), names: [name], namespace, optional: false };
  });
}

interface Written {
  readonly kind: { readonly plural: string; readonly apiVersion: string };
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function parsed(texts: readonly ManifestText[], onlyNamespace: string | undefined): Written[] {
  const passed = new PassedOver();
  const options = { namespace: onlyNamespace ?? "default", onlyNamespace, passed, carries: true };
  const manifests = parseManifests(texts, options);
  for (const line of passed.notes()) note(line);
  return manifests.map(({ info, object: { metadata } }) => ({ kind: info, metadata }));
}

async function asked(
  api: ApiClient,
  texts: readonly ManifestText[],
  onlyNamespace: string | undefined,
): Promise<Written[]> {
  const found = await readManifests(api, texts, onlyNamespace);
  return found.map(({ resource, object }) => ({ kind: resource, metadata: object.metadata }));
}
