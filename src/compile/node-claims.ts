// What several Nodes say is theirs: a range of pods that was given twice by hand, a machine whose Node is there under its
// former name as well. What this node has is its own, whoever else claims it; of others the first by name has it, as
// their routes come in that order.
import { type Cidr, formatCidr, formatIp, type Ip, overlaps, sameIp } from "../base/ip.ts";

interface Claim {
  readonly name: string;
  /** By which it is reached. */
  readonly addresses: readonly Ip[];
  readonly podCidrs: readonly Cidr[];
}

export interface Granted {
  /** What of its ranges is not this node's. */
  readonly podCidrs: readonly Cidr[];
  /** For people; "": it claims nothing that another has. */
  readonly problem: string;
}

/** Of each of `others`, which come by name, what it has. */
export function grantedTo(own: Claim, others: readonly Claim[]): Granted[] {
  const holders = new Map<string, string>();
  return others.map(({ name, addresses, podCidrs }) => {
    const same = addresses.find((address) => own.addresses.some((each) => sameIp(each, address)));
    if (same !== undefined) {
      const how = "remove the Node if the machine has another name by now, or mend its address";
      return { podCidrs: [], problem: `its address ${formatIp(same)} is this node's own: ${how}` };
    }
    const isOwn = (range: Cidr): boolean => own.podCidrs.some((each) => overlaps(each, range));
    const holderOf = (range: Cidr): string | undefined =>
      isOwn(range) ? `this node (${own.name})` : holders.get(formatCidr(range));
    const double = podCidrs.find((range) => holderOf(range) !== undefined);
    const holder = double === undefined ? undefined : holderOf(double);
    for (const range of podCidrs) if (holderOf(range) === undefined) holders.set(formatCidr(range), name);
    const what = double === undefined ? "" : `its podCIDR ${formatCidr(double)} is that of ${holder}`;
    return {
      podCidrs: podCidrs.filter((range) => !isOwn(range)),
      problem: what === "" ? "" : `${what}, too: pods of one of them are not reached: give each its own`,
    };
  });
}
