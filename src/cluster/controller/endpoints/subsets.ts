// The subsets of an Endpoints object: ports that the same addresses have, ready or not, stand together (RepackSubsets of
// pkg/api/v1/endpoints). Their order is that of the Service's ports; kube's is that of a hash.
import type { EndpointAddress, EndpointPort, EndpointSubset } from "kubernetes-types/core/v1.js";

/** An address with the numbers that a Service's ports have there. */
export interface PortedAddress {
  readonly address: EndpointAddress;
  readonly isReady: boolean;
  /** Empty: of a headless Service without ports. */
  readonly ports: readonly EndpointPort[];
}

/** The API server's bound of one object. */
const ADDRESSES_MAX = 1000;

export function subsetsOf(all: readonly PortedAddress[]): EndpointSubset[] {
  const sorted = [...all].sort((a, b) => compare(a.address, b.address));
  /** Port → who has it; without ports all have the same, none. */
  const byPort = new Map<string, { port: EndpointPort | undefined; indices: number[] }>();
  for (const [index, { ports }] of sorted.entries()) {
    for (const port of ports.length === 0 ? [undefined] : ports) {
      const key = JSON.stringify(port ?? null);
      const entry = byPort.get(key) ?? { port, indices: [] };
      byPort.set(key, entry);
      if (entry.indices.at(-1) !== index) entry.indices.push(index);
    }
  }
  const groups = new Map<string, { ports: EndpointPort[]; indices: number[] }>();
  for (const { port, indices } of byPort.values()) {
    const key = indices.join();
    const group = groups.get(key) ?? { ports: [], indices };
    groups.set(key, group);
    if (port !== undefined) group.ports.push(port);
  }
  return [...groups.values()].map(({ ports, indices }) => {
    const those = (isReady: boolean): EndpointAddress[] =>
      indices.flatMap((index) => (sorted[index].isReady === isReady ? [sorted[index].address] : []));
    const [addresses, notReadyAddresses] = [those(true), those(false)];
    return {
      ...(addresses.length === 0 ? {} : { addresses }),
      ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
      ...(ports.length === 0 ? {} : { ports }),
    };
  });
}

/** By the octets of the text, as kube compares them. */
function compare(a: EndpointAddress, b: EndpointAddress): number {
  if (a.ip !== b.ip) return a.ip < b.ip ? -1 : 1;
  return (a.targetRef?.uid ?? "") < (b.targetRef?.uid ?? "") ? -1 : 1;
}

/** A thousand addresses: ready ones first, of each subset in proportion. Undefined: there are no more than that. */
export function truncated(subsets: readonly EndpointSubset[]): EndpointSubset[] | undefined {
  const count = (field: "addresses" | "notReadyAddresses"): number =>
    subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  const [ready, notReady] = [count("addresses"), count("notReadyAddresses")];
  if (ready + notReady <= ADDRESSES_MAX) return undefined;
  const isReadyCut = ready > ADDRESSES_MAX;
  const room = isReadyCut ? ADDRESSES_MAX : ADDRESSES_MAX - ready;
  const total = isReadyCut ? ready : notReady;
  let left = room;
  const cut = (addresses: readonly EndpointAddress[] = []): EndpointAddress[] => {
    const kept = addresses.slice(0, Math.min(left, Math.ceil((addresses.length / total) * room)));
    left -= kept.length;
    return kept;
  };
  return subsets.map(({ addresses, notReadyAddresses, ...rest }) => {
    const kept = isReadyCut ? cut(addresses) : (addresses ?? []);
    const keptNotReady = isReadyCut ? [] : cut(notReadyAddresses);
    return {
      ...rest,
      ...(kept.length === 0 ? {} : { addresses: kept }),
      ...(keptNotReady.length === 0 ? {} : { notReadyAddresses: keptNotReady }),
    };
  });
}
