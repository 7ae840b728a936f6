// Endpoints of a Service without selector → EndpointSlices, as the endpointslicemirroring controller of
// kube-controller-manager makes them: what proxies read are slices alone. A slice for each family and set of ports.
import type { EndpointPort as CorePort, EndpointAddress } from "kubernetes-types/core/v1.js";
import { parseIp } from "../base/ip.ts";
import { nameSuffix } from "./hash.ts";
import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type Endpoints,
  type KubeObject,
  keyOf,
  type Service,
} from "./objects.ts";
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL, SKIP_MIRROR_LABEL } from "./slice-labels.ts";

export const MIRRORING_CONTROLLER = "endpointslicemirroring-controller.k8s.io";
/** Leader election of before Leases: an Endpoints object without endpoints. */
const LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader";
const NOT_MIRRORED = new Set([
  "endpoints.kubernetes.io/last-change-trigger-time",
  "kubectl.kubernetes.io/last-applied-configuration",
]);
const ADDRESSES_MAX = 1000; // --mirroring-max-endpoints-per-subset

/** The slices that `endpoints` becomes; those in `existing` that fit keep their names. */
export function mirrorSlices(
  endpoints: Endpoints | undefined,
  service: Service | undefined,
  existing: readonly EndpointSlice[],
  isTaken: (name: string) => boolean,
): EndpointSlice[] {
  if (endpoints === undefined || service === undefined || !hasMirror(endpoints, service)) return [];
  const groups = groupsOf(endpoints);
  const used = new Set<string>();
  return [...groups].map(([key, group]) => {
    const old = existing.find((slice) => keyOfGroup(slice.addressType, slice.ports) === key);
    let name = old?.metadata.name;
    for (let i = 0; name === undefined; i++) {
      const next = `${endpoints.metadata.name}-${nameSuffix(`${keyOf(endpoints)}/mirror/${key}/${i}`)}`;
      if (!used.has(next) && !isTaken(next)) name = next;
    }
    used.add(name);
    return makeSlice(endpoints, name, group);
  });
}

function hasMirror({ metadata }: Endpoints, { spec }: Service): boolean {
  if (metadata.labels?.[SKIP_MIRROR_LABEL] === "true") return false;
  if (metadata.annotations?.[LEADER_ANNOTATION] !== undefined) return false;
  return Object.keys(spec.selector ?? {}).length === 0;
}

interface Group {
  readonly family: string;
  readonly ports: EndpointPort[];
  readonly endpoints: Map<string, Endpoint>;
}

function groupsOf({ subsets = [] }: Endpoints): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const { addresses = [], notReadyAddresses = [], ports: given = [] } of subsets) {
    const ports = given.map(slicePort);
    const all = [
      ...addresses.map((address) => ({ address, ready: true })),
      ...notReadyAddresses.map((address) => ({ address, ready: false })),
    ];
    for (const { address, ready } of all.slice(0, ADDRESSES_MAX)) {
      const family = `IPv${parseIp(address.ip)?.family}`;
      const key = keyOfGroup(family, ports);
      const group = groups.get(key) ?? { family, ports, endpoints: new Map() };
      groups.set(key, group);
      if (!group.endpoints.has(address.ip)) group.endpoints.set(address.ip, endpointOf(address, ready));
    }
  }
  return groups;
}

function slicePort({ name = "", port, protocol = "TCP", appProtocol }: CorePort): EndpointPort {
  return { name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) };
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

function keyOfGroup(family: string, ports: readonly EndpointPort[]): string {
  const list = ports.map((p) => `${p.name ?? ""}/${p.protocol}/${p.port}/${p.appProtocol ?? ""}`).sort();
  return `${family} ${list.join(" ")}`;
}

function makeSlice({ metadata }: Endpoints, name: string, group: Group): EndpointSlice {
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !NOT_MIRRORED.has(key));
  const owner = { apiVersion: "v1", kind: "Endpoints", name: metadata.name, uid: metadata.uid ?? "" };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name,
      namespace: metadata.namespace as string,
      labels: {
        ...metadata.labels,
        [SERVICE_NAME_LABEL]: metadata.name,
        [MANAGED_BY_LABEL]: MIRRORING_CONTROLLER,
      },
      ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    addressType: group.family,
    endpoints: [...group.endpoints.values()],
    ports: group.ports,
  };
}

/** True for a slice that was made of an Endpoints object. */
export function isMirrored({ kind, metadata }: KubeObject): boolean {
  return kind === "EndpointSlice" && metadata.labels?.[MANAGED_BY_LABEL] === MIRRORING_CONTROLLER;
}

/** Objects of a file with the slices that the controller would have made, where the file does not bring them. */
export function withMirroredSlices(objects: readonly KubeObject[]): KubeObject[] {
  const slices = objects.filter((object): object is EndpointSlice => object.kind === "EndpointSlice");
  const names = new Set(slices.map(keyOf));
  const has = new Set(
    slices.map(({ metadata }) => `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME_LABEL]}`),
  );
  const services = new Map(
    objects.flatMap((object) => (object.kind === "Service" ? [[keyOf(object), object as Service]] : [])),
  );
  const made = objects.flatMap((object) => {
    const key = keyOf(object);
    if (object.kind !== "Endpoints" || has.has(key)) return [];
    const isTaken = (name: string): boolean => names.has(`${object.metadata.namespace}/${name}`);
    return mirrorSlices(object as Endpoints, services.get(key), [], isTaken);
  });
  return made.length === 0 ? [...objects] : [...objects, ...made];
}
