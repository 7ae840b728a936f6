// Where a random cluster stands: two nodes, the addresses their pods may get, and hosts outside. The addresses are
// those of the judges' worlds (src/testing/judge/world.ts), each with its twin of the other family.
import type { IpFamily } from "../../base/ip.ts";
import { V4, V6 } from "../judge/world.ts";

/** One address of each family. */
export interface Pair {
  readonly 4: string;
  readonly 6: string;
}

export interface GroundNode {
  readonly name: string;
  readonly address: Pair;
  readonly podCidr: Pair;
  readonly pods: readonly Pair[];
}

export interface Ground {
  readonly nodes: readonly GroundNode[];
  readonly outside: readonly Pair[];
}

/** Families that a cluster may have; the first is the one of `status.podIP`. */
export const FAMILIES: readonly (readonly IpFamily[])[] = [[4], [6], [4, 6], [6, 4]];

const twins = (four: readonly string[], six: readonly string[]): Pair[] =>
  four.map((address, i) => ({ 4: address, 6: six[i] }));

export const GROUND: Ground = {
  nodes: [
    {
      name: "node1",
      address: { 4: V4.nodeIp, 6: V6.nodeIp },
      podCidr: { 4: V4.podCidr, 6: V6.podCidr },
      pods: twins(V4.pods, V6.pods),
    },
    {
      name: "node2",
      address: { 4: V4.remoteNodeIp, 6: V6.remoteNodeIp },
      podCidr: { 4: V4.remotePodCidr, 6: V6.remotePodCidr },
      pods: twins(V4.remotePods, V6.remotePods),
    },
  ],
  outside: [...twins(V4.neighbors, V6.neighbors), { 4: V4.outside(0), 6: V6.outside(0) }],
};
