// A kind's objects as `get` shows them: in podwire's own columns, or as the server's table.
import { shownKindFromWord, WORKLOAD_ENDPOINT } from "../../../kube/kinds.ts";
import type { ObjectList } from "../../api/api-client.ts";
import type { ApiResource } from "../../api/discovery.ts";
import { listKind } from "../../api/list-kind.ts";
import type { ObjectSource } from "../../api/open-objects.ts";
import { ServerTable } from "../../api/server-table.ts";
import type { KindList } from "../../nodes/nodes.ts";
import { listObjects } from "../workload.ts";

export interface ShownKind extends KindList {
  /** Where an API serves them. */
  readonly served?: { readonly resource: ApiResource; readonly list: ObjectList };
  /** Of kinds that podwire has no columns for, where a table is to be shown. */
  readonly table?: ServerTable;
}

/** `asTable`: it is to be shown in columns. */
export async function listShown(
  source: ObjectSource,
  word: string,
  namespace: string | undefined,
  asTable: boolean,
): Promise<ShownKind> {
  const { api } = source;
  if (api === undefined || shownKindFromWord(word) === WORKLOAD_ENDPOINT)
    return listObjects(source, word, namespace);
  const resource = await api.resource(word);
  if (!asTable || resource.info !== undefined) {
    const { items, resourceVersion, ...kind } = await listKind(api, word, namespace);
    return { ...kind, items: [...items], served: { resource, list: { items, resourceVersion } } };
  }
  const list = await api.table({ resource, namespace });
  const { kind, plural, namespaced, apiVersion } = resource;
  const named = { kind, plural, namespaced, apiVersion };
  return { ...named, items: [...list.items], served: { resource, list }, table: new ServerTable(list) };
}
