// Where a lab's Kubernetes API listens for its nodes and pods: an address of the fabric that is nobody's, on the bridge
// itself. They reach it through the data path of their nodes, as those of a cluster reach the control plane.
import { parseSpan, placeIn } from "../../base/address-span.ts";
import { cidr, formatIp, nthIp } from "../../base/ip.ts";
import { LabError } from "../errors.ts";
import { hexBytes, macSource, type Topology } from "../topology.ts";

/** TCP; kubeadm's. */
export const API_PORT = 6443;

/** Before the nodes'; those after them are for who has many, or has chosen these. */
const PLACES = [...countedDown(10, 1), ...countedDown(254, 11)];

/** One of each family of the node network, in their order. Throws a LabError where all are taken. */
export function controlPlaneAddresses({ fabricCidrs, nodes, clients, loadBalancer }: Topology): string[] {
  const taken = new Set([...nodes, ...clients].flatMap(({ addresses }) => addresses));
  const pools = (loadBalancer?.pool ?? []).flatMap((text) => parseSpan(text) ?? []);
  return fabricCidrs.map((text) => {
    const range = cidr(text);
    // Of IPv6 the last digits read like IPv4's, as those of nodes do.
    const digits = (place: number): number =>
      range.family === 4 ? place : Number.parseInt(String(place), 16);
    const free = PLACES.map((place) => nthIp(range, digits(place)))
      .filter((each) => pools.every((pool) => placeIn(pool, each) < 0))
      .find((each) => !taken.has(formatIp(each)));
    if (free !== undefined) return formatIp(free);
    throw new LabError("LAB_NO_ADDRESS", `spec.nodes: no address left in ${text} for the Kubernetes API`);
  });
}

/** Of the bridge: by itself it would take one of its ports', and change it when ports come and go. */
export function controlPlaneMac(t: Topology): string {
  return `0a:58:${hexBytes(macSource(controlPlaneAddresses(t)))}`;
}

function countedDown(from: number, to: number): number[] {
  return Array.from({ length: from - to + 1 }, (_, i) => from - i);
}
