/** Steps of an explained packet in ipvs mode: sets and marks around a virtual server. */
import { type Claim, type ExplainStep, Frontend, type Told } from "./explanation.ts";
import { entryHook, filterHook, wayTold } from "./hooks.ts";

type Rule = readonly [chain: string, rule: string, text: string];
const FLAGS: Readonly<Record<string, string>> = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" };
const SETS = ["KUBE-CLUSTER-IP", "KUBE-EXTERNAL-IP", "KUBE-LOAD-BALANCER", "KUBE-NODE-PORT"];

export function natSteps(told: Told): ExplainStep[] {
  const { claim } = told;
  if (claim !== undefined && claim.kind > Frontend.NODE_PORT && told.protocol === "ICMP") {
    const text = `${told.to} is bound to kube-ipvs0: the node answers`;
    return [{ hook: "INPUT", table: "", chain: "", rule: "", text }];
  }
  const hook = entryHook(told);
  const nat = ([chain, rule, text]: Rule): ExplainStep => ({ hook, table: "nat", chain, rule, text });
  if (claim === undefined || SETS[claim.kind] === undefined)
    return [nat(["KUBE-SERVICES", "", "no set has this destination"])];
  const marks: Rule[] = claim.masquerade ? [markRule(told, claim)] : [];
  const steps = marks.map(nat);
  if (claim.chosen === "") return steps;
  const server = serverOf(told);
  const text =
    claim.endpoints.length === 1
      ? "the only destination"
      : `one of ${claim.endpoints.length} destinations, by ${claim.scheduler}`;
  return [
    ...steps,
    {
      hook: serverHook(told),
      table: "ipvs",
      chain: server,
      rule: `-a ${server} -r ${claim.chosen} -m -w ${claim.weight}`,
      text,
    },
  ];
}

export function refusalSteps(told: Told, reason: string): ExplainStep[] {
  const name = told.claim?.service ?? "";
  const input = (chain: string, text: string): ExplainStep[] => [
    { hook: "INPUT", table: "filter", chain, rule: "", text },
  ];
  switch (reason) {
    case "SERVICE_SOURCE_RANGE":
      return input("KUBE-SOURCE-RANGES-FIREWALL", `no source range of ${name} holds the sender: dropped`);
    case "SERVICE_NO_ENDPOINTS":
      return [
        {
          hook: serverHook(told),
          table: "ipvs",
          chain: serverOf(told),
          rule: "",
          text: `${name} has no destination: ICMP port unreachable`,
        },
      ];
    case "SERVICE_PORT_UNKNOWN":
      return input("KUBE-IPVS-FILTER", "an address of KUBE-IPVS-IPS, and no service has this port: rejected");
    default:
      return [];
  }
}

export function passSteps(told: Told): ExplainStep[] {
  const { claim } = told;
  if (claim !== undefined && claim.kind > Frontend.NODE_PORT) return [];
  const hook = filterHook(wayTold(told));
  const chain = hook === "FORWARD" ? "KUBE-FORWARD" : hook;
  return [{ hook, table: "filter", chain, rule: "", text: "no rule refuses it" }];
}

/** The rules with the sets are no part of what ipvsadm prints. */
function markRule(told: Told, claim: Claim): Rule {
  const isNodePort = claim.kind === Frontend.NODE_PORT;
  const set = isNodePort ? `${SETS[claim.kind]}-${told.protocol}` : SETS[claim.kind];
  const isCluster = claim.kind === Frontend.CLUSTER_IP && !told.masqueradeAll;
  const whose = isCluster && told.detector !== "" ? ", and the sender is no pod" : "";
  // Without a detector: what the node sends from an address of kube-ipvs0.
  const what = isCluster && told.detector === "" ? "source and destination" : "the destination";
  const then = told.isKept ? "which keepClientAddress takes back" : "source will be rewritten";
  const text = `set ${set} has ${what}${whose}: KUBE-MARK-MASQ, ${then}`;
  return [isNodePort ? "KUBE-NODE-PORT" : "KUBE-SERVICES", "", text];
}

/** ip_vs looks at what is for the node, and at what it sends. */
function serverHook({ isOwn }: Told): string {
  return isOwn ? "OUTPUT" : "INPUT";
}

function serverOf({ protocol, to, port, family }: Told): string {
  return `${FLAGS[protocol] ?? ""} ${family === 6 ? `[${to}]` : to}:${port}`.trim();
}
