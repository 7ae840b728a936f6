// The Gateway API's kinds, as an API server has them in which somebody has installed their definitions: nobody has to do
// it in a lab. A definition of the same kind that is installed all the same changes nothing: these stay.
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { GATEWAY_TYPES } from "../../kube/gateway/gateway-types.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { checkGatewayObject } from "../../kube/validate/routing/gateway.ts";
import type { Resource } from "../resource.ts";
import type { PrinterColumn } from "../table/custom-columns.ts";
import { knownResources } from "./known-resources.ts";
import type { ListKeys } from "./type-schema.ts";

const KEYS: ListKeys = {
  "*.conditions": "type",
  "GRPCRouteMatch.headers": "name",
  "GatewayClassStatus.supportedFeatures": "name",
  "GatewaySpec.listeners": "name",
  "GatewayStatus.listeners": "name",
  "HTTPHeaderFilter.add": "name",
  "HTTPHeaderFilter.set": "name",
  "HTTPRouteMatch.headers": "name",
  "HTTPRouteMatch.queryParams": "name",
};

const text = (name: string, jsonPath: string, priority = 0): PrinterColumn => {
  return { name, type: "string", jsonPath, priority };
};
const condition = (type: string): PrinterColumn =>
  text(type, `.status.conditions[?(@.type=="${type}")].status`);
const AGE: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };
/** As the definitions have them. */
const COLUMNS: Readonly<Record<string, readonly PrinterColumn[]>> = {
  GatewayClass: [
    text("Controller", ".spec.controllerName"),
    condition("Accepted"),
    AGE,
    text("Description", ".spec.description", 1),
  ],
  Gateway: [
    text("Class", ".spec.gatewayClassName"),
    text("Address", ".status.addresses[*].value"),
    condition("Programmed"),
    AGE,
  ],
  HTTPRoute: [text("Hostnames", ".spec.hostnames"), AGE],
  GRPCRoute: [text("Hostnames", ".spec.hostnames"), AGE],
};

let made: readonly Resource[] | undefined;

/** In all versions that there are of them. */
export function gatewayResources(): readonly Resource[] {
  made ??= GATEWAY_KINDS.flatMap((info) =>
    knownResources(info, {
      ...{ types: GATEWAY_TYPES, keys: KEYS, categories: ["gateway-api"] },
      columns: COLUMNS[info.kind] ?? [AGE],
      check: (object, problems) =>
        checkGatewayObject({ ...object, kind: info.kind } as unknown as KubeObject, problems),
    }),
  );
  return made;
}
