// The Gateway API's kinds, as an API server has them in which somebody has installed their definitions: nobody has to do
// it in a lab. A definition of the same kind that is installed all the same changes nothing: these stay.
import { splitApiVersion } from "../../kube/api-groups.ts";
import type { CustomDefinition } from "../../kube/custom-definition.ts";
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { GATEWAY_TYPES } from "../../kube/gateway/gateway-types.ts";
import type { KindInfo } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { checkGatewayObject } from "../../kube/validate/routing/gateway.ts";
import { definedBy } from "../custom-resources.ts";
import type { Resource } from "../resource.ts";
import type { PrinterColumn } from "../table/custom-columns.ts";
import type { CustomVersion } from "./definition.ts";
import { type ListKeys, schemaOfKind } from "./type-schema.ts";

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
  made ??= GATEWAY_KINDS.flatMap(resourcesOf);
  return made;
}

/** Schemas are made when they are asked for: a lab that has no such objects has no use for them. */
function resourcesOf(info: KindInfo): Resource[] {
  const check: CustomVersion["check"] = (object, problems) =>
    checkGatewayObject({ ...object, kind: info.kind } as unknown as KubeObject, problems);
  return definedBy(definitionOf(info)).map((resource) => {
    let whole: CustomVersion | undefined;
    return {
      ...resource,
      isKnown: true,
      get custom(): CustomVersion {
        whole ??= {
          ...(resource.custom as CustomVersion),
          ...{ schema: schemaOfKind(info.kind, GATEWAY_TYPES, KEYS), check },
        };
        return whole;
      },
    };
  });
}

function definitionOf(info: KindInfo): CustomDefinition {
  const { kind, plural, singular, shortNames, namespaced, apiVersion, formerVersions = [] } = info;
  const [group] = splitApiVersion(apiVersion);
  const versions = [apiVersion, ...formerVersions].map((each, i) => ({
    ...{ name: splitApiVersion(each)[1], served: true, storage: i === 0 },
    schema: { openAPIV3Schema: { type: "object" } },
    ...(GATEWAY_TYPES.get(kind)?.has("status") === true && { subresources: { status: {} } }),
    additionalPrinterColumns: COLUMNS[kind] ?? [AGE],
  }));
  const names = { kind, plural, singular, shortNames: shortNames.filter((word) => word !== singular) };
  return {
    ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
    metadata: { name: `${plural}.${group}` },
    spec: {
      ...{ group, scope: namespaced ? "Namespaced" : "Cluster", versions },
      names: { ...names, categories: ["gateway-api"] },
    },
  };
}
