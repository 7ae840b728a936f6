/**
 * The steps of an explained packet: what the plane decided, told hook by hook in the words of the proxy mode. Decisions
 * come from trace records and tables; nothing is decided here.
 */

import { answerText, type TraceRecord } from "../../observe/trace-record.ts";
import { allowedBy, formatEnd } from "./capture-comment.ts";
import { hostPortMasquerade, hostPortSteps } from "./explain-host-port.ts";
import * as iptables from "./explain-iptables.ts";
import * as ipvs from "./explain-ipvs.ts";
import * as nftables from "./explain-nftables.ts";
import * as userspace from "./explain-userspace.ts";
import { type EndVerdict, type ExplainStep, Frontend, type Told } from "./explanation.ts";
import { filterHook, wayTold } from "./hooks.ts";

interface ModeWords {
  natSteps(told: Told): ExplainStep[];
  refusalSteps(told: Told, reason: string): ExplainStep[];
  passSteps(told: Told): ExplainStep[];
}

const MODES: Readonly<Record<string, ModeWords>> = { iptables, ipvs, nftables, userspace };

export function explainSteps(told: Told): ExplainStep[] {
  const words = MODES[told.mode] ?? iptables;
  const { records } = told;
  const dropped = records.find((record) => record.verdict === "drop");
  const before = records.find((record) => record.stage === "choose-backend");
  if (before === undefined) return dropped === undefined ? [] : [dropStep(dropped)];
  const reason = dropped?.dropReason ?? "";
  const { claim } = told;
  const isHostPort = claim?.kind === Frontend.HOST_PORT;
  const steps = claim !== undefined && isHostPort ? hostPortSteps(told, claim) : words.natSteps(told);
  const refusal = isHostPort ? [] : words.refusalSteps(told, reason);
  if (refusal.length > 0) return [...steps, ...refusal];
  const route = records.find((record) => record.stage === "route");
  if (route !== undefined && route !== dropped) steps.push(routeStep(route));
  steps.push(...policySteps(told));
  if (told.policies.some(({ action }) => action === "deny")) return steps;
  if (dropped !== undefined) return [...steps, dropStep(dropped)];
  const steered = records.find((record) => record.stage === "steer-to-mesh");
  if (steered !== undefined) steps.push(meshStep(steered));
  const unclaimed = isHostPort ? { ...told, claim: undefined } : told;
  steps.push(...words.passSteps(unclaimed));
  const after = records.find((record) => record.stage === "masquerade");
  if (after !== undefined) steps.push(...sourceSteps(told, before, after));
  // What the node sends to itself comes in again over lo.
  if (told.isOwn && told.endsAtNode) steps.push(...words.passSteps({ ...unclaimed, isOwn: false }));
  return steps;
}

/** Where the ends are on two nodes, each node asks about its own. */
function policySteps(told: Told): ExplainStep[] {
  const hook = filterHook(wayTold(told));
  return told.policies.map((verdict): ExplainStep => {
    return { hook, table: "filter", chain: verdict.chain, rule: "", text: endText(verdict) };
  });
}

/** "ingress of default/db is denied: isolated by default/deny-all; no rule matches" */
export function endText({ direction, pod, action, rule }: EndVerdict): string {
  const words = {
    allow: `is allowed${allowedBy(rule)}`,
    deny: "is denied:",
    audit: "passes, AUDIT: would be denied:",
  };
  return `${direction} of ${pod} ${words[action]} ${rule}`;
}

function routeStep(record: TraceRecord): ExplainStep {
  const text = record.bridged ? "stays on the pod bridge" : (record.route ?? "");
  return { hook: "ROUTING", table: "", chain: "", rule: "", text };
}

/** What the rules would do then is the business of the mesh's proxy, who is on the way to that endpoint. */
function meshStep(record: TraceRecord): ExplainStep {
  const text = `${record.to.dst} is a pod of the mesh: the node's mesh proxy carries the connection`;
  return { hook: record.hook.split(" ")[1] ?? "", table: "mangle", chain: "", rule: "", text };
}

/** What is no business of the proxy's: no route, a packet that may not be on a wire … */
function dropStep(record: TraceRecord): ExplainStep {
  return {
    hook: record.stage === "route" ? "ROUTING" : record.hook,
    table: "",
    chain: "",
    rule: "",
    text: `dropped: ${record.dropText ?? ""}${answerText(record)}`,
  };
}

function sourceSteps(told: Told, before: TraceRecord, after: TraceRecord): ExplainStep[] {
  const [from, to] = [formatEnd(before.from, "src"), formatEnd(after.to, "src")];
  const hook = "POSTROUTING";
  if (after.clientKept === true) {
    const kept = `source ${before.from.src} kept (keepClientAddress): the pod sees who knocks`;
    return [{ hook, table: "", chain: "", rule: "", text: kept }];
  }
  if (after.masquerade === undefined || from === to) return [];
  const isSame = before.from.src === after.to.src;
  const text = isSame ? "source gets another port" : `source ${before.from.src} becomes ${after.to.src}`;
  if (after.masquerade === "egress") {
    const told = `${text}: a pod leaves the cluster`; // the network plug-in's rule, not kube-proxy's
    return [{ hook, table: "nat", chain: "FLANNEL-POSTRTG", rule: "", text: told }];
  }
  if (after.masquerade === "hostPort") {
    const [table, chain, rule] = hostPortMasquerade(told);
    return [{ hook, table, chain, rule, text }];
  }
  if (told.mode === "userspace") {
    return [{ hook, table: "", chain: "", rule: "", text: `${text}: the connection is kube-proxy's own` }];
  }
  const table = told.mode === "nftables" ? `${told.family === 4 ? "ip" : "ip6"} kube-proxy` : "nat";
  const [chain, rule] = told.mode === "nftables" ? nftables.MASQUERADE : iptables.MASQUERADE;
  // Beside its virtual servers ipvs mode has rules, too; `rules` prints those servers alone.
  return [{ hook, table, chain, rule: told.mode === "ipvs" ? "" : rule, text }];
}
