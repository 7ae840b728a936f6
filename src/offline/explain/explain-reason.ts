/** Why an explained packet goes where it goes, in a sentence; and its verdict. */
import { DROP_REASON_TEXT, DropReason } from "../../dataplane/drop-reason.ts";
import { IcmpRequest } from "../../dataplane/packet/icmp-request.ts";
import { endText } from "../../kubeproxy/words/explain-steps.ts";
import {
  type Claim,
  type ExplainVerdict,
  FRONTENDS,
  Frontend,
  type Told,
} from "../../kubeproxy/words/explanation.ts";

/** `isDenied`: by a policy, at this node or where the packet goes. */
export function verdictOf(
  dropReason: number,
  icmpRequest: number,
  claim: Claim | undefined,
  isDenied: boolean,
): ExplainVerdict {
  if (dropReason !== DropReason.NONE) return icmpRequest === IcmpRequest.NONE ? "drop" : "reject";
  if (isDenied) return "drop";
  return claim !== undefined && claim.chosen !== "" ? "dnat" : "accept";
}

export function explainReason(told: Told, dropReason: number): string {
  const { claim } = told;
  const denied = told.policies.find(({ action }) => action === "deny");
  if (denied !== undefined && isPolicys(dropReason)) return endText(denied);
  const service = claim?.service ?? "";
  switch (dropReason) {
    case DropReason.NONE:
      if (claim !== undefined && FRONTENDS[claim.kind] === "address") {
        return `${told.to} is an address of ${service}, which ipvs mode binds to the node: the node answers`;
      }
      if (claim?.kind === Frontend.HOST_PORT) return service;
      return claim === undefined ? unclaimed(told) : `${FRONTENDS[claim.kind]} of ${service}`;
    case DropReason.SERVICE_NO_ENDPOINTS:
      return `${service} has no endpoints`;
    case DropReason.SERVICE_NO_LOCAL_ENDPOINTS: {
      const policy = claim?.kind === Frontend.CLUSTER_IP ? "internalTrafficPolicy" : "externalTrafficPolicy";
      return `${service} has no endpoints on this node, and its ${policy} is Local`;
    }
    case DropReason.SERVICE_SOURCE_RANGE:
      return `${told.from} is in none of the loadBalancerSourceRanges of ${service}`;
    case DropReason.SERVICE_PORT_UNKNOWN:
      return `no service has port ${told.port}/${told.protocol} at ${told.to}`;
    case DropReason.SERVICE_IP_UNUSED:
      return `no service has the address ${told.to}`;
    case DropReason.NO_ROUTE:
      return `there is no route to ${claim === undefined || claim.chosen === "" ? told.to : claim.chosen}`;
    default:
      return DROP_REASON_TEXT[dropReason];
  }
}

/** Not dropped here, or by policies. */
function isPolicys(reason: number): boolean {
  return (
    reason === DropReason.NONE || reason === DropReason.POLICY_DENY || reason === DropReason.POLICY_DENY_RULE
  );
}

function unclaimed({ healthCheckOf, endsAtNode, to, port, protocol }: Told): string {
  if (healthCheckOf !== undefined) return `health check node port of ${healthCheckOf.split(":")[0]}`;
  const what = protocol === "ICMP" ? `ICMP to ${to}` : `${to} port ${port}/${protocol}`;
  return `no service claims ${what}${endsAtNode ? ", an address of this node" : ""}`;
}
