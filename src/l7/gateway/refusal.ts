// Why a class, or a Gateway as a whole, is not accepted: it asks for what nothing here does, and what would be served
// without it would not be what was asked for.
import type { Gateway, GatewayClass } from "../../kube/gateway/gateway-objects.ts";

/** Reason and message of Accepted, where it is False. */
export type Refusal = readonly [reason: string, message: string];

const INVALID = "InvalidParameters";

/** Undefined: it is accepted. */
export function classRefusal({ spec }: GatewayClass): Refusal | undefined {
  return spec.parametersRef === undefined
    ? undefined
    : [INVALID, "spec.parametersRef: no parameters are read here: leave it out"];
}

/** Undefined: nothing is wrong with it as a whole. `classes`: podwire's own. */
export function gatewayRefusal({ spec }: Gateway, classes: readonly GatewayClass[]): Refusal | undefined {
  const own = classes.find(({ metadata }) => metadata.name === spec.gatewayClassName);
  if (own !== undefined && classRefusal(own) !== undefined)
    return [INVALID, `GatewayClass ${own.metadata.name} is not accepted`];
  if (spec.infrastructure?.parametersRef !== undefined)
    return [INVALID, "spec.infrastructure.parametersRef: no parameters are read here: leave it out"];
  const other = (spec.addresses ?? []).find(({ type }) => type !== "IPAddress");
  return other === undefined
    ? undefined
    : ["UnsupportedAddress", `an address of type ${other.type} is not served: use IPAddress`];
}
