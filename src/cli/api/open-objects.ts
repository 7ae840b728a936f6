// Whose objects a command shows: those of a kubeconfig's cluster, of a lab, or what an agent follows.
import type { Command } from "commander";
import { globalsButOutput } from "../context.ts";
import type { Nodes, ObjectHolder } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import type { ApiClient } from "./api-client.ts";
import { listKind } from "./list-kind.ts";
import { clusterApi } from "./open-api.ts";

export interface ObjectSource extends ObjectHolder {
  /** Absent: an agent, which has some kinds and tells nothing by itself. */
  readonly api?: ApiClient | undefined;
  /** Whose data plane can be asked; absent: a cluster's. */
  readonly nodes?: Nodes;
}

export async function openObjects(command: Command): Promise<ObjectSource> {
  const api = await clusterApi(command);
  if (api === undefined) {
    const nodes = await openNodes(globalsButOutput(command));
    return { nodes, api: nodes.api, list: (word, namespace) => nodes.list(word, namespace) };
  }
  return { api, list: (word, namespace) => listKind(api, word, namespace) };
}
