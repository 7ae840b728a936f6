// A kind's objects with what the kind is called, as commands show and choose them.
import type { KindList } from "../nodes/nodes.ts";
import type { ApiClient } from "./api-client.ts";
import type { ApiResource } from "./discovery.ts";

export interface ListedKind extends KindList {
  readonly resource: ApiResource;
  /** Where a watch goes on from here. */
  readonly resourceVersion: string;
}

/** By any of kubectl's words for the kind; in the server's order, which is by namespace and name. */
export async function listKind(api: ApiClient, word: string, namespace?: string): Promise<ListedKind> {
  const resource = await api.resource(word);
  const { items, resourceVersion } = await api.list({ resource, namespace });
  const { kind, plural, namespaced, apiVersion } = resource;
  return { kind, plural, namespaced, apiVersion, items, resource, resourceVersion };
}
