/** Steps of an explained packet in nftables mode, in the chains, maps and sets of kube-proxy's table. */
import { hostOf } from "./explain-iptables.ts";
import { type Claim, type ExplainStep, FRONTENDS, Frontend, markText, type Told } from "./explanation.ts";
import { entryHook, filterHook, refusalHook, wayTold } from "./hooks.ts";
import { nftEndpointName, nftServiceName } from "./kube-chains.ts";

type Rule = readonly [chain: string, rule: string, text: string];

export function natSteps(told: Told): ExplainStep[] {
  const { claim } = told;
  if (claim?.hasRanges === true && claim.range === undefined) return []; // dropped before
  const hook = entryHook(told);
  const table = tableOf(told);
  const rules =
    claim === undefined || claim.chosen === ""
      ? [["services", "", "no map has this destination"] as Rule]
      : chosen(told, claim);
  return rules.map(([chain, rule, text]) => ({ hook, table, chain, rule, text }));
}

export function refusalSteps(told: Told, reason: string): ExplainStep[] {
  const table = tableOf(told);
  const after = refusalHook(told);
  const name = told.claim?.service ?? "";
  const check =
    told.claim?.kind === Frontend.NODE_PORT ? noEndpointNodePorts(told) : key(told, "no-endpoint-services");
  switch (reason) {
    case "SERVICE_SOURCE_RANGE": {
      const chain = `firewall-${nftServiceName(name, told.protocol)}`;
      const hook = entryHook(told);
      const text = "no source range holds the sender";
      return [
        {
          hook,
          table,
          chain: "firewall-check",
          rule: key(told, "firewall-ips"),
          text: `${name} has source ranges`,
        },
        {
          hook,
          table,
          chain,
          rule: `${ip(told)} saddr != { ${told.claim?.ranges.join(", ")} } drop`,
          text,
        },
      ];
    }
    case "SERVICE_NO_ENDPOINTS":
      return [
        {
          hook: after,
          table,
          chain: "reject-chain",
          rule: "reject",
          text: `${name} has no endpoints (${check})`,
        },
      ];
    case "SERVICE_NO_LOCAL_ENDPOINTS": {
      const chain =
        told.claim?.kind === Frontend.NODE_PORT ? "nodeport-endpoints-check" : "service-endpoints-check";
      return [{ hook: after, table, chain, rule: check, text: `${name} has no local endpoints: drop` }];
    }
    case "SERVICE_PORT_UNKNOWN": {
      const rule = `${ip(told)} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"`;
      return [{ hook: after, table, chain: "cluster-ips-check", rule, text: "no service has this port" }];
    }
    case "SERVICE_IP_UNUSED": {
      const ranges = `{ ${told.serviceCidrs.join(", ")} }`;
      const rule = `${ip(told)} daddr ${ranges} drop comment "Drop traffic to unallocated ClusterIPs"`;
      return [
        { hook: after, table, chain: "cluster-ips-check", rule, text: "no service has this cluster IP" },
      ];
    }
    default:
      return [];
  }
}

export function passSteps(told: Told): ExplainStep[] {
  const hook = filterHook(wayTold(told));
  return [
    {
      hook,
      table: tableOf(told),
      chain: `filter-${hook.toLowerCase()}`,
      rule: "",
      text: "no rule refuses it",
    },
  ];
}

export const MASQUERADE: Rule = ["masquerading", "masquerade fully-random", ""];

function chosen(told: Told, claim: Claim): Rule[] {
  const base = nftServiceName(claim.service, claim.protocol);
  const what = `${claim.service} ${FRONTENDS[claim.kind].replace("ClusterIP", "cluster IP")}`;
  const isNodePort = claim.kind === Frontend.NODE_PORT;
  const map = isNodePort ? nodePortKey(told, "service-nodeports") : key(told, "service-ips");
  const rules: Rule[] = [["services", map, what]];
  if (claim.kind === Frontend.CLUSTER_IP) {
    const set = `${claim.internalLocal ? "local" : "service"}-${base}`;
    if (claim.masquerade)
      rules.push([set, clusterMasquerade(told), "the sender is no pod: source will be rewritten"]);
    return [...rules, ...balance(told, claim, set)];
  }
  const external = `external-${base}`;
  const isLocal = claim.externalLocal && claim.source === "outside";
  const set = `${isLocal ? "local" : "service"}-${base}`;
  if (!claim.externalLocal) rules.push([external, "jump mark-for-masquerade", markText(told)]);
  else if (claim.source === "pod")
    rules.push([
      external,
      `${nftDetector(told.detector, "")} goto ${set} comment "short-circuit pod traffic"`,
      "pod traffic is not subject to the policy",
    ]);
  else if (claim.source === "node") {
    rules.push([
      external,
      'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"',
      "the node's own traffic: source will be rewritten",
    ]);
    rules.push([
      external,
      `fib saddr type local goto ${set} comment "short-circuit local traffic"`,
      "the node's own traffic is not subject to the policy",
    ]);
  }
  if (!claim.externalLocal || isLocal)
    rules.push([
      external,
      `goto ${set}`,
      isLocal ? "local endpoints only, source kept" : "any endpoint of the cluster",
    ]);
  return [...rules, ...balance(told, claim, set)];
}

function clusterMasquerade(told: Told): string {
  const not = told.masqueradeAll ? "" : nftDetector(told.detector, "!= ");
  const where = `${ip(told)} daddr ${told.to} ${told.protocol.toLowerCase()} dport ${told.port}`;
  return `${where} ${not} jump mark-for-masquerade`.replace(/ +/g, " ");
}

function balance(told: Told, claim: Claim, set: string): Rule[] {
  const host = hostOf(claim.chosen);
  const endpoint = endpointChain(claim, claim.chosen);
  const n = claim.endpoints.length;
  const one = n === 1 ? "the only endpoint" : `one of ${n} endpoints, at random`;
  const sticky = claim.affinitySec > 0 ? `; again for ${claim.affinitySec} s after a connection` : "";
  const choices = claim.endpoints.map((each, i) => `${i} : goto ${endpointChain(claim, each)}`);
  const pick = `numgen random mod ${n} vmap { ${choices.join(" , ")} }`;
  const rules: Rule[] = [[set, pick, `${one}${sticky}`]];
  if (host === told.from)
    rules.push([endpoint, `${ip(told)} saddr ${host} jump mark-for-masquerade`, "the sender reaches itself"]);
  rules.push([
    endpoint,
    `meta l4proto ${told.protocol.toLowerCase()} dnat to ${claim.chosen}`,
    `to ${claim.chosen}`,
  ]);
  return rules;
}

/** "-s 10.0.0.0/8" → "ip saddr 10.0.0.0/8", "-i cbr0" → 'iifname "cbr0"'; or with "!= " what is not so. */
function nftDetector(detector: string, not: "" | "!= "): string {
  const [flag, value = ""] = detector.split(" ");
  if (flag === "-s") return `${value.includes(":") ? "ip6" : "ip"} saddr ${not}${value}`;
  return flag === "-i" ? `iifname ${not}"${value.replace("+", "*")}"` : "";
}

function endpointChain({ service, protocol }: Claim, endpoint: string): string {
  const port = Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
  return `endpoint-${nftEndpointName(service, protocol, hostOf(endpoint), port)}`;
}

function notLoopback(told: Told): string {
  return told.family === 4 ? "ip daddr != 127.0.0.0/8" : "ip6 daddr != ::1";
}

function noEndpointNodePorts(told: Told): string {
  const where = told.servesAll ? notLoopback(told) : `${ip(told)} daddr @nodeport-ips`;
  return `${where} meta l4proto . th dport vmap @no-endpoint-nodeports`;
}

function key(told: Told, map: string): string {
  return `${ip(told)} daddr . meta l4proto . th dport vmap @${map}`;
}

function nodePortKey(told: Told, map: string): string {
  const where = told.servesAll
    ? `fib daddr type local ${notLoopback(told)}`
    : `${ip(told)} daddr @nodeport-ips`;
  return `${where} meta l4proto . th dport vmap @${map}`;
}

function ip({ family }: Told): string {
  return family === 4 ? "ip" : "ip6";
}

function tableOf(told: Told): string {
  return `${ip(told)} kube-proxy`;
}
