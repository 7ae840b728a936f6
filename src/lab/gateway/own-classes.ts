// The classes by which Ingresses and Gateways of a lab are podwire's, there from the start: an Ingress that names no
// class is of the default one.
import { customKind } from "../../kube/custom-definition.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { GATEWAY_CONTROLLER } from "../../l7/gateway/own-gateways.ts";

const NAME = "podwire";
const GROUP = "gateway.networking.k8s.io";

export const OWN_CLASSES = [
  {
    ...{ apiVersion: "networking.k8s.io/v1", kind: "IngressClass" },
    metadata: { name: NAME, annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: { controller: "podwire.dev/ingress" },
  },
  {
    ...{ apiVersion: `${GROUP}/v1`, kind: customKind("GatewayClass", GROUP), metadata: { name: NAME } },
    spec: { controllerName: GATEWAY_CONTROLLER, description: "the lab's own gateways" },
  },
] as unknown as readonly KubeObject[];
