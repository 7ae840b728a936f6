// What a node with `agent: kernel` does about services: the rules that kube-proxy (iptables mode) would write, for
// ClusterIP and NodePort with random choice and masquerade, as one input of iptables-restore or ip6tables-restore with
// the whole nat table of a family.
// No session affinity, no LoadBalancer, no internalTrafficPolicy: this node is a peer to talk to, not the product.
import { createHash } from "node:crypto";
import type { NodePlan, Topology } from "./topology.ts";

/** The parts of Service and EndpointSlice that are read here. */
export interface KernelService {
  metadata: { namespace?: string; name?: string };
  spec?: {
    type?: string;
    clusterIPs?: string[];
    clusterIP?: string;
    externalTrafficPolicy?: string;
    ports?: { name?: string; protocol?: string; port: number; nodePort?: number }[];
  };
}
export interface KernelSlice {
  metadata: { namespace?: string; labels?: Record<string, string> };
  addressType?: string;
  ports?: { name?: string; protocol?: string; port?: number }[];
  endpoints?: { addresses: string[]; conditions?: { ready?: boolean }; nodeName?: string }[];
}

interface Target {
  address: string;
  port: number;
  local: boolean;
}

const MASQUERADE_MARK = "0x4000/0x4000";

export function kernelRules(
  t: Topology,
  node: NodePlan,
  services: KernelService[],
  slices: KernelSlice[],
  family: 4 | 6 = 4,
): string {
  const host = family === 4 ? "/32" : "/128";
  const chains: string[] = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"];
  const entry: string[] = [];
  const nodePorts: string[] = [];
  const bodies: string[] = [];
  const isOf = (text: string): boolean => text.includes(":") === (family === 6);
  const cluster = t.clusterCidr.split(",").find(isOf)?.trim() ?? "";
  for (const service of services) {
    const all = service.spec?.clusterIPs ?? [service.spec?.clusterIP ?? "None"];
    const ip = all.find((text) => text !== "None" && text !== "" && isOf(text));
    if (ip === undefined) continue; // headless, ExternalName, of the other family
    for (const port of service.spec?.ports ?? []) {
      const protocol = (port.protocol ?? "TCP").toLowerCase();
      const targets = targetsOf(service, port, slices, node.name, family);
      const key = `${service.metadata.namespace}/${service.metadata.name}:${port.name ?? ""}/${protocol}`;
      const local = service.spec?.externalTrafficPolicy === "Local";
      const at = `-p ${protocol} -m ${protocol} --dport`;
      if (targets.length > 0) {
        const svc = chainName("KUBE-SVC-", key);
        entry.push(`-A KUBE-SERVICES -d ${ip}${host} ${at} ${port.port} -j ${svc}`);
        bodies.push(`-A ${svc} ! -s ${cluster} -d ${ip}${host} ${at} ${port.port} -j KUBE-MARK-MASQ`);
        chains.push(svc);
        bodies.push(...balance(svc, key, protocol, targets, chains));
      }
      if (port.nodePort === undefined || port.nodePort === 0) continue;
      const chosen = local ? targets.filter((target) => target.local) : targets;
      if (chosen.length === 0) continue;
      const ext = chainName("KUBE-EXT-", key);
      chains.push(ext);
      nodePorts.push(`-A KUBE-NODEPORTS ${at} ${port.nodePort} -j ${ext}`);
      if (!local) bodies.push(`-A ${ext} -j KUBE-MARK-MASQ`);
      bodies.push(...balance(ext, `${key}/external`, protocol, chosen, chains));
    }
  }
  return natTable(cluster, chains, [
    ...entry,
    "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
    ...nodePorts,
    ...bodies,
  ]);
}

/** The whole table: what is the same whatever services there are, then `rules`. */
function natTable(cluster: string, chains: string[], rules: string[]): string {
  return [
    "*nat",
    ":PREROUTING ACCEPT [0:0]",
    ":INPUT ACCEPT [0:0]",
    ":OUTPUT ACCEPT [0:0]",
    ":POSTROUTING ACCEPT [0:0]",
    ...chains.map((chain) => `:${chain} - [0:0]`),
    "-A PREROUTING -j KUBE-SERVICES",
    "-A OUTPUT -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    `-A POSTROUTING -s ${cluster} ! -d ${cluster} -j MASQUERADE`, // pods to the world, as flannel --ip-masq
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${MASQUERADE_MARK.split("/")[0]}`,
    `-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE_MARK} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${MASQUERADE_MARK.split("/")[0]}`,
    "-A KUBE-POSTROUTING -j MASQUERADE",
    ...rules,
    "COMMIT",
    "",
  ].join("\n");
}

/** One rule an endpoint, each taken with probability 1/(number left), and the endpoint's own chain with the DNAT. */
function balance(
  chain: string,
  key: string,
  protocol: string,
  targets: Target[],
  chains: string[],
): string[] {
  return targets.flatMap((target, i) => {
    const sep = chainName("KUBE-SEP-", `${key}/${target.address}:${target.port}`);
    const left = targets.length - i;
    const pick = left === 1 ? "" : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    chains.push(sep);
    return [
      `-A ${chain}${pick} -j ${sep}`,
      `-A ${sep} -s ${target.address}${target.address.includes(":") ? "/128" : "/32"} -j KUBE-MARK-MASQ`, // hairpin
      `-A ${sep} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${socket(target)}`,
    ];
  });
}

function targetsOf(
  service: KernelService,
  port: { name?: string; protocol?: string },
  slices: KernelSlice[],
  node: string,
  family: 4 | 6,
): Target[] {
  const { namespace, name } = service.metadata;
  const found = new Map<string, Target>();
  for (const slice of slices) {
    if (slice.metadata.namespace !== namespace) continue;
    if (slice.metadata.labels?.["kubernetes.io/service-name"] !== name) continue;
    if (slice.addressType !== undefined && slice.addressType !== `IPv${family}`) continue;
    const match = slice.ports?.find(
      (p) => (p.name ?? "") === (port.name ?? "") && (p.protocol ?? "TCP") === (port.protocol ?? "TCP"),
    );
    if (match?.port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      const address = endpoint.addresses[0];
      found.set(`${address}:${match.port}`, { address, port: match.port, local: endpoint.nodeName === node });
    }
  }
  return [...found.values()];
}

function socket({ address, port }: Target): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Prefix and 16 characters of base32, as kube-proxy names its chains: at most 28 characters for iptables. */
function chainName(prefix: string, key: string): string {
  const bytes = createHash("sha256").update(key).digest();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return prefix + [...bytes.subarray(0, 16)].map((byte) => alphabet[byte & 31]).join("");
}
