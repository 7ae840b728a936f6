/** Where this agent's objects come from, by its configuration. */
import { contains, formatCidr } from "../base/ip.ts";
import type { AgentConfig } from "../config/agent.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { type Access, addressOf, readAccess } from "../watch/api-server/kubeconfig.ts";
import { FilesSource } from "../watch/files-source.ts";
import type { ObjectSource } from "../watch/source.ts";

/** Throws when a kubeconfig cannot be used. */
export function objectSource(config: AgentConfig): ObjectSource {
  const { source, nodeName } = config;
  if ("files" in source) return new FilesSource(source.files);
  const { stateFile = `/var/lib/podwire/${nodeName}.objects.gz`, ...options } = source.kubernetes;
  const readAgain = (): Access => readAccess(options);
  const access = readAgain();
  const note = servesItself(access.servers, config.serviceCidrs);
  return new ApiSource({ access, readAgain, nodeName, stateFile, ...(note !== "" && { note }) });
}

/** What to say where the server is behind a Service, as a pod's KUBERNETES_SERVICE_HOST is; "": nothing. */
function servesItself(servers: readonly URL[], ranges: AgentConfig["serviceCidrs"]): string {
  const isService = (server: URL): boolean => {
    const address = addressOf(server);
    return address !== null && ranges.some((range) => contains(range, address));
  };
  if (!servers.every(isService)) return "";
  const where = `${servers[0].origin} is a Service's address (serviceCIDR ${ranges.map(formatCidr).join(",")})`;
  const why = "this agent serves it, once it has its objects, and nobody else where kube-proxy is gone";
  return `API server: ${where}: ${why}: name the server's own address in source.kubernetes.servers`;
}
