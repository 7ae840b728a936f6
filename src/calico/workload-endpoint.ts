// Pods as Calico sees them: one WorkloadEndpoint for each that is scheduled and has a network of its own. Names, labels
// and profiles are those that Calico derives from the pod.
import type { Container, KubeObject, Metadata, Pod } from "../kube/objects.ts";
import { calicoInterfaceName } from "./interface-name.ts";

export type WorkloadEndpoint = KubeObject & {
  kind: "WorkloadEndpoint";
  spec: {
    orchestrator: "k8s";
    node: string;
    pod: string;
    endpoint: "eth0";
    serviceAccountName: string;
    /** One address each; none when the pod has ended. */
    ipNetworks?: string[];
    profiles: string[];
    interfaceName: string;
    ports?: WorkloadEndpointPort[];
  };
};

export interface WorkloadEndpointPort {
  name: string;
  protocol: string;
  port: number;
  hostPort: number;
  hostIP: string;
}

const API_VERSION = "projectcalico.org/v3";
const ACCOUNT_LABEL_MAX = 62; // a longer one has no label
const FINISHED: readonly (string | undefined)[] = ["Succeeded", "Failed"];

/** Undefined for pods of the host's network and for those that no node has yet. */
export function workloadEndpointOf({ metadata, spec, status }: Pod): WorkloadEndpoint | undefined {
  const { nodeName = "", hostNetwork = false } = spec;
  if (nodeName === "" || hostNetwork) return undefined;
  const { namespace = "default", name } = metadata;
  // Where a manifest names none, the admission of every cluster fills this one in.
  const account = spec.serviceAccountName || "default";
  const addresses = FINISHED.includes(status.phase) ? [] : (status.podIPs ?? []);
  const ports = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(portsOf);
  return {
    apiVersion: API_VERSION,
    kind: "WorkloadEndpoint",
    metadata: metadataOf(metadata, nodeName, account),
    spec: {
      orchestrator: "k8s",
      node: nodeName,
      pod: name,
      endpoint: "eth0",
      serviceAccountName: account,
      ...(addresses.length === 0 ? {} : { ipNetworks: addresses.map(({ ip = "" }) => networkOf(ip)) }),
      profiles: [`kns.${namespace}`, `ksa.${namespace}.${account}`],
      interfaceName: calicoInterfaceName(namespace, name),
      ...(ports.length === 0 ? {} : { ports }),
    },
  };
}

function metadataOf(pod: Metadata, node: string, account: string): Metadata {
  const { namespace = "default", creationTimestamp, generateName, resourceVersion, uid } = pod;
  const labels = {
    ...pod.labels,
    "projectcalico.org/namespace": namespace,
    "projectcalico.org/orchestrator": "k8s",
    ...(account.length > ACCOUNT_LABEL_MAX ? {} : { "projectcalico.org/serviceaccount": account }),
  };
  return {
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(generateName === undefined ? {} : { generateName }),
    labels,
    name: [node, "k8s", pod.name, "eth0"].map((part) => part.replaceAll("-", "--")).join("-"),
    namespace,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(uid === undefined ? {} : { uid }),
  };
}

function networkOf(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Ports that rules can name, and those that the host has too. */
function portsOf({ ports = [] }: Container): WorkloadEndpointPort[] {
  return ports
    .filter(({ name = "", hostPort = 0 }) => name !== "" || hostPort !== 0)
    .map(({ name = "", protocol = "TCP", containerPort, hostPort = 0, hostIP = "" }) => {
      return { hostIP, hostPort, name, port: containerPort, protocol };
    });
}
