// Which addresses a Service of type LoadBalancer asks for: spec.loadBalancerIP, or as MetalLB reads it an annotation with
// one of each family. Answers them in the order of the Service's families, or why they cannot be had.
import { formatIp, parseIp } from "../../../base/ip.ts";
import type { Service } from "../../../kube/objects.ts";
import type { VipPool } from "./vip-pool.ts";

const ANNOTATIONS = ["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs"];

export function familiesOf({ spec }: Service): readonly string[] {
  return spec.ipFamilies ?? ["IPv4"];
}

export function requestedAddresses(service: Service, key: string, pool: VipPool): readonly string[] | string {
  const annotations = service.metadata.annotations ?? {};
  const name = ANNOTATIONS.find((each) => (annotations[each] ?? "") !== "");
  const { loadBalancerIP = "" } = service.spec;
  if (name !== undefined && loadBalancerIP !== "") {
    return `both spec.loadBalancerIP and the annotation ${name} ask for addresses: leave one out`;
  }
  const texts = (name === undefined ? loadBalancerIP : annotations[name])
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "");
  const families = familiesOf(service);
  const byFamily = new Map<string, string>();
  for (const text of texts) {
    const address = parseIp(text);
    if (address === null) return `${JSON.stringify(text)} is not an IP address`;
    const family = `IPv${address.family}`;
    if (!families.includes(family)) return `${text} is asked for, and the Service has no ${family}`;
    if (byFamily.has(family)) return `more than one ${family} address is asked for`;
    const wanted = formatIp(address);
    if (!pool.has(wanted)) return `${text} is not in the lab's loadBalancer.pool`;
    const owner = pool.ownerOf(wanted);
    if (owner !== undefined && owner !== key) return `${owner} has ${text}, and addresses are not shared`;
    byFamily.set(family, wanted);
  }
  return families.flatMap((family) => byFamily.get(family) ?? []);
}
