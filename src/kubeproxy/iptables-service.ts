// The rules of one service port in iptables mode.
import { contains, formatCidr } from "../base/ip.ts";
import type { EndpointView } from "./endpoint-view.ts";
import { endpointChain, serviceChain } from "./names.ts";
import type { Detector, ProxyView } from "./proxy-view.ts";
import { comment, type RestoreTable } from "./restore-table.ts";
import { isExternal, type ServicePortView } from "./service-view.ts";

export interface Output {
  readonly nat: RestoreTable;
  readonly filter: RestoreTable;
  /** False in clusters so large that the text would cost more than it tells. */
  readonly endpointComments: boolean;
}

/** What the filter table does with what no chain of the nat table took. */
interface Refusal {
  readonly target: "REJECT" | "DROP";
  readonly comment: string;
}

const MARK_MASQ = "-j KUBE-MARK-MASQ";

export class IptablesService {
  readonly #view: ProxyView;
  readonly #port: ServicePortView;
  readonly #out: Output;
  /** "-m tcp -p tcp". */
  readonly #match: string;
  readonly #svc: string;
  readonly #svl: string;
  readonly #ext: string;
  readonly #fw: string;
  /** Source ranges count once there is an endpoint: before, everybody is refused anyway. */
  readonly #firewalled: boolean;

  constructor(view: ProxyView, port: ServicePortView, out: Output) {
    this.#view = view;
    this.#port = port;
    this.#out = out;
    this.#match = `-m ${port.protocol} -p ${port.protocol}`;
    this.#svc = serviceChain("SVC", port.name);
    this.#svl = serviceChain("SVL", port.name);
    this.#ext = serviceChain("EXT", port.name);
    this.#fw = serviceChain("FW", port.name);
    this.#firewalled =
      port.endpoints.hasAny && port.loadBalancerIps.length > 0 && port.sourceRanges.length > 0;
  }

  write(): void {
    this.#declareChains();
    this.#clusterIp();
    this.#externalIps();
    this.#loadBalancerIps();
    this.#nodePort();
    this.#healthCheck();
    this.#masqueradeInternal();
    if (this.#port.endpoints.hasAny && isExternal(this.#port)) this.#externalChain();
    if (this.#firewalled) this.#firewallChain();
    const { cluster, local, reachable } = this.#port.endpoints;
    if (cluster.length > 0) this.#balance(this.#svc, cluster);
    if (local.length > 0) this.#balance(this.#svl, local);
    for (const endpoint of reachable) this.#endpointChain(endpoint);
  }

  #declareChains(): void {
    const { name, endpoints } = this.#port;
    const { nat } = this.#out;
    if (this.#firewalled) nat.chain(this.#fw);
    if (endpoints.hasAny && isExternal(this.#port)) nat.chain(this.#ext);
    if (endpoints.cluster.length > 0) nat.chain(this.#svc);
    if (endpoints.local.length > 0) nat.chain(this.#svl);
    for (const { text } of endpoints.reachable) nat.chain(endpointChain(name, text));
  }

  /** Undefined: there is an endpoint to send to. */
  #refusal(policyLocal: boolean): Refusal | undefined {
    const { text, endpoints } = this.#port;
    if (!endpoints.hasAny) return { target: "REJECT", comment: comment(`${text} has no endpoints`) };
    if (!policyLocal || endpoints.local.length > 0) return undefined;
    return { target: "DROP", comment: comment(`${text} has no local endpoints`) };
  }

  /** "-m tcp -p tcp -d ADDRESS --dport PORT". */
  #to(address: string): string {
    return `${this.#match} -d ${address} --dport ${this.#port.port}`;
  }

  #clusterIp(): void {
    const { text, clusterIp, internalLocal } = this.#port;
    const refusal = this.#refusal(internalLocal);
    const to = this.#to(clusterIp);
    if (refusal === undefined) {
      this.#out.nat.rule("KUBE-SERVICES", comment(`${text} cluster IP`), to, `-j ${this.#internalChain()}`);
    } else {
      this.#out.filter.rule("KUBE-SERVICES", refusal.comment, to, `-j ${refusal.target}`);
    }
  }

  #internalChain(): string {
    return this.#port.internalLocal ? this.#svl : this.#svc;
  }

  #externalIps(): void {
    const { text, externalIps } = this.#port;
    for (const address of externalIps) this.#external(address, comment(`${text} external IP`), this.#ext);
  }

  #loadBalancerIps(): void {
    const { text, loadBalancerIps } = this.#port;
    const target = this.#firewalled ? this.#fw : this.#ext;
    for (const address of loadBalancerIps) {
      this.#external(address, comment(`${text} loadbalancer IP`), target);
      if (!this.#firewalled) continue;
      // Only what KUBE-FW let through has another destination by now.
      const why = comment(`${text} traffic not accepted by ${this.#fw}`);
      this.#out.filter.rule("KUBE-PROXY-FIREWALL", why, this.#to(address), "-j DROP");
    }
  }

  #external(address: string, text: string, target: string): void {
    const { nat, filter } = this.#out;
    const to = this.#to(address);
    // Even without an endpoint that outside traffic may use: the chain serves pods and the node.
    if (this.#port.endpoints.hasAny) nat.rule("KUBE-SERVICES", text, to, `-j ${target}`);
    const refusal = this.#refusal(this.#port.externalLocal);
    if (refusal === undefined) return;
    filter.rule("KUBE-EXTERNAL-SERVICES", refusal.comment, to, `-j ${refusal.target}`);
  }

  #nodePort(): void {
    const { text, nodePort, endpoints, externalLocal } = this.#port;
    if (nodePort === 0) return;
    const { nat, filter } = this.#out;
    const { config, family, nfacct } = this.#view;
    if (endpoints.hasAny) {
      if (nfacct && config.localhostNodePorts && family === 4) {
        const counter = "-m nfacct --nfacct-name localhost_nps_accepted_pkts";
        const to = `${this.#match} -d 127.0.0.0/8 --dport ${nodePort}`;
        nat.rule("KUBE-NODEPORTS", comment(text), to, counter, `-j ${this.#ext}`);
      }
      nat.rule("KUBE-NODEPORTS", comment(text), `${this.#match} --dport ${nodePort}`, `-j ${this.#ext}`);
    }
    const refusal = this.#refusal(externalLocal);
    if (refusal === undefined) return;
    const to = `-m addrtype --dst-type LOCAL ${this.#match} --dport ${nodePort}`;
    filter.rule("KUBE-EXTERNAL-SERVICES", refusal.comment, to, `-j ${refusal.target}`);
  }

  #healthCheck(): void {
    const { text, healthCheckNodePort } = this.#port;
    if (healthCheckNodePort === 0) return;
    const why = comment(`${text} health check node port`);
    this.#out.filter.rule("KUBE-NODEPORTS", why, `-m tcp -p tcp --dport ${healthCheckNodePort}`, "-j ACCEPT");
  }

  /**
   * The first rule of the chain that the ClusterIP leads to: only what was sent to the ClusterIP, not what
   * came by EXT.
   */
  #masqueradeInternal(): void {
    const { text, clusterIp, internalLocal } = this.#port;
    const { config, detector } = this.#view;
    if (this.#refusal(internalLocal) !== undefined) return;
    if (!config.masqueradeAll && detector.by === "nothing") return;
    const strangers = config.masqueradeAll ? "" : notFromPod(detector);
    const why = comment(`${text} cluster IP`);
    this.#out.nat.rule(this.#internalChain(), why, this.#to(clusterIp), strangers, MARK_MASQ);
  }

  #externalChain(): void {
    const { nat } = this.#out;
    const { text, externalLocal } = this.#port;
    const ext = this.#ext;
    if (!externalLocal) {
      nat.rule(ext, comment(`masquerade traffic for ${text} external destinations`), MARK_MASQ);
      nat.rule(ext, `-j ${this.#svc}`);
      return;
    }
    const { detector } = this.#view;
    if (detector.by !== "nothing") {
      nat.rule(
        ext,
        comment(`pod traffic for ${text} external destinations`),
        fromPod(detector),
        `-j ${this.#svc}`,
      );
    }
    const local = "-m addrtype --src-type LOCAL";
    nat.rule(ext, comment(`masquerade LOCAL traffic for ${text} external destinations`), local, MARK_MASQ);
    nat.rule(ext, comment(`route LOCAL traffic for ${text} external destinations`), local, `-j ${this.#svc}`);
    if (this.#port.endpoints.local.length > 0) nat.rule(ext, `-j ${this.#svl}`);
  }

  #firewallChain(): void {
    const { nat } = this.#out;
    const { text, sourceRanges, loadBalancerIps } = this.#port;
    const why = comment(`${text} loadbalancer IP`);
    for (const range of sourceRanges) nat.rule(this.#fw, why, `-s ${formatCidr(range)}`, `-j ${this.#ext}`);
    if (sourceRanges.some((range) => contains(range, this.#view.nodeIp))) {
      // A node that has the VIP bound to itself speaks to it from it.
      for (const address of loadBalancerIps) nat.rule(this.#fw, why, `-s ${address}`, `-j ${this.#ext}`);
    }
    nat.rule(this.#fw, comment(`other traffic to ${text} will be dropped by KUBE-PROXY-FIREWALL`));
  }

  /** One endpoint for clients that had it lately; else one by chance, each with the same chance. */
  #balance(chain: string, endpoints: readonly EndpointView[]): void {
    const { nat } = this.#out;
    const { affinitySec, name } = this.#port;
    if (affinitySec > 0) {
      for (const endpoint of endpoints) {
        const sep = endpointChain(name, endpoint.text);
        const recent = `-m recent --name ${sep} --rcheck --seconds ${affinitySec} --reap`;
        nat.rule(chain, this.#arrow(endpoint), recent, `-j ${sep}`);
      }
    }
    for (const [i, endpoint] of endpoints.entries()) {
      const left = endpoints.length - i;
      const chance = left > 1 ? `-m statistic --mode random --probability ${probability(left)}` : "";
      nat.rule(chain, this.#arrow(endpoint), chance, `-j ${endpointChain(name, endpoint.text)}`);
    }
  }

  #arrow(endpoint: EndpointView): string {
    return this.#out.endpointComments ? comment(`${this.#port.text} -> ${endpoint.text}`) : "";
  }

  #endpointChain(endpoint: EndpointView): void {
    const { nat } = this.#out;
    const { text, name, affinitySec } = this.#port;
    const sep = endpointChain(name, endpoint.text);
    const why = this.#out.endpointComments ? comment(text) : "";
    const remember = affinitySec > 0 ? `-m recent --name ${sep} --set` : "";
    nat.rule(sep, why, `-s ${endpoint.ip}`, MARK_MASQ); // hairpin: its reply must come back by us
    nat.rule(sep, why, remember, this.#match, `-j DNAT --to-destination ${endpoint.text}`);
  }
}

/** 1/n as kube-proxy prints it. */
export function probability(n: number): string {
  return (1 / n).toFixed(10);
}

function fromPod(detector: Detector): string {
  switch (detector.by) {
    case "address":
      return `-s ${detector.range}`;
    case "interface":
      return `-i ${detector.name}`;
    case "interface-prefix":
      return `-i ${detector.name}+`;
    case "nothing":
      return "";
  }
}

function notFromPod(detector: Detector): string {
  const match = fromPod(detector);
  return match === "" ? "" : `! ${match}`;
}
