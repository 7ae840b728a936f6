// Where a container is expected to answer: its containerPorts, and the ports that its probes and hooks ask, which people
// leave out of them.
import type { LifecycleHandler } from "kubernetes-types/core/v1.js";
import type { Container, Probe } from "../../../kube/objects.ts";

/** "8080/TCP", each once. `others`: the other containers of its pod, whose ports are theirs. */
export function standInPorts(container: Container, others: readonly Container[] = []): string[] {
  const own = (container.ports ?? []).filter(({ protocol }) => protocol !== "SCTP");
  const taken = new Set(others.flatMap(declared));
  const asked = askedPorts(container).map((port) => `${port}/TCP`);
  return [...new Set([...own.map(word), ...asked.filter((each) => !taken.has(each))])];
}

const word = ({ containerPort, protocol = "TCP" }: { containerPort: number; protocol?: string }): string =>
  `${containerPort}/${protocol}`;

const declared = ({ ports = [] }: Container): string[] => ports.map(word);

/** By number; who asks by name means a containerPort. */
function askedPorts({ startupProbe, livenessProbe, readinessProbe, lifecycle }: Container): number[] {
  const all: readonly (Probe | LifecycleHandler | undefined)[] = [
    startupProbe,
    livenessProbe,
    readinessProbe,
    lifecycle?.postStart,
    lifecycle?.preStop,
  ];
  return all.flatMap((each) => {
    const { httpGet, tcpSocket, grpc } = (each ?? {}) as Probe;
    const local = [httpGet, tcpSocket].filter((one) => one !== undefined && !one.host);
    const ports = [...local.map((one) => one?.port), grpc?.port].map(Number);
    return ports.filter((port) => Number.isInteger(port) && port > 0);
  });
}
