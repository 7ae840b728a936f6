// Which node announces the addresses of a load balancer: MetalLB's way in layer 2. All look at the same objects, and the
// node whose name makes the smallest hash with the address has it, so that addresses are spread over the nodes and one
// moves only when its node goes, or comes back. Nobody announces what no endpoint serves. Unlike MetalLB the hash is no
// SHA-256: another node than there may have it.
import { hash32 } from "../../../kube/hash.ts";
import type { EndpointSlice, Node, Service } from "../../../kube/objects.ts";

const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";
/** Who says of a node what forwards there. Of a plain kernel nobody answers for addresses that it has not. */
const AGENT = "podwire.dev/agent";

/** Undefined: no node may. */
export function announcerOf(
  service: Service,
  address: string,
  slices: readonly EndpointSlice[],
  nodes: Iterable<Node>,
): string | undefined {
  const endpoints = slices.flatMap((slice) => slice.endpoints ?? []);
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  const used = ready.length > 0 ? ready : endpoints.filter(({ conditions }) => conditions?.serving === true);
  if (used.length === 0) return undefined;
  const isLocal = service.spec.externalTrafficPolicy === "Local";
  const names = [...nodes]
    .filter(mayAnnounce)
    .map(({ metadata }) => metadata.name)
    .filter((name) => !isLocal || used.some(({ nodeName }) => nodeName === name));
  const place = (name: string): number => hash32(`${name}#${address}`);
  return names.sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))[0];
}

/** A node that is not ready for a moment has not been given up: that is said by Unknown. */
function mayAnnounce({ metadata, status }: Node): boolean {
  const ready = status.conditions?.find((c) => c.type === "Ready")?.status ?? "Unknown";
  const isExcluded = EXCLUDED in (metadata.labels ?? {});
  return ready !== "Unknown" && !isExcluded && metadata.annotations?.[AGENT] !== "kernel";
}
