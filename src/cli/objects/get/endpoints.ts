// Endpoints as a cluster's controller would keep them beside the slices: one object a Service with a selector.
import type { EndpointSlice, KubeObject, Service } from "../../../kube/objects.ts";
import type { ObjectHolder } from "../../nodes/nodes.ts";
import { listObjects } from "../workload.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";

/** Those of a namespace, or of all, where `stored` are there. */
export async function allEndpoints(
  holder: ObjectHolder,
  stored: readonly KubeObject[],
  namespace?: string,
): Promise<KubeObject[]> {
  const services = await listObjects(holder, "services", namespace);
  const slices = await listObjects(holder, "endpointslices", namespace);
  return withDerivedEndpoints(stored, services.items, slices.items);
}

/** Those that are not stored, made of the slices; stored ones stand as they are. Sorted by namespace and name. */
function withDerivedEndpoints(
  stored: readonly KubeObject[],
  services: readonly KubeObject[],
  slices: readonly KubeObject[],
): KubeObject[] {
  const key = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;
  const there = new Set(stored.map(key));
  const made = (services as Service[])
    .filter((service) => service.spec.selector !== undefined && !there.has(key(service)))
    .map((service) => endpointsOf(service, slices as EndpointSlice[]));
  return [...stored, ...made].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function endpointsOf(service: Service, slices: readonly EndpointSlice[]): KubeObject {
  const { name, namespace, labels, creationTimestamp } = service.metadata;
  const family = service.spec.ipFamilies?.[0] ?? "IPv4";
  const own = slices.filter(
    ({ metadata, addressType }) =>
      metadata.namespace === namespace && metadata.labels?.[SERVICE_LABEL] === name && addressType === family,
  );
  const subsets = own.flatMap(({ endpoints, ports }) => {
    const list = (ready: boolean): object[] =>
      endpoints
        .filter(({ conditions }) => (conditions?.ready !== false) === ready)
        .map(({ addresses, nodeName, targetRef }) => ({
          ip: addresses[0],
          ...(nodeName === undefined ? {} : { nodeName }),
          ...(targetRef === undefined ? {} : { targetRef }),
        }));
    const [addresses, notReadyAddresses] = [list(true), list(false)];
    if (addresses.length + notReadyAddresses.length === 0) return [];
    return [
      {
        ...(addresses.length === 0 ? {} : { addresses }),
        ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
        ...(ports.length === 0 ? {} : { ports }),
      },
    ];
  });
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    ...(subsets.length === 0 ? {} : { subsets }),
  } as KubeObject;
}
