// What a container is given: its program, environment and files under /etc, as kubelet would put them together.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ECHO_IMAGE } from "../../kube/fields/fields.ts";
import type { Container, Pod } from "../../kube/objects.ts";
import { PROCESS_MARK } from "../process/process-table.ts";
import type { NodePlan, Topology } from "../topology.ts";

const SEARCH = ["svc.cluster.local", "cluster.local"];
const PATH_DEFAULT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const HERE = dirname(fileURLToPath(import.meta.url));

/** File of a program of the lab that runs in a process of its own. */
export function programFile(name: "echo" | "probe-helper"): string {
  return join(HERE, `${name}.js`);
}

export function isEcho(container: Container): boolean {
  return ECHO_IMAGE.test(container.image ?? "") && container.command === undefined;
}

/** Runs `argv` inside a namespace, with the namespace's own files over /etc. ip(8) becomes the program: same pid. */
export function inNamespace(netns: string, argv: string[]): string[] {
  return ["ip", "netns", "exec", netns, ...argv];
}

/** The container's program, or undefined for one that only keeps the pod's namespace. */
export function programOf(container: Container, env: Record<string, string>): string[] | undefined {
  const args = (container.args ?? []).map((text) => expand(text, env));
  if (container.command !== undefined && container.command.length > 0) {
    return [...container.command.map((text) => expand(text, env)), ...args];
  }
  return isEcho(container) ? [process.execPath, programFile("echo")] : undefined;
}

export function environmentOf(
  lab: string,
  pod: Pod,
  container: Container,
  node: NodePlan,
): Record<string, string> {
  const ports = container.ports ?? [];
  const { name = "", namespace = "default" } = pod.metadata ?? {};
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? PATH_DEFAULT,
    HOME: "/root",
    LANG: "C.UTF-8",
    HOSTNAME: hostname(pod),
    [PROCESS_MARK]: `${lab}/pod/${namespace}/${name}/${container.name}`,
  };
  if (ports.length > 0) env.PORT = String(ports[0].containerPort);
  if (isEcho(container)) {
    env.PODWIRE_POD = name;
    env.PODWIRE_NAMESPACE = namespace;
    env.PODWIRE_NODE = node.name;
    env.PODWIRE_READY_FD = "3";
    // Told, not looked up: os.networkInterfaces() leaves out a device without carrier, as a TAP is before its agent.
    env.PODWIRE_ADDRESSES = (pod.status.podIPs ?? []).map((x) => x.ip).join(",");
    env.PODWIRE_ECHO_PORTS = ports.map((p) => `${p.containerPort}/${p.protocol ?? "TCP"}`).join(",");
  }
  for (const { name: key, value, valueFrom } of container.env ?? []) {
    const path = valueFrom?.fieldRef?.fieldPath;
    env[key] = path === undefined ? expand(value ?? "", env) : fieldOf(pod, node, path);
  }
  return env;
}

/** The downward API's fields that make sense here; "" for the others, as for an optional reference. */
function fieldOf(pod: Pod, node: NodePlan, path: string): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return pod.metadata?.[keyed[1] as "labels" | "annotations"]?.[keyed[2]] ?? "";
  const values: Record<string, string | undefined> = {
    "metadata.name": pod.metadata?.name,
    "metadata.namespace": pod.metadata?.namespace,
    "metadata.uid": pod.metadata?.uid,
    "spec.nodeName": node.name,
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? pod.spec?.serviceAccount ?? "default",
    "status.hostIP": node.address,
    "status.hostIPs": node.addresses.join(","),
    "status.podIP": pod.status?.podIPs?.[0]?.ip,
    "status.podIPs": pod.status?.podIPs?.map((x) => x.ip).join(","),
  };
  return values[path] ?? "";
}

/** $(NAME) is the variable's value, $$(NAME) is the text $(NAME), an unknown name stays as it is. */
function expand(text: string, env: Record<string, string>): string {
  return text.replaceAll(/\$(\$|\(([-._a-zA-Z0-9]+)\))/g, (all: string, kind: string, name: string) => {
    if (kind === "$") return "$";
    return Object.hasOwn(env, name) ? env[name] : all;
  });
}

function hostname(pod: Pod): string {
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
  const servers = [...(cluster ? [t.dnsAddress] : []), ...(config?.nameservers ?? [])];
  const search = [...(cluster ? [`${namespace}.${SEARCH[0]}`, ...SEARCH] : []), ...(config?.searches ?? [])];
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
