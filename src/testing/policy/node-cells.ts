// Cells as packets at one node, for judges that have one: the ground's first. It asks the egress and the ingress of its
// own pods; what another node asks is none of its business.
import type { Flow } from "../judge/flows.ts";
import { type Cluster, podAt } from "./cluster.ts";
import type { Answer, Cell } from "./evaluator.ts";
import type { Ground } from "./ground.ts";

export interface NodeCell {
  readonly cell: Cell;
  readonly flow: Flow;
}

/** Undefined: no packet of it comes by the node, or one of its ends is not there. */
export function nodeCell(ground: Ground, cluster: Cluster, cell: Cell): NodeCell | undefined {
  const { from, to, port, protocol } = cell;
  const isOwn = isOwnPod(ground);
  if (from === to || !(isOwn(from) || isOwn(to))) return undefined;
  if ([from, to].some((address) => isOwn(address) && podAt(cluster, address) === undefined)) return undefined;
  const { address } = ground.nodes[0];
  const isNode = from === address[4] || from === address[6];
  const entry = isOwn(from) ? "pod" : isNode ? "node" : "uplink";
  return { cell, flow: { from, entry, to, port, protocol: protocol as Flow["protocol"] } };
}

const ownPods = new WeakMap<Ground, ReadonlySet<string>>();

function isOwnPod(ground: Ground): (address: string) => boolean {
  const own = ownPods.get(ground) ?? new Set(ground.nodes[0].pods.flatMap((pod) => [pod[4], pod[6]]));
  ownPods.set(ground, own);
  return (address) => own.has(address);
}

/** What of an answer is this node's. */
export function allowedAtNode(ground: Ground, { from, to }: Cell, { egress, ingress }: Answer): boolean {
  const isOwn = isOwnPod(ground);
  return (!isOwn(from) || egress.allowed) && (!isOwn(to) || ingress.allowed);
}
