/** Where an API server keeps an object. */
import { groupOf, kindNamed } from "../../kube/kinds.ts";

export interface StoredObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    annotations?: Record<string, string>;
  };
}

/** The collection of all namespaces, and the object's key in it. */
export function resourceAt({ kind, metadata }: StoredObject): { path: string; key: string } {
  const info = kindNamed(kind);
  const root = groupOf(info) === "" ? "/api" : "/apis";
  const { namespace = "", name } = metadata;
  return { path: `${root}/${info.apiVersion}/${info.plural}`, key: `${namespace}/${name}` };
}
