/**
 * Steps of a packet to a pod's host port, in the chains and rules that the portmap plug-in writes; no proxy mode has
 * them.
 */
import type { Claim, ExplainStep, Told } from "./explanation.ts";
import { hostPortChain } from "./kube-chains.ts";

/** The plug-in's own mark for what is to be masqueraded: bit 13. */
const MARK = "0x2000/0x2000";

export function hostPortSteps(told: Told, claim: Claim): ExplainStep[] {
  const hook = told.isOwn ? "OUTPUT" : "PREROUTING";
  const proto = told.protocol.toLowerCase();
  const chain = hostPortChain(claim.service.replace(/^pod /, ""));
  const to = claim.anyAddress ? "" : ` -d ${told.to}/${told.family === 4 ? 32 : 128}`;
  const match = `-p ${proto} -m ${proto} --dport ${told.port}${to}`;
  const rules = [
    [hook, "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT", "an address of this node"],
    [
      "CNI-HOSTPORT-DNAT",
      `-p ${proto} -m multiport --dports ${told.port} -j ${chain}`,
      `hostPort of ${claim.service}`,
    ],
    ...(claim.markedSource === ""
      ? []
      : [[chain, `-s ${claim.markedSource} ${match} -j CNI-HOSTPORT-SETMARK`, markText(claim.markedSource)]]),
    [chain, `${match} -j DNAT --to-destination ${claim.chosen}`, `to ${claim.chosen}`],
  ];
  return rules.map(([chain, rule, text]) => ({ hook, table: "nat", chain, rule, text }));
}

function markText(source: string): string {
  const who = source.startsWith("127.") ? "the node's loopback" : "a pod of this node";
  return `source will be rewritten: ${who} would not get the answer`;
}

/** Chain and rule that rewrite the source. */
export const HOST_PORT_MASQUERADE = ["CNI-HOSTPORT-MASQ", `-m mark --mark ${MARK} -j MASQUERADE`] as const;
