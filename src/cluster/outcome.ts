// What came of one object of a call, in kubectl's words.

import { type KindInfo, kindNamed, qualifiedPlural, resourceName } from "../kube/kinds.ts";
import { NAMESPACE_NAME_LABEL } from "../kube/labels.ts";
import type { KubeObject } from "../kube/objects.ts";

export type Action = "created" | "configured" | "unchanged" | "deleted";

export interface Outcome {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly action: Action;
  /** "service/api", "deployment.apps/web": as kubectl prints it. */
  readonly resource: string;
  /** Of a call that stores nothing: what it would have stored. */
  readonly object?: KubeObject;
}

export function outcome(info: KindInfo, object: KubeObject, action: Action): Outcome {
  const { name, namespace } = object.metadata;
  return {
    kind: info.kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    action,
    resource: resourceName(info, name),
  };
}

/** An API server's sentence, as kubectl prints it. `file`: the manifest that named the object. */
export function notFound(info: Pick<KindInfo, "plural" | "apiVersion">, name: string, file?: string): string {
  const when = file === undefined ? "" : `error when deleting ${inputName(file)}: `;
  return `Error from server (NotFound): ${when}${qualifiedPlural(info)} "${name}" not found`;
}

export function alreadyExists(info: KindInfo, name: string, file: string): string {
  const when = `error when creating ${inputName(file)}: `;
  return `Error from server (AlreadyExists): ${when}${qualifiedPlural(info)} "${name}" already exists`;
}

function inputName(file: string): string {
  return JSON.stringify(file === "-" ? "STDIN" : file);
}

/** Those that every cluster has. */
export const NAMESPACES: readonly string[] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** An API server does not let these go. */
export const NEEDED_NAMESPACES: readonly string[] = ["default", "kube-public", "kube-system"];

export function namespaceObject(name: string): KubeObject {
  const { apiVersion, kind } = kindNamed("Namespace");
  const labels = { [NAMESPACE_NAME_LABEL]: name };
  return { apiVersion, kind, metadata: { name, labels }, status: { phase: "Active" } } as KubeObject;
}
