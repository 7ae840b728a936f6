// How manifests of the Gateway API are read, where somebody asks for them: by their definitions, as an API server would.
import type { CustomKinds } from "../manifest/custom-kind.ts";
import { decode } from "../manifest/decode.ts";
import type { KubeObject } from "../objects.ts";
import { checkGatewayObject } from "../validate/routing/gateway.ts";
import { gatewayKind } from "./gateway-kinds.ts";
import { GATEWAY_TYPES } from "./gateway-types.ts";

export const gatewayKinds: CustomKinds = (apiVersion, kind) => {
  const info = gatewayKind(apiVersion, kind);
  if (info === undefined) return undefined;
  return {
    info,
    read: (value, _, problems) => {
      const object = decode(value, kind, problems, GATEWAY_TYPES);
      if (!problems.any) checkGatewayObject(object as KubeObject, problems);
      return object;
    },
  };
};
