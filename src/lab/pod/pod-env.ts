// What all containers of a pod share: its name and its files under /etc, as kubelet would write them.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
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

/** /etc/resolv.conf, /etc/hosts and /etc/hostname of a pod (dnsPolicy and dnsConfig as Kubernetes defines them). */
export function etcFiles(t: Topology, pod: Pod): Record<string, string> {
  const name = hostname(pod);
  const addresses = (pod.status?.podIPs ?? []).map((x) => x.ip);
  const aliases = (pod.spec?.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join("\t")}`);
  const hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  const files: Record<string, string> = {
    hosts: `${[...hosts, ...addresses.map((ip) => `${ip}\t${name}`), ...aliases].join("\n")}\n`,
    hostname: `${name}\n`,
  };
  const resolver = resolvConf(t, pod);
  if (resolver !== undefined) files["resolv.conf"] = resolver;
  return files;
}

function resolvConf(t: Topology, pod: Pod): string | undefined {
  const policy = pod.spec?.dnsPolicy ?? "ClusterFirst";
  const config = pod.spec?.dnsConfig;
  if (policy === "Default" && config === undefined) return undefined; // the host's own file
  const cluster = policy.startsWith("ClusterFirst");
  const namespace = pod.metadata?.namespace ?? "default";
  const zone = t.dns?.zone ?? ZONE;
  const servers = [...(cluster ? [t.dnsAddress] : []), ...(config?.nameservers ?? [])];
  const search = [
    ...(cluster ? [`${namespace}.svc.${zone}`, `svc.${zone}`, zone] : []),
    ...(config?.searches ?? []),
  ];
  const options = new Map<string, string | undefined>(cluster ? [["ndots", "5"]] : []);
  for (const option of config?.options ?? []) {
    if (option.name !== undefined) options.set(option.name, option.value);
  }
  const optionWords = [...options].map(([key, value]) => (value === undefined ? key : `${key}:${value}`));
  return [
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(optionWords.length > 0 ? [`options ${optionWords.join(" ")}`] : []),
    "",
  ].join("\n");
}
