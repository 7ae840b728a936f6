/**
 * Steps of an explained packet in iptables mode, in the chains and rules that kube-proxy writes. They are told from what
 * the plane decided, and must be found word by word in what `rules` makes of the same objects by itself.
 */
import { type Claim, type ExplainStep, FRONTENDS, Frontend, markText, type Told } from "./explanation.ts";
import { entryHook, refusalHook } from "./hooks.ts";
import { endpointChain, serviceChain } from "./kube-chains.ts";

const LAST_RULE = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
/** By frontend: what kube-proxy calls it in a comment. */
const ENTRIES = ["cluster IP", "external IP", "loadbalancer IP"];

type Rule = readonly [chain: string, rule: string, text: string];

/** What the nat table does to the destination, PREROUTING or OUTPUT. */
export function natSteps(told: Told): ExplainStep[] {
  const hook = entryHook(told);
  const { claim } = told;
  const rules =
    claim === undefined ? unclaimed(told) : claim.chosen === "" ? refused(told, claim) : chosen(told, claim);
  return rules.map(([chain, rule, text]) => ({ hook, table: "nat", chain, rule, text }));
}

/** What the filter table refuses a packet with; nothing when it lets it pass. */
export function refusalSteps(told: Told, reason: string): ExplainStep[] {
  const { claim } = told;
  if (claim === undefined) return [];
  const hook = refusalHook(told);
  const step = (chain: string, target: string, text: string): ExplainStep[] => [
    { hook, table: "filter", chain, rule: `${comment(text)} ${destination(told, claim)} -j ${target}`, text },
  ];
  const external = claim.kind === Frontend.CLUSTER_IP ? "KUBE-SERVICES" : "KUBE-EXTERNAL-SERVICES";
  if (reason === "SERVICE_SOURCE_RANGE") {
    const firewall = serviceChain(claim.service, claim.protocol, "FW");
    return step("KUBE-PROXY-FIREWALL", "DROP", `${claim.service} traffic not accepted by ${firewall}`);
  }
  if (reason === "SERVICE_NO_ENDPOINTS") return step(external, "REJECT", `${claim.service} has no endpoints`);
  if (reason === "SERVICE_NO_LOCAL_ENDPOINTS") {
    return step(external, "DROP", `${claim.service} has no local endpoints`);
  }
  return [];
}

/** What lets a packet pass the filter table. */
export function passSteps(told: Told): ExplainStep[] {
  const { claim, endsAtNode, isOwn, healthCheckOf } = told;
  if (isOwn)
    return [{ hook: "OUTPUT", table: "filter", chain: "OUTPUT", rule: "", text: "no rule refuses it" }];
  if (endsAtNode) {
    const text =
      healthCheckOf === undefined ? "no rule refuses it" : `${healthCheckOf} health check node port`;
    const rule =
      healthCheckOf === undefined ? "" : `${comment(text)} ${matchPort(told, told.port)} -j ACCEPT`;
    return [
      {
        hook: "INPUT",
        table: "filter",
        chain: healthCheckOf === undefined ? "INPUT" : "KUBE-NODEPORTS",
        rule,
        text,
      },
    ];
  }
  const marked = claim !== undefined && isMarked(told, claim);
  const mark = `0x${told.masqueradeMark.toString(16)}`;
  const forwarding = comment("kubernetes forwarding rules");
  const rule = marked ? `${forwarding} -m mark --mark ${mark}/${mark} -j ACCEPT` : "";
  return [{ hook: "FORWARD", table: "filter", chain: "KUBE-FORWARD", rule, text: "no rule refuses it" }];
}

/** The rule that rewrites the source. */
export const MASQUERADE: Rule = [
  "KUBE-POSTROUTING",
  '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
  "",
];

/** The chosen endpoint is the sender itself, or a rule of the service marks whatever it gets. */
export function isMarked(told: Told, claim: Claim): boolean {
  return claim.masquerade || hostOf(claim.chosen) === told.from;
}

function unclaimed({ to, port, protocol }: Told): Rule[] {
  const what = protocol === "ICMP" ? `${to} ICMP` : `${to} port ${port}/${protocol}`;
  return [["KUBE-SERVICES", "", `no rule matches ${what}`]];
}

/** The way to the refusal: nat leaves the packet as it is. */
function refused(told: Told, claim: Claim): Rule[] {
  const dropReason = told.records.find((record) => record.verdict === "drop")?.dropReason;
  const isServed = claim.kind !== Frontend.NODE_PORT || told.servesNodePorts;
  if (claim.kind >= FRONTENDS.indexOf("address") || !isServed) return unclaimed(told);
  if (claim.hasRanges && claim.range === undefined) {
    const firewall = serviceChain(claim.service, claim.protocol, "FW");
    return [
      entry(told, claim, firewall),
      [firewall, "", "no source range holds the sender: returns untranslated"],
    ];
  }
  if (dropReason === "SERVICE_NO_LOCAL_ENDPOINTS" && claim.kind !== Frontend.CLUSTER_IP) {
    const external = serviceChain(claim.service, claim.protocol, "EXT");
    return [...entries(told, claim, external), [external, "", "no local endpoint: returns untranslated"]];
  }
  return [["KUBE-SERVICES", "", `${claim.service} has no rule: nothing to translate to`]];
}

/** KUBE-SERVICES → (KUBE-NODEPORTS →) (KUBE-FW →) (KUBE-EXT →) KUBE-SVC or KUBE-SVL → KUBE-SEP. */
function chosen(told: Told, claim: Claim): Rule[] {
  const chain = (kind: "SVC" | "SVL" | "EXT" | "FW"): string =>
    serviceChain(claim.service, claim.protocol, kind);
  if (claim.kind === Frontend.CLUSTER_IP) {
    const set = chain(claim.internalLocal ? "SVL" : "SVC");
    return [entry(told, claim, set), ...clusterMasquerade(told, claim, set), ...balance(told, claim, set)];
  }
  const rules = entries(told, claim, chain("EXT"));
  const set = claim.externalLocal && claim.source === "outside" ? chain("SVL") : chain("SVC");
  return [...rules, ...externalRules(told, claim, chain("EXT"), set), ...balance(told, claim, set)];
}

/** From KUBE-SERVICES to the chain of external traffic. */
function entries(told: Told, claim: Claim, external: string): Rule[] {
  if (claim.kind === Frontend.NODE_PORT) {
    return [
      [
        "KUBE-SERVICES",
        `${comment(LAST_RULE)} ${nodeAddress(told)} -j KUBE-NODEPORTS`,
        "an address of this node",
      ],
      [
        "KUBE-NODEPORTS",
        `${comment(claim.service)} ${matchPort(told, told.port)} -j ${external}`,
        `${claim.service} node port`,
      ],
    ];
  }
  if (claim.range === undefined) return [entry(told, claim, external)];
  const firewall = serviceChain(claim.service, claim.protocol, "FW");
  const range = `${comment(`${claim.service} loadbalancer IP`)} -s ${claim.range} -j ${external}`;
  return [entry(told, claim, firewall), [firewall, range, "the sender is in a source range"]];
}

function externalRules(told: Told, claim: Claim, external: string, set: string): Rule[] {
  const why = (what: string): string => comment(`${what} for ${claim.service} external destinations`);
  if (!claim.externalLocal) {
    return [
      [external, `${why("masquerade traffic")} -j KUBE-MARK-MASQ`, markText(told)],
      [external, `-j ${set}`, "any endpoint of the cluster"],
    ];
  }
  if (claim.source === "pod") {
    return [
      [
        external,
        `${why("pod traffic")} ${told.detector} -j ${set}`,
        "pod traffic is not subject to the policy",
      ],
    ];
  }
  if (claim.source === "outside") return [[external, `-j ${set}`, "local endpoints only, source kept"]];
  const local = "-m addrtype --src-type LOCAL";
  return [
    [
      external,
      `${why("masquerade LOCAL traffic")} ${local} -j KUBE-MARK-MASQ`,
      "the node's own traffic: source will be rewritten",
    ],
    [
      external,
      `${why("route LOCAL traffic")} ${local} -j ${set}`,
      "the node's own traffic is not subject to the policy",
    ],
  ];
}

function clusterMasquerade(told: Told, claim: Claim, set: string): Rule[] {
  if (!claim.masquerade) return [];
  const not = told.masqueradeAll ? "" : told.detector.replace(/^/, "! ");
  const why = comment(`${claim.service} cluster IP`);
  const parts = [why, destination(told, claim), not, "-j KUBE-MARK-MASQ"];
  const rule = parts.filter((part) => part !== "").join(" ");
  return [[set, rule, "the sender is no pod: source will be rewritten"]];
}

/** The random choice, and the endpoint's chain. */
function balance(told: Told, claim: Claim, set: string): Rule[] {
  const { endpoints, service, protocol } = claim;
  const sep = endpointChain(service, protocol, claim.chosen);
  const left = endpoints.length - endpoints.indexOf(claim.chosen);
  const random = left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(10)} ` : "";
  const one =
    endpoints.length === 1 ? "the only endpoint" : `one of ${endpoints.length} endpoints, at random`;
  const sticky = claim.affinitySec > 0 ? `; again for ${claim.affinitySec} s after a connection` : "";
  const arrow = told.endpointComments ? `${comment(`${service} -> ${claim.chosen}`)} ` : "";
  const rules: Rule[] = [[set, `${arrow}${random}-j ${sep}`, `${one}${sticky}`]];
  const why = told.endpointComments ? `${comment(service)} ` : "";
  if (hostOf(claim.chosen) === told.from) {
    rules.push([sep, `${why}-s ${told.from} -j KUBE-MARK-MASQ`, "the sender reaches itself"]);
  }
  const proto = told.protocol.toLowerCase();
  const recent = claim.affinitySec > 0 ? `-m recent --name ${sep} --set ` : "";
  rules.push([
    sep,
    `${why}${recent}-m ${proto} -p ${proto} -j DNAT --to-destination ${claim.chosen}`,
    `to ${claim.chosen}`,
  ]);
  return rules;
}

function entry(told: Told, claim: Claim, target: string): Rule {
  const what = `${claim.service} ${ENTRIES[claim.kind] ?? FRONTENDS[claim.kind]}`;
  return ["KUBE-SERVICES", `${comment(what)} ${destination(told, claim)} -j ${target}`, what];
}

/** "-m tcp -p tcp -d ADDRESS --dport PORT": of a node port any address of the node. */
function destination(told: Told, claim: Claim): string {
  const proto = told.protocol.toLowerCase();
  if (claim.kind === Frontend.NODE_PORT) return `-m addrtype --dst-type LOCAL ${matchPort(told, told.port)}`;
  return `-m ${proto} -p ${proto} -d ${told.to} --dport ${told.port}`;
}

function nodeAddress(told: Told): string {
  if (!told.servesAll) return `-d ${told.to}`;
  const v4 = told.servesLoopback ? "" : " ! -d 127.0.0.0/8";
  return `-m addrtype --dst-type LOCAL${told.family === 6 ? " ! -d ::1/128" : v4}`;
}

function matchPort({ protocol }: Told, port: number): string {
  const proto = protocol.toLowerCase();
  return `-m ${proto} -p ${proto} --dport ${port}`;
}

function comment(text: string): string {
  return `-m comment --comment ${text.includes(" ") ? `"${text}"` : text}`;
}

/** "10.0.0.1:80" and "[fd00::1]:80" without port and brackets. */
export function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
