// What a pod is to a Service, in slices and in Endpoints alike: its address, its numbers of the Service's ports, and
// since when it is what it is.
import { parseIp } from "../../base/ip.ts";
import type { EndpointPort, Pod, Service } from "../../kube/objects.ts";

/** From here to the moment at which a proxy works with it is "network programming latency". */
export const TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

/** The Service's ports with this pod's numbers; a port name that the pod does not have leaves the port out. */
export function resolvePorts(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec.ports ?? []) {
    const number =
      typeof port.targetPort === "string"
        ? containerPort(pod, port.targetPort, port.protocol ?? "TCP")
        : (port.targetPort ?? port.port);
    if (number === undefined) continue;
    const { appProtocol } = port;
    ports.push({
      name: port.name ?? "",
      protocol: port.protocol ?? "TCP",
      port: number,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    });
  }
  return ports;
}

function containerPort(pod: Pod, name: string, protocol: string): number | undefined {
  for (const container of pod.spec.containers) {
    const port = container.ports?.find((p) => p.name === name && (p.protocol ?? "TCP") === protocol);
    if (port !== undefined) return port.containerPort;
  }
  return undefined;
}

/** "" when nobody wrote it down. */
export function readySince(pod: Pod): string {
  return pod.status.conditions?.find((c) => c.type === "Ready")?.lastTransitionTime ?? "";
}

export function addressOf(pod: Pod, family: string): string | undefined {
  return pod.status.podIPs?.find(({ ip }) => `IPv${parseIp(ip ?? "")?.family}` === family)?.ip;
}
