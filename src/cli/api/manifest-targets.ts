// Which objects manifests name, for commands that show them.
import { qualifiedPlural } from "../../kube/kinds.ts";
import { type ManifestText, parseManifests } from "../../kube/manifest/manifest.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { note } from "../context.ts";
import { CliError } from "../errors.ts";
import { readAll } from "../objects/manifests.ts";
import type { Target } from "../targets.ts";
import type { ApiClient } from "./api-client.ts";
import { readManifests } from "./read-manifests.ts";

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
