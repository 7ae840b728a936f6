// loadBalancer.pool of a Lab: addresses for Services of type LoadBalancer, as MetalLB's pools are written: CIDRs and
// ranges from-to, one text with commas or a list. They are announced by ARP and neighbour discovery, so they lie in the
// node network; that network's own first and last addresses, which nobody can ask for, are left out.
import { type AddressSpan, nthOfSpan, parseSpan, placeIn, spansOverlap } from "../base/address-span.ts";
import { addIp, type Cidr, contains, formatCidr, nthIp, sizeOf } from "../base/ip.ts";
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import type { ProxyConfig } from "./proxy.ts";

export interface RawLoadBalancer {
  readonly pool: string | readonly string[];
}

interface Lab {
  readonly loadBalancer?: RawLoadBalancer;
  readonly nodes?: readonly { readonly agent?: string }[];
}

const POOL: FieldPath = ["spec", "loadBalancer", "pool"];
const TEXT = "must be a CIDR such as 192.168.50.240/28 or a range such as 192.168.50.240-192.168.50.250";

/** `fabric`: the node network, one range a family. */
export function checkLoadBalancer(
  { loadBalancer, nodes = [] }: Lab,
  fabric: readonly Cidr[],
  proxy: ProxyConfig,
  problems: FieldProblems,
): void {
  if (loadBalancer === undefined) return;
  readPool(loadBalancer, fabric, problems);
  if (nodes.length > 0 && nodes.every(({ agent }) => agent === "kernel")) {
    problems.invalidWhole(["spec", "loadBalancer"], "no node announces it: `agent: kernel` nodes do not");
  }
  if (proxy.mode === "ipvs" && !proxy.ipvs.strictArp) {
    const detail = "must be true with spec.loadBalancer: else each node answers for each of its addresses";
    problems.invalid(["spec", "proxy", "ipvs", "strictARP"], false, detail);
  }
}

/** What can be given away of it, in the order in which it is written. */
export function readPool(
  { pool }: RawLoadBalancer,
  fabric: readonly Cidr[],
  problems: FieldProblems,
): AddressSpan[] {
  const parts =
    typeof pool === "string"
      ? pool.split(",").map((text) => ({ text: text.trim(), path: POOL }))
      : pool.map((text, i) => ({ text: text.trim(), path: [...POOL, i] }));
  if (parts.length === 0) problems.required(POOL, TEXT);
  const whole: AddressSpan[] = [];
  const spans: AddressSpan[] = [];
  for (const { text, path } of parts) {
    const span = parseSpan(text);
    const net = fabric.find(({ family }) => family === span?.first.family);
    if (span === null) problems.invalid(path, text, TEXT);
    else if (net === undefined) {
      problems.invalid(
        path,
        text,
        `spec.clusterCIDR has no IPv${span.first.family} range: nobody could answer`,
      );
    } else if (!isWithin(span, net)) {
      problems.invalid(
        path,
        text,
        `is not within the node network ${formatCidr(net)}: nobody would ask for it there`,
      );
    } else if (whole.some((other) => spansOverlap(other, span))) {
      problems.invalid(path, text, "overlaps what is named before it");
    } else {
      whole.push(span);
      const usable = withoutEnds(span, net);
      if (usable.size > 0) spans.push(usable);
      else problems.invalid(path, text, `is an address of the node network ${formatCidr(net)} itself`);
    }
  }
  return spans;
}

/** The address of the network and its broadcast address; of IPv6 the routers' anycast address (RFC 4291 §2.6.1). */
function withoutEnds({ first, size }: AddressSpan, net: Cidr): AddressSpan {
  const hasFirst = placeIn({ first: nthIp(net, 0), size: 1 }, first) >= 0;
  const last = nthIp(net, sizeOf(net) - 1);
  const hasLast = net.family === 4 && placeIn({ first, size }, last) >= 0;
  return {
    first: hasFirst ? addIp(first, 1) : first,
    size: size - (hasFirst ? 1 : 0) - (hasLast ? 1 : 0),
  };
}

function isWithin(span: AddressSpan, net: Cidr): boolean {
  return contains(net, span.first) && contains(net, nthOfSpan(span, span.size - 1));
}
