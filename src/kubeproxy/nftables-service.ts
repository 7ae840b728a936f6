// The chains and map elements of one service port in nftables mode.
import { contains, formatCidr } from "../base/ip.ts";
import type { EndpointView } from "./endpoint-view.ts";
import { nftEndpointName, nftServiceName } from "./names.ts";
import type { NftTable } from "./nft-table.ts";
import type { Detector, ProxyView } from "./proxy-view.ts";
import { isExternal, type ServicePortView } from "./service-view.ts";

const MASQUERADE = "jump mark-for-masquerade";
const REJECT = "goto reject-chain";

export class NftService {
  readonly #view: ProxyView;
  readonly #port: ServicePortView;
  readonly #table: NftTable;
  readonly #name: string;

  constructor(view: ProxyView, port: ServicePortView, table: NftTable) {
    this.#view = view;
    this.#port = port;
    this.#table = table;
    this.#name = nftServiceName(port.name);
  }

  write(): void {
    const { endpoints, loadBalancerIps, sourceRanges } = this.#port;
    this.#clusterIp();
    const external = [...this.#port.externalIps, ...loadBalancerIps];
    for (const address of external) this.#external(address);
    this.#nodePort();
    // Unlike in iptables mode also without endpoints: the check is made before anything else.
    if (loadBalancerIps.length > 0 && sourceRanges.length > 0) this.#firewall();
    this.#declareChains();
    this.#masqueradeInternal();
    if (endpoints.hasAny && isExternal(this.#port)) this.#externalChain();
    if (endpoints.cluster.length > 0) this.#balance(`service-${this.#name}`, endpoints.cluster);
    if (endpoints.local.length > 0) this.#balance(`local-${this.#name}`, endpoints.local);
    for (const endpoint of endpoints.reachable) this.#endpointChain(endpoint);
  }

  /** The verdict of the no-endpoint maps; "": there is an endpoint to send to. */
  #refusal(policyLocal: boolean): string {
    const { endpoints } = this.#port;
    if (!endpoints.hasAny) return REJECT;
    return policyLocal && endpoints.local.length === 0 ? "drop" : "";
  }

  #key(address: string): string {
    return `${address} . ${this.#port.protocol} . ${this.#port.port}`;
  }

  #clusterIp(): void {
    const { clusterIp, internalLocal, text } = this.#port;
    this.#table.element("cluster-ips", clusterIp);
    const refusal = this.#refusal(internalLocal);
    if (refusal === "")
      this.#table.element("service-ips", this.#key(clusterIp), `goto ${this.#internalChain()}`);
    else this.#table.element("no-endpoint-services", this.#key(clusterIp), refusal, text);
  }

  #internalChain(): string {
    return `${this.#port.internalLocal ? "local" : "service"}-${this.#name}`;
  }

  #external(address: string): void {
    const { endpoints, externalLocal, text } = this.#port;
    const key = this.#key(address);
    if (endpoints.hasAny) this.#table.element("service-ips", key, `goto external-${this.#name}`);
    const refusal = this.#refusal(externalLocal);
    if (refusal !== "") this.#table.element("no-endpoint-services", key, refusal, text);
  }

  #nodePort(): void {
    const { endpoints, externalLocal, nodePort, protocol, text } = this.#port;
    if (nodePort === 0) return;
    const key = `${protocol} . ${nodePort}`;
    if (endpoints.hasAny) this.#table.element("service-nodeports", key, `goto external-${this.#name}`);
    const refusal = this.#refusal(externalLocal);
    if (refusal !== "") this.#table.element("no-endpoint-nodeports", key, refusal, text);
  }

  #firewall(): void {
    const { loadBalancerIps, sourceRanges } = this.#port;
    const chain = `firewall-${this.#name}`;
    const sources = sourceRanges.map(formatCidr);
    // A node that has the VIP bound to itself speaks to it from it.
    if (sourceRanges.some((range) => contains(range, this.#view.nodeIp))) sources.push(...loadBalancerIps);
    this.#table.chain(chain);
    this.#table.rule(chain, `${this.#table.ip} saddr != { ${sources.join(", ")} } drop`);
    for (const address of loadBalancerIps)
      this.#table.element("firewall-ips", this.#key(address), `goto ${chain}`);
  }

  #declareChains(): void {
    const { affinitySec, endpoints, name } = this.#port;
    if (endpoints.cluster.length > 0) this.#table.chain(`service-${this.#name}`);
    if (endpoints.local.length > 0) this.#table.chain(`local-${this.#name}`);
    if (endpoints.hasAny && isExternal(this.#port)) this.#table.chain(`external-${this.#name}`);
    for (const { ip, port } of endpoints.reachable) {
      const endpoint = nftEndpointName(name, ip, port);
      this.#table.chain(`endpoint-${endpoint}`);
      if (affinitySec === 0) continue;
      const spec = `type ${this.#table.addressType} ; flags dynamic,timeout ; timeout ${affinitySec}s ;`;
      this.#table.set(`affinity-${endpoint}`, spec);
    }
  }

  #masqueradeInternal(): void {
    const { clusterIp, internalLocal, port, protocol } = this.#port;
    const { config, detector } = this.#view;
    if (this.#refusal(internalLocal) !== "") return;
    if (!config.masqueradeAll && detector.by === "nothing") return;
    const strangers = config.masqueradeAll ? "" : this.#source(detector, "!= ");
    const to = `${this.#table.ip} daddr ${clusterIp} ${protocol} dport ${port}`;
    this.#table.rule(this.#internalChain(), to, strangers, MASQUERADE);
  }

  /** Matches pods, or with "!= " everybody else. */
  #source(detector: Detector, not: "" | "!= "): string {
    switch (detector.by) {
      case "address":
        return `${this.#table.ip} saddr ${not}${detector.range}`;
      case "interface":
        return `iifname ${not}"${detector.name}"`;
      case "interface-prefix":
        return `iifname ${not}"${detector.name}*"`;
      case "nothing":
        return "";
    }
  }

  #externalChain(): void {
    const { endpoints, externalLocal } = this.#port;
    const { detector } = this.#view;
    const table = this.#table;
    const chain = `external-${this.#name}`;
    const all = `goto service-${this.#name}`;
    if (!externalLocal) {
      table.rule(chain, MASQUERADE);
      table.rule(chain, all);
      return;
    }
    if (detector.by !== "nothing") {
      table.rule(chain, this.#source(detector, ""), all, 'comment "short-circuit pod traffic"');
    }
    table.rule(chain, "fib saddr type local", MASQUERADE, 'comment "masquerade local traffic"');
    table.rule(chain, "fib saddr type local", all, 'comment "short-circuit local traffic"');
    if (endpoints.local.length > 0) table.rule(chain, `goto local-${this.#name}`);
  }

  #balance(chain: string, endpoints: readonly EndpointView[]): void {
    const table = this.#table;
    const names = endpoints.map(({ ip, port }) => nftEndpointName(this.#port.name, ip, port));
    if (this.#port.affinitySec > 0) {
      for (const name of names)
        table.rule(chain, `${table.ip} saddr @affinity-${name} goto endpoint-${name}`);
    }
    const choices = names.map((name, i) => `${i} : goto endpoint-${name}`);
    table.rule(chain, `numgen random mod ${names.length} vmap { ${choices.join(" , ")} }`);
  }

  #endpointChain({ ip, port, text }: EndpointView): void {
    const table = this.#table;
    const name = nftEndpointName(this.#port.name, ip, port);
    const chain = `endpoint-${name}`;
    table.rule(chain, `${table.ip} saddr ${ip}`, MASQUERADE); // hairpin: its reply must come back by us
    if (this.#port.affinitySec > 0) table.rule(chain, `update @affinity-${name} { ${table.ip} saddr }`);
    table.rule(chain, `meta l4proto ${this.#port.protocol} dnat to ${text}`);
  }
}
