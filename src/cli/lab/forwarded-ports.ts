// The ports of `podwire port-forward`: LOCAL:REMOTE, REMOTE alone, :REMOTE for any local port. REMOTE may be a name.
import type { Pod, Service } from "../../kube/objects.ts";
import { CliError, usageError } from "../errors.ts";

export interface ForwardedPort {
  /** 0: any. */
  local: number;
  /** A number, or a name to look for. */
  remote: string;
}

const PORT_MAX = 65_535;

export function forwardedPort(word: string): ForwardedPort {
  const [first, second, more] = word.split(":");
  const remote = second ?? first;
  const local = second === undefined ? first : first === "" ? "0" : first;
  const isNumber = /^\d+$/.test(remote);
  const isRemote = isNumber ? portIn(remote, 1) : /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(remote);
  const isLocal = second === undefined && !isNumber ? true : portIn(local, 0);
  if (more !== undefined || !isRemote || !isLocal)
    throw usageError(`port ${word}: write LOCAL:REMOTE, REMOTE or :REMOTE, such as 8080:80`);
  return { local: /^\d+$/.test(local) ? Number(local) : 0, remote };
}

function portIn(text: string, least: number): boolean {
  return /^\d+$/.test(text) && Number(text) >= least && Number(text) <= PORT_MAX;
}

/** The pod's port for a word: of a Service its ports are meant, of everything else the containers'. */
export function remotePort(word: string, pod: Pod, service: Service | undefined): number {
  if (service === undefined) return containerPort(word, pod);
  const { ports = [], clusterIP } = service.spec;
  const { name } = service.metadata;
  const found = ports.find((port) => (/^\d+$/.test(word) ? port.port === Number(word) : port.name === word));
  if (found === undefined) {
    if (/^\d+$/.test(word) && clusterIP === "None" && ports.length === 0) return Number(word);
    throw new CliError(
      `Service ${name} does not have a ${/^\d+$/.test(word) ? "service port" : "port named"} ${word}`,
    );
  }
  if (clusterIP === "None" && found.targetPort === undefined) return found.port;
  const target = found.targetPort ?? found.port;
  return typeof target === "number" ? target : containerPort(target, pod);
}

function containerPort(word: string, { metadata, spec }: Pod): number {
  if (/^\d+$/.test(word)) return Number(word);
  const ports = spec.containers.flatMap((container) => container.ports ?? []);
  const found = ports.find(({ name }) => name === word);
  if (found !== undefined) return found.containerPort;
  throw new CliError(`Pod '${metadata.name}' does not have a named port '${word}'`);
}
