// Pods as Calico sees them: workload endpoints, with labels of their own and of their namespace, and with named ports.
import { formatIp, type Ip, type IpFamily, parseIp } from "../../base/ip.ts";
import type { Labels } from "../../kube/labels.ts";
import type { Container, KubeObject, Namespace, Pod } from "../../kube/objects.ts";
import { calicoInterfaceName } from "../interface-name.ts";
import { NAMESPACE, NAMESPACE_PREFIX, ORCHESTRATOR } from "./selector.ts";

export interface NamedPort {
  readonly name: string;
  /** tcp, udp or sctp. */
  readonly protocol: string;
  readonly port: number;
}

export interface Endpoint {
  readonly namespace: string;
  readonly pod: string;
  readonly nodeName: string;
  readonly interfaceName: string;
  readonly addresses: readonly Ip[];
  readonly labels: Labels;
  readonly ports: readonly NamedPort[];
  /** kns.NAMESPACE and ksa.NAMESPACE.ACCOUNT. */
  readonly profiles: readonly string[];
}

/** Of pods that have an address of their own: none of the host's network, none that is finished. */
export function endpointsOf(objects: readonly KubeObject[]): Endpoint[] {
  const namespaces = objects.filter((object): object is Namespace => object.kind === "Namespace");
  const labelsOf = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  return objects
    .filter((object): object is Pod => object.kind === "Pod")
    .filter(
      ({ spec, status }) => spec.nodeName !== undefined && spec.hostNetwork !== true && !isFinished(status),
    )
    .map((pod) => endpointOf(pod, labelsOf.get(pod.metadata.namespace ?? "") ?? {}))
    .filter(({ addresses }) => addresses.length > 0)
    .sort((a, b) => (a.interfaceName < b.interfaceName ? -1 : 1));
}

function isFinished(status: Pod["status"] | undefined): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function endpointOf({ metadata, spec, status }: Pod, namespaceLabels: Labels): Endpoint {
  const { name, namespace = "default" } = metadata;
  const inherited = Object.entries({ ...namespaceLabels, "kubernetes.io/metadata.name": namespace }).map(
    ([key, value]) => [NAMESPACE_PREFIX + key, value],
  );
  const texts = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)].flatMap((text) => text ?? []);
  return {
    namespace,
    pod: name,
    nodeName: spec.nodeName ?? "",
    interfaceName: calicoInterfaceName(namespace, name),
    addresses: [...new Set(texts)].flatMap((text) => parseIp(text) ?? []),
    labels: {
      ...Object.fromEntries(inherited),
      ...metadata.labels,
      [NAMESPACE]: namespace,
      [ORCHESTRATOR]: "k8s",
    },
    ports: [...spec.containers, ...(spec.initContainers ?? []).filter(isSidecar)].flatMap(namedPorts),
    profiles: [`kns.${namespace}`, `ksa.${namespace}.${spec.serviceAccountName || "default"}`],
  };
}

/** An init container that does not end before the others begin. */
function isSidecar(container: Container): boolean {
  return (container as { restartPolicy?: string }).restartPolicy === "Always";
}

function namedPorts({ ports = [] }: Container): NamedPort[] {
  return ports.flatMap(({ name, protocol = "TCP", containerPort }) =>
    name === undefined ? [] : [{ name, protocol: protocol.toLowerCase(), port: containerPort }],
  );
}

export function addressesOf({ addresses }: Endpoint, family: IpFamily): string[] {
  return addresses.filter((address) => address.family === family).map(formatIp);
}
