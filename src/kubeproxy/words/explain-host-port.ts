/**
 * Steps of a packet to a pod's host port, in the rules that the portmap plug-in writes: chains of iptables, or in
 * nftables mode a table of its own. Behind kube-proxy's, whose modes have none for it.
 */
import type { Claim, ExplainStep, Told } from "./explanation.ts";
import { entryHook } from "./hooks.ts";
import { hostPortChain, hostPortOwner } from "./kube-chains.ts";

/** The plug-in's own mark for what is to be masqueraded: bit 13. */
const MARK = "0x2000";
const PORTS_A_RULE = 15;

type Rule = readonly [chain: string, rule: string, text: string];

export function hostPortSteps(told: Told, claim: Claim): ExplainStep[] {
  const hook = entryHook(told);
  const isNft = told.mode === "nftables";
  const table = isNft ? nftTable(told) : "nat";
  const rules = isNft ? nftRules(told, claim, hook.toLowerCase()) : iptablesRules(told, claim, hook);
  return rules.map(([chain, rule, text]) => ({ hook, table, chain, rule, text }));
}

function iptablesRules(told: Told, claim: Claim, hook: string): Rule[] {
  const proto = told.protocol.toLowerCase();
  const pod = hostPortOwner(claim.service) ?? "";
  const chain = hostPortChain(pod);
  const to = claim.anyAddress ? "" : `-d ${told.to}/${told.family === 4 ? 32 : 128} `;
  const match = `${to}-p ${proto} -m ${proto} --dport ${told.port}`;
  const name = `-m comment --comment "dnat name: \\"cbr0\\" id: \\"${pod}\\""`;
  const ports = portsOfRule(claim.hostPorts, told.port);
  return [
    [hook, "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT", "an address of this node"],
    ["CNI-HOSTPORT-DNAT", `-p ${proto} ${name} -m multiport --dports ${ports} -j ${chain}`, claim.service],
    ...marked(claim, (source) => [chain, `-s ${source} ${match} -j CNI-HOSTPORT-SETMARK`]),
    [chain, `${match} -j DNAT --to-destination ${claim.chosen}`, `to ${claim.chosen}`],
  ];
}

/** One rule leads to fifteen of the pod's ports, of one protocol. */
function portsOfRule(all: readonly number[], port: number): string {
  const first = Math.floor(all.indexOf(port) / PORTS_A_RULE) * PORTS_A_RULE;
  return all.slice(first, first + PORTS_A_RULE).join();
}

function nftRules(told: Told, claim: Claim, hook: string): Rule[] {
  const ip = told.family === 4 ? "ip" : "ip6";
  const to = claim.anyAddress ? "" : `${ip} daddr ${told.to} `;
  const match = `${to}${told.protocol.toLowerCase()} dport ${told.port}`;
  const mark = `meta mark set meta mark or ${MARK}`;
  const pod = hostPortOwner(claim.service) ?? "";
  return [
    [hook, "fib daddr type local jump hostports", "an address of this node"],
    ...marked(claim, (source) => ["hostports", `${match} ${ip} saddr ${source} ${mark}`]),
    ["hostports", `${match} dnat to ${claim.chosen} comment "${pod}"`, claim.service],
  ];
}

/** The rule that marks for masquerading, if the sender is of those. */
function marked({ markedSource }: Claim, rule: (source: string) => [chain: string, rule: string]): Rule[] {
  if (markedSource === "") return [];
  const who = markedSource.startsWith("127.") ? "the node's loopback" : "a pod of this node";
  const text = `source will be rewritten: ${who} would not get the answer`;
  return [[...rule(markedSource), text]];
}

/** Table, chain and rule that rewrite the source. */
export function hostPortMasquerade(told: Told): readonly [table: string, chain: string, rule: string] {
  if (told.mode === "nftables") {
    return [nftTable(told), "masquerading", `meta mark and ${MARK} == ${MARK} masquerade`];
  }
  return ["nat", "CNI-HOSTPORT-MASQ", `-m mark --mark ${MARK}/${MARK} -j MASQUERADE`];
}

function nftTable({ family }: Told): string {
  return `${family === 4 ? "ip" : "ip6"} cni_hostport`;
}
