// Lab (podwire.dev/v1alpha1): values that the schema cannot judge. What the lab makes of it is the lab's.
import { overlaps, parseCidr } from "../../base/ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";
import * as names from "../validate/names.ts";
import { cidrList } from "./agent.ts";
import { readProxyConfig } from "./proxy.ts";
import { checkSchema } from "./schema.ts";

interface RawLab {
  metadata?: { name?: string };
  spec?: {
    clusterCIDR?: string;
    serviceCIDR?: string;
    proxy?: unknown;
    nodes?: { name: string; address?: string; podCIDR?: string }[];
    clients?: { name: string; address?: string }[];
  };
}

/** Reports what is wrong with a Lab. */
export function checkLab(value: unknown, problems: FieldProblems): void {
  checkSchema("Lab", value, problems);
  if (problems.any) return;
  const { metadata = {}, spec = {} } = value as RawLab;
  if (metadata.name !== undefined) {
    names.checkName(problems, ["metadata", "name"], metadata.name, names.dns1123Label);
  }
  const cluster = cidrList(["spec", "clusterCIDR"], spec.clusterCIDR ?? "", problems);
  const service = cidrList(["spec", "serviceCIDR"], spec.serviceCIDR ?? "", problems);
  if (cluster.some((a) => service.some((b) => overlaps(a, b)))) {
    problems.invalid(["spec", "serviceCIDR"], spec.serviceCIDR, "must not overlap spec.clusterCIDR");
  }
  readProxyConfig(spec.proxy, problems, ["spec", "proxy"]);
  checkMembers(spec, problems);
  const ranges: { path: FieldPath; text: string }[] = [];
  for (const [i, node] of (spec.nodes ?? []).entries()) {
    if (node.podCIDR === undefined) continue;
    const path: FieldPath = ["spec", "nodes", i, "podCIDR"];
    if (!names.checkCidr(problems, path, node.podCIDR)) continue;
    const range = parseCidr(node.podCIDR);
    const other = ranges.find(({ text }) => range !== null && overlaps(range, parseCidr(text) ?? range));
    if (other !== undefined) problems.invalid(path, node.podCIDR, `overlaps ${other.text} of another node`);
    ranges.push({ path, text: node.podCIDR });
  }
}

function checkMembers(spec: NonNullable<RawLab["spec"]>, problems: FieldProblems): void {
  const addresses = new Set<string>();
  for (const list of ["nodes", "clients"] as const) {
    const seen = new Set<string>();
    for (const [i, member] of (spec[list] ?? []).entries()) {
      const path: FieldPath = ["spec", list, i];
      names.checkName(problems, [...path, "name"], member.name, names.dns1123Subdomain);
      if (seen.has(member.name)) problems.duplicate([...path, "name"], member.name);
      seen.add(member.name);
      if (member.address === undefined) continue;
      names.checkIp(problems, [...path, "address"], member.address);
      if (addresses.has(member.address)) problems.duplicate([...path, "address"], member.address);
      addresses.add(member.address);
    }
  }
}
