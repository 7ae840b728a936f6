// AuthorizationPolicies, which are there without their definition, too.
import {
  AUTHORIZATION_POLICY,
  AUTHORIZATION_TYPES,
  type AuthorizationPolicy,
} from "../../kube/mesh/authorization-policy.ts";
import { checkAuthorizationPolicy } from "../../kube/validate/routing/authorization-policy.ts";
import type { Resource } from "../resource.ts";
import { knownResources } from "./known-resources.ts";

let made: readonly Resource[] | undefined;

/** In both versions. */
export function meshResources(): readonly Resource[] {
  made ??= knownResources(AUTHORIZATION_POLICY, {
    ...{ types: AUTHORIZATION_TYPES, keys: {}, categories: ["istio-io", "security-istio-io"] },
    columns: [
      { name: "Action", type: "string", jsonPath: ".spec.action" },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    ],
    check: (object, problems) => checkAuthorizationPolicy(object as unknown as AuthorizationPolicy, problems),
  });
  return made;
}
