// Where the Services of a pod expect it to answer: people leave containerPorts out, and Services find it nevertheless.
import { matchesLabels } from "../../../kube/labels.ts";
import type { Pod, Service } from "../../../kube/objects.ts";

/** "8080/TCP", each once: targetPorts by number that no container of the pod declares. `services`: of its namespace. */
export function servicePorts({ metadata, spec }: Pod, services: readonly Service[]): string[] {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const declared = new Set(containers.flatMap(({ ports = [] }) => ports.map((port) => port.containerPort)));
  const own = services.filter((each) => matchesLabels(each.spec.selector, metadata.labels));
  const ports = own.flatMap((each) => each.spec.ports ?? []);
  const wanted = ports.flatMap(({ port, targetPort = port, protocol = "TCP" }) =>
    protocol === "SCTP" || typeof targetPort !== "number" || declared.has(targetPort)
      ? []
      : [`${targetPort}/${protocol}`],
  );
  return [...new Set(wanted)];
}
