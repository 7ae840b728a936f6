// Where packets to a Service are found.
import { isIP } from "node:net";
import type { EndpointSlice, Service } from "../../kube/objects.ts";
import { CliError } from "../errors.ts";
import type { Nodes } from "../nodes/nodes.ts";
import { listObjects } from "../objects/workload.ts";
import type { Place } from "./flow-expression.ts";

/** Where packets to a service go: its addresses, and its endpoints with their ports. */
export async function servicePlaces(all: Nodes, name: string, namespace: string): Promise<Place[]> {
  const service = (await listObjects(all, "services", namespace)).items.find(
    (each) => each.metadata.name === name,
  );
  if (service === undefined) throw new CliError(`service ${namespace}/${name} not found in ${all.label}`);
  const { clusterIP, clusterIPs = [], externalIPs = [] } = (service as Service).spec;
  const addresses = new Set([clusterIP, ...clusterIPs, ...externalIPs]);
  const places: Place[] = [...addresses].flatMap((address) => {
    return address === undefined || isIP(address) === 0 ? [] : [{ address }];
  });
  const slices = (await listObjects(all, "endpointslices", namespace)).items as EndpointSlice[];
  for (const slice of slices.filter(
    (each) => each.metadata.labels?.["kubernetes.io/service-name"] === name,
  )) {
    for (const address of slice.endpoints.flatMap((endpoint) => endpoint.addresses)) {
      for (const { port } of slice.ports) places.push(port === undefined ? { address } : { address, port });
    }
  }
  return places;
}
