// The downward API: what a container may know of its own pod, in variables and in files.
import type { Container, Pod } from "../../kube/objects.ts";
import { nanosOf } from "../../kube/validate/resources.ts";
import type { NodePlan } from "../topology.ts";
import type { ConfigObjects } from "./config-objects.ts";

/** A field of the pod; "" for one that is not set. Maps are lines, as volumes have them: key="value". */
export function fieldText(pod: Pod, node: NodePlan, path: string): string {
  const { metadata, spec, status } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return metadata[keyed[1] as "labels" | "annotations"]?.[keyed[2]] ?? "";
  const addresses = (status.podIPs ?? []).map(({ ip }) => ip ?? "");
  const values: Record<string, string | undefined> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
    "metadata.labels": mapText(metadata.labels),
    "metadata.annotations": mapText(metadata.annotations),
    "spec.nodeName": node.name,
    "spec.serviceAccountName": serviceAccountOf(pod),
    "status.hostIP": node.address,
    "status.hostIPs": node.addresses.join(","),
    "status.podIP": spec.hostNetwork === true ? node.address : addresses[0],
    "status.podIPs": addresses.join(","),
  };
  return values[path] ?? "";
}

export function serviceAccountOf({ spec }: Pod): string {
  return spec.serviceAccountName || spec.serviceAccount || "default";
}

interface ResourceSelector {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string;
}

/** What a container may take or asks for, in units of the divisor, rounded up. A limit that is not set is the node's. */
export function resourceText(
  pod: Pod,
  own: Container | undefined,
  selector: ResourceSelector,
  { capacity }: Pick<ConfigObjects, "capacity">,
): string {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const { containerName, resource, divisor } = selector;
  const container = containerName ? all.find(({ name }) => name === containerName) : own;
  const [list, name] = resource.split(/\.(.*)/s);
  const { limits = {}, requests = {} } = container?.resources ?? {};
  const ofNode = {
    cpu: capacity.cpu,
    memory: capacity.memory,
    "ephemeral-storage": capacity.ephemeralStorage,
  };
  const whole = (ofNode as Record<string, string>)[name] ?? "0";
  const quantity = list === "limits" ? (limits[name] ?? whole) : (requests[name] ?? limits[name] ?? "0");
  const unit = nanosOf(divisor === undefined || divisor === "" || divisor === "0" ? "1" : divisor);
  const nanos = nanosOf(quantity);
  return `${(nanos + unit - 1n) / unit}`;
}

function mapText(map: Readonly<Record<string, string>> | undefined): string {
  const lines = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return lines.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join("\n");
}
