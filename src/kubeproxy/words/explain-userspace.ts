/**
 * Steps of an explained packet in userspace mode: rules that lead to kube-proxy's own socket, and what it does there. The
 * socket's port was any free one, so `rules` prints none of these rules, and they are told in words.
 */
import { type Claim, type ExplainStep, Frontend, type Told } from "./explanation.ts";
import { entryHook, filterHook, wayTold } from "./hooks.ts";

const PATIENCE = "250 ms, 500 ms, 1 s and 2 s";

export function natSteps(told: Told): ExplainStep[] {
  const { claim, isOwn } = told;
  const hook = entryHook(told);
  if (claim === undefined) {
    const chain = isOwn ? "KUBE-PORTALS-HOST" : "KUBE-PORTALS-CONTAINER";
    return [{ hook, table: "nat", chain, rule: "", text: "no portal has this destination" }];
  }
  const { chain, match } = portal(told, claim);
  const text = `${claim.service}: ${match} to kube-proxy's own socket`;
  const steps = [{ hook, table: "nat", chain, rule: "", text }];
  return claim.chosen === "" ? steps : [...steps, proxyStep(choiceText(told, claim))];
}

export function refusalSteps(told: Told, reason: string): ExplainStep[] {
  if (reason !== "SERVICE_NO_ENDPOINTS") return [];
  const end = told.protocol === "TCP" ? "closes the connection (TCP RST)" : "keeps quiet about the datagram";
  return [proxyStep(`${told.claim?.service ?? ""} has no endpoints: the proxy ${end}`)];
}

export function passSteps(told: Told): ExplainStep[] {
  const hook = filterHook(wayTold(told));
  return [{ hook, table: "filter", chain: hook, rule: "", text: "no rule refuses it" }];
}

function proxyStep(text: string): ExplainStep {
  return { hook: "INPUT", table: "", chain: "kube-proxy", rule: "", text };
}

function portal(told: Told, { kind }: Claim): { chain: string; match: string } {
  const { isOwn, to, port, protocol } = told;
  const place = isOwn ? "HOST" : "CONTAINER";
  const isNodePort = kind === Frontend.NODE_PORT;
  const where = isNodePort ? "any address of this node" : to;
  return {
    chain: `KUBE-${isNodePort ? "NODEPORT" : "PORTALS"}-${place}`,
    match: `${where}, ${protocol} port ${port}, is ${isOwn ? "rewritten" : "redirected"}`,
  };
}

function choiceText(told: Told, { endpoints, chosen, affinitySec }: Claim): string {
  const one = endpoints.length === 1 ? "the only endpoint" : `one of ${endpoints.length}, in turn`;
  const sticky = affinitySec > 0 ? `; again for ${affinitySec} s after a connection` : "";
  const dial =
    told.protocol === "TCP" ? `; up to four attempts of ${PATIENCE}, each at the next endpoint` : "";
  return `dials ${chosen}, ${one}${sticky}${dial}`;
}
