// Ranges of nodes: a podCIDR out of each cluster CIDR for nodes that bring none (/24, or /64 of IPv6, as
// kube-controller-manager cuts them). What a node asks for is honoured; overlapping ranges are refused.
import { type Cidr, cidr, contains, formatCidr, network, nthIp, overlaps } from "../../base/ip.ts";
import { kubeletLabels } from "../../kube/kubelet-labels.ts";
import type { Node } from "../../kube/objects.ts";
import { IpamError, type PodIpam } from "./pod-ipam.ts";

const NODE_MASK = { 4: 24, 6: 64 } as const;
const CUT_MAX = 65536; // as --node-cidr-mask-size: not more than 16 bits finer than the cluster CIDR

export class NodeIpam {
  readonly #clusterCidrs: readonly Cidr[];
  readonly #cidrs = new Map<string, Cidr[]>();
  readonly #remembered = new Map<string, Cidr[]>();

  constructor(clusterCidrs: readonly Cidr[]) {
    this.#clusterCidrs = clusterCidrs;
  }

  remember(node: string, podCidrs: readonly string[]): void {
    this.#remembered.set(node, podCidrs.map(cidr));
  }

  /** The node with its ranges, which are the pods' from then on, and with what its kubelet says of it in labels. */
  allocated(node: Node, pods: Pick<PodIpam, "setNode">, architecture = "amd64"): Node {
    const { name } = node.metadata;
    const podCIDRs = this.allocate(name, node.spec.podCIDRs ?? []);
    pods.setNode(name, podCIDRs);
    const labels = { ...kubeletLabels(name, architecture), ...node.metadata.labels };
    const spec = { ...node.spec, podCIDR: podCIDRs[0], podCIDRs };
    return { ...node, metadata: { ...node.metadata, labels }, spec };
  }

  /** podCIDRs of the node: those given, else remembered ones that are still free, else new ones. */
  allocate(node: string, given: readonly string[]): string[] {
    this.#cidrs.delete(node);
    const wanted = given.length > 0 ? given.map(cidr) : [];
    for (const range of wanted) {
      const other = this.#holder(range);
      if (other !== undefined) {
        const message = `podCIDR ${formatCidr(range)} of node "${node}" overlaps that of node "${other}"`;
        throw new IpamError(message, { code: "IPAM_RANGE_TAKEN", node, other });
      }
    }
    const remembered = (this.#remembered.get(node) ?? []).filter(
      (range) => this.#holder(range) === undefined,
    );
    const ranges = this.#clusterCidrs.map(
      (cluster) =>
        wanted.find((r) => r.family === cluster.family) ??
        remembered.find((r) => contains(cluster, r)) ??
        this.#cut(node, cluster),
    );
    const result = wanted.length > 0 ? wanted : ranges;
    this.#cidrs.set(node, result);
    return result.map(formatCidr);
  }

  release(node: string): void {
    this.#cidrs.delete(node);
  }

  #cut(node: string, cluster: Cidr): Cidr {
    const wide = NODE_MASK[cluster.family];
    const mask = Math.max(wide, cluster.prefixLen);
    const kept = [...this.#remembered.values()].flat();
    const count = Math.min(CUT_MAX, 2 ** (mask - cluster.prefixLen));
    const step = (i: number): Cidr => network(subnet(cluster, mask, i), mask);
    // The first range is left for last: an address like 10.244.0.1 is too easily taken for the cluster's own.
    for (const avoid of [kept, []]) {
      for (let n = 0; n < count; n++) {
        const range = step((n + 1) % count);
        if (this.#holder(range) === undefined && !avoid.some((r) => overlaps(r, range))) return range;
      }
    }
    const message = `node "${node}": cluster CIDR ${formatCidr(cluster)} has no /${mask} left for it`;
    throw new IpamError(message, { code: "IPAM_EXHAUSTED", node });
  }

  #holder(range: Cidr): string | undefined {
    for (const [node, ranges] of this.#cidrs) if (ranges.some((r) => overlaps(r, range))) return node;
    return undefined;
  }
}

/** First address of the i-th subnet; i is below 2¹⁶, so it fits in the two words around the mask. */
function subnet(cluster: Cidr, mask: number, i: number): ReturnType<typeof nthIp> {
  const base = nthIp(cluster, 0);
  if (cluster.family === 4) return nthIp(cluster, i * 2 ** (32 - mask));
  // /64 and finer of IPv6: the index lies in word 1, or (finer than /64) in words 2 and 3.
  if (mask <= 64) return { ...base, w1: (base.w1 + i * 2 ** (64 - mask)) | 0 };
  return nthIp(cluster, i);
}
