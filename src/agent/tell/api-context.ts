/** What the agent answers on its socket, gathered of its parts. */
import type { ApiContext } from "../../api/api.ts";
import { planeNames } from "../../api/plane-names.ts";
import { Watching } from "../../api/watching.ts";
import type { AgentConfig } from "../../config/agent.ts";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import type { NodeMessages } from "../../plane/node-messages.ts";
import type { Plane } from "../../plane/plane.ts";
import { monotonicMs } from "../../plane/plane-memory.ts";
import type { ObjectGraph } from "../../watch/desired-state.ts";
import type { Attachments } from "../attachments.ts";
import { followedObjects } from "../followed-objects.ts";
import type { NodeCni } from "../node-cni.ts";
import type { Probes, ProbeWish } from "./probes.ts";

export interface ApiParts {
  readonly config: AgentConfig;
  /** What the configuration was read from. */
  readonly text: ManifestText;
  readonly graph: ObjectGraph;
  readonly plane: Plane;
  readonly messages: NodeMessages;
  readonly attachments: Attachments;
  readonly probes: Probes;
  readonly cni: NodeCni | undefined;
  readonly tunnelGso: () => boolean;
  readonly status: () => Record<string, unknown>;
}

export function apiContext(parts: ApiParts): ApiContext {
  const { config, text, graph, plane, messages, attachments, probes, cni, tunnelGso, status } = parts;
  const ports = () => attachments.list();
  const portName = (id: number): string => ports().find((port) => port.id === id)?.name ?? `port ${id}`;
  return {
    node: config.nodeName,
    plane,
    watching: new Watching(plane),
    sources: {
      tables: plane.tables,
      ports,
      routes: () => [...(messages.topology?.routes ?? [])],
      vteps: () => [...(messages.topology?.vteps ?? [])],
      services: () => messages.services.specs(),
      policies: () => messages.policies,
      nowMs: () => monotonicMs() - plane.tables.durable.clockMs[0],
      missed: () => attachments.missed(),
      tunnelGso,
    },
    names: { node: config.nodeName, ports, ...planeNames(messages, graph, portName) },
    status,
    config: () => text,
    objects: (word, namespace) => followedObjects(graph, config.nodeName, word, namespace),
    peers: () => probes.peers(),
    probe: (wish) => probes.ask(wish as ProbeWish),
    cni: cni?.answer,
  };
}
