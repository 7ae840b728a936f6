/** Where this agent's objects come from, by its configuration. */
import type { AgentConfig } from "../config/agent.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { readAccess } from "../watch/api-server/kubeconfig.ts";
import { FilesSource } from "../watch/files-source.ts";
import { SocketSource } from "../watch/socket-source.ts";
import type { ObjectSource } from "../watch/source.ts";

/** Throws when a kubeconfig cannot be used. */
export function objectSource({ source, nodeName }: AgentConfig): ObjectSource {
  if ("socket" in source) return new SocketSource(source.socket, nodeName);
  if ("files" in source) return new FilesSource(source.files);
  const { stateFile = `/var/lib/podwire/${nodeName}.objects.gz`, ...access } = source.kubernetes;
  return new ApiSource({ access: readAccess(access), nodeName, stateFile });
}
