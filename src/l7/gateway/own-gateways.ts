// Which Gateways are podwire's where somebody acts on it: those whose class names podwire's controller. Without such a
// class nobody has asked podwire for anything.
import type { Gateway, GatewayClass } from "../../kube/gateway/gateway-objects.ts";
import type { KubeObject } from "../../kube/objects.ts";

/** Of GatewayClasses whose Gateways are podwire's. */
export const GATEWAY_CONTROLLER = "podwire.dev/gateway";

export function ownClasses(objects: readonly KubeObject[]): GatewayClass[] {
  return objects.filter(
    (each): each is GatewayClass =>
      each.kind === "GatewayClass" && (each as GatewayClass).spec.controllerName === GATEWAY_CONTROLLER,
  );
}

export function ownGateways(objects: readonly KubeObject[]): Gateway[] {
  const names = ownClasses(objects).map(({ metadata }) => metadata.name);
  return objects.filter(
    (each): each is Gateway =>
      each.kind === "Gateway" && names.includes((each as Gateway).spec.gatewayClassName),
  );
}
