// What all containers of a pod share: its name and its files under /etc, as kubelet would write them.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hostResolvers } from "../../dns/host-resolvers.ts";
import type { Pod } from "../../kube/objects.ts";
import type { Topology } from "../topology.ts";

/** The lab's DNS server, which its own pod runs (lab/dns). */
export const DNS_IMAGE = "podwire/dns";
const ZONE = "cluster.local";
const HERE = dirname(fileURLToPath(import.meta.url));

/** File of a program of the lab that runs in a process of its own. */
export function programFile(name: "echo" | "probe-helper"): string {
  return join(HERE, `${name}.js`);
}

/** Runs `argv` inside a namespace, with the namespace's own files over /etc. ip(8) becomes the program: same pid. */
export function inNamespace(netns: string, argv: string[]): string[] {
  return ["ip", "netns", "exec", netns, ...argv];
}

/** What a pod calls itself. */
export function hostname(pod: Pod): string {
  return (pod.spec?.hostname ?? pod.metadata?.name ?? "").slice(0, 63);
}

/**
 * /etc/resolv.conf, /etc/hosts and /etc/hostname of a pod (dnsPolicy and dnsConfig as Kubernetes defines them). Without
 * resolv.conf the pod sees the machine's. `machine`: what that one says.
 */
export function etcFiles(t: Topology, pod: Pod, machine = hostResolvers): Record<string, string> {
  const name = hostname(pod);
  const addresses = (pod.status?.podIPs ?? []).map((x) => x.ip);
  const aliases = (pod.spec?.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join("\t")}`);
  const hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  const files: Record<string, string> = {
    hosts: `${[...hosts, ...addresses.map((ip) => `${ip}\t${name}`), ...aliases].join("\n")}\n`,
    hostname: `${name}\n`,
  };
  const resolver = resolvConf(t, pod, machine);
  if (resolver !== undefined) files["resolv.conf"] = resolver;
  return files;
}

interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** `name` or `name:value`. */
  readonly options: readonly string[];
}

/** What dnsPolicy says; dnsConfig comes on top. */
function policyResolver(t: Topology, pod: Pod, policy: string, machine: typeof hostResolvers): Resolver {
  if (policy === "None") return { servers: [], search: [], options: [] };
  if (policy === "Default") {
    const { servers, ...rest } = machine();
    return { servers: servers.flatMap((each) => ("address" in each ? [each.address] : [])), ...rest };
  }
  const zone = t.dns?.zone ?? ZONE;
  return {
    servers: [t.dnsAddress],
    search: [`${pod.metadata?.namespace ?? "default"}.svc.${zone}`, `svc.${zone}`, zone],
    options: ["ndots:5"],
  };
}

/** What programs read of resolv.conf at most, as kubelet has it. */
const SERVERS_MAX = 3;
const PATHS_MAX = 32;
const SEARCH_MAX = 2048; // characters

interface Limited {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** What was left out, in kubelet's words. */
  readonly told: readonly string[];
}

function withinLimits(servers: readonly string[], search: readonly string[]): Limited {
  const told: string[] = [];
  const fewer = search.slice(0, PATHS_MAX);
  while (fewer.join(" ").length > SEARCH_MAX) fewer.pop();
  const line = (what: string, some: string, applied: readonly string[], name: string): void => {
    told.push(
      `${what} limits were exceeded, ${some} have been omitted, the applied ${name} line is: ${applied.join(" ")}`,
    );
  };
  const first = servers.slice(0, SERVERS_MAX);
  if (first.length < servers.length) line("Nameserver", "some nameservers", first, "nameserver");
  if (fewer.length < search.length) line("Search Line", "some search paths", fewer, "search");
  return { servers: first, search: fewer, told };
}

/** Why a pod's resolv.conf is not all that it asks for, in kubelet's words. */
export function resolverNotes(t: Topology, pod: Pod, machine = hostResolvers): readonly string[] {
  const resolver = resolverOf(t, pod, machine);
  return resolver === undefined ? [] : withinLimits(resolver.servers, resolver.search).told;
}

function resolvConf(t: Topology, pod: Pod, machine: typeof hostResolvers): string | undefined {
  const resolver = resolverOf(t, pod, machine);
  if (resolver === undefined) return undefined;
  const kept = withinLimits(resolver.servers, resolver.search);
  return [
    ...(kept.search.length > 0 ? [`search ${kept.search.join(" ")}`] : []),
    ...kept.servers.map((server) => `nameserver ${server}`),
    ...(resolver.options.length > 0 ? [`options ${resolver.options.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** Undefined: the pod sees the machine's. */
function resolverOf(t: Topology, pod: Pod, machine: typeof hostResolvers): Resolver | undefined {
  const { dnsPolicy = "ClusterFirst", dnsConfig, hostNetwork } = pod.spec;
  // The node's network goes with the node's DNS, unless the pod asks for the cluster's by name.
  const policy = dnsPolicy === "ClusterFirst" && hostNetwork === true ? "Default" : dnsPolicy;
  if (policy === "Default" && dnsConfig === undefined) return undefined;
  const base = policyResolver(t, pod, policy, machine);
  const servers = new Set([...base.servers, ...(dnsConfig?.nameservers ?? [])]);
  const search = new Set([...base.search, ...(dnsConfig?.searches ?? [])]);
  const options = new Map<string, string | undefined>();
  for (const option of base.options) {
    const [name, value] = option.split(":", 2);
    options.set(name, value);
  }
  for (const { name, value } of dnsConfig?.options ?? []) if (name !== undefined) options.set(name, value);
  const words = [...options].map(([key, value]) => (value === undefined ? key : `${key}:${value}`));
  return { servers: [...servers], search: [...search], options: words };
}
