/**
 * Steps of an explained packet in userspace mode: rules that lead to kube-proxy's own socket, and what it does there. The
 * socket's port was any free one, so rules are told without it.
 */
import { type Claim, type ExplainStep, Frontend, type Told } from "./explanation.ts";

const PATIENCE = "250 ms, 500 ms, 1 s and 2 s";

export function natSteps(told: Told): ExplainStep[] {
  const { claim, isOwn } = told;
  const hook = isOwn ? "OUTPUT" : "PREROUTING";
  if (claim === undefined) {
    const chain = isOwn ? "KUBE-PORTALS-HOST" : "KUBE-PORTALS-CONTAINER";
    return [{ hook, table: "nat", chain, rule: "", text: "no portal has this destination" }];
  }
  const { chain, rule } = portal(told, claim);
  const steps = [{ hook, table: "nat", chain, rule, text: `${claim.service}: to kube-proxy's own socket` }];
  return claim.chosen === "" ? steps : [...steps, proxyStep(choiceText(told, claim))];
}

export function refusalSteps(told: Told, reason: string): ExplainStep[] {
  if (reason !== "SERVICE_NO_ENDPOINTS") return [];
  const end = told.protocol === "TCP" ? "closes the connection (TCP RST)" : "keeps quiet about the datagram";
  return [proxyStep(`${told.claim?.service ?? ""} has no endpoints: the proxy ${end}`)];
}

export function passSteps(told: Told): ExplainStep[] {
  const isProxied = told.claim !== undefined || told.isOwn;
  const hook = told.endsAtNode ? "INPUT" : isProxied ? "OUTPUT" : "FORWARD";
  return [{ hook, table: "filter", chain: hook, rule: "", text: "no rule refuses it" }];
}

function proxyStep(text: string): ExplainStep {
  return { hook: "INPUT", table: "", chain: "kube-proxy", rule: "", text };
}

function portal(told: Told, { kind }: Claim): { chain: string; rule: string } {
  const { isOwn, to, family, port } = told;
  const proto = told.protocol.toLowerCase();
  const place = isOwn ? "HOST" : "CONTAINER";
  const isNodePort = kind === Frontend.NODE_PORT;
  const where = isNodePort ? "-m addrtype --dst-type LOCAL" : `-d ${to}/${family === 4 ? 32 : 128}`;
  return {
    chain: `KUBE-${isNodePort ? "NODEPORT" : "PORTALS"}-${place}`,
    rule: `${where} -p ${proto} -m ${proto} --dport ${port} -j ${isOwn ? "DNAT" : "REDIRECT"}`,
  };
}

function choiceText(told: Told, { endpoints, chosen, affinitySec }: Claim): string {
  const one = endpoints.length === 1 ? "the only endpoint" : `one of ${endpoints.length}, in turn`;
  const sticky = affinitySec > 0 ? `; again for ${affinitySec} s after a connection` : "";
  const dial =
    told.protocol === "TCP" ? `; up to four attempts of ${PATIENCE}, each at the next endpoint` : "";
  return `dials ${chosen}, ${one}${sticky}${dial}`;
}
