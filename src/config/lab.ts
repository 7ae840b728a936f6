// Lab (podwire.dev/v1alpha1): values that the schema cannot judge. What the lab makes of it is the lab's.
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import { validateLabels } from "../kube/validate/metadata.ts";
import * as names from "../kube/validate/names.ts";
import { checkKeepClientAddress, overlayConfig, type RawOverlay } from "./agent.ts";
import { labDns, type RawLabDns } from "./dns.ts";
import { checkLabAddresses, type LabMember } from "./lab-addresses.ts";
import { checkLoadBalancer, type RawLoadBalancer } from "./load-balancer.ts";
import { readPodSecurity } from "./pod-security.ts";
import { readProxyConfig } from "./proxy.ts";
import { checkSchema } from "./schema.ts";
import { readWorkers } from "./workers.ts";

interface RawNode extends LabMember {
  readonly agent?: string;
  readonly labels?: Record<string, string>;
  readonly uplink?: { driver?: string };
}

interface RawLab {
  metadata?: { name?: string };
  spec?: {
    clusterCIDR?: string;
    serviceCIDR?: string;
    overlay?: RawOverlay;
    proxy?: unknown;
    dataplane?: { keepClientAddress?: boolean; workers?: unknown };
    podSecurity?: unknown;
    images?: { match: string; run: string[] }[];
    dns?: RawLabDns;
    loadBalancer?: RawLoadBalancer;
    nodes?: RawNode[];
    clients?: LabMember[];
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
  const proxy = readProxyConfig(spec.proxy, problems, ["spec", "proxy"]);
  const { mode } = proxy;
  const drivers = (spec.nodes ?? []).map(({ uplink }) => uplink?.driver);
  readWorkers(spec.dataplane?.workers, { mode, drivers }, ["spec", "dataplane", "workers"], problems);
  readPodSecurity(spec.podSecurity, problems, ["spec", "podSecurity"]);
  labDns(spec.dns ?? {}, problems);
  overlayConfig(spec.overlay, ["spec", "overlay"], problems);
  checkKeepClientAddress(spec, ["spec"], problems);
  if (spec.nodes?.length === 0) problems.required(["spec", "nodes"], "a lab has one node or more");
  checkNames(spec, problems);
  for (const [i, { run }] of (spec.images ?? []).entries()) {
    const detail = "the program of this machine that the image stands for, and its arguments";
    if ((run[0] ?? "") === "") problems.required(["spec", "images", i, "run"], detail);
  }
  for (const [i, node] of (spec.nodes ?? []).entries()) {
    const at: FieldPath = ["spec", "nodes", i];
    validateLabels(node.labels, [...at, "labels"], problems);
    if (node.agent === "kernel" && node.uplink !== undefined) {
      problems.forbidden([...at, "uplink"], "may not be used when `agent` is 'kernel'");
    }
  }
  const fabric = checkLabAddresses(spec, problems);
  if (fabric !== undefined) checkLoadBalancer(spec, fabric, proxy, problems);
}

function checkNames(spec: NonNullable<RawLab["spec"]>, problems: FieldProblems): void {
  for (const list of ["nodes", "clients"] as const) {
    const seen = new Set<string>();
    for (const [i, member] of (spec[list] ?? []).entries()) {
      const path: FieldPath = ["spec", list, i, "name"];
      names.checkName(problems, path, member.name, names.dns1123Subdomain);
      if (seen.has(member.name)) problems.duplicate(path, member.name);
      seen.add(member.name);
    }
  }
}
