// kube-proxy's iptables rules of a small cluster, taken apart again for tests: by table and chain, without
// comments. The node is "here", with 192.168.0.2 and fd00:168::2, zone "a", pods 10.0.1.0/24 and
// fd00:10:1::/64.
import { type ProxyConfig, readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { serviceChain } from "../../kubeproxy/names.ts";
import type { RulesInput } from "../../kubeproxy/proxy-view.ts";
import { renderRules } from "../../kubeproxy/rules.ts";
import { node } from "./proxy-objects.ts";

export const HERE = node("here", ["192.168.0.2", "fd00:168::2"], {
  zone: "a",
  podCidrs: ["10.0.1.0/24", "fd00:10:1::/64"],
});
/** Of the port that proxy-objects makes. */
export const NAME = { namespace: "ns", service: "svc", port: "p80", protocol: "tcp" };
export const [SVC, SVL, EXT, FW] = (["SVC", "SVL", "EXT", "FW"] as const).map((kind) =>
  serviceChain(kind, NAME),
);
export const LOCAL_ENDPOINT = { address: "10.0.1.1", node: "here" };
export const REMOTE_ENDPOINT = { address: "10.0.2.1", node: "there" };
export const NODE_PORT = { type: "NodePort" };
export const BALANCER = { type: "LoadBalancer" };
export const TO_CLUSTER_IP = "-m tcp -p tcp -d 172.30.0.41 --dport 80";

/** A KubeProxyConfiguration of the cluster 10.0.0.0/8, fd00:10::/32. */
export function config(options: object = {}): ProxyConfig {
  const problems = new FieldProblems();
  const made = readProxyConfig({ clusterCIDR: "10.0.0.0/8,fd00:10::/32", ...options }, problems);
  if (problems.any) throw new Error(JSON.stringify(problems.list));
  return made;
}

/** Rules by "table chain", without comments. */
export class Rules {
  readonly text: string;
  readonly #chains = new Map<string, string[]>();

  constructor(objects: KubeObject[], options: object = {}, input: Partial<RulesInput> = {}) {
    this.text = renderRules("iptables-save", {
      objects: [HERE, ...objects],
      nodeName: "here",
      config: config(options),
      family: 4,
      ...input,
    });
    let table = "";
    for (const line of this.text.split("\n")) {
      if (line.startsWith("*")) table = line.slice(1);
      if (line.startsWith(":")) this.#chains.set(`${table} ${line.slice(1).split(" ")[0]}`, []);
      if (!line.startsWith("-A ")) continue;
      const [, chain, rule] = /^-A (\S+) ?(.*)$/.exec(line) as RegExpExecArray;
      const bare = rule.replace(/-m comment --comment (?:"[^"]*"|\S+) ?/, "");
      this.#chains.get(`${table} ${chain}`)?.push(bare);
    }
  }

  /** Undefined: no such chain. */
  of(table: "nat" | "filter" | "mangle", chain: string): string[] | undefined {
    return this.#chains.get(`${table} ${chain}`);
  }

  /** Endpoints of a chain in their order, by what its KUBE-SEP chains translate to. */
  endpoints(chain: string): string[] {
    const seps = (this.of("nat", chain) ?? []).flatMap((rule) => /-j (KUBE-SEP-\S+)/.exec(rule)?.[1] ?? []);
    return seps.map((sep) => {
      const dnat = this.of("nat", sep)?.find((rule) => rule.includes("DNAT")) ?? "";
      return dnat.split("--to-destination ")[1];
    });
  }
}
